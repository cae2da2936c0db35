//! The arithmetic of restarts: whatever dies whenever, restarts stay within intensity and period, and delays within their
//! bounds.

use std::time::Duration;

use api_health_core::restart::{Deaths, RestartPolicy};
use proptest::prelude::*;

fn policies() -> impl Strategy<Value = RestartPolicy> {
    (1..500_u64, 1..20_u64, 0..8_u32, 1..120_u64, 1..600_u64).prop_map(|(min, factor, intensity, period, slow)| {
        RestartPolicy {
            delay_min: Duration::from_millis(min),
            delay_max: Duration::from_millis(min * factor),
            intensity,
            period: Duration::from_secs(period),
            slow: Duration::from_secs(slow),
        }
    })
}

fn is_spread(actual: Duration, plain: Duration) -> bool {
    actual >= plain && actual <= plain + plain / 4 + Duration::from_millis(1)
}

proptest! {
    #[test]
    fn restarts_never_exceed_the_intensity_within_a_period_and_one_death_more_is_too_many(
        policy in policies(),
        lives in prop::collection::vec(0..90_000_u64, 1..200),
        spread: u64,
    ) {
        let mut deaths = Deaths::default();
        let mut now = Duration::ZERO;
        let mut died: Vec<Duration> = Vec::new();
        for life in lives {
            now += Duration::from_millis(life);
            let within = died.iter().filter(|then| now - **then < policy.period).count();
            died.push(now);
            let after = deaths.count(now, &policy, spread);
            prop_assert_eq!(after.is_some(), within < policy.intensity as usize, "{} within the period", within);
            if let Some(after) = after {
                let plain = policy.delay_min.saturating_mul(1 << within.min(31)).min(policy.delay_max);
                prop_assert!(is_spread(after, plain), "{after:?} for {plain:?}");
            }
            let slow = policy.slow_wait(spread);
            prop_assert!(is_spread(slow, policy.slow));
            now += after.unwrap_or(slow);
            prop_assert!(deaths.recent() <= policy.intensity as usize + 1, "bounded");
        }
    }
}

#[test]
fn the_delay_doubles_up_to_the_sixth_death_in_a_minute_which_is_one_too_many() {
    let mut deaths = Deaths::default();
    let waits: Vec<Option<Duration>> =
        (0..7).map(|second| deaths.count(Duration::from_secs(second), &RestartPolicy::PROBER, 0)).collect();
    let restart = |millis| Some(Duration::from_millis(millis));
    assert_eq!(waits, [restart(100), restart(200), restart(400), restart(800), restart(1_600), None, None]);
}

#[test]
fn a_death_now_and_then_is_borne_for_ever() {
    let mut deaths = Deaths::default();
    for minute in 0..1_000 {
        let after = deaths.count(Duration::from_secs(60 * minute), &RestartPolicy::PROBER, 0);
        assert_eq!(after, Some(Duration::from_millis(100)));
    }
}
