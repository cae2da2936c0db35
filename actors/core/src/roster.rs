//! Which probers to start, change and stop after the configs were read again: a plan, for the supervisor to carry out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::{ApiConfig, ApiId};
use crate::keep::{ConfigDiff, Dependents};

/// Configs by id.
pub type Roster = BTreeMap<ApiId, Arc<ApiConfig>>;

/// A file may be read while somebody writes it. Rows that vanish from one are believed to be removed when they have been missing for
/// this long.
pub const BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// What one source of configs gave when it was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Rows that are good, in the order of the source.
    pub good: Vec<Arc<ApiConfig>>,
    /// Ids of rows that are there and refused: their last good version keeps running.
    pub refused: Vec<ApiId>,
    /// Rows whose id cannot be read: each may be any of those that are missing.
    pub without_id: usize,
    /// It may have been read while it was being written.
    pub may_be_cut: bool,
    /// The last rows of files that have less in them than before: some of their fields may be missing.
    pub cut: Vec<ApiId>,
}

/// What a source is taken to say, after everything that it said so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accepted {
    /// The configs to run.
    pub roster: Roster,
    /// Rows that may not have been read whole, as they were read (`None`: they are not there any more), and the monotonic time at which they
    /// were read so first: what was there before runs until that is believed.
    pub doubted: BTreeMap<ApiId, (Duration, Option<Arc<ApiConfig>>)>,
    /// Nothing at all was there although there were several rows before, so that what was before was kept (P8).
    pub kept_for_emptiness: bool,
    /// When an id came last that was not there before: whoever writes may not be done.
    grew_at: Option<Duration>,
}

impl Accepted {
    /// What the source is taken to say after it gave this at the monotonic time `now`: good rows as they are, refused rows in their last
    /// good version, and those that are missing until that is believed.
    #[must_use]
    pub fn then(&self, loaded: &Loaded, now: Duration) -> Self {
        let good: Roster = loaded.good.iter().map(|config| (config.api_id.clone(), self.known(config))).collect();
        let is_empty = good.is_empty() && loaded.refused.is_empty() && loaded.without_id == 0;
        if is_empty && self.roster.len() > 1 {
            return Self { kept_for_emptiness: true, doubted: BTreeMap::new(), ..self.clone() };
        }
        let refused: HashSet<&ApiId> = loaded.refused.iter().collect();
        let is_there = |id: &ApiId| good.contains_key(id) || refused.contains(id);
        let grew = good.keys().chain(refused.iter().copied()).any(|id| !self.roster.contains_key(id));
        let came_back = self.missing().any(is_there);
        let is_removed_at_once = !loaded.may_be_cut && !is_empty;
        let mut next = Self { roster: good, grew_at: self.grew_at, ..Self::default() };
        if grew || came_back || next.grew_at.is_none() {
            next.grew_at = Some(now);
        }
        for (api_id, before) in &self.roster {
            if next.roster.contains_key(api_id) {
                continue;
            }
            if refused.contains(api_id) || loaded.without_id > 0 {
                next.roster.insert(api_id.clone(), Arc::clone(before));
            } else if !is_removed_at_once {
                next.doubt(api_id, self, came_back, now);
            }
        }
        for api_id in &loaded.cut {
            next.doubt(api_id, self, came_back, now);
        }
        next
    }

    /// The rows of the roster that are not there any more.
    pub fn missing(&self) -> impl Iterator<Item = &ApiId> {
        self.doubted.iter().filter(|(_, (_, read))| read.is_none()).map(|(api_id, _)| api_id)
    }

    /// The same `Arc` for the same config, so that a source that is read again costs no memory.
    fn known(&self, config: &Arc<ApiConfig>) -> Arc<ApiConfig> {
        Arc::clone(self.roster.get(&config.api_id).filter(|known| *known == config).unwrap_or(config))
    }

    /// A changed row is believed once it has read the same for [`BELIEVED_AFTER`]. Rows come back one after the other where a file is
    /// being written: then the others are waited for again.
    fn doubt(&mut self, api_id: &ApiId, before: &Self, is_anew: bool, now: Duration) {
        let (known, read) = (before.roster.get(api_id), self.roster.get(api_id).cloned());
        if known == read.as_ref() {
            return;
        }
        let doubted = before.doubted.get(api_id).filter(|(_, doubted)| *doubted == read && !is_anew);
        let since = doubted.map_or(now, |(since, _)| *since);
        if now.saturating_sub(since) >= BELIEVED_AFTER {
            return;
        }
        match known {
            Some(known) => drop(self.roster.insert(api_id.clone(), Arc::clone(known))),
            None => drop(self.roster.remove(api_id)),
        }
        self.doubted.insert(api_id.clone(), (since, read));
    }

