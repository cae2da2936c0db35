//! The alerts of an endpoint, and the providers that they go to.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::channels::{Channel, Known};
use super::super::reading::Reading;
use super::super::report::{Field, Fields};
use super::super::tree::Node;
use super::super::words::milliseconds;

/// What each provider says of alerts that do not say it themselves.
pub(super) type Defaults = BTreeMap<String, Rc<Node>>;

const SAID: &str = "an alert says what was seen; the name of a row stands in it";
const SAME_FOR_ALL: &str = "a channel is the same for all rows; write another one, with a tag of its own";

/// What an endpoint's alerts say together.
#[derive(Default)]
struct Together {
    failures: Option<u64>,
    successes: Option<u64>,
    reminder: Option<u64>,
}

/// The alerts of an endpoint; the names of the channels that they go to.
pub(super) fn of_endpoint(reading: &mut Reading<'_>, field: Field, defaults: &Defaults) -> Vec<String> {
    let (mut together, mut channels) = (Together::default(), Vec::new());
    for item in reading.report.items(field) {
        let mut alert = reading.report.fields(item);
        let kind = alert.text("type").to_owned();
        let is_on = alert.peek("enabled").and_then(|node| node.flag()).unwrap_or(true);
        let default = defaults.get(&kind);
        let of = |name: &str| alert.peek(name).or_else(|| default.and_then(|node| node.get(name)));
        let number = |name: &str| of(name).and_then(|node| node.scalar()?.parse::<u64>().ok());
        if is_on {
            let (failures, successes) =
                (number("failure-threshold").unwrap_or(3), number("success-threshold").unwrap_or(2));
            together.failures = Some(together.failures.map_or(failures, |least| least.min(failures)));
            together.successes = Some(together.successes.map_or(successes, |least| least.min(successes)));
            let reminder = of("minimum-reminder-interval").and_then(|node| milliseconds(node.scalar()?));
            together.reminder = together.reminder.into_iter().chain(reminder).filter(|every| *every > 0).min();
            channels.push(kind);
        }
        alert_fields(reading, &mut alert, is_on, &together);
        reading.report.rest(alert);
    }
    if let (Some(failures), Some(successes)) = (together.failures, together.successes) {
        reading.set("failure_threshold", failures.clamp(1, 20));
        reading.set("success_threshold", successes.clamp(1, 20));
        reading.recheck_at_its_interval();
    }
    if let Some(reminder) = together.reminder {
        reading.set("remind_after_seconds", super::super::words::within(reminder, 10, 604_800).0);
    }
    channels
}

fn alert_fields(reading: &mut Reading<'_>, alert: &mut Fields, is_on: bool, together: &Together) {
    let report = &mut reading.report;
    for (name, chosen) in [("failure-threshold", together.failures), ("success-threshold", together.successes)] {
        if let Some(field) = alert.take(name) {
            let written = field.scalar().and_then(|text| text.parse::<u64>().ok());
            match written {
                Some(1..=20) if written == chosen || !is_on => report.taken(field),
                Some(_) if is_on => report.near(field, "a row has one threshold, from 1 to 20, for all its alerts"),
                Some(_) => report.taken(field),
                None => report.lost(field, "it is no number"),
            }
        }
    }
    if let Some(field) = alert.take("send-on-resolved") {
        report.near_unless(field.flag() == Some(true), field, "that it is well again is always told");
    }
    if let Some(field) = alert.take("minimum-reminder-interval") {
        report.near(field, "as remind_after_seconds: each further pause is twice as long, a day at most");
    }
    report.all_taken(alert, &["type", "enabled"]);
    report.all_lost(alert, &[("description", SAID), ("provider-override", SAME_FOR_ALL)]);
}

/// What each provider says by default, before anything is judged.
pub(super) fn defaults(document: &Node, defaults: &mut Defaults) {
    for (kind, provider) in document.get("alerting").map(|node| node.table()).unwrap_or_default() {
        if let Some(default) = provider.get("default-alert") {
            defaults.insert(kind.clone(), Rc::clone(default));
        }
    }
}

