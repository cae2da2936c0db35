//! What is configured, and how what runs follows it.
//!
//! What runs is compared with what is configured after every reading, so that a row that did not change keeps its prober,
//! its phase and its streak. A source that is unreachable or empty all at once changes nothing (P8). While the chain is
//! started again nothing is applied: there is nobody to tell.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use api_health_core::keep::ConfigDiff;
use api_health_core::own::notices::{CHANGED_IDS_MAX, ConfigsRevision, Notice};
use api_health_core::own::records::WorkerRecord;
use api_health_core::roster::{self, Roster, RosterChanges};
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::Supervisor;
use super::source::{ReadMode, ReadResult, Source, read, read_some, revision};
use crate::lease_holder::Sight;
use crate::ports::ConfigSource;
use crate::state_keeper::ApplyConfigs;

/// How often sources are asked whether they changed, where that is cheap to tell.
pub(super) const REVISION_EVERY: Duration = Duration::from_secs(1);

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
pub(super) struct Configs {
    sources: Vec<Source>,
    pub(super) running: Roster,
    loading: bool,
    /// Loads begun so far: the number of the latest one.
    begun: u64,
    /// The number of the load that was read last.
    read: u64,
    /// Somebody asked for a reload while one was under way.
    load_again: bool,
    loaded_at: Instant,
    asking: bool,
    /// Something was read while the chain was down.
    apply_when_up: bool,
    duplicates: HashSet<ApiId>,
    /// Which APIs have a row is known for certain: every source was read, nobody is writing it, and none is empty all at once.
    is_certain: bool,
    /// States without a row were looked for.
    closed_unconfigured: bool,
    /// Those who asked for a reload, each with the number of the load that it takes: one that begins after they asked.
    waiting: Vec<(u64, oneshot::Sender<LoadReport>)>,
    /// The sources that could not be read the last time, and why, for whoever shows it.
    pub(super) unreadable: watch::Sender<Vec<String>>,
    /// Up to which revision the rows are known that all workers share.
    known_revision: u64,
}

impl Configs {
    pub(super) fn new(sources: Vec<Arc<dyn ConfigSource>>) -> Self {
        Self {
            sources: sources.into_iter().map(Source::new).collect(),
            running: Roster::new(),
            loading: false,
            begun: 0,
            read: 0,
            load_again: false,
            loaded_at: Instant::now(),
            asking: false,
            apply_when_up: false,
            duplicates: HashSet::new(),
            is_certain: false,
            closed_unconfigured: false,
            waiting: Vec::new(),
            unreadable: watch::Sender::new(Vec::new()),
            known_revision: 0,
        }
    }

    /// Waits for what was written before now: what is being read just now may be older.
    pub(super) fn wait(&mut self, waiter: oneshot::Sender<LoadReport>) {
        self.waiting.push((self.begun.saturating_add(1), waiter));
    }

    /// Nothing is read any more.
    pub(super) fn forget_waiters(&mut self) {
        self.waiting.clear();
    }

    /// Whether what was just read asks for anything to be done with what is owned.
    fn differ(&self, readings: &[ReadResult], is_owned: impl Fn(&ApiId) -> bool, now: Duration) -> bool {
        if readings.iter().all(ReadResult::is_unchanged) {
            return false;
        }
        let rosters: Vec<Roster> = self.sources.iter().zip(readings).map(|(s, r)| s.with(r, now)).collect();
        let (mut configured, _) = roster::merge(&rosters);
        configured.retain(|api_id, _| is_owned(api_id));
        roster::plan(&self.running, &configured) != RosterChanges::default()
    }

    /// Other APIs are owned: what was read last is applied to those as well, and their states without a row are looked for.
    pub(super) fn owned_anew(&mut self) {
        self.apply_when_up |= self.read > 0;
        self.closed_unconfigured = false;
    }

    /// All rows as they are known, whoever owns them.
    fn rows(&self) -> Roster {
        roster::merge(self.sources.iter().map(Source::roster)).0
    }

    fn ports(&self) -> Vec<Arc<dyn ConfigSource>> {
        self.sources.iter().map(|source| Arc::clone(&source.port)).collect()
    }

