//! What an import does to a table: found by comparing, shown before anything is written.

use std::collections::HashMap;

use super::differences;
use crate::app::AppError;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::text;
use crate::configs::fields::URL;
use crate::configs::raw::{RawRow, RowChange, same_row};

/// Rows of each sort that are named before a question, so that it stays on the screen. A dry run names all.
const NAMED_MAX: usize = 20;

/// What an import does, rows to be added first and rows to be removed last: a failure midway leaves too much watched
/// rather than too little.
#[derive(Debug)]
pub(super) struct ImportPlan {
    added: Vec<RowChange>,
    replaced: Vec<RowChange>,
    removed: Vec<RowChange>,
    unchanged: usize,
    kept: usize,
}

impl ImportPlan {
    /// Compares `rows`, whose ids are good and unique, with those that are `there`.
    pub(super) fn new(rows: Vec<RawRow>, there: &[RawRow], prune: bool) -> Self {
        let mut there: HashMap<&str, &RawRow> =
            there.iter().map(|row| (row.api_id().unwrap_or_default(), row)).collect();
        let mut plan = Self { added: Vec::new(), replaced: Vec::new(), removed: Vec::new(), unchanged: 0, kept: 0 };
        for row in rows {
            match there.remove(row.api_id().unwrap_or_default()) {
                Some(old) if same_row(&old.fields, &row.fields) => plan.unchanged += 1,
                Some(old) => plan.replaced.push(RowChange::Replace { old: old.fields.clone(), new: row.fields }),
                None => plan.added.push(RowChange::Add(row.fields)),
            }
        }
        if prune {
            plan.removed = there.into_values().map(|old| RowChange::Remove(old.fields.clone())).collect();
            plan.removed.sort_by(|a, b| a.api_id().cmp(&b.api_id()));
        } else {
            plan.kept = there.len();
        }
        plan
    }

    /// Whether the table is as it should be.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.replaced.is_empty() && self.removed.is_empty()
    }

    /// Every change, in the order in which they are to be made.
    pub(super) fn into_changes(self) -> Vec<RowChange> {
        self.added.into_iter().chain(self.replaced).chain(self.removed).collect()
    }

    /// `2 to add, 1 to change, 0 to remove`.
    pub(super) fn changes_in_words(&self) -> String {
        let (added, replaced, removed) = (self.added.len(), self.replaced.len(), self.removed.len());
        format!("{added} to add, {replaced} to change, {removed} to remove")
    }

    /// `12 unchanged`, and how many rows the file lacks.
    pub(super) fn untouched(&self) -> String {
        match self.kept {
            0 => format!("{} unchanged", self.unchanged),
            kept => format!("{} unchanged, {kept} kept that the file lacks (--prune removes them)", self.unchanged),
        }
    }

    /// Prints every change, or only the first of each sort.
    pub(super) fn print(&self, out: &Out, only_the_first: bool) -> Result<(), AppError> {
        let most = if only_the_first { NAMED_MAX } else { usize::MAX };
        for (sign, style, changes) in
            [("+", GOOD, &self.added), ("~", DOUBT, &self.replaced), ("-", BAD, &self.removed)]
        {
            for change in changes.iter().take(most) {
                let title = out.paint(style, &format!("{sign} {}", text::line(change.api_id().unwrap_or_default())));
                let lines = match change {
                    RowChange::Replace { old, new } => format!("{title}\n{}", differences::text(old, new)),
                    RowChange::Add(row) | RowChange::Remove(row) => match row.get(URL.name) {
                        Some(url) => format!("{title}  {}\n", out.paint(DIM, &differences::shown(URL.name, url))),
                        None => format!("{title}\n"),
                    },
                };
                out.print(&lines)?;
            }
            if changes.len() > most {
                out.print(&format!("{sign} and {} more (--dry-run names them all)\n", changes.len() - most))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rows(rows: &Value) -> Vec<RawRow> {
        let fields = |row: &Value| row.as_object().unwrap().clone();
        rows.as_array().unwrap().iter().map(|row| RawRow { location: "t".into(), fields: fields(row) }).collect()
    }

    fn signs(plan: &ImportPlan) -> String {
        let ids = |changes: &[RowChange]| changes.iter().filter_map(RowChange::api_id).collect::<String>();
        format!(
            "+{} ~{} -{} ={} kept {}",
            ids(&plan.added),
            ids(&plan.replaced),
            ids(&plan.removed),
            plan.unchanged,
            plan.kept
        )
    }

    #[test]
    fn rows_that_the_file_lacks_are_removed_only_when_that_is_asked_for() {
        let file = || rows(&json!([{"api_id": "a", "n": 1.0}, {"api_id": "b", "n": 2}, {"api_id": "c"}]));
        let there = rows(&json!([{"api_id": "a", "n": 1}, {"api_id": "b", "n": 1}, {"api_id": "y"}, {"api_id": "x"}]));
        let plan = ImportPlan::new(file(), &there, false);
        assert_eq!(signs(&plan), "+c ~b - =1 kept 2");
        assert!(plan.untouched().contains("2 kept"), "{}", plan.untouched());
        assert!(plan.into_changes().iter().all(|change| change.wanted().is_some()), "nothing is removed");
        let plan = ImportPlan::new(file(), &there, true);
        assert_eq!(signs(&plan), "+c ~b -xy =1 kept 0");
        let order: Vec<_> = plan.into_changes().iter().map(|change| change.api_id().unwrap().to_owned()).collect();
        assert_eq!(order, ["c", "b", "x", "y"], "what is removed comes last");
        assert!(ImportPlan::new(file(), &file(), true).is_empty());
    }
}
