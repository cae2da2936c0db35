//! The kinds of channels, one table. What was read about each, and when, stands in `docs/alerts.md`.

use api_health_core::Method;

use super::channel::{ChannelKind, Key, Length, Markup, Patience, Posting, Signs, Taken};

/// The kind that is called so.
pub fn named(name: &str) -> Option<&'static ChannelKind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// The kind that a host belongs to, if it belongs to one.
pub fn of_host(host: &str) -> Option<&'static ChannelKind> {
    let host = host.trim_end_matches('.');
    KINDS.iter().find(|kind| {
        kind.hosts.iter().any(|known| match known.strip_prefix('.') {
            Some(_) => host.ends_with(known),
            None => host == *known,
        })
    })
}

/// All of them, by name.
pub static KINDS: &[ChannelKind] = &[
    ChannelKind {
        name: "dingtalk",
        keys: &[
            URL,
            key("secret", false, true, "\"${env:DINGTALK_SECRET}\"", "Signs each post, where the robot wants that."),
        ],
        hosts: &["oapi.dingtalk.com"],
        posting: Some(Posting {
            body: Some(include_str!("kinds/dingtalk.json.j2")),
            markup: Markup::Calls,
            title_max: Length::Bytes(1_000),
            text_max: Length::Bytes(15_000),
            signs: Signs::Query,
            taken: &[Taken::Number("/errcode", 0)],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "discord",
        keys: &[URL],
        hosts: &["discord.com", ".discord.com", "discordapp.com", ".discordapp.com"],
        posting: Some(Posting {
            // Without it the answer says nothing of whether the message was kept.
            query: &[("wait", "true")],
            body: Some(include_str!("kinds/discord.json.j2")),
            markup: Markup::Markdown,
            title_max: Length::Chars(1_900),
            text_max: Length::Chars(4_000),
            taken: &[Taken::Some("/id")],
            patience: Some(Patience::Seconds("/retry_after")),
            ..CHAT
        }),
    },
    super::email::KIND,
    ChannelKind { name: "feishu", keys: FEISHU_KEYS, hosts: &["open.feishu.cn"], posting: Some(FEISHU) },
    ChannelKind {
        name: "googlechat",
        keys: &[URL],
        hosts: &["chat.googleapis.com"],
        posting: Some(Posting {
            query: &[("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")],
            body: Some(include_str!("kinds/googlechat.json.j2")),
            markup: Markup::Calls,
            taken: &[Taken::Some("/name")],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "gotify",
        keys: &[SERVER, key("token", true, true, "\"${env:GOTIFY_TOKEN}\"", "The token of an application.")],
        hosts: &[],
        posting: Some(Posting {
            url: "{url}/message",
            headers: &[("x-gotify-key", "{token}")],
            body: Some(include_str!("kinds/gotify.json.j2")),
            taken: &[Taken::Some("/id")],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "jsm",
        keys: OPSGENIE_KEYS,
        hosts: &["api.atlassian.com"],
        posting: Some(Posting {
            url: "{url}/jsm/ops/integration/v2/alerts",
            end_url: Some("{url}/jsm/ops/integration/v2/alerts/{thread}/close?identifierType=alias"),
            default_url: "https://api.atlassian.com",
            ..OPSGENIE
        }),
    },
    ChannelKind { name: "lark", keys: FEISHU_KEYS, hosts: &["open.larksuite.com"], posting: Some(FEISHU) },
    ChannelKind {
        name: "matrix",
        keys: &[
            SERVER,
            key("room_id", true, false, "\"!abc:example.com\"", "The room's internal id."),
            key("access_token", true, true, "\"${env:MATRIX_TOKEN}\"", "Of a user who is in the room."),
        ],
        hosts: &["matrix-client.matrix.org"],
        posting: Some(Posting {
            method: Method::Put,
            // The transaction id makes the server drop a repeat.
            url: "{url}/_matrix/client/v3/rooms/{room_id}/send/m.room.message/{alert_id}",
            headers: &[("authorization", "Bearer {access_token}")],
            body: Some(include_str!("kinds/matrix.json.j2")),
            taken: &[Taken::Some("/event_id")],
            patience: Some(Patience::Milliseconds("/retry_after_ms")),
            repeats: "the server, by its transaction id, which is the alert id",
            ..CHAT
        }),
    },
    ChannelKind {
        name: "mattermost",
        keys: &[URL],
        hosts: &[".cloud.mattermost.com"],
        posting: Some(Posting {
            body: Some(include_str!("kinds/mattermost.json.j2")),
            markup: Markup::Markdown,
            taken: &[Taken::Word("ok")],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "ntfy",
        keys: &[
            key("topic", true, true, "\"${env:NTFY_TOPIC}\"", "The topic; whoever knows it may read."),
            key("token", false, true, "\"${env:NTFY_TOKEN}\"", "An access token, where the topic needs one."),
            BASE,
        ],
        hosts: &["ntfy.sh"],
        posting: Some(Posting {
            default_url: "https://ntfy.sh",
            headers: &[("authorization", "Bearer {token}")],
            body: Some(include_str!("kinds/ntfy.json.j2")),
            title_max: Length::Bytes(800),
            text_max: Length::Bytes(3_800),
            taken: &[Taken::Some("/id")],
            repeats: "the app, which shows a repeat in place of the first (server 2.16 and later)",
            ..CHAT
        }),
    },
    ChannelKind {
        name: "opsgenie",
        keys: OPSGENIE_KEYS,
        hosts: &["api.opsgenie.com", "api.eu.opsgenie.com"],
        posting: Some(OPSGENIE),
    },
    ChannelKind {
        name: "pagerduty",
        keys: &[
            key("routing_key", true, true, "\"${env:PAGERDUTY_KEY}\"", "The integration key of Events API v2."),
            BASE,
        ],
        hosts: &["events.pagerduty.com", "events.eu.pagerduty.com"],
        posting: Some(Posting {
            url: "{url}/v2/enqueue",
            default_url: "https://events.pagerduty.com",
            body: Some(include_str!("kinds/pagerduty.json.j2")),
            // One event is one incident.
            takes_digests: false,
            title_max: Length::Chars(1_000),
            text_max: Length::Chars(8_000),
            taken: &[Taken::Status(202)],
            repeats: "PagerDuty, by `dedup_key`, which is the incident id",
            ..CHAT
        }),
    },
    ChannelKind {
        name: "pushover",
        keys: &[
            key("token", true, true, "\"${env:PUSHOVER_TOKEN}\"", "The token of an application."),
            key("user", true, true, "\"${env:PUSHOVER_USER}\"", "The key of a user or a group."),
            BASE,
        ],
        hosts: &["api.pushover.net"],
        posting: Some(Posting {
            url: "{url}/1/messages.json",
            default_url: "https://api.pushover.net",
            body: Some(include_str!("kinds/pushover.json.j2")),
            title_max: Length::Chars(240),
            text_max: Length::Chars(1_000),
            taken: &[Taken::Number("/status", 1)],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "rocketchat",
        keys: &[URL],
        hosts: &[".rocket.chat"],
        posting: Some(Posting {
            body: Some(include_str!("kinds/rocketchat.json.j2")),
            markup: Markup::Markdown,
            taken: &[Taken::True("/success")],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "slack",
        keys: &[URL],
        hosts: &["hooks.slack.com", "hooks.slack-gov.com"],
        posting: Some(Posting {
            body: Some(include_str!("kinds/slack.json.j2")),
            markup: Markup::Slack,
            taken: &[Taken::Word("ok"), Taken::True("/ok")],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "sns",
        keys: &[
            key("topic_arn", true, false, "\"arn:aws:sns:eu-central-1:123456789012:api-health\"", "The topic."),
            key(
                "chat",
                false,
                false,
                "true",
                "Whether subscriptions by https get what Amazon Q Developer shows in a chat.",
            ),
        ],
        hosts: &[],
        posting: None,
    },
    ChannelKind {
        name: "teams",
        keys: &[URL],
        // A Workflow's host serves other flows as well, which may take the machine form.
        hosts: &[".webhook.office.com", "outlook.office.com"],
        posting: Some(Posting {
            body: Some(include_str!("kinds/teams.json.j2")),
            title_max: Length::Bytes(1_000),
            text_max: Length::Bytes(8_000),
            taken: &[Taken::Status(202), Taken::Empty, Taken::Word("1")],
            ..CHAT
        }),
    },
    ChannelKind {
        name: "telegram",
        keys: &[
            key("bot_token", true, true, "\"${env:TELEGRAM_TOKEN}\"", "The bot's token."),
            key("chat_id", true, false, "\"-1001234567890\"", "The chat, or `@channel`."),
            key("thread_id", false, false, "\"17\"", "The topic of a forum."),
            BASE,
        ],
        hosts: &["api.telegram.org"],
        posting: Some(Posting {
            url: "{url}/bot{bot_token}/sendMessage",
            default_url: "https://api.telegram.org",
            body: Some(include_str!("kinds/telegram.json.j2")),
            markup: Markup::Calls,
            taken: &[Taken::True("/ok")],
            patience: Some(Patience::Seconds("/parameters/retry_after")),
            ..CHAT
        }),
    },
    ChannelKind { name: "terminal", keys: &[], hosts: &[], posting: None },
    WEBHOOK,
    ChannelKind {
        name: "wecom",
        keys: &[URL],
        hosts: &["qyapi.weixin.qq.com"],
        posting: Some(Posting {
            body: Some(include_str!("kinds/wecom.json.j2")),
            markup: Markup::Calls,
            title_max: Length::Bytes(400),
            text_max: Length::Bytes(1_600),
            taken: &[Taken::Number("/errcode", 0)],
            ..CHAT
        }),
    },
];

/// Any server of yours, in the machine form.
pub const WEBHOOK: ChannelKind = ChannelKind {
    name: "webhook",
    keys: &[URL, key("secret", false, true, "\"${env:WEBHOOK_SECRET}\"", "Signs each post.")],
    hosts: &[],
    posting: Some(Posting {
        body: None,
        signs: Signs::Header,
        text_max: Length::Chars(8_000),
        repeats: "the receiver, by the alert id",
        ..CHAT
    }),
};

/// What most chats have in common.
const CHAT: Posting = Posting {
    method: Method::Post,
    url: "{url}",
    end_url: None,
    default_url: "",
    query: &[],
    headers: &[],
    body: None,
    takes_digests: true,
    markup: Markup::Plain,
    title_max: Length::Chars(300),
    text_max: Length::Chars(3_500),
    signs: Signs::Not,
    taken: &[],
    patience: None,
    repeats: "nobody",
};

const FEISHU: Posting = Posting {
    body: Some(include_str!("kinds/feishu.json.j2")),
    markup: Markup::Calls,
    signs: Signs::Body,
    taken: &[Taken::Number("/code", 0), Taken::Number("/StatusCode", 0)],
    ..CHAT
};

const OPSGENIE: Posting = Posting {
    url: "{url}/v2/alerts",
    end_url: Some("{url}/v2/alerts/{thread}/close?identifierType=alias"),
    default_url: "https://api.opsgenie.com",
    headers: &[("authorization", "GenieKey {api_key}")],
    body: Some(include_str!("kinds/opsgenie.json.j2")),
    takes_digests: false,
    title_max: Length::Chars(130),
    text_max: Length::Chars(14_000),
    taken: &[Taken::Status(202)],
    repeats: "the service, by `alias`, which is the incident id",
    ..CHAT
};

/// A key of a kind.
pub(super) const fn key(
    name: &'static str,
    required: bool,
    secret: bool,
    example: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, required, secret, example, meaning }
}

const URL: Key = key("url", true, true, "\"https://hooks.example.com/…\"", "Where alerts are posted to.");
const SERVER: Key = key("url", true, false, "\"https://chat.example.com\"", "The server.");
const BASE: Key = key("url", false, false, "\"https://chat.example.com\"", "Another server than the usual one.");
const FEISHU_KEYS: &[Key] =
    &[URL, key("secret", false, true, "\"${env:FEISHU_SECRET}\"", "Signs each post, where the bot wants that.")];
const OPSGENIE_KEYS: &[Key] =
    &[key("api_key", true, true, "\"${env:OPSGENIE_KEY}\"", "The key of an API integration."), BASE];
