//! Upptime: `.upptimerc.yml`.

use std::rc::Rc;

use serde_json::{Map, json};

use super::asking::ALWAYS_CHECKED;
use super::channels::Channel;
use super::reading::{Environment, Reading, Target};
use super::report::{Field, Fields};
use super::secrets::Dialect;
use super::words::{self, quoted};
use super::{Fault, File, Import, documents, done, has_any};

/// What Upptime takes for well where a site says nothing.
const WELL: &str = "200-208,226,300-308";

/// Reads each file; their sites are put together.
pub(super) fn read(files: &[File], environment: Environment<'_>) -> Result<Import, Vec<Fault>> {
    let trees = documents(files, |document| Ok(vec![Rc::clone(document)]))?;
    has_any(&trees, &["sites"], "Upptime")?;
    let mut reading = Reading::new(Dialect::Dollar, environment);
    for (file, tree) in &trees {
        let mut top = reading.report.fields(Field::root(file, tree));
        let schedule = top.take("workflowSchedule").and_then(|field| schedule(&mut reading, field));
        if let Some(field) = top.take("sites") {
            for item in reading.report.items(field) {
                site(&mut reading, item, schedule.as_deref());
                reading.end();
            }
        }
        if let Some(field) = top.take("notifications") {
            for item in reading.report.items(field) {
                notification(&mut reading, item);
            }
        }
        reading.report.rest_but(top, "it is about the repository, and there is none", |path| match path {
            "owner" | "repo" | "assignees" | "PAT" => Some("there is no repository; incidents are kept in the store"),
            "status-website" | "i18n" | "customStatusWebsitePackage" => {
                Some("the page of api-health has its own looks")
            }
            "user-agent" => Some("`headers` of a row say it, if it has to be another one"),
            _ => None,
        });
    }
    Ok(done(reading, trees.iter().map(|(_, tree)| tree.leaves).sum()))
}

/// When all sites are looked at.
fn schedule(reading: &mut Reading<'_>, field: Field) -> Option<String> {
    let mut schedules = reading.report.fields(field);
    let uptime = schedules.take("uptime");
    reading.report.others_lost(schedules, "nothing is built on a schedule");
    let field = uptime?;
    let text = field.scalar().map(str::to_owned).filter(|text| text.split_whitespace().count() == 5);
    reading.report.lost_unless(text.is_some(), field, "it is no cron expression of five fields");
    text
}

fn site(reading: &mut Reading<'_>, field: Field, schedule: Option<&str>) {
    let of = |name: &str| field.node.of(name);
    let (url, slug) = (of("url"), of("slug"));
    let name = if of("name").is_empty() { words::place(url) } else { of("name").to_owned() };
    let api_id = reading.begin(&field.file, field.node.line, &[if slug.is_empty() { &name } else { slug }]);
    let target = match of("check") {
        "" | "http" => {
            let has_scheme = url.contains("://") || url.starts_with('$');
            let with_scheme = if has_scheme { url.to_owned() } else { format!("http://{url}") };
            let place = Field { path: format!("{}.url", field.path), ..field.clone() };
            reading.url(&api_id, &place, &with_scheme)
        }
        "tcp-ping" => {
            let host = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
            let port = of("port");
            let place = if port.is_empty() { host.to_owned() } else { format!("{host}:{port}") };
            let place = reading.plain(&place).map_err(|name| format!("the variable {name} is not set here"));
            place.map(|place| Target::new(format!("tcp://{place}")))
        }
        other => Err(format!("{other} is not spoken; http, tcp, tls and dns are")),
    };
    let Some((field, target)) = reading.asks(field, target, &name) else { return };
    let is_http = target.is_http();
    reading.set("schedule", schedule.unwrap_or("*/5 * * * *"));
    reading.set("timeout_seconds", 30);
    reading.set("success_threshold", 1);
    let mut fields = reading.report.fields(field);
    if let Some(field) = fields.take("url") {
        reading.report.judged(field, target.near);
    }
    reading.report.all_taken(&mut fields, &["name", "slug", "check", "port"]);
    if is_http {
        reading.set("max_redirects", 3);
        reading.set("expected_status", WELL);
        request(reading, &mut fields, &api_id);
        answer(reading, &mut fields);
    }
    rest(reading, fields);
}

