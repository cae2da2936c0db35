//! What holds the alerts of an API at this moment, and what is done when nothing does any more.
//!
//! Whether to hold is asked only where an alert could follow: while all is well it costs nothing. When the last hold of an API is over, it
//! is probed at once, and the outcome decides what is alerted ([`hold`](crate::hold)).
//!
//! A parent that this worker owns is known. Of one that another worker owns the stored record is read, as often as [`READ_EVERY`], and
//! only while a dependent of it may be down. A dependent that goes down before its parent is known to be well waits for that, and not for long.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::entry::Entry;
use super::{Effect, Keeper, LogEvent, RecordRead, Request};
use crate::alert::AlertKind;
use crate::api::{ApiConfig, ApiId};
use crate::hold::Hold;
use crate::maintenance::{self, Maintenance, Selection};
use crate::outcome::{Outcome, Verdict};
use crate::schedule::Moment;
use crate::state::{ApiState, Toward};
use crate::status::Status;
use crate::text;
use crate::time::{Monotonic, Timestamp};

/// The APIs that need each API, directly.
pub type Dependents = BTreeMap<ApiId, BTreeSet<ApiId>>;

/// A dependent waits so long for its parent to be asked, and no longer.
pub const PARENT_ASKED_WITHIN: Duration = Duration::from_secs(60);

/// How often the record of a parent is read that another worker owns,
const READ_EVERY: Duration = Duration::from_secs(5);

/// and how long a dependent waits for it to say that the parent is down. What was read longer ago says nothing.
const RECORD_SAYS_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whose hold is over, and how many are probed then.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const RELEASED_AT_ONCE: usize = 50;

/// Dependents that the alert of their parent names.
const NAMED_MAX: usize = 5;

/// What the alert of a parent says of them is no longer than this.
const NAMES_CHARS_MAX: usize = 120;

/// What is held, and what is known of parents.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    /// Those with changes that are held, and whether they were probed since their last hold was over.
    held: BTreeMap<ApiId, bool>,
    /// Those with a window that was opened by hand.
    by_hand: BTreeSet<ApiId>,
    pub(super) dependents: Dependents,
    /// The records of parents that others own.
    elsewhere: HashMap<ApiId, Elsewhere>,
    /// Calls that read those.
    calls: HashMap<u64, ApiId>,
    /// When each parent was asked last.
    asked: HashMap<ApiId, Monotonic>,
    looked_at: Monotonic,
}

#[derive(Clone, Debug, Default)]
struct Elsewhere {
    asked_at: Option<Monotonic>,
    /// Since when it is asked without a pause: whoever has just begun to ask knows nothing yet.
    asked_since: Monotonic,
    /// As it was read last, and when.
    read: Option<(Box<ApiState>, Monotonic)>,
}

impl Holds {
    /// The record of this API is known now, or is another.
    pub(super) fn note(&mut self, state: &ApiState) {
        if state.held.is_none() {
            if !self.held.is_empty() {
                self.held.remove(&state.api_id);
            }
        } else if !self.held.contains_key(&state.api_id) {
            self.held.insert(state.api_id.clone(), false);
        }
        if state.maintenance.is_some() {
            self.by_hand.insert(state.api_id.clone());
        }
    }

    /// It has another owner.
    pub(super) fn forget(&mut self, api_id: &ApiId) {
        self.held.remove(api_id);
        self.by_hand.remove(api_id);
    }

    /// Whether `of` needs `api_id`, by whatever way: two that need each other hold nothing of each other.
    fn needs(&self, of: &ApiId, api_id: &ApiId) -> bool {
        let (mut seen, mut next) = (BTreeSet::from([api_id]), vec![api_id]);
        while let Some(needed) = next.pop() {
            for id in self.dependents.get(needed).into_iter().flatten() {
                if id == of {
                    return true;
                }
                if seen.insert(id) {
                    next.push(id);
                }
            }
        }
        false
    }
}

/// Whether an alert may follow from an outcome with this verdict, so that it has to be known what holds it.
pub(super) fn may_alert(state: &ApiState, api: &ApiConfig, verdict: Verdict) -> bool {
    let is_as_known = match verdict {
        Verdict::Pass => state.status != Status::Down,
        Verdict::Fail => state.status == Status::Down && api.alerting.remind_after.is_none(),
        Verdict::Inconclusive => return false,
    };
    !is_as_known || state.held.is_some() || state.is_flapping()
}

