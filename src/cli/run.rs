//! `run`: watch until told to stop. `run --once`: one round, for cron.

mod control;
mod heartbeat_out;
pub(super) mod limits;
mod notify_loop;
mod progress;
mod readiness;
mod settings;
mod status_line;

use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::child::ExitReason;
use api_health_actors::stats;
use api_health_actors::supervisor::{Fatal, LOAD_TIMEOUT, LoadReport};
use api_health_actors::system::{self, Options, Running};
use futures_util::future::LocalBoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::args::RunArgs;
use super::fleet::sight::Sight;
use super::text;
use crate::app::start::told;
use crate::app::{App, AppError};
use crate::configs::urls;
use crate::control::server::Server;
use crate::exit::Exit;
use crate::memory;
use crate::settings::{LoadedSettings, StoreKind};
use crate::systemd;
use notify_loop::NotifyLoop;
use settings::InForce;

/// How long `run --once` waits for its alerts to be taken over, after the last probe.
const ONCE_TELL: Duration = Duration::from_secs(30);

/// How long a start waits until it is known what this process owns at first. After that it goes on, and watches what it gains.
const JOIN_MAX: Duration = Duration::from_secs(100);

/// Waits until that is known. `remedy` completes why a command that needs everything does nothing without it.
///
/// # Errors
/// It cannot be known in time, or another process has what this one wants whole.
pub(in crate::cli) async fn join(app: &App, running: &Running, remedy: &str) -> Result<(), AppError> {
    let joined = tokio::time::timeout(JOIN_MAX, running.joined()).await;
    let no_lease = |_| Err(format!("no lease was to be had for {} s", JOIN_MAX.as_secs()));
    let why = |why| AppError::Unavailable(format!("{}: {why}; {remedy}", app.store_name()));
    joined.unwrap_or_else(no_lease).map_err(why)
}

/// A round wants all of the tables: where another worker is about it does not even appear, so that nobody gives it a share.
async fn must_be_alone(app: &App) -> Result<(), AppError> {
    if app.settings.store.kind == StoreKind::Sqlite {
        return Ok(()); // its lock sees to that
    }
    // A table that cannot be read is found out, and waited for, by what comes next.
    let Ok(sight) = Sight::read(&*app.open_leases().await?).await else { return Ok(()) };
    let (live, now) = (sight.live_beside(app), app.clock.now());
    match live.values().find(|record| record.is_about(now)) {
        Some(other) => Err(AppError::Unavailable(format!(
            "{}: another api-health shares this store: {} on host {}; nothing was probed",
            app.store_name(),
            other.id,
            text::line(&other.host)
        ))),
        None => Ok(()),
    }
}

/// While no config could be read yet, it is tried again this often.
const FIRST_CONFIGS_EVERY: Duration = Duration::from_secs(5);

/// Runs it.
///
/// # Errors
/// What kept it from starting.
pub(super) async fn run(
    app: &App,
    loaded: LoadedSettings,
    named: Option<&Path>,
    args: &RunArgs,
    colour: bool,
) -> Result<Exit, AppError> {
    let settings = Rc::new(InForce::new(loaded, named));
    limits::raise_open_files_limit();
    check_urls(app, &args.urls)?;
    if args.once {
        must_be_alone(app).await?;
    }
    let mut signals = Signals::new()?;
    // A store that does not answer is waited for; a signal ends that wait.
    let world = tokio::select! {
        world = app.world(&args.urls, args.once, colour) => world?,
        () = signals.again() => {
            tracing::info!("stopped before anything was probed");
            return Ok(Exit::Ok);
        }
    };
    let instance = world.instance.clone();
    // What is watched besides these is not known then, so nothing is taken for removed.
    let closes_unconfigured = args.urls.is_empty();
    let mut running = system::start(world, &Options { closes_unconfigured, ..app.options(args.once) });
    let mut notify_loop = NotifyLoop::of(running.gauges(), Arc::clone(&app.clock));
    // A round is over before anybody has a question.
    let control = if args.once {
        None
    } else {
        control::start(app, Rc::clone(&settings), instance.clone(), running.gauges()).await
    };
    // Who shared the tables and died elsewhere has to be waited for until its lease is over.
    let start = async {
        // A round that may watch nothing must not look like one that found nothing.
        let joined = join(app, &running, "nothing was probed").await;
        if args.once {
            joined?;
        }
        Ok(running.reload().await)
    };
    let Some(report) = until_signal(told(start), &mut signals).await else {
        drop(control);
        return Ok(stop(app, running, &mut signals, &mut notify_loop).await);
    };
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            running.stop(Duration::ZERO).await;
            return Err(error);
        }
    };
    let Some(report) = report else { return Ok(died(&running.fatal().await)) };
    if report.apis == 0 && (args.once || report.misconfigured) && !report.unreadable.is_empty() {
        // There is nothing that could run: say so and leave, instead of waiting for somebody to read the log.
        let why = report.unreadable.join("\n");
        running.stop(Duration::ZERO).await;
        return Err(if report.misconfigured { AppError::BadConfigs(why) } else { AppError::Unavailable(why) });
    }
    announce(&report);
    limits::say_what_is_too_low(report.apis, app.settings.probe.max_in_flight);
    let progress = progress::show(Arc::clone(running.round()));
    let stats = Arc::clone(running.stats());
    let began = tokio::time::Instant::now();
    let mut beside = JoinSet::new();
    let logged = Arc::clone(&stats);
    beside.spawn(async move { stats::log_periodically(&logged).await });
    beside.spawn(memory::give_back_periodically());
    let exit = if args.once {
        once(app, running, &report, signals, &mut notify_loop).await
    } else {
        notify_loop.configs_read(why_none(&report));
        let page = Box::pin(app.show_page(running.gauges(), instance));
        let beats = heartbeat_out::start(app, running.gauges())?;
        let exit = watch(app, running, signals, &mut notify_loop, (control, page), &settings).await;
        drop(beats);
        exit
    };
    drop((progress, beside));
    // Of the whole run.
    stats.counts().log(began.elapsed().as_secs());
    Ok(exit)
}

