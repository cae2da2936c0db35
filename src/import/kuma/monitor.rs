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

pub(super) fn of(node: &Node, name: &str) -> String {
    node.get(name).and_then(|node| node.scalar()).unwrap_or_default().to_owned()
}

/// Reads a monitor; the channels that it uses. Without a row, the whole of it is lost, and is said to be.
pub(super) fn read(reading: &mut Reading<'_>, field: Field, shared: &Shared) -> Vec<String> {
    let node = Rc::clone(&field.node);
    let kind = of(&node, "type");
    if kind == "group" {
        reading.report.near(
            field,
            "as a tag of the monitors in it, which have its pause and its maintenance; its notifications are left out",
        );
        return Vec::new();
    }
    let is_upside_down =
        ["upside_down", "upsideDown"].iter().any(|name| node.get(name).and_then(|n| n.flag()) == Some(true));
    if is_upside_down {
        reading.report.lost(field, "it is upside down: nothing here is well when it does not answer");
        return Vec::new();
    }
    let (name, hostname, port) = (of(&node, "name"), of(&node, "hostname"), of(&node, "port"));
    let group = group(&node, shared);
    let api_id = reading.begin(&field.file, node.line, &[&group, &name]);
    let target = match kind.as_str() {
        "http" | "keyword" | "json-query" => {
            let place = Field { path: format!("{}.url", field.path), ..field.clone() };
            reading.url(&api_id, &place, &of(&node, "url"))
        }
        "port" => Ok(Target { url: format!("tcp://{hostname}:{port}"), ..Target::default() }),
        "dns" => {
            let server = of(&node, "dns_resolve_server");
            let server = server.split(',').next().unwrap_or_default().trim().to_owned();
            let server = if port.is_empty() || port == "53" { server } else { format!("{server}:{port}") };
            let records = Some(of(&node, "dns_resolve_type")).filter(|kind| !kind.is_empty()).unwrap_or("A".into());
            Ok(Target { url: format!("dns://{server}/{hostname}?type={records}"), ..Target::default() })
        }
        other => Err(format!("{other} is not asked; http, https, tcp, tls and dns are")),
    };
    let target = match target {
        Ok(target) => target,
        Err(why) => {
            reading.rows.pop();
            reading.end();
            reading.report.lost(field, why);
            return Vec::new();
        }
    };
    let is_http = target.url.starts_with("http");
    reading.set("name", words::name(&name));
    reading.set("url", target.url);
    reading.set("success_threshold", 1);
    if let Some(basic) = target.basic_auth {
        reading.set("basic_auth", basic);
    }
    reading.tag(&group);
    let mut fields = reading.report.fields(field);
    // They stand in the URL, or elsewhere.
    for name in ["url", "hostname", "port", "dns_resolve_type", "type", "name", "id", "parent"] {
        match (fields.take(name), &target.near) {
            (Some(field), Some(how)) if name == "url" => reading.report.near(field, how.clone()),
            (Some(field), _) => reading.report.taken(field),
            _ => {}
        }
    }
    if let Some(field) = fields.take("dns_resolve_server") {
        match field.scalar().is_some_and(|servers| servers.contains(',')) && kind == "dns" {
            true => reading.report.near(field, "the first of the servers is asked; a row names one"),
            false => reading.report.taken(field),
        }
    }
    times(reading, &mut fields);
    if is_http {
        request(reading, &mut fields, &api_id, shared);
        answer(reading, &mut fields, &kind);
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
    let names: Vec<String> = parents(node, shared).iter().rev().map(|group| of(group, "name")).collect();
    names.join(" ")
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
        match fails <= 20 {
            true => reading.report.taken(field),
            false => reading.report.near(field, "at most 20 fails in a row are waited for"),
        }
    }
    if let Some(field) = take(fields, &["retry_interval", "retryInterval"]) {
        match number(&field).unwrap_or(0.0) as u64 {
            0 => {
                reading.recheck_at_its_interval();
                reading.report.taken(field);
            }
            seconds => {
                reading.set("recheck_seconds", seconds.clamp(1, 3600));
                reading.report.taken(field);
            }
        }
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
    let (mut found, mut parent) = (Vec::new(), of(node, "parent"));
    let monitors = shared.monitors.as_ref().map(|node| node.list()).unwrap_or_default();
    while !parent.is_empty() && found.len() < GROUPS_DEEP {
        let Some(group) = monitors.iter().find(|one| of(one, "id") == parent) else { break };
        parent = of(group, "parent");
        found.push(Rc::clone(group));
    }
    found
}

/// Tags, notifications, maintenance, whether it is on.
fn around(reading: &mut Reading<'_>, fields: &mut Fields, node: &Node, shared: &Shared) -> Vec<String> {
    if let Some(field) = fields.take("active") {
        if field.flag() == Some(false) {
            reading.set("enabled", false);
        }
        reading.report.taken(field);
    }
    if let Some(field) = fields.take("tags") {
        for item in reading.report.items(field) {
            let (name, value) = (of(&item.node, "name"), of(&item.node, "value"));
            reading.tag(&if value.is_empty() { name } else { format!("{name}:{value}") });
            reading.report.taken(item);
        }
    }
    let above = parents(node, shared);
    let is_off = |group: &Rc<Node>| group.get("active").and_then(|node| node.flag()) == Some(false);
    if above.iter().any(is_off) || node.get("forceInactive").and_then(|node| node.flag()) == Some(true) {
        reading.set("enabled", false);
    }
    for item in above.iter().filter_map(|group| group.get("maintenance")).flat_map(|list| list.list()) {
        if let Some(window) = shared.windows.get(&of(item, "id")) {
            reading.push("maintenance", window.clone());
        }
    }
    let mut channels = Vec::new();
    if let Some(field) = fields.take("notifications").or_else(|| fields.take("notificationIDList")) {
        let listed = field.node.list().iter().map(|item| of(item, "id"));
        let mapped = field.node.table().iter().filter(|(_, on)| on.flag() != Some(false)).map(|(id, _)| id.clone());
        let ids: Vec<String> = listed.chain(mapped).collect();
        let missing = ids.iter().filter(|id| !shared.channels.contains_key(*id)).count();
        channels.extend(ids.iter().filter_map(|id| shared.channels.get(id).cloned()));
        match missing {
            0 => reading.report.taken(field),
            _ => reading.report.near(field, "without those that are no channels here"),
        }
    }
    if let Some(field) = fields.take("maintenance") {
        for item in reading.report.items(field) {
            match shared.windows.get(&of(&item.node, "id")) {
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
        match field.scalar() {
            Some(family @ ("ipv4" | "ipv6")) => {
                let family = family.to_owned();
                reading.set("ip_family", family);
                reading.report.taken(field);
            }
            _ => reading.report.taken(field),
        }
    }
    for field in fields.into_fields() {
        let name = field.path.rsplit('.').next().unwrap_or_default();
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
