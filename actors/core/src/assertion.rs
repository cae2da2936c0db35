//! Judges an observation: facts in, verdict with reasons out.
//!
//! A process that did not run (suspended, starved, paused with its machine) sees timeouts that are its own. The exchange
//! is bounded by its timeout, so one that took far longer is the proof: what ran out then was our time, not the API's.
//!
//! | file | answers |
//! |---|---|
//! | [`expected`] | what an assertion expects, and what was found in its place |
//! | `read`, `comparison` | what is meant by an assertion as people write it |
//! | `json`, `pattern` | paths into JSON, and words and regular expressions, compiled and bounded |
//! | [`content`] | what a probe keeps of an answer for it |

mod comparison;
pub mod content;
pub mod expected;
mod json;
pub mod pattern;
mod read;

use std::sync::Arc;
use std::time::Duration;

use crate::api::ApiConfig;
use crate::asking::Asking;
use crate::evidence::Evidence;
use crate::masking::Masking;
use crate::observation::{Answer, Failure, Observation, Response};
use crate::outcome::{Outcome, Verdict};

pub use content::{Body, Content, TlsVersion};
pub use expected::Assertion;
pub use read::AssertionFault;

/// An exchange that ended this much later than its timeout allows, and [`STALL_SHARE`] of the timeout on top, was held
/// up by our own side. A process that runs ends it within milliseconds, and a busy one within some hundred: a lower bound
/// would let a machine that is always busy hide an outage for ever, since an inconclusive outcome confirms nothing.
pub const STALL_MIN: Duration = Duration::from_secs(1);

/// One part in this many of the timeout: the longer an API may take, the later an exchange has to end to count as stalled.
pub const STALL_SHARE: u32 = 10;

/// How long this process was stalled, as far as an exchange shows that took `took` under a bound of `timeout`; `None`
/// if it ended in time or nearly so.
pub fn stalled(took: Duration, timeout: Duration) -> Option<Duration> {
    let beyond = took.saturating_sub(timeout);
    (beyond > STALL_MIN + timeout / STALL_SHARE).then_some(beyond)
}

/// Judges one observation by what its API's config asks for. Total: every observation has a verdict.
pub fn judge(config: &ApiConfig, observation: &Observation) -> Outcome {
    let mut outcome = Outcome {
        started_at: observation.started_at,
        finished_at: observation.finished_at,
        verdict: Verdict::Pass,
        latency_ms: None,
        status_code: None,
        reasons: Vec::new(),
        evidence: observation.seen.as_deref().map(|seen| Arc::new(Evidence::of(config, observation, seen))),
        certificate: None,
        figures: observation.figures,
    };
    match &observation.answer {
        Answer::Response(response) => {
            outcome.latency_ms = Some(latency_ms(observation));
            outcome.status_code = Some(response.status);
            outcome.certificate = response.certificate;
            if !config.expected_status.contains(response.status) {
                outcome.verdict = Verdict::Fail;
                outcome.reasons.push(unexpected_status(config, response));
            } else {
                outcome.reasons.clone_from(&response.broken);
                // Where this process was stalled, the time that was taken is not the API's.
                if stalled(observation.took, config.timeout).is_none() {
                    outcome.reasons.extend(expected::too_slow(&config.assertions, observation.took));
                }
                if !outcome.reasons.is_empty() {
                    outcome.verdict = Verdict::Fail;
                }
            }
        }
        Answer::Connected { certificate } => {
            outcome.latency_ms = Some(latency_ms(observation));
            outcome.certificate = *certificate;
        }
        Answer::Records(records) => {
            outcome.latency_ms = Some(latency_ms(observation));
            let nothing_expected = Asking::default();
            if let Some(reason) = config.asking.as_deref().unwrap_or(&nothing_expected).lacks(records) {
                outcome.verdict = Verdict::Fail;
                outcome.reasons.push(reason);
            }
        }
        Answer::Failure(Failure::Local(fault)) => {
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons.push(fault.to_string());
        }
        Answer::Failure(failure) => match stalled(observation.took, config.timeout) {
            Some(stalled) if may_come_from_a_stall(failure) => {
                outcome.verdict = Verdict::Inconclusive;
                let seconds = stalled.as_secs();
                outcome.reasons.push(format!("this process was stalled for {seconds} s or more: {failure}"));
            }
            _ => {
                outcome.verdict = Verdict::Fail;
                outcome.reasons.push(failure.to_string());
            }
        },
    }
    outcome
}

