//! When sources are read: where it is cheap to tell that they changed, each second; all of them from time to time and when somebody asks;
//! and what another worker says has changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use api_health_core::ApiId;
use api_health_core::own::notices::{CHANGED_IDS_MAX, ConfigsRevision, Notice};
use api_health_core::own::records::WorkerRecord;
use api_health_core::own::shards::Shard;
use api_health_core::roster::Roster;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Supervisor;
use super::configs::LoadReport;
use super::source::{Read, ReadMode, Source, read_some};

/// How often a worker reads all rows to which another says what changed.
const FOLLOW_EVERY: Duration = Duration::from_secs(3_600);

/// How far reading is.
#[derive(Default)]
pub(super) struct Reading {
    is_under_way: bool,
    /// Somebody asked for a reload meanwhile.
    again: bool,
    /// Readings of all sources begun so far: the number of the latest one.
    begun: u64,
    /// The number of the one that was read last.
    pub(super) read: u64,
    /// When the latest one began.
    begun_at: Option<Instant>,
    /// Up to which revision the rows are known that all workers share.
    known_revision: u64,
}

impl Supervisor {
    /// Reads every source that may have changed; only one reading at a time.
    pub(super) fn reload(&mut self, ctx: &mut Context<Self>) {
        self.read_sources(ReadMode::Full, ctx);
    }

    fn read_sources(&mut self, mode: ReadMode, ctx: &mut Context<Self>) {
        if self.stopping || self.escalated {
            return self.configs.waiting.clear();
        }
        let reading = &mut self.configs.reading;
        if std::mem::replace(&mut reading.is_under_way, true) {
            reading.again = true;
            return;
        }
        let is_of_all = mode != ReadMode::Glance;
        if is_of_all {
            (reading.begun, reading.begun_at) = (reading.begun + 1, Some(Instant::now()));
        }
        let (number, revision, now) = (reading.begun, self.revision_of_all(), self.monotonic());
        let readings = join_all(self.configs.sources.iter().map(|source| source.read(mode, now)));
        ctx.spawn(readings.into_actor(self).map(move |readings, supervisor, ctx| {
            let (now, configs) = (supervisor.monotonic(), &mut supervisor.configs);
            configs.reading.is_under_way = false;
            let is_changed = || {
                let mut read = configs.sources.iter().zip(&readings);
                read.any(|(source, read)| read.as_ref().is_some_and(|read| source.is_changed_by(read, now)))
            };
            if mode == ReadMode::Again && is_changed() {
                // It may be a reading of yesterday: a row that it misses would be stopped, and its incident closed.
                configs.reading.again = true;
            } else {
                if is_of_all {
                    configs.reading.read = number;
                    configs.reading.known_revision = revision.map_or(0, |all| all.revision);
                }
                supervisor.on_read(readings, ctx);
            }
            supervisor.read_again_if_asked(ctx);
        }));
    }

    fn read_again_if_asked(&mut self, ctx: &mut Context<Self>) {
        if std::mem::take(&mut self.configs.reading.again) {
            self.reload(ctx);
        }
    }

    fn on_read(&mut self, readings: Vec<Option<Read>>, ctx: &mut Context<Self>) {
        if readings.iter().all(Option::is_none) {
            return self.answer_waiters();
        }
        let before = self.announces_changes().then(|| self.configs.rows().0);
        let now = self.monotonic();
        for (source, read) in self.configs.sources.iter_mut().zip(readings) {
            if let Some(read) = read {
                source.accept(read, now);
            }
        }
        if let Some(before) = before {
            self.announce_changes(&before);
        }
        let unreadable: Vec<String> = self.configs.sources.iter().filter_map(Source::why_unreadable).collect();
        let is_any_refused = self.configs.sources.iter().any(|source| source.refused > 0);
        self.stats.measured.reloaded(unreadable.is_empty() && !is_any_refused);
        self.configs.unreadable.send_replace(unreadable);
        self.reconcile(ctx);
    }

