//! When the next probe is due.
//!
//! Time has two faces here. A cron expression speaks of the wall clock, in a time zone. An interval speaks of a clock
//! that only ever runs forward, and does not notice when the wall clock is set. Either way a due time is absolute, and
//! the next one is found from the schedule, never by adding to when the last probe happened to end: so nothing drifts,
//! and after a stall there is no burst.
//!
//! Each API has its own *slot* inside its tick, a stable hash of its id, so that ten thousand APIs with the same
//! schedule are spread evenly. Slots come in quanta of [`SLOT_QUANTUM`], so that one wake-up serves several probes.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};

use crate::api::ApiId;
use crate::time::Timestamp;

/// The grid that slots lie on. An idle machine pays 3 to 8 times the price of a probe for waking up.
pub const SLOT_QUANTUM: Duration = Duration::from_millis(50);

/// A tick is at most this long for the purpose of slots: a job that runs once a day at 09:00 should run at nine or
/// shortly after, not at any time of the day.
pub const SPREAD_MAX: Duration = Duration::from_secs(300);

/// How many missed ticks one look counts at most, so that a clock set forward by years costs no more than this.
const MISSED_MAX: u64 = 10_000;

/// How many ticks [`Schedule::longest_gap`] looks at.
const GAP_SAMPLES: usize = 64;

/// A moment on both clocks, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since the process started, on a clock that is never set.
    pub uptime: Duration,
}

/// A due time on the clock that its schedule goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// On the wall clock.
    Wall(Timestamp),
    /// On the clock that is never set.
    Uptime(Duration),
}

impl Due {
    /// How long it is from `now` until then; zero if it is past.
    pub fn wait(self, now: Moment) -> Duration {
        match self {
            Self::Wall(at) => at.since(now.wall),
            Self::Uptime(at) => at.saturating_sub(now.uptime),
        }
    }

    /// `now`, with the clock of this due time set back to it.
    pub fn moment(self, now: Moment) -> Moment {
        match self {
            Self::Wall(wall) => Moment { wall, ..now },
            Self::Uptime(uptime) => Moment { uptime, ..now },
        }
    }

    /// How late `now` is; zero if it is not due yet.
    pub fn lateness(self, now: Moment) -> Duration {
        match self {
            Self::Wall(at) => now.wall.since(at),
            Self::Uptime(at) => now.uptime.saturating_sub(at),
        }
    }
}

/// When to probe: a cron expression in a time zone, or a fixed interval.
#[derive(Clone)]
pub struct Schedule(Kind);

#[derive(Clone)]
enum Kind {
    Cron { cron: Box<Cron>, zone: TimeZone, text: String, memo: Memo, longest_gap: OnceLock<Duration> },
    Every(Duration),
}

/// The ticks around a moment.
#[derive(Clone, Copy)]
struct Ticks {
    /// The last one at or before it.
    open: Option<Timestamp>,
    /// The first one after it.
    next: Option<Timestamp>,
    /// The one after that.
    after_next: Option<Timestamp>,
}

impl Ticks {
    fn are_around(&self, at: Timestamp) -> bool {
        self.open.is_some_and(|open| open <= at) && self.next.is_some_and(|next| at < next)
    }
}

