//! The first probes of many APIs at once: at a start, after a takeover, when a thread of probers is replaced. Each comes within one
//! interval of its API, and never all together.

use std::time::Duration;

use api_health_core::ApiConfig;
use api_health_core::schedule::{Moment, SLOT_QUANTUM, Slot};

/// First probes in one second: a start of ten thousand APIs takes ten seconds, and a small machine survives it.
const FIRST_PROBES_PER_SECOND: u32 = 1_000;

/// A tick that is as near as this to the first probe is the first probe: most are over within it.
const TICK_NEAR: Duration = Duration::from_millis(100);

/// How the first probes of many APIs are spread over time.
pub(super) struct StartupSpread {
    /// Whoever comes due at least this often comes first at its own slot, and no later: slots are spread already.
    own_slot_below: Duration,
    /// The others come in this, each at a place of its own.
    window: Duration,
}

impl StartupSpread {
    /// For APIs whose shortest gaps between two ticks are these.
    pub(super) fn of(gaps: &[Duration]) -> Self {
        let window_for = |probes: usize| {
            Duration::from_secs(1) * u32::try_from(probes).unwrap_or(u32::MAX) / FIRST_PROBES_PER_SECOND
        };
        let own_slot_below = window_for(gaps.len());
        Self { own_slot_below, window: window_for(gaps.iter().filter(|gap| **gap > own_slot_below).count()) }
    }

    pub(super) fn wait(&self, api: &ApiConfig, slot: Slot, now: Moment) -> Duration {
        let own_slot = api.schedule.next_due(slot, now).map(|due| due.wait(now));
        let quanta = self.window.as_millis() / SLOT_QUANTUM.as_millis();
        // Other bits than those that choose the slot: the two have nothing to do with each other.
        let chosen = (u128::from(api.api_id.stable_hash().reverse_bits()) * quanta) >> 64;
        let place = SLOT_QUANTUM * u32::try_from(chosen).unwrap_or(0);
        match own_slot {
            // A cron expression may come due each minute, and only from tomorrow on.
            Some(wait) if api.schedule.shortest_gap_from(now) <= self.own_slot_below && wait <= self.own_slot_below => {
                wait
            }
            // A tick that comes while the first probe runs would be missed.
            Some(wait) if wait.abs_diff(place) < TICK_NEAR => wait,
            _ => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api_health_core::{Schedule, Timestamp};

    use super::*;
    use crate::testkit::api;

    /// A Thursday, at 22:00.
    fn now() -> Moment {
        Moment { wall: Timestamp::parse("2026-11-26T22:00:00Z").unwrap(), monotonic: Duration::from_secs(3) }
    }

    fn each(interval_seconds: u64, n: usize) -> Vec<ApiConfig> {
        (0..n).map(|n| api(&format!("api-{n}"), interval_seconds)).collect()
    }

    fn waits(apis: &[ApiConfig]) -> Vec<Duration> {
        let spread =
            StartupSpread::of(&apis.iter().map(|api| api.schedule.shortest_gap_from(now())).collect::<Vec<_>>());
        apis.iter().map(|api| spread.wait(api, Slot::of(&api.api_id), now())).collect()
    }

    /// The busiest 100 ms over the mean.
    fn busiest_over_mean(waits: &[Duration]) -> f64 {
        let last = waits.iter().max().unwrap().as_millis() / 100;
        let mut bins = vec![0_u32; usize::try_from(last).unwrap() + 1];
        for wait in waits {
            bins[usize::try_from(wait.as_millis() / 100).unwrap()] += 1;
        }
        let mean = f64::from(bins.iter().sum::<u32>()) / f64::from(u32::try_from(bins.len()).unwrap());
        f64::from(*bins.iter().max().unwrap()) / mean
    }

    #[test]
    fn a_fleet_of_any_size_is_probed_within_one_interval_and_without_a_herd() {
        for (n, interval, within) in
            [(1_000, 10, 1), (10_000, 60, 10), (100_000, 60, 60), (100_000, 10, 10), (100_000, 300, 100)]
        {
            let waits = waits(&each(interval, n));
            assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(within + 1)), "{n} each {interval} s");
            let busiest = busiest_over_mean(&waits);
            assert!(busiest <= 1.5, "{n} each {interval} s: {busiest}");
        }
    }

    #[test]
    fn of_mixed_intervals_those_that_come_seldom_follow_at_their_rate() {
        let mut apis = each(10, 50_000);
        apis.extend(each(3_600, 50_000));
        let waits = waits(&apis);
        assert!(waits[..50_000].iter().all(|wait| *wait <= Duration::from_secs(10)));
        assert!(waits[50_000..].iter().all(|wait| *wait < Duration::from_secs(51)));
    }

    #[test]
    fn a_cron_schedule_that_comes_due_tomorrow_does_not_wait_until_then() {
        let mut apis = each(60, 100_000);
        let office_hours = Arc::new(Schedule::cron("* 9-17 * * *", "UTC", now().wall).unwrap());
        apis[7].schedule = office_hours;
        assert!(waits(&apis)[7] <= Duration::from_secs(100));
    }
}
