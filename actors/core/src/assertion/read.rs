//! Reads an assertion as people write it: what is looked at, how it is compared, and with what.

use std::time::Duration;

use serde_json::Value;

use super::comparison::Comparison;
use super::content::TlsVersion;
use super::expected::{Assertion, Expected, SIZE_MAX, TextTest};
use super::json;
use super::pattern::Pattern;

/// The longest latency that may be asked for: no exchange takes longer.
const LATENCY_MAX: Duration = Duration::from_secs(300);

/// What is wrong with an assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionFault {
    /// Why it does not do.
    pub why: String,
    /// What to write instead.
    pub remedy: String,
}

type Read<T> = Result<T, AssertionFault>;

fn fault(why: impl Into<String>, remedy: impl Into<String>) -> AssertionFault {
    AssertionFault { why: why.into(), remedy: remedy.into() }
}

/// What may begin an assertion, and an example of each.
const SUBJECTS: [(&str, &str); 7] = [
    ("body", "body contains Welcome"),
    ("json", "json $.status = \"ok\""),
    ("header", "header x-cache exists"),
    ("content-type", "content-type = application/json"),
    ("latency", "latency < 500 ms"),
    ("url", "url = https://shop.example.com/"),
    ("tls", "tls >= 1.3"),
];

impl Assertion {
    /// Reads and compiles an assertion.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, AssertionFault> {
        let text = text.trim();
        let (subject, rest) = word(text);
        let expected = match subject {
            "body" => of_body(rest)?,
            "json" => of_json(rest)?,
            "header" => of_header(rest)?,
            "content-type" => of_content_type(rest)?,
            "latency" => of_latency(rest)?,
            "url" => {
                let test = text_test("url", rest, &["=", "!=", "contains", "lacks", "matches"])?;
                Expected::Url(test)
            }
            "tls" => of_tls(rest)?,
            _ => {
                let all = SUBJECTS.map(|(subject, _)| subject).join(", ");
                return Err(fault(
                    format!("begins with none of {all}"),
                    "what is looked at, how, and what is expected, such as 'json $.status = \"ok\"'",
                ));
            }
        };
        Ok(Self { text: text.to_owned(), expected })
    }
}

/// The first word, and what is behind it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn example(subject: &str) -> String {
    let example = SUBJECTS.iter().find(|(known, _)| *known == subject).map_or("", |(_, example)| example);
    format!("such as '{example}'")
}

fn of_body(rest: &str) -> Read<Expected> {
    let (how, behind) = word(rest);
    if how != "size" {
        return Ok(Expected::Body(text_test("body", rest, &["contains", "lacks", "matches", "size"])?));
    }
    let remedy = format!("a comparison and a number of bytes up to {SIZE_MAX}, such as 'body size > 100'");
    let (sign, number) = word(behind);
    match (Comparison::parse(sign), number.parse::<u64>()) {
        (Some(comparison), Ok(size)) if size <= SIZE_MAX => Ok(Expected::BodySize(comparison, size)),
        _ => Err(fault("has no comparison with a number of bytes behind size", remedy)),
    }
}

/// How a text is compared, one of `ways`, and with what.
fn text_test(subject: &str, rest: &str, ways: &[&str]) -> Read<TextTest> {
    let (how, with) = word(rest);
    let how = match how {
        "==" => "=",
        "≠" => "!=",
        how => how,
    };
    if !ways.contains(&how) {
        let why = if how.is_empty() {
            format!("says nothing behind {subject}")
        } else {
            format!("has {how:?} behind {subject}, which is none of {}", ways.join(", "))
        };
        return Err(fault(why, format!("one of {}, {}", ways.join(", "), example(subject))));
    }
    match (how, with) {
        ("exists", "") => return Ok(TextTest::Exists),
        ("exists", _) => return Err(fault("has more behind exists", "nothing behind it")),
        (_, "") => return Err(fault(format!("has nothing behind {how}"), "what is expected, behind it")),
        _ => {}
    }
    let text = unquoted(with);
    let words = || Pattern::words(&text).map_err(|why| fault(format!("has words that are too long: {why}"), "fewer"));
    Ok(match how {
        "=" => TextTest::Is(text),
        "!=" => TextTest::IsNot(text),
        "contains" => TextTest::Contains(words()?),
        "lacks" => TextTest::Lacks(words()?),
        _ => {
            let remedy = "a regular expression without look-around and back-references, such as 'v[0-9]+'";
            TextTest::Matches(Pattern::regex(&text).map_err(|why| {
                fault(format!("has no regular expression behind matches that is taken: {why}"), remedy)
            })?)
        }
    })
}

