//! The kinds of fields: for each, what makes an entry of a table, and how its values are parsed.

use std::path::PathBuf;
use std::time::Duration;

use api_health_core::Secret;
use serde::Serialize;
use serde_json::{Value, json};

use super::field::{About, Context, Field, Parsed, ValueKind};
use super::nearest::nearest_of;
use super::secrets::{SecretSource, resolve};
use super::values::{ValueFault, is_not, quote, show, sort_of};

/// The longest path on Linux.
pub const PATH_CHARS_MAX: usize = 4096;

/// A whole number.
pub const fn number<T: TryFrom<u64> + Serialize>(
    name: &'static str,
    unit: &'static str,
    least: u64,
    most: u64,
) -> Field<T> {
    Field::new(name, ValueKind::Number { unit, least, most }, parse_small, |number| json!(number))
}

/// A whole number of seconds.
pub const fn seconds(name: &'static str, least: u64, most: u64) -> Field<Duration> {
    let kind = ValueKind::Number { unit: "seconds", least, most };
    Field::new(name, kind, |v, about, _| Ok(Duration::from_secs(parse_number(v, about)?)), |d| json!(d.as_secs()))
}

/// True or false.
pub const fn flag(name: &'static str) -> Field<bool> {
    Field::new(name, ValueKind::Flag, |value, _, _| Ok(parse_flag(value)?), |flag| json!(flag))
}

/// Text without control characters.
pub const fn text(name: &'static str, chars_max: usize, words: &'static str) -> Field<String> {
    let kind = ValueKind::Text(chars_max, words);
    Field::new(name, kind, |value, about, _| Ok(parse_text(value, about)?.to_owned()), |text| json!(text))
}

/// A text that is a secret: its references are filled in.
pub const fn secret(name: &'static str, bytes_max: usize, words: &'static str) -> Field<Secret> {
    let parse = |value: &Value, about: &About, context: &mut Context<'_>| {
        secret_text(value, context.secrets, about.kind.length_max()).map(Secret::new)
    };
    Field::new(name, ValueKind::Text(bytes_max, words), parse, |_| json!("***"))
}

/// A path.
pub const fn path(name: &'static str) -> Field<PathBuf> {
    let kind = ValueKind::Text(PATH_CHARS_MAX, "a path; a relative one begins where the settings file is");
    let parse =
        |value: &Value, about: &About, context: &mut Context<'_>| Ok(context.folder.join(parse_text(value, about)?));
    Field::new(name, kind, parse, |path| json!(path.display().to_string()))
}

/// A type with a word for each of its values.
pub trait Choice: Copy + 'static {
    const ALL: &'static [Self];

    /// As it is written.
    fn as_str(self) -> &'static str;
}

/// One of a few words.
pub const fn choice<T: Choice>(name: &'static str) -> Field<T> {
    Field::new(name, ValueKind::Choice(words::<T>), parse_choice, |value| json!(value.as_str()))
}

/// The words of a choice.
pub fn words<T: Choice>() -> Vec<&'static str> {
    T::ALL.iter().map(|value| value.as_str()).collect()
}

fn parse_choice<T: Choice>(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<T> {
    let written = parse_text(value, about)?;
    let remedy = match nearest_of(written, words::<T>()) {
        Some(nearest) => format!("\"{nearest}\""),
        None => format!("one of {}", about.kind.bounds()),
    };
    let known = T::ALL.iter().copied().find(|value| value.as_str() == written);
    Ok(known.ok_or_else(|| ValueFault::new(quote(written), "is not known", remedy))?)
}

fn parse_small<T: TryFrom<u64>>(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<T> {
    let number = parse_number(value, about)?;
    Ok(T::try_from(number).map_err(|_| ValueFault::new(number.to_string(), "is too large", about.wanted()))?)
}

/// A whole number inside the bounds of the field. `10.0` is taken for 10.
///
/// # Errors
/// Text is refused even if it reads as a number, since then the same row would mean different things in different places.
fn parse_number(value: &Value, about: &About) -> Result<u64, ValueFault> {
    let is_good = |n: u64| match about.kind {
        ValueKind::Number { least, most, .. } | ValueKind::Numbers { least, greatest: most, .. } => {
            (least..=most).contains(&n)
        }
        _ => true,
    };
    let Value::Number(number) = value else {
        let remedy = match value {
            Value::String(text) if text.trim().parse().is_ok_and(is_good) => format!("{}, without quotes", text.trim()),
            _ => about.wanted(),
        };
        return Err(ValueFault::new(show(value), is_not(value, "a number"), remedy));
    };
    let whole = number.as_u64().or_else(|| {
        // 2^53: up to there every whole number has exactly one f64.
        let float = number.as_f64()?;
        (float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float)).then_some(float as u64)
    });
    let why = match whole {
        Some(n) if is_good(n) => return Ok(n),
        None if number.as_f64().is_some_and(|n| n.fract() != 0.0) => "is not a whole number".to_owned(),
        _ => match about.kind {
            ValueKind::Numbers { least, greatest, .. } => format!("is not from {least} to {greatest}"),
            kind => format!("is not from {}", kind.bounds()),
        },
    };
    Err(ValueFault::new(number.to_string(), why, about.wanted()))
}

/// A list of whole numbers, or one without a list.
///
/// # Errors
/// All that is wrong with it.
pub fn parse_numbers(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<u16>> {
    let ValueKind::Numbers { most, .. } = about.kind else { return Ok(Vec::new()) };
    each(value, most, |value| Ok(u16::try_from(parse_number(value, about)?).unwrap_or(u16::MAX))) // its bounds are less
}

/// A list; one value without is none.
///
/// # Errors
/// That it is none.
pub fn listed<'a>(value: &'a Value, about: &About) -> Result<&'a Value, ValueFault> {
    if value.is_array() { Ok(value) } else { Err(ValueFault::new(show(value), "is not a list", about.wanted())) }
}

