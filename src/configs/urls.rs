//! URLs of the command line as rows: each gets a readable id of its own, the same in every run.

use std::collections::{HashMap, HashSet};

use api_health_core::ApiId;
use serde_json::{Map, Value};
use url::Url;

use super::fields::{API_ID, URL};
use super::raw::RawRow;

/// Rows for `urls`, in order, each URL once. A bad URL is a row too: what checks rows says what is wrong with it.
pub fn rows(urls: &[String]) -> Vec<RawRow> {
    let mut taken = HashSet::new();
    // How many have this slug: to count from one each time would take hours over a long command line.
    let mut nth_of = HashMap::new();
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(urls.len());
    for (index, written) in urls.iter().enumerate() {
        let text = with_scheme(written);
        if !seen.insert(text.clone()) {
            continue;
        }
        let slug = slug(&text);
        let mut api_id = slug.clone();
        let nth: &mut u32 = nth_of.entry(slug.clone()).or_insert(1);
        while !taken.insert(api_id.clone()) {
            *nth += 1;
            let suffix = format!("-{nth}");
            api_id = format!("{}{suffix}", &slug[..slug.len().min(ApiId::CHARS_MAX - suffix.len())]);
        }
        let fields = [(API_ID.name, api_id), (URL.name, text)];
        rows.push(RawRow {
            location: format!("command line, URL {}", index + 1).into(),
            fields: fields
                .into_iter()
                .map(|(name, text)| (name.to_owned(), Value::String(text)))
                .collect::<Map<_, _>>(),
        });
    }
    rows
}

/// `url`, with `https://` before it if it has no scheme.
pub fn with_scheme(url: &str) -> String {
    let url = url.trim();
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

/// An id from host, port, path and query: `example.com-health`. ASCII, so that it can be cut anywhere.
fn slug(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return "url".into() };
    let port = url.port().map(|port| format!("-{port}")).unwrap_or_default();
    let query = url.query().map(|query| format!("-{query}")).unwrap_or_default();
    let whole = format!("{}{port}{}{query}", url.host_str().unwrap_or_default(), url.path());
    let mut slug = String::with_capacity(whole.len());
    for c in whole.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(ApiId::CHARS_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "url".into() } else { slug.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(urls: &[&str]) -> Vec<String> {
        let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
        rows(&urls).iter().map(|row| row.fields["api_id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn ids_are_readable_and_each_url_has_its_own() {
        assert_eq!(
            ids(&[
                "https://example.com/health",
                "example.com/health",
                "http://example.com/health",
                "example.com",
                "http://127.0.0.1:8080/a//b?c=d&e",
                "http://[::1]:9/",
                "https://",
            ]),
            ["example.com-health", "example.com-health-2", "example.com", "127.0.0.1-8080-a-b-c-d-e", "1-9", "url"]
        );
        let long = format!("example.com/{}", "x".repeat(200));
        let both = ids(&[&long, &format!("{long}y")]);
        assert_eq!((both[0].len(), both[1].len()), (80, 80));
        assert!(both[1].ends_with("x-2"));
    }

    proptest! {
        #[test]
        fn any_url_has_an_id_that_is_one(urls in prop::collection::vec("\\PC{0,100}", 0..5)) {
            let rows = rows(&urls);
            let ids: HashSet<_> = rows.iter().map(|r| r.fields["api_id"].as_str().unwrap()).collect();
            prop_assert_eq!(ids.len(), rows.len());
            for id in ids {
                prop_assert!(ApiId::parse(id).is_ok(), "{}", id);
            }
        }
    }
}
