//! The heart: what follows from one outcome.

use std::time::Duration;

use crate::alert::{Alert, AlertKind};
use crate::api::Policy;
use crate::delivery;
use crate::incident::Incident;
use crate::invariant;
use crate::outcome::{Outcome, Verdict};
use crate::state::{ApiState, LastProbe, Status, Streak};
use crate::text;
use crate::time::Timestamp;

/// A confirmed change of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The status before.
    pub from: Status,
    /// The status now.
    pub to: Status,
}

/// Why a decision is what it is: for logs and tests, never to be matched on for what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The outcome agrees with the status.
    Steady,
    /// The first outcome of an unknown API was a pass: it is up, and there is nothing to tell.
    FirstSeenUp,
    /// The outcome speaks against the status, and too few do so far.
    Suspect,
    /// The outcome agrees with the status again, and a streak against it is over.
    SuspicionCleared,
    /// Enough outcomes in a row: the status changed, and an alert is owed.
    Confirmed,
    /// Nothing can be said of the API: everything stays.
    Inconclusive,
    /// The API is no longer watched: it is unknown from now on.
    NotWatched,
    /// What is asked of the API changed: a streak that was seen of what was asked before is over.
    AsksAnew,
}

/// What follows from one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The state now; its version is still that of the record it came from.
    pub next: ApiState,
    /// The change of status, if it was confirmed just now.
    pub transition: Option<Transition>,
    /// The alert that is owed for it; it is also in `next.owed`, where the store finds it.
    pub owed: Option<Alert>,
    /// Probe again after this long, because the API is suspect; `None`: at the next tick.
    pub recheck: Option<Duration>,
    /// Whether something changed that later decisions hang on, so that it must be stored at once.
    pub must_store: bool,
    /// Why.
    pub reason: Reason,
}

/// Decides what follows from `outcome`, given what is known of the API and what its config asks.
///
/// Total and pure. An alert is owed when the confirmed status differs from the one that was *told* last, so that
/// nothing is told twice and nothing stays untold.
pub fn decide(state: &ApiState, outcome: &Outcome, policy: &Policy<'_>, now: Timestamp) -> Decision {
    let mut next = state.clone();
    next.last_probe = Some(LastProbe {
        at: outcome.finished_at,
        verdict: outcome.verdict,
        latency_ms: outcome.latency_ms,
        status_code: outcome.status_code,
        error: outcome.reason(),
    });
    let mut decision = match (outcome.verdict, state.status) {
        (Verdict::Inconclusive, _) => plain(next, Reason::Inconclusive),
        (Verdict::Pass, Status::Unknown) => {
            next.streak = None;
            next.status = Status::Up;
            next.since = Some(outcome.started_at);
            Decision {
                transition: Some(Transition { from: Status::Unknown, to: Status::Up }),
                must_store: true,
                ..plain(next, Reason::FirstSeenUp)
            }
        }
        (Verdict::Pass, Status::Up) | (Verdict::Fail, Status::Down) => agree(next),
        (Verdict::Fail, Status::Unknown | Status::Up) => disagree(next, AlertKind::Down, outcome, policy, now),
        (Verdict::Pass, Status::Down) => disagree(next, AlertKind::Up, outcome, policy, now),
    };
    if decision.next.is_suspect() {
        decision.recheck = Some(policy.recheck);
    }
    debug_assert_eq!(invariant::first_broken(&decision.next), None, "decide broke an invariant");
    decision
}

impl Decision {
    /// The same decision, if it begins an incident, under the id that the incident had when it was decided before, on top of
    /// another record: what was told under that id already is then known again, and not told anew under another.
    #[must_use]
    pub fn under_the_id_of(mut self, alert_id: &str) -> Self {
        let Some(incident_id) = alert_id.strip_suffix(AlertKind::Down.as_str()).and_then(|id| id.strip_suffix('.'))
        else {
            return self;
        };
        if let (Some(owed), Some(incident), Some(last)) =
            (&mut self.owed, &mut self.next.incident, self.next.owed.last_mut())
            && owed.kind == AlertKind::Down
        {
            incident.incident_id = incident_id.to_owned();
            owed.incident_id = incident_id.to_owned();
            owed.alert_id = alert_id.to_owned();
            last.alert = owed.clone();
        }
        self
    }
}

