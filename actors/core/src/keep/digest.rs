//! Whether what waits for a channel goes out one by one or together: a storm of single alerts is read by nobody.
//!
//! So many alerts as the settings say go out alone within [`STORM_WITHIN`]. What comes beyond that is gathered for
//! [`GATHERED_FOR`] and goes out as one message, a digest, until the storm is over. Each alert in it is owed and delivered by itself.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Monotonic;

/// The most alerts in one digest. With ids of the longest kind it still fits into one message of SNS.
pub const DIGEST_ALERTS_MAX: usize = 50;

/// Alerts within this time count together, and so long after its last digest a storm is over.
pub const STORM_WITHIN: Duration = Duration::from_secs(10);

/// In a storm, alerts wait so long for others, unless they fill a digest before.
pub const GATHERED_FOR: Duration = Duration::from_secs(5);

/// So many digests in a row fail before an alert alone is tried: the channel may be out of reach, or not know digests.
const DIGESTS_FAILED: u32 = 2;

/// A channel that takes alerts alone and no digest gets each by itself for so long: it may not know digests, or dislike one of them.
const ONE_BY_ONE_FOR: Duration = Duration::from_secs(3_600);

/// What one channel was sent lately, and by that how many go in the next message.
#[derive(Clone, Debug, Default)]
pub(super) struct Digester {
    /// More than so many alerts within [`STORM_WITHIN`] are a storm.
    above: usize,
    /// When the last alerts went out alone: no more than may.
    alone: VecDeque<Monotonic>,
    last: Option<Monotonic>,
    last_digest: Option<Monotonic>,
    /// Since when some wait for others.
    gathers_since: Option<Monotonic>,
    one_by_one_until: Option<Monotonic>,
    /// Digests in a row that failed.
    digests_failed: u32,
    /// An alert alone went out since the last of them, to see whether that is taken. It is not waited for: the channel may hang.
    tried_one: bool,
    /// An alert alone was taken since so many of them failed.
    takes_one: bool,
}

impl Digester {
    pub(super) fn new(above: usize) -> Self {
        Self { above, ..Self::default() }
    }

    /// How many of those that wait go out in one message now. `hurry`: nothing is gathered, since somebody waits for it.
    pub(super) fn message_size(&mut self, waiting: usize, hurry: bool, now: Monotonic) -> usize {
        if waiting == 0 || self.one_by_one_until.is_some_and(|until| now < until) {
            self.gathers_since = None;
            return waiting.min(1);
        }
        let is_recent = |at: Monotonic, within: Duration| now.saturating_sub(at) < within;
        let goes_on = self.last_digest.is_some_and(|at| is_recent(at, STORM_WITHIN));
        let alone = self.alone.iter().filter(|at| is_recent(**at, STORM_WITHIN)).count();
        if waiting <= self.above && alone < self.above && !goes_on {
            return 1;
        }
        let is_calm = hurry || self.last.is_none_or(|at| !is_recent(at, GATHERED_FOR));
        if self.digests_failed >= DIGESTS_FAILED && !self.takes_one && !self.tried_one {
            // The others wait no longer for it.
            self.gathers_since.get_or_insert(now);
            return usize::from(is_calm);
        }
        // Others may have gone out alone meanwhile.
        let has_waited = self.gathers_since.is_some_and(|since| !is_recent(since, GATHERED_FOR));
        if is_calm || has_waited || waiting >= DIGEST_ALERTS_MAX {
            return waiting.min(DIGEST_ALERTS_MAX);
        }
        self.gathers_since.get_or_insert(now);
        0
    }

    /// A message with so many alerts goes out.
    pub(super) fn on_sent(&mut self, alerts: usize, now: Monotonic) {
        self.last = Some(now);
        if alerts > 1 {
            self.last_digest = Some(now);
            self.gathers_since = None;
            self.tried_one = false;
        } else {
            self.tried_one = true;
            self.alone.push_back(now);
            self.alone.drain(..self.alone.len().saturating_sub(self.above));
        }
    }

    /// A message with so many alerts was taken.
    pub(super) fn on_taken(&mut self, alerts: usize) {
        if alerts > 1 {
            (self.digests_failed, self.takes_one) = (0, false);
        } else {
            self.takes_one = self.digests_failed >= DIGESTS_FAILED;
        }
    }

