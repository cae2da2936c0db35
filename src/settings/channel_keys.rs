//! The keys that every kind of `[[notify.channel]]` has, in one table; those of each kind are in `notify/kinds.rs`.

use std::time::Duration;

use api_health_core::Secret;
use serde_json::{Value, json};

use super::keys::SECRET_BYTES_MAX;
use super::raw::CHANNELS_MAX;
use crate::configs::field::{About, Context, Field, Parsed, ValueKind, table};
use crate::configs::fields;
use crate::configs::kinds::{parse_text, seconds, text};
use crate::configs::nearest::nearest_of;
use crate::configs::secrets::resolve;
use crate::configs::values::{ValueFault, quote, sort_of};
use crate::notify::channel::{self, Success};
use crate::notify::kinds::{KINDS, named};
use crate::notify::posted::TEMPLATE_BYTES_MAX;

/// The names of the channels that have a section of their own: what is stored is owed to them by these.
pub(super) const RESERVED: [&str; 3] = ["sns", "webhook", "terminal"];

/// The longest name of a channel: it stands in each alert that is owed.
const NAME_CHARS_MAX: usize = 32;
/// The longest text and pointer that an answer is held to.
const SUCCESS_BYTES_MAX: usize = 1024;
/// The longest value of a key of a kind.
pub(super) const VALUE_BYTES_MAX: usize = 4 * SECRET_BYTES_MAX;

table! { CHANNEL_KEYS
    NAME: String = text("name", NAME_CHARS_MAX, "1 to 32 of a-z 0-9 and -; not sns, webhook, terminal")
        .means("By which records, commands and logs know it. What is owed to a channel is owed to this name.", "\"team-shop\"")
        .otherwise("none; it must be there").parsed_by(name);
    KIND: &'static channel::ChannelKind = Field::new("kind", ValueKind::Choice(kinds), kind, |kind| json!(kind.name))
        .means("Who is told: it decides which of the keys below there are.", "\"webhook\"")
        .otherwise("none; it must be there");
    TAGS: Vec<String> = fields::TAGS
        .means("Alerts of APIs that have one of these tags go here.", "[\"shop\", \"eu\"]")
        .otherwise("none; those of every API, and those about api-health itself");
    TEMPLATE: String = Field::new("template", ValueKind::Text(TEMPLATE_BYTES_MAX, "at most 16384 bytes"), template, |text| json!(text))
        .means("A body in place of the kind's own.", "\"{\\\"text\\\": {{ title }}}\"");
    HEADERS: Vec<(String, Secret)> = fields::HEADERS
        .means(
            "Request headers by name. A value may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
            "{ Authorization = \"Bearer ${env:CHAT_TOKEN}\" }",
        )
        .shown_by(|headers| headers.iter().map(|(name, _)| (name.clone(), json!("***"))).collect());
    SUCCESS: Success = Field::new("success", OF_SUCCESS, success, show_success)
        .means("What a 2xx must hold to count as taken: a text in its body, or a value in its JSON.", "{ json = \"/ok\", equals = true }");
    TIMEOUT: Duration = seconds("timeout_seconds", 1, 15).means("Bound on one attempt.", "10").default("10");
}

const OF_SUCCESS: ValueKind = ValueKind::TextsByName {
    most: 2,
    bytes_max: SUCCESS_BYTES_MAX,
    words: "contains; or json, a pointer, and equals, any value",
};

const _: () = assert!(CHANNELS_MAX + RESERVED.len() < 16);

fn kinds() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.name).collect()
}

fn name(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    let is_plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_plain {
        return Err(ValueFault::new(quote(text), "is not a name", about.wanted()).into());
    }
    if RESERVED.contains(&text) {
        let why = format!("is the name of the channel of [notify.{text}]");
        return Err(ValueFault::new(quote(text), why, "another name").into());
    }
    Ok(text.to_owned())
}

fn kind(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<&'static channel::ChannelKind> {
    let written = parse_text(value, about)?;
    let found = named(written);
    let remedy = || match nearest_of(written, kinds()) {
        Some(nearest) => format!("\"{nearest}\""),
        None => format!("one of {}", about.kind.bounds()),
    };
    Ok(found.ok_or_else(|| ValueFault::new(quote(written), "is not known", remedy()))?)
}

fn template(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let why = match value {
        Value::String(text) if text.trim().is_empty() => "is empty".to_owned(),
        Value::String(text) if text.len() > TEMPLATE_BYTES_MAX => {
            format!("has {} bytes, more than {TEMPLATE_BYTES_MAX}", text.len())
        }
        Value::String(text) => return Ok(text.clone()),
        other => format!("is {}, not text", sort_of(other)),
    };
    Err(ValueFault::new("the template", why, about.wanted()).into())
}

fn success(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Success> {
    let fault = |what: &str, why: &str| ValueFault::new(what, why, about.wanted());
    let Value::Object(table) = value else { return Err(fault(sort_of(value), "is not a table").into()) };
    let text_of = |key: &str| {
        table.get(key).and_then(Value::as_str).filter(|text| !text.is_empty() && text.len() <= SUCCESS_BYTES_MAX)
    };
    match (table.len(), text_of("contains"), text_of("json"), table.get("equals")) {
        (1, Some(contains), ..) => Ok(Success::Contains(contains.to_owned())),
        (2, _, Some(pointer), Some(equals)) if pointer.starts_with('/') => {
            Ok(Success::Json { pointer: pointer.to_owned(), equals: equals.clone() })
        }
        (2, _, Some(pointer), Some(_)) => Err(fault(&quote(pointer), "is not a JSON pointer").into()),
        _ => Err(fault("the table", "has neither contains alone, nor json and equals").into()),
    }
}

fn show_success(success: &Success) -> Value {
    match success {
        Success::Contains(text) => json!({ "contains": text }),
        Success::Json { pointer, equals } => json!({ "json": pointer, "equals": equals }),
    }
}

/// The value of a key of a kind, as text: a number and `true` may stand without quotes, and a list of texts is joined by commas.
pub(super) fn value_of(value: &Value, context: &Context<'_>) -> Parsed<String> {
    let text = as_written(value)?;
    match resolve(&text, context.secrets, VALUE_BYTES_MAX)? {
        text if text.trim().is_empty() => Err(ValueFault::new("the text", "is empty", "a value").into()),
        text => Ok(text),
    }
}

/// The same before its references are filled in.
pub(super) fn as_written(value: &Value) -> Result<String, ValueFault> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        other => return Err(ValueFault::new(sort_of(other), "is not text", "the value in quotes")),
    };
    if text.len() > VALUE_BYTES_MAX {
        let why = format!("has {} bytes, more than {VALUE_BYTES_MAX}", text.len());
        return Err(ValueFault::new("the text", why, "a shorter one"));
    }
    Ok(text)
}
