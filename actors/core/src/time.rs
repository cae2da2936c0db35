//! Points in time. The caller passes them in; the core never reads a clock.

use std::fmt;
use std::time::Duration;

/// A point in time: how long this process has run by then, on a clock that is never set. A span between two of them is a
/// [`Duration`].
pub type Monotonic = Duration;

/// A point in time: how long this machine has run by then, suspension included, on a clock that is never set. Leases go by it.
pub type BootTime = Duration;

/// Milliseconds since 1970-01-01T00:00:00Z on the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A point in time, `millis` after (or, if negative, before) the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// `self` moved forward; it stops at the far end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it, as happens when the wall clock was set back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads the form that [`fmt::Display`] writes, and any other RFC 3339 form.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }
}

/// RFC 3339 in UTC with milliseconds, such as `2026-11-22T07:30:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{} ms after 1970", self.0), // outside the years -9999 to 9999
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_rfc_3339() {
        let t = Timestamp::from_millis(1_795_332_600_250);
        assert_eq!(t.to_string(), "2026-11-22T07:30:00.250Z");
        assert_eq!(Timestamp::parse(&t.to_string()), Some(t));
        assert_eq!(Timestamp::parse("2026-11-22T08:30:00.250+01:00"), Some(t));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_clock_set_back_gives_zero_and_the_ends_of_time_do_not_wrap() {
        let t = Timestamp::from_millis(5);
        assert_eq!(t.since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::from_secs(1)).as_millis(), i64::MAX);
        assert!(!Timestamp::from_millis(i64::MAX).to_string().is_empty());
    }
}
