//! Which process watches by the store: one that answers on its control socket, or else who holds the SQLite file.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::report::Finding;
use super::who::Who;
use crate::cli::checks::Check;
use crate::cli::settings::{self, Other};
use crate::control::client::{self, ControlError};
use crate::control::protocol;
use crate::environment;
use crate::settings::{LoadedSettings, StoreKind};
use crate::sqlite::holder;

/// A store that is throttled comes and goes within seconds, and so does a keeper that is started again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(4);

/// Who watches, as far as that can be told; and whether we look as the same user.
pub(super) async fn examine(loaded: &LoadedSettings, who: &Who) -> Vec<Finding> {
    let (check, store) = (Check::Daemon, &loaded.settings.store);
    let asked = client::find(&loaded.settings, &environment::get).await;
    let mut about = String::new();
    let watcher = match &asked {
        Ok(Some(found)) => {
            about = format!(": version {}, since {}", found.who.version, found.who.since);
            Ok(Some(found.who.pid))
        }
        _ if store.kind == StoreKind::Sqlite => holder(&store.path),
        _ => Ok(None),
    };
    let uid = watcher.as_ref().ok().copied().flatten().and_then(uid_of);
    let mut found = vec![who.finding(uid)];
    match watcher {
        Ok(Some(pid)) => {
            let user = uid.map(|uid| format!(" of {}", who.called(uid))).unwrap_or_default();
            found.push(check.ok(format!("process {pid}{user} watches by this store{about}")));
        }
        Ok(None) if store.kind == StoreKind::Sqlite => found.push(check.ok("no process watches by this file just now")),
        Ok(None) => {}
        Err(why) => found.push(check.not_checked(why)),
    }
    match asked {
        Ok(Some(daemon)) => {
            if let Some(why) = stores_nothing(&daemon.who, loaded).await {
                let todo = "see why in its log (journalctl -u api-health), mend that, or start it again";
                found.push(check.fault(format!("it stores nothing: {why}"), todo));
            }
            let others = settings::others(loaded, &daemon).await.ok().flatten().unwrap_or_default();
            if !others.is_empty() {
                let what = format!("it runs with other settings than are written: {}", Other::words(&others));
                found.push(check.warn(what, "restart it: systemctl restart api-health"));
            }
        }
        Ok(None) | Err(ControlError::NotOurs) => {} // another user's socket tells nothing of its daemon
        Err(error) => {
            let todo = "see what it does, and restart it if it does nothing: systemctl status api-health";
            found.push(check.warn(error.to_string(), todo));
        }
    }
    found
}

/// Why the daemon stores nothing, if looks some seconds apart agree: one write that failed may be a store that was busy.
async fn stores_nothing(before: &protocol::Who, loaded: &LoadedSettings) -> Option<String> {
    before.unstored.as_ref()?;
    tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    let daemon = client::find(&loaded.settings, &environment::get).await.ok().flatten()?;
    daemon.who.unstored.filter(|_| daemon.who.instance == before.instance)
}

fn uid_of(pid: u32) -> Option<u32> {
    Some(std::fs::metadata(format!("/proc/{pid}")).ok()?.uid())
}
