//! What each service takes, refuses and answers, as its documentation has it: the other end of every preset.

use std::collections::BTreeMap;
use std::time::Duration;

use api_health::notify::channel::{ChannelKind, ChannelSettings};
use api_health::notify::kinds;
use api_health_core::Secret;
use serde_json::Value;

/// Must be in no error and in no log; every key that is secret has it.
pub const SECRET: &str = "preset-secret-token";

/// An answer: status, more header lines, body.
pub type Answer = (u16, &'static str, &'static str);

/// A request as it came.
pub struct Request {
    pub method: String,
    pub path: String,
    pub head: String,
    pub body: String,
}

/// What a request tells.
#[derive(Debug)]
pub struct Said {
    /// All words that people see.
    pub words: String,
    /// What the service drops a repeat by; `None`: it shows each.
    pub key: Option<String>,
    /// It ends what has this key.
    pub ends: bool,
}

/// The other end of one kind.
pub struct Vendor {
    pub kind: &'static str,
    /// What comes after the server's address in `url`, where `url` is a page and not a server.
    pub page: &'static str,
    /// Whether the request is one that the service takes, and what it says.
    pub read: fn(&Request, &Value) -> Result<Said, String>,
    pub takes: Answer,
    /// Inside a 200 or 204: a refusal, or what is no answer of this service.
    pub refuses: Answer,
    /// Too much at once, and how long it asks to be left alone.
    pub limits: Answer,
    pub asks: Option<Duration>,
}

const PAGE: Answer = (200, "content-type: text/html\r\n", "<html><title>Log in</title>");
const SECONDS_7: Option<Duration> = Some(Duration::from_secs(7));

