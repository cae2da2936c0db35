//! What all workers should know of: what owners are asked to do, and which configs changed. It stands in the assignment, which
//! each of them reads anyway.

use std::collections::BTreeSet;

use super::records::Assignment;
use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::time::Timestamp;

/// Asks that are kept; the oldest are dropped.
pub const ASKS_MAX: usize = 50;

/// Alerts that one ask names; one that names more asks for all of that API.
pub const ASK_ALERTS_MAX: usize = 20;

/// Changed ids that a revision of the configs names. Whoever missed more reads the whole table.
pub const CHANGED_IDS_MAX: usize = 20;

/// Something for all workers to know, written into the assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something to do for whoever owns the API.
    Ask(Ask),
    /// The rows of these APIs changed; `None`: of too many to name.
    ConfigsChanged(Option<Vec<ApiId>>),
    /// The ask of this id is acted upon, and is to be acted upon no more.
    Done(String),
    /// From now on state records are written in this schema. It never falls.
    WritesSchema(u32),
}

/// Something to do for whoever owns the API. It stays in the record: an owner remembers the ids that it has acted on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Different from every other's.
    pub id: String,
    /// When it was asked, on the asker's clock.
    pub at: Timestamp,
    pub what: AskFor,
}

/// What an owner is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AskFor {
    /// Try owed alerts now, whatever they wait for.
    Retry {
        /// These alone, [`ASK_ALERTS_MAX`] at most; `None`: all.
        alert_ids: Option<Vec<String>>,
    },
    /// A former owner told this without being able to store it. If the record knows nothing of it, owe its `closed`.
    Withdraw {
        /// Of this API.
        api_id: ApiId,
        /// Under this incident.
        incident_id: String,
        /// This was told.
        kind: AlertKind,
    },
    /// Owe nothing to this channel any more that was decided until the ask.
    DropChannel { channel: String },
}

/// How far the configs are: a number that grows with each change, and what the last changes were about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConfigsRevision {
    /// Grows with each change; 0: nobody has said anything yet.
    pub revision: u64,
    /// Each API with the revision at which its row changed, oldest first, [`CHANGED_IDS_MAX`] at most.
    pub changed: Vec<(u64, ApiId)>,
    /// Changes up to this revision are not all named in `changed`.
    pub unnamed_until: u64,
}

impl ConfigsRevision {
    /// The rows that changed after `revision`; `None`: not all of them are known, so that the whole table is to be read.
    pub fn changed_since(&self, revision: u64) -> Option<BTreeSet<ApiId>> {
        if revision < self.unnamed_until || revision > self.revision {
            return None;
        }
        Some(self.changed.iter().filter(|(at, _)| *at > revision).map(|(_, api_id)| api_id.clone()).collect())
    }

    fn change(&mut self, api_ids: Option<Vec<ApiId>>) {
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

impl Assignment {
    /// Applies what somebody has to say to all.
    pub fn apply(&mut self, notice: Notice) {
        match notice {
            Notice::Ask(ask) if self.asks.iter().any(|known| known.id == ask.id) => {}
            Notice::Ask(mut ask) => {
                if let AskFor::Retry { alert_ids } = &mut ask.what
                    && alert_ids.as_ref().is_some_and(|ids| ids.len() > ASK_ALERTS_MAX)
                {
                    *alert_ids = None; // trying more than was asked for harms nobody
                }
                self.asks.push(ask);
                let too_many = self.asks.len().saturating_sub(ASKS_MAX);
                self.asks.drain(..too_many);
            }
            Notice::Done(id) => self.asks.retain(|ask| ask.id != id),
            Notice::ConfigsChanged(api_ids) => self.configs.change(api_ids),
            Notice::WritesSchema(schema) => self.writes_schema = self.writes_schema.max(schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
