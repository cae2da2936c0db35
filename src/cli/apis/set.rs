//! `--set NAME=VALUE` and `--unset NAME`: from the command line into a row.

use api_health_core::ConfigFault;
use serde_json::{Map, Value};

use crate::configs::fields::{API_ID, FIELDS, HEADERS};
use crate::configs::toml_text;
use crate::configs::values::{ValueFault, quote};

/// Puts every `NAME=VALUE` into `fields` and gathers what is wrong with their form. What the values mean is checked
/// with the whole row.
pub(super) fn apply(fields: &mut Map<String, Value>, set: &[String], faults: &mut Vec<ConfigFault>) {
    for written in set {
        match written.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => put(fields, name.trim(), value, faults),
            _ => {
                // What was written may be a value, and a secret one: it is not shown.
                let fault = ValueFault::new("what follows --set", "has no name with a = after it", "--set NAME=VALUE");
                faults.push(fault.at("command line, --set"));
            }
        }
    }
}

/// Takes every NAME out of `fields`.
pub(super) fn take_away(fields: &mut Map<String, Value>, unset: &[String], faults: &mut Vec<ConfigFault>) {
    for name in unset.iter().map(|name| name.trim()) {
        let removed = match header(name) {
            Some(header) => {
                let table = fields.get_mut(HEADERS.name).and_then(Value::as_object_mut);
                table.is_some_and(|table| table.remove(header).is_some())
            }
            None if name == API_ID.name => {
                faults.push(key_fault().at(format!("command line, --unset {name}")));
                continue;
            }
            None => fields.remove(name).is_some(),
        };
        if !removed {
            let has = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let fault = ValueFault::new(quote(name), "is not set in this row", format!("one of {has}"));
            faults.push(fault.at("command line, --unset"));
        }
    }
    if fields.get(HEADERS.name).and_then(Value::as_object).is_some_and(Map::is_empty) {
        fields.remove(HEADERS.name);
    }
}

/// That an id cannot be changed.
pub(super) fn key_fault() -> ValueFault {
    let remedy = "a new row with `apis add`, and remove the old one with `apis rm`";
    ValueFault::new("api_id", "is the key, by which what is known of the API is kept", remedy)
}

fn put(fields: &mut Map<String, Value>, name: &str, text: &str, faults: &mut Vec<ConfigFault>) {
    let Some(header) = header(name) else {
        fields.insert(name.to_owned(), value(name, text));
        return;
    };
    let headers = fields.entry(HEADERS.name).or_insert_with(|| Value::Object(Map::new()));
    match headers.as_object_mut() {
        Some(table) => {
            table.insert(header.to_owned(), value(name, text));
        }
        None => {
            let fault = ValueFault::new("headers", "is not a table in this row", "--unset headers first");
            faults.push(fault.at(format!("command line, --set {name}")));
        }
    }
}

/// The `X` of `headers.X`.
fn header(name: &str) -> Option<&str> {
    name.strip_prefix(HEADERS.name)?.strip_prefix('.')
}

/// TOML if it is TOML, else the text as it is. A field that holds text takes numbers and words as text, too.
fn value(name: &str, text: &str) -> Value {
    let parsed = toml_text::parse(&format!("v = {text}")).ok().and_then(|document| {
        let mut map = toml_text::to_map(&document.table);
        // More than one key: there was a line break in it, and it is not one value.
        (map.len() == 1).then(|| map.remove("v")).flatten()
    });
    let wants_text =
        header(name).is_some() || FIELDS.iter().any(|field| field.name == name && field.kind.name() == "text");
    match parsed {
        Some(Value::String(inner)) => Value::String(inner),
        Some(other) if !wants_text => other,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn applied(set: &[&str]) -> (Value, Vec<String>) {
        let (mut fields, mut faults) = (Map::new(), Vec::new());
        apply(&mut fields, &set.iter().map(ToString::to_string).collect::<Vec<_>>(), &mut faults);
        (Value::Object(fields), faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_assertion_needs_no_quotes_and_a_list_of_them_is_toml() {
        let (fields, faults) = applied(&["assert=json $.status = \"ok\"", "certificate_days=[30, 7]"]);
        assert_eq!(faults, [""; 0]);
        assert_eq!(fields, json!({ "assert": "json $.status = \"ok\"", "certificate_days": [30, 7] }));
        let (fields, _) = applied(&["assert=['body size > 5', 'tls >= 1.3']", "certificate_days=7"]);
        assert_eq!(fields, json!({ "assert": ["body size > 5", "tls >= 1.3"], "certificate_days": 7 }));
    }

    #[test]
    fn values_are_toml_or_plain_text() {
        let (fields, faults) = applied(&[
            "interval_seconds=30",
            "enabled=false",
            "expected_status=2xx",
            "schedule=*/5 * * * *",
            "tags=[\"a\", \"b\"]",
            "name=5",
            "body='{\"a\": 1}'",
            "method=\"post\"",
            "headers.Authorization=Bearer ${env:T}",
            "headers.X-N=5",
            "nonsense=a = b\nc = 1",
        ]);
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(
            fields,
            json!({"interval_seconds": 30, "enabled": false, "expected_status": "2xx", "schedule": "*/5 * * * *",
                   "tags": ["a", "b"], "name": "5", "body": "{\"a\": 1}", "method": "post",
                   "headers": {"Authorization": "Bearer ${env:T}", "X-N": "5"}, "nonsense": "a = b\nc = 1"})
        );
    }

    #[test]
    fn a_set_without_a_name_is_told_without_its_text() {
        let (_, faults) = applied(&["hunter2", "=hunter2"]);
        assert_eq!(faults.len(), 2);
        assert!(faults.iter().all(|fault| !fault.contains("hunter2")), "{faults:?}");
    }

    #[test]
    fn fields_and_single_headers_are_taken_away() {
        let Value::Object(mut fields) = json!({"api_id": "a", "tags": [], "headers": {"X": "1"}}) else {
            unreachable!()
        };
        let mut faults = Vec::new();
        let unset = ["tags", "headers.X", "name", "api_id"].map(str::to_owned);
        take_away(&mut fields, &unset, &mut faults);
        assert_eq!(Value::Object(fields), json!({"api_id": "a"}));
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