/// The ticks that were asked for last. Thousands of APIs share one schedule and ask for the same ticks, and a search in
/// the calendar costs microseconds.
#[derive(Default)]
struct Memo(Mutex<Option<Ticks>>);

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Schedule {
    /// What is used where a config names neither a schedule nor an interval.
    pub const DEFAULT_CRON: &'static str = "*/2 * * * *";

    /// Every `interval`, from the start of the process on. An interval under 1 s is read as 1 s.
    pub fn every(interval: Duration) -> Self {
        Self(Kind::Every(interval.max(Duration::from_secs(1))))
    }

    /// A cron expression of 5 fields, or 6 with seconds first, in an IANA time zone (`UTC`, `Europe/Berlin`).
    ///
    /// Days of the week are 0 to 7 with Sunday at both ends; with both a day of the month and of the week set, either
    /// will do; a time that a clock change skips runs once after it, one that it repeats runs once.
    ///
    /// # Errors
    /// Says in plain words what is wrong, also of an expression that never comes due after `now`.
    pub fn cron(expression: &str, zone: &str, now: Timestamp) -> Result<Self, CronFault> {
        let fields = expression.split_whitespace().count();
        if !expression.trim_start().starts_with('@') && fields != 5 && fields != 6 {
            return Err(CronFault::Expression(format!("has {fields} fields, not 5 or 6")));
        }
        let time_zone = jiff::tz::db().get(zone).map_err(|_| CronFault::Zone)?;
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(expression)
            .map_err(|e| CronFault::Expression(e.to_string()))?;
        let text = format!("{expression} {zone}");
        let schedule = Self(Kind::Cron {
            cron: Box::new(cron),
            zone: time_zone,
            text,
            memo: Memo::default(),
            longest_gap: OnceLock::new(),
        });
        match schedule.boundary_after(now) {
            Some(_) => Ok(schedule),
            None => Err(CronFault::Never),
        }
    }

    /// The first due time after `now` for the API whose slot is `slot`; `None` if there is none, ever.
    pub fn next_due(&self, slot: Slot, now: Moment) -> Option<Due> {
        match &self.0 {
            Kind::Every(interval) => Some(Due::Uptime(next_on_grid(slot.within(*interval), *interval, now.uptime))),
            Kind::Cron { .. } => {
                let ticks = self.ticks_around(now.wall);
                if let Some(open) = ticks.open {
                    let due = open.plus(slot.within(tick_length(open, ticks.next)));
                    if due > now.wall {
                        return Some(Due::Wall(due));
                    }
                }
                let next = ticks.next?;
                Some(Due::Wall(next.plus(slot.within(tick_length(next, ticks.after_next)))))
            }
        }
    }

    /// Whether a tick is open at `now`, so that an API that was not probed in it yet may be probed at once.
    /// A tick is open for [`SPREAD_MAX`] at most: an API that is watched in office hours is not probed at night.
    pub fn tick_is_open(&self, now: Moment) -> bool {
        match &self.0 {
            Kind::Every(_) => true,
            Kind::Cron { .. } => {
                let ticks = self.ticks_around(now.wall);
                ticks.open.is_some_and(|open| now.wall.since(open) < tick_length(open, ticks.next))
            }
        }
    }

    /// How many due times lie after `since` and not after `now`: ticks that could not run in between.
    pub fn missed(&self, slot: Slot, since: Moment, now: Moment) -> u64 {
        let mut missed = 0;
        let mut at = since;
        while missed < MISSED_MAX {
            match self.next_due(slot, at) {
                Some(Due::Wall(due)) if due <= now.wall => at.wall = due,
                Some(Due::Uptime(due)) if due <= now.uptime => at.uptime = due,
                _ => break,
            }
            missed += 1;
        }
        missed
    }

    /// The longest time between two ticks, over the next few ticks after 2026 began for a cron expression.
    pub fn longest_gap(&self) -> Duration {
        match &self.0 {
            Kind::Every(interval) => *interval,
            Kind::Cron { longest_gap, .. } => *longest_gap.get_or_init(|| self.search_longest_gap()),
        }
    }

    fn search_longest_gap(&self) -> Duration {
        let mut at = Timestamp::from_millis(1_767_225_600_000);
        let mut longest = Duration::ZERO;
        for sample in 0..=GAP_SAMPLES {
            let Some(next) = self.boundary_after(at) else { break };
            if sample > 0 {
                longest = longest.max(next.since(at));
            }
            at = next;
        }
        longest
    }

    /// How long after a fail the next tick comes at most: a recheck is never slower than the schedule itself.
    pub fn shortest_gap_from(&self, now: Moment) -> Duration {
        match &self.0 {
            Kind::Every(interval) => *interval,
            Kind::Cron { .. } => {
                let ticks = self.ticks_around(now.wall);
                ticks.next.zip(ticks.after_next).map_or(Duration::MAX, |(first, second)| second.since(first))
            }
        }
    }

    /// The ticks around `at`, of a cron expression.
    fn ticks_around(&self, at: Timestamp) -> Ticks {
        let Kind::Cron { memo, .. } = &self.0 else { return Ticks { open: None, next: None, after_next: None } };
        let mut remembered = memo.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticks) = *remembered
            && ticks.are_around(at)
        {
            return ticks;
        }
        let next = self.boundary_after(at);
        let after_next = next.and_then(|next| self.boundary_after(next));
        let ticks = Ticks { open: self.boundary_at_or_before(at), next, after_next };
        *remembered = Some(ticks);
        ticks
    }

    fn boundary_after(&self, at: Timestamp) -> Option<Timestamp> {
        let Kind::Cron { cron, zone, .. } = &self.0 else { return None };
        let next = cron.find_next_occurrence(&zoned(at, zone)?, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    fn boundary_at_or_before(&self, at: Timestamp) -> Option<Timestamp> {
        let Kind::Cron { cron, zone, .. } = &self.0 else { return None };
        let found = cron.find_previous_occurrence(&zoned(at, zone)?, true).ok()?;
        Some(Timestamp::from_millis(found.timestamp().as_millisecond()))
    }
}

/// How long the tick is that begins at `boundary`, for the purpose of slots.
fn tick_length(boundary: Timestamp, next: Option<Timestamp>) -> Duration {
    next.map_or(SPREAD_MAX, |next| next.since(boundary)).min(SPREAD_MAX)
}

/// The first point of the grid `offset + k × interval` that lies after `now`.
fn next_on_grid(offset: Duration, interval: Duration, now: Duration) -> Duration {
    if now < offset {
        return offset;
    }
    let passed = (now - offset).as_nanos() / interval.as_nanos().max(1);
    let ticks = u32::try_from(passed.saturating_add(1)).unwrap_or(u32::MAX);
    offset.saturating_add(interval.saturating_mul(ticks))
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let instant = jiff::Timestamp::from_duration(SignedDuration::from_millis(at.as_millis())).ok()?;
    Some(instant.to_zoned(zone.clone()))
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

/// `*/2 * * * * UTC` or `every 30 s`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Cron { text, .. } => f.write_str(text),
            Kind::Every(interval) => write!(f, "every {} s", interval.as_secs()),
        }
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Cron { text: a, .. }, Kind::Cron { text: b, .. }) => a == b,
            (Kind::Every(a), Kind::Every(b)) => a == b,
            _ => false,
        }
    }
}

