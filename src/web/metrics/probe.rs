//! `/probe?target=`: the last probe of an API in the form of the blackbox exporter, so that an existing scrape job changes one address.
//!
//! Nothing is probed by it, so it is no open proxy: what is not watched is not found.

use std::fmt;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::view::ApiView;
use api_health_core::{ApiConfig, Timestamp};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::{Own, answer, blackbox};
use crate::api::answer::Data;
use crate::api::problem::Problem;
use crate::shown;

struct One {
    now: Timestamp,
    view: Arc<ApiView>,
}

impl fmt::Debug for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("One")
    }
}

impl Collector for One {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        blackbox::encode(&mut encoder, &[&self.view], self.now, blackbox::Labels::None)
    }
}

/// Whatever else stands in the query, such as `module`, is what a job for the blackbox exporter sends: it is passed over.
pub(super) async fn probe(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    let parsed = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = parsed.map(web::Query::into_inner).unwrap_or_default();
    let target = pairs.iter().find(|(name, _)| name == "target").map(|(_, target)| target.as_str());
    let target = target.filter(|target| !target.is_empty());
    let target =
        target.ok_or_else(|| Problem::bad_request("write the URL or the id of an API: /probe?target=https://…"))?;
    let own = Own::of(&model).await?;
    let seen = || own.views().filter(|view| shown::may_see(&request, view));
    let by = |url: &dyn Fn(&ApiConfig) -> bool| seen().find(|view| view.config.as_deref().is_some_and(url));
    // A job may have thousands of targets, so the dearest comparison comes last.
    let view = seen().find(|view| view.api_id.as_str() == target);
    let view = view.or_else(|| by(&|config| means(target, &config.url) || means(target, config.whole_url())));
    let view = view.or_else(|| by(&|config| means(target, &shown::url(config))));
    let view = Arc::clone(view.ok_or_else(|| {
        Problem::not_found("this target is not watched here; nothing is probed because of a scrape: write a row for it")
    })?);
    Ok(answer(&request, One { now: own.now, view }, std::convert::identity))
}

/// Whether people mean this URL by that target. The blackbox exporter takes what has no scheme for plain HTTP.
fn means(target: &str, url: &str) -> bool {
    let (target, url) = (parts(target), parts(url));
    target.0.eq_ignore_ascii_case(url.0) && target.1.eq_ignore_ascii_case(url.1) && target.2 == url.2
}

/// Scheme, host, and path with query.
fn parts(url: &str) -> (&str, &str, &str) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    (scheme, host, if path.is_empty() { "/" } else { path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_known_in_each_form_in_which_jobs_write_it() {
        for (target, url) in [
            ("example.org", "http://example.org/"),
            ("https://Example.org", "https://example.org/"),
            ("HTTPS://example.org/X", "https://example.org/X"),
            ("example.org:8080?x", "http://example.org:8080?x"),
        ] {
            assert!(means(target, url), "{target}");
        }
        assert!(!means("https://example.org/x", "https://example.org/X"));
    }
}
