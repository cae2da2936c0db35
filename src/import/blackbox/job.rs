//! A job of Prometheus that asks the exporter: a row for each of its targets.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::super::reading::{Reading, Target};
use super::super::report::Field;
use super::super::tree::Node;
use super::super::words::{self, milliseconds};
use super::module::{self, Module};
use super::{Known, relabel, rules};

/// How often, and how long it may take, in milliseconds.
pub(super) struct Times {
    interval: u64,
    timeout: u64,
}

impl Times {
    pub(super) fn of(node: &Node) -> Self {
        let of = |name: &str| node.get(name).and_then(|node| milliseconds(node.scalar()?));
        Self { interval: of("scrape_interval").unwrap_or(60_000), timeout: of("scrape_timeout").unwrap_or(10_000) }
    }
}

/// The labels of a target.
type Labels = BTreeMap<String, String>;

fn is_of_exporter(job: &Node) -> bool {
    job.get("metrics_path").and_then(|path| path.scalar()) == Some("/probe")
        || job.get("params").is_some_and(|params| params.get("module").is_some())
}

/// The names of modules in a document: those of jobs, and every label's value, which may be one.
pub(super) fn modules_of(tree: &Node) -> Vec<String> {
    let mut names = Vec::new();
    let groups = |node: &Node, names: &mut Vec<String>| {
        for group in node.list() {
            let labels = group.get("labels").map(|labels| labels.table()).unwrap_or_default();
            names.extend(labels.iter().filter_map(|(_, value)| value.scalar().map(str::to_owned)));
        }
    };
    groups(tree, &mut names);
    for job in tree.get("scrape_configs").map(|jobs| jobs.list()).unwrap_or_default() {
        let listed =
            job.get("params").and_then(|params| params.get("module")).map(|node| node.list()).unwrap_or_default();
        names.extend(listed.iter().filter_map(|node| node.scalar().map(str::to_owned)));
        job.get("static_configs").iter().for_each(|node| groups(node, &mut names));
        let rules = job.get("relabel_configs").map(|rules| rules.list()).unwrap_or_default();
        names.extend(rules.iter().filter_map(|rule| rule.get("replacement")?.scalar().map(str::to_owned)));
    }
    names
}

/// Reads a job.
pub(super) fn read(reading: &mut Reading<'_>, field: Field, global: &Times, known: &mut Known) {
    let node = Rc::clone(&field.node);
    if !is_of_exporter(&node) {
        return reading.report.lost(field, "this job does not ask the blackbox exporter");
    }
    if let Some(Err(why)) = node.get("relabel_configs").map(|rules| relabel::check(rules)) {
        return reading.report.lost(field, why);
    }
    let name = node.of("job_name");
    let mut job = reading.report.fields(field);
    let times = Times {
        interval: milliseconds(node.of("scrape_interval")).unwrap_or(global.interval),
        timeout: milliseconds(node.of("scrape_timeout")).unwrap_or(global.timeout),
    };
    let mut module = String::from("http_2xx");
    if let Some(field) = job.take("params") {
        for field in reading.report.fields(field).into_fields() {
            if field.path.ends_with(".module") {
                let first = field.node.list().first().and_then(|node| node.scalar()).or(field.scalar());
                module = first.unwrap_or_default().to_owned();
                reading.report.taken(field);
            } else {
                reading.report.lost(field, "the exporter is asked for nothing");
            }
        }
    }
    let relabelling = job.take("relabel_configs").map(|field| relabel::read(reading, field)).unwrap_or_default();
    if let Some((_, fixed)) = relabelling.labels.iter().find(|(label, _)| label == "__param_module") {
        module.clone_from(fixed);
    }
    let one = One { name, module: &module, times: &times, relabelling: &relabelling };
    if let Some(field) = job.take("static_configs") {
        for item in reading.report.items(field) {
            group(reading, item, &one, &known.modules, &known.rules);
        }
    }
    if let Some(field) = job.take("file_sd_configs") {
        files(reading, field, &one, known);
    }
    for field in job.into_fields() {
        match field.name() {
            "job_name" => reading.report.near(field, "as a tag"),
            "metrics_path" | "scrape_interval" | "scrape_timeout" | "scheme" => reading.report.taken(field),
            last if last.ends_with("_sd_configs") => {
                reading.report.lost(field, "targets are not discovered; rows stand in a table or a file");
            }
            _ => reading.report.lost(field, "it is about how Prometheus asks the exporter"),
        }
    }
}

/// What all targets of a job share.
struct One<'j> {
    name: &'j str,
    module: &'j str,
    times: &'j Times,
    relabelling: &'j relabel::Relabelling,
}

