//! A condition of Gatus as what a row says of an answer.

use std::collections::BTreeSet;

use super::super::words::{escaped, milliseconds, quoted};

/// What is asked; not every condition makes sense for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointKind {
    Http,
    Tcp,
    Tls,
    Dns,
}

/// What a condition is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// These status codes pass.
    Status(BTreeSet<u16>),
    Assert(String),
    /// An assertion that is not quite the same, and how it differs.
    Nearly(String, &'static str),
    CertificateDays(u16),
    /// A record that the answer to a question of DNS has to hold.
    Answer(String),
    /// It holds wherever the rest holds.
    Always,
    Lost(String),
}

/// The codes that Gatus can see.
pub(super) const CODES: std::ops::RangeInclusive<u16> = 100..=599;

const SUBJECTS: [&str; 8] = [
    "[STATUS]",
    "[CONNECTED]",
    "[RESPONSE_TIME]",
    "[CERTIFICATE_EXPIRATION]",
    "[DOMAIN_EXPIRATION]",
    "[DNS_RCODE]",
    "[IP]",
    "[BODY]",
];

/// Reads a condition.
pub(super) fn read(text: &str, kind: EndpointKind) -> Meaning {
    let operator = ["==", "!=", "<=", ">=", ">", "<"].into_iter().find(|sign| text.contains(&format!(" {sign} ")));
    let Some((sign, (left, right))) = operator.and_then(|sign| Some((sign, text.split_once(&format!(" {sign} "))?)))
    else {
        return lost("it compares nothing");
    };
    let (left, right) = (left.trim(), right.trim());
    match (subject(left), subject(right)) {
        (Some(_), Some(_)) => lost("it compares two parts of the answer with each other"),
        (Some(subject), None) => of(subject, left, sign, right, kind),
        (None, Some(subject)) => {
            let turned = match sign {
                "<" => ">",
                "<=" => ">=",
                ">" => "<",
                ">=" => "<=",
                same => same,
            };
            of(subject, right, turned, left, kind)
        }
        (None, None) => lost("what it looks at is not known"),
    }
}

fn lost(why: &str) -> Meaning {
    Meaning::Lost(why.to_owned())
}

/// Which part of an answer is looked at, be it in `len(…)` or `has(…)`.
fn subject(text: &str) -> Option<&'static str> {
    let inner = text.strip_prefix("len(").or_else(|| text.strip_prefix("has(")).unwrap_or(text);
    let begins = |name: &&str| inner.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    SUBJECTS.into_iter().find(begins)
}

fn of(subject: &str, left: &str, sign: &str, right: &str, kind: EndpointKind) -> Meaning {
    match subject {
        "[CONNECTED]" if (sign, right) == ("==", "true") => Meaning::Always,
        "[CERTIFICATE_EXPIRATION]" if matches!(sign, ">" | ">=") => certificate(right),
        "[DNS_RCODE]" if kind == EndpointKind::Dns && (sign, right) == ("==", "NOERROR") => Meaning::Always,
        "[DNS_RCODE]" => lost("a question of DNS passes here with an answer, and with no other code"),
        "[BODY]"
            if kind == EndpointKind::Dns && sign == "==" && left.len() == "[BODY]".len() && !right.ends_with(')') =>
        {
            Meaning::Answer(right.trim_end_matches('.').to_owned())
        }
        "[IP]" => lost("the address is not judged; `connect_to` asks a certain one"),
        "[DOMAIN_EXPIRATION]" => lost("when a domain ends is not watched"),
        _ if kind != EndpointKind::Http => lost("an assertion needs a row of HTTP"),
        "[STATUS]" => status(sign, right),
        "[RESPONSE_TIME]" => response_time(sign, right),
        "[BODY]" => body(left, sign, right),
        _ => lost("there is no such assertion"),
    }
}

