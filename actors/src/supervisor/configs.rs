//! What is configured, and how what runs follows it.
//!
//! What runs is compared with what is configured, as far as it is owned here, whenever one of the two may have changed
//! ([`Supervisor::reconcile`]). A row that did not change keeps its prober, its phase and its streak. A source that is unreachable
//! or empty all at once changes nothing (P8).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use actix::Context;
use api_health_core::keep::Dependents;
use api_health_core::roster::{self, Roster};
use api_health_core::{ApiConfig, ApiId};
use tokio::sync::{oneshot, watch};

use super::Supervisor;
use super::ownership::shard;
use super::reading::Reading;
use super::source::Source;
use crate::ports::ConfigSource;

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
    pub(super) sources: Vec<Source>,
    pub(super) reading: Reading,
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
}

impl Configs {
    pub(super) fn new(sources: Vec<Arc<dyn ConfigSource>>) -> Self {
        Self { sources: sources.into_iter().map(Source::new).collect(), ..Self::default() }
    }

    /// All rows as they are known, whoever owns them, and the ids that more than one source has.
    pub(super) fn rows(&self) -> (Roster, Vec<ApiId>) {
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
    pub(super) fn configured(&self) -> Option<HashSet<ApiId>> {
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

    pub(super) fn answer_waiters(&mut self) {
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
            misconfigured: configs.sources.iter().any(Source::is_misconfigured),
            watched: probers.values().take(REPORT_NAMES_MAX).map(|prober| Arc::clone(&prober.api)).collect(),
        };
        let read = configs.reading.read;
        for (_, waiter) in configs.waiting.extract_if(.., |(reading, _)| *reading <= read) {
            let _ = waiter.send(report.clone());
        }
    }
}
