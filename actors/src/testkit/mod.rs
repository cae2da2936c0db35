//! Fakes with faults, for driving the real actors in virtual time on one thread. Each shares its insides through an
//! `Arc`, so that a test keeps a handle and a restarted system finds the same world.

pub mod board;
pub mod channel;
mod clock;
pub mod configs;
pub mod history;
pub mod leases;
pub mod stage;
pub mod store;
pub mod target;
pub mod witnesses;

pub use channel::FakeChannel;
pub use clock::{VirtualClock, WORLD_BEGINS};
pub use configs::FakeConfigs;
pub use history::MemoryHistory;
pub use stage::Stage;
pub use store::MemoryStore;
pub use target::FakeTargets;
pub use witnesses::FakeWitnesses;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_core::{ApiConfig, ApiId, Schedule};

use crate::ports::{Clock as _, ConfigSource, HistoryStore, Notifier, StateStore, StoreError};
use crate::supervisor::LeaseParts;
use crate::system::{self, Options, Running, World};
use api_health_core::own::member::Member;
use api_health_core::own::records::{WorkerId, WorkerRecord};
use api_health_core::own::shards::SHARDS;
use api_health_core::own::terms::Terms;
use leases::LeaseLine;

/// Where a test has panicked, the fakes go on as they are.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("planted".into())
}

fn misconfigured() -> StoreError {
    StoreError::Misconfigured { what: "planted".into(), remedy: "mend it".into() }
}

/// Runs `body` in an actix system of its own whose time jumps whenever nobody has work.
///
/// # Panics
/// When the runtime cannot be built, which is a fault of the machine.
pub fn in_virtual_time<F: Future>(body: F) -> F::Output {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a current-thread runtime needs nothing but memory")
    };
    actix_rt::System::with_tokio_rt(runtime).block_on(body)
}

/// An API that is probed every `interval_seconds`, with the default thresholds (2, 2) and recheck (5 s).
pub fn api(id: &str, interval_seconds: u64) -> ApiConfig {
    let api_id = ApiId::parse(id).expect("tests use plain ids");
    ApiConfig {
        timeout: Duration::from_secs(3),
        ..ApiConfig::plain(
            api_id,
            format!("http://{id}.test/"),
            Arc::new(Schedule::every(Duration::from_secs(interval_seconds))),
        )
    }
}

/// A whole fake world, which outlives any one run of the program in it.
#[derive(Clone)]
pub struct FakeWorld {
    /// What the APIs really do.
    pub targets: FakeTargets,
    /// Who says whose fault a failure is.
    pub witnesses: FakeWitnesses,
    /// What is kept.
    pub store: MemoryStore,
    /// Where the past is kept; `None`: nowhere.
    pub history: Option<MemoryHistory>,
    /// Whom it is told to.
    pub channels: Vec<FakeChannel>,
    /// What is configured.
    pub configs: FakeConfigs,
    pub clock: VirtualClock,
    /// What they share: a journal of all that really happened, chance, and crashes.
    pub stage: Stage,
}

impl FakeWorld {
    /// A world in which everything works, with one channel named `pager`.
    pub fn new(apis: Vec<ApiConfig>) -> Self {
        Self::seeded(apis, VirtualClock::new(), 0)
    }

    /// The same, with that clock and that seed for whatever its faults leave to chance.
    pub fn seeded(apis: Vec<ApiConfig>, clock: VirtualClock, seed: u64) -> Self {
        let stage = Stage::new(clock.clone(), seed);
        Self {
            targets: FakeTargets::on(stage.clone()),
            witnesses: FakeWitnesses::default(),
            store: MemoryStore::on(stage.clone()),
            history: None,
            channels: vec![FakeChannel::on("pager", stage.clone())],
            configs: FakeConfigs::on(stage.clone(), apis),
            clock,
            stage,
        }
    }

    /// Starts the real actors in it, on this thread, with the states that are stored, and reads the configs.
    ///
    /// # Panics
    /// When the store is unavailable.
    pub async fn start(&self, options: Options) -> Running {
        self.start_with(Options { prober_threads: 0, ..options }, vec![]).await
    }

