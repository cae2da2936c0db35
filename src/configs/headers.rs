//! The request headers of a row: names that may be sent, values that are secrets.

use api_health_core::Secret;
use serde_json::{Map, Value};

use super::field::{About, Context, Parsed};
use super::kinds::secret_text;
use super::values::{ValueFault, sort_of};

/// The most headers of one API.
pub const HEADERS_MAX: usize = 50;
/// The longest value, after its references are filled in. Most servers stop at 8 KiB.
pub const VALUE_BYTES_MAX: usize = 8192;
pub const NAME_BYTES_MAX: usize = 256;

/// What frames a message or belongs to one connection: the HTTP client writes these itself, and a second opinion
/// makes two requests of one, or none (RFC 9110, section 7.6.1; RFC 9112, section 6).
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Parses the field `headers`. No value is in any fault.
///
/// # Errors
/// Everything that is wrong with them.
pub fn parse(value: &Value, _: &About, context: &mut Context<'_>) -> Parsed<Vec<(String, Secret)>> {
    let Value::Object(table) = value else {
        let what = sort_of(value);
        return Err(ValueFault::new(what, "is not a table", "a name and a text for each header").into());
    };
    if table.len() > HEADERS_MAX {
        let what = format!("{} headers", table.len());
        return Err(ValueFault::new(what, format!("are more than {HEADERS_MAX}"), "fewer").into());
    }
    let (mut headers, mut faults) = (Vec::with_capacity(table.len()), Vec::new());
    for (name, value) in table {
        if let Err(fault) = check_name(name, table) {
            faults.push(fault);
            continue;
        }
        match secret_text(value, context.secrets, VALUE_BYTES_MAX).and_then(check_value) {
            Ok(text) => headers.push((name.clone(), Secret::new(text))),
            Err(of_value) => faults.extend(of_value.into_iter().map(|fault| fault.inside(name))),
        }
    }
    if faults.is_empty() { Ok(headers) } else { Err(faults) }
}

fn check_name(name: &str, table: &Map<String, Value>) -> Result<(), ValueFault> {
    let end = name.find(|c| !is_token(c)).unwrap_or(name.len());
    if let Some(bad) = name[end..].chars().next() {
        // What follows may be the value, written into the name by mistake.
        let what = format!("the header name \"{}…\"", &name[..end.min(NAME_BYTES_MAX)]);
        return Err(ValueFault::new(what, format!("has the character {bad:?}"), "letters, digits and - alone"));
    }
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let why = format!("has {} characters", name.len());
        return Err(ValueFault::new("a header name", why, format!("a name of 1 to {NAME_BYTES_MAX}")));
    }
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) {
        let why = "is set by the HTTP client itself";
        return Err(ValueFault::new(format!("the header {name}"), why, "nothing: remove it"));
    }
    match table.keys().find(|other| other.as_str() < name && other.eq_ignore_ascii_case(name)) {
        Some(other) => {
            Err(ValueFault::new(format!("the header {name}"), format!("is the same as {other}"), "one of the two"))
        }
        None => Ok(()),
    }
}

/// The characters of an HTTP token (RFC 9110, section 5.6.2).
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn check_value(text: String) -> Parsed<String> {
    let why = if text.contains(['\r', '\n']) {
        "has a line break, which would begin another header"
    } else if text.chars().any(|c| c != '\t' && c.is_ascii_control()) {
        "has a control character"
    } else if !text.is_ascii() {
        "has a character that is not ASCII"
    } else {
        return Ok(text);
    };
    Err(ValueFault::new("the value", why, "printable ASCII on one line").into())
}

#[cfg(test)]
mod tests {
    use super::super::field::SOME_MOMENT;
    use super::super::fields::HEADERS;
    use super::super::schedules::ScheduleCache;
    use super::super::secrets::tests::Known;
    use super::*;
    use std::path::Path;

    use serde_json::json;

    fn parsed(value: &Value) -> Parsed<Vec<(String, Secret)>> {
        let schedules = &mut ScheduleCache::default();
        let (folder, allowed) = (Path::new(""), &crate::probe::guard::Allowed::default());
        let context = &mut Context { secrets: &Known, schedules, now: SOME_MOMENT, folder, allowed };
        HEADERS.parse(value, context)
    }

    fn faults(value: &Value) -> Vec<String> {
        let faults = parsed(value).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.at("headers").to_string()).collect()
    }

    #[test]
    fn good_headers_are_read_with_their_secrets() {
        let value = json!({"Authorization": "Bearer ${env:TOKEN}", "Host": "a.test", "x-empty": ""});
        let read = parsed(&value).unwrap();
        let shown: Vec<_> = read.iter().map(|(n, v)| format!("{n}={}", v.reveal())).collect();
        assert_eq!(shown, ["Authorization=Bearer hunter2", "Host=a.test", "x-empty="]);
    }

    #[test]
    fn each_fault_is_told_and_no_value() {
        let all = faults(&json!({
            "Authorization: Bearer hunter2": "",
            "Connection": "close",
            "TRANSFER-ENCODING": "chunked",
            "X-A": "hunter2\r\nX-B: 1",
            "X-C": "${env:TWO_LINES}",
            "X-D": 5,
            "X-E": "hünter2",
            "X-F": "${env:NONE}",
            "x-a": "hunter2",
            "X-G": "x".repeat(8193),
            "": "",
        }));
        assert!(all.iter().all(|fault| !fault.contains("hunter2") && !fault.contains("nter2")), "{all:#?}");
        for expected in [
            "headers: the header name \"Authorization…\" has the character ':'; write letters, digits and - alone",
            "headers: the header Connection is set by the HTTP client itself; write nothing: remove it",
            "headers: the header TRANSFER-ENCODING is set by the HTTP client itself; write nothing: remove it",
            "headers.X-A: the value has a line break, which would begin another header; write printable ASCII on one line",
            "headers.X-C: the value has a line break, which would begin another header; write printable ASCII on one line",
            "headers.X-D: a number is not text; write the value in quotes",
            "headers.X-E: the value has a character that is not ASCII; write printable ASCII on one line",
            "headers: the header x-a is the same as X-A; write one of the two",
            "headers.X-G: the text has 8193 bytes, more than 8192; write a shorter one",
            "headers: a header name has 0 characters; write a name of 1 to 256",
        ] {
            assert!(all.iter().any(|fault| fault == expected), "{expected}\n{all:#?}");
        }
        assert_eq!(all.len(), 11);
        assert_eq!(faults(&json!(["a"])), ["headers: a list is not a table; write a name and a text for each header"]);
    }
}
