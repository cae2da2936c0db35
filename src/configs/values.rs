//! Reading one value that a person wrote: as a number, a text, a yes or no, or as a fault in that person's terms.

use std::borrow::Cow;

use api_health_core::ConfigIssue;
use serde_json::Value;

use super::fields::{Bounds, Field};

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
}

impl ValueFault {
    pub fn new(what: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), remedy: remedy.into() }
    }

    /// The same with its place.
    pub fn at(self, location: impl Into<String>) -> ConfigIssue {
        ConfigIssue { location: location.into(), what: self.what, why: self.why, remedy: self.remedy }
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

fn without_user(text: &str) -> Cow<'_, str> {
    let Some(host) = text.find("://").map(|at| at + "://".len()) else { return Cow::Borrowed(text) };
    let (before, rest) = text.split_at(host);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    match authority.rfind('@') {
        Some(at) => Cow::Owned(format!("{before}…{}", without_user(&rest[at..]))),
        None => match without_user(rest) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(rest) => Cow::Owned(format!("{before}{rest}")),
        },
    }
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
fn is_not(value: &Value, wanted: &str) -> String {
    match value {
        Value::String(_) | Value::Number(_) => format!("is {}, not {wanted}", sort_of(value)),
        _ => format!("is not {wanted}"),
    }
}

/// What to write into `field`: `a whole number of seconds from 1 to 300, such as 10`.
pub fn wanted(field: &Field) -> String {
    match field.bounds {
        Bounds::Number(least, most) => {
            let of_unit = if field.unit.is_empty() { String::new() } else { format!(" of {}", field.unit) };
            format!("a whole number{of_unit} from {least} to {most}, such as {}", field.example)
        }
        Bounds::Words(words) => {
            let article = if field.kind.starts_with("list") || field.kind.starts_with("table") { "a " } else { "" };
            let bounds = if words.is_empty() { String::new() } else { format!(" ({words})") };
            format!("{article}{}, such as {}{bounds}", field.kind, field.example)
        }
    }
}

/// A whole number inside the bounds of `field`. `10.0` is taken for 10.
///
/// # Errors
/// Text is refused even if it reads as a number, since then the same row would mean different things in different places.
pub fn whole_number(value: &Value, field: &Field) -> Result<u64, ValueFault> {
    let Value::Number(number) = value else {
        let remedy = match value {
            Value::String(text) if text.trim().parse::<u64>().is_ok_and(|n| in_bounds(n, field)) => {
                format!("{}, without quotes", text.trim())
            }
            _ => wanted(field),
        };
        return Err(ValueFault::new(show(value), is_not(value, "a number"), remedy));
    };
    let whole = number.as_u64().or_else(|| {
        // 2^53: up to there every whole number has exactly one f64.
        let float = number.as_f64()?;
        (float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float)).then_some(float as u64)
    });
    match whole {
        Some(n) if in_bounds(n, field) => Ok(n),
        None if number.as_f64().is_some_and(|n| n.fract() != 0.0) => {
            Err(ValueFault::new(number.to_string(), "is not a whole number", wanted(field)))
        }
        _ => Err(ValueFault::new(number.to_string(), format!("is not from {}", field.bounds), wanted(field))),
    }
}

fn in_bounds(n: u64, field: &Field) -> bool {
    match field.bounds {
        Bounds::Number(least, most) => (least..=most).contains(&n),
        Bounds::Words(_) => true,
    }
}

/// True or false.
///
/// # Errors
/// Anything else, `"true"` with quotes included.
pub fn flag(value: &Value) -> Result<bool, ValueFault> {
    value.as_bool().ok_or_else(|| {
        let remedy = match value {
            Value::String(text) if matches!(text.trim(), "true" | "false") => {
                format!("{}, without quotes", text.trim())
            }
            _ => "true or false".into(),
        };
        ValueFault::new(show(value), is_not(value, "true or false"), remedy)
    })
}

/// Text that is no secret, of 1 to `chars_max` characters, without control characters.
///
/// # Errors
/// Anything else.
pub fn text<'a>(value: &'a Value, field: &Field, chars_max: usize) -> Result<&'a str, ValueFault> {
    let Value::String(text) = value else {
        let remedy = match value {
            Value::Number(n) => format!("\"{n}\", in quotes"),
            _ => wanted(field),
        };
        return Err(ValueFault::new(show(value), is_not(value, "text"), remedy));
    };
    if text.trim().is_empty() {
        return Err(ValueFault::new(quote(text), "is empty", wanted(field)));
    }
    if text.chars().any(char::is_control) {
        return Err(ValueFault::new(quote(text), "has a control character", wanted(field)));
    }
    let chars = text.chars().count();
    if chars > chars_max {
        let why = format!("has {chars} characters, more than {chars_max}");
        return Err(ValueFault::new(quote(text), why, wanted(field)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::fields::{EXPECTED_STATUS, NAME, TIMEOUT_SECONDS};
    use super::*;
    use serde_json::json;

    fn fault_of(value: &Value) -> String {
        let f = whole_number(value, &TIMEOUT_SECONDS).unwrap_err();
        format!("{} {}; write {}", f.what, f.why, f.remedy)
    }

    #[test]
    fn numbers_are_read_and_each_fault_says_what_to_write() {
        assert_eq!(whole_number(&json!(10), &TIMEOUT_SECONDS), Ok(10));
        assert_eq!(whole_number(&json!(10.0), &TIMEOUT_SECONDS), Ok(10));
        let wanted = "a whole number of seconds from 1 to 300, such as 10";
        assert_eq!(fault_of(&json!("10")), "\"10\" is text, not a number; write 10, without quotes");
        assert_eq!(fault_of(&json!("soon")), format!("\"soon\" is text, not a number; write {wanted}"));
        assert_eq!(fault_of(&json!("9000")), format!("\"9000\" is text, not a number; write {wanted}"));
        assert_eq!(fault_of(&json!(0)), format!("0 is not from 1 to 300; write {wanted}"));
        assert_eq!(fault_of(&json!(-1)), format!("-1 is not from 1 to 300; write {wanted}"));
        assert_eq!(fault_of(&json!(1e300)), format!("1e+300 is not from 1 to 300; write {wanted}"));
        assert_eq!(fault_of(&json!(2.5)), format!("2.5 is not a whole number; write {wanted}"));
        assert_eq!(fault_of(&json!([1])), format!("a list is not a number; write {wanted}"));
        assert_eq!(fault_of(&json!(null)), format!("null is not a number; write {wanted}"));
    }

    #[test]
    fn flags_and_texts() {
        assert_eq!(flag(&json!(false)), Ok(false));
        assert_eq!(flag(&json!("false")).unwrap_err().remedy, "false, without quotes");
        assert_eq!(flag(&json!(1)).unwrap_err().why, "is a number, not true or false");
        assert_eq!(text(&json!("Shop"), &NAME, 4), Ok("Shop"));
        assert_eq!(text(&json!("Shops"), &NAME, 4).unwrap_err().why, "has 5 characters, more than 4");
        assert_eq!(text(&json!("a\nb"), &NAME, 4).unwrap_err().what, "\"a\\nb\"");
        assert_eq!(text(&json!(5), &NAME, 4).unwrap_err().remedy, "\"5\", in quotes");
        assert!(wanted(&EXPECTED_STATUS).starts_with("text or whole number, such as \"200-299"));
    }

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
    }
}
