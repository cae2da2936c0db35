//! Whether this machine can keep up with what is configured: in each period of ten seconds, how many probes were delayed on this
//! machine, by other probes, rather than by their API.

use std::time::Duration;

/// A probe that waited this long for its thread or its permit was held up. It is the shortest interval, so a tick may have been
/// missed.
pub const HELD_UP_MIN: Duration = Duration::from_secs(1);

/// The length of a period.
pub const PERIOD: Duration = Duration::from_secs(10);

/// A period is too much if at least one in this many probes was held up.
const ONE_OF: u64 = 10;

/// Overloaded periods in a row before a log line; a single one may be a suspended machine.
const LOG_AFTER: u32 = 2;

/// Overloaded periods in a row before an alert: a minute.
const ALERT_AFTER: u32 = 6;

/// Good periods in a row after which the machine keeps up again.
const WELL_AFTER: u32 = 3;

/// The counts of one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Probes that began.
    pub probes: u64,
    /// Probes that were held up.
    pub held_up: u64,
    /// Ticks that could not run.
    pub missed_ticks: u64,
}

impl Counted {
    fn is_too_much(&self) -> bool {
        self.held_up > 0 && self.held_up >= self.probes.div_ceil(ONE_OF)
    }

    fn words(&self) -> String {
        let Self { probes, held_up, missed_ticks } = self;
        let due = (probes + missed_ticks) / PERIOD.as_secs();
        format!(
            "of about {due} probes that come due in a second {} were made, and {} of 100 of those waited here for a second or longer; \
             give the machine more CPU, ask less often, or share the APIs among more workers",
            probes / PERIOD.as_secs(),
            (held_up * 100 / probes.max(&1)).min(100),
        )
    }
}

/// What to do after a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Log that it is too much, with figures and what to do.
    Log(String),
    /// Alert people; again after each period for as long as it lasts.
    Alert(String),
    /// The machine keeps up, or does again: an alert, if there was one, is ended. This comes soon after a start as well, since the
    /// process before may have alerted.
    Well {
        /// The log says that it was too much.
        was_logged: bool,
    },
}

/// The periods so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capacity {
    /// Overloaded periods since the machine kept up.
    too_much: u32,
    /// Good periods in a row.
    well: u32,
    is_well: bool,
}

impl Capacity {
    /// That all is well is said once more.
    pub const fn tell_again(&mut self) {
        self.is_well = false;
    }

    /// A period is over.
    pub fn period(&mut self, counted: Counted) -> Option<Step> {
        if counted.is_too_much() {
            (self.well, self.is_well) = (0, false);
            self.too_much = self.too_much.saturating_add(1);
            return match self.too_much {
                LOG_AFTER => Some(Step::Log(counted.words())),
                ALERT_AFTER.. => Some(Step::Alert(counted.words())),
                _ => None,
            };
        }
        self.well = self.well.saturating_add(1);
        let was_logged = self.too_much >= LOG_AFTER;
        if !was_logged {
            self.too_much = 0;
        }
        if self.is_well || self.well < WELL_AFTER {
            return None;
        }
        *self = Self { is_well: true, ..Self::default() };
        Some(Step::Well { was_logged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Counted = Counted { probes: 10_000, held_up: 999, missed_ticks: 3 };
    const TOO_MUCH: Counted = Counted { probes: 58_000, held_up: 40_000, missed_ticks: 42_000 };
    const WORDS: &str = "of about 10000 probes that come due in a second 5800 were made, and 68 of 100 of those waited here for a \
                         second or longer; give the machine more CPU, ask less often, or share the APIs among more workers";

    fn after(periods: &[Counted]) -> Vec<(usize, Step)> {
        let mut load = Capacity::default();
        periods.iter().enumerate().filter_map(|(n, counted)| Some((n, load.period(*counted)?))).collect()
    }

    #[test]
    fn too_much_is_said_once_told_after_a_minute_and_ends_by_itself() {
        let mut steps = after(&[&[TOO_MUCH; 20][..], &[WELL; 10]].concat());
        assert_eq!(steps.remove(0), (1, Step::Log(WORDS.into())));
        assert_eq!(steps.pop(), Some((22, Step::Well { was_logged: true })));
        let alerts = (5..20).map(|n| (n, Step::Alert(WORDS.into())));
        assert_eq!(steps, alerts.collect::<Vec<_>>());
    }

    #[test]
    fn one_bad_period_is_nothing_and_a_good_one_in_between_ends_nothing() {
        let blips = after(&[WELL, TOO_MUCH, WELL, TOO_MUCH, WELL, WELL, WELL, TOO_MUCH, WELL, WELL, WELL]);
        assert_eq!(blips, [(6, Step::Well { was_logged: false }), (10, Step::Well { was_logged: false })]);
        let on_and_off = [TOO_MUCH, TOO_MUCH, WELL, WELL, TOO_MUCH, TOO_MUCH, TOO_MUCH, TOO_MUCH];
        let steps: Vec<usize> = after(&on_and_off).into_iter().map(|(n, _)| n).collect();
        assert_eq!(steps, [1, 7], "logged in the second period, alerted in the sixth that was too much");
    }

    #[test]
    fn where_nothing_is_probed_nothing_is_held_up() {
        assert_eq!(after(&[Counted::default(); 10]), [(2, Step::Well { was_logged: false })]);
    }
}
