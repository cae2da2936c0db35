//! The lease holder: executes the effects of [`Member`] on the supervisor's thread, and reports gained and lost shards to the
//! supervisor.
//!
//! It is a task and no actor: it waits for one answer at a time, and others read the lease from its [`LeaseClock`]. If it cannot go
//! on, it closes that clock and ends, which its listener notices.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use api_health_core::Heartbeat;
use api_health_core::own::member::{CallError, Effect, Event, Fleet, Loss, Member};
use api_health_core::own::notices::Notice;
use api_health_core::own::records::{Key, LeaseRecord, Session, WorkerRecord};
use api_health_core::own::shards::{Shard, ShardSet};
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, select};
use tokio::sync::{mpsc, oneshot, watch};

use crate::lease_clock::{BootClock, LeaseClock};
use crate::leases::Leases;
use crate::ports::{CommitError, StoreError};

/// The timeout of a call to the store.
pub const CALL_MAX: Duration = Duration::from_secs(2);

/// Calls that go on after their timeout; the oldest is cancelled for one more.
const LATE_MAX: usize = 4;

/// No answer within this counts as "probing makes no progress".
pub const PROGRESS_MAX: Duration = Duration::from_secs(1);

/// Messages to the holder, and changes on their way to the supervisor. In a takeover of all shards there are some tens; at this many
/// somebody is stuck, and the holder ends.
pub const WAITING_MAX: usize = 1_024;

/// A change in what this worker owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// It owns these from now on, or has a higher epoch for them. Answer with [`LeaseHandle::stored_epoch`] for each.
    Gained(Vec<Gained>),
    /// Release these, and answer with [`LeaseHandle::released`].
    Release(ShardSet),
    /// Drop these, with all changes that are not stored.
    Lost { shards: ShardSet, why: Loss },
    /// The worker has left, as it was asked to. Nothing follows.
    Left,
}

/// A shard that is owned from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gained {
    pub shard: Shard,
    /// Every write of it carries this.
    pub epoch: u64,
    /// Its records need no seal.
    pub is_clean: bool,
    /// In which it was gained, for [`LeaseClock::may_act`].
    pub session: u64,
}

/// How probing goes, asked before each renewal.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Probing makes progress.
    pub is_made: bool,
    /// For the worker's record; `None`: that keeps the one before.
    pub heartbeat: Option<Box<Heartbeat>>,
}

/// Asks how probing goes, with a timeout of [`PROGRESS_MAX`].
pub type AskReport = Box<dyn Fn() -> LocalBoxFuture<'static, Report>>;

/// The fleet as this worker saw it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Its own session; `None`: it has none.
    pub session: Option<Session>,
    /// Its own record as it was stored last.
    pub own: WorkerRecord,
    /// The assignment and the others; `None`: not seen yet.
    pub fleet: Option<Arc<Fleet>>,
}

/// How often the lease was renewed, and the result of the last try.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewals {
    /// Times that it was renewed.
    pub done: u64,
    /// Calls of the store that failed.
    pub failed: u64,
    /// Why the last call failed; `None`: it did not.
    pub error: Option<StoreError>,
}

/// Sends messages to the holder, from any thread.
#[derive(Clone)]
pub struct LeaseHandle {
    commands: mpsc::Sender<Event>,
    clock: LeaseClock,
    sight: watch::Receiver<Sight>,
    renewals: watch::Receiver<Renewals>,
}

impl LeaseHandle {
    /// The clock of the lease.
    pub fn clock(&self) -> &LeaseClock {
        &self.clock
    }

    /// The fleet, as it is seen.
    pub fn sight(&self) -> watch::Receiver<Sight> {
        self.sight.clone()
    }

    pub fn renewals(&self) -> watch::Receiver<Renewals> {
        self.renewals.clone()
    }

    /// There is a new heartbeat: a worker with a long lease renews it with that.
    pub fn renew_now(&self) {
        self.send(Event::RenewNow);
    }

    /// These shards are released: everything is stored and sealed, and nothing is in flight. Each with the epoch that it was owned
    /// with.
    pub fn released(&self, shards: BTreeMap<Shard, u64>) {
        self.send(Event::Released(shards));
    }

    /// The highest epoch in the records of a shard that was gained; 0: none has any. If it is not below the one that the shard was
    /// gained with, another [`LeaseChange::Gained`] follows, and the shard is not to be used before.
    pub fn stored_epoch(&self, shard: Shard, epoch: u64) {
        self.send(Event::StoredEpoch { shard, epoch });
    }

    /// Puts a notice for all workers into the assignment.
    pub fn notice(&self, notice: Notice) {
        self.send(Event::Notice(notice));
    }

    /// Read the assignment now: there is something new in it.
    pub fn read_fleet(&self) {
        self.send(Event::ReadFleet);
    }

