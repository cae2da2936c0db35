//! Which fields of a row change, from what to what, without a word that may be a secret.

use std::collections::BTreeSet;

use api_health_core::text;
use serde_json::{Map, Value};

use super::super::mask;
use crate::configs::fields::{FIELDS, HEADERS};
use crate::configs::raw::same;

/// The longest value that is shown of a field.
const VALUE_CHARS_MAX: usize = 100;

/// What stands for a field that is not in the row, so that its default holds.
const NOT_SET: &str = "not set";

/// One line for each field that differs, in the order of the reference page, and for each header.
pub(super) fn text(old: &Map<String, Value>, new: &Map<String, Value>) -> String {
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect::<BTreeSet<_>>().into_iter().collect();
    names.sort_by_key(|name| FIELDS.iter().position(|field| field.name == name.as_str()).unwrap_or(FIELDS.len()));
    let mut text = String::new();
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(before), Some(after)) if same(before, after) => {}
            (before, after) if name == HEADERS.name && are_tables(before, after) => {
                headers(before, after, &mut text);
            }
            (before, after) => {
                line(name, before.map(|v| mask::field(name, v)), after.map(|v| mask::field(name, v)), &mut text);
            }
        }
    }
    text
}

/// A value of a field as it may be shown.
pub(super) fn shown(name: &str, value: &Value) -> String {
    in_words(Some(mask::field(name, value)))
}

fn are_tables(before: Option<&Value>, after: Option<&Value>) -> bool {
    before.is_none_or(Value::is_object) && after.is_none_or(Value::is_object)
}

fn headers(before: Option<&Value>, after: Option<&Value>, text: &mut String) {
    let table = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (table(before), table(after));
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(name), after.get(name));
        if old.zip(new).is_some_and(|(old, new)| same(old, new)) {
            continue;
        }
        let masked = |value: Option<&Value>| value.map(|value| mask::header(name, value).1);
        let (name_shown, _) = mask::header(name, &Value::Null);
        line(&format!("{}.{name_shown}", HEADERS.name), masked(old), masked(new), text);
    }
}

/// `    timeout_seconds: 5 -> 10`. Where the mask hides the difference, that there is one is said.
fn line(name: &str, before: Option<Value>, after: Option<Value>, text: &mut String) {
    let (before, after) = (in_words(before), in_words(after));
    let hidden = if before == after { " (it differs, and may be secret)" } else { "" };
    let name = text::line(name, VALUE_CHARS_MAX);
    text.push_str(&format!("    {name}: {before} -> {after}{hidden}\n"));
}

fn in_words(value: Option<Value>) -> String {
    value.map_or_else(|| NOT_SET.to_owned(), |value| text::line(&value.to_string(), VALUE_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(old: &Value, new: &Value) -> String {
        text(old.as_object().unwrap(), new.as_object().unwrap())
    }

    #[test]
    fn each_field_that_differs_is_named_with_both_values_and_no_secret() {
        let old = json!({"api_id": "a", "url": "https://a.test/", "timeout_seconds": 5, "tags": ["x"], "body": "hunter2",
                         "headers": {"X-Key": "hunter2", "Same": "hunter2", "Gone": "${env:A}"}, "oops": "hunter2"});
        let new = json!({"api_id": "a", "url": "https://b.test/", "timeout_seconds": 10.0, "name": "A", "body": "hunter3",
                         "headers": {"X-Key": "Bearer hunter3", "Same": "hunter2", "New": "${env:B}"}});
        let text = of(&old, &new);
        assert_eq!(
            text,
            "    name: not set -> \"A\"\n    url: \"https://a.test/\" -> \"https://b.test/\"\n    \
             headers.Gone: \"${env:A}\" -> not set\n    headers.New: not set -> \"${env:B}\"\n    \
             headers.X-Key: \"***\" -> \"Bearer ***\"\n    body: \"***\" -> \"***\" (it differs, and may be secret)\n    \
             timeout_seconds: 5 -> 10.0\n    tags: [\"x\"] -> not set\n    oops: \"***\" -> not set\n"
        );
        assert_eq!(of(&old, &old), "");
    }

    #[test]
    fn what_is_long_or_moves_a_cursor_is_made_one_short_line() {
        let text = of(&json!({"name": "a\u{9b}2J\u{202e}"}), &json!({"name": "b".repeat(500), "headers": "hunter2"}));
        assert!(!text.contains('\u{9b}') && !text.contains('\u{202e}') && !text.contains("hunter2"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 300), "{text}");
        assert!(text.contains("headers: not set -> \"***\""), "{text}");
    }
}