/// A list of at most so many, or one value without a list: what `one` reads of each.
///
/// # Errors
/// All that is wrong with it.
pub fn each<T>(value: &Value, most: usize, mut one: impl FnMut(&Value) -> Result<T, ValueFault>) -> Parsed<Vec<T>> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    if list.len() > most {
        let (what, why) = (format!("a list of {}", list.len()), format!("is more than {most}"));
        return Err(ValueFault::new(what, why, "fewer").into());
    }
    let mut faults = Vec::new();
    let good = list.iter().filter_map(|value| one(value).map_err(|fault| faults.push(fault)).ok()).collect();
    if faults.is_empty() { Ok(good) } else { Err(faults) }
}

/// True or false; anything else is refused, `"true"` with quotes included.
fn parse_flag(value: &Value) -> Result<bool, ValueFault> {
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

/// Text that is no secret: not empty, no longer than the field takes, without control characters.
///
/// # Errors
/// Anything else.
pub fn parse_text<'a>(value: &'a Value, about: &About) -> Result<&'a str, ValueFault> {
    let Value::String(text) = value else {
        let remedy = match value {
            Value::Number(n) => format!("\"{n}\", in quotes"),
            _ => about.wanted(),
        };
        return Err(ValueFault::new(show(value), is_not(value, "text"), remedy));
    };
    let (chars, chars_max) = (text.chars().count(), about.kind.length_max());
    let why = if text.trim().is_empty() {
        "is empty".to_owned()
    } else if text.chars().any(char::is_control) {
        "has a control character".to_owned()
    } else if chars > chars_max {
        format!("has {chars} characters, more than {chars_max}")
    } else {
        return Ok(text);
    };
    Err(ValueFault::new(quote(text), why, about.wanted()))
}

/// A text that is a secret: its references filled in, its length bounded, never shown.
///
/// # Errors
/// Everything that is wrong with it.
pub fn secret_text(value: &Value, secrets: &dyn SecretSource, bytes_max: usize) -> Parsed<String> {
    let Value::String(text) = value else {
        return Err(ValueFault::new(sort_of(value), "is not text", "the value in quotes").into());
    };
    if text.len() > bytes_max {
        let why = format!("has {} bytes, more than {bytes_max}", text.len());
        return Err(ValueFault::new("the text", why, "a shorter one").into());
    }
    resolve(text, secrets, bytes_max)
}

#[cfg(test)]
mod tests {
    use super::super::fields::{EXPECTED_STATUS, TIMEOUT_SECONDS};
    use super::*;

    const SHORT: Field<String> = text("name", 4, "at most 4 characters");

    fn fault_of(value: &Value) -> String {
        let f = parse_number(value, &TIMEOUT_SECONDS).unwrap_err();
        format!("{} {}; write {}", f.what, f.why, f.remedy)
    }

    #[test]
    fn numbers_are_read_and_each_fault_says_what_to_write() {
        assert_eq!(parse_number(&json!(10), &TIMEOUT_SECONDS), Ok(10));
        assert_eq!(parse_number(&json!(10.0), &TIMEOUT_SECONDS), Ok(10));
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
        assert_eq!(parse_flag(&json!(false)), Ok(false));
        assert_eq!(parse_flag(&json!("false")).unwrap_err().remedy, "false, without quotes");
        assert_eq!(parse_flag(&json!(1)).unwrap_err().why, "is a number, not true or false");
        assert_eq!(parse_text(&json!("Shop"), &SHORT), Ok("Shop"));
        assert_eq!(parse_text(&json!("Shops"), &SHORT).unwrap_err().why, "has 5 characters, more than 4");
        assert_eq!(parse_text(&json!("a\nb"), &SHORT).unwrap_err().what, "\"a\\nb\"");
        assert_eq!(parse_text(&json!(5), &SHORT).unwrap_err().remedy, "\"5\", in quotes");
        assert!(EXPECTED_STATUS.wanted().starts_with("text or whole number, such as \"200-299"));
    }
}
