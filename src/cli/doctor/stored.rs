//! What is configured and what is stored: whether all of it can be read, and what waits in it.

use std::collections::BTreeSet;
use std::time::Duration;

use api_health_actors::ports::{LoadedStates, StoreError};
use futures_util::future::join_all;

use super::cloud::Cloud;
use super::heartbeat;
use super::report::Finding;
use crate::app::{App, AppError};
use crate::cli::checks::Check;
use crate::cli::configured::{self, Checked};
use crate::cli::text;
use crate::probe::proxies::{NONE, Proxies};
use crate::settings::StoreKind;
use crate::sqlite::SqliteFile;

/// Hosts that are looked up.
const HOSTS_MAX: usize = 10;
/// Bound on each of those.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Ids and hosts that are named in one finding.
const NAMED_MAX: usize = 3;

/// Every row of every source, and the names of some of the hosts in them.
pub(super) async fn apis(app: &App) -> Vec<Finding> {
    let checked = configured::check(configured::read(app).await, &app.rules);
    let mut found: Vec<Finding> = checked
        .unreadable
        .iter()
        .map(|(name, error)| Finding::fault(Check::Apis, text::line(&error.to_string()), format!("mend {name} first")))
        .collect();
    let todo = "api-health apis validate names every fault";
    if !checked.refused.is_empty() {
        let id = |index: usize| {
            let row = &checked.refused[index];
            row.row.api_id.as_ref().map_or_else(|| format!("one without an id in {}", row.source), ToString::to_string)
        };
        let ids = named(checked.refused.len(), id);
        let count = text::count(checked.refused.len(), "row");
        found.push(Finding::warn(Check::Apis, format!("{count} refused, and not watched as written: {ids}"), todo));
    }
    let in_force = checked.good.iter().filter(|row| !row.shadowed);
    let (enabled, disabled): (Vec<_>, Vec<_>) = in_force.partition(|row| row.config.enabled);
    if enabled.is_empty() && found.is_empty() {
        let todo = "api-health apis add --url https://example.com/health";
        found.push(Finding::warn(Check::Apis, "there is none to watch", todo));
    } else if found.is_empty() {
        let off = if disabled.is_empty() { String::new() } else { format!(", {} disabled", disabled.len()) };
        found.push(Finding::ok(Check::Apis, format!("{} to watch{off}", text::count(enabled.len(), "API"))));
    }
    found.extend(hosts(&checked, &app.settings.proxies).await);
    found
}

/// Looks up a sample, spread evenly over all.
async fn hosts(checked: &Checked, proxies: &Proxies) -> Option<Finding> {
    let names: BTreeSet<String> = checked
        .good
        .iter()
        .filter(|row| !row.shadowed && row.config.enabled)
        .filter_map(|row| {
            let url = url::Url::parse(&row.config.url).ok()?;
            // A proxy looks names up itself, and often this machine cannot.
            let by_proxy = match &row.config.proxy {
                Some(proxy) => proxy.reveal() != NONE,
                None => proxies.of(&url).is_some(),
            };
            match url.host()? {
                url::Host::Domain(name) if !by_proxy => Some(name.to_owned()),
                _ => None,
            }
        })
        .collect();
    let all = names.len();
    let sample: Vec<String> = names.into_iter().step_by(all.div_ceil(HOSTS_MAX).max(1)).collect();
    if sample.is_empty() {
        return None;
    }
    let lookups = sample.iter().map(|name| async move {
        match tokio::time::timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((name.as_str(), 443))).await {
            Ok(Ok(mut found)) => found.next().is_some(),
            _ => false,
        }
    });
    let answers = join_all(lookups).await;
    let lost: Vec<&String> =
        sample.iter().zip(&answers).filter(|(_, is_found)| !**is_found).map(|(name, _)| name).collect();
    let of = format!("{} of {}", sample.len(), text::count(all, "host"));
    let todo = "see that names resolve here (getent hosts HOST, /etc/resolv.conf), and that these are written right";
    Some(if lost.is_empty() {
        Finding::ok(Check::ApiHosts, format!("names resolve: {of} tried"))
    } else {
        let what = format!("{of} tried, {} without an address: {}", lost.len(), named(lost.len(), |n| lost[n].clone()));
        // One name may be its owner's fault; all of several are ours.
        if lost.len() == sample.len() && lost.len() > 1 {
            Finding::fault(Check::ApiHosts, what, todo)
        } else {
            Finding::warn(Check::ApiHosts, what, todo)
        }
    })
}

