//! One monitor as one row.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::super::asking::ALWAYS_CHECKED;
use super::super::reading::{Reading, Target};
use super::super::report::{Field, Fields};
use super::super::tree::Node;
use super::super::words;
use super::answer::answer;
use super::request::request;

/// What monitors refer to.
pub(super) struct Shared {
    pub(super) proxies: Option<Rc<Node>>,
    pub(super) monitors: Option<Rc<Node>>,
    pub(super) windows: BTreeMap<String, String>,
    pub(super) channels: BTreeMap<String, String>,
}

/// The names that a field has in the database and in the backup.
pub(super) fn take(fields: &mut Fields, names: &[&str]) -> Option<Field> {
    names.iter().find_map(|name| fields.take(name))
}

/// Reads a monitor; the channels that it uses. Without a row, the whole of it is lost, and is said to be.
pub(super) fn read(reading: &mut Reading<'_>, field: Field, shared: &Shared) -> Vec<String> {
    let node = Rc::clone(&field.node);
    let of = |name: &str| node.of(name);
    let kind = of("type");
    if kind == "group" {
        reading.report.near(
            field,
            "as a tag of the monitors in it, which have its pause and its maintenance; its notifications are left out",
        );
        return Vec::new();
    }
    if ["upside_down", "upsideDown"].iter().any(|name| node.flag_of(name) == Some(true)) {
        reading.report.lost(field, "it is upside down: nothing here is well when it does not answer");
        return Vec::new();
    }
    let (name, hostname, port) = (of("name"), of("hostname"), of("port"));
    let group = group(&node, shared);
    let api_id = reading.begin(&field.file, node.line, &[&group, name]);
    let target = match kind {
        "http" | "keyword" | "json-query" => {
            let place = Field { path: format!("{}.url", field.path), ..field.clone() };
            reading.url(&api_id, &place, of("url"))
        }
        "port" => Ok(Target::new(format!("tcp://{hostname}:{port}"))),
        "dns" => {
            let server = of("dns_resolve_server").split(',').next().unwrap_or_default().trim();
            let port = if port.is_empty() || port == "53" { String::new() } else { format!(":{port}") };
            let records = Some(of("dns_resolve_type")).filter(|kind| !kind.is_empty()).unwrap_or("A");
            Ok(Target::new(format!("dns://{server}{port}/{hostname}?type={records}")))
        }
        other => Err(format!("{other} is not asked; http, https, tcp, tls and dns are")),
    };
    let Some((field, target)) = reading.asks(field, target, name) else { return Vec::new() };
    let is_http = target.is_http();
    reading.set("success_threshold", 1);
    reading.tag(&group);
    let mut fields = reading.report.fields(field);
    if let Some(field) = fields.take("url") {
        reading.report.judged(field, target.near);
    }
    // They stand in the URL, or elsewhere.
    reading.report.all_taken(&mut fields, &["hostname", "port", "dns_resolve_type", "type", "name", "id", "parent"]);
    if let Some(field) = fields.take("dns_resolve_server") {
        let is_one = kind != "dns" || !field.text().contains(',');
        reading.report.near_unless(is_one, field, "the first of the servers is asked; a row names one");
    }
    times(reading, &mut fields);
    if is_http {
        request(reading, &mut fields, &api_id, shared);
        answer(reading, &mut fields, kind);
    }
    if let Some(field) = take(&mut fields, &["expiry_notification", "expiryNotification"]) {
        if field.flag() == Some(false) && is_http {
            reading.set("certificate_days", Value::Array(Vec::new()));
        }
        reading.report.taken(field);
    }
    let channels = around(reading, &mut fields, &node, shared);
    rest(reading, fields);
    channels
}

/// The names of the groups that it is in, outermost first.
fn group(node: &Node, shared: &Shared) -> String {
    parents(node, shared).iter().rev().map(|group| group.of("name")).collect::<Vec<_>>().join(" ")
}

fn times(reading: &mut Reading<'_>, fields: &mut Fields) {
    let number = |field: &Field| field.scalar().and_then(|text| text.parse::<f64>().ok());
    let interval = fields.peek("interval").and_then(|node| node.scalar()?.parse::<f64>().ok()).unwrap_or(60.0);
    if let Some(field) = fields.take("interval") {
        let seconds = number(&field);
        reading.interval(field, seconds.map(|seconds| (seconds * 1000.0) as u64));
    }
    match fields
        .take("timeout")
        .filter(|field| number(field).is_some_and(|seconds| seconds > 0.0) || !field.node.is_null())
    {
        Some(field) if number(&field).is_some_and(|seconds| seconds > 0.0) => {
            let seconds = number(&field);
            reading.timeout(field, seconds.map(|seconds| (seconds * 1000.0) as u64));
        }
        other => {
            reading.set("timeout_seconds", words::within((interval * 800.0) as u64, 1, 300).0);
            if let Some(field) = other {
                reading.report.near(field, "none is set: 0.8 of the interval, as Uptime Kuma reckons");
            }
        }
    }
    if let Some(field) = fields.take("maxretries") {
        let fails = number(&field).unwrap_or(0.0) as u64 + 1;
        reading.set("failure_threshold", fails.clamp(1, 20));
        reading.report.near_unless(fails <= 20, field, "at most 20 fails in a row are waited for");
    }
    if let Some(field) = take(fields, &["retry_interval", "retryInterval"]) {
        match number(&field).unwrap_or(0.0) as u64 {
            0 => reading.recheck_at_its_interval(),
            seconds => reading.set("recheck_seconds", seconds.clamp(1, 3600)),
        }
        reading.report.taken(field);
    }
    if let Some(field) = take(fields, &["resend_interval", "resendInterval"]) {
        match number(&field).unwrap_or(0.0) as u64 {
            0 => reading.report.taken(field),
            times => {
                let seconds = (times as f64 * interval) as u64;
                reading.set("remind_after_seconds", seconds.clamp(10, 604_800));
                reading
                    .report
                    .near(field, "as remind_after_seconds: each further pause is twice as long, a day at most");
            }
        }
    }
}

