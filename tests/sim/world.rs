//! Runs the script of one seed: one life of the program after another, in virtual time, until the script is over.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::system::Options;
use api_health_actors::testkit::channel::ChannelFault;
use api_health_actors::testkit::configs::SourceFault;
use api_health_actors::testkit::stage::{Entry, Event, Stage};
use api_health_actors::testkit::store::StoreFault;
use api_health_actors::testkit::target::Behaviour;
use api_health_actors::testkit::{FakeChannel, FakeWorld, VirtualClock};
use api_health_core::{AlertKind, ApiConfig, ApiId, ApiState};
use futures_util::FutureExt;

use crate::script::{Action, Hand, Script, TAG, Whose};

/// What really happened in the world of a seed.
pub(crate) struct History {
    pub(crate) journal: Vec<Entry>,
    /// What the program panicked with, but for the panics that were planted.
    pub(crate) panics: Vec<String>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Crashed,
    Stopped,
    Fatal,
    NotStarted,
    Over,
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::Stopped => "stopped in order",
            Self::Fatal => "ended itself",
            Self::NotStarted => "could not start",
            Self::Over => "the script is over",
        }
    }
}

struct Play<'a> {
    script: &'a Script,
    next: usize,
    world: FakeWorld,
    rows: BTreeMap<ApiId, Arc<ApiConfig>>,
    broken: Vec<ApiId>,
    /// Copies that a hand in the table keeps.
    copies: BTreeMap<ApiId, ApiState>,
}

/// Plays the script of a seed, in the present thread.
pub(crate) fn play(seed: u64, script: &Script) -> History {
    let clock = VirtualClock::suspended();
    let rows: Vec<ApiConfig> = script.apis.iter().map(|api| (**api).clone()).collect();
    let mut world = FakeWorld::seeded(rows, clock.clone(), !seed);
    if script.channels == 2 {
        world.channels.push(FakeChannel::on("mail", world.stage.clone()));
    }
    world.store.set_latency(15);
    world.targets.set_latency(700);
    world.channels.iter().for_each(|channel| channel.set_latency(400));
    let rows = script.apis.iter().map(|api| (api.api_id.clone(), Arc::clone(api))).collect();
    let stage = world.stage.clone();
    let mut play = Play { script, next: 0, world, rows, broken: vec![], copies: BTreeMap::new() };
    take_panics();
    let mut downtime = Duration::ZERO;
    for life in 0.. {
        let end = in_a_life(play.live(downtime));
        stage.thaw();
        stage.note(Event::LifeEnded { how: end.as_str() });
        downtime = match end {
            End::Over => break,
            // Whoever starts it again, systemd say, waits a little.
            End::Fatal | End::NotStarted => Duration::from_secs(3),
            End::Crashed | End::Stopped => script.downtimes[life % script.downtimes.len()],
        };
    }
    History { journal: stage.take_journal(), panics: take_panics() }
}

/// A runtime of its own for each life: what is left of a life ends with it, as a process's threads do.
pub(crate) fn in_a_life<T>(life: impl Future<Output = T>) -> T {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a current-thread runtime needs nothing but memory")
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(life)
}

