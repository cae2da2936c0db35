//! The schedules of the simulation, and when they come due, worked out plainly and apart from the program's own way.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api_health_actors::testkit::WORLD_BEGINS;
use api_health_core::{ApiConfig, ApiId, Schedule};

/// What is configured, and the minutes of each hour at which it comes due; an interval in seconds has none.
pub(crate) enum Spec {
    /// Every so many seconds.
    Every(u64),
    /// At these minutes of each hour; each gap is 10 minutes at most.
    Minutes(&'static str, &'static [i64]),
    /// At each whole multiple of so many seconds of the minute.
    Seconds(&'static str, i64),
}

/// All that are used. A short interval costs much time for little insight, so they are few.
pub(crate) static ALL: [Spec; 12] = [
    Spec::Every(10),
    Spec::Every(30),
    Spec::Every(45),
    Spec::Every(60),
    Spec::Every(97),
    Spec::Every(120),
    Spec::Every(300),
    Spec::Every(600),
    Spec::Minutes("* * * * *", &[]),
    Spec::Minutes("*/5 * * * *", &[0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]),
    Spec::Minutes("0,7,9,19,26,32,33,43,50 * * * *", &[0, 7, 9, 19, 26, 32, 33, 43, 50]),
    Spec::Seconds("*/20 * * * * *", 20),
];

/// Slots lie on this grid, and in the first so many milliseconds of a tick.
const SPREAD_MS_MAX: i64 = 300_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

impl Spec {
    pub(crate) fn schedule(&self) -> Arc<Schedule> {
        Arc::new(match self {
            Self::Every(seconds) => Schedule::every(Duration::from_secs(*seconds)),
            Self::Minutes(expression, _) | Self::Seconds(expression, _) => {
                Schedule::cron(expression, "UTC", WORLD_BEGINS).expect("a good expression")
            }
        })
    }

    /// The one that a config names.
    pub(crate) fn of(schedule: &Schedule) -> &'static Self {
        static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
        let texts = TEXTS.get_or_init(|| ALL.iter().map(|spec| spec.schedule().to_string()).collect());
        let text = schedule.to_string();
        &ALL[texts.iter().position(|known| *known == text).expect("one of ours")]
    }

    pub(crate) fn is_cron(&self) -> bool {
        !matches!(self, Self::Every(_))
    }

    pub(crate) fn longest_gap_ms(&self) -> i64 {
        match self {
            Self::Every(seconds) => i64::try_from(*seconds).unwrap_or(0) * 1_000,
            Self::Seconds(_, step) => step * 1_000,
            Self::Minutes(_, []) => MINUTE_MS,
            Self::Minutes(_, _) => 10 * MINUTE_MS,
        }
    }

    /// The beginnings of the ticks around `at`, on this schedule's own clock: the one at or before it, and the next two.
    fn ticks(&self, at_ms: i64) -> [i64; 3] {
        let step = match self {
            Self::Every(seconds) => i64::try_from(*seconds).unwrap_or(1) * 1_000,
            Self::Seconds(_, step) => step * 1_000,
            Self::Minutes(_, []) => MINUTE_MS,
            Self::Minutes(_, minutes) => {
                let hour = at_ms.div_euclid(HOUR_MS) * HOUR_MS;
                let all: Vec<i64> = (-1..=2)
                    .flat_map(|h| minutes.iter().map(move |minute| hour + h * HOUR_MS + minute * MINUTE_MS))
                    .collect();
                let next = all.iter().position(|tick| *tick > at_ms).expect("two hours ahead");
                return [all[next - 1], all[next], all[next + 1]];
            }
        };
        let open = at_ms.div_euclid(step) * step;
        [open, open + step, open + 2 * step]
    }

    /// When an API is due next after `at`, on this schedule's own clock.
    pub(crate) fn due_after(&self, api_id: &ApiId, at_ms: i64) -> i64 {
        let [open, next, after_next] = self.ticks(at_ms);
        let in_this_tick = open + slot_ms(api_id, next - open);
        if in_this_tick > at_ms {
            return in_this_tick;
        }
        next + slot_ms(api_id, after_next - next)
    }

    /// How long after a fail the next tick may come: no recheck is slower than that.
    pub(crate) fn gap_after_ms(&self, at_ms: i64) -> i64 {
        let [_, next, after_next] = self.ticks(at_ms);
        after_next - next
    }

    /// Whether an API may be probed at once, because the present tick is young.
    pub(crate) fn is_open(&self, at_ms: i64) -> bool {
        let [open, next, _] = self.ticks(at_ms);
        !self.is_cron() || at_ms - open < (next - open).min(SPREAD_MS_MAX)
    }
}

/// When a suspect is asked again whose recheck is so long, or that is due so often: up to a fifth of that sooner, and 10 s at most, by
/// the lower half of its hash.
pub(crate) fn recheck(api: &ApiConfig, gap_ms: i64) -> Duration {
    let wait_ms = u64::try_from(api.recheck.as_millis()).unwrap().min(gap_ms.unsigned_abs());
    let lower_first = api.api_id.stable_hash().rotate_left(32);
    let sooner_ms = (u128::from(lower_first) * u128::from((wait_ms / 5).min(10_000))) >> 64;
    Duration::from_millis(wait_ms - u64::try_from(sooner_ms).unwrap())
}

/// Where in a tick of that length an API has its place: one of the 50 ms that fit in, by the high bits of its hash.
fn slot_ms(api_id: &ApiId, tick_ms: i64) -> i64 {
    let places = tick_ms.min(SPREAD_MS_MAX) / 50;
    let place = (u128::from(api_id.stable_hash()) * u128::try_from(places).unwrap_or(0)) >> 64;
    i64::try_from(place).unwrap_or(0) * 50
}