/// Groups in groups are looked at so deep.
const GROUPS_DEEP: usize = 8;

/// The groups that it is in, the nearest first.
fn parents(node: &Node, shared: &Shared) -> Vec<Rc<Node>> {
    let (mut found, mut parent) = (Vec::new(), node.of("parent").to_owned());
    let monitors = shared.monitors.as_ref().map(|node| node.list()).unwrap_or_default();
    while !parent.is_empty() && found.len() < GROUPS_DEEP {
        let Some(group) = monitors.iter().find(|one| one.of("id") == parent) else { break };
        parent = group.of("parent").to_owned();
        found.push(Rc::clone(group));
    }
    found
}

/// Tags, notifications, maintenance, whether it is on.
fn around(reading: &mut Reading<'_>, fields: &mut Fields, node: &Node, shared: &Shared) -> Vec<String> {
    if let Some(field) = fields.take("active") {
        reading.enabled(field);
    }
    if let Some(field) = fields.take("tags") {
        for item in reading.report.items(field) {
            let (name, value) = (item.node.of("name"), item.node.of("value"));
            reading.tag(&if value.is_empty() { name.to_owned() } else { format!("{name}:{value}") });
            reading.report.taken(item);
        }
    }
    let above = parents(node, shared);
    if above.iter().any(|group| group.flag_of("active") == Some(false)) || node.flag_of("forceInactive") == Some(true) {
        reading.set("enabled", false);
    }
    for item in above.iter().filter_map(|group| group.get("maintenance")).flat_map(|list| list.list()) {
        if let Some(window) = shared.windows.get(item.of("id")) {
            reading.push("maintenance", window.clone());
        }
    }
    let mut channels = Vec::new();
    if let Some(field) = fields.take("notifications").or_else(|| fields.take("notificationIDList")) {
        let listed = field.node.list().iter().map(|item| item.of("id").to_owned());
        let mapped = field.node.table().iter().filter(|(_, on)| on.flag() != Some(false)).map(|(id, _)| id.clone());
        let ids: Vec<String> = listed.chain(mapped).collect();
        let missing = ids.iter().filter(|id| !shared.channels.contains_key(*id)).count();
        channels.extend(ids.iter().filter_map(|id| shared.channels.get(id).cloned()));
        reading.report.near_unless(missing == 0, field, "without those that are no channels here");
    }
    if let Some(field) = fields.take("maintenance") {
        for item in reading.report.items(field) {
            match shared.windows.get(item.node.of("id")) {
                Some(window) => {
                    reading.push("maintenance", window.clone());
                    reading.report.taken(item);
                }
                None => reading.report.lost(item, "that window is none here"),
            }
        }
    }
    channels
}

/// What is left is of other types, or lost.
fn rest(reading: &mut Reading<'_>, mut fields: Fields) {
    for (names, why) in
        [(["ignore_tls", "ignoreTls"], ALWAYS_CHECKED), (["cache_bust", "cacheBust"], "nothing is added to a URL")]
    {
        if let Some(field) = take(&mut fields, &names) {
            reading.lost_if_on(field, why);
        }
    }
    if let Some(field) = take(&mut fields, &["ip_family", "ipFamily"]) {
        if let Some(family @ ("ipv4" | "ipv6")) = field.scalar() {
            reading.set("ip_family", family);
        }
        reading.report.taken(field);
    }
    for field in fields.into_fields() {
        let name = field.name();
        let text = field.scalar().unwrap_or_default();
        let is_off =
            field.node.is_null() || matches!(text, "" | "0" | "false" | "56" | "1000") || field.node.leaves == 0;
        let is_own = ["weight", "includeSensitiveData", "maintenance", "forceInactive", "childrenIDs", "pathName"]
            .contains(&name);
        if is_off || is_own || field.node.scalar().is_none() && field.node.leaves == 1 {
            reading.report.taken(field);
        } else {
            let why = match name {
                "description" => "a row has no text beside its name",
                name if name.starts_with("tls_") || name.starts_with("tls") => {
                    "PEM stands in files: client_certificate, client_key, ca_certificates"
                }
                _ => "it is of other types of monitors, or nothing is known of it",
            };
            reading.report.lost(field, why);
        }
    }
}
