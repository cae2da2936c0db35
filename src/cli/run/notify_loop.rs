//! The loop that speaks to systemd while `run` waits for something else: it feeds the watchdog, and reports readiness and status.
//!
//! The watchdog is fed by the progress of probing (promise P9): before each time, the supervisor is asked, and answers on its
//! own thread. There is no timer that feeds a process whose supervisor or whose probers are stuck; what progress is, and how long
//! `WatchdogSec` should be, is said in the module `progress` of the supervisor. The keeper is asked on its own: one that is slow
//! to answer, because of its store, holds up no feeding.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::Clock;
use api_health_actors::supervisor::Asker;
use api_health_actors::system::Gauges;
use tokio::time::Instant;

use super::readiness::{NotReady, Readiness};
use super::status_line::{StatusLine, StatusSummary};
use crate::systemd;

/// How often it is looked whether the program does what it is for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The keeper answers within microseconds; one that takes this long is stuck.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The watchdog is fed this many times in its span: one answer may be late or a no, and the next one is still in time.
const FEEDS: u32 = 3;

/// It is fed no more often than this, however short its span is.
const FEED_EVERY_MIN: Duration = Duration::from_millis(50);

/// Feeds the watchdog, and reports readiness and the status line, for as long as it is polled.
pub(super) struct NotifyLoop {
    gauges: Gauges,
    watchdog_loop: WatchdogLoop,
    status_loop: StatusLoop,
}

struct WatchdogLoop {
    /// `None` without a watchdog.
    every: Option<Duration>,
    next: Instant,
    is_fed: bool,
}

struct StatusLoop {
    clock: Arc<dyn Clock>,
    next: Instant,
    readiness: Readiness,
    status: StatusLine,
    without_configs: Option<String>,
    /// systemd knows that the program is ready.
    is_ready: bool,
}

impl NotifyLoop {
    pub(super) fn of(gauges: Gauges, clock: Arc<dyn Clock>) -> Self {
        let now = Instant::now();
        let every = systemd::watchdog().map(|within| (within / FEEDS).max(FEED_EVERY_MIN));
        Self {
            gauges,
            watchdog_loop: WatchdogLoop { every, next: now, is_fed: true },
            status_loop: StatusLoop {
                clock,
                next: now,
                readiness: Readiness::default(),
                status: StatusLine::new(now),
                without_configs: None,
                is_ready: false,
            },
        }
    }

    /// The configs were read, or could not be for this reason, and there are none from before. The first time that there are
    /// some, systemd is told that the program is ready.
    pub(super) fn configs_read(&mut self, without: Option<String>) {
        self.status_loop.without_configs = without;
        self.status_loop.next = Instant::now();
    }

    /// No configs could be read yet.
    pub(super) fn is_without_configs(&self) -> bool {
        self.status_loop.without_configs.is_some()
    }

    /// systemd was told that the program is ready.
    pub(super) fn is_ready(&self) -> bool {
        self.status_loop.is_ready
    }

    /// Waits for `what`, while everything else goes on.
    pub(super) async fn meanwhile<T>(&mut self, what: impl Future<Output = T>) -> T {
        tokio::select! {
            value = what => value,
            never = self.go_on() => match never {},
        }
    }

    /// Tells what there is to tell, for as long as it is polled. May be dropped and called again at any time.
    pub(super) async fn go_on(&mut self) -> Infallible {
        let Self { gauges, watchdog_loop, status_loop } = self;
        tokio::join!(watchdog_loop.go_on(gauges), status_loop.go_on(gauges)).0
    }

    /// The end is near, and has a deadline of its own: the figures are reported no longer.
    pub(super) async fn until_stopped<T>(&mut self, within: Duration, what: impl Future<Output = T>) -> T {
        systemd::stopping(within);
        let deadline = Instant::now() + within;
        let watchdog_loop = async {
            match self.watchdog_loop.every {
                Some(every) => loop {
                    if Instant::now() < deadline {
                        systemd::feed();
                    }
                    tokio::time::sleep(every).await;
                },
                None => std::future::pending::<Infallible>().await,
            }
        };
        tokio::select! {
            value = what => value,
            never = watchdog_loop => match never {},
        }
    }
}

impl WatchdogLoop {
    async fn go_on(&mut self, gauges: &Gauges) -> Infallible {
        let Some(every) = self.every else { return std::future::pending().await };
        loop {
            tokio::time::sleep_until(self.next).await;
            // A supervisor that does not answer is asked for ever: nobody feeds then.
            let progress = gauges.progress(Asker::Watchdog).await;
            self.next = Instant::now() + every;
            let is_made = progress.is_some_and(|progress| progress.is_made());
            if is_made {
                systemd::feed();
            }
            if is_made != self.is_fed {
                self.is_fed = is_made;
                let (apis, stuck) = progress.map_or((0, 0), |progress| (progress.apis, progress.stuck));
                if is_made {
                    tracing::info!("probing makes progress again; systemd's watchdog is fed");
                } else {
                    tracing::error!(apis, stuck, "probing makes no progress; systemd's watchdog is not fed");
                }
            }
        }
    }
}

impl StatusLoop {
    async fn go_on(&mut self, gauges: &Gauges) -> Infallible {
        loop {
            tokio::time::sleep_until(self.next).await;
            if !self.is_ready && self.without_configs.is_none() {
                self.is_ready = systemd::ready();
            }
            let report = tokio::time::timeout(ANSWER_MAX, gauges.report()).await.ok().flatten();
            let now = self.clock.now();
            let unreadable = gauges.unreadable();
            let configs = match (self.without_configs.is_some(), unreadable.is_empty()) {
                (true, _) => Some(NotReady::Unconfigured),
                (false, false) => Some(NotReady::PartlyUnread),
                (false, true) => None,
            };
            let trouble = self.readiness.look(report, configs, now);
            let summary = StatusSummary {
                apis: gauges.probers(),
                report,
                trouble,
                why_no_configs: self.without_configs.as_deref(),
                unreadable: &unreadable,
                probes: gauges.stats().counts().probes,
            };
            if let Some(line) = self.status.next(&summary, Instant::now()) {
                systemd::status(&line);
            }
            self.next = Instant::now() + LOOK_EVERY;
        }
    }
}
