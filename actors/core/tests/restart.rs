//! The arithmetic of restarts: whatever dies whenever, restarts stay within intensity and period, delays within their
//! bounds, and starts within their rate.

use std::time::Duration;

use api_health_core::restart::{Deaths, RateLimiter, RestartDecision, RestartPolicy};
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
    fn restarts_never_exceed_the_intensity_within_a_period_and_a_child_that_keeps_dying_is_given_up(
        policy in policies(),
        lives in prop::collection::vec(0..90_000_u64, 1..200),
        spread: u64,
    ) {
        let mut deaths = Deaths::default();
        let mut now = Duration::ZERO;
        let mut restarts: Vec<Duration> = Vec::new();
        for life in lives {
            let life = Duration::from_millis(life);
            now += life;
            let was_given_up = deaths.is_given_up();
            let decision = deaths.count(now, &policy, spread);
            let within = restarts.iter().filter(|then| now - **then < policy.period).count();
            match decision {
                RestartDecision::Restart { after } => {
                    prop_assert!(!was_given_up);
                    prop_assert!(within < policy.intensity as usize, "one more within the period");
                    let plain = policy.delay_min.saturating_mul(1 << within.min(31)).min(policy.delay_max);
                    prop_assert!(is_spread(after, plain), "{after:?} for {plain:?}");
                    restarts.push(now);
                    now += after;
                }
                RestartDecision::GiveUp { again_after } => {
                    prop_assert!(was_given_up || within >= policy.intensity as usize);
                    prop_assert!(is_spread(again_after, policy.slow));
                    prop_assert!(deaths.is_given_up());
                    now += again_after;
                }
            }
            prop_assert!(deaths.recent() <= policy.intensity as usize + 1, "bounded");
        }
    }

    #[test]
    fn a_life_that_lasts_forgives_all(policy in policies(), deaths_before in 0..20_u64, spread: u64) {
        let mut deaths = Deaths::default();
        for second in 0..deaths_before {
            deaths.count(Duration::from_secs(second), &policy, spread);
        }
        let was = deaths.is_given_up();
        prop_assert_eq!(deaths.forgive(), was);
        prop_assert_eq!(deaths, Deaths::default());
    }

    #[test]
    fn any_crowd_of_starts_keeps_the_rate(rate in 1..2_000_u32, gaps in prop::collection::vec(0..30_u64, 1..400)) {
        let mut rate_limiter = RateLimiter::per_second(rate);
        let mut now = Duration::from_secs(9);
        let at: Vec<Duration> = gaps
            .iter()
            .map(|millis| {
                now += Duration::from_millis(*millis);
                now + rate_limiter.wait(now)
            })
            .collect();
        let gap = Duration::from_secs(1) / rate;
        prop_assert!(at.windows(2).all(|two| two[1] - two[0] >= gap));
    }
}

#[test]
fn the_delay_doubles_up_to_the_sixth_death_in_a_minute_which_is_one_too_many() {
    let mut deaths = Deaths::default();
    let verdicts: Vec<RestartDecision> =
        (0..7).map(|second| deaths.count(Duration::from_secs(second), &RestartPolicy::PROBER, 0)).collect();
    let restart = |millis| RestartDecision::Restart { after: Duration::from_millis(millis) };
    let give_up = RestartDecision::GiveUp { again_after: Duration::from_secs(300) };
    assert_eq!(verdicts, [restart(100), restart(200), restart(400), restart(800), restart(1_600), give_up, give_up]);
}

#[test]
fn a_death_now_and_then_is_borne_for_ever() {
    let mut deaths = Deaths::default();
    for minute in 0..1_000 {
        let decision = deaths.count(Duration::from_secs(60 * minute), &RestartPolicy::PROBER, 0);
        assert_eq!(decision, RestartDecision::Restart { after: Duration::from_millis(100) });
    }
}