/// Decides what follows when an API is watched no longer, because its row is gone or disabled.
///
/// Nothing is known of it from now on. If it was down, the incident is closed, and that is told in so many words: nobody
/// would see it come back. What is owed stays owed. `why` completes "no longer watched: …".
pub fn close(state: &ApiState, why: &str, now: Timestamp) -> Decision {
    let mut next = state.clone();
    let from = next.status;
    next.streak = None;
    next.status = Status::Unknown;
    next.since = None;
    let owed = next.incident.take().map(|incident| Alert {
        alert_id: Alert::id(&incident.incident_id, AlertKind::Closed),
        incident_id: incident.incident_id,
        kind: AlertKind::Closed,
        api_id: next.api_id.clone(),
        name: incident.name,
        url: incident.url,
        previous_status: from,
        happened_at: now,
        detected_at: now,
        incident_started_at: incident.started_at,
        reason: text::line(
            &format!("no longer watched: {why}; it was down: {}", incident.reason),
            Outcome::REASON_CHARS_MAX,
        ),
        changes_left_out: 0,
    });
    if let Some(alert) = &owed {
        next.last_told = Status::Unknown;
        delivery::owe(&mut next, alert.clone());
    }
    debug_assert_eq!(invariant::first_broken(&next), None, "close broke an invariant");
    let changed = next != *state;
    Decision {
        transition: (from != Status::Unknown).then_some(Transition { from, to: Status::Unknown }),
        owed,
        must_store: changed,
        ..plain(next, Reason::NotWatched)
    }
}

/// Decides what follows when another thing is asked of an API from now on, such as another URL: a streak that was seen
/// of what was asked before confirms nothing. Status and incident stay; the id says that it is the same API.
pub fn ask_anew(state: &ApiState) -> Decision {
    let mut next = state.clone();
    let had_streak = next.streak.take().is_some();
    Decision { must_store: had_streak, ..plain(next, Reason::AsksAnew) }
}

fn plain(next: ApiState, reason: Reason) -> Decision {
    Decision { next, transition: None, owed: None, recheck: None, must_store: false, reason }
}

/// The outcome agrees with the status: a streak against it, if there was one, is over.
fn agree(mut next: ApiState) -> Decision {
    match next.streak.take() {
        Some(_) => Decision { must_store: true, ..plain(next, Reason::SuspicionCleared) },
        None => plain(next, Reason::Steady),
    }
}

/// The outcome speaks against the status: one more of its streak, and perhaps the one that confirms it.
fn disagree(mut next: ApiState, toward: AlertKind, outcome: &Outcome, policy: &Policy<'_>, now: Timestamp) -> Decision {
    let mut streak = match next.streak.take() {
        Some(streak) if streak.toward == toward => streak,
        _ => Streak { toward, count: 0, first_at: outcome.started_at },
    };
    streak.count = streak.count.saturating_add(1);
    let threshold = match toward {
        AlertKind::Down => policy.failure_threshold,
        AlertKind::Up | AlertKind::Closed => policy.success_threshold,
    };
    if streak.count < threshold.max(1) {
        next.streak = Some(streak);
        return Decision { must_store: true, ..plain(next, Reason::Suspect) };
    }
    confirm(next, &streak, outcome, policy, now)
}

/// The streak is long enough: the status changes, and what was not told of it is owed.
fn confirm(mut next: ApiState, streak: &Streak, outcome: &Outcome, policy: &Policy<'_>, now: Timestamp) -> Decision {
    let from = next.status;
    let to = streak.toward.status();
    next.status = to;
    next.since = Some(streak.first_at);
    let incident = match streak.toward {
        AlertKind::Down => {
            let incident = Incident {
                incident_id: Incident::id(policy.api_id, streak.first_at, next.version.saturating_add(1)),
                started_at: streak.first_at,
                reason: outcome.reason().unwrap_or_else(|| "no reason given".into()),
                name: policy.name.to_owned(),
                url: policy.url.to_owned(),
            };
            next.incident = Some(incident.clone());
            Some(incident)
        }
        AlertKind::Up | AlertKind::Closed => next.incident.take(),
    };
    let transition = Some(Transition { from, to });
    let owed = match incident {
        Some(incident) if next.last_told != to => {
            let alert = Alert {
                alert_id: Alert::id(&incident.incident_id, streak.toward),
                incident_id: incident.incident_id,
                kind: streak.toward,
                api_id: policy.api_id.clone(),
                name: policy.name.to_owned(),
                url: policy.url.to_owned(),
                previous_status: from,
                happened_at: streak.first_at,
                detected_at: now,
                incident_started_at: incident.started_at,
                reason: incident.reason,
                changes_left_out: 0,
            };
            next.last_told = to;
            delivery::owe(&mut next, alert.clone());
            Some(alert)
        }
        _ => None,
    };
    Decision { transition, owed, must_store: true, ..plain(next, Reason::Confirmed) }
}
