//! The heartbeat: one small record that says how everything stands, so that the records of the APIs need not be written just to
//! show that they are being watched.
//!
//! It means: at the time `at`, every watched API had been probed when due, except those that are late; and each of those probes was
//! conclusive, except those that are named inconclusive.

use std::time::Duration;

use crate::api::ApiId;
use crate::time::Timestamp;

/// Late APIs that are named; the others are counted. So a heartbeat is a few KB at most, and below 1 KB on any day on which
/// few are late.
pub const LATE_NAMED_MAX: usize = 20;

/// Inconclusive APIs that are named; the others are counted. Where our own network is down, that is all of them.
pub const INCONCLUSIVE_NAMED_MAX: usize = 20;

/// A heartbeat older than this many of its periods is overdue: its process no longer runs, or cannot write.
pub const OVERDUE_AFTER_PERIODS: u32 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub at: Timestamp,
    /// The name of the process, as people see it.
    pub instance: String,
    pub version: String,
    /// The next heartbeat follows after this; `None`: none does, since it was `run --once`.
    pub period: Option<Duration>,
    /// The record of an API may be this much older than its last probe, if nothing was decided since.
    pub checkpoint: Duration,
    /// APIs that are watched.
    pub apis: u64,
    /// Of these, how many are up.
    pub up: u64,
    /// How many are down.
    pub down: u64,
    /// How many are unknown, or have a prober that was given up.
    pub unknown: u64,
    /// Alerts that some channel does not have yet, those of self monitoring included.
    pub owed: u64,
    /// Outcomes of probes, rechecks included, since `probes_since`.
    pub probes: u64,
    /// When the heartbeat before was written, or the process began.
    pub probes_since: Timestamp,
    /// APIs whose last outcome is older than their schedule, their timeout and some slack allow.
    pub late: u64,
    /// The ids of those that are late for the longest, [`LATE_NAMED_MAX`] at most.
    pub late_api_ids: Vec<ApiId>,
    /// APIs whose last outcome was inconclusive, such as where our own network is down: their status is from before. One that is
    /// late as well counts here too.
    pub inconclusive: u64,
    /// The ids of some of them, in their order, [`INCONCLUSIVE_NAMED_MAX`] at most.
    pub inconclusive_api_ids: Vec<ApiId>,
}

impl Heartbeat {
    /// The heartbeats of several workers as one, as of the oldest of them. `None`: there is none.
    pub fn together(heartbeats: &[Self]) -> Option<Self> {
        let (first, others) = heartbeats.split_first()?;
        let mut all = first.clone();
        for heartbeat in others {
            all.at = all.at.min(heartbeat.at);
            add_word(&mut all.instance, &heartbeat.instance);
            add_word(&mut all.version, &heartbeat.version);
            all.period = all.period.max(heartbeat.period);
            all.checkpoint = all.checkpoint.max(heartbeat.checkpoint);
            all.probes_since = all.probes_since.min(heartbeat.probes_since);
            for (sum, count) in [
                (&mut all.apis, heartbeat.apis),
                (&mut all.up, heartbeat.up),
                (&mut all.down, heartbeat.down),
                (&mut all.unknown, heartbeat.unknown),
                (&mut all.owed, heartbeat.owed),
                (&mut all.probes, heartbeat.probes),
                (&mut all.late, heartbeat.late),
                (&mut all.inconclusive, heartbeat.inconclusive),
            ] {
                *sum = sum.saturating_add(count);
            }
            all.late_api_ids.extend_from_slice(&heartbeat.late_api_ids);
            all.inconclusive_api_ids.extend_from_slice(&heartbeat.inconclusive_api_ids);
        }
        Some(all)
    }

    /// Whether it is older than [`OVERDUE_AFTER_PERIODS`] periods. Never after `run --once`.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.period.is_some_and(|period| now.since(self.at) > period.saturating_mul(OVERDUE_AFTER_PERIODS))
    }

    /// Whether a watched API was late; `None`: it is not named, and not all late ones are.
    pub fn is_late(&self, api_id: &ApiId) -> Option<bool> {
        is_among(api_id, &self.late_api_ids, self.late)
    }

    /// Whether the last outcome of a watched API was inconclusive; `None` as in [`is_late`](Self::is_late).
    pub fn is_inconclusive(&self, api_id: &ApiId) -> Option<bool> {
        is_among(api_id, &self.inconclusive_api_ids, self.inconclusive)
    }
}

