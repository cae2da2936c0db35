//! What can be asked of a daemon, and what it answers: `{"v":1,"ask":"who"}` → `{"v":1,"answer":"who","pid":7,…}`.
//!
//! Fields may be added to an answer; whoever reads it passes over what it does not know. Anything else is another version.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::ANSWER_BYTES_MAX;
use api_health_core::text;

/// The version of the protocol.
const VERSION: u64 = 1;

/// What can be asked, as the refusal of anything else lists it.
const KNOWN: [&str; 6] = ["who", "settings", "reload", "retry", "drop_channel", "maintenance"];

/// How much of a fault is reported, which may quote what was sent.
const FAULT_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Which process is this?
    Who,
    /// Which settings are in force?
    Settings,
    /// Read the configs again.
    Reload,
    /// Try to deliver owed alerts now.
    Retry { alerts: Alerts },
    /// Give a channel up: nothing is owed to it from now on.
    DropChannel { channel: String },
    /// Open a maintenance window for these APIs, or close it.
    Maintenance { of: Which, window: Option<Window> },
}

/// Some of the APIs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    #[serde(default)]
    pub all: bool,
    #[serde(default)]
    pub api_ids: Vec<String>,
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A maintenance window, its times in RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub since: String,
    pub until: String,
    #[serde(default)]
    pub note: String,
}