    /// Release everything and leave the fleet: a [`LeaseChange::Release`] follows if anything is owned, and at last
    /// [`LeaseChange::Left`].
    pub fn leave(&self) {
        self.send(Event::Leave);
    }

    fn send(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.commands.try_send(event) {
            tracing::error!(waiting = WAITING_MAX, "the lease holder is stuck; this worker no longer owns any shards");
            self.clock.close();
        }
    }
}

/// The task, before it runs.
pub struct LeaseHolder {
    member: Member,
    leases: Arc<dyn Leases>,
    now: BootClock,
    ask_report: AskReport,
    commands: mpsc::Receiver<Event>,
    changes: mpsc::Sender<LeaseChange>,
    clock: LeaseClock,
    sight: watch::Sender<Sight>,
    renewals: watch::Sender<Renewals>,
    /// The last error that was logged, so that it is logged once.
    logged_error: Option<StoreError>,
    /// Calls that go on after their timeout: a client that had to fetch its credentials first has them for the next call.
    late: Vec<JoinHandle<()>>,
}

impl LeaseHolder {
    /// The holder, a handle to it, and the stream of its changes. `now` is the only clock that leases go by.
    pub fn new(
        member: Member,
        leases: Arc<dyn Leases>,
        now: BootClock,
        ask_report: AskReport,
    ) -> (Self, LeaseHandle, mpsc::Receiver<LeaseChange>) {
        let (sender, commands) = mpsc::channel(WAITING_MAX);
        let (changes, heard) = mpsc::channel(WAITING_MAX);
        let clock = LeaseClock::new(Arc::clone(&now));
        let first = Sight { session: None, own: member.record().clone(), fleet: None };
        let (sight, seen) = watch::channel(first);
        let (renewals, renewed) = watch::channel(Renewals::default());
        let handle = LeaseHandle { commands: sender, clock: clock.clone(), sight: seen, renewals: renewed };
        let (logged_error, late) = (None, vec![]);
        (
            Self { member, leases, now, ask_report, commands, changes, clock, sight, renewals, logged_error, late },
            handle,
            heard,
        )
    }

    /// Holds the lease until the worker has left, or all handles or the listener are gone. Dropping the future is like a crash.
    pub async fn run(mut self) {
        let clock = self.clock.clone();
        self.hold().await;
        clock.close();
    }

    async fn hold(&mut self) {
        let mut next = Event::Woke;
        // What is waited for besides commands: an answer, or the next wake-up.
        let mut awaited: LocalBoxFuture<'static, Answer> = std::future::pending().boxed_local();
        loop {
            let now = (self.now)();
            let before = (self.member.record().version, self.member.record().session);
            let effects = self.member.on(now, next);
            if (self.member.record().version, self.member.record().session) > before {
                self.renewals.send_modify(|renewals| renewals.done += 1);
            }
            // Before anybody hears of it.
            self.clock.show(&self.member, now);
            let mut changes = vec![];
            let session = self.member.session().map_or(0, |session| session.number);
            // In the order of the effects: a shard may be gained and released at once.
            for effect in effects {
                match effect {
                    Effect::Gained { shard, epoch, is_clean } => {
                        let one = Gained { shard, epoch, is_clean, session };
                        match changes.last_mut() {
                            Some(LeaseChange::Gained(gained)) => gained.push(one),
                            _ => changes.push(LeaseChange::Gained(vec![one])),
                        }
                    }
                    Effect::Release { shards } => changes.push(LeaseChange::Release(shards)),
                    Effect::Lost { shards, why } => changes.push(LeaseChange::Lost { shards, why }),
                    Effect::NoticeDropped(notice) => {
                        tracing::warn!(?notice, "what the other workers should know was not written for them");
                    }
                    Effect::Left => changes.push(LeaseChange::Left),
                    Effect::AskProgress => awaited = self.report(),
                    Effect::Put { record, expected_version } => awaited = self.put(record, expected_version),
                    Effect::Read { keys } => awaited = self.read(keys),
                    Effect::SleepUntil(at) => awaited = sleep(at.saturating_sub(now)),
                }
            }
            self.show_sight();
            let has_left = changes.contains(&LeaseChange::Left);
            if !self.send_changes(changes) || has_left || self.clock.is_closed() {
                return;
            }
            let heard = {
                let command = pin!(self.commands.recv());
                match select(&mut awaited, command).await {
                    Either::Left((answer, _)) => Either::Left(answer),
                    Either::Right((command, _)) => Either::Right(command),
                }
            };
            next = match heard {
                Either::Left(answer) => {
                    awaited = std::future::pending().boxed_local(); // the member asks for the next
                    if let Some(store_error) = answer.store_error {
                        self.note_store_answer(store_error);
                    }
                    answer.event
                }
                Either::Right(Some(command)) => command,
                Either::Right(None) => return,
            };
        }
    }

