//! Who hands alerts over for a command: the daemon on this machine if there is one, else this process, which becomes the owner
//! of the store for as long as that takes. Either way it is the same keeper and the same alerter.

use std::time::Duration;

use api_health_actors::system::{self, Gauges, Options, Running};

use super::notifiers;
use crate::app::{App, AppError};
use crate::cli::out::Out;
use crate::control::client::{self, ControlError, Found};
use crate::control::protocol::{Alerts, Answer, Request};

/// How long this process may take to end after that: an attempt under way takes 20 s at most.
const END_WITHIN: Duration = Duration::from_secs(25);

/// The owner.
pub(super) enum Owner {
    /// Another process, on the other side of its control socket.
    Daemon(Found),
    /// This one.
    Here(Box<Running>),
}

impl Owner {
    /// Looks for a daemon, and becomes the owner where there is none, of all channels but the one that is given up.
    ///
    /// # Errors
    /// A daemon that does not answer, another process that owns the store, a store or a channel that is not there.
    pub(super) async fn find(app: &App, given_up: Option<&str>, as_json: bool, out: &Out) -> Result<Self, AppError> {
        let env = |name: &str| std::env::var(name).ok();
        if let Some(found) = client::find(&app.settings, &env).await.map_err(|error| unanswered(&error))? {
            return Ok(Self::Daemon(found));
        }
        let mut notifiers = notifiers(app, as_json, out).await?;
        notifiers.retain(|notifier| given_up != Some(notifier.channel()));
        let world = app.world_to_tell(notifiers).await?;
        let options = Options { heartbeat: None, closes_unconfigured: false, ..app.options(true) };
        Ok(Self::Here(Box::new(system::start(world, &options))))
    }

    /// Has these alerts, or all, tried now.
    ///
    /// # Errors
    /// The owner does not answer.
    pub(super) async fn retry(&self, alert_ids: &[String]) -> Result<(), AppError> {
        let all = alert_ids.is_empty();
        match self {
            Self::Daemon(found) => {
                let alerts = if all { Alerts::All } else { Alerts::These(alert_ids.to_vec()) };
                ask(found, &Request::Retry { alerts }).await?;
            }
            Self::Here(running) => {
                let gauges: Gauges = running.gauges();
                gauges.retry((!all).then(|| alert_ids.to_vec())).await.ok_or_else(unread)?;
            }
        }
        Ok(())
    }

    /// Owes nothing to this channel any more. How many alerts it was owed.
    ///
    /// # Errors
    /// The owner does not answer.
    pub(super) async fn drop_channel(&self, channel: &str) -> Result<usize, AppError> {
        match self {
            Self::Daemon(found) => {
                let request = Request::DropChannel { channel: channel.to_owned() };
                match ask(found, &request).await? {
                    Answer::DropChannel { alerts } => Ok(alerts),
                    _ => Err(gone()),
                }
            }
            Self::Here(running) => running.gauges().drop_channel(channel).await.ok_or_else(unread),
        }
    }

    /// Ends what was begun for this command. Everything is stored then.
    ///
    /// # Errors
    /// The store did not take everything.
    pub(super) async fn end(self, app: &App) -> Result<(), AppError> {
        let Self::Here(running) = self else { return Ok(()) };
        match running.stop(END_WITHIN).await.keeper {
            Some(keeper) if keeper.unsaved == 0 => Ok(()),
            _ => Err(AppError::Unavailable(format!(
                "{} did not take everything; what was delivered may be told once more",
                app.store_name()
            ))),
        }
    }
}

async fn ask(daemon: &Found, request: &Request) -> Result<Answer, AppError> {
    client::ask(&daemon.path, request).await.map_err(|error| unanswered(&error))?.ok_or_else(gone)
}

fn unanswered(error: &ControlError) -> AppError {
    AppError::Unavailable(format!("{error}; it owns the alerts, so nothing is tried beside it"))
}

fn gone() -> AppError {
    AppError::Unavailable("the daemon ended just now; try again".into())
}

fn unread() -> AppError {
    AppError::Unavailable("the stored states cannot be read".into())
}
