//! What the running daemon answers on its socket.

use std::rc::Rc;
use std::time::Duration;

use api_health_actors::system::Gauges;
use api_health_core::maintenance::{Maintenance, NOTE_CHARS_MAX, Selection};
use api_health_core::{Timestamp, text};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::readiness::NotReady;
use super::settings::InForce;
use crate::app::App;
use crate::control::protocol::{Alerts, Answer, Reloaded, Request, Which, Who, Window};
use crate::control::server::Server;
use crate::control::{Daemon, place};
use crate::environment;

/// Begins to answer. Where that cannot be, it is said, and the daemon watches without.
pub(super) async fn start(app: &App, settings: Rc<InForce>, instance: String, gauges: Gauges) -> Option<Server> {
    let Some(path) = place::of_the_daemon(&app.settings, &environment::get) else {
        tracing::info!(
            "there is no folder for the control socket, so no command can ask this daemon anything; \
             set RUNTIME_DIRECTORY to one"
        );
        return None;
    };
    let who = Who {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        since: app.clock.now().to_string(),
        instance,
        store: place::store(&app.settings, &environment::get),
        folder: std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default(),
        unstored: None,
    };
    match Server::start(&path, Rc::new(Answers { who, settings, gauges })).await {
        Ok(server) => Some(server),
        Err(why) => {
            let path = path.display().to_string();
            tracing::warn!(path, why, "the control socket cannot be made; no command can ask this daemon anything");
            None
        }
    }
}

/// The keeper answers within microseconds; whoever asks has 5 s.
const REPORT_WITHIN: Duration = Duration::from_secs(2);

/// How much of what is no time is shown.
const SHOWN_CHARS: usize = 60;

/// Why nothing came of what the keeper was asked.
const SILENT: &str = "the state-keeper does not answer";

struct Answers {
    who: Who,
    settings: Rc<InForce>,
    gauges: Gauges,
}

impl Daemon for Answers {
    fn answer(&self, request: Request) -> LocalBoxFuture<'_, Result<Answer, String>> {
        async move {
            match request {
                Request::Who => Ok(Answer::Who(self.who().await)),
                Request::Settings => Ok(Answer::Settings { settings: self.settings.json() }),
                Request::Reload => {
                    tracing::info!("asked over the control socket: reading the configs again");
                    let report = self.gauges.reload().await;
                    let report = report.ok_or("configs are no longer read: the process is ending")?;
                    let (apis, refused) = (report.apis, report.refused);
                    Ok(Answer::Reload(Reloaded { apis, refused, unreadable: report.unreadable }))
                }
                Request::Retry { alerts } => {
                    let alert_ids = match alerts {
                        Alerts::All => None,
                        Alerts::These(ids) => Some(ids),
                    };
                    tracing::info!("asked over the control socket: trying alerts again");
                    Ok(Answer::Retry { alerts: self.gauges.retry(alert_ids).await.ok_or(SILENT)? })
                }
                Request::DropChannel { channel } => {
                    let alerts = self.gauges.drop_channel(&channel).await.ok_or(SILENT)?;
                    tracing::warn!(
                        channel,
                        alerts,
                        "asked over the control socket: this channel is no longer owed anything"
                    );
                    Ok(Answer::DropChannel { alerts })
                }
                Request::Maintenance { of, window } => self.maintain(of, window).await,
            }
        }
        .boxed_local()
    }
}

impl Answers {
    async fn who(&self) -> Who {
        let trouble = match tokio::time::timeout(REPORT_WITHIN, self.gauges.report()).await {
            Ok(report) => report.filter(|report| report.store_is_gone).map(|_| NotReady::StoreGone),
            Err(_) => Some(NotReady::KeeperSilent),
        };
        Who { unstored: trouble.map(|trouble| trouble.words().to_owned()), ..self.who.clone() }
    }

    async fn maintain(&self, of: Which, window: Option<Window>) -> Result<Answer, String> {
        let of = Selection { all: of.all, api_ids: of.api_ids, tags: of.tags };
        let window = window.as_ref().map(read_window).transpose()?;
        let (what, until) = (of.to_string(), window.as_ref().map(|window| window.until.to_string()));
        let apis = self.gauges.set_maintenance(of, window).await.ok_or(SILENT)?;
        tracing::info!(
            what,
            until,
            apis,
            "asked over the control socket: maintenance begins, or ends where there is no until"
        );
        Ok(Answer::Maintenance { apis })
    }
}

fn read_window(window: &Window) -> Result<Maintenance, String> {
    let time = |text: &str| {
        let line = text::line(text, SHOWN_CHARS);
        Timestamp::parse(text).ok_or_else(|| format!("{line:?} is not a time, such as 2026-12-01T22:00:00Z"))
    };
    let (since, until) = (time(&window.since)?, time(&window.until)?);
    Ok(Maintenance { since, until, note: text::line(&window.note, NOTE_CHARS_MAX) })
}
