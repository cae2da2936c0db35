//! Decides state and alert for one outcome. Each confirmed change owes exactly one alert, unless it is [held](crate::hold).

mod alerting;

use std::time::Duration;

use crate::alert::{Alert, AlertKind};
use crate::api::{ApiId, Policy};
use crate::delivery;
use crate::hold::Held;
use crate::incident::Incident;
use crate::invariant;
use crate::outcome::{Outcome, Verdict};
use crate::state::{ApiState, LastProbe, Streak, Toward};
use crate::status::Status;
use crate::text;
use crate::time::Timestamp;

/// A confirmed change of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub from: Status,
    pub to: Status,
}

/// What a decision was, for logs and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// The outcome agrees with the status.
    Unchanged,
    /// The first outcome of an unknown API was a pass: it is up, and there is no alert.
    FirstSeenUp,
    /// The outcome contradicts the status, and too few in a row do.
    Suspect,
    /// The outcome agrees with the status again, and ends a streak against it.
    SuspicionCleared,
    /// Enough outcomes in a row: the status changes, and an alert is owed or held.
    Confirmed,
    /// Nothing holds its alerts any longer: what differs from the last alert is alerted now.
    Released,
    /// It is down for long, and people are reminded of it.
    Reminded,
    /// The outcome says nothing about the API: the status and the streak stay.
    Inconclusive,
    /// The API is no longer watched: it is unknown from now on.
    NotWatched,
    /// An outage was sent that is not in the record, and is withdrawn.
    Withdrawn,
}

/// What follows from one outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The state now; its version is still that of the record it came from.
    pub next: ApiState,
    pub from: Status,
    /// This decision put the last alert into `next.owed`.
    pub enqueued: bool,
    /// Probe again after this long, because the API is suspect; `None`: at the next tick.
    pub recheck: Option<Duration>,
    pub kind: DecisionKind,
}

impl Decision {
    /// The change of status, if it was confirmed just now.
    pub fn transition(&self) -> Option<Transition> {
        let (from, to) = (self.from, self.next.status);
        (from != to).then_some(Transition { from, to })
    }

    /// The alert that this decision put into the outbox.
    pub fn alert(&self) -> Option<&Alert> {
        self.next.owed.last().map(|owed| &owed.alert).filter(|_| self.enqueued)
    }

    /// Whether later decisions depend on the change, so that it must be stored at once.
    pub const fn must_store(&self) -> bool {
        !matches!(self.kind, DecisionKind::Unchanged | DecisionKind::Inconclusive)
    }

    fn new(next: ApiState, from: Status, kind: DecisionKind) -> Self {
        Self { next, from, enqueued: false, recheck: None, kind }
    }

    /// Puts an alert into the outbox, for these channels and those of the incident. One that starts an incident notes its channels
    /// there.
    fn enqueue(mut self, alert: Alert, channels: &[String], incident_channels: &[String]) -> Self {
        let begins = alert.kind.starts_incident();
        debug_assert!(!self.enqueued, "one alert at most for each outcome");
        let owed_to = delivery::enqueue(&mut self.next.owed, alert, channels, incident_channels);
        if let Some(incident) = self.next.incident.as_mut().filter(|_| begins) {
            incident.owed_to = owed_to;
        }
        if let Some(owed) = self.next.owed.last() {
            self.next.recent.note_alert(&owed.alert);
        }
        self.enqueued = true;
        self
    }
}

/// Decides what follows from `outcome`, given the state of the API and its config. An alert is owed to `channels`.
///
/// Total and pure. An alert is owed when the outcome confirms the status, the status differs from the one that was *alerted* last, and
/// nothing holds it. So each confirmed change is alerted exactly once, and after a hold only the net change.
pub fn decide(
    state: &ApiState,
    outcome: &Outcome,
    policy: &Policy<'_>,
    channels: &[String],
    now: Timestamp,
) -> Decision {
    let from = state.status;
    let mut next = state.clone();
    next.last_probe = Some(LastProbe {
        at: outcome.finished_at,
        verdict: outcome.verdict,
        latency_ms: outcome.latency_ms,
        status_code: outcome.status_code,
        error: outcome.reason().map(|reason| text::within(reason, LastProbe::ERROR_BYTES_MAX)),
    });
    next.recent.note(outcome);
    let mut decision = match (outcome.verdict, from) {
        (Verdict::Inconclusive, _) => Decision::new(next, from, DecisionKind::Inconclusive),
        (Verdict::Pass, Status::Unknown) => {
            next.streak = None;
            next.status = Status::Up;
            next.since = Some(outcome.started_at);
            Decision::new(next, from, DecisionKind::FirstSeenUp)
        }
        (Verdict::Pass, Status::Up) | (Verdict::Fail, Status::Down) => agree(next),
        (Verdict::Fail, Status::Unknown | Status::Up) => disagree(next, Toward::Down, outcome, policy, now),
        (Verdict::Pass, Status::Down) => disagree(next, Toward::Up, outcome, policy, now),
    };
    if decision.next.is_suspect() {
        decision.recheck = Some(policy.recheck);
    } else if outcome.verdict != Verdict::Inconclusive {
        decision = alerting::alert_if_due(decision, outcome, policy, channels, now);
    }
    debug_assert_eq!(invariant::first_broken(&decision.next), None, "decide broke an invariant");
    decision
}

