//! The plain reference model of one API: it looks at the list of all that happened to it, and keeps nothing in between
//! but what follows from that list.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::{AlertKind, ApiConfig, Status, Timestamp, Verdict};

/// An outcome, as the fake API gave it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) verdict: Verdict,
    pub(crate) started_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    /// The config that it was probed by.
    pub(crate) api: Arc<ApiConfig>,
    /// Ticks that passed while it ran.
    pub(crate) missed: u64,
}

/// Something that a decision follows from.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An outcome.
    Outcome(Seen),
    /// The API is watched no longer.
    Unwatched(Timestamp),
    /// Outages that were told unstored, and are not in the record that counts now: each is taken back.
    TakenBack(Vec<Change>, Timestamp),
}

/// What one channel was told of a change.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeliverySlot {
    /// The first attempt began.
    pub(crate) offered_at: Option<Duration>,
    /// The channel has it.
    pub(crate) taken_at: Option<Duration>,
    /// The program was told so, and in which of its lives.
    pub(crate) answered: Option<(Duration, u64)>,
    /// The stored record knows.
    pub(crate) delivered: bool,
    /// The record that the present life began with still owed it.
    pub(crate) owed_at_start: bool,
}

/// A confirmed change of status.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) kind: AlertKind,
    pub(crate) happened_at: Timestamp,
    pub(crate) incident_started_at: Timestamp,
    pub(crate) previous: Status,
    /// When it was confirmed, by the world's own time and on the wall clock.
    pub(crate) at: Duration,
    pub(crate) detected_at: Timestamp,
    /// What the API was called then.
    pub(crate) name: String,
    pub(crate) url: String,
    /// In which life.
    pub(crate) life: u64,
    /// Its alert's id, once it was seen.
    pub(crate) alert_id: Option<String>,
    /// When a record that owes it was durable.
    pub(crate) stored_at: Option<Duration>,
    /// Left out of a full outbox.
    pub(crate) left_out: bool,
    /// It only ends an outage that was told and never stored: no status changes by it.
    pub(crate) takes_back: bool,
    pub(crate) lanes: Vec<DeliverySlot>,
}

/// What is known after an item.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) since: Option<Timestamp>,
    /// Toward what, how many, since when.
    pub(crate) streak: Option<(AlertKind, u32, Timestamp)>,
    /// How many changes there were.
    pub(crate) changes: usize,
    pub(crate) missed: u64,
    /// This item changed something that must be stored.
    pub(crate) mattered: bool,
    /// When it happened, by the world's own time.
    pub(crate) at: Duration,
}

/// One API.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) items: Vec<Item>,
    /// One more than `items`: the first is before any.
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) changes: Vec<Change>,
    channels: usize,
}

impl Model {
    pub(crate) fn new(channels: usize) -> Self {
        let nothing = Snapshot {
            status: Status::Unknown,
            since: None,
            streak: None,
            changes: 0,
            missed: 0,
            mattered: false,
            at: Duration::ZERO,
        };
        Self { items: vec![], snapshots: vec![nothing], changes: vec![], channels }
    }

    pub(crate) fn now(&self) -> &Snapshot {
        self.snapshots.last().expect("there is always one")
    }

    /// The last confirmed change of status.
    pub(crate) fn last_change(&self, of_the_first: usize) -> Option<&Change> {
        self.changes[..of_the_first].iter().rfind(|change| !change.takes_back)
    }

    /// The program knows only the first `count` items: it died, or somebody else wrote over the rest.
    pub(crate) fn forget_after(&mut self, count: usize) {
        self.items.truncate(count);
        self.snapshots.truncate(count + 1);
        self.changes.truncate(self.now().changes);
    }

