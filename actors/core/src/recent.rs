//! The last outcomes and the last alerts of one API, in few bytes: what `explain` tells its story by. Nothing is decided by it.
//!
//! Outcomes in a row that are alike are one run, so that a handful of them reaches back over days of an API that is well, and over
//! each change of one that is not. It stands in every state and is copied with it, so what an API that was always well does not have is
//! apart and shared by the copies.

use std::sync::Arc;

use crate::alert::{Alert, AlertKind};
use crate::outcome::{Outcome, Verdict};
use crate::time::Timestamp;

/// Runs that are kept: the present one, and two blips or an outage with its beginning and its end before it.
pub const RUNS_MAX: usize = 5;

/// Alerts that are kept: an outage and its end.
pub const ALERTS_MAX: usize = 2;

/// Outcomes in a row with the same verdict and the same status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub verdict: Verdict,
    /// 0: there was no answer.
    code: u16,
    /// How many; at least 1.
    pub count: u32,
    /// When the first of them began, in whole seconds.
    pub first_at: Timestamp,
}

impl Run {
    pub const fn new(verdict: Verdict, status_code: Option<u16>, count: u32, first_at: Timestamp) -> Self {
        let code = match status_code {
            Some(code) => code,
            None => 0,
        };
        let first_at = Timestamp::from_millis(first_at.as_millis().div_euclid(1_000).saturating_mul(1_000));
        Self { verdict, code, count, first_at }
    }

    /// Of the answers; `None` where there was none.
    pub fn status_code(self) -> Option<u16> {
        Some(self.code).filter(|code| *code != 0)
    }
}

/// An alert that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecentAlert {
    pub kind: AlertKind,
    /// When what it tells of happened.
    pub happened_at: Timestamp,
    /// When it was confirmed, and the alert was owed.
    pub detected_at: Timestamp,
}

/// The last outcomes and alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// The present run.
    run: Option<Run>,
    /// `None`: there is nothing of it.
    earlier: Option<Arc<Earlier>>,
}

/// What was before the present run, and the alerts. The newest of each first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Earlier {
    runs: [Option<Run>; RUNS_MAX - 1],
    alerts: [Option<RecentAlert>; ALERTS_MAX],
}

impl Recent {
    /// From what was stored, the newest first; what is too much is left out.
    pub fn of(runs: impl IntoIterator<Item = Run>, alerts: impl IntoIterator<Item = RecentAlert>) -> Self {
        let (mut runs, mut alerts) = (runs.into_iter(), alerts.into_iter());
        let run = runs.next();
        let earlier =
            Earlier { runs: std::array::from_fn(|_| runs.next()), alerts: std::array::from_fn(|_| alerts.next()) };
        Self { run, earlier: (earlier != Earlier::default()).then(|| Arc::new(earlier)) }
    }

    pub fn runs(&self) -> impl Iterator<Item = Run> {
        let earlier = self.earlier.iter().flat_map(|earlier| earlier.runs);
        std::iter::once(self.run).chain(earlier).flatten()
    }

    pub fn alerts(&self) -> impl Iterator<Item = RecentAlert> {
        self.earlier.iter().flat_map(|earlier| earlier.alerts).flatten()
    }

    fn earlier(&mut self) -> &mut Earlier {
        Arc::make_mut(self.earlier.get_or_insert_default())
    }

    pub(crate) fn note(&mut self, outcome: &Outcome) {
        let new = Run::new(outcome.verdict, outcome.status_code, 1, outcome.started_at);
        match &mut self.run {
            Some(run) if (run.verdict, run.code) == (new.verdict, new.code) => run.count = run.count.saturating_add(1),
            before => {
                if let Some(before) = before.replace(new) {
                    let runs = &mut self.earlier().runs;
                    runs.rotate_right(1);
                    runs[0] = Some(before);
                }
            }
        }
    }

    pub(crate) fn note_alert(&mut self, alert: &Alert) {
        let Alert { kind, happened_at, detected_at, .. } = *alert;
        let alerts = &mut self.earlier().alerts;
        alerts.rotate_right(1);
        alerts[0] = Some(RecentAlert { kind, happened_at, detected_at });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_newest_runs_are_those_of_the_outcomes(codes in proptest::collection::vec(0_u16..3, 0..40)) {
            let mut recent = Recent::default();
            let mut expected: Vec<(Option<u16>, u32, i64)> = Vec::new();
            for (second, code) in codes.iter().enumerate() {
                let at = i64::try_from(second).unwrap() * 1_000;
                let status_code = Some(*code).filter(|code| *code > 0);
                let (started_at, finished_at) = (Timestamp::from_millis(at + 999), Timestamp::from_millis(at + 999));
                let verdict = if *code == 1 { Verdict::Pass } else { Verdict::Fail };
                recent.note(&Outcome {
                    started_at, finished_at, verdict, latency_ms: None, status_code, reasons: vec![], evidence: None, certificate: None, figures: crate::ProbeFigures::default(),
                });
                match expected.last_mut() {
                    Some((last, count, _)) if *last == status_code => *count += 1,
                    _ => expected.push((status_code, 1, at)),
                }
            }
            expected.reverse();
            expected.truncate(RUNS_MAX);
            let runs: Vec<_> = recent.runs().map(|r| (r.status_code(), r.count, r.first_at.as_millis())).collect();
            prop_assert_eq!(runs, expected);
        }
    }
}
