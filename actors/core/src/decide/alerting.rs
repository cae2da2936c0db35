//! Which alert is owed once an outcome has confirmed a status: the change, that it flaps, a reminder, or none as long as it is held.

use std::time::Duration;

use super::{Decision, DecisionKind};
use crate::alert::{Alert, AlertKind};
use crate::api::Policy;
use crate::hold::{Held, Hold};
use crate::incident::Incident;
use crate::outcome::Outcome;
use crate::status::Status;
use crate::text;
use crate::time::Timestamp;

/// The longest pause between two reminders, unless the first is longer.
const REMINDER_PAUSE_MAX: Duration = Duration::from_secs(86_400);

/// The highest number in the id of a reminder.
const LAST_REMINDER: u32 = 999;

/// The outcome agrees with the status of `decision`, by itself or as the last of a streak.
pub(super) fn alert_if_due(
    mut decision: Decision,
    outcome: &Outcome,
    policy: &Policy<'_>,
    channels: &[String],
    now: Timestamp,
) -> Decision {
    let next = &mut decision.next;
    let calm = next.flap.as_mut().filter(|flap| flap.has_calmed(policy.flap, now));
    let mut is_over = calm.map(|flap| (flap.since, flap.is_alerted) = (None, false)).is_some();
    let is_new_outage = next.status == Status::Down && next.last_alerted != Status::Down;
    // Only an outage waits for what its parent is found to be.
    let outer = policy.hold.filter(|hold| is_new_outage || !matches!(hold, Hold::ParentUnsure(_)));
    let flapping = next.is_flapping().then_some(&Hold::Flapping);
    if let Some(hold) = outer.or(flapping) {
        if let Some(held) = next.held.as_mut().filter(|_| decision.kind == DecisionKind::Confirmed) {
            held.why = hold.to_string();
        }
        let unalerted = next.flap.as_mut().filter(|flap| flap.since.is_some() && !flap.is_alerted);
        if let Some(flap) = unalerted.filter(|_| outer.is_none()) {
            flap.is_alerted = true;
            return released(decision).alert_flapping(policy, channels, now);
        }
        return if is_over { released(decision) } else { decision };
    }
    let held = next.held.take();
    is_over |= held.is_some();
    let is_alerted = (next.last_alerted == Status::Down) == (next.status == Status::Down);
    let decision = if is_over { released(decision) } else { decision };
    match held.filter(|_| !is_alerted) {
        Some(held) => decision.alert_change(*held, outcome, policy, channels, now),
        None => decision.remind(outcome, policy, channels, now),
    }
}

fn released(mut decision: Decision) -> Decision {
    if decision.kind != DecisionKind::Confirmed {
        decision.kind = DecisionKind::Released;
    }
    decision
}

impl Decision {
    /// The status differs from the one that was alerted last.
    fn alert_change(
        mut self,
        held: Held,
        outcome: &Outcome,
        policy: &Policy<'_>,
        channels: &[String],
        now: Timestamp,
    ) -> Self {
        let next = &mut self.next;
        let is_down = next.status == Status::Down;
        if let (Some(incident), Some(first)) = (&mut next.incident, policy.remind_after) {
            incident.reminders = reminders_due(first, now.since(incident.started_at));
        }
        let incident = if is_down { next.incident.clone() } else { held.ended };
        let (Some(incident), Some(since)) = (incident, next.since) else { return self };
        next.last_alerted = next.status;
        let why = if held.why.is_empty() { String::new() } else { format!("; held until now: {}", held.why) };
        let (kind, previous_status) =
            if is_down { (AlertKind::Down, held.from) } else { (AlertKind::Up, Status::Down) };
        let evidence = if is_down { incident.evidence.clone() } else { outcome.evidence.clone() };
        let alert = Alert {
            previous_status,
            evidence,
            happened_at: since,
            detected_at: held.confirmed_at,
            reason: text::line(&format!("{}{why}", incident.reason), Outcome::REASON_CHARS_MAX),
            changes_left_out: held.changes.saturating_sub(1),
            ..about(&incident, kind, policy, now)
        };
        self.enqueue(alert, channels, &incident.owed_to)
    }

    /// It changes too often.
    fn alert_flapping(self, policy: &Policy<'_>, channels: &[String], now: Timestamp) -> Self {
        let Some(flap) = policy.flap else { return self };
        let window = flap.window.as_secs();
        let last = if self.next.last_alerted == Status::Down { "down" } else { "up" };
        let incident = Incident {
            incident_id: Incident::id(policy.api_id, now, self.next.version.saturating_add(1)),
            started_at: now,
            reason: format!(
                "more than {} changes within {window} s; told last as {last}. Its alerts are held until it is steady; if it is not {last} then, that is \
                 told",
                flap.changes
            ),
            name: policy.name.to_owned(),
            url: policy.url.to_owned(),
            ..Incident::default()
        };
        let alert = Alert { previous_status: self.next.status, ..about(&incident, AlertKind::Flapping, policy, now) };
        self.enqueue(alert, channels, &[])
    }

    /// It is down, and that was alerted: a reminder, if one is due.
    fn remind(mut self, outcome: &Outcome, policy: &Policy<'_>, channels: &[String], now: Timestamp) -> Self {
        let is_waiting = self.next.owed.iter().any(|owed| owed.alert.kind == AlertKind::Reminder);
        let (Some(first), Some(incident), false) = (policy.remind_after, &mut self.next.incident, is_waiting) else {
            return self;
        };
        let due = reminders_due(first, now.since(incident.started_at));
        if due <= incident.reminders {
            return self;
        }
        incident.reminders = due;
        let incident = incident.clone();
        let id = Alert::id(&incident.incident_id, AlertKind::Reminder);
        let alert = Alert {
            alert_id: format!("{id}{}", due.min(LAST_REMINDER)),
            previous_status: Status::Down,
            evidence: outcome.evidence.clone(),
            ..about(&incident, AlertKind::Reminder, policy, now)
        };
        self.kind = DecisionKind::Reminded;
        self.enqueue(alert, channels, &incident.owed_to)
    }
}

/// It bears the name and the URL that the API has now.
fn about(incident: &Incident, kind: AlertKind, policy: &Policy<'_>, now: Timestamp) -> Alert {
    let (name, url) = (policy.name.to_owned(), policy.url.to_owned());
    Alert { name, url, ..Alert::about(incident, kind, policy.api_id, now) }
}

/// How many reminders are due after an outage of this length: the first after `first`, each further pause twice as long, up to a
/// day.
fn reminders_due(first: Duration, outage: Duration) -> u32 {
    let (mut due, mut pause, mut left) = (0, first.max(Duration::from_secs(1)), outage);
    let longest = REMINDER_PAUSE_MAX.max(pause);
    while left >= pause && due < LAST_REMINDER {
        left -= pause;
        pause = pause.saturating_mul(2).min(longest);
        due += 1;
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_reminders_double_up_to_a_day() {
        let hour = Duration::from_secs(3_600);
        let due = |hours| reminders_due(hour, hour * hours);
        assert_eq!([0, 1, 2, 3, 6, 7, 15, 31].map(due), [0, 1, 1, 2, 2, 3, 4, 5]);
        assert_eq!((due(55), due(79)), (6, 7), "24 h after the one that came 24 h after the one at 31 h");
        assert_eq!((due(87_600_000), reminders_due(Duration::ZERO, Duration::ZERO)), (LAST_REMINDER, 0));
    }
}
