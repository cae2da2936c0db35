//! Prometheus with its blackbox exporter: the exporter's modules, Prometheus' jobs with files of targets and of alert rules, and
//! Alertmanager's receivers. Which of them a file is, is seen by what stands in it.

mod job;
mod login;
mod module;
mod receivers;
mod relabel;
mod rules;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::reading::{Environment, Reading};
use super::report::Field;
use super::secrets::Dialect;
use super::{Document, Fault, File, Import, documents, done};
use module::Module;

/// What the jobs need to know of the other files.
#[derive(Default)]
struct Known {
    modules: BTreeMap<String, Module>,
    /// Documents that are lists of targets; whether a job has read them.
    targets: Vec<(Document, bool)>,
    rules: rules::Rules,
}

/// Reads all files together.
pub(super) fn read(files: &[File], environment: Environment<'_>) -> Result<Import, Vec<Fault>> {
    let trees = documents(files, |document| Ok(vec![Rc::clone(document)]))?;
    let fields = trees.iter().map(|(_, tree)| tree.leaves).sum();
    let mut reading = Reading::new(Dialect::Literal, environment);
    let mut known = Known::default();
    let used: BTreeSet<String> = trees.iter().flat_map(|(_, tree)| job::modules_of(tree)).collect();
    let (mut jobs, mut others) = (Vec::new(), Vec::new());
    for (file, tree) in trees {
        match tree.get("modules") {
            Some(_) => {
                let mut top = reading.report.fields(Field::root(&file, &tree));
                if let Some(field) = top.take("modules") {
                    module::read(&mut reading, field, &used, &mut known.modules);
                }
                reading.report.rest(top);
            }
            None if tree.get("scrape_configs").is_some() => jobs.push((file, tree)),
            None if tree.get("groups").is_some() => {
                rules::read(&mut reading, Field::root(&file, &tree), &mut known.rules);
            }
            None if tree.get("receivers").is_some() => receivers::read(&mut reading, Field::root(&file, &tree)),
            None if !tree.list().is_empty() => known.targets.push(((file, tree), false)),
            None => others.push((file, tree)),
        }
    }
    for (file, tree) in jobs {
        configuration(&mut reading, &Field::root(&file, &tree), &mut known);
    }
    for ((file, tree), is_read) in known.targets {
        if !is_read {
            reading.report.lost(
                Field { path: "targets".into(), ..Field::root(&file, &tree) },
                "no job of the exporter reads this file",
            );
        }
    }
    for (file, tree) in others {
        reading.report.lost(
            Field { path: "all".into(), ..Field::root(&file, &tree) },
            "it is none of: modules of the exporter, prometheus.yml, alert rules, targets, alertmanager.yml",
        );
    }
    Ok(done(reading, fields))
}

/// `prometheus.yml`.
fn configuration(reading: &mut Reading<'_>, root: &Field, known: &mut Known) {
    let mut top = reading.report.fields(root.clone());
    let global = job::Times::of(root.node.get("global").map_or(&root.node, |global| global));
    if let Some(field) = top.take("global") {
        for field in reading.report.fields(field).into_fields() {
            match field.path.as_str() {
                "global.scrape_interval" | "global.scrape_timeout" => reading.report.taken(field),
                "global.evaluation_interval" => {
                    reading.report.near(field, "a change of status is told when it is confirmed");
                }
                _ => reading.report.lost(field, "it is about Prometheus itself"),
            }
        }
    }
    if let Some(field) = top.take("scrape_configs") {
        for item in reading.report.items(field) {
            job::read(reading, item, &global, known);
            reading.end();
        }
    }
    reading.report.rest_but(top, "it is about Prometheus itself", |path| match path {
        "rule_files" => Some("the files of rules themselves are read, if they are among those that are imported"),
        "alerting" => Some("alerts go from here to the channels of the settings"),
        _ => None,
    });
}
