//! How a row asks, where several programs say it in the same way: method, headers, body, redirects, proxy, tokens, what is not to be
//! checked; and which codes it expects.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::reading::Reading;
use super::report::{Field, Fields};
use super::words::{self, METHODS, is_ours};

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

    /// A table of headers.
    pub(crate) fn headers(&mut self, api_id: &str, field: Field) -> Map<String, Value> {
        let mut headers = Map::new();
        for field in self.report.fields(field).into_fields() {
            let name = field.path.rsplit_once("headers.").map_or(String::new(), |(_, name)| name.to_owned());
            let value = field.text();
            self.put_header(&mut headers, api_id, &name, field, &value);
        }
        headers
    }

    pub(crate) fn put_header(
        &mut self,
        headers: &mut Map<String, Value>,
        api_id: &str,
        name: &str,
        field: Field,
        value: &str,
    ) {
        if is_ours(name) {
            return self.report.lost(field, "the HTTP client writes it itself");
        }
        let value = self.header(api_id, name, &field, value);
        headers.insert(name.to_owned(), value.into());
        self.report.taken(field);
    }

    pub(crate) fn set_headers(&mut self, headers: Map<String, Value>) {
        if !headers.is_empty() {
            self.set("headers", Value::Object(headers));
        }
    }

    /// A body that is sent as it stands.
    pub(crate) fn plain_body(&mut self, api_id: &str, field: Field) {
        let body = self.body(api_id, &field, &field.text());
        self.set("body", body);
        self.report.taken(field);
    }

    /// A switch that is off where the row is.
    pub(crate) fn enabled(&mut self, field: Field) {
        if field.flag() == Some(false) {
            self.set("enabled", false);
        }
        self.report.taken(field);
    }

    /// The only codes that pass, one by one.
    pub(crate) fn status_codes(&mut self, items: Vec<Field>) {
        let mut codes = BTreeSet::new();
        for item in items {
            let code =
                item.scalar().and_then(|text| text.parse::<u16>().ok()).filter(|code| (100..=999).contains(code));
            codes.extend(code);
            self.report.lost_unless(code.is_some(), item, "it is no status code");
        }
        if !codes.is_empty() {
            self.set("expected_status", words::codes(&codes));
        }
    }

    pub(crate) fn redirects(&mut self, field: Field) {
        match field.scalar().and_then(|text| text.parse::<u64>().ok()) {
            Some(most) => {
                self.set("max_redirects", most.min(10));
                self.report.near_unless(most <= 10, field, "at most 10 are followed");
            }
            None => self.report.lost(field, "it is no number"),
        }
    }

    /// A proxy as a URL.
    pub(crate) fn proxy(&mut self, api_id: &str, field: Field) {
        let text = field.text();
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
                [] => field.text(),
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
        self.report.lost_unless(field.flag() == Some(false) || field.node.is_null(), field, why);
    }
}
