//! The watched world: APIs at the target, the real probe, and the real actors over a store.

use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::probe::{Client, HttpProbe, Limits};
use api_health_actors::ports::{Clock, ConfigSource, LoadedConfigs, Probe, SourceError, StateStore};
use api_health_actors::system::{self, Options, Running, World};
use api_health_core::assertion::Assertion;
use api_health_core::state::LastProbe;
use api_health_core::{ApiConfig, ApiId, ApiState, Schedule, Status, Timestamp, Verdict};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::target::DOCUMENT;

/// As in the settings' defaults.
pub const MAX_IN_FLIGHT: usize = 4_096;
/// As in the settings' defaults.
pub const BODY_BYTES_MAX: usize = 1_024 * 1_024;
/// Threads of probers, and of the bare loops beside them.
pub const ARBITERS: usize = 2;

/// The system clock, moved by a fixed span: it brings the next tick of a cron expression near.
#[derive(Clone, Copy, Debug, Default)]
pub struct MovedClock {
    /// How far ahead of the system clock.
    pub ahead: Duration,
}

impl MovedClock {
    /// A clock that reaches the next even minute, at which the default schedule ticks, after `wait`.
    pub fn tick_in(wait: Duration) -> Self {
        const TICK_MS: i64 = 120_000;
        let now = SystemClock.now().as_millis();
        let to_tick = u64::try_from(TICK_MS - now.rem_euclid(TICK_MS)).expect("1 to 120,000");
        let to_tick = Duration::from_millis(to_tick) + Duration::from_millis(120_000);
        Self { ahead: to_tick.saturating_sub(wait) }
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.ahead)
    }
}

/// The schedule of a row that names none.
pub fn default_schedule(now: Timestamp) -> Arc<Schedule> {
    Arc::new(Schedule::cron(Schedule::DEFAULT_CRON, "UTC", now).expect("the default is good"))
}

/// The id of the API with this number.
pub fn id(index: usize) -> String {
    format!("api-{index:06}")
}

/// `n` APIs at the target, with the default thresholds.
pub fn apis(n: usize, bases: &[String], schedule: &Arc<Schedule>) -> Vec<Arc<ApiConfig>> {
    let api = |index: usize| {
        let id = id(index);
        Arc::new(ApiConfig {
            // A tick of 50,000 waits for its turns, and longer than that on a busy machine.
            timeout: Duration::from_secs(60),
            ..ApiConfig::plain(
                ApiId::parse(&id).expect("a plain id"),
                format!("{}/{index}", bases[index % bases.len()]),
                Arc::clone(schedule),
            )
        })
    };
    (0..n).map(api).collect()
}

/// The same, asked for a document of about 1 KB that is judged by a regular expression and two paths.
pub fn judged(apis: Vec<Arc<ApiConfig>>) -> Vec<Arc<ApiConfig>> {
    let all = [r"body matches v\d+\.\d+", r#"json $.parts[*].status = "UP""#, "json $.parts length > 10"];
    let shared = all.map(|text| Arc::new(Assertion::parse(text).expect("a good one"))).to_vec();
    let judged = |api: Arc<ApiConfig>| {
        let (base, index) = api.url.rsplit_once('/').expect("as it was made");
        let assertions = shared.clone();
        Arc::new(ApiConfig { url: format!("{base}{DOCUMENT}{index}"), assertions, ..(*api).clone() })
    };
    apis.into_iter().map(judged).collect()
}

/// The state of an API that has been up for a while.
pub fn steady_state(api: &ApiConfig) -> ApiState {
    let probed_at = Timestamp::from_millis(1_767_225_600_000);
    ApiState {
        version: 1,
        status: Status::Up,
        since: Some(probed_at),
        last_probe: Some(LastProbe {
            at: probed_at,
            verdict: Verdict::Pass,
            latency_ms: Some(1),
            status_code: Some(200),
            error: None,
        }),
        ..ApiState::unknown(api.api_id.clone())
    }
}

/// The probe of the product.
pub fn http_probe(clock: Arc<dyn Clock>) -> HttpProbe {
    let client = Client::new(None).expect("no extra roots, so none that are wrong");
    let (max_in_flight, max_in_flight_per_host) = (MAX_IN_FLIGHT, MAX_IN_FLIGHT);
    HttpProbe::new(client, clock, Limits { max_in_flight, max_in_flight_per_host, body_bytes_max: BODY_BYTES_MAX })
}

/// Logs as the daemon writes them by default, and throws them away: what a span or an event costs is counted.
pub fn log_to_nowhere() {
    tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).with_writer(std::io::sink).init();
}

struct Rows(Vec<Arc<ApiConfig>>);

impl ConfigSource for Rows {
    fn name(&self) -> String {
        "bench".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async { Ok(LoadedConfigs { good: self.0.clone(), ..LoadedConfigs::default() }) }.boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async { Some(1) }.boxed()
    }
}

/// The real actors' world over `apis`, without a channel, owned whole.
pub fn world(
    apis: Vec<Arc<ApiConfig>>,
    probe: Arc<dyn Probe>,
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
) -> World {
    World {
        probe,
        witnesses: Arc::new(api_health_actors::ports::NoWitnesses),
        store,
        history: None,
        store_name: "bench".into(),
        instance: "bench".into(),
        notifiers: vec![],
        sources: vec![Arc::new(Rows(apis))],
        clock,
        leases: None,
    }
}

/// Starts the real actors in that world; they load what `store` holds. Nothing is probed before `reload`.
pub fn start(
    apis: Vec<Arc<ApiConfig>>,
    probe: Arc<dyn Probe>,
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    options: &Options,
) -> Running {
    start_world(world(apis, probe, store, clock), options)
}

/// The same for a world that is made already.
pub fn start_world(world: World, options: &Options) -> Running {
    system::start(world, &Options { prober_threads: ARBITERS, ..options.clone() })
}