/// What is wrong with a cron schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CronFault {
    /// The expression, and in what way.
    Expression(String),
    /// The time zone is not an IANA name.
    Zone,
    /// It never comes due, as on the 31st of February.
    Never,
}

/// The place of one API inside each of its ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(Option<u64>);

impl Slot {
    /// The slot of an API: a stable hash of its id.
    pub fn of(api_id: &ApiId) -> Self {
        Self(Some(api_id.stable_hash()))
    }

    /// At the very beginning of the tick, all at once: `spread = false`.
    pub const AT_TICK: Self = Self(None);

    /// The offset inside a tick of that length, on the grid of [`SLOT_QUANTUM`]; never past [`SPREAD_MAX`].
    pub fn within(self, tick: Duration) -> Duration {
        let quanta = tick.min(SPREAD_MAX).as_millis() / SLOT_QUANTUM.as_millis();
        match (self.0, u64::try_from(quanta)) {
            (Some(hash), Ok(quanta)) if quanta > 0 => {
                // The high bits choose, by multiplication: even for every number of quanta.
                let chosen = (u128::from(hash) * u128::from(quanta)) >> 64;
                SLOT_QUANTUM * u32::try_from(chosen).unwrap_or(0)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_2026: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn at(text: &str) -> Moment {
        Moment { wall: Timestamp::parse(text).unwrap(), uptime: Duration::ZERO }
    }

    /// The first `n` due times after `from`, at the tick itself.
    fn ticks(expression: &str, zone: &str, from: &str, n: usize) -> Vec<String> {
        let schedule = Schedule::cron(expression, zone, YEAR_2026).unwrap();
        let mut now = at(from);
        (0..n)
            .map(|_| {
                let Some(Due::Wall(due)) = schedule.next_due(Slot::AT_TICK, now) else { panic!("no due time") };
                now.wall = due;
                due.to_string()
            })
            .collect()
    }

    #[test]
    fn a_skipped_hour_runs_once_after_it_and_a_repeated_hour_runs_once() {
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"],
            "02:30 does not exist on that day: it runs at 03:00 summer time"
        );
        assert_eq!(
            ticks("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]
        );
    }

    #[test]
    fn a_short_cadence_goes_on_through_both_clock_changes_in_order() {
        for day in ["2026-03-29", "2026-10-25"] {
            let from = format!("{day}T00:00:00Z");
            let seen = ticks("*/20 * * * *", "Europe/Berlin", &from, 9);
            let mut sorted = seen.clone();
            sorted.sort();
            sorted.dedup();
            assert_eq!(seen, sorted, "{day}: in order, none twice");
        }
    }

    #[test]
    fn leap_days_and_impossible_dates() {
        assert_eq!(ticks("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 1), ["2028-02-29T00:00:00.000Z"]);
        assert_eq!(Schedule::cron("0 0 31 2 *", "UTC", YEAR_2026).unwrap_err(), CronFault::Never);
    }

    #[test]
    fn six_fields_begin_with_seconds_and_sunday_is_0_and_7() {
        assert_eq!(ticks("*/10 * * * * *", "UTC", "2026-01-01T00:00:01Z", 1), ["2026-01-01T00:00:10.000Z"]);
        for sunday in ["0 12 * * 0", "0 12 * * 7"] {
            assert_eq!(ticks(sunday, "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-04T12:00:00.000Z"]);
        }
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(Schedule::cron("* * * * *", "Mars/Olympus", YEAR_2026).unwrap_err(), CronFault::Zone);
        for (expression, fault) in [("* * *", "3 fields"), ("* * * * * * *", "7 fields"), ("", "0 fields")] {
            match Schedule::cron(expression, "UTC", YEAR_2026) {
                Err(CronFault::Expression(why)) => assert!(why.contains(fault), "{why}"),
                other => panic!("{expression:?}: {other:?}"),
            }
        }
        assert!(matches!(Schedule::cron("99 * * * *", "UTC", YEAR_2026), Err(CronFault::Expression(_))));
    }

    #[test]
    fn a_slot_lies_inside_the_tick_that_is_open() {
        let schedule = Schedule::cron("*/2 * * * *", "UTC", YEAR_2026).unwrap();
        let slot = Slot::of(&ApiId::parse("shop").unwrap());
        let offset = slot.within(Duration::from_secs(120));
        assert!(offset < Duration::from_secs(120) && offset.as_millis().is_multiple_of(50));
        let start = at("2026-05-01T10:00:00Z");
        let expected = Due::Wall(start.wall.plus(offset));
        assert_eq!(schedule.next_due(slot, start), Some(expected), "this tick's slot is still to come");
        let after = Moment { wall: start.wall.plus(offset), ..start };
        assert_eq!(schedule.next_due(slot, after), Some(Due::Wall(start.wall.plus(offset + Duration::from_secs(120)))));
    }

    #[test]
    fn slots_fill_a_tick_evenly() {
        let tick = Duration::from_secs(10);
        let mut per_second = [0_u32; 10];
        for n in 0..10_000 {
            let offset = Slot::of(&ApiId::parse(&format!("api-{n:05}")).unwrap()).within(tick);
            per_second[usize::try_from(offset.as_secs()).unwrap()] += 1;
        }
        assert!(per_second.iter().all(|&n| (850..1_150).contains(&n)), "{per_second:?}");
    }

    #[test]
    fn a_daily_job_is_not_spread_over_the_day_and_not_run_at_night() {
        let schedule = Schedule::cron("0 9 * * *", "UTC", YEAR_2026).unwrap();
        let slot = Slot::of(&ApiId::parse("report").unwrap());
        let Some(Due::Wall(due)) = schedule.next_due(slot, at("2026-05-01T00:00:00Z")) else { panic!() };
        assert!(due.since(at("2026-05-01T09:00:00Z").wall) < SPREAD_MAX);
        assert!(schedule.tick_is_open(at("2026-05-01T09:04:00Z")));
        assert!(!schedule.tick_is_open(at("2026-05-01T03:00:00Z")));
        assert!(Schedule::cron("*/2 * * * *", "UTC", YEAR_2026).unwrap().tick_is_open(at("2026-05-01T03:01:00Z")));
    }

    #[test]
    fn an_interval_ignores_the_wall_clock_and_counts_what_it_missed() {
        let schedule = Schedule::every(Duration::from_secs(10));
        let secs = Duration::from_secs;
        let moment = |uptime, wall| Moment { wall: Timestamp::from_millis(wall), uptime };
        assert_eq!(schedule.next_due(Slot::AT_TICK, moment(secs(25), 0)), Some(Due::Uptime(secs(30))));
        assert_eq!(
            schedule.next_due(Slot::AT_TICK, moment(secs(30), 3_600_000)),
            Some(Due::Uptime(secs(40))),
            "a due time is never in the present"
        );
        assert_eq!(schedule.missed(Slot::AT_TICK, moment(secs(30), 0), moment(secs(39), 0)), 0);
        assert_eq!(schedule.missed(Slot::AT_TICK, moment(secs(30), 0), moment(secs(65), 0)), 3);
    }

    #[test]
    fn a_wall_clock_set_forward_or_back_makes_no_burst() {
        let schedule = Schedule::cron("*/2 * * * *", "UTC", YEAR_2026).unwrap();
        let start = at("2026-05-01T10:00:00Z");
        let first = schedule.next_due(Slot::AT_TICK, start).unwrap().moment(start);
        let forward = Moment { wall: start.wall.plus(Duration::from_secs(3_600)), ..start };
        let Some(Due::Wall(next)) = schedule.next_due(Slot::AT_TICK, forward) else { panic!() };
        assert!(next > forward.wall && next.since(forward.wall) <= Duration::from_secs(120));
        assert_eq!(schedule.missed(Slot::AT_TICK, first, forward), 29);
        let back = at("2026-05-01T09:00:01Z");
        let Some(Due::Wall(next)) = schedule.next_due(Slot::AT_TICK, back) else { panic!() };
        assert_eq!(next.to_string(), "2026-05-01T09:02:00.000Z");
        assert_eq!(schedule.missed(Slot::AT_TICK, first, back), 0);
        let years = Moment { wall: at("2036-05-01T10:00:00Z").wall, ..start };
        assert_eq!(schedule.missed(Slot::AT_TICK, first, years), MISSED_MAX, "bounded");
    }

    #[test]
    fn the_longest_gap_is_what_the_worst_case_is_made_of() {
        assert_eq!(Schedule::cron("*/2 * * * *", "UTC", YEAR_2026).unwrap().longest_gap(), Duration::from_secs(120));
        let office = Schedule::cron("0 9 * * 1-5", "UTC", YEAR_2026).unwrap();
        assert_eq!(office.longest_gap(), Duration::from_secs(3 * 86_400));
        assert_eq!(Schedule::every(Duration::from_secs(7)).longest_gap(), Duration::from_secs(7));
    }
}
