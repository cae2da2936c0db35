//! Notifications as channels of the settings, by the id that monitors refer to.

use std::collections::BTreeMap;

use super::super::channels::{Channel, Known};
use super::super::reading::Reading;
use super::super::report::Field;
use super::super::tree;

/// The kinds of channels by the types of notifications, and the keys of both.
const KINDS: [Known; 19] = [
    ("slack", "slack", &[("slackwebhookURL", "url")]),
    ("discord", "discord", &[("discordWebhookUrl", "url")]),
    ("teams", "teams", &[("webhookUrl", "url")]),
    ("mattermost", "mattermost", &[("mattermostWebhookUrl", "url")]),
    ("rocket.chat", "rocketchat", &[("rocketwebhookURL", "url")]),
    ("GoogleChat", "googlechat", &[("googleChatWebhookURL", "url")]),
    ("PagerDuty", "pagerduty", &[("pagerdutyIntegrationKey", "routing_key")]),
    ("Opsgenie", "opsgenie", &[("opsgenieApiKey", "api_key")]),
    ("telegram", "telegram", &[("telegramBotToken", "bot_token"), ("telegramChatID", "!chat_id")]),
    ("ntfy", "ntfy", &[("ntfyserverurl", "!url"), ("ntfytopic", "topic"), ("ntfyaccesstoken", "token")]),
    ("matrix", "matrix", &[("homeserverUrl", "!url"), ("internalRoomId", "!room_id"), ("accessToken", "access_token")]),
    ("gotify", "gotify", &[("gotifyserverurl", "!url"), ("gotifyapplicationToken", "token")]),
    ("pushover", "pushover", &[("pushoverapptoken", "token"), ("pushoveruserkey", "user")]),
    ("Feishu", "feishu", &[("feishuWebHookUrl", "url")]),
    ("DingDing", "dingtalk", &[("webHookUrl", "url"), ("secretKey", "secret")]),
    ("WeCom", "wecom", &[("weComBotKey", "url")]),
    ("webhook", "webhook", &[("webhookURL", "url")]),
    (
        "smtp",
        "email",
        &[("smtpFrom", "!from"), ("smtpTo", "!to"), ("smtpUsername", "!user"), ("smtpPassword", "password")],
    ),
    ("SNS", "sns", &[("topicArn", "!topic_arn")]),
];

/// Reads all of them: the names of channels by the ids of notifications.
pub(super) fn read(reading: &mut Reading<'_>, field: Field) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for item in reading.report.items(field) {
        // A backup has the configuration as a text.
        let inner = item.node.get("config").and_then(|config| tree::documents(config.scalar()?).ok()?.pop());
        let config = inner.as_ref().or_else(|| item.node.get("config"));
        let of = |name: &str| {
            let node = item.node.get(name).or_else(|| config.and_then(|config| config.get(name)));
            node.and_then(|node| node.scalar()).unwrap_or_default().to_owned()
        };
        let (id, kind, title) = (of("id"), of("type"), of("name"));
        let Some((_, ours, keys)) = KINDS.iter().find(|(theirs, ..)| *theirs == kind) else {
            reading.report.lost(item, "there is no such channel; a webhook, or SNS, may reach the same people");
            continue;
        };
        let mut channel = Channel::beside(&reading.channels, &title, ours);
        for (theirs, key) in *keys {
            let value = of(theirs);
            if value.is_empty() {
                continue;
            }
            let (key, value) = reading.of_channel(&channel.name, key, &item, &value);
            // Uptime Kuma asks for nothing but the key of its address.
            let value = match *ours {
                "wecom" => format!("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={value}"),
                _ => value,
            };
            channel = channel.with(key, value);
        }
        if *ours == "email" {
            let port = of("smtpPort");
            let scheme = if port == "465" { "smtps" } else { "smtp" };
            channel = channel.with("url", format!("{scheme}://{}:{port}", of("smtpHost")));
        }
        names.insert(id, channel.name.clone());
        reading.report.near(item, format!("as a channel of the settings, {}; our own text is sent", channel.name));
        reading.channels.push(channel);
    }
    names
}
