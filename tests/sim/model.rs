//! The plain reference model of one API: it looks at the list of all outcomes and keeps nothing between them but what
//! follows from that list.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{AlertKind, ApiConfig, Status, Timestamp, Verdict};

/// An outcome, as the fake API gave it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    /// By the world's own time.
    pub(crate) at: Duration,
    /// The config that it was probed by.
    pub(crate) api: Arc<ApiConfig>,
    /// Ticks that passed while it ran.
    pub(crate) missed: u64,
}

/// What a channel was told of a change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    /// An attempt began.
    pub(crate) offered_at: Option<Duration>,
    /// The channel has it.
    pub(crate) taken_at: Option<Duration>,
    /// The program was told so, and in which of its lives.
    pub(crate) answered: Option<(Duration, u64)>,
    /// The stored record knows.
    pub(crate) settled: bool,
}

/// A confirmed change of status.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) kind: AlertKind,
    pub(crate) happened_at: Timestamp,
    pub(crate) incident_started_at: Timestamp,
    pub(crate) previous: Status,
    /// The outcome that confirmed it.
    pub(crate) confirmed_by: usize,
    /// Its alert's id, once it was seen.
    pub(crate) alert_id: Option<String>,
    pub(crate) is_stored: bool,
    /// Left out of a full outbox.
    pub(crate) left_out: bool,
    pub(crate) lanes: Vec<Lane>,
}

/// What is known after an outcome.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) since: Option<Timestamp>,
    /// Toward what, how many, since when.
    pub(crate) streak: Option<(AlertKind, u32, Timestamp)>,
    /// How many changes there were.
    pub(crate) changes: usize,
    pub(crate) missed: u64,
}

/// One API.
pub(crate) struct Model {
    pub(crate) seen: Vec<Seen>,
    /// One more than `seen`: the first is before any.
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) changes: Vec<Change>,
    channels: usize,
}

impl Model {
    pub(crate) fn new(channels: usize) -> Self {
        let nothing = Snapshot { status: Status::Unknown, since: None, streak: None, changes: 0, missed: 0 };
        Self { seen: vec![], snapshots: vec![nothing], changes: vec![], channels }
    }

    pub(crate) fn now(&self) -> &Snapshot {
        self.snapshots.last().expect("there is always one")
    }

    /// The program died and has only the first `count` outcomes.
    pub(crate) fn forget_after(&mut self, count: usize) {
        self.seen.truncate(count);
        self.snapshots.truncate(count + 1);
        self.changes.truncate(self.now().changes);
    }

    /// One more outcome. Returns whether it changed anything that must be stored.
    pub(crate) fn see(&mut self, seen: Seen) -> bool {
        let before = self.now().clone();
        let mut after = before.clone();
        after.missed += seen.missed;
        let verdict = seen.verdict;
        self.seen.push(seen);
        let seen = self.seen.last().expect("just pushed");
        let toward = match (verdict, before.status) {
            (Verdict::Inconclusive, _) => None,
            (Verdict::Pass, Status::Unknown) => {
                after = Snapshot { status: Status::Up, since: Some(seen.started_at), streak: None, ..after };
                None
            }
            (Verdict::Pass, Status::Up) | (Verdict::Fail, Status::Down) => {
                after.streak = None;
                None
            }
            (Verdict::Fail, _) => Some((AlertKind::Down, seen.api.failure_threshold)),
            (Verdict::Pass, Status::Down) => Some((AlertKind::Up, seen.api.success_threshold)),
        };
        if let Some((kind, threshold)) = toward {
            // The run of equal verdicts that ends here. It cannot reach behind the last change of status, since the
            // outcome that confirmed that was the opposite.
            let conclusive = self.seen.iter().rev().filter(|seen| seen.verdict != Verdict::Inconclusive);
            let run: Vec<&Seen> = conclusive.take_while(|seen| seen.verdict == verdict).collect();
            let (count, first_at) = (u32::try_from(run.len()).unwrap_or(u32::MAX), run[run.len() - 1].started_at);
            if count < threshold {
                after.streak = Some((kind, count, first_at));
            } else {
                let incident_started_at = match kind {
                    AlertKind::Down => first_at,
                    AlertKind::Up => self.changes.last().expect("an outage before it").happened_at,
                };
                self.changes.push(Change {
                    kind,
                    happened_at: first_at,
                    incident_started_at,
                    previous: before.status,
                    confirmed_by: self.seen.len() - 1,
                    alert_id: None,
                    is_stored: false,
                    left_out: false,
                    lanes: vec![Lane::default(); self.channels],
                });
                after.status = kind.status();
                after.since = Some(first_at);
                after.streak = None;
                after.changes += 1;
            }
        }
        let mattered = after.status != before.status || after.streak != before.streak;
        self.snapshots.push(after);
        mattered
    }
}