    /// The source could not be read: that confirms neither a missing row nor one that may be cut.
    pub fn cannot_be_read(&mut self) {
        self.doubted.clear();
    }

    /// Takes a single row as it is now; `None`: it is not there any more. The last one of all is missing first, as where a whole
    /// reading finds nothing at all.
    pub fn set(&mut self, api_id: &ApiId, config: Option<&Arc<ApiConfig>>, now: Duration) {
        match config {
            Some(config) => {
                self.doubted.remove(api_id);
                self.roster.insert(api_id.clone(), Arc::clone(config));
            }
            None if self.roster.len() > 1 => drop(self.roster.remove(api_id)),
            None if self.roster.contains_key(api_id) => drop(self.doubted.entry(api_id.clone()).or_insert((now, None))),
            None => {}
        }
    }

    /// Whether rows are in doubt for so long that it is time to look once more.
    pub fn is_look_due(&self, now: Duration) -> bool {
        self.doubted.values().any(|(since, _)| now.saturating_sub(*since) >= BELIEVED_AFTER)
    }

    /// Whether no id has come for so long that whoever writes is done.
    pub fn is_stable(&self, now: Duration) -> bool {
        self.grew_at.is_some_and(|at| now.saturating_sub(at) >= BELIEVED_AFTER)
    }
}

/// Joins what several sources say, the earlier source winning, and names the ids that more than one of them has.
pub fn merge<'a>(sources: impl IntoIterator<Item = &'a Roster>) -> (Roster, Vec<ApiId>) {
    let mut merged = Roster::new();
    let mut duplicates = Vec::new();
    for source in sources {
        for (api_id, config) in source {
            if merged.contains_key(api_id) {
                duplicates.push(api_id.clone());
            } else {
                merged.insert(api_id.clone(), Arc::clone(config));
            }
        }
    }
    (merged, duplicates)
}

/// What to do so that what runs is what is configured. A row that did not change is in no part of it: its prober keeps its
/// phase and its streak.
pub fn plan<'a>(running: impl IntoIterator<Item = &'a Arc<ApiConfig>>, mut configured: Roster) -> ConfigDiff {
    let mut plan = ConfigDiff::default();
    for now in running {
        match configured.remove(&now.api_id) {
            None => plan.stopped.push((now.api_id.clone(), "its row was removed")),
            Some(row) if !row.enabled => plan.stopped.push((now.api_id.clone(), "it was disabled")),
            Some(row) if !Arc::ptr_eq(now, &row) && *now != row => plan.changed.push(row),
            Some(_) => {}
        }
    }
    plan.started = configured.into_values().filter(|row| row.enabled).collect();
    plan
}

