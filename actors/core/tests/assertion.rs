//! What holds of every verdict: a stall of our own hides no evidence, and a healthy process hides no outage.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::assertion::{Assertion, STALL_MIN, judge, stalled};
use api_health_core::{Answer, ApiConfig, ApiId, Failure, Observation, Phase, Response, Schedule, Timestamp, Verdict};
use proptest::prelude::*;

fn config(timeout: Duration) -> ApiConfig {
    ApiConfig {
        timeout,
        ..ApiConfig::plain(
            ApiId::parse("a").unwrap(),
            "http://a.test/".into(),
            Arc::new(Schedule::every(Duration::from_secs(60))),
        )
    }
}

fn verdict(timeout: Duration, took: Duration, answer: Answer) -> Verdict {
    judge(&config(timeout), &observation(took, answer)).verdict
}

fn observation(took: Duration, answer: Answer) -> Observation {
    Observation { took, ..Observation::new(answer, Timestamp::from_millis(0)) }
}

#[test]
fn a_stall_of_ours_is_no_latency_of_the_api() {
    let expected = Arc::new(Assertion::parse("latency < 500 ms").unwrap());
    let timeout = Duration::from_secs(10);
    let api = ApiConfig { assertions: vec![expected], ..config(timeout) };
    let reasons = |took| {
        let answer = Answer::Response(Response { status: 200, ..Response::default() });
        judge(&api, &observation(took, answer)).reasons
    };
    assert_eq!(reasons(Duration::from_millis(499)), [""; 0]);
    assert_eq!(reasons(timeout), ["expected latency < 500 ms, found 10000 ms"]);
    assert_eq!(reasons(Duration::from_secs(3_600)), [""; 0]);
}

fn timed_out(timeout: Duration) -> Answer {
    Answer::Failure(Failure::TimedOut { phase: Phase::Body, after: timeout })
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

proptest! {
    #[test]
    fn a_process_that_runs_takes_every_timeout_for_a_fail(timeout in 1_u64..600_000, late in 0_u64..=1_000) {
        prop_assert_eq!(verdict(millis(timeout), millis(timeout + late), timed_out(millis(timeout))), Verdict::Fail);
    }

    #[test]
    fn a_process_that_lost_more_than_the_whole_timeout_and_the_bound_confirms_nothing(
        timeout in 1_u64..600_000, lost in 0_u64..100_000_000,
    ) {
        let took = millis(timeout) * 2 + STALL_MIN + millis(lost);
        prop_assert_eq!(verdict(millis(timeout), took, timed_out(millis(timeout))), Verdict::Inconclusive);
    }

    #[test]
    fn the_longer_it_took_the_surer_the_stall(timeout in any::<Duration>(), a in any::<Duration>(), b in any::<Duration>()) {
        let (short, long) = (a.min(b), a.max(b));
        prop_assert!(stalled(short, timeout) <= stalled(long, timeout), "None comes before Some");
        prop_assert!(stalled(long, timeout).is_none_or(|stalled| stalled > STALL_MIN && stalled <= long));
    }

    #[test]
    fn an_answer_and_a_refusal_count_however_late_they_are_seen(
        timeout in any::<Duration>(), took in any::<Duration>(), status in 100_u16..600,
    ) {
        let answer = Answer::Response(Response { status, ..Response::default() });
        let wanted = if (200..300).contains(&status) { Verdict::Pass } else { Verdict::Fail };
        prop_assert_eq!(verdict(timeout, took, answer), wanted);
        let refused = Answer::Failure(Failure::Refused { address: ([127, 0, 0, 1], 9).into() });
        prop_assert_eq!(verdict(timeout, took, refused), Verdict::Fail);
    }
}
