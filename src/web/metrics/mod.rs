//! Metrics for Prometheus: `/metrics` with everything, `/probe` in the form of the blackbox exporter, `/sd/prometheus` to discover targets.
//!
//! Each API has the names of the blackbox exporter, so that its dashboards and rules work; what is about api-health itself has names of its
//! own. What is not known is left out: a gap in a graph, and not a zero that never was.
//!
//! | file | answers |
//! |---|---|
//! | `blackbox` | one API in the names of the blackbox exporter |
//! | `own` | `api_health_*` |
//! | `probe` | `/probe?target=` from the last probe |
//! | `discovery` | `/sd/prometheus` |

mod blackbox;
mod discovery;
mod own;
mod probe;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::view::Condition;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use crate::api::answer::Data;
use crate::api::problem::Problem;
use crate::model::{Everything, MetricsPerApi, Model};
use crate::shown;

/// Whether an API in this condition has metrics of its own.
const fn has_its_own(which: MetricsPerApi, condition: Condition) -> bool {
    match which {
        MetricsPerApi::All => true,
        MetricsPerApi::NotUp => !matches!(condition, Condition::Up | Condition::Off),
        MetricsPerApi::None => false,
    }
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/metrics", web::get().to(metrics))
        .route("/probe", web::get().to(probe::probe))
        .route("/sd/prometheus", web::get().to(discovery::targets));
}

/// Metrics are of what this worker watches: each scrapes its own.
async fn metrics(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    if !shown::is_let_in(&request) {
        return Err(Problem::not_found("metrics are for those who are let in"));
    }
    let everything = model.everything().await.ok_or_else(Problem::not_yet)?;
    Ok(answer(&request, All { model, everything }))
}

/// All series of one scrape.
struct All {
    model: Data,
    everything: Arc<Everything>,
}

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("All")
    }
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let model: &Model = &self.model;
        own::encode(&mut encoder, model, &self.everything)?;
        let (now, per_api) = (self.everything.now, model.site.about.metrics_per_api);
        let views = self.everything.snapshot.views.iter().map(AsRef::as_ref);
        let wanted: Vec<_> = views.filter(|view| has_its_own(per_api, view.condition(now))).collect();
        own::encode_apis(&mut encoder, &wanted, now)?;
        blackbox::encode(&mut encoder, &wanted, now, blackbox::Labels::OfApi)
    }
}

/// What a collector collects, in the form that whoever asks prefers: the text form of Prometheus, or OpenMetrics.
fn answer(request: &HttpRequest, collector: impl Collector) -> HttpResponse {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_open_metrics = accept.contains("application/openmetrics-text");
    let mut written = String::new();
    let (result, content_type) = if is_open_metrics {
        (text::encode(&mut written, &registry), "application/openmetrics-text; version=1.0.0; charset=utf-8")
    } else {
        (prometheus_text::encode(&mut written, &registry), prometheus_text::CONTENT_TYPE)
    };
    match result {
        Ok(()) => HttpResponse::Ok().content_type(content_type).body(written),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