fn named(count: usize, name: impl Fn(usize) -> String) -> String {
    let mut names: Vec<String> = (0..count.min(NAMED_MAX)).map(name).collect();
    if count > NAMED_MAX {
        names.push(format!("{} more", count - NAMED_MAX));
    }
    names.join(", ")
}

/// The stored states.
pub(super) async fn states(app: &App, cloud: &Cloud) -> Vec<Finding> {
    if !app.store_exists() {
        return vec![Finding::ok(
            Check::States,
            format!("nothing is stored yet: {} is not there, or empty", app.store_name()),
        )];
    }
    let loaded = async {
        let store = app.open_store().await?;
        let loaded = store.load_all().await?;
        Ok::<_, AppError>((store, loaded))
    };
    let (store, LoadedStates { states, unreadable }) = match loaded.await {
        Ok(loaded) => loaded,
        Err(error) => {
            let todo = "do what that says: `run` does not begin without its states";
            return vec![Finding::fault(Check::States, error.to_string(), todo)];
        }
    };
    let mut found = Vec::new();
    if !unreadable.is_empty() {
        let ids = named(unreadable.len(), |index| text::line(&unreadable[index].api_id));
        let count = text::count(unreadable.len(), "record");
        found.push(Finding::warn(
            Check::States,
            format!("{count} cannot be read: {ids}"),
            "`run` sets damaged ones aside by itself and starts over; those of a newer version need that version",
        ));
    }
    match count_quarantined(app, cloud).await {
        Ok(0) => {}
        Ok(count) => found.push(Finding::warn(
            Check::States,
            format!("{} set aside", text::count(count as usize, "damaged record")),
            "look at them (api_health_states_set_aside in SQLite, api-health:set-aside:… in DynamoDB), then delete them",
        )),
        Err(why) => found.push(Finding::not_checked(Check::States, format!("records that were set aside: {why}"))),
    }
    let owed: Vec<_> = states
        .iter()
        .flat_map(|state| &state.owed)
        .filter(|owed| !crate::cli::stored::owed_to(app, owed).is_empty())
        .map(|owed| owed.alert.detected_at)
        .collect();
    if let Some(oldest) = owed.iter().min() {
        let what =
            format!("{} owed, the oldest {}", text::count(owed.len(), "alert"), text::ago(*oldest, app.clock.now()));
        found.push(Finding::warn(Check::States, what, "api-health alerts list; api-health alerts retry"));
    }
    let last = states.iter().filter_map(|state| state.last_probe.as_ref()).map(|probe| probe.at).max();
    let last = last
        .map_or_else(|| "no probe yet".into(), |at| format!("last probe stored {}", text::ago(at, app.clock.now())));
    found.push(Finding::ok(Check::States, format!("{} readable, {last}", text::count(states.len(), "state"))));
    found.push(heartbeat::look(&*store, app.settings.store.heartbeat.is_some(), app.clock.now()).await);
    found
}

async fn count_quarantined(app: &App, cloud: &Cloud) -> Result<u32, String> {
    let store = &app.settings.store;
    match store.kind {
        StoreKind::Sqlite => {
            let file = SqliteFile::open_to_read(&store.path).map_err(|error| error.to_string())?;
            let connection = file.connect().map_err(|fault| StoreError::from(fault).to_string())?;
            let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0));
            // The table is made with the first record that is set aside.
            let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'api_health_states_set_aside'";
            match count(table).map_err(|error| error.to_string())? {
                0 => Ok(0),
                _ => count("SELECT count(*) FROM api_health_states_set_aside").map_err(|error| error.to_string()),
            }
        }
        StoreKind::Dynamodb => cloud.count_quarantined(&store.state_table).await,
    }
}
