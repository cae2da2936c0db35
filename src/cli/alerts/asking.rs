//! Asking the workers that share the tables: an ask stands in their assignment, and whoever owns the alerts acts upon it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::leases::Leases;
use api_health_core::own::notices::{Ask, AskFor, Notice};
use api_health_core::own::records::{WorkerId, WorkerRecord};
use tokio::time::Instant;

use crate::app::{App, AppError};
use crate::cli::fleet::notices;
use crate::cli::fleet::sight::Sight;
use crate::cli::out::note;
use crate::cli::{stored, text};
use crate::control::client::Found;

/// How often the records are read until a channel is owed nothing,
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// and how much longer than it takes the workers to see the ask.
const STORED_WITHIN: Duration = Duration::from_secs(15);

/// The workers that live, as far as their records say.
pub(in crate::cli) struct Workers {
    leases: Arc<dyn Leases>,
    live: BTreeMap<WorkerId, WorkerRecord>,
    /// Since when their leases are watched.
    since: Instant,
}

impl Workers {
    /// Those that share the table; `None`: there are none but the daemon that answers on this machine, if there is one.
    ///
    /// # Errors
    /// The table does not answer, or holds a record of workers that cannot be read.
    pub(super) async fn find(app: &App, daemon: Option<&Found>) -> Result<Option<Self>, AppError> {
        let leases = app.open_leases().await?;
        let sight = Sight::read(&*leases).await?;
        let live = if daemon.is_some() { sight.live() } else { sight.live_beside(app) };
        let is_daemon = |record: &WorkerRecord| {
            let instance = record.heartbeat.as_ref().map(|heartbeat| &heartbeat.instance);
            daemon.is_some_and(|daemon| instance == Some(&daemon.who.instance))
        };
        let has_others = live.values().any(|record| !is_daemon(record));
        Ok(has_others.then(|| Self { leases, live, since: Instant::now() }))
    }

    /// How long it may take until all of them have seen an ask, or were found to be dead.
    pub(super) fn see_within(&self) -> Duration {
        self.live.values().map(|record| record.lease).max().unwrap_or_default()
    }

    /// Writes an ask.
    ///
    /// # Errors
    /// The table does not take it.
    pub(super) async fn ask(&self, app: &App, what: AskFor) -> Result<(), AppError> {
        let ask = Ask { id: app.instance(), at: app.clock.now(), what };
        if notices::write(&*self.leases, &Notice::Ask(ask)).await? {
            let hosts: Vec<String> = self.live.values().map(|record| text::line(&record.host)).collect();
            let (workers, hosts) = (text::count(hosts.len(), "worker"), hosts.join(", "));
            note(&format!("asked {workers} ({hosts}); one sees it within 3 s, a lone one within 30 s"));
        }
        Ok(())
    }

    /// Asks for a channel to be given up, and waits until it is owed nothing. Returns how many alerts it was owed.
    ///
    /// # Errors
    /// The table does not answer, or something is still owed to it.
    pub(super) async fn drop_channel(&self, app: &App, channel: &str) -> Result<usize, AppError> {
        let before = owed(app, channel).await?;
        self.ask(app, AskFor::DropChannel { channel: channel.to_owned() }).await?;
        let patience = self.see_within() + STORED_WITHIN;
        let mut left = before;
        while left > 0 && self.since.elapsed() < patience {
            tokio::time::sleep(LOOK_EVERY).await;
            left = owed(app, channel).await?;
        }
        if left > 0 {
            self.note_silent(app).await?;
            let owed = text::count(left, "alert");
            let channel = text::line(channel);
            return Err(AppError::Unavailable(format!(
                "{owed} still owed to {channel}; the ask stands, and is acted upon by whoever owns them next"
            )));
        }
        Ok(before)
    }

    /// Says who has not renewed its lease since, for as long as it lasts.
    ///
    /// # Errors
    /// The table does not answer.
    pub(super) async fn note_silent(&self, app: &App) -> Result<(), AppError> {
        let now = Sight::read(&*self.leases).await?;
        let waited = self.since.elapsed();
        let is_silent = |known: &&WorkerRecord| {
            let same = now.workers.get(&known.id).is_some_and(|record| record.version == known.version);
            same && waited >= known.lease
        };
        for silent in self.live.values().filter(is_silent) {
            let last = silent.heartbeat.as_ref().map_or(silent.started_at, |heartbeat| heartbeat.at);
            note(&format!(
                "note: worker {} on {} has not renewed its lease for {}, and was last heard of {}: it seems dead; \
                 a daemon that is started takes its APIs over",
                silent.id,
                text::line(&silent.host),
                text::span(waited),
                text::ago(last, app.clock.now()),
            ));
        }
        Ok(())
    }
}

/// Alerts that a channel must have and has not.
async fn owed(app: &App, channel: &str) -> Result<usize, AppError> {
    let states = stored::load_states(app).await?.states;
    let owed = states.iter().flat_map(|state| &state.owed);
    Ok(owed.filter(|owed| stored::owed_to(app, owed).iter().any(|name| name == channel)).count())
}
