//! `demo`: the real thing in small. An API on loopback goes down and comes back; the actors that `run` starts watch it
//! over a real socket, keep its state in a real store and tell through a real channel. Only the telling of the story is
//! made for the occasion: [`watch`] listens in on the ports, and [`story`] puts it into words.

mod api;
mod picture;
mod story;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::Clock;
use api_health_actors::system::{self, Options, World};
use api_health_core::ApiConfig;
use serde_json::{Map, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::args::DemoArgs;
use super::out::{Out, note};
use crate::app::{self, AppError};
use crate::clock::SystemClock;
use crate::configs::defaults::ApiDefaults;
use crate::configs::raw::RawRow;
use crate::configs::validate::RowRules;
use crate::exit::Exit;
use crate::notify::terminal::TerminalNotifier;
use crate::probe::{Client, HttpProbe, Limits};
use crate::sqlite::SqliteFile;
use crate::store::history::SqliteHistoryStore;
use crate::store::sqlite::SqliteStateStore;
use api::SmallApi;
use story::Story;
use watch::{OneRow, SeenNotifier, SeenProbe, SeenStore, Text};

/// What was seen and is not told yet; far more than one API gives.
const EVENTS_MAX: usize = 1_024;
/// After the last alert the story goes on for this long, so that calm is seen.
const CALM: Duration = Duration::from_secs(2);
/// If the alerts are not there this long after the story should be over, it failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happens when.
#[derive(Clone, Copy, Debug)]
struct DemoPlan {
    whole: Duration,
    goes_down: Duration,
    comes_back: Duration,
    interval_seconds: u64,
}

impl DemoPlan {
    fn of(seconds: u64) -> Self {
        let whole = Duration::from_secs(seconds);
        Self { whole, goes_down: whole * 3 / 10, comes_back: whole * 65 / 100, interval_seconds: (seconds / 12).max(1) }
    }
}

/// `demo`.
///
/// # Errors
/// What keeps it from starting.
pub(super) async fn run(args: &DemoArgs, out: &Out) -> Result<Exit, AppError> {
    let plan = DemoPlan::of(args.seconds);
    let fault = |what: &str, error: &dyn std::fmt::Display| AppError::Unavailable(format!("{what}: {error}"));
    let api = SmallApi::start().map_err(|error| fault("no port on loopback for the small API", &error))?;
    let folder = tempfile::Builder::new().prefix("api-health-demo-").tempdir();
    let folder = folder.map_err(|error| fault("no temporary folder for the demo's store", &error))?;
    let signals = |kind| signal(kind).map_err(|error| fault("signals cannot be heard", &error));
    let (mut terminate, mut interrupt) = (signals(SignalKind::terminate())?, signals(SignalKind::interrupt())?);

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let config = Arc::new(config(&api, &plan, &clock)?);
    let (events, mut heard) = mpsc::channel(EVENTS_MAX);
    let world = world(&config, &clock, &SqliteFile::open(folder.path().join("demo.db"))?, &events, out)?;
    let options =
        Options { prober_threads: 1, checkpoint: Duration::from_secs(1), spread: false, ..Options::default() };

    let began = Instant::now();
    let mut story = Story::new(out, began, &config);
    let store = world.store_name.clone();
    let mut running = system::start(world, &options);
    // Without a page the story is the same.
    let page = app::web::of_the_demo(&running.gauges(), Arc::clone(&clock), store).ok();
    story.opening(plan.whole, page.as_ref().and_then(|page| page.addresses().first()).copied())?;
    running.reload().await;
    let mut changes = [(plan.goes_down, false), (plan.comes_back, true)].into_iter();
    let mut change = changes.next();
    let deadline = began + plan.whole + PATIENCE;
    let interrupted = loop {
        let end = story.all_told_at().map_or(deadline, |told| (told + CALM).min(deadline));
        let next_change = change.map_or(deadline, |(after, _)| began + after);
        tokio::select! {
            Some(event) = heard.recv() => story.hear(event)?,
            () = sleep_until(next_change), if change.is_some() => {
                if let Some((_, healthy)) = change {
                    api.set_healthy(healthy);
                    story.api_changes(healthy)?;
                }
                change = changes.next();
            }
            () = sleep_until(end) => break false,
            _ = terminate.recv() => break true,
            _ = interrupt.recv() => break true,
            dead = running.fatal() => {
                note(&format!("error: the actor {} died: {}", dead.child, dead.reason));
                break false;
            }
        }
        if out.closed() {
            break true; // nobody is looking
        }
    };
    let ended = Instant::now();
    running.stop(Duration::ZERO).await;
    drop(page); // it waits for its thread, and meanwhile nothing may be probed that nobody counts
    let asked = api.stop();
    drop(folder); // the store is removed whatever came of it
    if interrupted {
        note("the demo was interrupted; nothing is left of it");
        return Ok(Exit::Fail);
    }
    story.ending(ended, asked)
}

/// The row of the small API, read as any other row is.
fn config(api: &SmallApi, plan: &DemoPlan, clock: &Arc<dyn Clock>) -> Result<ApiConfig, AppError> {
    let fields = [
        ("api_id", json!("demo")),
        ("name", json!("Demo API")),
        ("url", json!(api.url())),
        ("interval_seconds", json!(plan.interval_seconds)),
        ("recheck_seconds", json!(1)),
        ("timeout_seconds", json!(2)),
    ];
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>();
    let row = RawRow { location: "demo".into(), fields };
    let checked = RowRules::new(ApiDefaults::default(), Arc::clone(clock)).check(&row);
    checked.map_err(|refused| AppError::Configuration(refused.faults))
}

/// The world of `run`, with a listener at each port.
fn world(
    config: &Arc<ApiConfig>,
    clock: &Arc<dyn Clock>,
    file: &SqliteFile,
    events: &watch::Events,
    out: &Out,
) -> Result<World, AppError> {
    let limits = Limits { max_in_flight: 4, max_in_flight_per_host: 4, body_bytes_max: 64 * 1024 };
    let probe = HttpProbe::new(Client::new(None).map_err(AppError::Internal)?, Arc::clone(clock), limits);
    let text = Text::default();
    let terminal = TerminalNotifier::new(text.clone(), "demo".into(), out.colour, Arc::clone(clock))
        .map_err(|error| AppError::Internal(format!("no thread for the terminal: {error}")))?;
    let notifier = SeenNotifier { inner: terminal, text, events: events.clone() };
    Ok(World {
        probe: Arc::new(SeenProbe { inner: probe, events: events.clone() }),
        witnesses: Arc::new(api_health_actors::ports::NoWitnesses),
        store: Arc::new(SeenStore { inner: SqliteStateStore::open(file)?, events: events.clone() }),
        history: Some(Arc::new(SqliteHistoryStore::open(file, Arc::clone(clock))?)),
        store_name: file.name(),
        instance: "demo".into(),
        notifiers: vec![Arc::new(notifier)],
        sources: vec![Arc::new(OneRow(Arc::clone(config)))],
        clock: Arc::clone(clock),
        leases: None,
    })
}
