//! How a row asks, where several programs say it in the same way: method, redirects, proxy, tokens, what is not to be checked.

use serde_json::{Map, Value};

use super::reading::Reading;
use super::report::{Field, Fields};
use super::words::METHODS;

/// What is said where somebody wants no certificate to be checked.
pub(crate) const ALWAYS_CHECKED: &str =
    "a certificate is always checked; `ca_certificates` names the authority of one that is your own";

impl Reading<'_> {
    pub(crate) fn method(&mut self, field: Field) {
        let method = field.scalar().unwrap_or("GET").to_ascii_uppercase();
        if METHODS.contains(&method.as_str()) {
            self.set("method", method);
            self.report.taken(field);
        } else {
            self.report.lost(field, "there is no such method in a row; GET is used");
        }
    }

    pub(crate) fn redirects(&mut self, field: Field) {
        match field.scalar().and_then(|text| text.parse::<u64>().ok()) {
            Some(most) => {
                self.set("max_redirects", most.min(10));
                match most <= 10 {
                    true => self.report.taken(field),
                    false => self.report.near(field, "at most 10 are followed"),
                }
            }
            None => self.report.lost(field, "it is no number"),
        }
    }

    /// A proxy as a URL.
    pub(crate) fn proxy(&mut self, api_id: &str, field: Field) {
        let text = field.scalar().unwrap_or_default().to_owned();
        if !text.starts_with("http://") {
            return self.report.lost(field, "a proxy is one of HTTP");
        }
        let proxy = match text.contains('@') {
            true => self.secret(&format!("{api_id}_proxy"), &field, &text),
            false => self.text(&text),
        };
        self.set("proxy", proxy);
        self.report.taken(field);
    }

    /// Client credentials: the names of their fields, and ours.
    pub(crate) fn oauth(&mut self, api_id: &str, fields: &mut Fields, names: &[(&str, &str)]) {
        let mut oauth = Map::new();
        for (theirs, ours) in names {
            let Some(field) = fields.take(theirs) else { continue };
            let text = match field.node.list() {
                [] => field.scalar().unwrap_or_default().to_owned(),
                items => items.iter().filter_map(|item| item.scalar()).collect::<Vec<_>>().join(" "),
            };
            let value = match *ours {
                "client_secret" if theirs.ends_with("_file") => format!("${{file:{text}}}"),
                "client_secret" => self.secret(&format!("{api_id}_client_secret"), &field, &text),
                _ => self.text(&text),
            };
            if !text.is_empty() {
                oauth.insert((*ours).to_owned(), Value::from(value));
            }
            self.report.taken(field);
        }
        if !oauth.is_empty() {
            self.set("oauth2", Value::Object(oauth));
        }
    }

    /// A field that is of no account unless it is on.
    pub(crate) fn lost_if_on(&mut self, field: Field, why: &str) {
        match field.flag() == Some(false) || field.node.is_null() {
            true => self.report.taken(field),
            false => self.report.lost(field, why),
        }
    }
}
