//! What is recorded of one API while it is watched: its present day, noted at each outcome in constant time.
//!
//! Each outcome says how it is until the next one: watched, or that nothing can be told. It vouches for no longer than until the next
//! one is late, so that nobody is charged for time in which nobody looked.

use std::mem;
use std::ops::Range;

use super::bytes::Reader;
use super::calendar::UtcDay;
use super::day::{self, Day};
use super::hour::{HOUR_BYTES_MAX, Hour};
use super::uptime::{Excluded, Why};
use crate::outcome::{Outcome, Verdict};
use crate::time::Timestamp;

/// Days that wait to be written, beside the present one; the oldest is dropped where there are more.
pub const DAYS_WAIT_MAX: usize = 2;

/// The present day, as small as it can be: an hour that is over is kept as it is stored.
#[derive(Clone, Debug)]
struct Present {
    day: UtcDay,
    watched: Range<Timestamp>,
    excluded: Vec<Excluded>,
    over: Vec<u8>,
    /// Which hours are in `over`.
    mask: u32,
    /// The hour under way.
    number: u8,
    hour: Hour,
}

impl Present {
    fn new(day: UtcDay) -> Self {
        let start = day.starts_at();
        Self {
            day,
            watched: start..start,
            excluded: Vec::new(),
            over: Vec::new(),
            mask: 0,
            number: 0,
            hour: Hour::default(),
        }
    }

    fn watch(&mut self, part: Range<Timestamp>) {
        if self.watched.is_empty() && self.excluded.is_empty() {
            self.watched.start = part.start;
        }
        self.watched.end = self.watched.end.max(part.end);
    }

    fn exclude(&mut self, why: Why, part: &Range<Timestamp>) {
        let (from, until) = (part.start.max(self.day.starts_at()), part.end.min(self.day.ends_at()));
        day::add(&mut self.excluded, Excluded { why, from, until });
    }

    /// Its time was accounted for while the probe that could tell something was on its way already.
    fn is_sure_from(&mut self, at: Timestamp) {
        for excluded in self.excluded.iter_mut().filter(|excluded| excluded.why == Why::Inconclusive) {
            excluded.until = excluded.until.min(at.max(excluded.from));
        }
        self.excluded.retain(|excluded| excluded.from < excluded.until);
    }

    fn note(&mut self, outcome: &Outcome, missed: u32) {
        let number = Day::hour_of(self.day, outcome.started_at).unwrap_or(self.number);
        // An outcome from before a clock was set back counts for the hour under way.
        if number > self.number {
            self.end_hour();
            self.number = number;
        }
        self.hour.note(outcome.verdict, outcome.latency_ms, missed);
    }

    fn end_hour(&mut self) {
        if self.hour != Hour::default() {
            self.over.reserve_exact(HOUR_BYTES_MAX); // a vector that doubles would waste half a kilobyte
            self.hour.encode(&mut self.over);
            self.over.shrink_to_fit();
            self.mask |= 1 << self.number;
            self.hour = Hour::default();
        }
    }

    fn encode(&self) -> Vec<u8> {
        let (mut hours, mut mask) = (self.over.clone(), self.mask);
        if self.hour != Hour::default() {
            self.hour.encode(&mut hours);
            mask |= 1 << self.number;
        }
        day::encode(self.day, self.watched.clone(), &self.excluded, mask, &hours)
    }

    /// Takes in what another process stored of this day; what lies between was not watched.
    fn absorb(&mut self, stored: &Day) {
        let had = self.watched.clone();
        let mut reader = Reader::new(&self.over);
        let own: Vec<(u8, Hour)> = (0..24)
            .filter(|number| self.mask >> number & 1 == 1)
            .filter_map(|number| Some((number, Hour::decode(&mut reader).ok()?)))
            .collect();
        let excluded = mem::take(&mut self.excluded);
        let mut all = Day { day: self.day, from: had.start, until: had.end, excluded, hours: own };
        all.merge(stored);
        self.watched = all.from..all.until;
        self.excluded = all.excluded;
        self.exclude(Why::NotWatched, &(stored.until..had.start));
        (self.over, self.mask) = (Vec::new(), 0);
        for (number, hour) in all.hours {
            if number == self.number {
                self.hour.merge(&hour);
            } else {
                hour.encode(&mut self.over);
                self.mask |= 1 << number;
            }
        }
    }
}

/// A day that is over and not stored.
#[derive(Clone, Debug)]
struct Over {
    day: UtcDay,
    bytes: Vec<u8>,
    /// A write that was sent has all of it.
    is_sent: bool,
}

/// What is recorded of one API.
#[derive(Clone, Debug)]
pub struct Recorder {
    present: Present,
    /// The oldest first.
    over: Vec<Over>,
    /// How the time until then was spent is known.
    until: Timestamp,
    /// The last outcome vouches until then.
    vouched: Timestamp,
    /// Since when nothing can be told.
    unsure_since: Option<Timestamp>,
    /// There is something in the present day that is not in a write that was sent.
    is_dirty: bool,
}

impl Recorder {
    /// One of an API that is watched from `at` on.
    pub fn new(at: Timestamp) -> Self {
        let mut present = Present::new(UtcDay::of(at));
        present.watch(at..at);
        Self { present, over: Vec::new(), until: at, vouched: at, unsure_since: None, is_dirty: false }
    }