/// What stands in double quotes as a whole is read as a JSON text, so that it may begin or end with a space; anything else is meant
/// as it is.
fn unquoted(text: &str) -> String {
    let quoted = text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten();
    quoted.unwrap_or_else(|| text.to_owned())
}

fn of_json(rest: &str) -> Read<Expected> {
    let (path, behind) = rest.split_at(json::end(rest));
    if !path.starts_with('$') {
        return Err(fault("has no path behind json", format!("a path that begins with $, {}", example("json"))));
    }
    let path = json::Path::parse(path).map_err(|why| {
        fault(format!("has a path that {why}"), "a path such as $.items[0].name, $['a b'] or $.items[*].state")
    })?;
    let (how, with) = word(behind);
    let value = |what: &str, example: &str| -> Read<Value> {
        serde_json::from_str(with).map_err(|_| {
            let why = format!("has no JSON value behind {what}");
            fault(why, format!("a value of JSON, texts in double quotes, such as '{example}'"))
        })
    };
    let test = match (how, Comparison::parse(how)) {
        ("exists", _) if with.is_empty() => json::Test::Exists,
        ("in", _) => match value("in", "json $.mode in [\"green\", \"blue\"]")? {
            Value::Array(list) => json::Test::In(list),
            _ => return Err(fault("has no list behind in", "a list, such as '[\"green\", \"blue\"]'")),
        },
        ("length", _) => {
            let (sign, number) = word(with);
            match (Comparison::parse(sign), number.parse()) {
                (Some(comparison), Ok(length)) => json::Test::Length(comparison, length),
                _ => {
                    let remedy = "a comparison and a whole number, such as 'json $.items length > 0'";
                    return Err(fault("has no comparison with a number behind length", remedy));
                }
            }
        }
        (_, Some(comparison)) => json::Test::Is(comparison, value(how, "json $.status = \"ok\"")?),
        _ => {
            let ways = "exists, =, !=, <, <=, >, >=, in, length";
            let why = if how.is_empty() { "says nothing behind the path" } else { "says it in no way that is known" };
            return Err(fault(why, format!("one of {ways} behind the path, {}", example("json"))));
        }
    };
    Ok(Expected::Json(path, test))
}

fn of_header(rest: &str) -> Read<Expected> {
    let (name, behind) = word(rest);
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(fault("has no name of a header behind header", example("header")));
    }
    let test = text_test("header", behind, &["exists", "=", "!=", "contains", "lacks", "matches"])?;
    Ok(Expected::Header(name.to_ascii_lowercase(), test))
}

fn of_content_type(rest: &str) -> Read<Expected> {
    let (how, with) = word(rest);
    let is_type = with.split('/').count() == 2 && !with.contains([';', ' ']) && !with.starts_with('/');
    if matches!(how, "=" | "==") && is_type && !with.ends_with('/') {
        return Ok(Expected::ContentType(with.to_ascii_lowercase()));
    }
    let remedy = format!("= and a media type without parameters, {}", example("content-type"));
    Err(fault("has no media type behind =", remedy))
}

fn of_latency(rest: &str) -> Read<Expected> {
    let remedy = format!("< and a number with ms or s, up to 300 s, {}", example("latency"));
    let (sign, span) = word(rest);
    let comparison = Comparison::parse(sign).filter(|c| matches!(c, Comparison::Less | Comparison::LessOrEqual));
    let digits = span.find(|c: char| !c.is_ascii_digit()).unwrap_or(span.len());
    let number: Option<u64> = span[..digits].parse().ok();
    let span = match (number, span[digits..].trim()) {
        (Some(number), "ms") => Some(Duration::from_millis(number)),
        (Some(number), "s") => Some(Duration::from_secs(number)),
        _ => None,
    };
    match (comparison, span.filter(|span| (Duration::from_millis(1)..=LATENCY_MAX).contains(span))) {
        (Some(comparison), Some(span)) => Ok(Expected::Latency(comparison, span)),
        _ => Err(fault("has no span of time behind <", remedy)),
    }
}

fn of_tls(rest: &str) -> Read<Expected> {
    let (sign, version) = word(rest);
    let version = TlsVersion::ALL.into_iter().find(|known| known.as_str() == version);
    match (Comparison::parse(sign), version) {
        (Some(comparison), Some(version)) => Ok(Expected::Tls(comparison, version)),
        _ => Err(fault("has no version of TLS behind a comparison", format!("1.2 or 1.3, {}", example("tls")))),
    }
}
