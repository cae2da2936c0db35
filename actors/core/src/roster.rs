//! Which probers to start, change and stop after the configs were read again: a plan, for the supervisor to carry out.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{ApiConfig, ApiId};

/// Configs by id.
pub type Roster = BTreeMap<ApiId, Arc<ApiConfig>>;

/// What one source of configs gave when it was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Rows that are good.
    pub good: Vec<Arc<ApiConfig>>,
    /// Ids of rows that are there and refused: their last good version keeps running.
    pub refused: Vec<ApiId>,
}

/// What a source is taken to say, after what it said before.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The configs to run.
    pub roster: Roster,
    /// Nothing at all was there although there was before, so that what was before was kept (P8).
    pub kept_for_emptiness: bool,
}

/// Accepts what a source gave: good rows as they are, refused rows in their last good version, and if there is
/// nothing at all any more, everything as it was.
pub fn accept(before: &Roster, loaded: &Loaded) -> Accepted {
    if loaded.good.is_empty() && loaded.refused.is_empty() && !before.is_empty() {
        return Accepted { roster: before.clone(), kept_for_emptiness: true };
    }
    let mut roster: Roster = loaded.good.iter().map(|c| (c.api_id.clone(), Arc::clone(c))).collect();
    for api_id in &loaded.refused {
        if let (false, Some(last_good)) = (roster.contains_key(api_id), before.get(api_id)) {
            roster.insert(api_id.clone(), Arc::clone(last_good));
        }
    }
    Accepted { roster, kept_for_emptiness: false }
}

/// Joins what several sources say, the earlier source winning, and names the ids that more than one of them has.
pub fn merge<'a>(sources: impl IntoIterator<Item = &'a Roster>) -> (Roster, Vec<ApiId>) {
    let mut merged = Roster::new();
    let mut doubled = Vec::new();
    for source in sources {
        for (api_id, config) in source {
            if merged.contains_key(api_id) {
                doubled.push(api_id.clone());
            } else {
                merged.insert(api_id.clone(), Arc::clone(config));
            }
        }
    }
    (merged, doubled)
}

/// What to do so that what runs is what is configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// New, or enabled again.
    pub start: Vec<Arc<ApiConfig>>,
    /// Running, and different now.
    pub change: Vec<Arc<ApiConfig>>,
    /// Removed or disabled, and which of the two, in words.
    pub stop: Vec<(ApiId, &'static str)>,
}

/// Compares what runs with what is configured. A row that did not change is in no part of the plan: its prober keeps
/// its phase and its streak.
pub fn plan(running: &Roster, configured: &Roster) -> Plan {
    let mut plan = Plan::default();
    for (api_id, config) in configured.iter().filter(|(_, c)| c.enabled) {
        match running.get(api_id) {
            None => plan.start.push(Arc::clone(config)),
            Some(now) if now != config => plan.change.push(Arc::clone(config)),
            Some(_) => {}
        }
    }
    plan.stop = running
        .keys()
        .filter_map(|id| match configured.get(id) {
            None => Some((id.clone(), "its row was removed")),
            Some(config) if !config.enabled => Some((id.clone(), "it was disabled")),
            Some(_) => None,
        })
        .collect();
    plan
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

    #[test]
    fn a_refused_row_keeps_its_last_good_version_and_hurts_no_other() {
        let before = roster(&[row("a"), row("b")]);
        let loaded = Loaded { good: vec![row("b"), row("c")], refused: vec![id("a"), id("new")] };
        let accepted = accept(&before, &loaded);
        assert_eq!(accepted.roster.keys().map(ApiId::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(!accepted.kept_for_emptiness);
    }

    #[test]
    fn an_empty_source_stops_nothing() {
        let before = roster(&[row("a")]);
        let accepted = accept(&before, &Loaded::default());
        assert!(accepted.kept_for_emptiness);
        assert_eq!(accepted.roster, before);
        assert!(!accept(&Roster::new(), &Loaded::default()).kept_for_emptiness);
    }

    #[test]
    fn the_first_source_wins_and_doubles_are_named() {
        let (merged, doubled) = merge([&roster(&[row("a")]), &roster(&[row("a"), row("b")])]);
        assert_eq!(merged.len(), 2);
        assert_eq!(doubled, [id("a")]);
    }

    #[test]
    fn a_plan_touches_only_what_changed() {
        let running = roster(&[row("same"), row("changed"), row("gone"), row("off")]);
        let changed = Arc::new(ApiConfig { name: "New name".into(), ..(*row("changed")).clone() });
        let off = Arc::new(ApiConfig { enabled: false, ..(*row("off")).clone() });
        let plan = plan(&running, &roster(&[row("same"), changed.clone(), off, row("new")]));
        assert_eq!(plan.start, [row("new")]);
        assert_eq!(plan.change, [changed]);
        assert_eq!(plan.stop, [(id("gone"), "its row was removed"), (id("off"), "it was disabled")]);
    }
}
