//! Uptime is time: how long an API was down, of the time in which it was watched and could be judged.
//!
//! Down is from the first fail of the streak that confirmed an outage to the first pass of the one that confirmed its end. What was
//! not confirmed, what our own side failed in, maintenance, and time in which nobody watched are charged to nobody: the first is no
//! outage, and the others are taken out of what counts. How many probes passed decides nothing, since a suspect is asked more often.

use std::fmt;
use std::ops::Range;

use crate::time::Timestamp;

/// Why a stretch of time does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// A maintenance window was open.
    Maintenance,
    /// Nobody watched: it was disabled, its prober was given up, or no process ran.
    NotWatched,
    /// The fault was on our side.
    Inconclusive,
}

impl Why {
    pub const ALL: [Self; 3] = [Self::Maintenance, Self::NotWatched, Self::Inconclusive];
}

/// A stretch of time that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    pub why: Why,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// How the time of a window was spent, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    pub window_ms: u64,
    /// It was watched, and could be judged, and counts.
    pub watched_ms: u64,
    /// It was down, of what was watched.
    pub down_ms: u64,
    pub maintenance_ms: u64,
    pub inconclusive_ms: u64,
}

/// What was seen of one API, as stretches of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// In which it was watched, but for what is excluded.
    pub watched: &'a [Range<Timestamp>],
    pub excluded: &'a [Excluded],
    /// Outages, from the first fail to the first pass.
    pub down: &'a [Range<Timestamp>],
}

impl Times {
    /// How the time of `window` was spent.
    pub fn of(window: &Range<Timestamp>, seen: &Seen<'_>) -> Self {
        let within = |ranges: &mut dyn Iterator<Item = Range<Timestamp>>| Stretches::of(ranges, window);
        let mut left = within(&mut seen.watched.iter().cloned());
        let [maintenance_ms, _, inconclusive_ms] = Why::ALL.map(|why| {
            let of_this = seen.excluded.iter().filter(|excluded| excluded.why == why);
            let of_this = within(&mut of_this.map(|excluded| excluded.from..excluded.until));
            // What is excluded for two reasons counts for the first of them.
            let before = left.total_ms();
            left = left.without(&of_this);
            before - left.total_ms()
        });
        let down = within(&mut seen.down.iter().cloned());
        let watched_ms = left.total_ms();
        Self {
            window_ms: span_ms(window),
            watched_ms,
            down_ms: watched_ms - left.without(&down).total_ms(),
            maintenance_ms,
            inconclusive_ms,
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.window_ms, other.window_ms),
            (&mut self.watched_ms, other.watched_ms),
            (&mut self.down_ms, other.down_ms),
            (&mut self.maintenance_ms, other.maintenance_ms),
            (&mut self.inconclusive_ms, other.inconclusive_ms),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// Nobody watched.
    pub const fn not_watched_ms(&self) -> u64 {
        self.window_ms.saturating_sub(self.watched_ms + self.maintenance_ms + self.inconclusive_ms)
    }

    /// The share of what was watched in which it was not down; `None` where less than a hundredth of the window was watched, which
    /// says nothing of it.
    pub fn uptime(&self) -> Option<Share> {
        let is_enough = self.watched_ms > 0 && self.watched_ms >= self.window_ms / 100;
        is_enough.then(|| Share::of(self.watched_ms.saturating_sub(self.down_ms), self.watched_ms))
    }

    /// The share of the window that was watched.
    pub fn coverage(&self) -> Share {
        Share::of(self.watched_ms, self.window_ms)
    }

    /// The state that the window is shown as: down if it was, however briefly, else what most of it was.
    pub fn state(&self) -> BarState {
        if self.down_ms > 0 {
            return BarState::Down;
        }
        let parts = [
            (self.watched_ms, BarState::Up),
            (self.maintenance_ms, BarState::Maintenance),
            (self.inconclusive_ms, BarState::Inconclusive),
            (self.not_watched_ms(), BarState::NotWatched),
        ];
        // Of two that are equal the first.
        let most = parts.into_iter().rev().max_by_key(|(ms, _)| *ms).filter(|(ms, _)| *ms > 0);
        most.map_or(BarState::NotWatched, |(_, state)| state)
    }
}

/// How a slot of a bar is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarState {
    Up,
    Down,
    Maintenance,
    Inconclusive,
    NotWatched,
}

/// A share in millionths, rounded down, so that it is whole only where nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    pub const WHOLE: Self = Self(1_000_000);

    fn of(part: u64, whole: u64) -> Self {
        let millionths = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
        Self(u32::try_from(millionths).unwrap_or(u32::MAX).min(Self::WHOLE.0))
    }

    pub const fn millionths(self) -> u32 {
        self.0
    }
}

/// `100 %`, `99.99 %`, `0.00 %`: rounded down.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::WHOLE {
            return f.write_str("100 %");
        }
        let hundredths = self.0 / 100;
        write!(f, "{}.{:02} %", hundredths / 100, hundredths % 100)
    }
}

fn span_ms(range: &Range<Timestamp>) -> u64 {
    u64::try_from(range.end.since(range.start).as_millis()).unwrap_or(u64::MAX)
}

/// Stretches of time in order that do not touch each other.
struct Stretches(Vec<Range<Timestamp>>);

impl Stretches {
    /// The parts of these within `window`.
    fn of(ranges: &mut dyn Iterator<Item = Range<Timestamp>>, window: &Range<Timestamp>) -> Self {
        let within = ranges.map(|range| range.start.max(window.start)..range.end.min(window.end));
        let mut all: Vec<_> = within.filter(|range| range.start < range.end).collect();
        all.sort_unstable_by_key(|range| range.start);
        let mut joined: Vec<Range<Timestamp>> = Vec::with_capacity(all.len());
        for range in all {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Self(joined)
    }

    fn without(&self, other: &Self) -> Self {
        let mut left = Vec::with_capacity(self.0.len());
        let mut others = other.0.iter().peekable();
        for range in &self.0 {
            let mut start = range.start;
            while let Some(taken) = others.peek().filter(|taken| taken.start < range.end) {
                if taken.start > start {
                    left.push(start..taken.start);
                }
                start = start.max(taken.end);
                if taken.end > range.end {
                    break; // it reaches into the next one
                }
                others.next();
            }
            if start < range.end {
                left.push(start..range.end);
            }
        }
        Self(left)
    }

    fn total_ms(&self) -> u64 {
        self.0.iter().map(span_ms).sum()
    }
}

#[cfg(test)]
mod tests;