    /// Whether the supervisor will get them.
    fn send_changes(&self, changes: Vec<LeaseChange>) -> bool {
        let mut sent = changes.into_iter().map(|change| self.changes.try_send(change));
        let failed = sent.find_map(Result::err);
        if let Some(mpsc::error::TrySendError::Full(_)) = failed {
            tracing::error!(waiting = WAITING_MAX, "gained and lost shards are not picked up; giving up the lease");
        }
        failed.is_none()
    }

    fn show_sight(&self) {
        let fleet = self.member.fleet();
        self.sight.send_if_modified(|sight| {
            let session = self.member.session();
            if sight.session == session && sight.fleet.as_deref() == fleet && sight.own == *self.member.record() {
                return false;
            }
            let known = sight.fleet.take().filter(|known| Some(&**known) == fleet);
            let fleet = known.or_else(|| fleet.cloned().map(Arc::new));
            *sight = Sight { session, own: self.member.record().clone(), fleet };
            true
        });
    }

    fn report(&self) -> LocalBoxFuture<'static, Answer> {
        let asking = tokio::time::timeout(PROGRESS_MAX, (self.ask_report)());
        async move {
            let Report { is_made, heartbeat } = asking.await.unwrap_or_default();
            Answer { event: Event::Progress { is_made, heartbeat }, store_error: None }
        }
        .boxed_local()
    }

    fn put(&mut self, record: LeaseRecord, expected_version: u64) -> LocalBoxFuture<'static, Answer> {
        let leases = Arc::clone(&self.leases);
        let written = self.call(async move { leases.put(record, expected_version).await });
        async move {
            let (answer, store_error) = match written.await.unwrap_or_else(|| Err(CommitError::Store(no_answer()))) {
                Ok(()) => (Ok(()), Some(None)),
                Err(CommitError::Conflict) => (Err(CallError::Conflict), None),
                Err(CommitError::Store(error)) => (Err(kind(&error)), Some(Some(error))),
            };
            Answer { event: Event::Put(answer), store_error }
        }
        .boxed_local()
    }

    fn read(&mut self, keys: Vec<Key>) -> LocalBoxFuture<'static, Answer> {
        let leases = Arc::clone(&self.leases);
        let found = self.call(async move { leases.read(keys).await });
        async move {
            match found.await.unwrap_or_else(|| Err(no_answer())) {
                Ok(records) => Answer { event: Event::Read(Ok(records)), store_error: Some(None) },
                Err(error) => Answer { event: Event::Read(Err(kind(&error))), store_error: Some(Some(error)) },
            }
        }
        .boxed_local()
    }

    /// Calls the store; `None`: there was no answer within [`CALL_MAX`].
    fn call<T, C>(&mut self, call: C) -> impl Future<Output = Option<T>> + use<T, C>
    where
        T: 'static,
        C: Future<Output = T> + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.late.retain(|call| !call.is_finished());
        if self.late.len() >= LATE_MAX {
            self.late.remove(0).abort();
        }
        self.late.push(actix_rt::spawn(async move {
            let _ = answer.send(call.await); // nobody waits for a late answer
        }));
        async move { tokio::time::timeout(CALL_MAX, answered).await.ok()?.ok() }
    }

    /// Notes what came of a call, and logs it when that changes.
    fn note_store_answer(&mut self, store_error: Option<StoreError>) {
        self.renewals.send_if_modified(|renewals| {
            let is_news = store_error.is_some() || renewals.error.is_some();
            renewals.failed += u64::from(store_error.is_some());
            renewals.error.clone_from(&store_error);
            is_news
        });
        if store_error == self.logged_error {
            return;
        }
        match &store_error {
            Some(error) => tracing::warn!(%error, "the lease cannot be renewed, or the others not be seen"),
            None => tracing::info!("leases are read and written again"),
        }
        self.logged_error = store_error;
    }
}

/// Calls under way end with the holder, as they do with its process.
impl Drop for LeaseHolder {
    fn drop(&mut self) {
        self.late.iter().for_each(JoinHandle::abort);
    }
}

/// What was waited for.
struct Answer {
    event: Event,
    /// The error of a call, or that there was none; `None`: no call ended.
    store_error: Option<Option<StoreError>>,
}

fn sleep(span: Duration) -> LocalBoxFuture<'static, Answer> {
    tokio::time::sleep(span).map(|()| Answer { event: Event::Woke, store_error: None }).boxed_local()
}

fn no_answer() -> StoreError {
    StoreError::Unavailable(format!("no answer within {} s", CALL_MAX.as_secs()))
}

fn kind(error: &StoreError) -> CallError {
    match error {
        StoreError::Unavailable(_) => CallError::NoAnswer,
        StoreError::Misconfigured { .. } => CallError::Refused,
    }
}
