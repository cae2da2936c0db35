//! Which of the other workers has expired, by our clock alone, and counting only time in which we could read.
//!
//! A worker has expired when its record keeps its version for as long as its lease. That time counts from after the answer that
//! first showed the version to before the request that last showed it, so that a slow answer never counts against the other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::records::{WorkerId, WorkerRecord};
use crate::time::BootTime;

/// What was seen of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Watch {
    seen: BTreeMap<WorkerId, Seen>,
    /// When the last read got its answer.
    read_at: Option<BootTime>,
    has_met: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Seen {
    session: u64,
    version: u64,
    /// The version is unchanged since then, as far as we know.
    since: BootTime,
    /// It was still unchanged then.
    still_at: BootTime,
    lease: Duration,
}

impl Watch {
    /// Notes records that were requested at `sent` and came at `now`. If the read before was longer ago than `blind_after`, all count as
    /// seen for the first time. Workers that are not among `records` are forgotten.
    pub fn observe<'a>(
        &mut self,
        sent: BootTime,
        now: BootTime,
        blind_after: Duration,
        records: impl Iterator<Item = &'a WorkerRecord>,
    ) {
        let was_blind = self.is_blind(now, blind_after);
        self.read_at = Some(now);
        let before = std::mem::take(&mut self.seen);
        for record in records.filter(|record| record.is_live()) {
            let known = before.get(&record.id);
            let is_same = known.is_some_and(|seen| (seen.session, seen.version) == (record.session, record.version));
            self.has_met |= known.is_some_and(|seen| seen.session == record.session) && !is_same;
            let since = known.filter(|_| is_same && !was_blind).map_or(now, |seen| seen.since);
            let still_at = sent.max(since);
            let (session, version, lease) = (record.session, record.version, record.lease);
            self.seen.insert(record.id.clone(), Seen { session, version, since, still_at, lease });
        }
    }

    /// Whether the last read was longer ago than `blind_after`.
    pub fn is_blind(&self, now: BootTime, blind_after: Duration) -> bool {
        self.read_at.is_none_or(|before| now.saturating_sub(before) > blind_after)
    }

    /// Whether that worker's record was unchanged for its whole lease.
    pub fn has_expired(&self, worker: &WorkerId) -> bool {
        self.seen.get(worker).is_some_and(|seen| seen.still_at.saturating_sub(seen.since) >= seen.lease)
    }

    /// When the first of them may expire; `None`: there is nobody.
    pub fn next_expiry(&self) -> Option<BootTime> {
        self.seen.values().map(|seen| seen.since.saturating_add(seen.lease)).min()
    }

    /// Whether another session was ever seen renewing its lease.
    pub fn has_met(&self) -> bool {
        self.has_met
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::member::tests::{named, record};

    const BLIND: Duration = Duration::from_secs(5);

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn observe(watch: &mut Watch, sent: u64, now: u64, version: u64) {
        let other = WorkerRecord { version, ..record("b", 1) };
        watch.observe(s(sent), s(now), BLIND, std::iter::once(&other));
    }

    #[test]
    fn a_version_that_stands_still_for_a_whole_lease_has_expired() {
        let mut watch = Watch::default();
        for at in [0, 3, 6, 9] {
            observe(&mut watch, at, at, 7);
            assert!(!watch.has_expired(&named("b")));
        }
        assert_eq!(watch.next_expiry(), Some(s(10)));
        assert!(!watch.has_met());
        observe(&mut watch, 10, 10, 7);
        assert!(watch.has_expired(&named("b")));
        observe(&mut watch, 11, 11, 8);
        assert!(!watch.has_expired(&named("b")), "it renewed");
        assert!(watch.has_met());
    }

    #[test]
    fn the_time_of_the_calls_does_not_count() {
        let mut watch = Watch::default();
        observe(&mut watch, 0, 2, 7);
        observe(&mut watch, 4, 5, 7);
        observe(&mut watch, 8, 9, 7);
        observe(&mut watch, 11, 13, 7);
        assert!(!watch.has_expired(&named("b")), "seen from 2 to 11");
        observe(&mut watch, 14, 14, 7);
        assert!(watch.has_expired(&named("b")));
    }

    #[test]
    fn blind_time_does_not_count() {
        let mut watch = Watch::default();
        observe(&mut watch, 0, 0, 7);
        observe(&mut watch, 20, 20, 7);
        assert!(!watch.has_expired(&named("b")));
        assert_eq!(watch.next_expiry(), Some(s(30)));
    }
}
