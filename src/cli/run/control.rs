//! What the running daemon answers on its socket.

use std::rc::Rc;

use api_health_actors::system::Gauges;
use futures_util::future::{FutureExt, LocalBoxFuture};
use serde_json::Value;

use super::settings::InForce;
use crate::app::App;
use crate::control::protocol::{Alerts, Reloaded, Who};
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

struct Answers {
    who: Who,
    settings: Rc<InForce>,
    gauges: Gauges,
}

impl Daemon for Answers {
    fn who(&self) -> Who {
        self.who.clone()
    }

    fn settings(&self) -> Value {
        self.settings.json()
    }

    fn reload(&self) -> LocalBoxFuture<'_, Result<Reloaded, String>> {
        async {
            tracing::info!("asked over the control socket: reading the configs again");
            let report = self.gauges.reload().await.ok_or("configs are no longer read: the process is ending")?;
            Ok(Reloaded { apis: report.apis, refused: report.refused, unreadable: report.unreadable })
        }
        .boxed_local()
    }

    fn retry(&self, alerts: Alerts) -> LocalBoxFuture<'_, Result<usize, String>> {
        async move {
            let alert_ids = match alerts {
                Alerts::All => None,
                Alerts::These(ids) => Some(ids),
            };
            tracing::info!("asked over the control socket: trying alerts again");
            Ok(self.gauges.retry(alert_ids).await.ok_or("the state-keeper does not answer")?)
        }
        .boxed_local()
    }

    fn drop_channel(&self, channel: String) -> LocalBoxFuture<'_, Result<usize, String>> {
        async move {
            let alerts = self.gauges.drop_channel(&channel).await.ok_or("the state-keeper does not answer")?;
            tracing::warn!(channel, alerts, "asked over the control socket: this channel is no longer owed anything");
            Ok(alerts)
        }
        .boxed_local()
    }
}
