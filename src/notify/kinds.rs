//! The kinds of channels, one table.

use super::channel::{Key, Kind};

/// All of them, by name.
pub static KINDS: &[Kind] = &[
    super::email::KIND,
    Kind { name: "sns", keys: &[TOPIC_ARN, CHAT], hosts: &[] },
    Kind { name: "terminal", keys: &[], hosts: &[] },
    Kind { name: "webhook", keys: &[URL, SECRET], hosts: &[] },
];

const TOPIC_ARN: Key = Key {
    name: "topic_arn",
    required: true,
    secret: false,
    example: "\"arn:aws:sns:eu-central-1:123456789012:api-health\"",
    meaning: "The topic.",
};
const CHAT: Key = Key {
    name: "chat",
    required: false,
    secret: false,
    example: "true",
    meaning: "Whether subscriptions by https get what Amazon Q Developer shows in a chat.",
};
const URL: Key = Key {
    name: "url",
    required: true,
    secret: true,
    example: "\"https://hooks.example.com/…\"",
    meaning: "Where alerts are posted to.",
};
const SECRET: Key = Key {
    name: "secret",
    required: false,
    secret: true,
    example: "\"${env:WEBHOOK_SECRET}\"",
    meaning: "Signs each post.",
};
