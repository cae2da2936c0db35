//! What of a row may be shown: everything but what may be a secret. References are shown as they were written, since
//! they are no secrets; literal text in headers and bodies is masked, and so is what no field of ours stands for.

use serde_json::{Map, Value};

use crate::configs::fields::{BODY, FIELDS, HEADERS, PROXY, URL};

/// Stands for literal text.
const MASK: &str = "***";

/// Words before a credential that are none themselves.
const SCHEMES: [&str; 4] = ["Bearer", "Basic", "Digest", "Token"];

/// A row as it may be shown, and whether anything was masked.
pub(super) fn row(fields: &Map<String, Value>) -> (Map<String, Value>, bool) {
    let shown: Map<_, _> = fields.iter().map(|(name, value)| (name.clone(), field(name, value))).collect();
    let is_masked = shown != *fields;
    (shown, is_masked)
}

/// One field of a row as it may be shown.
pub(super) fn field(name: &str, value: &Value) -> Value {
    let is_url = name == URL.name || name == PROXY.name;
    match value {
        Value::Object(table) if name == HEADERS.name => table.iter().map(|(name, value)| header(name, value)).collect(),
        // Before an @ a user name and password may stand.
        Value::String(text) if is_url && !text.contains('@') => value.clone(),
        _ if is_url || name == HEADERS.name || name == BODY.name => deep(value),
        _ if FIELDS.iter().any(|field| field.name == name) => value.clone(),
        // Not a field: it may be a header that was written in the wrong place.
        _ => deep(value),
    }
}

/// One header's name and value as they may be shown.
pub(super) fn header(name: &str, value: &Value) -> (String, Value) {
    // A name with more in it than a name's characters may hold the value as well, by mistake.
    let name = match name.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))) {
        Some(end) => format!("{}{MASK}", &name[..end]),
        None => name.to_owned(),
    };
    (name, deep(value))
}

/// Masks every text inside, and numbers too.
fn deep(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text_of(text)),
        Value::Array(list) => Value::Array(list.iter().map(deep).collect()),
        Value::Object(table) => Value::Object(table.iter().map(|(k, v)| (k.clone(), deep(v))).collect()),
        Value::Number(_) => Value::String(MASK.into()),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// `Bearer ${env:TOKEN}` as it is; `Bearer hunter2` as `Bearer ***`.
fn text_of(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((at, end)) = reference(rest) {
        shown.push_str(&literal(&rest[..at], shown.is_empty()));
        shown.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    shown.push_str(&literal(rest, shown.is_empty()));
    shown
}

/// Where the first whole reference stands that is one of ours and not escaped.
fn reference(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        let inside = &text[at + 2..];
        let ours = ["env:", "file:/", "credential:"].iter().any(|kind| inside.starts_with(kind));
        if let (true, false, Some(end)) = (ours, text[..at].ends_with('$'), inside.find('}')) {
            return Some((at, at + 2 + end + 1));
        }
        from = at + 2;
    }
    None
}

fn literal(text: &str, at_start: bool) -> String {
    if text.trim().is_empty() {
        return text.to_owned();
    }
    match text.split_once(' ') {
        Some((scheme, rest)) if at_start && SCHEMES.iter().any(|s| s.eq_ignore_ascii_case(scheme)) => {
            let rest = if rest.trim().is_empty() { rest } else { MASK };
            format!("{scheme} {rest}")
        }
        _ => MASK.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn references_are_shown_and_literals_are_not() {
        for (written, shown) in [
            ("Bearer ${env:TOKEN}", "Bearer ${env:TOKEN}"),
            ("${file:/run/key}", "${file:/run/key}"),
            ("Basic ${credential:key}", "Basic ${credential:key}"),
            ("Bearer hunter2", "Bearer ***"),
            ("hunter2", "***"),
            ("hunter2 ${env:A} hunter2", "***${env:A}***"),
            ("Basic user:${env:A}", "Basic ***${env:A}"),
            ("$${env:hunter2}", "***"),
            ("${hunter2}", "***"),
            ("", ""),
        ] {
            assert_eq!(text_of(written), shown, "{written}");
        }
    }

    #[test]
    fn a_row_shows_no_secret_wherever_it_stands() {
        let Value::Object(fields) = json!({
            "api_id": "a", "url": "https://me:hunter2@a.test/", "timeout_seconds": 5, "body": "{\"k\": \"hunter2\"}",
            "headers": {"X-Key": "hunter2", "Authorization: hunter2": "", "X-Ref": "${env:T}", "X-N": 72},
            "header": {"X-Key": "hunter2"}, "authorization": "hunter2",
        }) else {
            unreachable!()
        };
        let (shown, masked) = row(&fields);
        let text = Value::Object(shown.clone()).to_string();
        assert!(masked && !text.contains("hunter2") && !text.contains("72"), "{text}");
        assert_eq!(shown["headers"]["X-Ref"], "${env:T}");
        assert_eq!(shown["timeout_seconds"], 5);
    }

    proptest! {
        #[test]
        fn no_literal_text_comes_through(parts in prop::collection::vec("(SECRET| |\\$|\\{|\\}|\\$\\{env:A\\}|ü)", 0..8)) {
            prop_assert!(!text_of(&parts.concat()).contains("SECRET"));
        }
    }
}
