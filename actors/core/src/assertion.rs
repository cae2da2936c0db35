//! What an observation must satisfy: facts in, verdict with reasons out.

use crate::api::ApiConfig;
use crate::observation::{Answer, Failure, Observation, Response};
use crate::outcome::{Outcome, Verdict};

/// Judges one observation by what its API's config asks for. Total: every observation has a verdict.
pub fn judge(config: &ApiConfig, observation: &Observation) -> Outcome {
    let mut outcome = Outcome {
        started_at: observation.started_at,
        finished_at: observation.finished_at,
        verdict: Verdict::Pass,
        latency_ms: None,
        status_code: None,
        reasons: Vec::new(),
    };
    match &observation.answer {
        Answer::Response(response) => {
            outcome.latency_ms = Some(u32::try_from(observation.took.as_millis()).unwrap_or(u32::MAX));
            outcome.status_code = Some(response.status);
            if !config.expected_status.contains(response.status) {
                outcome.verdict = Verdict::Fail;
                outcome.reasons.push(unexpected_status(config, response));
            }
        }
        Answer::Failure(Failure::Local(fault)) => {
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons.push(fault.to_string());
        }
        Answer::Failure(failure) => {
            outcome.verdict = Verdict::Fail;
            outcome.reasons.push(failure.to_string());
        }
    }
    outcome
}

/// `status 503 is not in 2xx`, and for a redirect also where it points: the usual cause is a URL that moved.
fn unexpected_status(config: &ApiConfig, response: &Response) -> String {
    let words = format!("status {} is not in {}", response.status, config.expected_status);
    match &response.location {
        Some(location) if (300..400).contains(&response.status) => format!("{words} (redirects to {location})"),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{LocalFault, PhaseTimes};
    use crate::state::tests_support::config;
    use crate::time::Timestamp;
    use std::time::Duration;

    fn observation(answer: Answer) -> Observation {
        Observation {
            started_at: Timestamp::from_millis(1_000),
            finished_at: Timestamp::from_millis(1_042),
            took: Duration::from_millis(42),
            phases: PhaseTimes::default(),
            address: None,
            answer,
        }
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
    fn a_fault_of_ours_is_inconclusive() {
        let fault = Failure::Local(LocalFault::TooManyOpenFiles);
        assert_eq!(judge(&config(), &observation(Answer::Failure(fault))).verdict, Verdict::Inconclusive);
    }
}