/// Decides what follows when an API is no longer watched, because its row is gone or disabled; `None`: nothing changes.
///
/// Its status is unknown from now on. If it was down, the incident is closed and an alert says so, since nobody would see it
/// recover. Owed alerts stay owed. `why` completes "no longer watched: …".
pub fn stop_watching(state: &ApiState, why: &str, channels: &[String], now: Timestamp) -> Option<Decision> {
    let mut next = state.clone();
    let from = next.status;
    next.streak = None;
    next.status = Status::Unknown;
    next.since = None;
    next.flap = None;
    let held = next.held.take();
    let incident = next.incident.take().or_else(|| held.and_then(|held| held.ended));
    let alerted = incident.filter(|_| next.last_alerted == Status::Down);
    if alerted.is_some() {
        next.last_alerted = Status::Unknown;
    }
    if next == *state {
        return None;
    }
    let mut decision = Decision::new(next, from, DecisionKind::NotWatched);
    if let Some(incident) = alerted {
        let was = match &state.api_id {
            id if id.unclear_api().is_some() => "it was unclear: ",
            id if id.certificate_api().is_some() => "",
            _ if from == Status::Down => "it was down: ",
            _ => "it was told as down and is up again: ",
        };
        let reason = format!("no longer watched: {why}; {was}{}", incident.reason);
        let alert = closed(&state.api_id, &incident, from, &reason, now);
        decision = decision.enqueue(alert, channels, &incident.owed_to);
    }
    debug_assert_eq!(invariant::first_broken(&decision.next), None, "stop_watching broke an invariant");
    Some(decision)
}

/// Decides what follows when an outage was sent that could not be stored and is not in the record: an alert withdraws it, since no
/// recovery would ever end it. `None`: the record has the outage, or its end, or notes that its end was delivered.
pub fn withdraw(state: &ApiState, outage: &Alert, channels: &[String], now: Timestamp) -> Option<Decision> {
    let ended = state.held.as_ref().and_then(|held| held.ended.as_ref());
    let is_known = state.incident.iter().chain(ended).any(|incident| incident.incident_id == outage.incident_id)
        || state.owed.iter().any(|owed| owed.alert.incident_id == outage.incident_id);
    if is_known || state.ended.has(&outage.incident_id) || !outage.kind.starts_incident() {
        return None;
    }
    let incident = Incident {
        incident_id: outage.incident_id.clone(),
        started_at: outage.incident_started_at,
        reason: outage.reason.clone(),
        name: outage.name.clone(),
        url: outage.url.clone(),
        ..Incident::default()
    };
    let reason = format!(
        "an alert of this outage went out while the store was unreachable, and the outage is not confirmed: {}",
        outage.reason
    );
    let alert = closed(&state.api_id, &incident, Status::Unknown, &reason, now);
    Some(Decision::new(state.clone(), state.status, DecisionKind::Withdrawn).enqueue(alert, channels, &[]))
}

fn closed(api_id: &ApiId, incident: &Incident, from: Status, reason: &str, now: Timestamp) -> Alert {
    let reason = text::line(reason, Outcome::REASON_CHARS_MAX);
    Alert { previous_status: from, reason, ..Alert::about(incident, AlertKind::Closed, api_id, now) }
}

/// The outcome agrees with the status: a streak against it, if there was one, is over.
fn agree(mut next: ApiState) -> Decision {
    let kind = if next.streak.take().is_some() { DecisionKind::SuspicionCleared } else { DecisionKind::Unchanged };
    let from = next.status;
    Decision::new(next, from, kind)
}

/// The outcome contradicts the status: it extends the streak, and may confirm the change.
fn disagree(mut next: ApiState, toward: Toward, outcome: &Outcome, policy: &Policy<'_>, now: Timestamp) -> Decision {
    let from = next.status;
    let same_request =
        |streak: &Streak| streak.request_fingerprint == policy.request_fingerprint || streak.request_fingerprint == 0;
    let mut streak = match next.streak.take() {
        Some(streak) if streak.toward == toward && same_request(&streak) => streak,
        _ => Streak { toward, request_fingerprint: policy.request_fingerprint, count: 0, first_at: outcome.started_at },
    };
    streak.count = streak.count.saturating_add(1);
    let threshold = match toward {
        Toward::Down => policy.failure_threshold,
        Toward::Up => policy.success_threshold,
    };
    if streak.count < threshold.max(1) {
        next.streak = Some(streak);
        return Decision::new(next, from, DecisionKind::Suspect);
    }
    confirm(next, &streak, outcome, policy, now)
}

/// The streak is long enough: the status changes. That is held until [`alerting::alert_if_due`] says otherwise.
fn confirm(mut next: ApiState, streak: &Streak, outcome: &Outcome, policy: &Policy<'_>, now: Timestamp) -> Decision {
    let from = next.status;
    next.status = streak.toward.status();
    next.since = Some(streak.first_at);
    let mut held = next
        .held
        .take()
        .unwrap_or_else(|| Box::new(Held { from, changes: 0, confirmed_at: now, why: String::new(), ended: None }));
    held.changes = held.changes.saturating_add(1);
    held.confirmed_at = now;
    match streak.toward {
        Toward::Down => {
            // People know of the outage before, and not of its end: for them it goes on.
            let incident = held.ended.take().unwrap_or_else(|| {
                Box::new(Incident {
                    incident_id: Incident::id(policy.api_id, streak.first_at, next.version.saturating_add(1)),
                    started_at: streak.first_at,
                    reason: outcome.reason().unwrap_or_else(|| "no reason given".into()),
                    name: policy.name.to_owned(),
                    url: policy.url.to_owned(),
                    confirmed_at: Some(now),
                    evidence: outcome.evidence.clone(),
                    ..Incident::default()
                })
            });
            next.incident = Some(incident);
        }
        Toward::Up => held.ended = next.incident.take().filter(|_| next.last_alerted == Status::Down),
    }
    next.held = Some(held);
    match policy.flap {
        Some(flap) => next.flap.get_or_insert_default().note(flap, now),
        None => next.flap = None,
    }
    Decision::new(next, from, DecisionKind::Confirmed)
}