fn files(reading: &mut Reading<'_>, field: Field, job: &One<'_>, known: &mut Known) {
    for item in reading.report.items(field) {
        let mut fields = reading.report.fields(item);
        let list = fields.take("files");
        for pattern in list.map(|list| reading.report.items(list)).unwrap_or_default() {
            let text = pattern.scalar().unwrap_or_default().to_owned();
            let wanted = text.rsplit('/').next().unwrap_or_default().to_owned();
            let (mut found, mut other) = (false, false);
            for at in 0..known.targets.len() {
                let ((file, tree), is_read) = known.targets[at].clone();
                if !is_like(&wanted, file.rsplit('/').next().unwrap_or_default()) {
                    continue;
                }
                found = true;
                other |= is_read;
                if !is_read {
                    known.targets[at].1 = true;
                    for item in reading.report.items(Field { path: "targets".into(), ..Field::root(&file, &tree) }) {
                        group(reading, item, job, &known.modules, &known.rules);
                    }
                }
            }
            match (found, other) {
                (_, true) => reading.report.lost(
                    pattern,
                    "a job before it has read such a file, and asks its targets as it says; write rows for this job",
                ),
                (true, false) => reading.report.near(pattern, "what stands in it now; it is not read again"),
                (false, false) => {
                    reading.report.lost(pattern, "no such file is among those that are imported; import it as well");
                }
            }
        }
        for field in fields.into_fields() {
            reading.report.lost(field, "a file of targets is imported once");
        }
    }
}

/// Whether a name is like a pattern with one `*`.
fn is_like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((begin, end)) => name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end),
        None => pattern == name,
    }
}

/// Targets with the same labels.
fn group(
    reading: &mut Reading<'_>,
    item: Field,
    job: &One<'_>,
    modules: &BTreeMap<String, Module>,
    rules: &rules::Rules,
) {
    let labels: Labels = item
        .node
        .get("labels")
        .map(|labels| labels.table())
        .unwrap_or_default()
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.scalar()?.to_owned())))
        .collect();
    let mut fields = reading.report.fields(item);
    let shared = fields.take("labels");
    if let Some(field) = fields.take("targets") {
        for target in reading.report.items(field) {
            one(reading, target, job, &labels, modules, rules);
            reading.end();
        }
    }
    if let Some(field) = shared {
        for field in reading.report.fields(field).into_fields() {
            reading.report.near(field, "as a tag of each of its rows");
        }
    }
    reading.report.rest(fields);
}

fn one(
    reading: &mut Reading<'_>,
    field: Field,
    job: &One<'_>,
    labels: &Labels,
    modules: &BTreeMap<String, Module>,
    rules: &rules::Rules,
) {
    let text = job.relabelling.target(field.scalar().unwrap_or_default());
    let by_label = job.relabelling.module_label.as_ref().and_then(|label| labels.get(label));
    let name = by_label.map_or(job.module, String::as_str);
    let module = modules.get(name).cloned().unwrap_or_else(|| module::of_name(name));
    let prober = match module.prober {
        Ok(prober) => prober,
        Err(why) => return reading.report.lost(field, why),
    };
    let shown = ["name", "service", "app", "service_name"].iter().find_map(|label| labels.get(*label));
    let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let api_id = reading.begin(&field.file, field.node.line, &[&words::place(rest)]);
    let target = match prober {
        "http" => {
            let with_scheme = if text.contains("://") { text.clone() } else { format!("http://{text}") };
            reading.url(&api_id, &field, &with_scheme)
        }
        "dns" => Ok(Target::new(format!("dns://{}/{}", rest.trim_end_matches(":53"), module.query))),
        kind => Ok(Target::new(format!("{kind}://{rest}"))),
    };
    let has_tls =
        target.as_ref().is_ok_and(|target| target.url.starts_with("https://") || target.url.starts_with("tls://"));
    for (name, value) in &module.fields {
        let is_of_tls =
            matches!(name.as_str(), "server_name" | "ca_certificates" | "client_certificate" | "client_key");
        if has_tls || !is_of_tls {
            reading.set(name, value.clone());
        }
    }
    let shown = shown.map_or_else(|| words::place(rest), String::clone);
    let Some((field, target)) = reading.asks(field, target, &shown) else { return };
    let timeout = module.timeout.unwrap_or(job.times.timeout.saturating_sub(500)).min(job.times.timeout);
    reading.set("interval_seconds", words::within(job.times.interval, 1, 86_400).0);
    reading.set("timeout_seconds", words::within(timeout, 1, 300).0);
    if let Some(fails) = rules::threshold(rules, job.name, job.times.interval) {
        reading.set("failure_threshold", fails);
        reading.recheck_at_its_interval();
    }
    if has_tls && !rules.certificate_days.is_empty() {
        let mut days = rules.certificate_days.clone();
        days.sort_unstable_by(|a, b| b.cmp(a));
        days.dedup();
        days.truncate(5);
        reading.set("certificate_days", Value::from(days));
    }
    reading.tag(job.name);
    let fixed = job.relabelling.labels.iter().map(|(name, value)| (name, value));
    for (name, value) in labels.iter().chain(fixed).filter(|(name, _)| !name.starts_with("__")) {
        reading.tag(&format!("{name}:{value}"));
    }
    reading.report.judged(field, target.near);
}
