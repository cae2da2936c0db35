//! Telling now: hands over what is owed, in a process that watches nothing. `alerts retry` is made of it.
//!
//! It is an instance of its own among those that share a store. It claims what it hands over by the same conditional
//! write as a state-keeper does, so it may run beside one: nothing goes out twice, and whoever comes second finds it
//! delivered. It never strikes an alert from the outbox, since it may know of fewer channels than the one who watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::delivery::{self, CLAIM_LASTS, OWED_MAX, OwedAlert, Standing};
use api_health_core::{Alert, ApiId, ApiState, Timestamp};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::alerter::attempt;
use crate::ports::{Clock, CommitError, Notifier, NotifyError, StateStore, StoreError};
use crate::retry::{RetryPolicy, Waits};

/// How often one API's claim is looked at: more than it takes to wait for somebody else's, and not without end for a store
/// that confirms each claim too late.
const LOOKS_MAX: u32 = 200;

/// How long another process's claim is waited for: that long it holds at most, if it is not written anew.
pub const THEIRS_MAX: Duration = CLAIM_LASTS;

/// How often it is looked whether another process is done.
const THEIRS_AGAIN: Duration = Duration::from_secs(1);

/// How often one write is tried over what somebody else wrote, or over a store that does not answer.
const WRITES_MAX: usize = 6;

/// Tells what is owed.
pub struct Teller {
    /// Where it is owed.
    pub store: Arc<dyn StateStore>,
    /// The channels.
    pub notifiers: Vec<Arc<dyn Notifier>>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// This process, as its claims name it: no two processes have the same.
    pub instance: String,
    /// No other process uses the store, so that claims in it were left behind by the dead.
    pub alone: bool,
}

/// What came of one alert and one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The alert.
    pub alert: Alert,
    /// The channel.
    pub channel: &'static str,
    /// What came of it.
    pub result: Tried,
}

/// What came of an attempt, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The channel has it.
    TakenOver {
        /// How long that took.
        took: Duration,
        /// Why it could not be noted: it will be told once more.
        unnoted: Option<String>,
    },
    /// The channel did not take it.
    Failed {
        /// Why.
        why: String,
        /// How long that took.
        took: Duration,
        /// When it should be tried again.
        next_try_at: Timestamp,
    },
    /// It was not tried, since the channel did not take the one before it.
    Behind(String),
    /// It was not tried, since another process hands it over just now: this one.
    Theirs(String),
    /// Another process handed it over meanwhile.
    Elsewhere,
    /// It was not tried, since the claim could not be written.
    NotClaimed(String),
}

impl Tried {
    /// Whether the channel has the alert now.
    pub const fn is_delivered(&self) -> bool {
        matches!(self, Self::TakenOver { .. } | Self::Elsewhere)
    }
}

/// What stands between this process and handing over.
enum Claimed {
    Yes,
    /// The record is another one now.
    LookAgain,
    No(Tried),
}

/// An attempt that is over.
struct Attempted {
    alert: Arc<Alert>,
    channel: &'static str,
    result: Result<(), NotifyError>,
    took: Duration,
    wait: Duration,
}

