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
use api_health_actors::board::Snapshot;
use api_health_core::Timestamp;
use api_health_core::view::{ApiView, Condition};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use crate::api::answer::Data;
use crate::api::problem::Problem;
use crate::model::{MetricsPerApi, Model, STALE_AFTER};
use crate::shown;

/// Whether an API in that condition has series of its own. Those of ten thousand APIs make 30 MB.
const fn takes(per_api: MetricsPerApi, condition: Condition) -> bool {
    match per_api {
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

/// What this worker watches, at one moment. Each worker tells its own alone.
struct Own {
    now: Timestamp,
    snapshot: Snapshot,
}

impl Own {
    async fn of(model: &Model) -> Result<Self, Problem> {
        let snapshot = model.site.board.snapshot().await.ok_or_else(Problem::not_yet)?;
        Ok(Self { now: model.site.clock.now(), snapshot })
    }

    /// The APIs; none where the keeper was not heard of for so long that it is not known how they are.
    fn views(&self) -> impl Iterator<Item = &Arc<ApiView>> {
        let is_heard_of = self.now.since(self.snapshot.at) <= STALE_AFTER;
        self.snapshot.views.iter().filter(move |_| is_heard_of)
    }
}

async fn metrics(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    if !shown::is_let_in(&request) {
        return Err(Problem::not_found("metrics are for those who are let in"));
    }
    let own = Arc::new(Own::of(&model).await?);
    Ok(answer(&request, All { model, own: Arc::clone(&own) }, |text| own::with_exemplars(text, &own)))
}

/// All series of one scrape.
struct All {
    model: Data,
    own: Arc<Own>,
}

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("All")
    }
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        own::encode(&mut encoder, &self.model, &self.own)?;
        let (now, per_api) = (self.own.now, self.model.site.about.metrics_per_api);
        let views = self.own.views().map(AsRef::as_ref);
        let wanted: Vec<_> = views.filter(|view| takes(per_api, view.condition(now))).collect();
        own::encode_apis(&mut encoder, &wanted, now)?;
        blackbox::encode(&mut encoder, &wanted, now, blackbox::Labels::OfApi)
    }
}

/// What a collector collects, in the form that whoever asks prefers: the text form of Prometheus, or OpenMetrics.
fn answer(
    request: &HttpRequest,
    collector: impl Collector,
    with_exemplars: impl FnOnce(String) -> String,
) -> HttpResponse {
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
        Ok(()) if is_open_metrics => HttpResponse::Ok().content_type(content_type).body(with_exemplars(written)),
        Ok(()) => HttpResponse::Ok().content_type(content_type).body(written),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
