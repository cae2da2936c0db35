//! Rows of `apis.toml` for tests: probed every second, confirmed within another.

use crate::support::http::Server;

/// A row for `url`, every second.
pub(crate) fn row(api_id: &str, url: &str) -> String {
    row_with(api_id, url, "")
}

/// The same with more fields, one a line.
pub(crate) fn row_with(api_id: &str, url: &str, fields: &str) -> String {
    format!("[[api]]\napi_id = \"{api_id}\"\nurl = \"{url}\"\ninterval_seconds = 1\nrecheck_seconds = 1\n{fields}\n")
}

/// A row for each of `ids`, each at the path of its name.
pub(crate) fn rows(server: &Server, ids: &[&str]) -> String {
    ids.iter().map(|id| row(id, &server.url(&format!("/{id}")))).collect()
}