impl Keeper {
    /// What holds alerts of this API, as it was seen by a probe that began at `seen_at`. Only one that fails has its parents asked.
    pub(super) fn hold(&mut self, api: &ApiConfig, seen_at: Timestamp, fails: bool, now: Moment) -> Option<Hold> {
        let state = &self.ledger.get(&api.api_id)?.state;
        let windows = &api.alerting.maintenance;
        if let Some(hold) = maintenance::hold(windows, state.maintenance.as_deref(), now.wall) {
            return Some(hold);
        }
        // One that is down counts before one that has to be asked: a recovery waits for the first alone.
        let parents = &api.alerting.depends_on;
        let holds = parents.iter().filter_map(|parent| self.hold_of_parent(api, parent, seen_at, fails, now));
        holds.min_by_key(|hold| matches!(hold, Hold::ParentUnsure(_)))
    }

    fn hold_of_parent(
        &mut self,
        api: &ApiConfig,
        parent: &ApiId,
        seen_at: Timestamp,
        fails: bool,
        now: Moment,
    ) -> Option<Hold> {
        if *parent == api.api_id || self.holds.needs(parent, &api.api_id) {
            return None;
        }
        let state = &self.ledger.get(&api.api_id)?.state;
        // What lies ahead was noted by a clock that was set back since: nothing waits for that time to come again.
        let waited_since = |at: Timestamp| if at > now.wall { Duration::MAX } else { now.wall.since(at) };
        let mut waited = state.held.as_ref().map_or(Duration::ZERO, |held| waited_since(held.confirmed_at));
        let failing_since = match (&state.streak, state.status) {
            (_, Status::Down) => state.since.unwrap_or(seen_at),
            (Some(streak), _) if streak.toward == Toward::Down => streak.first_at,
            _ => seen_at,
        };
        let failing_since = failing_since.min(seen_at);
        let is_ours = self.owned.owns(parent);
        let (patience, known) = if is_ours {
            let entry = self.ledger.get(parent).filter(|entry| entry.is_watched())?;
            (PARENT_ASKED_WITHIN, Some(&entry.state))
        } else {
            self.read_elsewhere(parent, now);
            let elsewhere = self.holds.elsewhere.get(parent)?;
            waited = waited.min(now.monotonic.saturating_sub(elsewhere.asked_since));
            let is_news =
                |read: &&(Box<ApiState>, Monotonic)| now.monotonic.saturating_sub(read.1) < RECORD_SAYS_WITHIN;
            (RECORD_SAYS_WITHIN, elsewhere.read.as_ref().filter(is_news).map(|(state, _)| &**state))
        };
        let unsure = || (fails && waited < patience && !self.setup.once).then(|| Hold::ParentUnsure(parent.clone()));
        let Some(known) = known else { return unsure() };
        if known.status == Status::Down {
            return Some(Hold::ParentDown(parent.clone()));
        }
        let is_suspect = known.streak.is_some();
        let was_down_then = known.since.is_some_and(|since| since > seen_at && since <= now.wall);
        // The record of another worker is no witness to the minute: that one may be about to find out.
        let is_asked =
            is_ours && known.last_probe.as_ref().is_some_and(|last| last.at >= failing_since && last.at <= now.wall);
        if is_asked && !is_suspect && !was_down_then {
            return None;
        }
        let hold = unsure()?;
        if is_ours && !is_suspect && !is_asked {
            self.probe_parent(parent, now);
        }
        Some(hold)
    }

    /// Probes a parent now, since a dependent of it fails.
    fn probe_parent(&mut self, parent: &ApiId, now: Moment) {
        let asked = self.holds.asked.get(parent);
        if asked.is_none_or(|at| now.monotonic.saturating_sub(*at) >= READ_EVERY) {
            self.holds.asked.insert(parent.clone(), now.monotonic);
            self.effects.push(Effect::Request(Request::ProbeAgain(parent.clone())));
        }
    }

    fn read_elsewhere(&mut self, parent: &ApiId, now: Moment) {
        let elsewhere = self.holds.elsewhere.entry(parent.clone()).or_default();
        if elsewhere.asked_at.is_some_and(|at| now.monotonic.saturating_sub(at) < READ_EVERY) {
            return;
        }
        let is_pause = elsewhere.asked_at.is_none_or(|at| now.monotonic.saturating_sub(at) > READ_EVERY * 3);
        if is_pause {
            elsewhere.asked_since = now.monotonic;
        }
        elsewhere.asked_at = Some(now.monotonic);
        let call = self.ledger.call_began(now.monotonic);
        self.holds.calls.insert(call, parent.clone());
        self.effects.push(Effect::ReadRecord { call, api_id: parent.clone() });
    }

    /// Whether this call has read the record of a parent.
    pub(super) fn on_parent_read(&mut self, call: u64, read: &RecordRead, now: Monotonic) -> bool {
        let Some(parent) = self.holds.calls.remove(&call) else { return false };
        if let Some(elsewhere) = self.holds.elsewhere.get_mut(&parent) {
            match read {
                RecordRead::Found(state) => elsewhere.read = Some((state.clone(), now)),
                RecordRead::Failed(_) => {}
                RecordRead::Gone | RecordRead::Quarantined | RecordRead::Newer(_) => elsewhere.read = None,
            }
        }
        true
    }

