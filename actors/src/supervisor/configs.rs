//! What is configured, and how what runs follows it.
//!
//! What runs is compared with what is configured, as far as it is owned here, whenever one of the two may have changed
//! ([`Supervisor::reconcile`]). A row that did not change keeps its prober, its phase and its streak. A source that is unreachable
//! or empty all at once changes nothing (P8).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseFuture, WrapFuture};
use api_health_core::keep::Dependents;
use api_health_core::own::notices::{CHANGED_IDS_MAX, ConfigsRevision, Notice};
use api_health_core::own::records::WorkerRecord;
use api_health_core::own::shards::Shard;
use api_health_core::roster::{self, Roster};
use api_health_core::{ApiConfig, ApiId};
use futures_util::future::join_all;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::Supervisor;
use super::ownership::shard;
use super::source::{ReadMode, ReadResult, Source, read_some};
use crate::ports::ConfigSource;

/// How often a worker reads all rows to which another says what changed.
const FOLLOW_EVERY: Duration = Duration::from_secs(3_600);

/// APIs that a report names.
const REPORT_NAMES_MAX: usize = 20;

/// What came of reading the configs.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    /// APIs that are configured and enabled, and owned by this process.
    pub apis: usize,
    /// APIs that are configured and enabled, and that other workers own.
    pub elsewhere: usize,
    /// Rows that were refused.
    pub refused: usize,
    /// Sources that could not be read, and why.
    pub unreadable: Vec<String>,
    /// At least one of those needs a person to mend it.
    pub misconfigured: bool,
    /// The first few APIs that are watched, in the order of their ids.
    pub watched: Vec<Arc<ApiConfig>>,
}

/// The sources, and what is under way with them.
#[derive(Default)]
pub(crate) struct Configs {
    sources: Vec<Source>,
    /// A reading is under way.
    is_reading: bool,
    /// Somebody asked for a reload meanwhile.
    read_again: bool,
    /// Readings of all sources begun so far: the number of the latest one.
    begun: u64,
    /// The number of the one that was read last.
    read: u64,
    /// When the latest one began.
    begun_at: Option<Instant>,
    duplicates: HashSet<ApiId>,
    /// APIs that others depend on and that are not watched, as they were said last.
    unwatched_parents: BTreeSet<ApiId>,
    /// The present keeper knows what is watched.
    pub(super) is_known: bool,
    /// States without a row were looked for, by the present keeper in all that is owned.
    pub(super) closed_unconfigured: bool,
    /// Those who asked for a reload, each with the number of the reading that it takes: one that begins after they asked.
    pub(super) waiting: Vec<(u64, oneshot::Sender<LoadReport>)>,
    /// The sources that could not be read the last time, and why, for whoever shows it.
    pub(crate) unreadable: watch::Sender<Vec<String>>,
    /// What is configured and not watched here, for the same: other workers own it, or it is switched off.
    pub(crate) not_here: watch::Sender<Arc<Vec<Arc<ApiConfig>>>>,
    /// Up to which revision the rows are known that all workers share.
    known_revision: u64,
}

impl Configs {
    pub(super) fn new(sources: Vec<Arc<dyn ConfigSource>>) -> Self {
        Self { sources: sources.into_iter().map(Source::new).collect(), ..Self::default() }
    }

    /// All rows as they are known, whoever owns them, and the ids that more than one source has.
    fn rows(&self) -> (Roster, Vec<ApiId>) {
        roster::merge(self.sources.iter().map(Source::roster))
    }

    /// Says once which APIs are depended on and not watched: a misspelt name would hold nothing, in silence.
    fn warn_of_unwatched_parents(&mut self, rows: &Roster, dependents: &Dependents) {
        let is_watched = |api_id: &ApiId| rows.get(api_id).is_some_and(|row| row.enabled);
        let unwatched: BTreeSet<ApiId> = dependents.keys().filter(|id| !is_watched(id)).cloned().collect();
        for api_id in unwatched.difference(&self.unwatched_parents) {
            let needed_by = dependents[api_id].iter().next().map(ApiId::as_str);
            tracing::warn!(%api_id, needed_by, "this API stands in depends_on and is not watched, so it holds no alerts");
        }
        self.unwatched_parents = unwatched;
    }

