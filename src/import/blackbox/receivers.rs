//! Receivers of Alertmanager as channels of the settings.

use super::super::channels::{Channel, Known};
use super::super::reading::Reading;
use super::super::report::{Field, Fields};

/// The lists in a receiver, the kinds of channels, and the keys of both.
const KINDS: [Known; 10] = [
    ("slack_configs", "slack", &[("api_url", "url")]),
    ("discord_configs", "discord", &[("webhook_url", "url")]),
    ("msteams_configs", "teams", &[("webhook_url", "url")]),
    ("msteamsv2_configs", "teams", &[("webhook_url", "url")]),
    ("pagerduty_configs", "pagerduty", &[("routing_key", "routing_key"), ("service_key", "routing_key")]),
    ("opsgenie_configs", "opsgenie", &[("api_key", "api_key")]),
    ("telegram_configs", "telegram", &[("bot_token", "bot_token"), ("chat_id", "!chat_id")]),
    ("pushover_configs", "pushover", &[("token", "token"), ("user_key", "user")]),
    ("webhook_configs", "webhook", &[("url", "url")]),
    ("sns_configs", "sns", &[("topic_arn", "!topic_arn")]),
];

/// Reads alertmanager.yml.
pub(super) fn read(reading: &mut Reading<'_>, root: Field) {
    let global = root.node.get("global").cloned();
    let of_all = |name: &str| global.as_ref().and_then(|node| node.get(name)?.scalar().map(str::to_owned));
    let mut top = reading.report.fields(root);
    if let Some(field) = top.take("receivers") {
        for item in reading.report.items(field) {
            receiver(reading, item, &of_all);
        }
    }
    if let Some(field) = top.take("global") {
        for field in reading.report.fields(field).into_fields() {
            let name = field.path.trim_start_matches("global.").to_owned();
            match name.starts_with("smtp_") || matches!(name.as_str(), "slack_api_url" | "opsgenie_api_key") {
                true => reading.report.near(field, "in the channels that use it"),
                false => reading.report.lost(field, "it is about Alertmanager itself"),
            }
        }
    }
    reading.report.rest_but(top, "it is about Alertmanager itself", |path| match path {
        "route" => Some("tags say which channel an alert goes to: `tags` of a channel"),
        "inhibit_rules" => Some("`depends_on` of a row holds its alerts while another one is down"),
        "templates" => Some("`template` of a channel is its text"),
        "time_intervals" | "mute_time_intervals" => Some("`maintenance` of a row holds its alerts"),
        _ => None,
    });
}

fn receiver(reading: &mut Reading<'_>, field: Field, of_all: &dyn Fn(&str) -> Option<String>) {
    let mut fields = reading.report.fields(field);
    let name = fields.text("name").to_owned();
    reading.report.all_taken(&mut fields, &["name"]);
    for (list, kind, keys) in KINDS {
        let Some(field) = fields.take(list) else { continue };
        for item in reading.report.items(field) {
            let mut inner = reading.report.fields(item);
            let mut channel = Channel::beside(&reading.channels, &name, kind);
            for (theirs, ours) in keys {
                let value = inner.take(theirs);
                let global = (kind == "slack").then(|| of_all("slack_api_url")).flatten();
                let global = global.or_else(|| (kind == "opsgenie").then(|| of_all("opsgenie_api_key")).flatten());
                channel = key(reading, channel, ours, value, global);
                let file = inner.take(&format!("{theirs}_file"));
                if let Some(field) = file {
                    channel = channel.with(ours.trim_start_matches('!'), format!("${{file:{}}}", field.text()));
                    reading.report.near(field, format!("as a channel of the settings, {}", channel.name));
                }
            }
            left_over(reading, inner);
            reading.channels.push(channel);
        }
    }
    if let Some(field) = fields.take("email_configs") {
        for item in reading.report.items(field) {
            email(reading, item, &name, of_all);
        }
    }
    reading.report.others_lost(fields, "there is no such channel; a webhook, or SNS, may reach the same people");
}

fn key(
    reading: &mut Reading<'_>,
    channel: Channel,
    ours: &str,
    field: Option<Field>,
    global: Option<String>,
) -> Channel {
    let name = ours.trim_start_matches('!');
    let Some(field) = field else {
        // The secret of all receivers of that kind, which stands above them.
        let Some(value) = global.filter(|_| !channel.keys.contains_key(name)) else { return channel };
        let reference =
            reading.secrets.reference(&format!("{}_{name}", channel.name), &value, &"alertmanager".into(), 0, "global");
        return channel.with(name, reference);
    };
    let (_, value) = reading.of_channel(&channel.name, ours, &field, &field.text());
    reading.report.near(field, format!("as a channel of the settings, {}", channel.name));
    channel.with(name, value)
}

fn email(reading: &mut Reading<'_>, item: Field, name: &str, of_all: &dyn Fn(&str) -> Option<String>) {
    let mut inner = reading.report.fields(item);
    let mut channel = Channel::beside(&reading.channels, name, "email");
    for (theirs, ours) in [("to", "!to"), ("from", "!from"), ("auth_username", "!user"), ("auth_password", "password")]
    {
        let field = inner.take(theirs);
        let global = of_all(&format!("smtp_{theirs}"));
        channel = match (field, global, ours.strip_prefix('!')) {
            (None, Some(text), Some(open)) => channel.with(open, reading.text(&text)),
            (field, global, _) => key(reading, channel, ours, field, global),
        };
    }
    let host = inner.take("smarthost");
    let place = host.as_ref().and_then(|field| field.scalar().map(str::to_owned)).or_else(|| of_all("smtp_smarthost"));
    if let Some(place) = place {
        let scheme = if place.ends_with(":465") { "smtps" } else { "smtp" };
        channel = channel.with("url", format!("{scheme}://{place}"));
    }
    if let Some(field) = host {
        reading.report.near(field, format!("as a channel of the settings, {}", channel.name));
    }
    left_over(reading, inner);
    reading.channels.push(channel);
}

fn left_over(reading: &mut Reading<'_>, fields: Fields) {
    for field in fields.into_fields() {
        let is_resolved = field.path.ends_with(".send_resolved") && field.flag() == Some(true);
        let why = "our own text is sent, and that it is well again is always told";
        reading.report.lost_unless(is_resolved, field, why);
    }
}
