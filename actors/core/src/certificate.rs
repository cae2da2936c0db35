//! How long a certificate is still good, and when that is alerted: an advisory, which changes no status.

use std::time::Duration;

use crate::time::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// An API without thresholds of its own is alerted so many days before its certificate ends.
pub const DEFAULT_DAYS: [u16; 2] = [14, 3];

/// From when to when a certificate is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// A threshold that is crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crossed {
    pub days: u16,
    /// Since when: so many days before the end.
    pub at: Timestamp,
}

impl Validity {
    /// The last of these thresholds that is crossed.
    ///
    /// One that is a third of the certificate's whole life or longer does not count: short-lived certificates are renewed when so much
    /// is left, and would be told of all the time.
    pub fn crossed(&self, days: &[u16], now: Timestamp) -> Option<Crossed> {
        let life = self.not_after.since(self.not_before);
        let counts = |days: &&u16| DAY * u32::from(**days) * 3 < life;
        let crossed = |days: &u16| {
            let before = i64::from(*days).saturating_mul(24 * 3_600 * 1_000);
            let at = Timestamp::from_millis(self.not_after.as_millis().saturating_sub(before));
            Crossed { days: *days, at }
        };
        days.iter().filter(counts).map(crossed).filter(|crossed| crossed.at <= now).max_by_key(|crossed| crossed.at)
    }

    /// `its certificate ends in 13 days, at 2026-12-10T00:00:00.000Z`.
    pub fn ends_soon(&self, now: Timestamp) -> String {
        let left = self.not_after.since(now);
        let (days, hours) = (left.as_secs() / DAY.as_secs(), left.as_secs() / 3_600);
        let span = match (days, hours) {
            (0, 0) => "less than an hour".to_owned(),
            (0, 1) => "an hour".to_owned(),
            (0, hours) => format!("{hours} hours"),
            (1, _) => "a day".to_owned(),
            (days, _) => format!("{days} days"),
        };
        format!("its certificate ends in {span}, at {}", self.not_after)
    }

    /// `its certificate is good until 2027-03-10T00:00:00.000Z`.
    pub fn is_good(&self) -> String {
        format!("its certificate is good until {}", self.not_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_millis(n * 24 * 3_600 * 1_000)
    }

    #[test]
    fn the_last_threshold_that_is_crossed_counts_and_since_when() {
        let year = Validity { not_before: day(0), not_after: day(365) };
        let crossed = |now| year.crossed(&[30, 7, 1], now).map(|crossed| (crossed.days, crossed.at));
        assert_eq!(crossed(day(334)), None);
        assert_eq!(crossed(day(335)), Some((30, day(335))));
        assert_eq!(crossed(day(357)), Some((30, day(335))));
        assert_eq!(crossed(day(358)), Some((7, day(358))));
        assert_eq!(crossed(day(366)), Some((1, day(364))));
        assert_eq!(year.crossed(&[], day(364)), None);
        assert_eq!(year.crossed(&[1, 30, 7], day(360)), year.crossed(&[30, 7, 1], day(360)));
    }

    #[test]
    fn a_short_lived_certificate_is_told_of_when_it_is_late_even_for_that() {
        let week = Validity { not_before: day(0), not_after: day(6) };
        assert_eq!(week.crossed(&DEFAULT_DAYS, day(4)), None);
        assert_eq!(week.crossed(&[14, 1], day(5)).map(|crossed| crossed.days), Some(1));
        let quarter = Validity { not_before: day(0), not_after: day(90) };
        assert_eq!(quarter.crossed(&[30], day(80)), None, "renewed at 30 days at the soonest");
        assert_eq!(quarter.crossed(&DEFAULT_DAYS, day(80)).map(|crossed| crossed.days), Some(14));
    }

    #[test]
    fn spans_are_told_in_words() {
        let year = Validity { not_before: day(0), not_after: day(365) };
        assert_eq!(year.ends_soon(day(352)), "its certificate ends in 13 days, at 1971-01-01T00:00:00.000Z");
        assert!(year.ends_soon(day(364)).contains("in a day,"));
        assert!(year.ends_soon(Timestamp::from_millis(day(365).as_millis() - 7_200_000)).contains("in 2 hours,"));
        assert!(year.ends_soon(day(400)).contains("in less than an hour,"), "what is over is told by the handshake");
    }
}