impl Play<'_> {
    async fn live(&mut self, downtime: Duration) -> End {
        let stage = self.world.stage.clone();
        self.forget_copies_of_what_never_was();
        stage.clock.resume(downtime);
        let end = self.live_on(&stage).await;
        // What it still does on its way out does not count. Outside its runtime there is no time of its own.
        stage.freeze();
        stage.clock.suspend();
        end
    }

    async fn live_on(&mut self, stage: &Stage) -> End {
        // What happened while it was away.
        while let Some(action) = self.due(stage.clock.elapsed()) {
            if !matches!(action, Action::Crash | Action::Restart | Action::Trap(..)) && self.act(&action).is_some() {
                return End::Over;
            }
        }
        let options = Options {
            prober_threads: 0,
            checkpoint: self.script.checkpoint,
            digest_above: self.script.digest_above,
            tags_of_channels: match self.script.is_routed {
                true => HashMap::from([("mail".to_owned(), vec![TAG.to_owned()])]),
                false => HashMap::new(),
            },
            ..Options::default()
        };
        let world = self.world.clone();
        let begun = tokio::select! {
            biased;
            () = stage.crashed() => return End::Crashed,
            begun = world.begin(options, vec![]) => begun,
        };
        let Ok(mut running) = begun else { return End::NotStarted };
        let mut first_reading = Some(running.reload().boxed_local());
        let mut stops = false;
        while let Some(reading) = &mut first_reading
            && !stops
        {
            let until = self.script.actions[self.next].0.saturating_sub(stage.clock.elapsed());
            let is_read = tokio::select! {
                biased;
                () = stage.crashed() => return End::Crashed,
                _ = reading => true,
                () = tokio::time::sleep(until) => false,
            };
            if is_read {
                first_reading = None;
            }
            match self.act_on_what_is_due(stage) {
                Some(End::Stopped) => stops = true,
                Some(end) => return end,
                None => {}
            }
        }
        drop(first_reading);
        while !stops {
            let until = self.script.actions[self.next].0.saturating_sub(stage.clock.elapsed());
            tokio::select! {
                biased;
                () = stage.crashed() => return End::Crashed,
                _ = running.fatal() => return End::Fatal,
                () = tokio::time::sleep(until) => {}
            }
            match self.act_on_what_is_due(stage) {
                Some(End::Stopped) => stops = true,
                Some(end) => return end,
                None => {}
            }
        }
        tokio::select! {
            biased;
            () = stage.crashed() => End::Crashed,
            _ = running.stop(Duration::from_secs(10)) => End::Stopped,
        }
    }

    fn act_on_what_is_due(&mut self, stage: &Stage) -> Option<End> {
        while let Some(action) = self.due(stage.clock.elapsed()) {
            if let Some(end) = self.act(&action) {
                return Some(end);
            }
        }
        None
    }

    fn due(&mut self, now: Duration) -> Option<Action> {
        let (at, action) = self.script.actions.get(self.next)?;
        if *at > now {
            return None;
        }
        self.next += 1;
        Some(action.clone())
    }

    fn id(&self, n: usize) -> ApiId {
        self.script.apis[n].api_id.clone()
    }

    fn act(&mut self, action: &Action) -> Option<End> {
        let world = &self.world;
        if !matches!(action, Action::Behave(..) | Action::Hand(..)) {
            world.stage.note(Event::Scripted(in_words(action)));
        }
        match action {
            Action::Behave(n, behaviour) => world.targets.set(self.script.apis[*n].api_id.as_str(), *behaviour),
            Action::Store(fault) => world.store.set_fault(*fault),
            Action::Channel(n, fault) => world.channels[*n].set_fault(fault.clone()),
            Action::Source(fault) => world.configs.set_fault(*fault),
            Action::Row(n, row) => {
                let id = self.id(*n);
                self.broken.retain(|broken| *broken != id);
                match row {
                    Some(row) => self.rows.insert(id, Arc::clone(row)),
                    None => self.rows.remove(&id),
                };
                self.set_rows();
            }
            Action::Break(n) => {
                let id = self.id(*n);
                if self.rows.remove(&id).is_some() {
                    self.broken.push(id);
                }
                self.set_rows();
            }
            Action::SetClock(by_ms) => {
                world.clock.step(*by_ms);
                world.stage.note(Event::ClockSet { by_ms: *by_ms });
            }
            Action::Resolver { finds, says_well } => {
                world.targets.set_line((!finds).then_some(Behaviour::LookupFails));
                world.witnesses.set_resolver_dead(!says_well);
            }
            Action::Trap(step, countdown) => world.stage.trap(*step, *countdown),
            Action::Crash => return Some(End::Crashed),
            Action::Restart => return Some(End::Stopped),
            Action::Hand(whose, hand) => {
                if let Some(record) = self.whose(*whose) {
                    world.stage.note(Event::Scripted(format!("a hand in the table: {hand:?}")));
                    self.lay_hand_on(record, *hand);
                }
            }
            Action::Quiet => {
                let world = self.world.clone();
                world.stage.thaw();
                world.targets.set_line(None);
                world.witnesses.set_resolver_dead(false);
                world.store.set_fault(StoreFault::None);
                world.configs.set_fault(SourceFault::None);
                world.channels.iter().for_each(|channel| channel.set_fault(ChannelFault::None));
                // A broken row that is not watched since a restart keeps its incident open: nothing is known of it.
                for api in &self.script.apis {
                    if self.broken.contains(&api.api_id) {
                        self.rows.insert(api.api_id.clone(), Arc::clone(api));
                    }
                }
                self.broken.clear();
                self.set_rows();
                for api in &self.script.apis {
                    world.targets.set(api.api_id.as_str(), Behaviour::Answers(200));
                }
            }
            Action::End => return Some(End::Over),
        }
        None
    }

    /// The record that a hand goes for.
    fn whose(&self, whose: Whose) -> Option<ApiState> {
        let store = &self.world.store;
        let mut records = self.script.apis.iter().filter_map(|api| store.record(api.api_id.as_str()));
        match whose {
            Whose::Api(n) => store.record(self.id(n).as_str()),
            Whose::Owing => records.find(|record| !record.owed.is_empty()),
            Whose::ToldUnstored => {
                let told: Vec<_> = self.world.channels.iter().flat_map(|channel| channel.delivered()).collect();
                records.find(|record| {
                    let is_it = |alert: &&api_health_core::Alert| alert.api_id == record.api_id;
                    let last = told.iter().map(|(_, alert)| alert).rfind(is_it);
                    last.is_some_and(|last| {
                        let stored = record.incident.as_ref().map(|incident| &incident.incident_id);
                        last.kind == AlertKind::Down && stored != Some(&last.incident_id)
                    })
                })
            }
        }
    }

    fn lay_hand_on(&mut self, mut record: ApiState, hand: Hand) {
        let store = &self.world.store;
        match hand {
            Hand::Bump => {
                record.version += 1;
                store.overwrite(record);
            }
            Hand::Figure => {
                record.version += 1;
                record.missed_ticks += 7;
                store.overwrite(record);
            }
            Hand::Delete => store.delete(&record.api_id),
            Hand::Copy => {
                self.copies.insert(record.api_id.clone(), record);
            }
            Hand::Restore => {
                // One that is as good as what is there is no older copy.
                if let Some(copy) = self.copies.get(&record.api_id).filter(|copy| copy.version + 1 < record.version) {
                    store.overwrite(copy.clone());
                }
            }
        }
    }

    /// A life goes on from what is in the table: copies of what came after that are of a history that is no more.
    fn forget_copies_of_what_never_was(&mut self) {
        let store = &self.world.store;
        self.copies
            .retain(|api_id, copy| store.record(api_id.as_str()).is_some_and(|record| record.version >= copy.version));
    }

    fn set_rows(&self) {
        self.world.configs.set_rows(self.rows.values().cloned().collect(), self.broken.clone());
    }
}