fn request(reading: &mut Reading<'_>, fields: &mut Fields, api_id: &str) {
    if let Some(field) = fields.take("method") {
        reading.method(field);
    }
    if let Some(field) = fields.take("headers") {
        let mut headers = Map::new();
        for item in reading.report.items(field) {
            let header = item.scalar().and_then(|line| line.split_once(':')).map(|(k, v)| (k.trim(), v.trim()));
            match header.map(|(name, value)| (name.to_owned(), value.to_owned())) {
                Some((name, value)) => reading.put_header(&mut headers, api_id, &name, item, &value),
                None => reading.report.lost(item, "it is no name and value with a colon between them"),
            }
        }
        reading.set_headers(headers);
    }
    if let Some(field) = fields.take("body") {
        reading.plain_body(api_id, field);
    }
}

fn answer(reading: &mut Reading<'_>, fields: &mut Fields) {
    if let Some(field) = fields.take("expectedStatusCodes") {
        let items = match field.scalar() {
            Some(_) => vec![field],
            None => reading.report.items(field),
        };
        reading.status_codes(items);
    }
    if let Some(field) = fields.take("maxRedirects") {
        reading.redirects(field);
    }
    if let Some(field) = fields.take("maxResponseTime") {
        match field.scalar().and_then(|text| text.parse::<u64>().ok()).filter(|most| (1..=300_000).contains(most)) {
            Some(most) => {
                let how = "slower is a fail: there is no status between up and down";
                reading.assert(field, &format!("latency < {most} ms"), Some(how.into()));
            }
            None => reading.report.lost(field, "it is no number of milliseconds up to 300000"),
        }
    }
    for (name, test) in [("__dangerous__body_down", "lacks"), ("__dangerous__body_down_if_text_missing", "contains")] {
        if let Some(field) = fields.take(name) {
            let text = field.text();
            match text.is_empty() {
                true => reading.report.lost(field, "it is empty"),
                false => reading.assert(field, &format!("body {test} {}", quoted(&text)), None),
            }
        }
    }
    let degraded = ["__dangerous__body_degraded", "__dangerous__body_degraded_if_text_missing"];
    reading.report.all_lost(fields, &degraded.map(|name| (name, "there is no status between up and down")));
}

fn rest(reading: &mut Reading<'_>, mut fields: Fields) {
    if let Some(field) = fields.take("tags") {
        for item in reading.report.items(field) {
            reading.tag(&item.text());
            reading.report.taken(item);
        }
    }
    if let Some(field) = fields.take("ipv6") {
        if field.flag() == Some(true) {
            reading.set("ip_family", json!("ipv6"));
        }
        reading.report.taken(field);
    }
    for name in ["__dangerous__insecure", "__dangerous__disable_verify_peer", "__dangerous__disable_verify_host"] {
        if let Some(field) = fields.take(name) {
            reading.lost_if_on(field, ALWAYS_CHECKED);
        }
    }
    let others = [
        ("icon", "the page shows no icons"),
        ("assignees", "there is no repository whose issues somebody gets"),
        ("verbose", "`api-health probe` shows each step"),
        ("delay", "probes wait for nothing"),
    ];
    reading.report.all_lost(&mut fields, &others);
    reading.report.rest(fields);
}

/// The secrets of notifications stand in the repository's settings, under these names.
fn notification(reading: &mut Reading<'_>, field: Field) {
    let kind = field.node.of("type").to_owned();
    let keys: &[(&str, &str)] = match kind.as_str() {
        "slack" => &[("url", "NOTIFICATION_SLACK_WEBHOOK_URL")],
        "discord" => &[("url", "NOTIFICATION_DISCORD_WEBHOOK_URL")],
        "telegram" => &[("bot_token", "NOTIFICATION_TELEGRAM_BOT_KEY"), ("chat_id", "NOTIFICATION_TELEGRAM_CHAT_ID")],
        _ => return reading.report.lost(field, "there is no such channel; see `[[notify.channel]]` in the settings"),
    };
    let mut channel = Channel::beside(&reading.channels, &kind, &kind);
    for (key, name) in keys {
        reading.secrets.refer(name);
        channel = channel.with(key, format!("${{env:{name}}}"));
    }
    reading.report.near(field, format!("as a channel of the settings, {}", channel.name));
    reading.channels.push(channel);
}
