//! The desk: what stands for the store, the channels and the clock of a keeper.

use super::*;

/// A keeper, and all that it has to do with.
pub(super) struct Desk {
    pub(super) keeper: Keeper,
    /// What is stored.
    pub(super) store: BTreeMap<ApiId, ApiState>,
    /// Each API as it is watched.
    pub(super) rows: BTreeMap<ApiId, Arc<ApiConfig>>,
    pub(super) now: Duration,
    /// What whoever is probed asks for.
    pub(super) patience: Option<Duration>,
    /// Since when the lease has lapsed, and whether another worker was seen.
    pub(super) lapsed: Option<(Duration, bool)>,
    pub(super) commits: VecDeque<(u64, Vec<StateWrite>)>,
    pub(super) reads: VecDeque<(u64, ApiId)>,
    pub(super) attempts: VecDeque<Attempt>,
    /// What the channels took, in order: `shop down`; of a channel other than the pager with its name.
    pub(super) heard: Vec<String>,
    /// The alerts of that.
    pub(super) alerts: Vec<(Channel, Arc<Alert>)>,
    pub(super) log: Vec<LogEvent>,
    /// Every other effect.
    pub(super) others: Vec<Effect>,
}

/// An attempt that has no end yet.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) channel: Channel,
    /// Several in a digest.
    pub(super) alerts: Vec<Arc<Alert>>,
    pub(super) unstored: bool,
}

impl Attempt {
    /// The only one, or the first of several.
    pub(super) fn alert(&self) -> &Arc<Alert> {
        &self.alerts[0]
    }
}

impl Desk {
    /// A keeper that owns all shards with epoch 1 and watches these APIs, which are up, and stored so.
    pub(super) fn watching(names: &[&str]) -> Self {
        Self::with(setup(), names)
    }

    pub(super) fn with(setup: KeeperConfig, names: &[&str]) -> Self {
        let mut desk = Self::empty(setup);
        desk.gain(&grants(1, true));
        desk.watch(names);
        for name in names {
            desk.finds(name, Verdict::Pass);
        }
        desk.store_answers();
        desk
    }

    /// A keeper that owns nothing.
    pub(super) fn empty(setup: KeeperConfig) -> Self {
        let now = Duration::from_secs(1_000);
        Self {
            keeper: Keeper::new(setup, moment(now)),
            store: BTreeMap::new(),
            rows: BTreeMap::new(),
            now,
            patience: None,
            lapsed: None,
            commits: VecDeque::new(),
            reads: VecDeque::new(),
            attempts: VecDeque::new(),
            heard: Vec::new(),
            alerts: Vec::new(),
            log: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The keeper gains these shards, and is given what is stored. Those whose grant is not good, with the epoch that was found.
    pub(super) fn gain(&mut self, grants: &[Grant]) -> Vec<(Shard, u64)> {
        let found = self.keeper.gain_shards(grants, self.store.values().cloned().collect(), moment(self.now));
        self.take();
        let is_good = |shard: Shard, found: u64| grants.iter().any(|grant| grant.shard == shard && found < grant.epoch);
        found.into_iter().filter(|(shard, found)| !is_good(*shard, *found)).collect()
    }

    pub(super) fn watch(&mut self, names: &[&str]) {
        let started: Vec<Arc<ApiConfig>> = names.iter().map(|name| Arc::new(row(name))).collect();
        self.rows.extend(started.iter().map(|row| (row.api_id.clone(), Arc::clone(row))));
        self.keeper.apply_configs(&ConfigDiff { started, ..ConfigDiff::default() }, moment(self.now));
        self.take();
    }

    /// A probe of this API came to that. Two fails in a row are an outage, and two passes its end.
    pub(super) fn finds(&mut self, name: &str, verdict: Verdict) -> Option<Duration> {
        let api = Arc::clone(&self.rows[name]);
        self.finds_by(api, verdict)
    }

    /// The same by another config than the one that is known.
    pub(super) fn finds_by(&mut self, api: Arc<ApiConfig>, verdict: Verdict) -> Option<Duration> {
        self.now += Duration::from_millis(1); // no two probes begin at one time
        let recheck = self.completes(api, verdict, moment(self.now));
        self.take();
        recheck
    }

    /// A probe by this config ends at that moment.
    pub(super) fn completes(&mut self, api: Arc<ApiConfig>, verdict: Verdict, now: Moment) -> Option<Duration> {
        let outcome = Outcome {
            started_at: now.wall,
            finished_at: now.wall,
            verdict,
            latency_ms: None,
            status_code: None,
            reasons: if verdict == Verdict::Pass { vec![] } else { vec!["refused".into()] },
            evidence: None,
            certificate: None,
            figures: crate::ProbeFigures::default(),
        };
        let next_tick_in = Some(Duration::from_secs(60));
        let completed = CompletedProbe { api, outcome, missed_ticks: 0, next_tick_in, patience: self.patience };
        self.keeper.on_probes_completed(std::iter::once(completed), now).remove(0)
    }

    pub(super) fn goes_down(&mut self, name: &str) {
        self.finds(name, Verdict::Fail);
        self.finds(name, Verdict::Fail);
    }

    pub(super) fn comes_back(&mut self, name: &str) {
        self.finds(name, Verdict::Pass);
        self.finds(name, Verdict::Pass);
    }

    /// So many seconds go by.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        if let Some((since, met_others)) = self.lapsed {
            self.keeper.set_lease(Lease::Lapsed { lapsed_for: self.now - since, met_others, refused: false });
        }
        self.keeper.tick(moment(self.now));
        self.take();
    }