    /// One more thing happened, at that time in that life. Returns whether it changed anything that must be stored.
    pub(crate) fn happens(&mut self, item: Item, at: Duration, life: u64) -> bool {
        let before = self.now().clone();
        let mut after = Snapshot { mattered: false, at, ..before.clone() };
        self.items.push(item);
        match self.items.last().expect("just pushed") {
            Item::Outcome(seen) => {
                after.missed += seen.missed;
                match (seen.verdict, before.status) {
                    (Verdict::Inconclusive, _) => {}
                    (Verdict::Pass, Status::Unknown) => {
                        after = Snapshot { status: Status::Up, since: Some(seen.started_at), streak: None, ..after };
                    }
                    (Verdict::Pass, Status::Up) | (Verdict::Fail, Status::Down) => after.streak = None,
                    (Verdict::Fail, _) => self.against(AlertKind::Down, &mut after, at, life),
                    (Verdict::Pass, Status::Down) => self.against(AlertKind::Up, &mut after, at, life),
                }
            }
            Item::Unwatched(wall) => {
                let wall = *wall;
                if before.status == Status::Down {
                    let outage = self.last_change(self.changes.len()).expect("the outage that it is in").clone();
                    let (name, url) = (outage.name, outage.url);
                    self.change(AlertKind::Closed, wall, wall, (name, url), Status::Down, at, life);
                    after.changes += 1;
                }
                after = Snapshot { status: Status::Unknown, since: None, streak: None, ..after };
            }
            Item::TakenBack(outages, wall) => {
                let (outages, wall) = (outages.clone(), *wall);
                after.changes += outages.len();
                outages.iter().for_each(|outage| self.take_back(outage, wall, at, life));
            }
        }
        after.mattered =
            after.status != before.status || after.streak != before.streak || after.changes != before.changes;
        let mattered = after.mattered;
        self.snapshots.push(after);
        mattered
    }

    /// An outcome that speaks against the status: one more of its run, and perhaps the one that confirms it.
    fn against(&mut self, kind: AlertKind, after: &mut Snapshot, at: Duration, life: u64) {
        let Some(Item::Outcome(last)) = self.items.last() else { return };
        let threshold = if kind == AlertKind::Down { last.api.failure_threshold } else { last.api.success_threshold };
        // The run of equal verdicts that ends here. It cannot reach behind the last change of status, since the outcome
        // that confirmed that was the opposite; nor behind a time at which nobody looked, nor an outcome of another question.
        let mut run: Vec<Timestamp> = vec![];
        for item in self.items.iter().rev() {
            match item {
                Item::Outcome(seen) if seen.verdict == Verdict::Inconclusive => {}
                Item::Outcome(seen) if seen.verdict == last.verdict && seen.api.url == last.api.url => {
                    run.push(seen.started_at);
                }
                Item::TakenBack(..) => {}
                _ => break,
            }
        }
        let (count, first_at) = (u32::try_from(run.len()).unwrap_or(u32::MAX), run[run.len() - 1]);
        if count < threshold {
            after.streak = Some((kind, count, first_at));
            return;
        }
        let (called, wall) = ((last.api.name.to_string(), last.api.url.clone()), last.finished_at);
        self.change(kind, first_at, wall, called, after.status, at, life);
        *after = Snapshot { status: kind.status(), since: Some(first_at), streak: None, ..after.clone() };
        after.changes += 1;
    }

    #[expect(clippy::too_many_arguments, reason = "a plain record, filled at two places")]
    fn change(
        &mut self,
        kind: AlertKind,
        happened_at: Timestamp,
        detected_at: Timestamp,
        (name, url): (String, String),
        previous: Status,
        at: Duration,
        life: u64,
    ) {
        let incident_started_at = match (kind, self.last_change(self.changes.len())) {
            (AlertKind::Up | AlertKind::Closed, Some(outage)) => outage.happened_at,
            _ => happened_at,
        };
        let lanes = vec![DeliverySlot::default(); self.channels];
        self.changes.push(Change {
            kind,
            happened_at,
            incident_started_at,
            previous,
            at,
            detected_at,
            name,
            url,
            life,
            alert_id: None,
            stored_at: None,
            left_out: false,
            takes_back: false,
            lanes,
        });
    }

    fn take_back(&mut self, outage: &Change, wall: Timestamp, at: Duration, life: u64) {
        self.changes.push(Change {
            kind: AlertKind::Closed,
            happened_at: wall,
            detected_at: wall,
            previous: Status::Unknown,
            at,
            life,
            alert_id: None,
            stored_at: None,
            left_out: false,
            takes_back: true,
            lanes: vec![DeliverySlot::default(); self.channels],
            ..outage.clone()
        });
    }
}