    /// The same on as many threads as `options` say, in real time.
    ///
    /// # Panics
    /// When the store is unavailable.
    pub async fn start_on_threads(&self, options: Options) -> Running {
        self.start_with(options, vec![]).await
    }

    /// The same with more sources of configs.
    ///
    /// # Panics
    /// When the store is unavailable.
    pub async fn start_with(&self, options: Options, more: Vec<Arc<dyn ConfigSource>>) -> Running {
        let running = self.begin(options, more).await.expect("the fake store is there at the start");
        running.reload().await;
        running
    }

    /// As [`Self::start_with`], and the configs are not read yet.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn begin(&self, options: Options, more: Vec<Arc<dyn ConfigSource>>) -> Result<Running, StoreError> {
        self.begin_with(options, more, None).await
    }

    /// Starts one of several workers that share this world, by its own line to the leases, and reads the configs when it is known
    /// what it owns at first.
    ///
    /// # Panics
    /// When the store is unavailable.
    pub async fn start_worker(&self, name: &str, line: &LeaseLine, options: Options) -> Running {
        let options = Options { prober_threads: 0, ..options };
        let leases = Some(self.lease_parts(name, line));
        let running = self.begin_with(options, vec![], leases).await.expect("the fake store is there at the start");
        running.joined().await.expect("it does not want all");
        running.reload().await;
        running
    }

    /// The same world as another process sees it, by its own clock and by lines of its own that can be made to fail.
    #[must_use]
    pub fn of_process(&self, process: usize, clock: VirtualClock) -> Self {
        let stage = self.stage.of_process(process, clock.clone());
        Self {
            targets: self.targets.line(stage.clone()),
            witnesses: FakeWitnesses::default(),
            store: self.store.line(stage.clone()),
            history: self.history.clone(),
            channels: self.channels.iter().map(|channel| channel.line(stage.clone())).collect(),
            configs: self.configs.line(stage.clone()),
            clock,
            stage,
        }
    }

    /// Begins to run one of several workers, on this thread. The configs are not read yet.
    ///
    /// # Errors
    /// When the store is unavailable.
    pub async fn begin_worker(&self, leases: LeaseParts, options: Options) -> Result<Running, StoreError> {
        self.begin_with(Options { prober_threads: 0, ..options }, vec![], Some(leases)).await
    }

    /// How a worker of that name holds leases in this world.
    ///
    /// # Panics
    /// For a name that is none.
    pub fn lease_parts(&self, name: &str, line: &LeaseLine) -> LeaseParts {
        let id = WorkerId::parse(name).expect("tests use plain names");
        let record = WorkerRecord {
            channels: self.channels.iter().map(|channel| channel.channel().to_owned()).collect(),
            host: name.to_owned(),
            started_at: self.clock.now(),
            ..WorkerRecord::new(id, &Terms::DEFAULT, 3)
        };
        let started = tokio::time::Instant::now();
        LeaseParts {
            // A name is never used by two lives at once here.
            member: Member::new(record, true, Terms::DEFAULT, SHARDS, 2),
            leases: Arc::new(line.clone()),
            now: Arc::new(move || started.elapsed().saturating_add(Duration::from_secs(1))),
            expected: None,
            alone: false,
        }
    }

    async fn begin_with(
        &self,
        options: Options,
        more: Vec<Arc<dyn ConfigSource>>,
        leases: Option<LeaseParts>,
    ) -> Result<Running, StoreError> {
        let own: Arc<dyn ConfigSource> = Arc::new(self.configs.clone());
        self.store.load_all().await?;
        let channels = self.channels.clone();
        let world = World {
            probe: Arc::new(self.targets.clone()),
            witnesses: Arc::new(self.witnesses.clone()),
            store: Arc::new(self.store.clone()),
            history: self.history.clone().map(|history| Arc::new(history) as Arc<dyn HistoryStore>),
            store_name: "memory".into(),
            instance: format!("process {}", self.stage.number()),
            notifiers: channels.into_iter().map(|channel| Arc::new(channel) as Arc<dyn Notifier>).collect(),
            sources: std::iter::once(own).chain(more).collect(),
            clock: Arc::new(self.clock.clone()),
            leases,
        };
        self.stage.note(stage::Event::LifeBegan);
        Ok(system::start(world, &options))
    }
}
