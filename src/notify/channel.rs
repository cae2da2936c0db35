//! A channel that people are told through, as its settings say it.

use std::collections::BTreeMap;
use std::time::Duration;

use api_health_core::Secret;
use serde_json::Value;

/// One `[[notify.channel]]`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelSettings {
    /// By which records, commands and logs know it. Stable: what is owed to a channel is owed to this name.
    pub name: String,
    pub kind: &'static Kind,
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
pub struct Kind {
    pub name: &'static str,
    pub keys: &'static [Key],
    /// Hosts that belong to this kind: under another one, their URL is a fault. `.example.com` means every host below it.
    pub hosts: &'static [&'static str],
}

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