fn status(sign: &str, right: &str) -> Meaning {
    let number = || right.parse::<u16>().ok();
    let passes: Box<dyn Fn(u16) -> bool> = match (sign, function(right, "any"), function(right, "pat")) {
        ("==" | "!=", Some(options), _) => {
            let codes: Vec<u16> = options.split(',').filter_map(|code| code.trim().parse().ok()).collect();
            Box::new(move |code| codes.contains(&code) == (sign == "=="))
        }
        ("==" | "!=", _, Some(pattern)) if pattern.len() > 16 => return lost("such a pattern is not understood"),
        ("==" | "!=", _, Some(pattern)) => {
            let pattern = pattern.to_owned();
            Box::new(move |code| is_like(&pattern, &code.to_string()) == (sign == "=="))
        }
        _ => {
            let Some(number) = number() else { return lost("it compares the status with no number") };
            Box::new(move |code| match sign {
                "==" => code == number,
                "!=" => code != number,
                "<" => code < number,
                "<=" => code <= number,
                ">" => code > number,
                _ => code >= number,
            })
        }
    };
    Meaning::Status(CODES.filter(|code| passes(*code)).collect())
}

fn certificate(right: &str) -> Meaning {
    let Some(left) = milliseconds(right) else { return lost("it compares with no length of time") };
    match left.div_ceil(86_400_000) {
        0 => Meaning::Always, // one that is over is a fail in any case
        days @ 1..=365 => Meaning::CertificateDays(days as u16),
        _ => lost("a certificate is told of at most 365 days before its end"),
    }
}

fn response_time(sign: &str, right: &str) -> Meaning {
    let limit = right.parse::<u64>().ok().or_else(|| milliseconds(right));
    match (sign, limit) {
        ("<" | "<=", Some(limit @ 1..=300_000)) => Meaning::Assert(format!("latency {sign} {limit} ms")),
        ("<" | "<=", _) => lost("a latency is from 1 ms to 300 s"),
        _ => lost("a latency has only an upper bound here"),
    }
}

/// The inside of `any(…)` and its like.
fn function<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')
}

fn body(left: &str, sign: &str, right: &str) -> Meaning {
    if let Some(inner) = function(left, "len") {
        return length(inner, sign, right);
    }
    if let Some(inner) = function(left, "has") {
        let Some(path) = path(&inner["[BODY]".len()..]) else { return lost("its path is not understood") };
        let wanted = (right == "true") == (sign == "==");
        return match (wanted, last_name(&path)) {
            (true, _) if path == "$" => Meaning::Assert("body matches \\S".into()),
            (true, _) => Meaning::Assert(format!("json {path} exists")),
            (false, Some(name)) => {
                let name = serde_json::Value::from(name).to_string();
                Meaning::Nearly(
                    format!("body lacks {}", serde_json::Value::from(name)),
                    "the name may stand nowhere in the body, not just at its place",
                )
            }
            (false, None) => lost("it names nothing that could be missing"),
        };
    }
    let behind = &left["[BODY]".len()..];
    if behind.is_empty() {
        return whole_body(sign, right);
    }
    let Some(path) = path(behind) else { return lost("its path is not understood") };
    match (sign, function(right, "any"), function(right, "pat")) {
        ("==", Some(options), _) => {
            let values: Vec<String> = options.split(',').flat_map(|option| values(option.trim())).collect();
            Meaning::Assert(format!("json {path} in [{}]", values.join(", ")))
        }
        ("==", _, Some(pattern)) => match (last_name(&path), regex(pattern)) {
            (Some(name), Some(inner)) => {
                let name = escaped(&serde_json::Value::from(name).to_string());
                let inner = inner.replace(".*", "[^\"]*");
                Meaning::Nearly(
                    format!("body matches {name}\\s*:\\s*\"?{inner}\"?\\s*[,}}\\]]"),
                    "it is looked for in the text of the body, wherever that name stands",
                )
            }
            _ => lost("such a pattern is not understood"),
        },
        (_, Some(_), _) | (_, _, Some(_)) => lost("there is no assertion that something is none of these"),
        ("==", ..) => {
            let values = values(right);
            match &values[..] {
                [one] => Meaning::Assert(format!("json {path} = {one}")),
                _ => Meaning::Assert(format!("json {path} in [{}]", values.join(", "))),
            }
        }
        ("!=", ..) => Meaning::Nearly(
            format!("json {path} != {}", values(right)[0]),
            "it fails as well where the path finds nothing",
        ),
        _ if right.parse::<f64>().is_ok() => Meaning::Assert(format!("json {path} {sign} {right}")),
        _ => lost("it compares with no number"),
    }
}

