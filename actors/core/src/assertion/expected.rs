//! One assertion: what it expects, and what was found in its place.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::comparison::Comparison;
use super::content::{Body, Content, JUDGED_BYTES_MAX, TlsVersion};
use super::json;
use super::pattern::Pattern;
use crate::text;

/// How much of a header or an address that was found is told.
const FOUND_CHARS_MAX: usize = 80;

/// What a row expects of an answer beyond its status, read and compiled: `json $.status = "ok"`. Two are equal if they are written
/// alike.
pub struct Assertion {
    pub(super) text: String,
    pub(super) expected: Expected,
}

#[derive(Clone, Debug)]
pub(super) enum Expected {
    Body(TextTest),
    BodySize(Comparison, u64),
    Json(json::Path, json::Test),
    Header(String, TextTest),
    /// The media type alone, in lower case.
    ContentType(String),
    Latency(Comparison, Duration),
    Url(TextTest),
    Tls(Comparison, TlsVersion),
}

/// What is expected of a text.
#[derive(Clone, Debug)]
pub(super) enum TextTest {
    /// It is there.
    Exists,
    Is(String),
    IsNot(String),
    Contains(Pattern),
    Lacks(Pattern),
    Matches(Pattern),
}

impl Assertion {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the body has to be kept for it.
    pub fn needs_body(&self) -> bool {
        matches!(self.expected, Expected::Body(_) | Expected::BodySize(..) | Expected::Json(..))
    }

    /// The name of the header that it is about.
    pub fn header(&self) -> Option<&str> {
        match &self.expected {
            Expected::Header(name, _) => Some(name),
            Expected::ContentType(_) => Some(CONTENT_TYPE),
            _ => None,
        }
    }

    fn broken(&self, found: &str) -> String {
        format!("expected {}, found {found}", self.text)
    }
}

/// A body of which nothing was read, though there is one.
const UNREAD: &str = "a stream, which is not read";

pub(super) const CONTENT_TYPE: &str = "content-type";

/// One line for each assertion that does not hold of what came, in the order of the row. How long it took is judged by [`too_slow`].
/// `hide` takes secrets of the row out of what was found.
pub fn broken(assertions: &[Arc<Assertion>], content: &Content, hide: impl Fn(&str) -> String) -> Vec<String> {
    let mut document = None;
    let mut lines: Vec<String> = Vec::new();
    for assertion in assertions {
        if let (true, Body::Packed(why)) = (assertion.needs_body(), &content.body) {
            let line = format!("the body {why}");
            if !lines.contains(&line) {
                lines.push(line); // once, whatever was expected of it
            }
        } else if let Some(found) = assertion.expected.differs(content, &mut document) {
            lines.push(assertion.broken(&hide(&found)));
        }
    }
    lines
}

/// The same for those about the time that an exchange took.
pub fn too_slow(assertions: &[Arc<Assertion>], took: Duration) -> impl Iterator<Item = String> {
    assertions.iter().filter_map(move |assertion| match assertion.expected {
        Expected::Latency(comparison, wanted) if !comparison.holds(took.cmp(&wanted)) => {
            Some(assertion.broken(&format!("{} ms", took.as_millis())))
        }
        _ => None,
    })
}