    /// Looks for changes where that is cheap, every second, and everywhere when `reload_every` is over.
    pub(super) fn look_at_sources(&mut self, ctx: &mut Context<Self>) {
        if self.configs.reading.is_under_way || self.options.once || self.stopping {
            return;
        }
        if self.chain.is_up() && self.configured().is_some() {
            self.reconcile(ctx);
        }
        let every = if self.is_follower() { FOLLOW_EVERY } else { self.options.reload_every };
        if self.configs.reading.begun_at.is_some_and(|at| at.elapsed() >= every) {
            self.read_sources(ReadMode::Again, ctx);
        } else if !self.follow_revision(ctx) {
            self.read_sources(ReadMode::Glance, ctx);
        }
    }

    /// How far the rows are that all workers share, as it is seen; `None`: nobody shares them.
    fn revision_of_all(&self) -> Option<ConfigsRevision> {
        Some(self.ownership.fleet()?.assignment.configs.clone())
    }

    /// Another worker reads all rows each time, and says what changed: the leader.
    fn is_follower(&self) -> bool {
        self.ownership.handle.is_some() && self.configs.reading.read > 0 && !self.ownership.is_ready(Shard::LEADER)
    }

    /// Whether this is the leader, and there are others to be told what it finds changed.
    fn announces_changes(&self) -> bool {
        let is_leader = self.configs.reading.read > 1 && self.ownership.is_ready(Shard::LEADER);
        is_leader && self.ownership.fleet().is_some_and(|fleet| fleet.others.values().any(WorkerRecord::is_live))
    }

    fn announce_changes(&self, before: &Roster) {
        let Some(handle) = &self.ownership.handle else { return };
        let (now, _) = self.configs.rows();
        let ids = before.keys().chain(now.keys()).filter(|id| before.get(*id) != now.get(*id));
        let changed: BTreeSet<ApiId> = ids.cloned().collect();
        if !changed.is_empty() {
            let named = (changed.len() <= CHANGED_IDS_MAX).then(|| changed.into_iter().collect());
            handle.notice(Notice::ConfigsChanged(named));
        }
    }

    /// Reads what is said to have changed. Whether there was anything.
    fn follow_revision(&mut self, ctx: &mut Context<Self>) -> bool {
        let known = self.configs.reading.known_revision;
        let all = self.revision_of_all().filter(|all| all.revision != known && self.configs.reading.read > 0);
        let Some(all) = all else { return false };
        let changed = if all.revision > known { all.changed_since(known) } else { None };
        let Some(ids) = changed.filter(|ids| !ids.is_empty()) else {
            self.reload(ctx);
            return true;
        };
        let ids: Arc<[ApiId]> = ids.into_iter().collect();
        self.configs.reading.is_under_way = true;
        let ports = self.configs.sources.iter().map(|source| Arc::clone(&source.port));
        let reading = join_all(ports.map(|port| read_some(port, Arc::clone(&ids))));
        ctx.spawn(reading.into_actor(self).map(move |read, supervisor, ctx| {
            let (now, configs) = (supervisor.monotonic(), &mut supervisor.configs);
            configs.reading.is_under_way = false;
            if let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() {
                configs.reading.known_revision = all.revision;
                for (source, rows) in configs.sources.iter_mut().zip(&read) {
                    source.accept_some(&ids, rows, now);
                }
                supervisor.reconcile(ctx);
            } else {
                configs.reading.again = true;
            }
            supervisor.read_again_if_asked(ctx);
        }));
        true
    }
}

/// Read the configs now, with all that was written before. The reply comes when they are applied; `None` if nothing is read any
/// more, since the process stops or has to end.
#[derive(Message)]
#[rtype(result = "Option<LoadReport>")]
pub struct Reload;

impl Handler<Reload> for Supervisor {
    type Result = ResponseFuture<Option<LoadReport>>;

    fn handle(&mut self, _: Reload, ctx: &mut Self::Context) -> Self::Result {
        let (waiter, done) = oneshot::channel();
        // What is being read just now may be older.
        self.configs.waiting.push((self.configs.reading.begun + 1, waiter));
        self.reload(ctx);
        Box::pin(async move { done.await.ok() })
    }
}
