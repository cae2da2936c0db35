//! Our own side of every exchange: resolver, network and clock, as far as the probers know of them together.
//!
//! Each exchange that went well leaves a proof that what it used works, one store into an atomic. A failure that may be ours
//! ([`network::blame`]) is compared with the proofs of others first; only where there is none are the witnesses asked, at most once at
//! a time in each part, however many wait. What is found is reported by the supervisor, which looks each second.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_core::network::watch::Step;
use api_health_core::network::{self, Blame, Crowd, OwnPart, Panel, Testimony, Watch};
use api_health_core::observation::Phase;
use api_health_core::{Answer, ApiConfig, Failure, Observation, Protocol, Timestamp};
use tokio::time::timeout;

use crate::ports::Witnesses;
use crate::timebase::TimeBase;

/// Witnesses are asked within this.
pub const ASKED_WITHIN: Duration = Duration::from_millis(900);

/// Testimony comes within this: an asking that is under way is over, and the next one too.
pub const TESTIMONY_WITHIN: Duration = Duration::from_secs(2);

/// Witnesses are asked once so soon after the start, so that they have answered before they are needed; and again after this until
/// one does.
pub const ASKED_FIRST_AFTER: Duration = Duration::from_secs(1);
const ASKED_FIRST_AGAIN: Duration = Duration::from_secs(60);

/// A proof is written down no more often than this.
const PROOFS_EVERY: Duration = Duration::from_millis(100);

/// Names of other APIs that are kept to be looked up when one cannot be.
const NAMES_MAX: usize = 4;

/// A fault of ours that one API meets, such as no route or a dead proxy, says something of the others only where none of them went
/// well in this part for so long.
const ALONE_FOR: Duration = Duration::from_secs(60);

/// How often a name is kept.
const NAMES_EVERY: Duration = Duration::from_secs(1);

/// A clock that is so much older than what our own store was told is wrong.
const CLOCK_BEHIND_MIN: Duration = Duration::from_secs(24 * 3_600);

/// What is to be reported of our own side, and in which parts the witnesses are to be asked again.
#[derive(Debug, Default)]
pub struct Look {
    pub network: Option<Step>,
    pub clock: Option<Step>,
    pub ask: Vec<OwnPart>,
}

/// What is known of our own side. Shared by all probers.
pub struct OwnSide {
    witnesses: Arc<dyn Witnesses>,
    time: TimeBase,
    /// When all was seen to be well last in each part, in milliseconds of monotonic time; 0: never.
    proofs: [AtomicU64; OwnPart::ALL.len()],
    named_at: AtomicU64,
    known: Mutex<Known>,
    /// What came of the last asking in each part, and when it began. Whoever asks holds it meanwhile.
    asked: [tokio::sync::Mutex<Option<(Duration, Testimony)>>; OwnPart::ALL.len()],
}

#[derive(Default)]
struct Known {
    panel: Panel,
    crowd: Crowd,
    network: Watch,
    clock: Watch,
    names: VecDeque<String>,
    /// The newest point in time in our own store.
    newest_stamp: Option<Timestamp>,
    /// Since when the clock is known to be behind it.
    behind_since: Option<Duration>,
    asked_first_at: Option<Duration>,
    /// Some witness has answered.
    has_answered: bool,
}

impl Known {
    fn watch(&mut self, part: OwnPart) -> &mut Watch {
        if part == OwnPart::Clock { &mut self.clock } else { &mut self.network }
    }
}

impl OwnSide {
    pub fn new(witnesses: Arc<dyn Witnesses>, time: TimeBase) -> Self {
        Self {
            witnesses,
            time,
            proofs: Default::default(),
            named_at: AtomicU64::new(0),
            known: Mutex::default(),
            asked: Default::default(),
        }
    }

    /// An exchange is over, at the monotonic time `now`. The part in which its failure may be ours, if it may be and nothing speaks against
    /// it yet: then [`Self::testimony`] is to be heard.
    pub fn saw(&self, api: &ApiConfig, observation: &Observation, now: Duration) -> Option<OwnPart> {
        let address = network::address_of(api, observation);
        let failure = match &observation.answer {
            Answer::Response(_) | Answer::Connected { .. } | Answer::Records(_) => None,
            Answer::Failure(failure) => Some((failure, network::blame(failure, address))),
        };
        self.note_proofs(api, observation, address, failure, now);
        let (failure, blame) = failure?;
        match blame {
            Blame::Theirs | Blame::Ours(None) => None,
            Blame::Ours(Some(part)) | Blame::Doubtful(part) => {
                let began = now.saturating_sub(observation.took);
                let is_clear = self.is_vouched_for(part, observation.took, now)
                    && !self.known().watch(part).was_at_fault(part, began);
                // What is inconclusive by itself needs a witness to count.
                (!is_clear || matches!(failure, Failure::Local(_))).then_some(part)
            }
        }
    }