/// `alerting`: each provider as a channel.
pub(super) fn providers(reading: &mut Reading<'_>, field: Field) {
    for field in reading.report.fields(field).into_fields() {
        let kind = field.name().to_owned();
        provider(reading, field, &kind);
    }
}

/// The kinds of channels by the names of providers, with the keys of both.
const PROVIDERS: [Known; 16] = [
    ("slack", "slack", &[("webhook-url", "url")]),
    ("discord", "discord", &[("webhook-url", "url")]),
    ("teams", "teams", &[("webhook-url", "url")]),
    ("teams-workflows", "teams", &[("webhook-url", "url")]),
    ("mattermost", "mattermost", &[("webhook-url", "url")]),
    ("rocketchat", "rocketchat", &[("webhook-url", "url")]),
    ("googlechat", "googlechat", &[("webhook-url", "url")]),
    ("pagerduty", "pagerduty", &[("integration-key", "routing_key")]),
    ("opsgenie", "opsgenie", &[("api-key", "api_key")]),
    ("telegram", "telegram", &[("token", "bot_token"), ("id", "!chat_id")]),
    ("ntfy", "ntfy", &[("url", "!url"), ("topic", "topic"), ("token", "token")]),
    ("matrix", "matrix", &[("server-url", "!url"), ("access-token", "access_token"), ("internal-room-id", "!room_id")]),
    ("gotify", "gotify", &[("server-url", "!url"), ("token", "token")]),
    ("pushover", "pushover", &[("application-token", "token"), ("user-key", "user")]),
    ("email", "email", &[("from", "!from"), ("to", "!to"), ("username", "!user"), ("password", "password")]),
    ("custom", "webhook", &[("url", "url")]),
];

fn provider(reading: &mut Reading<'_>, field: Field, name: &str) {
    let Some((_, kind, keys)) = PROVIDERS.iter().find(|(known, ..)| *known == name) else {
        return reading.report.lost(field, "there is no such channel; a webhook, or SNS, may reach the same people");
    };
    let mut channel = Channel::new(name, kind);
    let mut fields = reading.report.fields(field);
    let whole = if *kind == "webhook" { "its body is ours; see `template`" } else { "our own text is sent" };
    for (theirs, ours) in *keys {
        let Some(field) = fields.take(theirs) else { continue };
        let Some(text) = field.scalar().map(str::to_owned) else {
            reading.report.lost(field, "it is no text");
            continue;
        };
        let (key, value) = reading.of_channel(&channel.name, ours, &field, &text);
        channel = channel.with(key, value);
        reading.report.near(field, format!("as a channel of the settings, {}", channel.name));
    }
    if *kind == "email" {
        let (host, port) = (fields.take("host"), fields.take("port"));
        let text = |field: &Option<Field>| field.as_ref().and_then(|f| f.scalar()).map(str::to_owned);
        let port_text = text(&port).unwrap_or_else(|| "587".into());
        let scheme = if port_text == "465" { "smtps" } else { "smtp" };
        let host_text = reading.text(&text(&host).unwrap_or_else(|| "localhost".into()));
        channel.keys.insert("url".into(), format!("{scheme}://{host_text}:{port_text}"));
        for field in [host, port].into_iter().flatten() {
            reading.report.near(field, "as the url of the channel email");
        }
    }
    if let Some(field) = fields.take("default-alert") {
        for field in reading.report.fields(field).into_fields() {
            match field.path.ends_with(".description") {
                true => reading.report.lost(field, SAID),
                false => reading.report.near(field, "in each row that has such an alert"),
            }
        }
    }
    for field in fields.into_fields() {
        let why = if field.path.ends_with(".overrides") { SAME_FOR_ALL } else { whole };
        reading.report.lost(field, why);
    }
    let missing: Vec<&str> = keys
        .iter()
        .map(|(_, ours)| ours.trim_start_matches('!'))
        .filter(|ours| !channel.keys.contains_key(*ours))
        .collect();
    if !missing.is_empty() && channel.keys.is_empty() {
        channel = channel.remark(format!("its keys did not stand there: {}", missing.join(", ")));
    }
    reading.channels.push(channel);
}