    /// Says once which ids more than one source has.
    fn warn_of_duplicates(&mut self, duplicates: Vec<ApiId>) {
        let duplicates: HashSet<ApiId> = duplicates.into_iter().collect();
        for api_id in duplicates.difference(&self.duplicates) {
            let has_it = self.sources.iter().filter(|source| source.roster().contains_key(api_id));
            let sources = has_it.map(|source| source.port.name()).collect::<Vec<_>>().join(" and ");
            tracing::warn!(%api_id, sources, "more than one source has this API; the first one counts");
        }
        self.duplicates = duplicates;
    }
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
        if std::mem::replace(&mut self.configs.is_reading, true) {
            self.configs.read_again = true;
            return;
        }
        let is_of_all = mode != ReadMode::Glance;
        if is_of_all {
            (self.configs.begun, self.configs.begun_at) = (self.configs.begun + 1, Some(Instant::now()));
        }
        let (number, revision, now) = (self.configs.begun, self.revision_of_all(), self.monotonic());
        let readings = join_all(self.configs.sources.iter().map(|source| source.read(mode, now)));
        ctx.spawn(readings.into_actor(self).map(move |readings, supervisor, ctx| {
            let (now, configs) = (supervisor.monotonic(), &mut supervisor.configs);
            configs.is_reading = false;
            let is_changed =
                || configs.sources.iter().zip(&readings).any(|(source, read)| source.is_changed_by(read, now));
            if mode == ReadMode::Again && is_changed() {
                // It may be a reading of yesterday: a row that it misses would be stopped, and its incident closed.
                configs.read_again = true;
            } else {
                if is_of_all {
                    (configs.read, configs.known_revision) = (number, revision.map_or(0, |all| all.revision));
                }
                supervisor.on_read(readings, ctx);
            }
            supervisor.read_again_if_asked(ctx);
        }));
    }

    fn read_again_if_asked(&mut self, ctx: &mut Context<Self>) {
        if std::mem::take(&mut self.configs.read_again) {
            self.reload(ctx);
        }
    }

    fn on_read(&mut self, readings: Vec<ReadResult>, ctx: &mut Context<Self>) {
        if readings.iter().all(ReadResult::is_unchanged) {
            return self.answer_waiters();
        }
        let before = self.announces_changes().then(|| self.configs.rows().0);
        let now = self.monotonic();
        for (source, reading) in self.configs.sources.iter_mut().zip(readings) {
            source.accept(reading, now);
        }
        if let Some(before) = before {
            self.announce_changes(&before);
        }
        let unreadable: Vec<String> =
            self.configs.sources.iter().filter_map(|source| source.unreadable.clone()).collect();
        let is_any_refused = self.configs.sources.iter().any(|source| source.refused > 0);
        self.stats.measured.reloaded(unreadable.is_empty() && !is_any_refused);
        self.configs.unreadable.send_replace(unreadable);
        self.reconcile(ctx);
    }

    /// Makes what runs follow what is configured and owned. While the chain is down there is nobody to tell of rows: what they ask
    /// for is made up for when it is up.
    pub(super) fn reconcile(&mut self, ctx: &mut Context<Self>) {
        let ownership = &self.ownership;
        // Probes under way are cut: what they would find is for the next owner to find.
        self.probers.supervised.retain(|api_id, _| ownership.owns(shard(api_id)));
        if self.chain.is_up() && !self.stopping && !self.escalated {
            self.follow_rows(ctx);
        }
        self.probers.count.send_replace(self.probers.supervised.len());
        self.say_what_is_not_here();
        self.answer_waiters();
    }

    fn say_what_is_not_here(&self) {
        let (rows, probers) = (self.configs.rows().0, &self.probers.supervised);
        let now: Vec<_> = rows.into_values().filter(|api| !probers.contains_key(&api.api_id)).collect();
        self.configs.not_here.send_if_modified(|before| {
            let is_same = before.len() == now.len() && before.iter().zip(&now).all(|(a, b)| Arc::ptr_eq(a, b));
            if !is_same {
                *before = Arc::new(now);
            }
            !is_same
        });
    }

    fn follow_rows(&mut self, ctx: &mut Context<Self>) {
        let (mut rows, duplicates) = self.configs.rows();
        self.configs.warn_of_duplicates(duplicates);
        let dependents = roster::dependents(&rows);
        self.configs.warn_of_unwatched_parents(&rows, &dependents);
        let probers = &mut self.probers.supervised;
        rows.retain(|api_id, _| probers.contains_key(api_id) || self.ownership.is_ready(shard(api_id)));
        let mut diff = roster::plan(probers.values().map(|prober| &prober.api), rows);
        let (started, changed, stopped) = (diff.started.clone(), diff.changed.clone(), diff.stopped.len());
        if !std::mem::replace(&mut self.configs.is_known, true) {
            diff.started.extend(probers.values().map(|prober| Arc::clone(&prober.api)));
        }
        // What is no longer watched is told nothing of any more: the probe under way is cut.
        diff.stopped.iter().for_each(|(api_id, _)| drop(probers.remove(api_id)));
        diff.configured = self.configured();
        diff.dependents = Some(dependents);
        self.configs.closed_unconfigured |= diff.configured.is_some();
        // Before the probers that it is about are started, so that no outcome comes before it.
        self.tell_keeper(move |core, now| core.apply_configs(&diff, now), ctx);
        if started.len() + changed.len() + stopped > 0 {
            let (started, changed) = (started.len(), changed.len());
            let running = self.probers.supervised.len() + started;
            tracing::info!(started, changed, stopped, running, "configs applied");
        }
        changed.into_iter().for_each(|api| self.reconfigure_prober(api, ctx));
        self.start_first(started, ctx);
    }

    /// Every API that has a row that may run, where a state of any other is to be closed: nobody has looked for those yet, and it is
    /// certain which rows there are, and that there are any at all.
    fn configured(&self) -> Option<HashSet<ApiId>> {
        let (now, once, sources) = (self.monotonic(), self.options.once, &self.configs.sources);
        let is_wanted = self.options.closes_unconfigured && !self.configs.closed_unconfigured;
        if !is_wanted || !sources.iter().all(|source| source.is_certain(once, now)) {
            return None;
        }
        let (rows, _) = self.configs.rows();
        let refused = || sources.iter().filter_map(|source| source.refused_ids.as_ref()).flatten().cloned();
        if rows.is_empty() && refused().next().is_none() {
            return None;
        }
        Some(rows.into_values().filter(|api| api.enabled).map(|api| api.api_id.clone()).chain(refused()).collect())
    }

    fn answer_waiters(&mut self) {
        if self.configs.waiting.is_empty() || !self.chain.is_up() {
            return;
        }
        let (configs, probers) = (&mut self.configs, &self.probers.supervised);
        let enabled = configs.rows().0.values().filter(|api| api.enabled).count();
        let report = LoadReport {
            apis: probers.len(),
            elsewhere: enabled.saturating_sub(probers.len()),
            refused: configs.sources.iter().map(|source| source.refused).sum(),
            unreadable: configs.unreadable.borrow().clone(),
            misconfigured: configs.sources.iter().any(|source| source.misconfigured),
            watched: probers.values().take(REPORT_NAMES_MAX).map(|prober| Arc::clone(&prober.api)).collect(),
        };
        let read = configs.read;
        for (_, waiter) in configs.waiting.extract_if(.., |(reading, _)| *reading <= read) {
            let _ = waiter.send(report.clone());
        }
    }

    /// Looks for changes where that is cheap, every second, and everywhere when `reload_every` is over.
    pub(super) fn look_at_sources(&mut self, ctx: &mut Context<Self>) {
        if self.configs.is_reading || self.options.once || self.stopping {
            return;
        }
        if self.chain.is_up() && self.configured().is_some() {
            self.reconcile(ctx);
        }
        let every = if self.is_follower() { FOLLOW_EVERY } else { self.options.reload_every };
        if self.configs.begun_at.is_some_and(|at| at.elapsed() >= every) {
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
        self.ownership.handle.is_some() && self.configs.read > 0 && !self.ownership.is_ready(Shard::LEADER)
    }

    /// Whether this is the leader, and there are others to be told what it finds changed.
    fn announces_changes(&self) -> bool {
        let is_leader = self.configs.read > 1 && self.ownership.is_ready(Shard::LEADER);
        is_leader && self.ownership.fleet().is_some_and(|fleet| fleet.others.values().any(WorkerRecord::is_live))
    }

    fn announce_changes(&self, before: &Roster) {
        let Some(handle) = self.ownership.handle.as_ref() else { return };
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
        let known = self.configs.known_revision;
        let all = self.revision_of_all().filter(|all| all.revision != known && self.configs.read > 0);
        let Some(all) = all else { return false };
        let changed = if all.revision > known { all.changed_since(known) } else { None };
        let Some(ids) = changed.filter(|ids| !ids.is_empty()) else {
            self.reload(ctx);
            return true;
        };
        let ids: Arc<[ApiId]> = ids.into_iter().collect();
        self.configs.is_reading = true;
        let ports = self.configs.sources.iter().map(|source| Arc::clone(&source.port));
        let reading = join_all(ports.map(|port| read_some(port, Arc::clone(&ids))));
        ctx.spawn(reading.into_actor(self).map(move |read, supervisor, ctx| {
            let (now, configs) = (supervisor.monotonic(), &mut supervisor.configs);
            configs.is_reading = false;
            if let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() {
                configs.known_revision = all.revision;
                for (source, rows) in configs.sources.iter_mut().zip(&read) {
                    source.accept_some(&ids, rows, now);
                }
                supervisor.reconcile(ctx);
            } else {
                configs.read_again = true;
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
        self.configs.waiting.push((self.configs.begun + 1, waiter));
        self.reload(ctx);
        Box::pin(async move { done.await.ok() })
    }
}