    /// One was not; but for that it may be taken later. `busy`: the channel asked for patience, which says nothing of digests.
    pub(super) fn on_failed(&mut self, alerts: usize, busy: bool, now: Monotonic) {
        match (alerts, self.takes_one) {
            (2.., true) if busy => self.takes_one = false,
            (2.., true) => self.on_refused(now),
            (2.., false) => self.digests_failed = self.digests_failed.saturating_add(1),
            // The channel is out of reach, as far as that tells.
            _ => self.digests_failed = self.digests_failed.min(DIGESTS_FAILED - 1),
        }
    }

    /// The channel refused a digest for good.
    pub(super) fn on_refused(&mut self, now: Monotonic) {
        (self.digests_failed, self.takes_one) = (0, false);
        self.one_by_one_until = Some(now.saturating_add(ONE_BY_ONE_FOR));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Monotonic {
        Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn a_few_go_out_alone_at_once_and_what_comes_beyond_is_gathered() {
        let mut digester = Digester::new(3);
        for _ in 0..3 {
            assert_eq!(digester.message_size(2, false, at(0)), 1);
            digester.on_sent(1, at(0));
        }
        assert_eq!(digester.message_size(2, false, at(4)), 0, "they wait for others");
        assert_eq!(digester.message_size(2, true, at(4)), 2, "unless somebody waits for them");
        assert_eq!(digester.message_size(DIGEST_ALERTS_MAX, false, at(4)), DIGEST_ALERTS_MAX, "or there are enough");
        assert_eq!(digester.message_size(2, false, at(5)), 2);
        digester.on_sent(2, at(5));
        assert_eq!(digester.message_size(7, false, at(9)), 0, "the storm goes on");
        assert_eq!(digester.message_size(DIGEST_ALERTS_MAX + 1, false, at(9)), DIGEST_ALERTS_MAX, "more would not fit");
        assert_eq!(digester.message_size(1, false, at(10)), 1);
        assert_eq!(digester.message_size(2, false, at(15)), 1, "it is over");
    }

    #[test]
    fn none_waits_for_longer_because_others_went_out_alone_meanwhile() {
        let mut digester = Digester::new(2);
        for seconds in [0, 6] {
            assert_eq!(digester.message_size(1, false, at(seconds)), 1);
            digester.on_sent(1, at(seconds));
        }
        assert_eq!(digester.message_size(2, false, at(8)), 0);
        assert_eq!(digester.message_size(2, false, at(10)), 1, "that of ten seconds before counts no longer");
        digester.on_sent(1, at(10));
        assert_eq!(digester.message_size(1, false, at(12)), 0);
        assert_eq!(digester.message_size(1, false, at(13)), 1, "it waits since 8");
    }

    #[test]
    fn a_channel_that_fails_on_digests_alone_gets_alerts_one_by_one_and_one_that_is_busy_does_not() {
        for (busy, next) in [(false, 1), (true, 9)] {
            let mut digester = Digester::new(3);
            for second in [0, 10] {
                assert_eq!(digester.message_size(9, false, at(second)), 9);
                digester.on_sent(9, at(second));
                digester.on_failed(9, busy, at(second));
            }
            for second in [20, 40] {
                assert_eq!(digester.message_size(9, false, at(second)), 1, "to see whether one alone is taken");
                digester.on_sent(1, at(second));
                digester.on_taken(1);
                assert_eq!(digester.message_size(9, false, at(second + 10)), if second == 20 { 9 } else { next });
                digester.on_sent(9, at(second + 10));
                digester.on_failed(9, busy, at(second + 10));
            }
        }
    }

    #[test]
    fn who_refuses_a_digest_gets_alerts_one_by_one_for_an_hour() {
        let mut digester = Digester::new(3);
        assert_eq!(digester.message_size(9, false, at(0)), 9, "many at once, and none before: they wait for nobody");
        digester.on_sent(9, at(0));
        digester.on_refused(at(0));
        assert_eq!((digester.message_size(9, false, at(3_599)), digester.message_size(0, false, at(3_599))), (1, 0));
        assert_eq!(digester.message_size(9, false, at(3_600)), 9);
    }
}