impl Teller {
    /// Tells what `state` owes, as far as `is_wanted` says of the ids of its alerts, and what has to go before that:
    /// through each channel in order, through all of them at once, until one does not take what it is offered.
    pub async fn tell(&self, state: ApiState, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Told> {
        let mut turn = Turn { state: self.own(state), told: Vec::new(), stuck: HashMap::new(), is_wanted };
        let asked_for = turn.open(&self.notifiers);
        let patience = Instant::now() + THEIRS_MAX;
        let mut obstacle = None;
        let (mut rounds, mut looks) = (0, 0);
        // Each round strikes at least one alert from one channel's list, or finds that channel stuck.
        while rounds < OWED_MAX.saturating_mul(self.notifiers.len().max(1)) {
            let round = turn.round(&self.notifiers);
            if round.is_empty() {
                break;
            }
            match self.claim(&mut turn.state, patience).await {
                Claimed::Yes => {}
                Claimed::LookAgain if looks < LOOKS_MAX => {
                    looks += 1;
                    continue;
                }
                Claimed::LookAgain => {
                    obstacle = Some(Tried::NotClaimed("it confirms too slowly for any claim to last".into()));
                    break;
                }
                Claimed::No(why) => {
                    obstacle = Some(why);
                    break;
                }
            }
            rounds += 1;
            let attempts = round.into_iter().map(|(alert, notifier)| self.attempt(&turn.state, alert, notifier));
            let attempted = join_all(attempts).await;
            self.note(&mut turn, attempted).await;
        }
        turn.finish(asked_for, obstacle.as_ref())
    }

    /// Without the claims of the dead.
    fn own(&self, state: ApiState) -> ApiState {
        let is_void = self.alone && state.claim.as_ref().is_some_and(|claim| !claim.is_by_hand());
        let claim = if is_void { None } else { state.claim.clone() };
        ApiState { claim, ..state }
    }

    async fn claim(&self, state: &mut ApiState, patience: Instant) -> Claimed {
        let now = self.clock.now();
        match delivery::standing(state, &self.instance, now) {
            Standing::Ours => return Claimed::Yes,
            Standing::Theirs => {
                if Instant::now() >= patience {
                    let by = state.claim.as_ref().map(|claim| claim.by.clone());
                    return Claimed::No(Tried::Theirs(by.unwrap_or_default()));
                }
                sleep(THEIRS_AGAIN).await;
                return match self.reload(&state.api_id).await {
                    Ok(reloaded) => {
                        *state = reloaded;
                        Claimed::LookAgain
                    }
                    Err(why) => Claimed::No(Tried::NotClaimed(why)),
                };
            }
            Standing::Free => {}
        }
        let renew = |state: &mut ApiState| {
            if delivery::standing(state, &self.instance, now) == Standing::Free {
                delivery::claim(state, &self.instance, now);
            }
        };
        match self.write(state, &renew).await {
            Ok(()) => Claimed::LookAgain,
            Err(why) => Claimed::No(Tried::NotClaimed(why)),
        }
    }

    async fn attempt(&self, state: &ApiState, alert: Arc<Alert>, notifier: Arc<dyn Notifier>) -> Attempted {
        let channel = notifier.channel();
        let owed = state.owed.iter().find(|owed| owed.alert.alert_id == alert.alert_id);
        let failures = owed.and_then(|owed| owed.delivery(channel)).map_or(0, |delivery| delivery.failures);
        let began = Instant::now();
        let result = attempt(&*notifier, Arc::clone(&alert)).await;
        let wait = result.as_ref().err().map(|error| RetryPolicy::DELIVERY.wait_after(failures, error));
        Attempted { alert, channel, result, took: began.elapsed(), wait: wait.unwrap_or_default() }
    }

    /// Stores what came of a round, and claims for the next one, or gives the claim back.
    async fn note(&self, turn: &mut Turn<'_>, attempted: Vec<Attempted>) {
        let now = self.clock.now();
        for failed in attempted.iter().filter(|attempted| attempted.result.is_err()) {
            turn.stuck.insert(failed.channel, failed.alert.alert_id.clone());
        }
        let (stuck, is_wanted) = (turn.stuck.clone(), turn.is_wanted);
        let outcome = |state: &mut ApiState| {
            for Attempted { alert, channel, result, wait, .. } in &attempted {
                match result {
                    Ok(()) => {
                        delivery::note_delivered(state, &alert.alert_id, channel);
                    }
                    Err(error) => {
                        let why = error.to_string();
                        delivery::note_failure(state, &alert.alert_id, channel, &why, now.plus(*wait));
                    }
                }
            }
            if delivery::standing(state, &self.instance, now) == Standing::Theirs {
                return;
            }
            let goes_on = self.notifiers.iter().any(|notifier| {
                !stuck.contains_key(notifier.channel()) && next(state, notifier.channel(), is_wanted).is_some()
            });
            if goes_on {
                delivery::claim(state, &self.instance, now);
            } else {
                state.claim = None;
            }
        };
        let unnoted = self.write(&mut turn.state, &outcome).await.err();
        if unnoted.is_some() {
            // In memory at least, so that nothing is told twice from here.
            outcome(&mut turn.state);
        }
        for Attempted { alert, channel, result, took, wait } in attempted {
            let result = match result {
                Ok(()) => Tried::TakenOver { took, unnoted: unnoted.clone() },
                Err(error) => Tried::Failed { why: error.to_string(), took, next_try_at: now.plus(wait) },
            };
            turn.told.push(Told { alert: (*alert).clone(), channel, result });
        }
    }

    /// Writes `change` of `state`, over whatever is stored by then.
    async fn write(&self, state: &mut ApiState, change: &dyn Fn(&mut ApiState)) -> Result<(), String> {
        let mut waits = Waits::new(RetryPolicy::STORE);
        let mut why = String::new();
        for _ in 0..WRITES_MAX {
            let mut next = state.clone();
            change(&mut next);
            if next == *state {
                return Ok(());
            }
            next.version = next.version.saturating_add(1);
            let results = self.store.commit(vec![Arc::new(next.clone())]).await;
            match results.into_iter().next() {
                Some(Ok(())) => {
                    *state = next;
                    return Ok(());
                }
                Some(Err(CommitError::Conflict)) => {
                    why = CommitError::Conflict.to_string();
                    *state = self.reload(&state.api_id).await?;
                }
                Some(Err(CommitError::Store(error @ StoreError::Misconfigured { .. }))) => {
                    return Err(error.to_string());
                }
                Some(Err(CommitError::Store(error))) => {
                    why = error.to_string();
                    sleep(waits.next_wait()).await;
                }
                None => return Err("the store gave no answer".into()),
            }
        }
        Err(why)
    }

    async fn reload(&self, api_id: &ApiId) -> Result<ApiState, String> {
        match self.store.load(api_id.clone()).await {
            Ok(Some(Ok(state))) => Ok(self.own(state)),
            Ok(Some(Err(record))) => Err(format!("its record cannot be read: {}", record.why)),
            Ok(None) => Err("its record is gone".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// One API's turn.
struct Turn<'a> {
    state: ApiState,
    told: Vec<Told>,
    /// The channels that did not take an alert, and which.
    stuck: HashMap<&'static str, String>,
    is_wanted: &'a dyn Fn(&str) -> bool,
}

impl Turn<'_> {
    /// The next alert of each channel that is not stuck.
    fn round(&self, notifiers: &[Arc<dyn Notifier>]) -> Vec<(Arc<Alert>, Arc<dyn Notifier>)> {
        let well = notifiers.iter().filter(|notifier| !self.stuck.contains_key(notifier.channel()));
        let due = well.filter_map(|notifier| {
            let owed = next(&self.state, notifier.channel(), self.is_wanted)?;
            Some((Arc::new(owed.alert.clone()), Arc::clone(notifier)))
        });
        due.collect()
    }

    /// All that is to be told.
    fn open(&self, notifiers: &[Arc<dyn Notifier>]) -> Vec<(Alert, &'static str)> {
        let channels = notifiers.iter().map(|notifier| notifier.channel());
        let of = |channel: &'static str| {
            let open = open(&self.state, channel, self.is_wanted);
            open.map(move |owed| (owed.alert.clone(), channel)).collect::<Vec<_>>()
        };
        channels.flat_map(of).collect()
    }

    /// What became of each that was asked for.
    fn finish(mut self, asked_for: Vec<(Alert, &'static str)>, obstacle: Option<&Tried>) -> Vec<Told> {
        for (alert, channel) in asked_for {
            if self.told.iter().any(|told| told.channel == channel && told.alert.alert_id == alert.alert_id) {
                continue;
            }
            let is_owed =
                self.state.owed.iter().any(|o| o.alert.alert_id == alert.alert_id && !o.is_delivered(channel));
            let result = match (obstacle, self.stuck.get(channel)) {
                _ if !is_owed => Tried::Elsewhere,
                (_, Some(before)) => Tried::Behind(before.clone()),
                (Some(obstacle), None) => obstacle.clone(),
                (None, None) => Tried::NotClaimed("too much is owed for one go".into()),
            };
            self.told.push(Told { alert, channel, result });
        }
        self.told
    }
}

/// What `channel` lacks, oldest first, up to the last that is wanted.
fn open<'a>(
    state: &'a ApiState,
    channel: &'static str,
    is_wanted: &dyn Fn(&str) -> bool,
) -> impl Iterator<Item = &'a OwedAlert> {
    let lacks = move |owed: &OwedAlert| !owed.is_delivered(channel);
    let last = state.owed.iter().rposition(|owed| lacks(owed) && is_wanted(&owed.alert.alert_id));
    state.owed.iter().take(last.map_or(0, |last| last + 1)).filter(move |owed| lacks(owed))
}

fn next<'a>(state: &'a ApiState, channel: &'static str, is_wanted: &dyn Fn(&str) -> bool) -> Option<&'a OwedAlert> {
    open(state, channel, is_wanted).next()
}

#[cfg(test)]
#[path = "tell_now_tests.rs"]
mod tests;
