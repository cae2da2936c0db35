//! The verdict on one observation.

use std::sync::Arc;

use crate::certificate::Validity;
use crate::evidence::Evidence;
use crate::figures::ProbeFigures;
use crate::text;
use crate::time::Timestamp;

/// Whether an observation is what the config expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Everything was as expected.
    Pass,
    /// The API did not behave as expected.
    Fail,
    /// It says nothing about the API: the fault was on our side. It changes no status.
    Inconclusive,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Pass, Self::Fail, Self::Inconclusive];

    /// The word in JSON and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }
}

/// The verdict on one probe, with its reasons and what is worth keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the probe began. An incident is dated by this, since the API was already failing then.
    pub started_at: Timestamp,
    /// When the probe ended.
    pub finished_at: Timestamp,
    pub verdict: Verdict,
    /// From the start of the exchange to its end, if there was an answer.
    pub latency_ms: Option<u32>,
    /// The HTTP status code, if there was an answer.
    pub status_code: Option<u16>,
    /// One text for each thing that was not as expected; empty for a pass.
    pub reasons: Vec<String>,
    /// What was seen, where the exchange failed, or may be one that confirms a recovery.
    pub evidence: Option<Arc<Evidence>>,
    /// How long its certificate is good, if it showed one.
    pub certificate: Option<Validity>,
    pub figures: ProbeFigures,
}

impl Outcome {
    /// The most characters of reasons that are kept, so that a hostile response cannot make a stored record large.
    pub const REASON_CHARS_MAX: usize = 300;

    /// All reasons in one line of at most [`Self::REASON_CHARS_MAX`] characters; `None` for a pass.
    pub fn reason(&self) -> Option<String> {
        if self.reasons.is_empty() {
            return None;
        }
        Some(text::line(&self.reasons.join("; "), Self::REASON_CHARS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_bounded_line() {
        let mut outcome = Outcome {
            started_at: Timestamp::default(),
            finished_at: Timestamp::default(),
            verdict: Verdict::Fail,
            latency_ms: None,
            status_code: None,
            reasons: vec![],
            evidence: None,
            certificate: None,
            figures: crate::ProbeFigures::default(),
        };
        assert_eq!(outcome.reason(), None);
        outcome.reasons = vec!["a\r\nb\u{202e}".into(), "c".into()];
        assert_eq!(outcome.reason().as_deref(), Some("a b\u{fffd}; c"));
        outcome.reasons = vec!["ü".repeat(5_000)];
        assert_eq!(outcome.reason().unwrap().chars().count(), Outcome::REASON_CHARS_MAX);
    }
}