    fn report(&self) -> LoadReport {
        LoadReport {
            apis: self.running.len(),
            elsewhere: self.rows().values().filter(|api| api.enabled).count().saturating_sub(self.running.len()),
            refused: self.sources.iter().map(|source| source.refused).sum(),
            unreadable: self.sources.iter().filter_map(|source| source.unreadable.clone()).collect(),
            misconfigured: self.sources.iter().any(|source| source.misconfigured),
            watched: self.running.values().take(REPORT_NAMES_MAX).cloned().collect(),
        }
    }

    /// Every API that has a row that may run, if that is certain and there are rows at all.
    pub(super) fn configured(&self) -> Option<HashSet<ApiId>> {
        if !self.is_certain {
            return None;
        }
        let rows = self.rows();
        let mut configured: HashSet<ApiId> =
            rows.values().filter(|api| api.enabled).map(|api| api.api_id.clone()).collect();
        let refused = || self.sources.iter().filter_map(|source| source.refused_ids.as_ref()).flatten();
        configured.extend(refused().cloned());
        (!rows.is_empty() || refused().next().is_some()).then_some(configured)
    }
}

impl Supervisor {
    /// Reads every source that may have changed; only one reading at a time.
    pub(super) fn reload(&mut self, ctx: &mut Context<Self>) {
        let now = self.uptime();
        let all = self.configs.sources.iter().map(|source| ReadMode::IfChanged(source.known(now))).collect();
        self.read_sources(all, ctx);
    }

    fn read_sources(&mut self, how: Vec<ReadMode>, ctx: &mut Context<Self>) {
        if self.stopping.is_some() || self.escalated {
            self.configs.forget_waiters();
            return;
        }
        if self.configs.loading {
            self.configs.load_again = true;
            return;
        }
        self.configs.loading = true;
        self.configs.begun += 1;
        let number = self.configs.begun;
        let is_again = how.iter().any(|how| matches!(how, ReadMode::AgainIfChanged(_)));
        let is_of_all = !how.iter().any(|how| matches!(how, ReadMode::Skip));
        let revision = if is_of_all { self.revision_of_all().map(|all| all.revision) } else { None };
        if is_of_all {
            self.configs.loaded_at = Instant::now();
        }
        let ports = self.configs.ports();
        let reading = async move {
            futures_util::future::join_all(ports.iter().zip(how).map(|(port, how)| read(port, how))).await
        };
        ctx.spawn(reading.into_actor(self).map(move |results, supervisor, ctx| {
            supervisor.configs.loading = false;
            let now = supervisor.uptime();
            if is_again && supervisor.configs.differ(&results, |api_id| supervisor.ownership.is_ready(api_id), now) {
                // It may be a reading of yesterday: a row that it misses would be stopped, and its incident closed.
                supervisor.configs.load_again = false;
                return supervisor.reload(ctx);
            }
            supervisor.configs.read = number;
            if is_of_all {
                supervisor.configs.known_revision = revision.unwrap_or(0);
            }
            supervisor.loaded(results, ctx);
            if std::mem::take(&mut supervisor.configs.load_again) {
                supervisor.reload(ctx);
            }
        }));
    }

    fn loaded(&mut self, results: Vec<ReadResult>, ctx: &mut Context<Self>) {
        if results.iter().all(ReadResult::is_unchanged) && !self.configs.apply_when_up {
            return self.answer_waiters();
        }
        let before = self.tells_others().then(|| self.configs.rows());
        let now = self.uptime();
        for (source, reading) in self.configs.sources.iter_mut().zip(results) {
            source.accept(reading, now);
        }
        if let Some(before) = before {
            self.say_what_changed(&before);
        }
        self.configs.is_certain = self.configs.sources.iter().all(|source| source.is_certain(self.options.once, now));
        let unreadable: Vec<String> = self.configs.sources.iter().filter_map(|s| s.unreadable.clone()).collect();
        self.configs.unreadable.send_replace(unreadable);
        self.configs.apply_when_up = true;
        self.apply_configs(ctx);
    }

