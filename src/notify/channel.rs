//! A channel that people are told through, as its settings say it, and the kinds that there are.

use std::collections::BTreeMap;
use std::time::Duration;

use api_health_core::{Method, Secret};
use serde_json::Value;

use super::kinds;
use crate::configs::values::ValueFault;

/// One `[[notify.channel]]`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelSettings {
    /// By which records, commands and logs know it. Stable: what is owed to a channel is owed to this name.
    pub name: String,
    pub kind: &'static ChannelKind,
    /// Alerts of APIs that have one of these tags go here; empty: those of every API.
    pub tags: Vec<String>,
    /// The values of the kind's keys, references filled in.
    pub keys: BTreeMap<&'static str, Secret>,
    pub headers: Vec<(String, Secret)>,
    /// A body instead of the kind's own.
    pub template: Option<String>,
    pub success: Option<Success>,
    /// Bound on one attempt.
    pub timeout: Duration,
}

impl ChannelSettings {
    /// The channel that `[notify.webhook]` sets up.
    pub fn webhook(url: Secret, secret: Option<Secret>, timeout: Duration) -> Self {
        let keys = [("url", Some(url)), ("secret", secret)];
        Self {
            name: "webhook".into(),
            kind: &kinds::WEBHOOK,
            tags: Vec::new(),
            keys: keys.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            headers: Vec::new(),
            template: None,
            success: None,
            timeout,
        }
    }

    /// The page or server that alerts are posted to; `None` where they are told in another way.
    pub fn posted_to(&self) -> Option<&str> {
        let posting = self.kind.posting.as_ref()?;
        Some(self.keys.get("url").map_or(posting.default_url, Secret::reveal))
    }
}

/// What a 2xx must hold to count as taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Success {
    Contains(String),
    /// The value at this JSON pointer is this one.
    Json {
        pointer: String,
        equals: Value,
    },
}

/// A kind of channel: `slack`, `pagerduty`, `email`.
#[derive(Debug, PartialEq)]
pub struct ChannelKind {
    pub name: &'static str,
    pub keys: &'static [Key],
    /// Hosts that belong to this kind: under another one, their URL is a fault. `.example.com` means every host below it.
    pub hosts: &'static [&'static str],
    /// How it is posted to; `None`: it is told in another way.
    pub posting: Option<Posting>,
}

/// What is wrong with the value of a key: `url`, `template`.
pub type KeyFault = (&'static str, ValueFault);

/// What a kind must or may be told, as a key of `[[notify.channel]]`.
#[derive(Debug, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub required: bool,
    /// Never shown.
    pub secret: bool,
    pub example: &'static str,
    pub meaning: &'static str,
}

/// How a kind of channel is asked over HTTP, and what its answers mean.
#[derive(Debug, PartialEq)]
pub struct Posting {
    pub method: Method,
    /// Where to, with keys and words of the alert in braces: `{url}/bot{bot_token}/sendMessage`.
    pub url: &'static str,
    /// Where the end of an incident goes to, if not there as well.
    pub end_url: Option<&'static str>,
    /// The value of the key `url` where the settings have none.
    pub default_url: &'static str,
    /// What is added to the URL's query.
    pub query: &'static [(&'static str, &'static str)],
    /// Headers beside those of every post, with keys in braces. One whose keys have no value is left out.
    pub headers: &'static [(&'static str, &'static str)],
    /// The template of the body; `None`: the machine form.
    pub body: Option<&'static str>,
    /// Whether many alerts may go in one message.
    pub takes_digests: bool,
    pub markup: Markup,
    pub title_max: Length,
    pub text_max: Length,
    pub signs: Signs,
    /// A 2xx counts as taken if one of these holds; empty: if it refuses nothing.
    pub taken: &'static [Taken],
    /// Where in the body of an answer stands how long to wait.
    pub patience: Option<Patience>,
    /// What drops a repeat, in words for people.
    pub repeats: &'static str,
}

/// How long a text may be: in UTF-16 units, of which it never has fewer than characters, or in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    Chars(usize),
    Bytes(usize),
}

/// What a kind reads into a text, and so what has to be escaped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Markup {
    /// Nothing.
    Plain,
    /// `@name` and `<…>` call people, and no escape is known: signs that look alike stand for them.
    Calls,
    /// The same, and Markdown.
    Markdown,
    /// Slack's: `&`, `<` and `>` as entities.
    Slack,
}

/// How a post is signed with the key `secret`, where there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Signs {
    Not,
    /// In a header, over time and body.
    Header,
    /// In the query, over the time in milliseconds.
    Query,
    /// In the body, over the time in seconds: the template has `timestamp` and `sign`.
    Body,
}

/// What shows in a 2xx that the alert was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Taken {
    /// It is this status.
    Status(u16),
    /// The body is empty.
    Empty,
    /// The body is this word.
    Word(&'static str),
    /// At this JSON pointer is this number, or text.
    Number(&'static str, i64),
    /// At this JSON pointer is `true`.
    True(&'static str),
    /// At this JSON pointer is a text or a number that is not empty.
    Some(&'static str),
}

/// Where a body says how long to wait, as a JSON pointer. It goes before the header `retry-after`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Patience {
    Seconds(&'static str),
    Milliseconds(&'static str),
}