/// `a` becomes `a, b`; a word that is there already is not added.
fn add_word(words: &mut String, word: &str) {
    if !words.split(", ").any(|known| known == word) {
        words.push_str(", ");
        words.push_str(word);
    }
}

/// Whether an API is one of `count`, of which these are named.
fn is_among(api_id: &ApiId, named: &[ApiId], count: u64) -> Option<bool> {
    if named.contains(api_id) {
        return Some(true);
    }
    (count <= named.len() as u64).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat() -> Heartbeat {
        Heartbeat {
            at: Timestamp::from_millis(1_795_332_600_000),
            instance: "host:1:2".into(),
            version: "0.1.0".into(),
            period: Some(Duration::from_secs(60)),
            checkpoint: Duration::from_secs(3_600),
            apis: 3,
            up: 2,
            down: 1,
            unknown: 0,
            owed: 0,
            probes: 3,
            probes_since: Timestamp::from_millis(1_795_332_540_000),
            late: 0,
            late_api_ids: vec![],
            inconclusive: 0,
            inconclusive_api_ids: vec![],
        }
    }

    #[test]
    fn it_is_overdue_after_three_periods_and_never_after_a_single_round() {
        let heartbeat = heartbeat();
        let after = |seconds| heartbeat.at.plus(Duration::from_secs(seconds));
        assert!(!heartbeat.is_overdue(after(180)));
        assert!(heartbeat.is_overdue(after(181)));
        assert!(!heartbeat.is_overdue(Timestamp::default()), "a clock that was set back says nothing");
        assert!(!Heartbeat { period: None, ..heartbeat.clone() }.is_overdue(after(1_000_000)));
    }

    #[test]
    fn who_is_not_named_is_on_time_only_if_all_that_are_late_are_named() {
        let id = |text: &str| ApiId::parse(text).unwrap();
        let one = Heartbeat { late: 1, late_api_ids: vec![id("a")], ..heartbeat() };
        assert_eq!((one.is_late(&id("a")), one.is_late(&id("b"))), (Some(true), Some(false)));
        let many = Heartbeat { late: 2, ..one };
        assert_eq!((many.is_late(&id("a")), many.is_late(&id("b"))), (Some(true), None));
        let blind = Heartbeat { inconclusive: 2, inconclusive_api_ids: vec![id("a")], ..heartbeat() };
        assert_eq!((blind.is_inconclusive(&id("a")), blind.is_inconclusive(&id("b"))), (Some(true), None));
        assert_eq!(heartbeat().is_inconclusive(&id("a")), Some(false));
    }

    #[test]
    fn several_workers_are_told_as_one_as_of_the_oldest() {
        let id = |text: &str| ApiId::parse(text).unwrap();
        assert_eq!(Heartbeat::together(&[]), None);
        assert_eq!(Heartbeat::together(&[heartbeat()]), Some(heartbeat()));
        let first = Heartbeat { late: 3, late_api_ids: vec![id("a")], ..heartbeat() };
        let older = Heartbeat {
            at: Timestamp::from_millis(1_795_332_590_000),
            instance: "other:1:2".into(),
            checkpoint: Duration::from_secs(7_200),
            late: 1,
            late_api_ids: vec![id("b")],
            inconclusive: 1,
            inconclusive_api_ids: vec![id("c")],
            ..heartbeat()
        };
        let all = Heartbeat::together(&[first, older.clone()]).unwrap();
        let expected = Heartbeat {
            instance: "host:1:2, other:1:2".into(),
            apis: 6,
            up: 4,
            down: 2,
            probes: 6,
            late: 4,
            late_api_ids: vec![id("a"), id("b")],
            ..older
        };
        assert_eq!(all, expected);
        assert_eq!((all.is_late(&id("b")), all.is_late(&id("d"))), (Some(true), None), "two are not named");
        assert_eq!(all.is_inconclusive(&id("a")), Some(false));
    }
}