    /// What an exchange shows to be well, whatever became of it.
    fn note_proofs(
        &self,
        api: &ApiConfig,
        observation: &Observation,
        address: Option<IpAddr>,
        failure: Option<(&Failure, Blame)>,
        now: Duration,
    ) {
        if !matches!(failure, Some((_, Blame::Ours(_)))) {
            self.note_proof(OwnPart::Machine, now);
        }
        let failure = failure.map(|(failure, _)| failure);
        let is_reached = failure.is_none_or(|failure| {
            matches!(
                failure,
                Failure::Refused { .. }
                    | Failure::Certificate(_)
                    | Failure::Tls { .. }
                    | Failure::NotHttp { .. }
                    | Failure::BodyCutShort { .. }
                    | Failure::TooManyRedirects { .. }
                    | Failure::BadRedirect { .. }
                    | Failure::WatchedNameServerFailed { .. }
                    | Failure::Reset { phase: Phase::Body }
                    | Failure::Closed { phase: Phase::Body }
            )
        });
        if let Some(address) = address.filter(|address| is_reached && !address.is_loopback()) {
            self.note_proof(OwnPart::to(address), now);
        }
        if observation.by_proxy && (is_reached || matches!(failure, Some(Failure::BehindProxy { .. }))) {
            self.note_proof(OwnPart::Proxy, now);
            // What a proxy on this machine reached was reached by our network, but the answer may be the proxy's own.
            if address.is_none() && matches!(&observation.answer, Answer::Response(seen) if seen.status < 400) {
                self.note_proof(OwnPart::NETWORK, now);
            }
        }
        if observation.phases.tls.is_some() {
            self.note_proof(OwnPart::Clock, now);
        }
        // A name that was found may stand in the hosts file, and proves nothing; that one does not exist proves that lookups
        // work. Not where a name server is watched, which is none of ours.
        let is_lookup = api.protocol() != Protocol::Dns;
        if is_lookup && matches!(failure, Some(Failure::NameNotFound { .. } | Failure::NoAddress { .. })) {
            self.note_proof(OwnPart::Lookup, now);
        }
        // A proxy looks the name up itself.
        if observation.phases.resolve.is_some() && !observation.by_proxy && is_due(&self.named_at, NAMES_EVERY, now) {
            let host = network::host_of(&api.url);
            let mut known = self.known();
            if known.names.iter().all(|name| name != host) {
                known.names.truncate(NAMES_MAX - 1);
                known.names.push_front(host.to_owned());
            }
        }
    }

    fn note_proof(&self, part: OwnPart, now: Duration) {
        is_due(&self.proofs[part.index()], PROOFS_EVERY, now);
    }

    /// When all was seen to be well last in a part.
    fn well_at(&self, part: OwnPart) -> Option<Duration> {
        let proofs = OwnPart::ALL.into_iter().filter(|proof| part.is_vouched_for_by(*proof));
        let newest = proofs.map(|proof| self.proofs[proof.index()].load(Ordering::Relaxed)).max().unwrap_or(0);
        (newest > 0).then(|| Duration::from_millis(newest))
    }

    /// Whether all was seen to be well in the second half of an exchange that ended at `now`: so it had time enough to go well too.
    fn is_vouched_for(&self, part: OwnPart, took: Duration, now: Duration) -> bool {
        self.well_at(part).is_some_and(|at| at >= now.saturating_sub(took / 2))
    }

    /// What the witnesses say of a failure in this part that was seen at `ended`. Comes within [`TESTIMONY_WITHIN`].
    pub async fn testimony(
        &self,
        part: OwnPart,
        api: &ApiConfig,
        observation: &Observation,
        ended: Duration,
    ) -> Testimony {
        let asked = timeout(TESTIMONY_WITHIN, self.ask(part, ended)).await.unwrap_or_default();
        let interval = self.interval(api);
        let who = (api.api_id.stable_hash(), place(part, api, observation));
        let well_at = self.well_at(part);
        let now = self.time.monotonic();
        let mut known = self.known();
        let crowd = known.crowd.failed(part, who, interval, well_at, now);
        let began = ended.saturating_sub(observation.took);
        let is_vouched_for = !asked.well.is_empty() || self.is_vouched_for(part, observation.took, ended);
        if is_vouched_for && known.watch(part).was_at_fault(part, began) {
            return Testimony { is_well_again: true, ..asked };
        }
        if is_vouched_for {
            return if asked.well.is_empty() { Testimony::of_another_api() } else { asked };
        }
        let testimony = Testimony { crowd, ..asked };
        let Answer::Failure(failure) = &observation.answer else { return testimony };
        let is_ours = testimony.word().is_ours();
        if is_ours && !part.is_known_by_itself() {
            known.watch(part).ill(part, &testimony.fault(part), interval, now);
        } else if (is_ours || now.saturating_sub(well_at.unwrap_or_default()) > interval.max(ALONE_FOR))
            && matches!(network::blame(failure, network::address_of(api, observation)), Blame::Ours(_))
        {
            known.watch(part).ill(part, &failure.to_string(), interval, now);
        }
        testimony
    }

