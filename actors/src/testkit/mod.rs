//! Fakes with faults, for driving the real actors in virtual time on one thread. Each shares its insides through an
//! `Arc`, so that a test keeps a handle and a restarted system finds the same world.

pub mod channel;
mod configs;
pub mod store;
pub mod target;

pub use channel::FakeChannel;
pub use configs::FakeConfigs;
pub use store::MemoryStore;
pub use target::FakeTargets;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api_health_core::{ApiConfig, ApiId, Method, Schedule, StatusSet, Timestamp};

use crate::ports::{Clock, ConfigSource, Notifier, StateStore};
use crate::system::{self, Options, Running, World};

/// The wall clock of a simulation: a start in 2026, plus tokio's time since the clock was made, plus what it was set by.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    started: tokio::time::Instant,
    /// In milliseconds.
    set_by: Arc<AtomicI64>,
}

/// When the simulated world begins.
pub const WORLD_BEGINS: Timestamp = Timestamp::from_millis(1_767_225_600_000);

impl VirtualClock {
    /// A clock that shows [`WORLD_BEGINS`] now.
    pub fn new() -> Self {
        Self { started: tokio::time::Instant::now(), set_by: Arc::default() }
    }

    /// Sets the clock by so many milliseconds, forward or back, for everybody who has it.
    pub fn step(&self, by: i64) {
        self.set_by.fetch_add(by, Ordering::Relaxed);
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let shown = WORLD_BEGINS.plus(self.started.elapsed()).as_millis();
        Timestamp::from_millis(shown.saturating_add(self.set_by.load(Ordering::Relaxed)))
    }
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
        name: id.to_owned(),
        url: format!("http://{id}.test/"),
        api_id,
        method: Method::Get,
        headers: vec![],
        body: None,
        expected_status: StatusSet::default(),
        timeout: Duration::from_secs(3),
        max_redirects: 0,
        schedule: Arc::new(Schedule::every(Duration::from_secs(interval_seconds))),
        enabled: true,
        failure_threshold: 2,
        success_threshold: 2,
        recheck: Duration::from_secs(5),
        tags: vec![],
    }
}

/// A whole fake world, which outlives any one run of the program in it.
#[derive(Clone)]
pub struct FakeWorld {
    /// What the APIs really do.
    pub targets: FakeTargets,
    /// What is kept.
    pub store: MemoryStore,
    /// Whom it is told to.
    pub channels: Vec<FakeChannel>,
    /// What is configured.
    pub configs: FakeConfigs,
    /// The time.
    pub clock: VirtualClock,
}

impl FakeWorld {
    /// A world in which everything works, with one channel named `pager`.
    pub fn new(apis: Vec<ApiConfig>) -> Self {
        let clock = VirtualClock::new();
        Self {
            targets: FakeTargets::new(clock.clone()),
            store: MemoryStore::default(),
            channels: vec![FakeChannel::new("pager", clock.clone())],
            configs: FakeConfigs::new(apis),
            clock,
        }
    }

    /// Starts the real actors in it, on this thread, with the states that are stored, and reads the configs.
    ///
    /// # Panics
    /// When the store is unavailable.
    pub async fn start(&self, options: Options) -> Running {
        self.start_with(Options { arbiters: 0, ..options }, vec![]).await
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
        let own: Arc<dyn ConfigSource> = Arc::new(self.configs.clone());
        let loaded = self.store.load_all().await.expect("the fake store is there at the start");
        let channels = self.channels.clone();
        let world = World {
            probe: Arc::new(self.targets.clone()),
            store: Arc::new(self.store.clone()),
            states: loaded.states,
            store_name: "memory".into(),
            alone: true,
            instance: "this one".into(),
            notifiers: channels.into_iter().map(|channel| Arc::new(channel) as Arc<dyn Notifier>).collect(),
            sources: std::iter::once(own).chain(more).collect(),
            clock: Arc::new(self.clock.clone()),
        };
        let running = system::start(world, &options);
        running.reload().await;
        running
    }
}
