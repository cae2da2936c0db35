//! When the next probe is due.
//!
//! Time has two faces here. A cron expression speaks of the wall clock, in a time zone. An interval speaks of a clock
//! that only ever runs forward, and does not notice when the wall clock is set. Either way a due time is absolute, and
//! the next one is found from the schedule, never by adding to when the last probe happened to end: so nothing drifts,
//! and after a stall there is no burst.
//!
//! Each API has its own *slot* inside its tick, a stable hash of its id, so that ten thousand APIs with the same
//! schedule are spread evenly. Slots come in quanta of [`SLOT_QUANTUM`], so that one wake-up serves several probes.
//!
//! | file | what it is about |
//! |---|---|
//! | `due` | the present on both clocks, and a due time on one of them |
//! | `cron` | the ticks of a cron expression |
//! | `fault` | what can be wrong with one |
//! | `gaps` | the longest time between two ticks |
//! | `steps` | steps that do not mean what they look like |
//! | `slot` | the place of an API inside its ticks |
//! | `recheck` | when a suspect is asked again |

mod cron;
mod due;
mod fault;
mod gaps;
mod recheck;
mod slot;
mod steps;

use std::fmt;
use std::time::Duration;

use self::cron::CronTicks;
pub use self::due::{Due, Moment};
pub use self::fault::CronFault;
pub use self::recheck::{patient_wait, recheck_wait};
pub use self::slot::{SLOT_QUANTUM, SPREAD_MAX, Slot};
use crate::time::Timestamp;

/// How many missed ticks are counted at once, at most, so that a clock set forward by years costs no more than this.
const MISSED_MAX: u64 = 10_000;

/// When to probe: a cron expression in a time zone, or a fixed interval.
#[derive(Clone, PartialEq)]
pub struct Schedule(Rule);

#[derive(Clone, PartialEq)]
enum Rule {
    Cron(CronTicks),
    Every(Duration),
}

impl Schedule {
    /// What is used where a config names neither a schedule nor an interval.
    pub const DEFAULT_CRON: &'static str = "*/2 * * * *";

    /// Every `interval`, from the start of the process on. An interval under 1 s is read as 1 s.
    pub fn every(interval: Duration) -> Self {
        Self(Rule::Every(interval.max(Duration::from_secs(1))))
    }

    /// A cron expression of 5 fields, or 6 with seconds first, in an IANA time zone (`UTC`, `Europe/Berlin`).
    ///
    /// Days of the week are 0 to 7 with Sunday at both ends; with both a day of the month and of the week set, either
    /// will do; a time that a clock change skips runs once after it, one that it repeats runs once.
    ///
    /// # Errors
    /// Says in plain words what is wrong, also of an expression that never comes due after `now`.
    pub fn cron(expression: &str, zone: &str, now: Timestamp) -> Result<Self, CronFault> {
        CronTicks::parse(expression, zone, now).map(|ticks| Self(Rule::Cron(ticks)))
    }

    /// The first due time after `now` for the API whose slot is `slot`; `None` if there is none, ever.
    pub fn next_due(&self, slot: Slot, now: Moment) -> Option<Due> {
        match &self.0 {
            Rule::Every(interval) => {
                Some(Due::Monotonic(next_on_grid(slot.within(*interval), *interval, now.monotonic)))
            }
            Rule::Cron(cron) => {
                let ticks = cron.around(now.wall);
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

    /// The last tick at or before `now`; an interval has none, since it does not go by the wall clock.
    pub fn last_tick(&self, now: Moment) -> Option<Timestamp> {
        match &self.0 {
            Rule::Every(_) => None,
            Rule::Cron(cron) => cron.around(now.wall).open,
        }
    }

    /// Whether a tick is open at `now`, so that an API that was not probed in it yet may be probed at once.
    /// A tick is open for [`SPREAD_MAX`] at most: an API that is watched in office hours is not probed at night.
    pub fn tick_is_open(&self, now: Moment) -> bool {
        match &self.0 {
            Rule::Every(_) => true,
            Rule::Cron(cron) => {
                let ticks = cron.around(now.wall);
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
                Some(Due::Monotonic(due)) if due <= now.monotonic => at.monotonic = due,
                _ => break,
            }
            missed += 1;
        }
        missed
    }

    /// The time between two ticks, if that is always the same by its kind.
    pub fn interval(&self) -> Option<Duration> {
        match &self.0 {
            Rule::Every(interval) => Some(*interval),
            Rule::Cron(_) => None,
        }
    }

    /// What should be said of the schedule though it is good: a step that leaves uneven gaps.
    pub fn remark(&self) -> Option<String> {
        match &self.0 {
            Rule::Every(_) => None,
            Rule::Cron(cron) => cron.remark(),
        }
    }

    /// The longest time between two ticks: that of a whole round of the calendar.
    pub fn longest_gap(&self) -> Duration {
        match &self.0 {
            Rule::Every(interval) => *interval,
            Rule::Cron(cron) => cron.longest_gap(),
        }
    }

    /// How long after a fail the next tick comes at most: a recheck is never slower than the schedule itself.
    pub fn shortest_gap_from(&self, now: Moment) -> Duration {
        match &self.0 {
            Rule::Every(interval) => *interval,
            Rule::Cron(cron) => {
                let ticks = cron.around(now.wall);
                ticks.next.zip(ticks.after_next).map_or(Duration::MAX, |(first, second)| second.since(first))
            }
        }
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

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

/// `*/2 * * * * UTC` or `every 30 s`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Cron(cron) => cron.fmt(f),
            Rule::Every(interval) => write!(f, "every {} s", interval.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ApiId;

    const YEAR_2026: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn at(text: &str) -> Moment {
        Moment { wall: Timestamp::parse(text).unwrap(), monotonic: Duration::ZERO }
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
        let moment = |monotonic, wall| Moment { wall: Timestamp::from_millis(wall), monotonic };
        assert_eq!(schedule.next_due(Slot::AT_TICK, moment(secs(25), 0)), Some(Due::Monotonic(secs(30))));
        assert_eq!(
            schedule.next_due(Slot::AT_TICK, moment(secs(30), 3_600_000)),
            Some(Due::Monotonic(secs(40))),
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
        let gap_of = |expression: &str| Schedule::cron(expression, "UTC", YEAR_2026).unwrap().longest_gap().as_secs();
        assert_eq!(gap_of("*/5 8-17 * * MON-FRI"), 62 * 3_600 + 5 * 60, "Friday 17:55 to Monday 8:00");
        assert_eq!(gap_of("* 0-2,4-23 * * *"), 3_660, "2:59 to 4:00");
        assert_eq!(gap_of("*/10 * * 1-7 * *"), 10 * 60 + 24 * 86_400 - 600 + 10, "seconds too: the 7th to the 1st");
        assert_eq!(Schedule::every(Duration::from_secs(7)).longest_gap(), Duration::from_secs(7));
    }
}