    /// Notes an outcome, and for how long it vouches. Returns how many days had to be dropped.
    pub fn note(
        &mut self,
        outcome: &Outcome,
        missed: u64,
        vouches_until: Timestamp,
        windows: &dyn Fn(Range<Timestamp>) -> Vec<Range<Timestamp>>,
    ) -> usize {
        let at = outcome.started_at;
        let mut dropped = self.account(at, windows);
        if at >= self.until {
            dropped += self.go_to(UtcDay::of(at));
        }
        if at > self.until {
            // Nobody vouches for the time in between.
            self.present.exclude(Why::NotWatched, &(self.until..at));
            self.present.watch(at..at);
            self.until = at;
        }
        if outcome.verdict != Verdict::Inconclusive {
            self.present.is_sure_from(at);
        }
        self.unsure_since = (outcome.verdict == Verdict::Inconclusive).then(|| self.unsure_since.unwrap_or(at));
        self.vouched = vouches_until.max(at);
        self.present.note(outcome, u32::try_from(missed).unwrap_or(u32::MAX));
        self.is_dirty = true;
        dropped
    }

    /// Accounts for the time until then, as far as the last outcome vouches for it. `windows` are those of maintenance that overlap a
    /// stretch. Returns how many days had to be dropped.
    pub fn account(&mut self, until: Timestamp, windows: &dyn Fn(Range<Timestamp>) -> Vec<Range<Timestamp>>) -> usize {
        let (until, mut dropped) = (until.min(self.vouched), 0);
        while self.until < until {
            dropped += self.go_to(UtcDay::of(self.until));
            let part = self.until..until.min(self.present.day.ends_at());
            self.present.watch(part.clone());
            for window in windows(part.clone()) {
                self.present.exclude(Why::Maintenance, &(window.start.max(part.start)..window.end.min(part.end)));
            }
            if let Some(since) = self.unsure_since {
                self.present.exclude(Why::Inconclusive, &(since..part.end));
            }
            if part.end <= self.until {
                break; // the end of all time
            }
            self.until = part.end;
            self.is_dirty = true;
        }
        dropped
    }

    /// It is not watched any more, until the next outcome.
    pub fn stop(&mut self) {
        self.vouched = self.until;
        self.unsure_since = None;
    }

    fn go_to(&mut self, day: UtcDay) -> usize {
        if day <= self.present.day {
            return 0;
        }
        let over = mem::replace(&mut self.present, Present::new(day));
        self.over.push(Over { day: over.day, bytes: over.encode(), is_sent: false });
        let dropped = self.over.len().saturating_sub(DAYS_WAIT_MAX);
        self.over.drain(..dropped);
        self.is_dirty = true;
        dropped
    }

    /// Takes in what an earlier process stored of the last days it watched, the oldest first.
    pub fn resume(&mut self, stored: &[Day]) {
        for day in stored {
            self.is_dirty = true;
            if day.day == self.present.day {
                self.present.absorb(day);
            } else if let Some(over) = self.over.iter_mut().find(|over| over.day == day.day) {
                if let Ok(mut own) = Day::decode(day.day, &over.bytes) {
                    let gap = Excluded { why: Why::NotWatched, from: day.until, until: own.from };
                    own.merge(day);
                    day::add(&mut own.excluded, gap);
                    (over.bytes, over.is_sent) = (own.encode(), false);
                }
            } else if day.day < self.present.day {
                self.over.push(Over { day: day.day, bytes: day.encode(), is_sent: false });
                self.over.sort_by_key(|over| over.day);
            }
        }
        let dropped = self.over.len().saturating_sub(DAYS_WAIT_MAX);
        self.over.drain(..dropped);
    }

    /// The days that are not stored, as their items, the present one last. They count as sent.
    pub fn items(&mut self) -> Vec<(UtcDay, Vec<u8>)> {
        let present = mem::take(&mut self.is_dirty).then(|| (self.present.day, self.present.encode()));
        self.over.iter_mut().for_each(|over| over.is_sent = true);
        self.over.iter().map(|over| (over.day, over.bytes.clone())).chain(present).collect()
    }

    /// That day is stored as it was sent. What came since, until it was over, is not.
    pub fn stored(&mut self, day: UtcDay) {
        self.over.retain(|over| over.day != day || !over.is_sent);
    }

    /// It was not stored.
    pub fn not_stored(&mut self) {
        self.is_dirty = true;
    }

    /// Whether a day that is over is not stored.
    pub fn has_days_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Whether there is anything to write.
    pub fn is_unwritten(&self) -> bool {
        self.is_dirty || self.has_days_over()
    }

    /// What of this stretch, as far as it is in the present day, does not count, in milliseconds.
    pub fn excluded_ms(&self, stretch: &Range<Timestamp>) -> u64 {
        let seen =
            super::uptime::Seen { watched: std::slice::from_ref(stretch), excluded: &self.present.excluded, down: &[] };
        let times = super::uptime::Times::of(stretch, &seen);
        times.window_ms - times.watched_ms
    }
}

#[cfg(test)]
mod tests;
