//! What `settings show` prints: each setting in force and where it came from, secrets masked.

use serde_json::{Map, Value, json};

use super::load::LoadedSettings;
use super::reader::{Effective, Origin};

/// As a table for people: key, value, where from.
pub fn table(loaded: &LoadedSettings) -> String {
    let rows: Vec<[String; 3]> =
        loaded.effective.iter().map(|e| [e.key.to_string(), value_text(&e.value), e.origin.to_string()]).collect();
    let width = |column: usize, title: &str| {
        rows.iter().map(|row| row[column].chars().count()).chain([title.len()]).max().unwrap_or_default()
    };
    let (keys, values) = (width(0, "SETTING"), width(1, "VALUE"));
    let mut text = format!("{:keys$}  {:values$}  FROM\n", "SETTING", "VALUE");
    for [key, value, origin] in &rows {
        text.push_str(&format!("{key:keys$}  {value:values$}  {origin}\n"));
    }
    text
}

/// As JSON for scripts: `{"store.kind": {"value": "sqlite", "from": {"kind": "default"}}, …}`.
pub fn json(loaded: &LoadedSettings) -> Value {
    let one = |e: &Effective| (e.key.to_string(), json!({ "value": e.value, "from": origin(&e.origin) }));
    Value::Object(loaded.effective.iter().map(one).collect::<Map<_, _>>())
}

fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::Default => json!({ "kind": "default" }),
        Origin::File(path, line) => json!({ "kind": "file", "path": path.display().to_string(), "line": line }),
        Origin::Env(name) => json!({ "kind": "environment", "name": name }),
        Origin::Daemon(pid) => json!({ "kind": "daemon", "pid": pid }),
    }
}

/// Text as it is, with control characters escaped; `-` for nothing.
fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.escape_debug().to_string(),
        other => other.to_string(),
    }
}