pub const VENDORS: &[Vendor] = &[
    Vendor {
        kind: "dingtalk",
        page: "/robot/send?access_token=preset-secret-token",
        read: |request, body| {
            for name in ["timestamp=", "sign="] {
                check(request.path.contains(name), name)?;
            }
            check(body["msgtype"] == "text" && body["at"]["isAtAll"] == false, "msgtype, at")?;
            words(&[&body["text"]["content"]], Bytes(20_000))
        },
        takes: (200, "", r#"{"errcode":0,"errmsg":"ok"}"#),
        refuses: (200, "", r#"{"errcode":310000,"errmsg":"sign not match"}"#),
        limits: (200, "", r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#),
        asks: None,
    },
    Vendor {
        kind: "discord",
        page: "/api/webhooks/1/preset-secret-token",
        read: |request, body| {
            check(request.path.ends_with("?wait=true"), "wait")?;
            check(body["allowed_mentions"]["parse"] == Value::Array(Vec::new()), "allowed_mentions")?;
            words(&[&body["content"]], Chars(2_000))?;
            words(&[&body["embeds"][0]["description"]], Chars(4_096))?;
            words(&[&body["content"], &body["embeds"][0]["description"]], Chars(6_000))
        },
        takes: (200, "", r#"{"id":"1234567890","type":0,"content":"…"}"#),
        refuses: (204, "", ""),
        limits: (
            429,
            "retry-after: 65\r\n",
            r#"{"message":"You are being rate limited.","retry_after":0.64,"global":false}"#,
        ),
        asks: Some(Duration::from_millis(640)),
    },
    Vendor { kind: "feishu", ..FEISHU },
    Vendor {
        kind: "googlechat",
        page: "/v1/spaces/A/messages?key=k&token=preset-secret-token",
        read: |request, body| {
            check(request.path.contains("&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"), "reply option")?;
            check(body["thread"]["threadKey"].is_string(), "thread")?;
            words(&[&body["text"]], Chars(4_096))
        },
        takes: (200, "", r#"{"name":"spaces/A/messages/B","text":"…"}"#),
        refuses: PAGE,
        limits: (429, "", r#"{"error":{"code":429,"message":"Resource exhausted","status":"RESOURCE_EXHAUSTED"}}"#),
        asks: None,
    },
    Vendor {
        kind: "gotify",
        page: "",
        read: |request, body| {
            check(request.path == "/message", "path")?;
            header(request, "x-gotify-key: preset-secret-token")?;
            check(body["priority"].is_u64(), "priority")?;
            words(&[&body["title"], &body["message"]], Chars(10_000))
        },
        takes: (200, "", r#"{"id":25,"appid":5,"message":"…","date":"2026-11-22T07:30:00Z"}"#),
        refuses: PAGE,
        limits: (429, "retry-after: 7\r\n", ""),
        asks: SECONDS_7,
    },
    Vendor { kind: "jsm", ..OPSGENIE },
    Vendor { kind: "lark", ..FEISHU },
    Vendor {
        kind: "matrix",
        page: "",
        read: |request, body| {
            check(request.method == "PUT", "PUT")?;
            let transaction =
                request.path.strip_prefix("/_matrix/client/v3/rooms/room_id-of-preset/send/m.room.message/");
            header(request, "authorization: Bearer preset-secret-token")?;
            check(body["msgtype"] == "m.text" && body["m.mentions"].is_object(), "msgtype, m.mentions")?;
            let said = words(&[&body["body"]], Bytes(60_000))?;
            Ok(Said { key: Some(transaction.ok_or("path")?.to_owned()), ..said })
        },
        takes: (200, "", r#"{"event_id":"$abc:example.com"}"#),
        refuses: (200, "", "{}"),
        limits: (429, "", r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests","retry_after_ms":2500}"#),
        asks: Some(Duration::from_millis(2_500)),
    },
    Vendor {
        kind: "mattermost",
        page: "/hooks/preset-secret-token",
        read: |_, body| words(&[&body["text"], &body["attachments"][0]["text"]], Chars(4_000)),
        takes: (200, "content-type: text/plain\r\n", "ok"),
        refuses: PAGE,
        limits: (429, "retry-after: 7\r\n", "limit exceeded"),
        asks: SECONDS_7,
    },
    Vendor {
        kind: "ntfy",
        page: "",
        read: |request, body| {
            check(request.path == "/", "path")?;
            header(request, "authorization: Bearer preset-secret-token")?;
            words(&[&body["title"]], Bytes(1_024))?;
            words(&[&body["message"]], Bytes(4_096))?;
            let id = body["sequence_id"].as_str().unwrap_or_default();
            let known = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            check((1..=64).contains(&id.len()) && id.chars().all(known), "sequence_id")?;
            Ok(Said { key: Some(id.into()), ..words(&[&body["title"], &body["message"]], Bytes(5_120))? })
        },
        takes: (200, "", r#"{"id":"hwQ2YpKdmg","time":1795332600,"event":"message","topic":"t"}"#),
        refuses: PAGE,
        limits: (429, "", r#"{"code":42901,"http":429,"error":"limit reached: too many requests"}"#),
        asks: None,
    },
    Vendor { kind: "opsgenie", ..OPSGENIE },
    Vendor {
        kind: "pagerduty",
        page: "",
        read: |request, body| {
            check(request.path == "/v2/enqueue" && body["routing_key"] == SECRET, "path, routing_key")?;
            let severity = body["payload"]["severity"].as_str().unwrap_or_default();
            check(["critical", "error", "warning", "info"].contains(&severity), "severity")?;
            check(body["payload"]["source"].is_string(), "source")?;
            let key = body["dedup_key"].as_str().filter(|key| key.len() <= 255).ok_or("dedup_key")?;
            let action = body["event_action"].as_str().unwrap_or_default();
            check(["trigger", "resolve"].contains(&action), "event_action")?;
            words(&[&body["payload"]["summary"]], Chars(1_024))?;
            let said =
                words(&[&body["payload"]["summary"], &body["payload"]["custom_details"]["text"]], Bytes(500_000))?;
            Ok(Said { key: Some(key.into()), ends: action == "resolve", ..said })
        },
        takes: (202, "", r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#),
        refuses: PAGE,
        limits: (429, "", r#"{"status":"throttle exceeded"}"#),
        asks: None,
    },
    Vendor {
        kind: "pushover",
        page: "",
        read: |request, body| {
            check(
                request.path == "/1/messages.json" && body["token"] == SECRET && body["user"] == SECRET,
                "path, keys",
            )?;
            words(&[&body["title"]], Chars(250))?;
            words(&[&body["message"]], Chars(1_024))?;
            words(&[&body["title"], &body["message"]], Chars(1_300))
        },
        takes: (200, "", r#"{"status":1,"request":"647d2300-702c-4b38-8b2f-d56326ae460b"}"#),
        refuses: (200, "", r#"{"status":0,"errors":["user identifier is invalid"]}"#),
        limits: (429, "", r#"{"status":0,"errors":["application is over its quota"]}"#),
        asks: None,
    },
    Vendor {
        kind: "rocketchat",
        page: "/hooks/1/preset-secret-token",
        read: |_, body| words(&[&body["text"], &body["attachments"][0]["text"]], Chars(5_000)),
        takes: (200, "", r#"{"success":true}"#),
        refuses: (200, "", r#"{"success":false,"error":"error-invalid-channel"}"#),
        limits: (429, "", r#"{"success":false,"error":"Error, too many requests"}"#),
        asks: None,
    },
    Vendor {
        kind: "slack",
        page: "/services/T0/B0/preset-secret-token",
        read: |request, body| {
            check(!request.body.contains("<!") && !request.body.contains("\\u003c!"), "a call to the channel")?;
            words(&[&body["text"], &body["attachments"][0]["text"]], Chars(4_000))
        },
        takes: (200, "content-type: text/html\r\n", "ok"),
        refuses: (200, "", r#"{"ok":false,"error":"channel_is_archived"}"#),
        limits: (429, "Retry-After: 7\r\n", "rate_limited"),
        asks: SECONDS_7,
    },
    Vendor {
        kind: "teams",
        page: "/workflows/preset-secret-token",
        read: |request, body| {
            check(request.body.len() <= 20 * 1024, "size")?;
            let card = &body["attachments"][0];
            check(card["contentType"] == "application/vnd.microsoft.card.adaptive", "contentType")?;
            check(card["content"]["type"] == "AdaptiveCard", "type")?;
            let runs: Vec<&Value> = card["content"]["body"]
                .as_array()
                .ok_or("body")?
                .iter()
                .map(|block| &block["inlines"][0]["text"])
                .collect();
            words(&runs, Bytes(20_000))
        },
        takes: (202, "", ""),
        refuses: (
            200,
            "",
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 403 with ContextId tcid=0",
        ),
        limits: (429, "retry-after: 7\r\n", ""),
        asks: SECONDS_7,
    },
    Vendor {
        kind: "telegram",
        page: "",
        read: |request, body| {
            check(request.path == "/botpreset-secret-token/sendMessage", "path")?;
            check(body["chat_id"].is_string() && body.get("parse_mode").is_none(), "chat_id, parse_mode")?;
            words(&[&body["text"]], Chars(4_096))
        },
        takes: (200, "", r#"{"ok":true,"result":{"message_id":42}}"#),
        refuses: (200, "", r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#),
        limits: (
            429,
            "",
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}"#,
        ),
        asks: Some(Duration::from_secs(9)),
    },
    Vendor {
        kind: "webhook",
        page: "/hook/preset-secret-token",
        read: |request, body| {
            header(request, "x-api-health-signature: v1=")?;
            let id = body["alert_id"].as_str().or(body["digest_id"].as_str()).ok_or("alert_id")?;
            Ok(Said { key: Some(id.into()), words: request.body.clone(), ends: false })
        },
        takes: (204, "", ""),
        refuses: (200, "", r#"{"ok":false,"error":"no_text"}"#),
        limits: (429, "retry-after: 7\r\n", ""),
        asks: SECONDS_7,
    },
    Vendor {
        kind: "wecom",
        page: "/cgi-bin/webhook/send?key=preset-secret-token",
        read: |_, body| {
            check(body["msgtype"] == "text", "msgtype")?;
            words(&[&body["text"]["content"]], Bytes(2_048))
        },
        takes: (200, "", r#"{"errcode":0,"errmsg":"ok"}"#),
        refuses: (200, "", r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#),
        limits: (200, "", r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#),
        asks: None,
    },
];

const FEISHU: Vendor = Vendor {
    kind: "",
    page: "/open-apis/bot/v2/hook/preset-secret-token",
    read: |request, body| {
        check(
            body["timestamp"].is_string() && body["sign"].is_string() && body["msg_type"] == "text",
            "sign, msg_type",
        )?;
        check(request.body.len() <= 20 * 1024, "size")?;
        words(&[&body["content"]["text"]], Bytes(20_000))
    },
    takes: (200, "", r#"{"code":0,"data":{},"msg":"success","StatusCode":0,"StatusMessage":"success"}"#),
    refuses: (200, "", r#"{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}"#),
    limits: (400, "", r#"{"code":11232,"msg":"create message trigger rate limit"}"#),
    asks: None,
};

const OPSGENIE: Vendor = Vendor {
    kind: "",
    page: "",
    read: |request, body| {
        header(request, "authorization: GenieKey preset-secret-token")?;
        let (_, path) = request.path.split_once("/v2/alerts").ok_or("path")?;
        if let Some((alias, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) {
            check(rest == "close?identifierType=alias", "path")?;
            return Ok(Said { key: Some(alias.into()), ends: true, ..words(&[&body["note"]], Chars(25_000))? });
        }
        check(path.is_empty() && body["details"].is_object(), "path, details")?;
        words(&[&body["message"]], Chars(130))?;
        let alias = body["alias"].as_str().filter(|alias| alias.len() <= 512).ok_or("alias")?;
        Ok(Said { key: Some(alias.into()), ..words(&[&body["message"], &body["description"]], Chars(15_130))? })
    },
    takes: (202, "", r#"{"result":"Request will be processed","took":0.1,"requestId":"r"}"#),
    refuses: PAGE,
    limits: (429, "", r#"{"message":"You are making too many requests!","took":0.0}"#),
    asks: None,
};

use Limit::{Bytes, Chars};

#[derive(Clone, Copy)]
enum Limit {
    Chars(usize),
    Bytes(usize),
}

fn check(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn header(request: &Request, wanted: &str) -> Result<(), String> {
    check(request.head.lines().any(|line| line.starts_with(wanted)), wanted)
}

/// All of them are texts with something in them, and not too long together.
fn words(texts: &[&Value], most: Limit) -> Result<Said, String> {
    let texts: Option<Vec<&str>> = texts.iter().map(|text| text.as_str().filter(|text| !text.is_empty())).collect();
    let words = texts.ok_or("a text is missing or empty")?.join("\n");
    let fits = match most {
        Chars(most) => words.encode_utf16().count() <= most,
        Bytes(most) => words.len() <= most,
    };
    check(fits, "a text is too long")?;
    Ok(Said { words, key: None, ends: false })
}

impl Vendor {
    pub fn kind(&self) -> &'static ChannelKind {
        kinds::named(self.kind).unwrap()
    }

    /// A channel of this kind that goes to a server of the test.
    pub fn settings(&self, port: u16, timeout: Duration) -> ChannelSettings {
        let mut keys: BTreeMap<&'static str, Secret> = BTreeMap::new();
        for key in self.kind().keys.iter().filter(|key| key.name != "thread_id") {
            let plain = format!("{}-of-preset", key.name);
            keys.insert(key.name, Secret::new(if key.secret { SECRET } else { plain.as_str() }));
        }
        let url = Secret::new(format!("http://127.0.0.1:{port}{}", self.page));
        keys.insert("url", url.clone());
        let settings = ChannelSettings::webhook(url, None, timeout);
        ChannelSettings { name: format!("{}-of-test", self.kind), kind: self.kind(), keys, ..settings }
    }
}
