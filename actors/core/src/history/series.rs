//! The items of one API read again, as what a page shows: points of a chart, slots of a bar, and how long it was up.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::calendar::{UtcDay, UtcMonth};
use super::day::Day;
use super::hour::Counts;
use super::item::{HistoryItem, HistorySlot};
use super::latency::{Latency, Spread};
use super::month::{Month, Summary};
use super::story::Story;
use super::uptime::Times;
use crate::time::Timestamp;

/// The most points of one answer; later ones are left out. 62 days of hours are 1,488.
pub const POINTS_MAX: usize = 4_096;

/// What is not stored yet reaches back so far at most: a little more than the longest usual pause between two writes of a day.
pub const UNWRITTEN_MAX: Duration = Duration::from_secs(7 * 3_600);

const HOUR: Duration = Duration::from_secs(3_600);

/// How wide a point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Hour,
    Day,
    Month,
}

/// One point of a chart, or one slot of a bar ([`Times::state`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Of the window, the part that lies in this hour, day or month.
    pub from: Timestamp,
    pub until: Timestamp,
    pub times: Times,
    pub counts: Counts,
    /// `None`: there was no answer.
    pub latency: Option<Spread>,
}

/// What is stored of one API's past.
#[derive(Clone, Debug, Default)]
pub struct Past {
    days: BTreeMap<UtcDay, Day>,
    /// Days in short, from their months.
    summaries: BTreeMap<UtcDay, Summary>,
    /// Incidents that are over, the oldest first.
    pub stories: Vec<Story>,
    /// Since when it is down.
    down_since: Option<Timestamp>,
    /// Items that cannot be read, such as those of a newer version.
    pub unreadable: usize,
}