/// A URL on the command line that is refused would otherwise only be a line in the log.
fn check_urls(app: &App, urls: &[String]) -> Result<(), AppError> {
    let refused = app.rules.check_all(&urls::rows(urls)).refused;
    if refused.is_empty() {
        return Ok(());
    }
    Err(AppError::Configuration(refused.into_iter().flat_map(|row| row.faults).collect()))
}

fn announce(report: &LoadReport) {
    if report.apis == 0 {
        if report.elsewhere > 0 {
            tracing::info!(apis_of_others = report.elsewhere, "nothing to watch here yet: other workers own the APIs");
        } else if report.refused > 0 {
            tracing::warn!(refused = report.refused, "nothing to watch: every row was refused");
        } else if report.unreadable.is_empty() {
            tracing::warn!(
                "nothing to watch yet; write: api-health apis add --url https://…, or [[api]] into the file of APIs"
            );
        } else {
            tracing::warn!("nothing to watch: the configs cannot be read yet");
        }
        return;
    }
    tracing::info!(apis = report.apis, apis_of_others = report.elsewhere, refused = report.refused, "watching");
    for api in &report.watched {
        tracing::info!(
            api_id = %api.api_id,
            url = api.url,
            schedule = %api.schedule,
            worst_detection_seconds = api.worst_detection().as_secs(),
            "watched"
        );
    }
}