/// Who depends on whom, directly.
pub fn dependents(rows: &Roster) -> Dependents {
    let mut dependents = Dependents::new();
    for row in rows.values().filter(|row| row.enabled) {
        for parent in &row.alerting.depends_on {
            dependents.entry(parent.clone()).or_default().insert(row.api_id.clone());
        }
    }
    dependents
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests_support::config;

    fn id(text: &str) -> ApiId {
        ApiId::parse(text).unwrap()
    }

    fn row(text: &str) -> Arc<ApiConfig> {
        Arc::new(ApiConfig { api_id: id(text), ..config() })
    }

    fn roster(rows: &[Arc<ApiConfig>]) -> Roster {
        rows.iter().map(|c| (c.api_id.clone(), Arc::clone(c))).collect()
    }

    fn ids(accepted: &Accepted) -> Vec<&str> {
        accepted.roster.keys().map(ApiId::as_str).collect()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// What a table gave.
    fn table(rows: &[&str]) -> Loaded {
        Loaded { good: rows.iter().map(|id| row(id)).collect(), ..Loaded::default() }
    }

    /// What a file gave.
    fn file(rows: &[&str]) -> Loaded {
        Loaded { may_be_cut: true, ..table(rows) }
    }

    #[test]
    fn a_refused_row_keeps_its_last_good_version_and_hurts_no_other() {
        let before = Accepted::default().then(&table(&["a", "b"]), at(0));
        let accepted = before.then(&Loaded { refused: vec![id("a"), id("new")], ..table(&["b", "c"]) }, at(1));
        assert_eq!((ids(&accepted), accepted.kept_for_emptiness), (vec!["a", "b", "c"], false));
    }

    #[test]
    fn several_rows_to_none_at_once_stop_nothing_however_often_it_is_looked() {
        let mut accepted = Accepted::default().then(&file(&["a", "b"]), at(0));
        for second in [1, 20, 40] {
            accepted = accepted.then(&file(&[]), at(second));
            assert_eq!((ids(&accepted), accepted.kept_for_emptiness), (vec!["a", "b"], true));
            assert!(!accepted.is_look_due(at(99)));
        }
        assert!(!Accepted::default().then(&table(&[]), at(0)).kept_for_emptiness);
    }

    #[test]
    fn the_last_row_of_all_is_gone_when_looks_ten_seconds_apart_agree() {
        for loaded in [table, file] {
            let before = Accepted::default().then(&loaded(&["a"]), at(0));
            let once = before.then(&loaded(&[]), at(1));
            assert_eq!((ids(&once), once.is_look_due(at(10)), once.is_look_due(at(11))), (vec!["a"], false, true));
            assert_eq!(ids(&once.then(&loaded(&[]), at(11))), [""; 0]);
            assert_eq!(ids(&once.then(&loaded(&["a"]), at(11)).then(&loaded(&[]), at(12))), ["a"]);
        }
    }

    #[test]
    fn a_row_that_vanishes_from_a_table_is_removed_and_from_a_file_when_looks_agree() {
        let before = |loaded: fn(&[&str]) -> Loaded| Accepted::default().then(&loaded(&["a", "b", "c"]), at(0));
        assert_eq!(ids(&before(table).then(&table(&["a", "c"]), at(1))), ["a", "c"]);
        let cut = before(file).then(&file(&["a"]), at(5));
        assert_eq!(ids(&cut), ["a", "b", "c"]);
        assert_eq!(ids(&cut.then(&file(&["a"]), at(14))), ["a", "b", "c"], "too soon");
        assert_eq!(ids(&cut.then(&file(&["a"]), at(15))), ["a"]);
        let mut unreadable = cut.clone();
        unreadable.cannot_be_read();
        assert_eq!(ids(&unreadable.then(&file(&["a"]), at(15))), ["a", "b", "c"], "one look did not agree");
        // It is written slowly: as long as rows come back, the others are waited for.
        let slow = cut.then(&file(&["a", "b"]), at(14)).then(&file(&["a", "b"]), at(15));
        assert_eq!((ids(&slow), ids(&slow.then(&file(&["a", "b"]), at(24)))), (vec!["a", "b", "c"], vec!["a", "b"]));
        // One that vanishes later does not make the first one wait.
        let later = cut.then(&file(&["a"]), at(6));
        assert_eq!(later.doubted[&id("b")], (at(5), None));
    }

    #[test]
    fn nothing_vanishes_beside_a_row_whose_id_cannot_be_read() {
        let mut accepted = Accepted::default().then(&table(&["a", "b"]), at(0));
        for second in [1, 11, 21] {
            accepted = accepted.then(&Loaded { without_id: 1, ..table(&["a"]) }, at(second));
            assert_eq!(ids(&accepted), ["a", "b"]);
        }
    }

    #[test]
    fn the_last_row_of_a_cut_file_is_not_believed_either() {
        let changed = |id: &str| Arc::new(ApiConfig { name: "cut".into(), ..(*row(id)).clone() });
        let before = Accepted::default().then(&file(&["a", "b", "c"]), at(0));
        let cut = Loaded { good: vec![changed("a"), changed("b")], cut: vec![id("b")], ..file(&[]) };
        let accepted = before.then(&cut, at(1));
        assert_eq!((&accepted.roster[&id("a")], &accepted.roster[&id("b")]), (&changed("a"), &row("b")));
        assert_eq!(accepted.then(&cut, at(11)).roster[&id("b")], changed("b"), "it was no cut");
        let new = Loaded { good: vec![row("a"), row("new")], cut: vec![id("new")], ..file(&[]) };
        assert_eq!(ids(&before.then(&new, at(1))), ["a", "b", "c"]);
        assert_eq!(ids(&before.then(&new, at(1)).then(&new, at(11))), ["a", "new"]);
    }

    #[test]
    fn of_several_files_the_last_row_of_the_one_that_was_cut_is_held_also_where_no_row_is_missing() {
        let changed = |id: &str, name: &str| Arc::new(ApiConfig { name: name.into(), ..(*row(id)).clone() });
        let before = Accepted::default().then(&file(&["x", "y", "b"]), at(0));
        // The first file was cut in the middle of y; b, of another one, was edited.
        let reads = |y: &Arc<ApiConfig>, cut: &[ApiId]| Loaded {
            good: vec![row("x"), Arc::clone(y), changed("b", "edited")],
            cut: cut.to_vec(),
            ..file(&[])
        };
        let y = [id("y")];
        let cut = before.then(&reads(&changed("y", "cut"), &y), at(1));
        assert_eq!((&cut.roster[&y[0]], &cut.roster[&id("b")]), (&row("y"), &changed("b", "edited")));
        assert!(cut.missing().next().is_none() && !cut.is_look_due(at(10)) && cut.is_look_due(at(11)));
        let whole = cut.then(&reads(&changed("y", "whole"), &[]), at(2));
        assert_eq!((&whole.roster[&y[0]], whole.doubted.len()), (&changed("y", "whole"), 0));
        let another = cut.then(&reads(&changed("y", "less cut"), &y), at(11));
        assert_eq!((&another.roster[&y[0]], another.is_look_due(at(20))), (&row("y"), false), "it is written on");
        let mut unreadable = cut.clone();
        unreadable.cannot_be_read();
        assert_eq!(unreadable.then(&reads(&changed("y", "cut"), &y), at(11)).roster[&y[0]], row("y"));
        assert_eq!(
            cut.then(&reads(&changed("y", "cut"), &y), at(11)).roster[&y[0]],
            changed("y", "cut"),
            "it was none"
        );
    }

    #[test]
    fn the_last_row_of_all_that_is_said_to_be_gone_is_looked_for_once_more() {
        let mut rows = Accepted::default().then(&table(&["a", "b"]), at(0));
        rows.set(&id("a"), None, at(1));
        rows.set(&id("b"), None, at(2));
        rows.set(&id("none"), None, at(2));
        assert_eq!((ids(&rows), rows.is_look_due(at(11)), rows.is_look_due(at(12))), (vec!["b"], false, true));
        assert_eq!(ids(&rows.then(&table(&[]), at(12))), [""; 0]);
        rows.set(&id("b"), Some(&row("b")), at(5));
        assert!(!rows.is_look_due(at(99)), "it is there again");
    }

    #[test]
    fn a_file_is_settled_when_no_id_has_come_for_a_while() {
        let first = Accepted::default().then(&file(&["a"]), at(5));
        assert_eq!((first.is_stable(at(14)), first.is_stable(at(15))), (false, true));
        let grown = first.then(&file(&["a", "b"]), at(14));
        assert_eq!((grown.is_stable(at(15)), grown.is_stable(at(24))), (false, true));
        assert!(!Accepted::default().is_stable(at(99)), "it was never read");
        assert!(Accepted::default().then(&file(&[]), at(0)).is_stable(at(10)));
    }

    #[test]
    fn an_equal_row_is_the_same_row() {
        let before = Accepted::default().then(&file(&["a", "b"]), at(0));
        let again = before.then(&file(&["a", "b"]), at(60));
        assert!(again.roster.iter().all(|(id, config)| Arc::ptr_eq(config, &before.roster[id])));
    }

    #[test]
    fn the_first_source_wins_and_doubles_are_named() {
        let (merged, duplicates) = merge([&roster(&[row("a")]), &roster(&[row("a"), row("b")])]);
        assert_eq!(merged.len(), 2);
        assert_eq!(duplicates, [id("a")]);
    }

    #[test]
    fn a_plan_touches_only_what_changed() {
        let running = roster(&[row("same"), row("changed"), row("gone"), row("off")]);
        let changed = Arc::new(ApiConfig { name: "New name".into(), ..(*row("changed")).clone() });
        let off = Arc::new(ApiConfig { enabled: false, ..(*row("off")).clone() });
        let plan = plan(running.values(), roster(&[row("same"), changed.clone(), off, row("new")]));
        assert_eq!(plan.started, [row("new")]);
        assert_eq!(plan.changed, [changed]);
        assert_eq!(plan.stopped, [(id("gone"), "its row was removed"), (id("off"), "it was disabled")]);
    }
}
