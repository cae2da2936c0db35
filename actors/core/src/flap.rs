//! Flapping: an API that changes its status again and again is told as such, once, and its changes are held until it is steady.

use std::time::Duration;

use crate::time::Timestamp;

/// When an API counts as flapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlapPolicy {
    /// It does with more confirmed changes than this within the window, and until half of them are left; at least 1.
    pub changes: u32,
    pub window: Duration,
}

/// The latest changes of an API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flap {
    /// When they were confirmed, oldest first; no more than are needed to decide.
    pub changes: Vec<Timestamp>,
    /// Since when it flaps.
    pub since: Option<Timestamp>,
    /// An alert says so.
    pub is_alerted: bool,
}

impl Flap {
    /// A change was confirmed.
    pub(crate) fn note(&mut self, policy: FlapPolicy, now: Timestamp) {
        self.changes.retain(|at| is_within(*at, policy.window, now));
        self.changes.push(now);
        let enough = usize::try_from(policy.changes.max(1)).unwrap_or(usize::MAX).saturating_add(1);
        let too_many = self.changes.len().saturating_sub(enough);
        self.changes.drain(..too_many);
        if self.since.is_none() && self.changes.len() >= enough {
            self.since = Some(now);
            self.is_alerted = false;
        }
    }

    /// Whether it has flapped, and is steady by now.
    pub(crate) fn has_calmed(&self, policy: Option<FlapPolicy>, now: Timestamp) -> bool {
        self.since.is_some()
            && policy.is_none_or(|policy| {
                let recent = self.changes.iter().filter(|at| is_within(**at, policy.window, now)).count();
                recent <= usize::try_from(policy.changes.max(1) / 2).unwrap_or(usize::MAX)
            })
    }
}

/// A change that lies ahead, by a clock that was set back, is none of the latest.
fn is_within(at: Timestamp, window: Duration, now: Timestamp) -> bool {
    at <= now && now.since(at) <= window
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: FlapPolicy = FlapPolicy { changes: 4, window: Duration::from_secs(60) };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    #[test]
    fn it_begins_with_more_changes_than_allowed_and_ends_when_half_of_them_are_left() {
        let mut flap = Flap::default();
        for second in [0, 1, 2, 3] {
            flap.note(POLICY, at(second));
            assert_eq!(flap.since, None);
        }
        flap.note(POLICY, at(4));
        assert_eq!(flap.since, Some(at(4)));
        let calm = |second| flap.has_calmed(Some(POLICY), at(second));
        assert_eq!((calm(60), calm(62), calm(63)), (false, false, true), "of five, those at 3 and 4 are left");
        assert!(flap.has_calmed(None, at(5)), "nobody asks for it any more");
    }

    #[test]
    fn changes_far_apart_are_no_flapping_and_a_clock_that_was_set_back_holds_nothing_for_ever() {
        let mut flap = Flap::default();
        (0..50).for_each(|n| flap.note(POLICY, at(n * 20)));
        assert_eq!((flap.since, flap.changes.len()), (None, 4));
        (0..5).for_each(|n| flap.note(POLICY, at(1_000_000 + n)));
        assert!(flap.since.is_some() && flap.has_calmed(Some(POLICY), at(0)));
    }
}
