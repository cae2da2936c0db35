//! Paths into a JSON document (RFC 9535), and what is expected of the values that they find.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::comparison::Comparison;
use crate::text;

/// How much of a value that was found is told.
const FOUND_CHARS_MAX: usize = 60;

/// What would make the time of a search grow faster than the document, and so many of each that a path may have: all values below
/// (`..`), lists of several selectors, conditions of its own (`?`) and brackets within them.
const COSTLY: [(&str, usize); 4] = [("..", 1), (",", 3), ("?", 1), ("(", 4)];

/// Functions of a path that compile a regular expression for each value.
const REFUSED: [&str; 2] = ["match(", "search("];

/// A path, ready to be followed.
#[derive(Clone)]
pub(super) struct Path {
    text: String,
    compiled: JsonPath,
}

/// What is expected of the values that a path finds: of each of them, and there has to be one.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Exists,
    Is(Comparison, Value),
    In(Vec<Value>),
    /// The elements of a list, the members of an object, the characters of a text.
    Length(Comparison, u64),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bare = without_quoted(text);
        for (costly, most) in COSTLY {
            if bare.matches(costly).count() > most {
                let most = if most == 1 { "once".to_owned() } else { format!("{most} times") };
                return Err(format!("has {costly} more than {most}, which may take for ever to follow"));
            }
        }
        if let Some(refused) = REFUSED.iter().find(|refused| bare.contains(*refused)) {
            return Err(format!("has the function {refused}…), which may take for ever; `body matches` does not"));
        }
        match JsonPath::parse(text) {
            Ok(compiled) => Ok(Self { text: text.to_owned(), compiled }),
            Err(error) => {
                let at = text.char_indices().take_while(|(at, _)| *at < error.position()).count();
                Err(format!("is no JSON path: {}, at its character {}", text::line(error.message(), 100), at + 1))
            }
        }
    }

    /// Why the values that it finds in `document` are not as expected; `None`: they are.
    pub(super) fn differs(&self, test: &Test, document: &Value) -> Option<String> {
        let mut found = self.compiled.query(document).all().into_iter().peekable();
        if found.peek().is_none() {
            return Some("nothing there".into());
        }
        found.find_map(|value| test.differs(value))
    }
}

impl Test {
    fn differs(&self, value: &Value) -> Option<String> {
        let holds = match self {
            Self::Exists => true,
            Self::Is(comparison, wanted) => match comparison {
                Comparison::Equal => equal(value, wanted),
                Comparison::NotEqual => !equal(value, wanted),
                _ => match order(value, wanted) {
                    Some(order) => comparison.holds(order),
                    None => return Some(format!("{}, which cannot be compared with that", shown(value))),
                },
            },
            Self::In(wanted) => wanted.iter().any(|wanted| equal(value, wanted)),
            Self::Length(comparison, wanted) => {
                let length = match value {
                    Value::Array(list) => list.len(),
                    Value::Object(members) => members.len(),
                    Value::String(text) => text.chars().count(),
                    _ => return Some(format!("{}, which has no length", shown(value))),
                };
                if comparison.holds((length as u64).cmp(wanted)) {
                    return None;
                }
                return Some(format!("a length of {length}"));
            }
        };
        (!holds).then(|| shown(value))
    }
}

/// `1` and `1.0` are one number.
fn equal(a: &Value, b: &Value) -> bool {
    a == b || (a.is_number() && order(a, b) == Some(Ordering::Equal))
}

/// Numbers by their size, texts by their letters; nothing else has an order.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i128(), y.as_i128()) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => x.as_f64()?.partial_cmp(&y.as_f64()?),
        },
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        _ => None,
    }
}

/// As it stands in JSON, short.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(members) => format!("an object of {}", members.len()),
        Value::String(text) => text::line(&format!("{:?}", text::line(text, FOUND_CHARS_MAX)), FOUND_CHARS_MAX),
        _ => text::line(&value.to_string(), FOUND_CHARS_MAX),
    }
}

/// Reads a body as JSON. Many servers put a byte order mark before it.
pub(super) fn read(body: &[u8]) -> Result<Value, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("an empty body".into());
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("a body that is no JSON: {}", text::line(&error.to_string(), 100)))
}

/// Where the path ends that `text` begins with: at the first space that is in no bracket and no quotes.
pub(super) fn end(text: &str) -> usize {
    let (mut depth, mut quote, mut is_escaped) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if depth > 0 => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            (None, c) if c.is_whitespace() && depth == 0 => return at,
            (None, _) => {}
        }
    }
    text.len()
}

/// The path without what stands in quotes.
fn without_quoted(text: &str) -> String {
    let (mut quote, mut is_escaped) = (None, false);
    let outside = |c: &char| match quote {
        Some(_) if is_escaped => {
            is_escaped = false;
            false
        }
        Some(_) if *c == '\\' => {
            is_escaped = true;
            false
        }
        Some(open) if *c == open => {
            quote = None;
            false
        }
        Some(_) => false,
        None if matches!(c, '"' | '\'') => {
            quote = Some(*c);
            false
        }
        None => !c.is_whitespace(),
    };
    text.chars().filter(outside).collect()
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
