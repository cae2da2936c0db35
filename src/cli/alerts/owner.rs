//! Who does something for a command to what is stored: the workers that share the tables, the daemon on this machine if it is the
//! only one, else this process, which becomes the owner of the store for as long as that takes. Whoever it is has the same keeper and
//! the same alerter.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::Notifier;
use api_health_actors::system::{self, Gauges, Options, Running};
use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::own::notices::AskFor;

use super::asking::Workers;
use crate::app::{App, AppError};
use crate::cli::run;
use crate::control::client::{self, ControlError, Found};
use crate::control::protocol::{Alerts, Answer, Request, Which, Window};
use crate::environment;
use crate::settings::StoreKind;

/// How long this process may take to end after that: an attempt under way takes 20 s at most.
const END_WITHIN: Duration = Duration::from_secs(25);

/// What a daemon that does not answer keeps from being done.
pub(super) const NO_ALERTS: &str = "it owns the alerts, so nothing is tried beside it";
pub(in crate::cli) const NO_MAINTENANCE: &str = "it owns the APIs, so nothing was done";

pub(in crate::cli) enum Owner {
    /// Another process, on the other side of its control socket.
    Daemon(Found),
    /// Workers on other machines.
    Workers {
        workers: Box<Workers>,
        /// The one on this machine, which is told at once.
        daemon: Option<Found>,
    },
    Here(Box<Running>),
}

impl Owner {
    /// Looks for a daemon and for other workers, and becomes the owner where there are none, with these channels.
    ///
    /// # Errors
    /// A daemon that does not answer, another process that owns the store, a store or a channel that is not there.
    pub(in crate::cli) async fn find(
        app: &App,
        not_done: &str,
        notifiers: impl AsyncFnOnce() -> Result<Vec<Arc<dyn Notifier>>, AppError>,
    ) -> Result<Self, AppError> {
        let daemon = client::find(&app.settings, &environment::get).await;
        let daemon = daemon.map_err(|error| unanswered(&error, not_done))?;
        if app.settings.store.kind == StoreKind::Dynamodb
            && let Some(workers) = Workers::find(app, daemon.as_ref()).await?
        {
            return Ok(Self::Workers { workers: Box::new(workers), daemon });
        }
        if let Some(found) = daemon {
            return Ok(Self::Daemon(found));
        }
        let world = app.world_to_tell(notifiers().await?).await?;
        let options = Options { heartbeat: None, closes_unconfigured: false, ..app.options(true) };
        let running = system::start(world, &options);
        if let Err(error) = run::join(app, &running, "nothing was done").await {
            running.stop(Duration::ZERO).await;
            return Err(error);
        }
        Ok(Self::Here(Box::new(running)))
    }

    /// Has these alerts, or all, tried now.
    ///
    /// # Errors
    /// The owner does not answer.
    pub(super) async fn retry(&self, app: &App, alert_ids: &[String]) -> Result<(), AppError> {
        let all = alert_ids.is_empty();
        let alerts = || if all { Alerts::All } else { Alerts::These(alert_ids.to_vec()) };
        match self {
            Self::Daemon(found) => drop(ask(found, &Request::Retry { alerts: alerts() }, NO_ALERTS).await?),
            Self::Workers { workers, daemon } => {
                let alert_ids = (!all).then(|| alert_ids.to_vec());
                workers.ask(app, AskFor::Retry { alert_ids }).await?;
                if let Some(found) = daemon {
                    ask(found, &Request::Retry { alerts: alerts() }, NO_ALERTS).await?;
                }
            }
            Self::Here(running) => {
                let gauges: Gauges = running.gauges();
                gauges.retry((!all).then(|| alert_ids.to_vec())).await.ok_or_else(unread)?;
            }
        }
        Ok(())
    }

    /// Gives this channel up. Returns how many alerts it was owed.
    ///
    /// # Errors
    /// The owner does not answer.
    pub(super) async fn drop_channel(&self, app: &App, channel: &str) -> Result<usize, AppError> {
        match self {
            Self::Workers { workers, .. } => workers.drop_channel(app, channel).await,
            Self::Daemon(found) => {
                let request = Request::DropChannel { channel: channel.to_owned() };
                match ask(found, &request, NO_ALERTS).await? {
                    Answer::DropChannel { alerts } => Ok(alerts),
                    _ => Err(gone()),
                }
            }
            Self::Here(running) => running.gauges().drop_channel(channel).await.ok_or_else(unread),
        }
    }

    /// Opens a window of maintenance, or closes those that were opened by hand. Returns how many APIs it is about; `api_ids` are those
    /// that are configured here.
    ///
    /// # Errors
    /// The owner does not answer.
    pub(in crate::cli) async fn set_maintenance(
        &self,
        app: &App,
        of: Selection,
        api_ids: &[String],
        window: Option<Maintenance>,
    ) -> Result<usize, AppError> {
        match self {
            Self::Workers { workers, .. } => {
                workers.ask(app, AskFor::Maintenance { of, window }).await?;
                Ok(api_ids.len())
            }
            Self::Daemon(found) => {
                let window = window.map(|Maintenance { since, until, note }| Window {
                    since: since.to_string(),
                    until: until.to_string(),
                    note,
                });
                let of = Which { all: of.all, api_ids: of.api_ids, tags: of.tags };
                match ask(found, &Request::Maintenance { of, window }, NO_MAINTENANCE).await? {
                    Answer::Maintenance { apis } => Ok(apis),
                    _ => Err(gone()),
                }
            }
            Self::Here(running) => {
                let of = Selection { api_ids: api_ids.to_vec(), ..Selection::default() };
                running.gauges().set_maintenance(of, window).await.ok_or_else(unread)
            }
        }
    }

    /// How long it may take until all owners have heard what is asked of them.
    pub(super) fn hears_within(&self) -> Duration {
        if let Self::Workers { workers, .. } = self { workers.see_within() } else { Duration::ZERO }
    }

    /// Says which owners seem to be dead, where nothing came of what was asked of them.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn note_silent(&self, app: &App) -> Result<(), AppError> {
        if let Self::Workers { workers, .. } = self { workers.note_silent(app).await } else { Ok(()) }
    }

    /// Ends what was begun for this command. Everything is stored then.
    ///
    /// # Errors
    /// The store did not take everything.
    pub(in crate::cli) async fn end(self, app: &App) -> Result<(), AppError> {
        let Self::Here(running) = self else { return Ok(()) };
        match running.stop(END_WITHIN).await.keeper {
            Some(keeper) if keeper.unsaved == 0 => Ok(()),
            _ => Err(AppError::Unavailable(format!(
                "{} did not take everything: what was just done may not last, and what was delivered may be told once more",
                app.store_name()
            ))),
        }
    }
}

async fn ask(daemon: &Found, request: &Request, not_done: &str) -> Result<Answer, AppError> {
    client::ask(&daemon.path, request).await.map_err(|error| unanswered(&error, not_done))?.ok_or_else(gone)
}

fn unanswered(error: &ControlError, not_done: &str) -> AppError {
    AppError::Unavailable(format!("{error}; {not_done}"))
}

fn gone() -> AppError {
    AppError::Unavailable("the daemon ended just now; try again".into())
}

fn unread() -> AppError {
    AppError::Unavailable("the stored states cannot be read".into())
}
