//! Gatus: the YAML files of one instance, which it reads as one.

mod alerts;
mod client;
mod conditions;
mod endpoint;
mod maintenance;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::reading::{Environment, Reading};
use super::report::Field;
use super::secrets::Dialect;
use super::tree::{self, Node};
use super::{Fault, File, Import, documents, done, has_any};

/// Reads all files of one instance.
pub(super) fn read(files: &[File], environment: Environment<'_>) -> Result<Import, Vec<Fault>> {
    let trees = documents(files, configurations)?;
    has_any(&trees, &["endpoints", "services", "external-endpoints", "suites"], "Gatus")?;
    let mut reading = Reading::new(Dialect::Shell, environment);
    let mut defaults = BTreeMap::new();
    trees.iter().for_each(|(_, tree)| alerts::defaults(tree, &mut defaults));
    let (mut windows, mut uses) = (Vec::new(), BTreeMap::new());
    for (file, tree) in &trees {
        let mut top = reading.report.fields(Field::root(file, tree));
        if let Some(field) = top.take("alerting") {
            alerts::providers(&mut reading, field);
        }
        if let Some(field) = top.take("maintenance") {
            windows.extend(maintenance::window(&mut reading, field));
        }
        if let Some(field) = top.take("endpoints").or_else(|| top.take("services")) {
            for item in reading.report.items(field) {
                let channels = endpoint::read(&mut reading, item, &defaults);
                if let Some(row) = reading.report.row {
                    uses.insert(row, channels);
                }
                reading.end();
            }
        }
        reading.report.rest_but(top, "nothing is known of it", elsewhere);
    }
    for row in &mut reading.rows {
        for window in &windows {
            if let Value::Array(list) = row.fields.entry("maintenance").or_insert_with(|| json!([])) {
                list.push(window.clone().into());
            }
        }
    }
    uses.values_mut().flatten().for_each(|name| *name = super::channels::Channel::new(name, "").name);
    reading.route(&uses);
    Ok(done(reading, trees.iter().map(|(_, tree)| tree.leaves).sum()))
}

/// The configurations in a document: itself, or the texts in it where it is a ConfigMap of Kubernetes. Its other objects are none.
fn configurations(document: &Rc<Node>) -> Result<Vec<Rc<Node>>, tree::TreeFault> {
    match document.get("kind").and_then(|kind| kind.scalar()) {
        Some("ConfigMap") => {}
        Some(_) if document.get("apiVersion").is_some() => return Ok(Vec::new()),
        _ => return Ok(vec![Rc::clone(document)]),
    }
    let mut found = Vec::new();
    for (_, text) in document.get("data").map(|data| data.table()).unwrap_or_default() {
        // Empty lines before it, so that it knows its lines.
        let padded = "\n".repeat(text.line.saturating_sub(1)) + text.scalar().unwrap_or_default();
        found.extend(tree::documents(&padded)?);
    }
    Ok(found)
}

/// Why what is no endpoint is lost.
fn elsewhere(path: &str) -> Option<&'static str> {
    Some(match path {
        "external-endpoints" => "nothing is pushed to api-health; it asks by itself",
        "suites" => "requests that build on each other are not asked",
        "connectivity" => "api-health tells by itself whether its own side is well",
        "ui" | "announcements" => "the page of api-health has its own looks",
        "web" | "security" => "see `web` in the settings of api-health",
        "storage" => "see `store` in the settings of api-health; what was measured stays there",
        "metrics" => "`/metrics` is there in any case",
        "tunneling" => "nothing is asked through an SSH tunnel",
        "remote" => "each instance of api-health shows its own",
        "concurrency" | "disable-monitoring-lock" | "debug" | "skip-invalid-config-update" | "alerts-debounce" => {
            "there is nothing to be set for it"
        }
        _ => return None,
    })
}
