//! JSON Schema (draft 7) of the files that people write, made of the tables of fields and keys: editors complete and check by it.
//!
//! It is never stricter than the program: what it refuses is refused. What depends on more than one value, or on this machine, it leaves
//! to `apis validate`.

use serde_json::{Map, Value, json};

use super::field::{About, Unwritten, ValueKind};
use super::fields::{FIELDS, METHOD};
use crate::notify::channel;

/// Keys of channels that make sense where alerts are posted by HTTP.
const POSTED_ALONE: [&str; 3] = ["template", "headers", "success"];

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// Of a file of `[[api]]` tables.
pub fn of_apis() -> Value {
    let required: Vec<&str> = FIELDS.iter().filter(|f| is_required(f)).map(|f| f.name).collect();
    let fields: Map<String, Value> = FIELDS.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    let api = json!({
        "type": "object",
        "description": "One API that is watched.",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    });
    let list = json!({ "type": "array", "description": "The APIs that are watched.", "items": api });
    whole("The APIs that api-health watches", &json!({ "api": list }))
}

/// Of a settings file, by dotted keys; beside them what stands in `more` below a section.
pub fn of_settings(keys: &[&About], more: Vec<(&str, Value)>) -> Value {
    let mut top = json!({});
    let keys = keys.iter().map(|key| (key.name, of_field(key)));
    for (name, schema) in keys.chain(more) {
        let mut section = &mut top;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                section[part] = schema.clone();
                continue;
            }
            let inner = &mut section[part];
            if inner.is_null() {
                *inner = json!({ "type": "object", "properties": {}, "additionalProperties": false });
            }
            section = &mut inner["properties"];
        }
    }
    whole("The settings of api-health", &top)
}

/// Of the list `[[notify.channel]]`: what each channel may have, and for each kind what its keys are.
pub fn of_channels(common: &[&About], kinds: &[channel::ChannelKind]) -> Value {
    let of_kind = |kind: &channel::ChannelKind| {
        let common = common.iter().filter(|key| kind.posting.is_some() || !POSTED_ALONE.contains(&key.name));
        let mut properties: Map<String, Value> = common.map(|key| (key.name.to_owned(), of_field(key))).collect();
        properties.insert("kind".into(), json!({ "const": kind.name }));
        for key in kind.keys {
            let sort =
                if key.example.starts_with('"') { json!("string") } else { json!(["string", "boolean", "integer"]) };
            properties.insert(key.name.into(), json!({ "type": sort, "description": key.meaning }));
        }
        let needed = kind.keys.iter().filter(|key| key.required).map(|key| key.name);
        let required: Vec<&str> = ["name", "kind"].into_iter().chain(needed).collect();
        json!({ "properties": properties, "required": required, "additionalProperties": false })
    };
    let each: Vec<Value> = kinds.iter().map(of_kind).collect();
    let channel =
        json!({ "type": "object", "description": "One channel that people are told through.", "oneOf": each });
    json!({ "type": "array", "description": "Channels with names of their own.", "items": channel })
}

fn whole(title: &str, properties: &Value) -> Value {
    json!({ "$schema": DRAFT, "title": title, "type": "object", "properties": properties, "additionalProperties": false })
}

fn is_required(field: &About) -> bool {
    matches!(field.default, Unwritten::Words("required"))
}

fn of_field(field: &About) -> Value {
    let mut schema = match field.kind {
        // It is read in either case, and a schema knows no such thing.
        ValueKind::Choice(words) if field.name == METHOD.name => {
            let words = words();
            json!({ "enum": words.iter().map(|word| word.to_lowercase()).chain(words.iter().map(|w| (*w).to_owned())).collect::<Vec<_>>() })
        }
        // One of its values may be of any sort.
        ValueKind::TextsByName { most, .. } if field.name == "success" => {
            json!({ "type": "object", "maxProperties": most })
        }
        kind => of_kind(kind),
    };
    let default = match field.default {
        Unwritten::Words("required") => String::new(),
        other => format!(" Default: {other}."),
    };
    let bounds = match field.kind {
        ValueKind::Flag | ValueKind::Choice(_) => String::new(),
        ValueKind::Number { unit, .. } => format!(" In {unit}: {}.", field.kind.bounds()),
        kind => format!(" {}.", kind.bounds()),
    };
    schema["description"] = format!("{}{bounds}{default}", field.meaning).into();
    if let Unwritten::Value(text) = field.default {
        schema["default"] = match field.kind {
            ValueKind::Number { .. } | ValueKind::Numbers { .. } | ValueKind::Flag => {
                serde_json::from_str(text).unwrap_or_default()
            }
            _ => text.into(),
        };
    }
    schema
}

/// What may be written. A text is as long as its bytes at most, so a bound in bytes is one in characters too.
fn of_kind(kind: ValueKind) -> Value {
    let text = |most: usize| json!({ "type": "string", "maxLength": most });
    let list = |of: Value, most: usize| json!({ "type": "array", "items": of, "maxItems": most });
    match kind {
        ValueKind::Number { least, most, .. } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        ValueKind::Flag => json!({ "type": "boolean" }),
        ValueKind::Choice(words) => json!({ "enum": words() }),
        ValueKind::Text(most, _) => text(most),
        ValueKind::TextOrNumber(most, _) => json!({ "anyOf": [text(most), { "type": "integer" }] }),
        ValueKind::TextOrTexts { most, chars_max, .. } => {
            json!({ "anyOf": [text(chars_max), list(text(chars_max), most)] })
        }
        ValueKind::Texts { most, chars_max, .. } => list(text(chars_max), most),
        ValueKind::Numbers { most, least, greatest, .. } => {
            let number = json!({ "type": "integer", "minimum": least, "maximum": greatest });
            json!({ "anyOf": [number, list(number, most)] })
        }
        ValueKind::TextsByName { most, bytes_max, .. } => {
            json!({ "type": "object", "additionalProperties": text(bytes_max), "maxProperties": most })
        }
        ValueKind::ListsByName { most, .. } => {
            let one_or_more = json!({ "type": ["string", "array"], "items": { "type": "string" } });
            json!({ "type": "object", "additionalProperties": one_or_more, "maxProperties": most })
        }
    }
}
