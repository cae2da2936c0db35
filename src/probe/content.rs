//! What is kept of an answer whose row has assertions, and nothing more, until they have judged it.

use api_health_core::assertion::{Body, Content, expected};
use api_health_core::masking::Masking;
use api_health_core::{ApiConfig, Secret};

use url::Url;

use super::exchange::Reply;
use super::unpack::unpack;

/// What of this reply is not as the assertions of `api` expect; `token` went along beside what stands in the row. Its body is taken out of
/// it, and judged here, once: one may have 1 MiB.
pub(super) fn broken(api: &ApiConfig, token: Option<&Secret>, reply: &mut Reply) -> Vec<String> {
    // Whoever answers with another status is judged by that alone.
    if api.assertions.is_empty() || !api.expected_status.contains(reply.status) {
        return Vec::new();
    }
    let content = of(api, reply);
    // A server may repeat what it was sent.
    expected::broken(&api.assertions, &content, |found| Masking::with_token(api, token).hide_in_short(found))
}

fn of(api: &ApiConfig, reply: &mut Reply) -> Content {
    let mut headers: Vec<(String, String)> = Vec::new();
    for name in api.assertions.iter().filter_map(|assertion| assertion.header()) {
        let mut values = reply.headers.all(name).map(String::from_utf8_lossy).peekable();
        if values.peek().is_some() && headers.iter().all(|(known, _)| known != name) {
            headers.push((name.to_owned(), values.collect::<Vec<_>>().join(", "))); // RFC 9110, 5.3
        }
    }
    let body = if api.assertions.iter().any(|assertion| assertion.needs_body()) {
        let body = std::mem::take(&mut reply.body);
        let codings: Vec<&[u8]> = reply.headers.all("content-encoding").collect();
        unpack(&codings.join(&b','), body, reply.body_cut_at_bound)
    } else {
        Body::Unread
    };
    Content {
        body,
        headers,
        url: reply.url.as_ref().map_or_else(|| api.url.clone(), |url| shown(api, url)),
        tls: reply.tls,
    }
}

/// A server may send us on with the secrets of our own URL.
fn shown(api: &ApiConfig, url: &Url) -> String {
    api.asking.as_ref().map_or_else(|| url.to_string(), |asking| asking.masked(url.as_str()))
}