    /// Makes what runs follow what was read last, if there is anything new, and as soon as the chain is up.
    pub(super) fn apply_configs(&mut self, ctx: &mut Context<Self>) {
        if !self.configs.apply_when_up || !self.chain.is_up() {
            return;
        }
        self.configs.apply_when_up = false;
        let (mut configured, duplicates) = roster::merge(self.configs.sources.iter().map(Source::roster));
        configured.retain(|api_id, _| self.ownership.is_ready(api_id));
        let duplicates: HashSet<ApiId> = duplicates.into_iter().collect();
        for api_id in duplicates.difference(&self.configs.duplicates) {
            let has_it = self.configs.sources.iter().filter(|source| source.roster().contains_key(api_id));
            let sources = has_it.map(|source| source.port.name()).collect::<Vec<_>>().join(" and ");
            tracing::warn!(%api_id, sources, "more than one source has this API; the first one counts");
        }
        self.configs.duplicates = duplicates;
        if self.stopping.is_none() {
            self.carry_out(roster::plan(&self.configs.running, &configured), ctx);
        }
        self.answer_waiters();
    }

    fn answer_waiters(&mut self) {
        if self.configs.waiting.is_empty() {
            return;
        }
        let report = self.configs.report();
        let read = self.configs.read;
        for (_, waiter) in self.configs.waiting.extract_if(.., |(load, _)| *load <= read) {
            let _ = waiter.send(report.clone());
        }
    }

    fn carry_out(&mut self, plan: RosterChanges, ctx: &mut Context<Self>) {
        let (started, changed, stopped) = (plan.start.len(), plan.change.len(), plan.stop.len());
        self.tell_the_keeper_of(&plan, ctx);
        for (api_id, _) in plan.stop {
            self.configs.running.remove(&api_id);
            // What is no longer watched is told nothing of any more: the probe under way is cut.
            self.probers.remove(&api_id);
        }
        for api in plan.change {
            let before = self.configs.running.insert(api.api_id.clone(), Arc::clone(&api));
            let same_schedule = before.is_some_and(|before| before.schedule == api.schedule);
            self.reconfigure_prober(&api, same_schedule, ctx);
        }
        for api in &plan.start {
            self.configs.running.insert(api.api_id.clone(), Arc::clone(api));
        }
        self.start_first(plan.start, ctx);
        if started + changed + stopped > 0 {
            tracing::info!(started, changed, stopped, running = self.configs.running.len(), "configs applied");
            self.probers.count.send_replace(self.configs.running.len());
        }
    }

    /// Before the probers that it is about are started, so that no outcome comes before it.
    fn tell_the_keeper_of(&mut self, plan: &RosterChanges, ctx: &mut Context<Self>) {
        let look = self.options.closes_unconfigured && !self.configs.closed_unconfigured;
        let configured = if look { self.configs.configured() } else { None };
        self.configs.closed_unconfigured |= configured.is_some();
        let watch = ConfigDiff {
            started: plan.start.clone(),
            changed: plan.change.clone(),
            stopped: plan.stop.clone(),
            configured,
        };
        self.send_to_keeper(ApplyConfigs(watch), ctx);
    }

    /// Looks for changes where that is cheap, every second, and everywhere when `reload_every` is over.
    pub(super) fn on_tick(&mut self, ctx: &mut Context<Self>) {
        if self.configs.loading || self.configs.asking || self.options.once || self.stopping.is_some() {
            return;
        }
        let every = if self.is_follower() { FOLLOW_EVERY } else { self.options.reload_every };
        let now = self.uptime();
        if self.configs.loaded_at.elapsed() >= every {
            let again = self.configs.sources.iter().map(|source| ReadMode::AgainIfChanged(source.known(now))).collect();
            return self.read_sources(again, ctx);
        }
        self.close_unconfigured(now, ctx);
        if self.follow_revision(ctx) {
            return;
        }
        self.configs.asking = true;
        let ports = self.configs.ports();
        let asking = async move { futures_util::future::join_all(ports.iter().map(revision)).await };
        ctx.spawn(asking.into_actor(self).map(|revisions, supervisor, ctx| {
            supervisor.configs.asking = false;
            let now = supervisor.uptime();
            let sources = supervisor.configs.sources.iter().zip(revisions);
            let how: Vec<ReadMode> = sources
                .map(
                    |(source, revision)| {
                        if source.is_look_due(revision, now) { ReadMode::IfChanged(None) } else { ReadMode::Skip }
                    },
                )
                .collect();
            let is_any_due = how.iter().any(|how| !matches!(how, ReadMode::Skip));
            if is_any_due && !supervisor.configs.loading {
                supervisor.read_sources(how, ctx);
            }
        }));
    }