    /// The lease cannot be renewed from now on.
    pub(super) fn lapse(&mut self, met_others: bool) {
        self.lapsed = Some((self.now, met_others));
        self.keeper.set_lease(Lease::Lapsed { lapsed_for: Duration::ZERO, met_others, refused: false });
    }

    pub(super) fn renew(&mut self) {
        self.lapsed = None;
        self.keeper.set_lease(Lease::Valid);
    }

    /// The store answers whatever it is asked, as it should, until it is asked nothing more.
    pub(super) fn store_answers(&mut self) {
        while !self.commits.is_empty() || !self.reads.is_empty() {
            if let Some((call, writes)) = self.commits.pop_front() {
                let results = writes.iter().map(|write| self.write(write)).collect();
                self.answer(call, &writes, results);
            }
            if let Some((call, api_id)) = self.reads.pop_front() {
                let read = self
                    .store
                    .get(&api_id)
                    .map_or(RecordRead::Gone, |state| RecordRead::Found(Box::new(state.clone())));
                self.answer_read(call, &api_id, read);
            }
        }
    }

    /// The store fails whatever it is asked just now.
    pub(super) fn store_fails(&mut self, error: &StoreError) {
        for (call, writes) in std::mem::take(&mut self.commits) {
            let results = vec![Err(CommitError::Store(error.clone())); writes.len()];
            self.answer(call, &writes, results);
        }
        for (call, api_id) in std::mem::take(&mut self.reads) {
            self.answer_read(call, &api_id, RecordRead::Failed(error.clone()));
        }
    }

    /// The store does whatever it is asked just now, and its answers are lost.
    pub(super) fn answers_are_lost(&mut self) {
        for (call, writes) in std::mem::take(&mut self.commits) {
            writes.iter().for_each(|write| drop(self.write(write)));
            let results = vec![Err(CommitError::Store(unavailable())); writes.len()];
            self.answer(call, &writes, results);
        }
    }

    /// The store is dead for so long.
    pub(super) fn store_is_dead_for(&mut self, seconds: u64, error: &StoreError) {
        for _ in 0..seconds {
            self.store_fails(error);
            self.wait(1);
        }
        self.store_fails(error);
    }

    pub(super) fn answer(&mut self, call: u64, writes: &[StateWrite], results: Vec<Result<(), CommitError>>) {
        let ids = writes.iter().map(|write| write.state.api_id.clone());
        self.keeper.on_commit_results(call, ids.zip(results).collect(), moment(self.now));
        self.take();
    }

    pub(super) fn answer_read(&mut self, call: u64, api_id: &ApiId, read: RecordRead) {
        self.keeper.on_record_read(call, api_id, read, moment(self.now));
        self.take();
    }

