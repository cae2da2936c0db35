//! Relabelling, as far as it is of the usual form: the target becomes a parameter, and the exporter the address.

use super::super::reading::Reading;
use super::super::report::Field;
use super::super::tree::Node;

/// What the rules of a job do to its targets.
#[derive(Clone, Debug, Default)]
pub(super) struct Relabelling {
    /// Text around the target: `https://` before it.
    before: String,
    after: String,
    /// The label that says which module is asked.
    pub(super) module_label: Option<String>,
    /// Labels with one value for all.
    pub(super) labels: Vec<(String, String)>,
}

impl Relabelling {
    pub(super) fn target(&self, target: &str) -> String {
        format!("{}{target}{}", self.before, self.after)
    }
}

/// Reads the rules.
///
/// # Errors
/// A rule that may change the target in a way that is not understood; then nothing is judged.
pub(super) fn check(rules: &Node) -> Result<(), String> {
    rules.list().iter().try_for_each(|rule| effect(rule, &mut Relabelling::default()).map(drop))
}

/// Judges the rules, which have been checked.
pub(super) fn read(reading: &mut Reading<'_>, field: Field) -> Relabelling {
    let mut relabelling = Relabelling::default();
    for item in reading.report.items(field) {
        match effect(&item.node, &mut relabelling) {
            Ok(Effect::Same) => reading.report.taken(item),
            Ok(Effect::Tag) => reading.report.near(item, "as a tag of each row"),
            _ => reading.report.lost(item, "labels are not made out of others; tags stand in rows"),
        }
    }
    relabelling
}

enum Effect {
    Same,
    Tag,
    Nothing,
}

fn effect(rule: &Node, relabelling: &mut Relabelling) -> Result<Effect, String> {
    let of = |name: &str| rule.get(name).and_then(|node| node.scalar());
    let sources: Vec<&str> = rule
        .get("source_labels")
        .map(|node| node.list())
        .unwrap_or_default()
        .iter()
        .filter_map(|node| node.scalar())
        .collect();
    let (target, action) = (of("target_label").unwrap_or_default(), of("action").unwrap_or("replace"));
    let (regex, replacement) = (of("regex").unwrap_or("(.*)"), of("replacement").unwrap_or("$1"));
    let is_whole = matches!(regex, "(.*)" | "(.+)" | "^(.*)$" | "^(.+)$");
    if action != "replace" {
        // Targets may be dropped, or their labels named anew.
        let touches = ["keep", "drop", "hashmod"].contains(&action) || regex.contains("__");
        return if touches {
            Err(format!("a rule of relabelling with the action {action} may change its targets"))
        } else {
            Ok(Effect::Nothing)
        };
    }
    match (&sources[..], target) {
        (["__address__" | "__param_target"], "__param_target") if is_whole => {
            let (before, after) = around(replacement).ok_or("its targets are made in a way that is not understood")?;
            relabelling.before = before + &relabelling.before;
            relabelling.after += &after;
            Ok(Effect::Same)
        }
        (["__param_target" | "__address__"], "instance") => Ok(Effect::Same),
        ([], "__address__" | "instance") | (_, "__address__") if !replacement.contains('$') => Ok(Effect::Same),
        ([], "__param_module") => {
            relabelling.labels.push(("__param_module".into(), replacement.to_owned()));
            Ok(Effect::Same)
        }
        ([label], "__param_module") if is_whole && replacement == "$1" => {
            relabelling.module_label = Some((*label).to_owned());
            Ok(Effect::Same)
        }
        (_, "__param_target" | "__param_module") => Err("its targets are made in a way that is not understood".into()),
        ([], label) if !label.starts_with("__") => {
            relabelling.labels.push((label.to_owned(), replacement.to_owned()));
            Ok(Effect::Tag)
        }
        _ => Ok(Effect::Nothing),
    }
}

/// What stands before and behind `$1`.
fn around(replacement: &str) -> Option<(String, String)> {
    let (before, after) = replacement.split_once("${1}").or_else(|| replacement.split_once("$1"))?;
    (!before.contains('$') && !after.contains('$')).then(|| (before.to_owned(), after.to_owned()))
}
