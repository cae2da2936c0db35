//! Whose certificate ends soon: alerted once for each threshold that is crossed, and once when it was renewed.
//!
//! That is a record of its own beside the API's, whose status stays as it is: down while a threshold is crossed, since the moment at
//! which it was. So the record itself says which one was alerted, through restarts and to the next owner.

use std::sync::Arc;

use super::log_event::LogEvent;
use super::self_monitoring::{SelfMonitored, self_outcome};
use super::{Keeper, channels_of};
use crate::api::{ApiConfig, ApiId};
use crate::certificate::{Crossed, Validity};
use crate::decide::stop_watching;
use crate::outcome::Outcome;
use crate::schedule::Moment;
use crate::state::ApiState;
use crate::status::Status;

/// What follows for the record from a certificate that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// The certificate ends soon: tell so, for the first time or again.
    Alert(Crossed),
    /// It is as it was alerted before, and ends a streak of good ones.
    Still(Crossed),
    /// A good one.
    Good,
}

/// What follows, given what was alerted before. A threshold that was crossed before the last one that was alerted, or before the certificate
/// was last seen renewed, is old news: of two servers behind one name, one may still have the old certificate.
fn step(advisory: Option<&ApiState>, crossed: Option<Crossed>) -> Step {
    let is_alerted = advisory.is_some_and(|state| state.status == Status::Down);
    match (advisory, crossed) {
        (_, None) => {
            if is_alerted {
                Step::Good
            } else {
                Step::Nothing
            }
        }
        (Some(state), Some(crossed)) if state.since.is_some_and(|since| crossed.at <= since) => {
            if is_alerted && state.is_suspect() { Step::Still(crossed) } else { Step::Nothing }
        }
        // An outbox tells beginnings and ends in turn: the next waits until the last one is out.
        (Some(state), Some(_)) if is_alerted && !state.owed.is_empty() => Step::Nothing,
        (_, Some(crossed)) => Step::Alert(crossed),
    }
}

impl Keeper {
    /// An outcome came, with a certificate or without.
    pub(super) fn note_certificate(&mut self, api: &Arc<ApiConfig>, outcome: &Outcome, now: Moment) {
        let Some(validity) = outcome.certificate else {
            // There is a latency exactly if it answered.
            if outcome.latency_ms.is_some() && self.certificates.contains(&api.api_id) {
                self.close_certificate(&api.api_id, "it shows no certificate any more", now);
            }
            return;
        };
        let crossed = validity.crossed(&api.certificate_days, now.wall);
        if crossed.is_none() && !self.certificates.contains(&api.api_id) {
            return;
        }
        let what = SelfMonitored::certificate(api);
        if !self.owned.owns(&what.api_id) {
            return;
        }
        let advisory = self.ledger.get(&what.api_id).map(|entry| &entry.state);
        let known_reason = advisory.and_then(|state| state.incident.as_ref()).map(|incident| &incident.reason);
        if crossed.is_none() && known_reason.is_some_and(|reason| reason.ends_with(&validity.not_after.to_string())) {
            // The very certificate that was alerted.
            return self.close_certificate(&api.api_id, "its certificate_days were changed", now);
        }
        let step = step(advisory, crossed);
        let (reason, since) = match step {
            Step::Nothing => return,
            Step::Alert(crossed) | Step::Still(crossed) => (Some(validity.ends_soon(now.wall)), crossed.at),
            Step::Good => (None, now.wall),
        };
        if let Step::Alert(_) = step {
            let reason = validity.ends_soon(now.wall);
            self.log.push(LogEvent::CertificateEndsSoon { api_id: api.api_id.clone(), reason });
        }
        let begins = matches!(step, Step::Alert(_));
        let outcome = self_outcome(reason, since, now.wall);
        self.decide_certificate(api, &what, validity, begins, &outcome, now);
    }

    /// Nobody will see it renewed.
    fn close_certificate(&mut self, api_id: &ApiId, why: &str, now: Moment) {
        self.certificates.remove(api_id);
        let api_id = ApiId::monitor_certificate(api_id);
        let Some(entry) = self.ledger.get(&api_id) else { return };
        let channels = channels_of(&self.setup.routes, &self.ledger, &api_id);
        if let Some(decision) = stop_watching(&entry.state, why, &channels, now.wall) {
            self.apply_decision(&api_id, decision, now);
        }
    }

    fn decide_certificate(
        &mut self,
        api: &ApiConfig,
        what: &SelfMonitored,
        validity: Validity,
        begins: bool,
        outcome: &Outcome,
        now: Moment,
    ) {
        let mut state = self.ledger.entry(&what.api_id).state.clone();
        if begins && state.status == Status::Down {
            // The threshold before is over without a word: the next one says more.
            (state.status, state.incident, state.streak) = (Status::Up, None, None);
            state.last_alerted = Status::Up;
        }
        let mut decision = self.decide_beside(api, what, &state, outcome, now);
        let is_alerted = decision.next.status == Status::Down;
        if let Some(owed) = decision.next.owed.last_mut().filter(|_| decision.enqueued && !is_alerted) {
            owed.alert.reason = validity.is_good();
            let (api_id, reason) = (api.api_id.clone(), validity.is_good());
            self.log.push(LogEvent::CertificateRenewed { api_id, reason });
        }
        if is_alerted {
            self.certificates.insert(api.api_id.clone());
        } else {
            self.certificates.remove(&api.api_id);
        }
        self.apply_decision(&what.api_id, decision, now);
    }
}
