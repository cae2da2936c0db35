//! Uptime Kuma: the database of 1.x and 2.x, and the JSON backup of 1.x. Both become the same tree, and are read from it.

mod answer;
mod database;
mod maintenance;
mod monitor;
mod notifications;
mod request;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::reading::{Environment, Reading};
use super::report::Field;
use super::secrets::Dialect;
use super::tree::{self, Node};
use super::{Content, Fault, File, Import, done, each, fault, text};

/// Reads each file; what is in them is put together.
pub(super) fn read(files: &[File], environment: Environment<'_>) -> Result<Import, Vec<Fault>> {
    let trees = each(files, |file| match &file.content {
        Content::Database(path) => database::tree(&file.name, path),
        Content::Bytes(_) => backup(file),
    })?;
    let mut reading = Reading::new(Dialect::Literal, environment);
    for (file, tree) in &trees {
        one(&mut reading, Field::root(file, tree));
    }
    Ok(done(reading, trees.iter().map(|(_, tree)| tree.leaves).sum()))
}

/// The backup that 1.x wrote.
fn backup(file: &File) -> Result<Rc<Node>, Fault> {
    let text = text(file)?;
    let not_one = |place: &str, why: &str| {
        fault(place, "the file", why, "the database kuma.db, or the JSON backup that Uptime Kuma 1.x wrote")
    };
    let found = tree::documents(&without_pairs(text));
    let found = found.map_err(|of| {
        not_one(&format!("{}, line {}, column {}", file.name, of.line, of.column), &format!("is no JSON: {}", of.why))
    })?;
    let tree = found.into_iter().next().filter(|tree| tree.get("monitorList").is_some());
    tree.ok_or_else(|| not_one(&file.name, "has no monitorList"))
}

/// JSON with pairs of escapes for one character as that character: YAML has no such pairs.
fn without_pairs(text: &str) -> Cow<'_, str> {
    let unit = |text: &str| text.strip_prefix("\\u").and_then(|rest| u16::from_str_radix(rest.get(..4)?, 16).ok());
    let (mut done, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("\\u") {
        let units = unit(&rest[at..]).zip(rest.get(at + 6..).and_then(unit));
        let found = units.and_then(|(high, low)| char::decode_utf16([high, low]).next()?.ok());
        let is_pair = found.is_some_and(|c| c as u32 > 0xffff);
        done.push_str(&rest[..at]);
        match found.filter(|_| is_pair) {
            Some(c) => done.push(c),
            None => done.push_str("\\u"),
        }
        rest = &rest[at + if is_pair { 12 } else { 2 }..];
    }
    if done.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(done + rest) }
}

fn one(reading: &mut Reading<'_>, root: Field) {
    let mut top = reading.report.fields(root);
    let proxies = top.take("proxyList");
    let windows = top.take("maintenanceList").map(|field| maintenance::windows(reading, field)).unwrap_or_default();
    let channels = top.take("notificationList").map(|field| notifications::read(reading, field)).unwrap_or_default();
    let shared = monitor::Shared {
        proxies: proxies.as_ref().map(|field| Rc::clone(&field.node)),
        monitors: top.peek("monitorList").cloned(),
        windows,
        channels,
    };
    if let Some(field) = proxies {
        reading.report.near(field, "in the rows of the monitors that use it");
    }
    let mut uses = BTreeMap::new();
    if let Some(field) = top.take("monitorList") {
        for item in reading.report.items(field) {
            let names = monitor::read(reading, item, &shared);
            if let Some(row) = reading.report.row {
                uses.insert(row, names);
            }
            reading.end();
        }
    }
    reading.route(&uses);
    reading.report.all_taken(&mut top, &["version"]);
    reading.report.rest_but(top, "there is nothing to be set for it", |path| match path {
        "stat_daily" | "stat_hourly" | "stat_minutely" | "heartbeat" => {
            Some("history by counts is not taken over: here it is time that counts")
        }
        "status_page" | "incident" | "group" => {
            Some("the page of api-health has its own looks; `public` publishes a row")
        }
        "user" | "api_key" => Some("see `web` in the settings of api-health"),
        "docker_host" | "remote_browser" => Some("neither containers nor browsers are asked"),
        _ => None,
    });
}
