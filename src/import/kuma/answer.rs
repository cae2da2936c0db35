//! What a monitor of HTTP expects: codes, a keyword, a value of JSON.

use serde_json::Value;

use super::super::reading::Reading;
use super::super::report::{Field, Fields};
use super::super::words::quoted;
use super::monitor::take;

pub(super) fn answer(reading: &mut Reading<'_>, fields: &mut Fields, kind: &str) {
    if let Some(field) = take(fields, &["accepted_statuscodes_json", "accepted_statuscodes"]) {
        let codes = field.node.list().iter().filter_map(|node| node.scalar()).collect::<Vec<_>>().join(",");
        let is_list = !codes.is_empty();
        if is_list {
            reading.set("expected_status", codes);
        }
        reading.report.lost_unless(is_list, field, "it is no list of codes");
    }
    let inverted = take(fields, &["invert_keyword", "invertKeyword"]);
    let is_inverted = inverted.as_ref().and_then(Field::flag) == Some(true);
    if let Some(field) = inverted {
        reading.report.taken(field);
    }
    if let Some(field) = fields.take("keyword") {
        let word = field.text();
        match kind == "keyword" && !word.is_empty() {
            true => {
                let test = if is_inverted { "lacks" } else { "contains" };
                let is_json = word.contains(['"', ':', ',']);
                let near = is_json
                    .then(|| "of JSON, Uptime Kuma searches it without blanks; here the body as it is sent".to_owned());
                reading.assert(field, &format!("body {test} {}", quoted(&word)), near);
            }
            false => reading.report.taken(field), // it is left over from another type
        }
    }
    let operator = take(fields, &["json_path_operator", "jsonPathOperator"]);
    let expected = take(fields, &["expected_value", "expectedValue"]);
    if let Some(field) = take(fields, &["json_path", "jsonPath"]) {
        let sign = operator.as_ref().and_then(|f| f.scalar()).unwrap_or("==").to_owned();
        let value = expected.as_ref().and_then(|f| f.scalar()).unwrap_or_default().to_owned();
        let path = field.text();
        match (kind, path_of(&path)) {
            ("json-query", Some(path)) => json(reading, field, &path, &sign, &value),
            ("json-query", None) => {
                reading.report.lost(field, "a path is one of RFC 9535 here, such as $.items[0].name");
            }
            _ => reading.report.taken(field), // it is left over from another type
        }
    }
    for field in [operator, expected].into_iter().flatten() {
        reading.report.taken(field); // they stand in the assertion, or are lost with it
    }
}

fn json(reading: &mut Reading<'_>, field: Field, path: &str, sign: &str, value: &str) {
    let text = Value::from(value).to_string();
    let is_bare = serde_json::from_str::<Value>(value).is_ok_and(|value| value.is_number() || value.is_boolean());
    let assertion = match sign {
        "==" if is_bare => format!("json {path} in [{value}, {text}]"),
        "==" => format!("json {path} = {text}"),
        "!=" => format!("json {path} != {}", if is_bare { value } else { &text }),
        "<" | "<=" | ">" | ">=" if is_bare => format!("json {path} {sign} {value}"),
        _ => return reading.report.lost(field, "there is no such comparison of JSON"),
    };
    reading.assert(field, &assertion, Some("a path finds something, or it is a fail".into()));
}

/// The simple paths of JSONata are paths of RFC 9535.
fn path_of(path: &str) -> Option<String> {
    let inner = path.strip_prefix("$.").or_else(|| (path == "$").then_some("")).unwrap_or(path);
    let is_simple = inner.chars().all(|c| c.is_ascii_alphanumeric() || "_.[]".contains(c)) && !inner.contains("..");
    match (is_simple, inner) {
        (false, _) => None,
        (true, "") => Some("$".into()),
        (true, inner) if inner.starts_with('[') => Some(format!("${inner}")),
        (true, inner) => Some(format!("$.{inner}")),
    }
}