    /// States without a row are closed as soon as it is certain that they have none.
    fn close_unconfigured(&mut self, now: Duration, ctx: &mut Context<Self>) {
        let configs = &mut self.configs;
        let is_wanted = self.options.closes_unconfigured && !configs.closed_unconfigured && configs.read > 0;
        configs.is_certain = configs.sources.iter().all(|source| source.is_certain(false, now));
        if is_wanted && configs.configured().is_some() {
            configs.apply_when_up = true;
            self.apply_configs(ctx);
        }
    }

    /// How far the rows are that all workers share, as it is seen; `None`: nobody shares them.
    fn revision_of_all(&self) -> Option<ConfigsRevision> {
        let sight = self.ownership.handle.as_ref()?.sight();
        let fleet = sight.borrow().fleet.clone()?;
        Some(fleet.assignment.configs.clone())
    }

    /// Another worker reads all rows each time, and says what changed: the owner of the first shard.
    fn is_follower(&self) -> bool {
        self.ownership.handle.is_some() && self.configs.read > 0 && !self.ownership.is_leader()
    }

    /// Whether this is the owner of the first shard, and there are others to be told what it finds changed.
    fn tells_others(&self) -> bool {
        let has_others =
            |sight: &Sight| sight.fleet.as_ref().is_some_and(|fleet| fleet.others.values().any(WorkerRecord::is_live));
        let handle = self.ownership.handle.as_ref().filter(|_| self.ownership.is_leader());
        self.configs.read > 1 && handle.is_some_and(|handle| has_others(&handle.sight().borrow()))
    }

    fn say_what_changed(&self, before: &Roster) {
        let Some(handle) = self.ownership.handle.as_ref() else { return };
        let now = self.configs.rows();
        let ids = before.keys().chain(now.keys()).filter(|id| before.get(*id) != now.get(*id));
        let changed: BTreeSet<ApiId> = ids.cloned().collect();
        if !changed.is_empty() {
            let named = (changed.len() <= CHANGED_IDS_MAX).then(|| changed.into_iter().collect());
            handle.notice(Notice::ConfigsChanged(named));
        }
    }

    /// Reads what is said to have changed. Whether there was anything.
    fn follow_revision(&mut self, ctx: &mut Context<Self>) -> bool {
        let Some(all) = self.revision_of_all() else { return false };
        let known = self.configs.known_revision;
        if all.revision == known || self.configs.read == 0 {
            return false;
        }
        let changed = if all.revision > known { all.changed_since(known) } else { None };
        let Some(ids) = changed.filter(|ids| !ids.is_empty()) else {
            self.reload(ctx);
            return true;
        };
        let ids: Vec<ApiId> = ids.into_iter().collect();
        self.configs.asking = true;
        let (ports, wanted) = (self.configs.ports(), ids.clone());
        let reading =
            async move { futures_util::future::join_all(ports.iter().map(|port| read_some(port, &wanted))).await };
        ctx.spawn(reading.into_actor(self).map(move |read, supervisor, ctx| {
            supervisor.configs.asking = false;
            let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() else { return supervisor.reload(ctx) };
            supervisor.configs.known_revision = all.revision;
            let now = supervisor.uptime();
            for (source, configs) in supervisor.configs.sources.iter_mut().zip(&read) {
                source.accept_some(&ids, configs, now);
            }
            supervisor.configs.apply_when_up = true;
            supervisor.apply_configs(ctx);
        }));
        true
    }
}