    /// What the witnesses said when they were asked, after `after`.
    async fn ask(&self, part: OwnPart, after: Duration) -> Testimony {
        if part == OwnPart::Clock {
            let fault = self.clock_fault(&self.known(), self.time.wall());
            return Testimony { ill: fault.into_iter().collect(), ..Testimony::default() };
        }
        if part.is_known_by_itself() {
            return Testimony::default();
        }
        let mut asked = self.asked[part.index()].lock().await;
        if let Some((began, testimony)) = &*asked
            && *began >= after
        {
            return testimony.clone();
        }
        let began = self.time.monotonic();
        let names = self.known().names.iter().cloned().collect();
        let ballot = self.witnesses.ask(part, names).await;
        let testimony = self.known().panel.count(part, ballot, |part| self.well_at(part), began);
        if testimony.word() == network::Word::Well {
            self.known().has_answered = true;
            self.note_proof(part, began);
        }
        *asked = Some((began, testimony.clone()));
        testimony
    }

    /// Why the clock is known to be wrong, if it is. A certificate that was good by it says that it is right, and the store wrong.
    fn clock_fault(&self, known: &Known, now: Timestamp) -> Option<String> {
        let newest = known.newest_stamp.filter(|newest| newest.since(now) > CLOCK_BEHIND_MIN)?;
        let is_right = known.behind_since.is_some_and(|since| self.well_at(OwnPart::Clock) > Some(since));
        (!is_right).then(|| format!("the clock of this machine shows {now}, and the store has a record of {newest}"))
    }

    /// The newest point in time in the records of our own store.
    pub fn newest_stamp(&self, newest: Option<Timestamp>) {
        let mut known = self.known();
        known.newest_stamp = known.newest_stamp.max(newest);
    }

    /// Somebody new listens: that all is well is said once more.
    pub fn tell_again(&self) {
        let mut known = self.known();
        known.network.tell_again();
        known.clock.tell_again();
    }

    /// Returns what to report, and which witnesses to ask. Call it each second.
    pub fn look(&self) -> Look {
        let now = self.time.moment();
        let mut known = self.known();
        if known.newest_stamp.is_some_and(|newest| newest.since(now.wall) > CLOCK_BEHIND_MIN) {
            known.behind_since.get_or_insert(now.monotonic);
        } else if known.behind_since.take().is_some() {
            self.note_proof(OwnPart::Clock, now.monotonic);
        }
        if let Some(fault) = self.clock_fault(&known, now.wall) {
            known.clock.ill(OwnPart::Clock, &fault, Duration::ZERO, now.monotonic);
        }
        let well_at = |part| self.well_at(part);
        let mut ask = known.network.asks(now.monotonic);
        let is_first = known.asked_first_at.map_or(ASKED_FIRST_AFTER, |at| at + ASKED_FIRST_AGAIN) <= now.monotonic;
        if is_first && !known.has_answered && ask.is_empty() {
            known.asked_first_at = Some(now.monotonic);
            ask =
                vec![OwnPart::Lookup, OwnPart::to(Ipv4Addr::LOCALHOST.into()), OwnPart::to(Ipv6Addr::LOCALHOST.into())];
        }
        if ask.is_empty() {
            ask = known.panel.asks(well_at, now.monotonic);
        }
        Look {
            network: known.network.look(well_at, now.monotonic),
            clock: known.clock.look(well_at, now.monotonic),
            ask,
        }
    }

    /// Asks the witnesses again in these parts, while something is wrong in them.
    pub async fn ask_again(&self, parts: Vec<OwnPart>) {
        for part in parts {
            let Ok(testimony) = timeout(TESTIMONY_WITHIN, self.ask(part, self.time.monotonic())).await else {
                continue;
            };
            let now = self.time.monotonic();
            let mut known = self.known();
            if testimony.word() == network::Word::Ill && known.watch(part).is_at_fault(part) {
                known.watch(part).ill(part, &testimony.fault(part), Duration::ZERO, now);
            }
        }
    }

    fn interval(&self, api: &ApiConfig) -> Duration {
        api.schedule.shortest_gap_from(self.time.moment())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves `last` on to `now` if it is older than `every`, and whether it was.
fn is_due(last: &AtomicU64, every: Duration, now: Duration) -> bool {
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).max(1);
    let is_due = now >= last.load(Ordering::Relaxed).saturating_add(u64::try_from(every.as_millis()).unwrap_or(0));
    if is_due {
        last.store(now, Ordering::Relaxed);
    }
    is_due
}

/// Where an exchange failed, as a number: by its address, or by its name where that was not looked up.
fn place(part: OwnPart, api: &ApiConfig, observation: &Observation) -> u64 {
    let mut hasher = DefaultHasher::new();
    match network::address_of(api, observation).filter(|_| !matches!(part, OwnPart::Lookup | OwnPart::Proxy)) {
        Some(address) => address.hash(&mut hasher),
        None => network::host_of(&api.url).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