impl Expected {
    /// What was found in its place; `None`: it holds. `document` is read by the first that needs it.
    fn differs(&self, content: &Content, document: &mut Option<Result<Value, String>>) -> Option<String> {
        match self {
            Self::Body(test) => test.differs_in_body(&content.body),
            Self::BodySize(comparison, wanted) => differs_in_size(*comparison, *wanted, &content.body),
            Self::Json(path, test) => {
                let read = || match &content.body {
                    Body::Whole(bytes) => json::read(bytes),
                    Body::Cut(bytes) if bytes.is_empty() => Err(UNREAD.into()),
                    Body::Cut(bytes) => {
                        Err(format!("a body that is longer than the {} bytes that are read", bytes.len()))
                    }
                    Body::Unread | Body::Packed(_) => Err("no body".into()),
                };
                match document.get_or_insert_with(read) {
                    Ok(document) => path.differs(test, document),
                    Err(why) => Some(why.clone()),
                }
            }
            Self::Header(name, test) => {
                let value = content.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
                match value {
                    Some(value) => test.differs(value, || quoted(value)),
                    None if matches!(test, TextTest::IsNot(_) | TextTest::Lacks(_)) => None,
                    None => Some("no such header".into()),
                }
            }
            Self::ContentType(wanted) => {
                let value = content.headers.iter().find(|(name, _)| name == CONTENT_TYPE).map(|(_, value)| value);
                let Some(value) = value else { return Some("no such header".into()) };
                let found = value.split(';').next().unwrap_or_default().trim();
                (!found.eq_ignore_ascii_case(wanted)).then(|| quoted(value))
            }
            Self::Latency(..) => None,
            Self::Url(test) => test.differs(&content.url, || address(&content.url)),
            Self::Tls(comparison, wanted) => match content.tls {
                Some(version) if comparison.holds(version.cmp(wanted)) => None,
                Some(version) => Some(format!("TLS {}", version.as_str())),
                None => Some("no TLS".into()),
            },
        }
    }
}

impl TextTest {
    fn differs(&self, value: &str, shown: impl FnOnce() -> String) -> Option<String> {
        let holds = match self {
            Self::Exists => true,
            Self::Is(wanted) => value == wanted,
            Self::IsNot(wanted) => value != wanted,
            Self::Contains(pattern) | Self::Matches(pattern) => pattern.find(value.as_bytes()).is_some(),
            Self::Lacks(pattern) => pattern.find(value.as_bytes()).is_none(),
        };
        (!holds).then(shown)
    }

    /// A body is told by its length: it may be long, and hold what is nobody's business.
    fn differs_in_body(&self, body: &Body) -> Option<String> {
        let (bytes, is_cut): (&[u8], bool) = match body {
            Body::Whole(bytes) => (bytes, false),
            Body::Cut(bytes) => (bytes, true),
            Body::Unread | Body::Packed(_) => (&[], false),
        };
        let (pattern, is_wanted) = match self {
            Self::Contains(pattern) | Self::Matches(pattern) => (pattern, true),
            Self::Lacks(pattern) => (pattern, false),
            Self::Exists | Self::Is(_) | Self::IsNot(_) => return None, // cannot be: a body is not compared whole
        };
        match (pattern.find(bytes), is_wanted) {
            (Some(_), true) | (None, false) => None,
            (Some(at), false) => Some(format!("it at byte {}", at + 1)),
            (None, true) if bytes.is_empty() => Some(if is_cut { UNREAD } else { "an empty body" }.into()),
            (None, true) => {
                let searched = pattern.searched(bytes.len());
                let first = if is_cut || searched < bytes.len() { "the first " } else { "" };
                Some(format!("nothing of it in {first}{searched} bytes"))
            }
        }
    }
}

fn differs_in_size(comparison: Comparison, wanted: u64, body: &Body) -> Option<String> {
    let (bytes, is_cut) = match body {
        Body::Whole(bytes) => (bytes.len() as u64, false),
        Body::Cut(bytes) => (bytes.len() as u64, true),
        Body::Unread | Body::Packed(_) => (0, false),
    };
    // Of one that was cut no more is known than that it is longer than what was read.
    if is_cut && wanted > bytes {
        return Some(format!("more than {bytes} bytes, of which no more are read"));
    }
    let (order, more) = if is_cut { (Ordering::Greater, "more than ") } else { (bytes.cmp(&wanted), "") };
    (!comparison.holds(order)).then(|| format!("{more}{bytes} bytes"))
}

/// The largest size of a body that may be expected.
pub(super) const SIZE_MAX: u64 = JUDGED_BYTES_MAX as u64;

fn quoted(value: &str) -> String {
    format!("\"{}\"", text::line(value, FOUND_CHARS_MAX))
}

/// Behind the path there often is what opens a door to whoever reads it.
fn address(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let more = if end < url.len() { "?***" } else { "" };
    format!("{}{more}", text::line(&url[..end], FOUND_CHARS_MAX))
}

impl PartialEq for Assertion {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