/// Watches until a signal says to stop, or until an actor dies that nothing works without. Commands are answered, and the page is shown,
/// until then.
async fn watch(
    app: &App,
    mut running: Running,
    mut signals: Signals,
    notify_loop: &mut NotifyLoop,
    (control, mut page): (Option<Server>, LocalBoxFuture<'_, Infallible>),
    settings: &InForce,
) -> Exit {
    let mut configs_again_at = Instant::now() + FIRST_CONFIGS_EVERY;
    loop {
        let without_configs = notify_loop.is_without_configs();
        tokio::select! {
            never = notify_loop.go_on() => match never {},
            never = &mut page => match never {},
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => {
                tracing::info!("SIGHUP: reading the settings and the configs again");
                if !reload(&running, &mut signals, notify_loop, Some(settings)).await {
                    break;
                }
            }
            () = tokio::time::sleep_until(configs_again_at), if without_configs => {
                configs_again_at = Instant::now() + FIRST_CONFIGS_EVERY;
                if !reload(&running, &mut signals, notify_loop, None).await {
                    break;
                }
            }
            dead = running.fatal() => return died(&dead),
        }
    }
    drop(control);
    let exit = stop(app, running, &mut signals, notify_loop).await;
    drop(page); // it may still write an answer to somebody: nobody waits for that before everything is stored
    exit
}

/// Reads the configs, and the settings where that was asked for, while everything else goes on; `false` if a signal said to stop
/// meanwhile: a source that hangs takes half a minute. systemd hears of a reload that was asked for, once the program is ready.
async fn reload(
    running: &Running,
    signals: &mut Signals,
    notify_loop: &mut NotifyLoop,
    settings: Option<&InForce>,
) -> bool {
    let is_told = settings.is_some() && notify_loop.is_ready();
    if is_told {
        systemd::reloading();
    } else if !notify_loop.is_ready() {
        systemd::extend_start(FIRST_CONFIGS_EVERY + LOAD_TIMEOUT);
    }
    let reading = async {
        if let Some(settings) = settings {
            settings.read_again().await;
        }
        running.reload().await
    };
    let Some(report) = notify_loop.meanwhile(until_signal(reading, signals)).await else { return false };
    // Without a report nothing was read, and the process is about to end: the caller hears of that.
    if let Some(report) = report {
        if is_told {
            systemd::ready();
        }
        if notify_loop.is_without_configs() {
            notify_loop.configs_read(why_none(&report));
        }
    }
    true
}

/// Why there is nothing to watch, if that is because nothing could be read.
fn why_none(report: &LoadReport) -> Option<String> {
    (report.apis == 0 && !report.unreadable.is_empty()).then(|| report.unreadable.join("; "))
}

/// Waits for `what`; `None` if a signal said to stop meanwhile.
async fn until_signal<T>(what: impl Future<Output = T>, signals: &mut Signals) -> Option<T> {
    tokio::select! {
        value = what => Some(value),
        () = signals.again() => None,
    }
}

/// Says which actor is dead that nothing works without.
fn died(dead: &Fatal) -> Exit {
    let (actor, reason) = (dead.child, &dead.reason);
    tracing::error!(actor, %reason, "an actor died that nothing works without; the process ends");
    // What could not be started lacks something outside; anything else is a fault of ours.
    if matches!(reason, ExitReason::Unstartable(_)) { Exit::Unavailable } else { Exit::Internal }
}

/// Stops in order. A second signal ends at once: what is stored is stored, and what is owed is told at the next start.
async fn stop(app: &App, running: Running, signals: &mut Signals, notify_loop: &mut NotifyLoop) -> Exit {
    let within = app.settings.run.shutdown;
    tracing::info!(within_seconds = within.as_secs(), "stopping");
    tokio::select! {
        report = notify_loop.until_stopped(system::longest_stop(within), running.stop(within)) => match report.keeper {
            Some(keeper) if keeper.unsaved == 0 => {
                tracing::info!(owed = keeper.owed, "stopped; everything is stored");
                Exit::Ok
            }
            Some(keeper) => {
                tracing::error!(unsaved = keeper.unsaved, "stopped, but the store did not take everything");
                Exit::Unavailable
            }
            None => {
                tracing::error!("stopped, but the state-keeper did not answer");
                Exit::Internal
            }
        },
        () = signals.again() => {
            tracing::warn!("a second signal: ending at once");
            Exit::Unavailable
        }
    }
}

/// One round. Its exit code says whether the run itself worked; what the APIs did is for the alerts to tell.
async fn once(
    app: &App,
    mut running: Running,
    report: &LoadReport,
    mut signals: Signals,
    notify_loop: &mut NotifyLoop,
) -> Exit {
    let round = Arc::clone(running.round());
    tokio::select! {
        () = round.finished() => {}
        () = signals.again() => {
            // What was probed is stored; whoever counts on the whole round has to know that it was not one.
            let stopped = stop(app, running, &mut signals, notify_loop).await;
            return if stopped == Exit::Ok { Exit::Unfinished } else { stopped };
        }
        dead = running.fatal() => return died(&dead),
    }
    let told = tokio::select! {
        told = running.flush(true, ONCE_TELL) => told,
        () = signals.again() => false,
    };
    let died = running.round().deaths();
    let (done, _) = round.progress();
    let Some(keeper) = running.stop(Duration::ZERO).await.keeper else {
        tracing::error!("the state-keeper did not answer");
        return Exit::Internal;
    };
    tracing::info!(probed = done, down = keeper.down, owed = keeper.owed, unsaved = keeper.unsaved, "round done");
    if keeper.unsaved > 0 {
        Exit::Unavailable
    } else if died > 0 {
        Exit::Internal
    } else if !told {
        Exit::Unfinished
    } else if report.refused > 0 || report.misconfigured {
        Exit::BadConfiguration
    } else if !report.unreadable.is_empty() {
        Exit::Unavailable
    } else {
        Exit::Ok
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, AppError> {
        let on = |kind| signal(kind).map_err(|error| AppError::Internal(format!("signals cannot be heard: {error}")));
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// The next signal that says to stop.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