    /// As every store does.
    pub(super) fn write(&mut self, write: &StateWrite) -> Result<(), CommitError> {
        let there = self.store.get(&write.state.api_id);
        let fits = match there {
            None => write.expected_version == 0,
            Some(there) => there.version == write.expected_version && there.epoch <= write.state.epoch,
        };
        assert!(write.state.version > write.expected_version);
        if fits {
            self.store.insert(write.state.api_id.clone(), (*write.state).clone());
            Ok(())
        } else {
            Err(CommitError::Conflict)
        }
    }

    /// Somebody else writes this record, over whatever is there.
    pub(super) fn somebody_writes(&mut self, name: &str, change: impl FnOnce(&mut ApiState)) {
        let mut state = self.store.get(name).cloned().unwrap_or_else(|| ApiState::unknown(id(name)));
        change(&mut state);
        self.store.insert(state.api_id.clone(), state);
    }

    /// Every attempt that is under way comes to this.
    pub(super) fn attempts_end(&mut self, result: &DeliveryResult) {
        for attempt in std::mem::take(&mut self.attempts) {
            self.ends(&attempt, result);
        }
    }

    pub(super) fn ends(&mut self, attempt: &Attempt, result: &DeliveryResult) {
        let Attempt { channel, alerts, unstored } = attempt;
        if *result == DeliveryResult::Delivered {
            self.hear(attempt);
        }
        self.keeper.on_delivery_result(channel, alerts, *unstored, result, moment(self.now));
        self.take();
    }

    pub(super) fn hear(&mut self, Attempt { channel, alerts, .. }: &Attempt) {
        let through = if **channel == *"pager" { String::new() } else { format!(" through {channel}") };
        for alert in alerts {
            self.heard.push(format!("{} {}{through}", alert.api_id, alert.kind.as_str()));
            self.alerts.push((Arc::clone(channel), Arc::clone(alert)));
        }
    }

    /// The channels take whatever they are handed, and the store answers, until nothing more happens.
    pub(super) fn all_goes_well(&mut self) {
        while !self.commits.is_empty() || !self.reads.is_empty() || !self.attempts.is_empty() {
            self.store_answers();
            self.attempts_end(&DeliveryResult::Delivered);
        }
    }

    /// What is handed over just now, as in `heard`, and whether it is told without the store.
    pub(super) fn under_way(&self) -> Vec<(String, bool)> {
        let words = |alert: &Arc<Alert>| format!("{} {}", alert.api_id, alert.kind.as_str());
        let of =
            |attempt: &Attempt| (attempt.alerts.iter().map(words).collect::<Vec<_>>().join(", "), attempt.unstored);
        self.attempts.iter().map(of).collect()
    }

    pub(super) fn take(&mut self) {
        let (log, effects) = self.keeper.drain();
        self.log.extend(log);
        for effect in effects {
            match effect {
                Effect::Commit { call, writes } => self.commits.push_back((call, writes)),
                Effect::ReadRecord { call, api_id } => self.reads.push_back((call, api_id)),
                Effect::Deliver { channel, alerts, unstored, .. } => {
                    let same = self.attempts.iter().filter(|attempt| attempt.channel == channel);
                    let mut seen: HashSet<&ApiId> =
                        same.flat_map(|attempt| &attempt.alerts).map(|alert| &alert.api_id).collect();
                    assert!(alerts.iter().all(|alert| seen.insert(&alert.api_id)), "one alert of an API at a time");
                    self.attempts.push_back(Attempt { channel, alerts, unstored });
                }
                other => self.others.push(other),
            }
        }
    }

    pub(super) fn stored(&self, name: &str) -> &ApiState {
        &self.store[name]
    }

    pub(super) fn known(&self, name: &str) -> &ApiState {
        self.keeper.state(&id(name)).unwrap()
    }

    pub(super) fn said(&self, matches: impl Fn(&LogEvent) -> bool) -> usize {
        self.log.iter().filter(|line| matches(line)).count()
    }

    pub(super) fn did(&self, matches: impl Fn(&Effect) -> bool) -> usize {
        self.others.iter().filter(|effect| matches(effect)).count()
    }

    /// How often the keeper said that it has let go of the shard of this API.
    pub(super) fn let_go_of(&self, name: &str) -> usize {
        let shard = Shard::of(&id(name), SHARDS);
        self.did(|effect| matches!(effect, Effect::Request(Request::ShardsReleased(shards)) if shards.contains(&shard)))
    }
}