    /// Probes those whose last hold is over, and forgets windows that are.
    pub(super) fn release_holds(&mut self, now: Moment) {
        if now.monotonic.saturating_sub(self.holds.looked_at) < LOOK_EVERY || self.shutting_down {
            return;
        }
        self.holds.looked_at = now.monotonic;
        self.close_windows(now);
        let mut released = 0;
        for api_id in self.holds.held.keys().cloned().collect::<Vec<_>>() {
            let Some(entry) = self.ledger.get(&api_id) else { continue };
            let (Some(api), flap) = (entry.api.clone(), &entry.state.flap) else { continue };
            let is_down = entry.state.status == Status::Down;
            let flaps =
                flap.as_ref().is_some_and(|flap| flap.since.is_some() && !flap.has_calmed(api.alerting.flap, now.wall));
            let is_held = flaps || self.hold(&api, now.wall, is_down, now).is_some();
            let Some(is_probed) = self.holds.held.get_mut(&api_id) else { continue };
            if is_held {
                *is_probed = false;
            } else if !*is_probed && released < RELEASED_AT_ONCE {
                released += 1;
                *is_probed = true;
                self.effects.push(Effect::Request(Request::ProbeAgain(api_id)));
            }
        }
    }

    fn close_windows(&mut self, now: Moment) {
        let is_over = |api_id: &&ApiId| {
            let window = self.ledger.get(api_id).and_then(|entry| entry.state.maintenance.as_ref());
            window.is_none_or(|window| window.until <= now.wall)
        };
        let over: Vec<ApiId> = self.holds.by_hand.iter().filter(is_over).cloned().collect();
        for api_id in over {
            self.holds.by_hand.remove(&api_id);
            self.put_maintenance(&api_id, None, now);
        }
    }

    /// Opens a window for these APIs, or closes it (`None`). Returns how many there are.
    pub fn set_maintenance(&mut self, of: &Selection, window: Option<&Maintenance>, now: Moment) -> usize {
        if window.is_some_and(|window| window.until <= now.wall) {
            return 0; // an old ask
        }
        let is_meant = |entry: &Entry| {
            // A process that watches nothing has no configs: it is given ids.
            let is_meant = match &entry.api {
                Some(api) => of.has(api),
                None => of.has_id(&entry.state.api_id),
            };
            is_meant && (window.is_some() || entry.state.maintenance.is_some())
        };
        let meant = self.matching_ids(is_meant);
        for api_id in &meant {
            self.put_maintenance(api_id, window, now);
        }
        self.tick(now);
        meant.len()
    }

    fn put_maintenance(&mut self, api_id: &ApiId, window: Option<&Maintenance>, now: Moment) {
        let window = window.map(|window| Box::new(window.clone()));
        self.account_history(api_id, now);
        let Some(entry) = self.ledger.get_mut(api_id) else { return };
        if entry.state.maintenance == window {
            return;
        }
        entry.state.maintenance = window;
        entry.mark_unsaved(None, now.monotonic);
        self.holds.note(&entry.state);
        if let Some(is_probed) = self.holds.held.get_mut(api_id) {
            *is_probed = false;
        }
        self.ledger.queue(api_id);
    }

    /// What was just decided: whether something is held now, and who is held by it.
    pub(super) fn note_held(&mut self, api_id: &ApiId, had_held: bool, is_enqueued: bool) {
        let Some(entry) = self.ledger.get_mut(api_id) else { return };
        let held = entry.state.held.as_ref();
        let alert = is_enqueued.then(|| entry.state.owed.last()).flatten().map(|owed| owed.alert.kind);
        match held {
            Some(held) if !had_held => {
                self.log.push(LogEvent::Held { api_id: api_id.clone(), why: held.why.clone() });
            }
            None if had_held => self.log.push(LogEvent::Released { api_id: api_id.clone(), alert }),
            _ => {}
        }
        self.holds.note(&entry.state);
        if alert == Some(AlertKind::Down)
            && let Some(names) = self.holds.dependents.get(api_id).map(in_words)
            && let Some(owed) = entry.state.owed.last_mut()
        {
            let chars_max = Outcome::REASON_CHARS_MAX.saturating_sub(names.chars().count());
            owed.alert.reason = text::line(&owed.alert.reason, chars_max) + &names;
        }
    }
}

/// `; alerts of 7 that depend on it are held: a, b, c, d, e and 2 more`.
fn in_words(dependents: &BTreeSet<ApiId>) -> String {
    let named: Vec<&str> = dependents.iter().take(NAMED_MAX).map(ApiId::as_str).collect();
    let more = match dependents.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = text::line(&named.join(", "), NAMES_CHARS_MAX);
    format!("; alerts of {} that depend on it are held: {names}{more}", dependents.len())
}