fn whole_body(sign: &str, right: &str) -> Meaning {
    if let Some(pattern) = function(right, "pat") {
        let inner = pattern
            .strip_prefix('*')
            .and_then(|rest| rest.strip_suffix('*'))
            .filter(|inner| !inner.is_empty() && !inner.contains(['*', '?', '[', '\\']));
        return match (sign, inner, regex(pattern)) {
            ("==", _, _) if pattern.chars().all(|c| c == '*') => Meaning::Always,
            ("==", Some(inner), _) => Meaning::Assert(format!("body contains {}", quoted(inner))),
            ("!=", Some(inner), _) => Meaning::Assert(format!("body lacks {}", quoted(inner))),
            ("==", None, Some(regex)) => Meaning::Assert(format!("body matches (?s)^\\s*{regex}\\s*$")),
            _ => lost("there is no assertion that a pattern does not hold"),
        };
    }
    let options: Vec<&str> = match function(right, "any") {
        Some(options) => options.split(',').map(str::trim).collect(),
        None => vec![right],
    };
    let options: Vec<String> = options.into_iter().map(escaped).collect();
    match sign {
        "==" => Meaning::Assert(format!("body matches ^\\s*({})\\s*$", options.join("|"))),
        "!=" => lost("there is no assertion that a body is not exactly this; `body lacks` is near"),
        _ => lost("a body is compared with no number; `body size` and `json` are near"),
    }
}

fn length(inner: &str, sign: &str, right: &str) -> Meaning {
    let behind = inner.get("[BODY]".len()..).unwrap_or_default();
    let (Some(path), Ok(number)) = (path(behind), right.parse::<u64>()) else {
        return lost("it compares no length with a number");
    };
    let sign = if sign == "==" { "=" } else { sign };
    let assertion = format!("json {path} length {sign} {number}");
    if behind.is_empty() {
        return Meaning::Nearly(assertion, "the body has to be JSON; of an object the members are counted");
    }
    Meaning::Assert(assertion)
}

/// `.data[0].a-b` as a path of RFC 9535. `None` where it is none.
fn path(text: &str) -> Option<String> {
    let mut path = String::from("$");
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix('[') {
            let (index, after) = behind.split_once(']')?;
            if index != "*" && index.parse::<u32>().is_err() {
                return None;
            }
            path.push_str(&format!("[{index}]"));
            rest = after;
            continue;
        }
        let behind = rest.strip_prefix('.')?;
        let end = behind.find(['.', '[']).unwrap_or(behind.len());
        let (name, after) = behind.split_at(end);
        let is_simple = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match name {
            "" => return None,
            name if is_simple => path.push_str(&format!(".{name}")),
            name if name.contains(['\'', '\\']) || name.contains(char::is_whitespace) => return None,
            name => path.push_str(&format!("['{name}']")),
        }
        rest = after;
    }
    Some(path)
}

/// The last name of a path.
fn last_name(path: &str) -> Option<&str> {
    let end = path.trim_end_matches(|c: char| c == '[' || c == ']' || c == '*' || c.is_ascii_digit());
    let name = end.rsplit(['.', '\'']).find(|part| !part.is_empty())?;
    (name != "$").then_some(name)
}

/// What Gatus writes as a text may be a text, a number or a word in the JSON.
fn values(text: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(text).to_string();
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_number() || value.is_boolean() || value.is_null() => vec![text.to_owned(), quoted],
        _ => vec![quoted],
    }
}

/// A pattern of Gatus as a regular expression.
fn regex(pattern: &str) -> Option<String> {
    if pattern.contains(['[', '\\']) {
        return None;
    }
    let stars: Vec<String> =
        pattern.split('*').map(|part| part.split('?').map(escaped).collect::<Vec<_>>().join(".")).collect();
    Some(stars.join(".*"))
}

/// Whether a text is like a pattern with `*` and `?`.
fn is_like(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => is_like(&pattern[1..], text) || (!text.is_empty() && is_like(pattern, &text[1..])),
        (Some('?'), Some(_)) => is_like(&pattern[1..], &text[1..]),
        (Some(a), Some(b)) if a == b => is_like(&pattern[a.len_utf8()..], &text[1..]),
        _ => false,
    }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