impl Past {
    /// Reads items, whatever their order.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a HistoryItem>) -> Self {
        let mut past = Self::default();
        for item in items {
            let read = match &item.slot {
                HistorySlot::Day(day) => Day::decode(*day, &item.bytes).map(|day| past.put(day)),
                HistorySlot::Month(month) => {
                    Month::decode(*month, &item.bytes).map(|month| past.summaries.extend(month.days))
                }
                HistorySlot::Incident { .. } => Story::decode(&item.bytes).map(|story| past.stories.push(story)),
                HistorySlot::Note { .. } => Ok(()), // uptime has nothing to do with it
            };
            past.unreadable += usize::from(read.is_err());
        }
        past.stories.sort_by_key(|story| story.began_at);
        past
    }

    /// Puts a day in that is newer than what is stored of it.
    pub fn put(&mut self, day: Day) {
        self.days.insert(day.day, day);
    }

    /// What the state and the heartbeat say beyond what is stored: that it is down since then, and that it was watched until then.
    #[must_use]
    pub fn with_present(mut self, down_since: Option<Timestamp>, watched_until: Option<Timestamp>) -> Self {
        self.down_since = down_since;
        let (Some(until), Some(last)) = (watched_until, self.days.values().next_back().cloned()) else { return self };
        if until.since(last.until) <= UNWRITTEN_MAX {
            extend(last, until).into_iter().for_each(|day| self.put(day));
        }
        self
    }

    /// The days of which hours are stored.
    pub fn days(&self) -> impl Iterator<Item = &Day> {
        self.days.values()
    }

    /// From the first to the last moment of which anything is stored.
    pub fn reach(&self) -> Option<Range<Timestamp>> {
        let days = || self.days.values().map(|day| (day.from, day.until));
        let summaries = || self.summaries.keys().map(|day| (day.starts_at(), day.ends_at()));
        let from = days().chain(summaries()).map(|(from, _)| from).min()?;
        Some(from..days().chain(summaries()).map(|(_, until)| until).max()?)
    }

    /// Outages, from the first fail to the first pass; one that is open goes on for ever.
    pub fn outages(&self) -> Vec<Range<Timestamp>> {
        let over = self.stories.iter().map(|story| story.began_at..story.ended_at);
        let open = self.down_since.map(|since| since..Timestamp::from_millis(i64::MAX));
        over.chain(open).collect()
    }

    /// How the time of `window` was spent. A day of which only its month is left counts as a whole.
    pub fn times(&self, window: &Range<Timestamp>) -> Times {
        let mut sum = Times::default();
        let window_ms = window.end.since(window.start).as_millis();
        self.each_day(window, |_, times, _, _| sum.add(times));
        Times { window_ms: u64::try_from(window_ms).unwrap_or(u64::MAX).max(sum.window_ms), ..sum }
    }

    /// The points of `window`, at most [`POINTS_MAX`].
    pub fn points(&self, window: &Range<Timestamp>, step: Step) -> Vec<Point> {
        let mut points = Vec::new();
        let down = self.outages();
        let mut from = window.start;
        while from < window.end && points.len() < POINTS_MAX {
            let day = UtcDay::of(from);
            let until = match step {
                Step::Hour => next_hour(from),
                Step::Day => day.ends_at(),
                Step::Month => day.month().plus_months(1).first_day().starts_at(),
            };
            if until <= from {
                break; // the end of all time
            }
            let part = from..until.min(window.end);
            points.push(match step {
                Step::Hour => self.hour(day, &part, &down),
                Step::Day | Step::Month => self.sum(&part),
            });
            from = until;
        }
        points
    }

    /// All of `window` as one point: with the counts of the hours that begin in it, and of days of which only their month is left.
    pub fn whole(&self, window: &Range<Timestamp>) -> Point {
        let (mut counts, mut latency) = (Counts::default(), Latency::default());
        for (day, stored) in &self.days {
            let starts_at = |number: u8| day.starts_at().plus(HOUR * u32::from(number));
            for (_, hour) in stored.hours.iter().filter(|(number, _)| window.contains(&starts_at(*number))) {
                counts.add(hour.counts);
                latency.merge(&hour.latency);
            }
        }
        let left = self.summaries.iter().filter(|(day, _)| !self.days.contains_key(day));
        for (_, summary) in left.filter(|(day, _)| window.contains(&day.starts_at())) {
            counts.add(summary.counts);
            latency.merge(&summary.latency);
        }
        let (from, until) = (window.start, window.end);
        Point { from, until, times: self.times(window), counts, latency: latency.spread() }
    }

    /// The last so many hours, days or months, the present one included.
    pub fn last(&self, count: u16, step: Step, now: Timestamp) -> Vec<Point> {
        let back = i32::from(count.max(1)) - 1;
        let today = UtcDay::of(now);
        let from = match step {
            Step::Hour => {
                let start = Timestamp::from_millis(now.as_millis().div_euclid(3_600_000) * 3_600_000);
                Timestamp::from_millis(start.as_millis() - i64::from(back) * 3_600_000)
            }
            Step::Day => today.plus_days(-back).starts_at(),
            Step::Month => today.month().plus_months(-back).first_day().starts_at(),
        };
        self.points(&(from..now), step)
    }

    fn hour(&self, day: UtcDay, part: &Range<Timestamp>, down: &[Range<Timestamp>]) -> Point {
        let (from, until) = (part.start, part.end);
        let nothing = Times { window_ms: ms(part), ..Times::default() };
        let Some(stored) = self.days.get(&day) else {
            return Point { from, until, times: nothing, counts: Counts::default(), latency: None };
        };
        let number = Day::hour_of(day, from);
        let hour = stored.hours.iter().find(|(stored, _)| Some(*stored) == number).map(|(_, hour)| hour);
        Point {
            from,
            until,
            times: stored.times(part, down),
            counts: hour.map(|hour| hour.counts).unwrap_or_default(),
            latency: hour.and_then(|hour| hour.latency.spread()),
        }
    }

    fn sum(&self, part: &Range<Timestamp>) -> Point {
        let mut point = Point {
            from: part.start,
            until: part.end,
            times: Times::default(),
            counts: Counts::default(),
            latency: None,
        };
        let mut all = Latency::default();
        self.each_day(part, |_, times, counts, latency| {
            point.times.add(times);
            point.counts.add(counts);
            all.merge(latency);
        });
        point.times.window_ms = ms(part).max(point.times.window_ms);
        point.latency = all.spread();
        point
    }

    /// Each day within `window` that anything is stored of.
    fn each_day(&self, window: &Range<Timestamp>, mut each: impl FnMut(UtcDay, &Times, Counts, &Latency)) {
        if window.start >= window.end {
            return;
        }
        let last = Timestamp::from_millis(window.end.as_millis().saturating_sub(1));
        let (first, last) = (UtcDay::of(window.start), UtcDay::of(last));
        let down = self.outages();
        for (day, stored) in self.days.range(first..=last) {
            let (counts, latency) = stored.totals();
            each(*day, &stored.times(window, &down), counts, &latency);
        }
        for (day, summary) in self.summaries.range(first..=last).filter(|(day, _)| !self.days.contains_key(day)) {
            each(*day, &summary.times, summary.counts, &summary.latency);
        }
    }

    /// The month in short, as it is stored when it is over.
    pub fn month(&self, month: UtcMonth) -> Month {
        let days: Vec<Day> =
            self.days.range(month.first_day()..=month.last_day()).map(|(_, day)| day.clone()).collect();
        Month::of(month, &days, &self.outages())
    }
}

/// A day that was watched until then, and the days after it until then.
pub(crate) fn extend(mut last: Day, until: Timestamp) -> Vec<Day> {
    let mut days = Vec::new();
    while until > last.until {
        last.until = until.min(last.day.ends_at());
        let next = Day::new(last.day.plus_days(1));
        let is_over = until <= last.day.ends_at() || next.day == last.day;
        days.push(std::mem::replace(&mut last, next));
        if is_over {
            break;
        }
    }
    days
}

fn next_hour(at: Timestamp) -> Timestamp {
    let start = at.as_millis().div_euclid(3_600_000).saturating_mul(3_600_000);
    Timestamp::from_millis(start).plus(HOUR)
}

fn ms(range: &Range<Timestamp>) -> u64 {
    u64::try_from(range.end.since(range.start).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
