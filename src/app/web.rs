//! The web side in the program: what it is made over, and that a port which is taken costs the page and never the probing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, HistoryStore};
use api_health_actors::system::Gauges;
use api_health_web::model::{About, NoneElsewhere};
use api_health_web::{Limits, Listen, Server, Site, server};

use super::elsewhere::Records;
use super::{App, AppError};
use crate::settings::StoreKind;

/// A port that is taken is tried again this often,
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// and it is looked this often whether the thread of the page still runs.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The page of `demo`, on any port that is free.
pub(crate) fn of_the_demo(gauges: &Gauges, clock: Arc<dyn Clock>, store: String) -> std::io::Result<Server> {
    let site = Site {
        board: Arc::clone(gauges.board()),
        stats: Arc::clone(gauges.stats()),
        history: None,
        clock,
        elsewhere: Arc::new(NoneElsewhere),
        about: About {
            version: env!("CARGO_PKG_VERSION").into(),
            environment: "demo".into(),
            store,
            ..About::default()
        },
    };
    let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    server::start(site, &Listen { addresses, access: api_health_web::Access::default(), limits: Limits::default() })
}

/// Where a browser on this machine finds it.
pub(crate) fn link(address: SocketAddr) -> String {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{address}/")
}

impl App {
    /// What the page reads the past from, with a client of its own. Without it the page says that no history is kept.
    async fn history_to_show(&self) -> Option<Arc<dyn HistoryStore>> {
        self.open_history().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the page shows no history: it cannot be opened");
            None
        })
    }

    /// What the page shows.
    async fn site(&self, gauges: &Gauges, instance: &str) -> Result<Site, AppError> {
        let web = &self.settings.web;
        let store = match self.settings.store.kind {
            StoreKind::Sqlite => None, // nobody shares it
            // With a client of its own, whose connections will be made on the thread of the page.
            StoreKind::Dynamodb => Some(self.open_store().await?),
        };
        Ok(Site {
            board: Arc::clone(gauges.board()),
            stats: Arc::clone(gauges.stats()),
            history: self.history_to_show().await,
            clock: Arc::clone(&self.clock),
            elsewhere: Arc::new(Records::new(gauges.clone(), store, Arc::clone(&self.clock))),
            about: About {
                version: env!("CARGO_PKG_VERSION").into(),
                environment: self.settings.environment.clone(),
                store: self.store_name(),
                instance: instance.to_owned(),
                timezone: web.timezone.clone(),
                embed_origins: web.embed_origins.clone(),
                metrics_per_api: web.metrics_per_api,
            },
        })
    }

    /// Shows the page for as long as this is polled; where it is off, does nothing for as long. Where its port is taken, or its thread
    /// ended, that is said once, and tried again.
    pub(crate) async fn show_page(&self, gauges: Gauges, instance: String) -> Infallible {
        let web = &self.settings.web;
        if !web.enabled {
            return std::future::pending().await;
        }
        let listen = Listen { addresses: web.listen.clone(), access: web.access.clone(), limits: Limits::default() };
        let mut is_said = false;
        loop {
            let started = match self.site(&gauges, &instance).await {
                Ok(site) => server::start(site, &listen).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            match started {
                Ok(server) => {
                    let links = server.addresses().iter().copied().map(link).collect::<Vec<_>>().join(" ");
                    tracing::info!("the page is at {links}");
                    is_said = false;
                    while server.is_alive() {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    tracing::error!("the thread of the page ended; probing goes on, and the page is started again");
                }
                Err(why) if !is_said => {
                    is_said = true;
                    tracing::warn!(
                        why,
                        "there is no page; probing goes on, and it is tried again each minute. If another program has the port, \
                         write another one to web.listen in the settings, or web.enabled = false"
                    );
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}