/// Some of the owed alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alerts {
    /// Whatever is owed: `"all"`.
    All,
    /// Those with these ids: `{"these":["…"]}`.
    These(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Who`].
    Who(Who),
    /// To [`Request::Settings`].
    Settings {
        /// As `settings show --json` prints them, secrets masked.
        settings: Value,
    },
    /// To [`Request::Reload`], when the configs are applied.
    Reload(Reloaded),
    /// To [`Request::Retry`], before the first attempt is made.
    Retry {
        /// How many alerts are tried.
        alerts: usize,
    },
    /// To [`Request::DropChannel`].
    DropChannel {
        /// How many alerts it was owed.
        alerts: usize,
    },
    /// To [`Request::Maintenance`].
    Maintenance {
        /// How many APIs it is about.
        apis: usize,
    },
    /// To any of them.
    Refused { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Its process id.
    pub pid: u32,
    /// Its version of api-health.
    pub version: String,
    /// When it started, in RFC 3339.
    pub since: String,
    /// Its name in stored records, which no other process has.
    pub instance: String,
    /// Its store, as [`super::place::store`] calls it.
    pub store: String,
    /// The folder that relative paths in its settings begin at.
    pub folder: String,
    /// Why its decisions are not stored, if they are not.
    #[serde(default)]
    pub unstored: Option<String>,
}

/// What a reload came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// APIs that are configured and enabled.
    pub apis: usize,
    /// Rows that were refused.
    pub refused: usize,
    /// The sources that could not be read, and why.
    pub unreadable: Vec<String>,
}

/// Reads a request.
///
/// # Errors
/// What is wrong with it, as a sentence for whoever wrote it.
pub fn read_request(line: &[u8]) -> Result<Request, String> {
    let value = read_version(line)?;
    let Some(ask) = value.get("ask").and_then(Value::as_str) else {
        return Err(format!("the request has no \"ask\"; known are: {}", KNOWN.join(", ")));
    };
    if !KNOWN.contains(&ask) {
        let ask = text::line(ask, FAULT_CHARS_MAX);
        return Err(format!("unknown request {ask:?}; known are: {}", KNOWN.join(", ")));
    }
    read(value)
}

/// Reads an answer.
///
/// # Errors
/// Why it makes no sense.
pub fn read_answer(line: &[u8]) -> Result<Answer, String> {
    read(read_version(line)?)
}

/// One line with a request.
pub fn write_request(request: &Request) -> Vec<u8> {
    write(request)
}

/// One line with an answer. One that is too long for a line is a refusal that says so.
pub fn write_answer(answer: &Answer) -> Vec<u8> {
    let line = write(answer);
    if line.len() <= ANSWER_BYTES_MAX {
        return line;
    }
    let why = format!("the answer has {} bytes, and may have {ANSWER_BYTES_MAX}", line.len());
    write(&Answer::Refused { why })
}

fn read_version(line: &[u8]) -> Result<Value, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| fault(&error))?;
    match value.get("v").and_then(Value::as_u64) {
        Some(VERSION) => Ok(value),
        Some(other) => {
            Err(format!("this is version {other} of the protocol, and only version {VERSION} is understood"))
        }
        None => Err("it is no JSON object with \"v\", the version of the protocol".into()),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| fault(&error))
}

fn fault(error: &serde_json::Error) -> String {
    text::line(&format!("it cannot be read: {error}"), FAULT_CHARS_MAX)
}

fn write(what: &impl Serialize) -> Vec<u8> {
    // Nothing here has a form that JSON lacks; an empty line would be refused like any other that cannot be read.
    let mut value = serde_json::to_value(what).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("v".into(), VERSION.into());
    }
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        read_request(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_written_is_read_and_all_that_is_known_can_be_asked() {
        let these = Alerts::These(vec!["a-1".into(), "ü\n".into()]);
        let requests = [
            Request::Who,
            Request::Settings,
            Request::Reload,
            Request::Retry { alerts: Alerts::All },
            Request::Retry { alerts: these },
            Request::DropChannel { channel: "sns".into() },
            Request::Maintenance { of: Which { all: true, ..Which::default() }, window: None },
        ];
        for request in &requests {
            let line = write_request(request);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(&read_request(&line).unwrap(), request);
        }
        for ask in KNOWN {
            let line = format!(r#"{{"v":1,"ask":"{ask}","alerts":"all","channel":"sns","of":{{}}}}"#);
            assert!(read_request(line.as_bytes()).is_ok(), "{ask}");
        }
        let answer = Answer::Reload(Reloaded { apis: 3, refused: 0, unreadable: vec!["x".into()] });
        assert_eq!(read_answer(&write_answer(&answer)).unwrap(), answer);
    }

    #[test]
    fn what_stands_on_the_wire_is_this() {
        let request = Request::Retry { alerts: Alerts::These(vec!["x".into()]) };
        assert_eq!(write_request(&request), b"{\"alerts\":{\"these\":[\"x\"]},\"ask\":\"retry\",\"v\":1}\n");
        assert_eq!(write_answer(&Answer::Retry { alerts: 2 }), b"{\"alerts\":2,\"answer\":\"retry\",\"v\":1}\n");
    }

    #[test]
    fn a_bad_request_is_told_what_is_wrong() {
        assert!(refused("hello").starts_with("it cannot be read: "), "{}", refused("hello"));
        for no_version in ["7", "{}", r#"{"v":"1"}"#, r#"{"v":-1}"#] {
            assert!(refused(no_version).contains("\"v\", the version"), "{no_version}");
        }
        assert!(refused(r#"{"v":2,"ask":"who"}"#).contains("this is version 2"));
        assert!(refused(r#"{"v":1}"#).contains("known are: who, settings"));
        assert!(refused(r#"{"v":1,"ask":"stop\n"}"#).starts_with("unknown request \"stop\"; known are: who"));
        assert!(refused(r#"{"v":1,"ask":"retry"}"#).contains("missing field `alerts`"), "not all by mistake");
        let long = refused(&format!(r#"{{"v":1,"ask":"{}"}}"#, "x".repeat(60_000)));
        assert!(long.len() < 500, "{} bytes", long.len());
    }

    #[test]
    fn an_answer_without_an_end_is_not_sent() {
        let settings = Value::from("x".repeat(ANSWER_BYTES_MAX));
        let line = write_answer(&Answer::Settings { settings });
        let Ok(Answer::Refused { why }) = read_answer(&line) else { panic!("it is sent") };
        assert!(why.contains("may have 16777216"), "{why}");
    }
}
