//! Decides about outcomes: what follows for the state, for alerts and for the next probe.

use std::sync::Arc;
use std::time::Duration;

use super::{CompletedProbe, Keeper, LogEvent, channels_of, heartbeats, holds};
use crate::api::{ApiId, Policy};
use crate::decide::{Decision, DecisionKind, decide};
use crate::outcome::{Outcome, Verdict};
use crate::schedule::Moment;

impl Keeper {
    /// Decides about these outcomes. For each: probe again after this long, or wait for the next tick.
    pub fn on_probes_completed(
        &mut self,
        all: impl Iterator<Item = CompletedProbe>,
        now: Moment,
    ) -> Vec<Option<Duration>> {
        let rechecks = all.map(|probe| self.on_probe_completed(probe, now)).collect();
        self.write_queued(now);
        rechecks
    }

    fn on_probe_completed(&mut self, probe: CompletedProbe, now: Moment) -> Option<Duration> {
        let CompletedProbe { api, mut outcome, missed_ticks, next_tick_in, patience } = probe;
        let api_id = &api.api_id;
        // While a shard is being released, its outcomes are left to the next owner.
        let entry = if self.owned.is_releasing(api_id) { None } else { self.ledger.get_mut(api_id) };
        let Some((entry, asked)) = entry.and_then(|entry| entry.request_fingerprint.map(|asked| (entry, asked))) else {
            self.log.push(LogEvent::LateOutcome { api_id: api_id.clone() });
            return None;
        };
        // Nearly always it is the very config that is watched.
        let is_watched = entry.api.as_ref().is_some_and(|watched| Arc::ptr_eq(watched, &api));
        let request_fingerprint = if is_watched { asked } else { api.request_fingerprint() };
        if request_fingerprint != asked {
            // An outcome of the old request must not change the status.
            outcome.verdict = Verdict::Inconclusive;
            outcome.reasons = vec!["the config changed while this probe was running".into()];
        }
        if outcome.verdict == Verdict::Pass {
            self.passed_at = Some(now.monotonic);
        }
        entry.figures = Some(outcome.figures);
        entry.state.missed_ticks = entry.state.missed_ticks.saturating_add(missed_ticks);
        entry.late_after = next_tick_in.and_then(|wait| heartbeats::late_after(now.monotonic, wait, &api));
        let may_alert = holds::may_alert(&entry.state, &api, outcome.verdict);
        self.heartbeats.count_outcome();
        if self.given_up.contains(api_id) {
            self.on_prober_recovered(&api, now);
        }
        let fails = outcome.verdict == Verdict::Fail;
        let hold = if may_alert { self.hold(&api, outcome.started_at, fails, now) } else { None };
        let policy = Policy { hold: hold.as_ref(), ..api.policy_with_fingerprint(request_fingerprint) };
        let is_suspect = self.decide(&policy, &outcome, now).is_some();
        self.note_clarity(&api, &outcome, now);
        if request_fingerprint == asked {
            self.note_certificate(&api, &outcome, now);
        }
        let asked_again_in = is_suspect.then(|| {
            // Its own next tick at the latest: whoever asks for a day is not left alone for so long.
            let patience = patience.map_or(Duration::ZERO, |patience| api.patient_wait(patience, now));
            api.recheck_wait(now).max(patience)
        });
        // A recheck takes the place of ticks that come before it.
        if let (Some(again), Some(tick)) = (asked_again_in, next_tick_in)
            && tick < again
            && let Some(entry) = self.ledger.get_mut(api_id)
        {
            entry.late_after = heartbeats::late_after(now.monotonic, again, &api);
        }
        self.note_history(&api, &outcome, missed_ticks, now);
        asked_again_in
    }

    /// Decides about one outcome, and queues the new state for the store.
    pub(super) fn decide(&mut self, policy: &Policy<'_>, outcome: &Outcome, now: Moment) -> Option<Duration> {
        let channels = channels_of(&self.setup.routes, &self.ledger, policy.api_id);
        let state = &self.ledger.entry(policy.api_id).state;
        let decision = decide(state, outcome, policy, &channels, now.wall);
        if decision.kind == DecisionKind::Suspect {
            let (api_id, status) = (policy.api_id.clone(), state.status);
            self.log.push(LogEvent::Suspect { api_id, status, reason: outcome.reason() });
        }
        let recheck = decision.recheck;
        self.apply_decision(policy.api_id, decision, now);
        recheck
    }

    /// Applies a decision to the state in memory, and queues it for the store.
    pub(super) fn apply_decision(&mut self, api_id: &ApiId, mut decision: Decision, now: Moment) {
        if decision.must_store() {
            self.note_for_history(api_id, &mut decision, now);
        }
        if decision.enqueued {
            self.with_outbox.insert(api_id.clone());
        }
        if let Some(transition) = decision.transition().filter(|_| api_id.beside_api().is_none()) {
            let next = &decision.next;
            self.log.push(LogEvent::StatusChanged {
                api_id: api_id.clone(),
                from: transition.from,
                to: transition.to,
                incident: next.incident.as_ref().map(|open| (open.incident_id.clone(), open.reason.clone())),
                latency_ms: next.last_probe.as_ref().and_then(|last| last.latency_ms),
            });
        }
        let (must_store, is_enqueued) = (decision.must_store(), decision.enqueued);
        let had_held = must_store && self.state(api_id).is_some_and(|state| state.held.is_some());
        self.ledger.apply(api_id, decision, now.monotonic);
        if must_store {
            self.note_held(api_id, had_held, is_enqueued); // else what is held is as it was
        }
    }
}