fn in_words(action: &Action) -> String {
    match action {
        Action::Row(n, None) => format!("the row of api-{n:02} is removed"),
        Action::Row(n, Some(row)) => format!(
            "the row of api-{n:02}: {:?}, {}, thresholds {} and {}{}",
            row.name,
            row.schedule,
            row.failure_threshold,
            row.success_threshold,
            if row.enabled { "" } else { ", disabled" }
        ),
        other => format!("{other:?}"),
    }
}

static PANICS: Mutex<Vec<(std::thread::ThreadId, String)>> = Mutex::new(Vec::new());

/// What this thread panicked with since this was asked last.
pub(crate) fn take_panics() -> Vec<String> {
    let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
    let this = std::thread::current().id();
    let (mine, others) = panics.drain(..).partition(|(thread, _)| *thread == this);
    *panics = others;
    mine.into_iter().map(|(_, text)| text).collect()
}

/// Panics in a life are for the oracle to judge, not for the terminal. Planted ones are nobody's fault.
pub(crate) fn hear_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let in_a_seed = std::thread::current().name().is_some_and(|name| name.starts_with("seed "));
            if !in_a_seed {
                return usual(info);
            }
            if info.payload_as_str() != Some("planted") {
                let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
                panics.push((std::thread::current().id(), info.to_string()));
            }
        }));
    });
}
