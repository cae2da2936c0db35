//! What is wrong with a value, in the terms of the person who wrote it: what, why, and what to write instead.

use api_health_core::ConfigFault;
use serde_json::Value;

/// How much of a bad value is quoted.
const QUOTED_CHARS_MAX: usize = 60;

/// A config error without its location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueFault {
    pub what: String,
    /// Why that does not do.
    pub why: String,
    /// What to write instead.
    pub remedy: String,
    /// Where in the value it is, as it follows the name of the field: `.X-A`. Empty for the value itself.
    inside: String,
}

impl ValueFault {
    pub fn new(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), remedy: remedy.into(), inside: String::new() }
    }

    /// A name that is none: `what` is the sort of name and the name.
    pub fn unknown(what: String, nearest: Option<String>, known: impl FnOnce() -> String) -> Self {
        let remedy = nearest.map_or_else(known, |nearest| format!("{nearest}, the nearest name that is known"));
        Self::new(what, "is not known", remedy)
    }

    /// The same of one part of the value.
    pub fn inside(self, part: &str) -> Self {
        Self { inside: format!(".{part}{}", self.inside), ..self }
    }

    /// The same with its place.
    pub fn at(self, location: impl Into<String>) -> ConfigFault {
        let location = location.into() + &self.inside;
        ConfigFault { location, what: self.what, why: self.why, remedy: self.remedy }
    }
}

impl From<ValueFault> for Vec<ValueFault> {
    fn from(fault: ValueFault) -> Self {
        vec![fault]
    }
}

/// Keeps the first `most` of `faults`, and says how many more there are: those that are cut off, and `more` beside them.
pub fn bounded(faults: &mut Vec<ConfigFault>, most: usize, more: usize, source: &str, location: &str) {
    let more = more + faults.len().saturating_sub(most);
    if more > 0 {
        faults.truncate(most);
        let remedy = format!("the {source} again");
        faults.push(ValueFault::new(format!("{more} more faults"), "are not listed", remedy).at(location));
    }
}

/// `text` in quotes, its control characters escaped, cut after 60 characters. Not for what may be a secret; of a URL in a place
/// where none belongs, the user name and password are left out.
pub fn quote(text: &str) -> String {
    let text = without_user(text);
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((cut, _)) => format!("{:?}…", &text[..cut]),
        None => format!("{text:?}"),
    }
}

fn without_user(text: &str) -> String {
    let (mut shown, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(host) = rest.find("://").map(|at| at + "://".len()) {
        let (before, after) = rest.split_at(host);
        shown.push_str(before);
        let authority = &after[..after.find(['/', '?', '#']).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                shown.push('…');
                &after[at..]
            }
            None => after,
        };
    }
    shown + rest
}

/// What sort of value it is, without showing it.
pub fn sort_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// A value that is no secret, as a person would recognise it.
pub fn show(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => sort_of(value).to_owned(),
    }
}

/// What it is, in `"10" is text, not a number`; for what shows as its own sort (a list), no repetition.
pub(super) fn is_not(value: &Value, wanted: &str) -> String {
    match value {
        Value::String(_) | Value::Number(_) => format!("is {}, not {wanted}", sort_of(value)),
        _ => format!("is not {wanted}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(quote(&"ü".repeat(61)), format!("\"{}\"…", "ü".repeat(60)));
        assert_eq!(quote("say \"hi\""), r#""say \"hi\"""#);
    }

    #[test]
    fn a_password_in_a_url_is_not_quoted_wherever_it_was_written() {
        assert_eq!(quote("https://me:hunter2@shop.test/"), "\"https://…@shop.test/\"");
        assert_eq!(
            quote("x http://shop.test/a@b https://me:hunter2@c.test"),
            "\"x http://shop.test/a@b https://…@c.test\""
        );
        assert_eq!(quote("a@b://c"), "\"a@b://c\"");
        assert_eq!(quote(&"://".repeat(1_000_000)), format!("\"{}\"…", "://".repeat(20)), "however many there are");
    }
}