fn latency_ms(observation: &Observation) -> u32 {
    u32::try_from(observation.took.as_millis()).unwrap_or(u32::MAX)
}

/// Failures that a stall of ours can cause: we waited no longer, or the other side, which heard nothing from us. The others are
/// evidence however late they are seen: a refused connection was refused.
fn may_come_from_a_stall(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::TimedOut { .. }
            | Failure::Reset { .. }
            | Failure::Closed { .. }
            | Failure::BodyCutShort { .. }
            | Failure::LookupFailed { .. }
            | Failure::NameServersSilent { .. }
    )
}

/// `status 503 is not in 2xx`, and what may have led to it: for a redirect where it points, since the usual cause is a URL that
/// moved; for a 4xx what the request lacked; for the codes of a gateway the proxy, which may have said so by itself.
fn unexpected_status(config: &ApiConfig, response: &Response) -> String {
    let words = format!("status {} is not in {}", response.status, config.expected_status);
    if let Some(patience) = response.patience() {
        return format!("{words} (Retry-After: {} s)", patience.as_secs());
    }
    let asks_for_more = (400..500).contains(&response.status);
    match response {
        Response { status: 300..400, location: Some(location), .. } => {
            format!("{words} (redirects to {})", Masking::of(config).hide_in(location))
        }
        Response { left_behind, .. } if asks_for_more && !left_behind.is_empty() => {
            format!("{words} (a redirect led to another origin; not sent there: {})", left_behind.join(", "))
        }
        Response { client_certificate_wanted: true, .. } if asks_for_more => {
            format!("{words} (the server asked for a client certificate, and this API has none to show)")
        }
        Response { status: 502..=504, proxy: Some(proxy), .. } => {
            format!("{words} (asked by way of the proxy {proxy}, which may have answered by itself)")
        }
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{LocalFault, Phase};
    use crate::state::tests_support::config;
    use crate::time::Timestamp;

    fn observation(answer: Answer) -> Observation {
        let (finished_at, took) = (Timestamp::from_millis(1_042), Duration::from_millis(42));
        Observation { finished_at, took, ..Observation::new(answer, Timestamp::from_millis(1_000)) }
    }

    #[test]
    fn an_expected_status_passes() {
        let outcome = judge(&config(), &observation(Answer::Response(Response { status: 204, ..Response::default() })));
        assert_eq!((outcome.verdict, outcome.latency_ms, outcome.status_code), (Verdict::Pass, Some(42), Some(204)));
        assert_eq!(outcome.reason(), None);
    }

    #[test]
    fn an_unexpected_status_fails_and_says_why() {
        let outcome = judge(&config(), &observation(Answer::Response(Response { status: 503, ..Response::default() })));
        assert_eq!(outcome.verdict, Verdict::Fail);
        assert_eq!(outcome.reason().as_deref(), Some("status 503 is not in 2xx"));
    }

    #[test]
    fn a_redirect_says_where_it_points() {
        let response = Response { status: 301, location: Some("https://b.test/".into()), ..Response::default() };
        let outcome = judge(&config(), &observation(Answer::Response(response)));
        assert_eq!(outcome.reason().as_deref(), Some("status 301 is not in 2xx (redirects to https://b.test/)"));
    }

    #[test]
    fn what_may_have_led_to_a_refusal_is_said_beside_it() {
        let reason = |response| judge(&config(), &observation(Answer::Response(response))).reason().unwrap_or_default();
        let left_behind = vec!["User-Agent".to_owned(), "the body".to_owned()];
        let refused = Response { status: 403, left_behind, client_certificate_wanted: true, ..Response::default() };
        assert_eq!(
            reason(refused.clone()),
            "status 403 is not in 2xx (a redirect led to another origin; not sent there: User-Agent, the body)"
        );
        assert_eq!(reason(Response { status: 500, ..refused.clone() }), "status 500 is not in 2xx");
        let wanted = Response { left_behind: Vec::new(), ..refused };
        assert!(reason(wanted).ends_with("(the server asked for a client certificate, and this API has none to show)"));
        let proxied = |status| Response { status, proxy: Some("10.0.0.1:3128".into()), ..Response::default() };
        assert!(reason(proxied(502)).contains("by way of the proxy 10.0.0.1:3128"));
        assert_eq!(reason(proxied(404)), "status 404 is not in 2xx");
    }

    #[test]
    fn a_fault_of_ours_is_inconclusive() {
        let fault = Failure::Local(LocalFault::TooManyOpenFiles);
        assert_eq!(judge(&config(), &observation(Answer::Failure(fault))).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn patience_is_a_reason_where_it_is_asked_for_and_the_status_is_not_expected() {
        let asks = |status| Response { status, retry_after: Some(Duration::from_secs(30)), ..Response::default() };
        let reason = |response| judge(&config(), &observation(Answer::Response(response))).reason();
        let words = "status 429 is not in 2xx (Retry-After: 30 s)";
        assert_eq!(reason(asks(429)).as_deref(), Some(words));
        assert_eq!((reason(asks(204)), asks(503).patience()), (None, Some(Duration::from_secs(30))));
        assert_eq!((asks(500).patience(), asks(301).patience()), (None, None));
    }

    /// A timeout of `timeout`, seen after `took`.
    fn timed_out(timeout: Duration, took: Duration) -> Outcome {
        let failure = Failure::TimedOut { phase: Phase::FirstByte, after: timeout };
        let config = ApiConfig { timeout, ..config() };
        judge(&config, &Observation { took, ..observation(Answer::Failure(failure)) })
    }

    #[test]
    fn a_timeout_that_a_stalled_process_saw_is_inconclusive_and_says_for_how_long() {
        let ten = Duration::from_secs(10);
        let outcome = timed_out(ten, Duration::from_millis(25_300));
        assert_eq!(outcome.verdict, Verdict::Inconclusive);
        let said = "this process was stalled for 15 s or more: timed out after 10 s while waiting for the first byte";
        assert_eq!(outcome.reason().as_deref(), Some(said));
        assert_eq!(timed_out(ten, Duration::from_millis(12_001)).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_timeout_that_a_busy_process_saw_a_little_late_is_a_fail() {
        let ten = Duration::from_secs(10);
        for took in [10_000, 10_004, 10_900, 12_000] {
            assert_eq!(timed_out(ten, Duration::from_millis(took)).verdict, Verdict::Fail, "{took} ms");
        }
        assert_eq!(timed_out(Duration::MAX, Duration::MAX).verdict, Verdict::Fail, "the ends of time do not wrap");
    }

    #[test]
    fn what_a_stalled_process_saw_of_an_api_itself_counts() {
        let took = Duration::from_secs(3_600);
        let address = ([127, 0, 0, 1], 80).into();
        let refused = Observation { took, ..observation(Answer::Failure(Failure::Refused { address })) };
        assert_eq!(judge(&config(), &refused).verdict, Verdict::Fail);
        let answer = |status| Answer::Response(Response { status, ..Response::default() });
        for (status, verdict) in [(200, Verdict::Pass), (503, Verdict::Fail)] {
            assert_eq!(judge(&config(), &Observation { took, ..observation(answer(status)) }).verdict, verdict);
        }
    }
}
