//! What all workers have to know: what owners are asked to do, and which configs changed. It is part of the assignment, which each
//! of them reads anyway.

use std::collections::BTreeSet;

use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::maintenance::{Maintenance, Selection};
use crate::time::Timestamp;

/// Asks that are kept; the oldest are dropped, and those to withdraw an outage last.
pub const ASKS_MAX: usize = 50;

/// Of them, those to withdraw an outage; any more wait until these are done.
pub const WITHDRAWALS_MAX: usize = 25;

/// Alerts that one ask names; one that names more becomes an ask for all.
pub const ASK_ALERTS_MAX: usize = 20;

/// Changed ids that are named. A worker that missed more changes reads the whole table.
pub const CHANGED_IDS_MAX: usize = 20;

/// Something for all workers to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something to do for whoever owns the API.
    Ask(Ask),
    /// The rows of these APIs changed; `None`: of too many to name.
    ConfigsChanged(Option<Vec<ApiId>>),
    /// The ask of this id is done.
    Done(String),
    /// From now on state records are written in this schema, or in a later one.
    WritesSchema(u32),
}

/// Something that the owner of an API has to do. It stays in the record: owners remember which asks they have acted on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Unique.
    pub id: String,
    /// When it was asked, on the asker's clock.
    pub at: Timestamp,
    pub what: AskFor,
}

/// What an owner is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AskFor {
    /// Try owed alerts now, in spite of backoff.
    Retry {
        /// At most [`ASK_ALERTS_MAX`]; `None`: all.
        alert_ids: Option<Vec<String>>,
    },
    /// A former owner sent this alert without being able to store it. If it is not in the record, withdraw it.
    Withdraw { api_id: ApiId, incident_id: String, kind: AlertKind },
    /// What was decided before this ask is no longer owed to this channel.
    DropChannel { channel: String },
    /// Open a maintenance window for these APIs, or close it (`None`).
    Maintenance { of: Selection, window: Option<Maintenance> },
}

impl Ask {
    pub(super) fn is_withdrawal(&self) -> bool {
        matches!(self.what, AskFor::Withdraw { .. })
    }

    pub(super) fn is_retry(&self) -> bool {
        matches!(self.what, AskFor::Retry { .. })
    }
}

impl Notice {
    /// It must not be dropped: an incident would stay open for ever.
    pub(super) fn is_withdrawal(&self) -> bool {
        matches!(self, Self::Ask(ask) if ask.is_withdrawal())
    }

    pub(super) fn is_same_ask(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Ask(ask), Self::Ask(other)) if ask.id == other.id)
    }
}

/// The revision of the configs, and which APIs the last changes were about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConfigsRevision {
    /// Grows with each change; 0: there was none yet.
    pub revision: u64,
    /// Each changed API with the revision of its change, oldest first, [`CHANGED_IDS_MAX`] at most.
    pub changed: Vec<(u64, ApiId)>,
    /// Changes up to this revision are not all named in `changed`.
    pub unnamed_until: u64,
}

impl ConfigsRevision {
    /// The rows that changed after `revision`; `None`: not all are named, so that the whole table has to be read.
    pub fn changed_since(&self, revision: u64) -> Option<BTreeSet<ApiId>> {
        if revision < self.unnamed_until || revision > self.revision {
            return None;
        }
        Some(self.changed.iter().filter(|(at, _)| *at > revision).map(|(_, api_id)| api_id.clone()).collect())
    }

    pub(super) fn change(&mut self, api_ids: Option<Vec<ApiId>>) {
        self.revision = self.revision.saturating_add(1);
        let Some(api_ids) = api_ids.filter(|ids| ids.len() <= CHANGED_IDS_MAX) else {
            self.changed.clear();
            self.unnamed_until = self.revision;
            return;
        };
        self.changed.retain(|(_, known)| !api_ids.contains(known));
        self.changed.extend(api_ids.into_iter().map(|api_id| (self.revision, api_id)));
        let too_many = self.changed.len().saturating_sub(CHANGED_IDS_MAX);
        for (at, _) in self.changed.drain(..too_many) {
            self.unnamed_until = self.unnamed_until.max(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::records::Assignment;

    fn ask(id: usize) -> Ask {
        let what = AskFor::Retry { alert_ids: None };
        Ask { id: id.to_string(), at: Timestamp::default(), what }
    }

    fn id(n: usize) -> ApiId {
        ApiId::parse(&format!("api-{n}")).unwrap()
    }

    #[test]
    fn an_ask_is_kept_once_and_the_oldest_are_dropped() {
        let mut assignment = Assignment::none(1, 2);
        for n in (0..=ASKS_MAX).chain([ASKS_MAX]) {
            assignment.apply(Notice::Ask(ask(n)));
        }
        let ids: Vec<&str> = assignment.asks.iter().map(|ask| &*ask.id).collect();
        assert_eq!((ids.len(), ids[0], *ids.last().unwrap()), (ASKS_MAX, "1", "50"));
    }

    #[test]
    fn an_ask_for_very_many_alerts_asks_for_all() {
        let mut assignment = Assignment::none(1, 2);
        let alert_ids = Some(vec![String::new(); ASK_ALERTS_MAX + 1]);
        assignment.apply(Notice::Ask(Ask { what: AskFor::Retry { alert_ids }, ..ask(1) }));
        assert_eq!(assignment.asks[0].what, AskFor::Retry { alert_ids: None });
    }

    #[test]
    fn whoever_missed_more_changes_than_are_named_reads_the_whole_table() {
        let mut configs = ConfigsRevision::default();
        assert_eq!(configs.changed_since(0), Some(BTreeSet::new()));
        for n in 0..CHANGED_IDS_MAX {
            configs.change(Some(vec![id(n)]));
        }
        assert_eq!(configs.changed_since(0).map(|ids| ids.len()), Some(CHANGED_IDS_MAX));
        configs.change(Some(vec![id(99)]));
        assert_eq!(configs.changed_since(0), None, "the first change is no longer named");
        assert_eq!(configs.changed_since(20), Some(BTreeSet::from([id(99)])));
        assert_eq!(configs.changed_since(22), None, "of a later record, or of one that was deleted since");
        configs.change(None);
        assert_eq!((configs.changed_since(21), configs.changed_since(22)), (None, Some(BTreeSet::new())));
    }
}
