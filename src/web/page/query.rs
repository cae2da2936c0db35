//! What stands behind the `?` of a page: read with one clear fault for what cannot be read, and written into links.

use std::fmt::Write as _;

use actix_web::{HttpRequest, web};
use serde::Deserialize;

/// The longest word that is searched for.
pub(crate) const SEARCH_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    pub(crate) q: String,
    pub(crate) state: String,
    pub(crate) tag: String,
    pub(crate) sort: String,
    pub(crate) cursor: String,
    pub(crate) range: String,
    pub(crate) month: String,
    pub(crate) tz: String,
}

impl Query {
    /// What is asked; what is not known here is passed over, so that a link with more in it still leads somewhere.
    pub(crate) fn of(request: &HttpRequest) -> Result<Self, String> {
        let read = web::Query::<Self>::from_query(request.query_string());
        read.map(web::Query::into_inner).map_err(|_| "What stands behind the ? of this address cannot be read.".into())
    }

    /// The address of a page that shows the same, from that row on.
    pub(crate) fn link(&self, path: &str, cursor: &str) -> String {
        let parts =
            [("q", &*self.q), ("state", &*self.state), ("tag", &*self.tag), ("sort", &*self.sort), ("cursor", cursor)];
        let kept = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let kept: Vec<String> = kept.map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
    }
}

/// `text` as the value of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_into_a_link_is_read_from_it() {
        for text in ["shop", "a b&c=d", "Größe #1", "100%+"] {
            let read = web::Query::<Query>::from_query(&format!("tag={}&unknown=1", encoded(text))).unwrap();
            assert_eq!(read.tag, text);
        }
    }
}
