//! How punctual probes are, as their target saw them: each against the slot of its API.

use std::time::Duration;

use api_health_core::ApiId;
use api_health_core::schedule::Slot;

use super::figures::{nanos, number, percentile};
use super::target::Arrivals;
use super::watched;

/// What the target saw in a window.
pub struct Seen {
    pub requests: usize,
    late_ms: Vec<f64>,
    pub busiest_over_mean: f64,
}

impl Seen {
    /// Of the APIs whose slots these are, in nanoseconds after `began_ns` and each interval again. Fails unless each was asked in each
    /// round.
    pub fn of(slots: &[u64], interval: Duration, began_ns: u64, (from, to): (u64, u64), arrivals: &Arrivals) -> Self {
        let interval_ns = ns(interval);
        let mut late_ms = Vec::new();
        let mut per_api = vec![0_u64; slots.len()];
        let mut bins = vec![0_usize; usize::try_from((to - from) / 100_000_000).expect("few") + 1];
        for &(at, api) in arrivals.requests.iter().filter(|(at, _)| (from..to).contains(at)) {
            let since_slot = (at - began_ns).wrapping_sub(slots[api]) % interval_ns;
            late_ms.push(nanos(since_slot) / 1e6);
            per_api[api] += 1;
            bins[usize::try_from((at - from) / 100_000_000).expect("few")] += 1;
        }
        // At the edges of the window a probe may fall on either side.
        let rounds = (to - from + interval_ns / 2) / interval_ns;
        let in_time = |count: &&u64| count.abs_diff(rounds) <= 1;
        assert_eq!(per_api.iter().filter(in_time).count(), slots.len(), "every API was asked in every round");
        let requests = late_ms.len();
        let mean = number(requests) * 1e8 / nanos(to - from);
        let busiest = number(bins.into_iter().max().unwrap_or(0));
        Self { requests, late_ms, busiest_over_mean: busiest / mean }
    }

    /// How late they were that this share of all does not exceed, in milliseconds.
    pub fn late_ms(&self, share: f64) -> f64 {
        percentile(&self.late_ms, share)
    }

    pub fn late(&self) -> String {
        format!("{:.1} / {:.1} ms", self.late_ms(0.5), self.late_ms(0.99))
    }
}

/// The slots of the first `n` APIs of [`watched`].
pub fn slots(n: usize, interval: Duration) -> Vec<u64> {
    let id = |index| ApiId::parse(&watched::id(index)).expect("a plain id");
    (0..n).map(|index| ns(Slot::of(&id(index)).within(interval))).collect()
}

pub fn ns(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).expect("far less than 500 years")
}
