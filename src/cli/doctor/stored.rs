//! What is configured and what is stored: whether all of it can be read, and what waits in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api_health_actors::ports::LoadedStates;
use api_health_core::delivery::OwedAlert;
use api_health_core::network::Zone;
use api_health_core::{ApiConfig, ApiState};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::report::{Finding, some_of};
use super::{heartbeat, network};
use crate::app::{App, AppError};
use crate::cli::checks::Check;
use crate::cli::configured::{self, Checked, Refused};
use crate::cli::stored::owed_to;
use crate::cli::text;
use crate::probe::proxies::{NONE, Proxies};

/// Hosts that are looked up.
const HOSTS_MAX: usize = 10;
/// Bound on each of those.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Every row of every source, and the names of some of the hosts in them.
pub(super) async fn apis(app: &App) -> Vec<Finding> {
    let check = Check::Apis;
    let checked = configured::check(configured::read(app).await, &app.rules);
    let unreadable = checked.unreadable.iter();
    let mut found: Vec<Finding> =
        unreadable.map(|(name, error)| check.fault(error.to_string(), format!("mend {name} first"))).collect();
    let nameless = |row: &Refused| format!("one without an id in {}", row.source);
    let refused =
        checked.refused.iter().map(|row| row.row.api_id.as_ref().map_or_else(|| nameless(row), ToString::to_string));
    let refused: Vec<String> = refused.collect();
    if !refused.is_empty() {
        let count = text::count(refused.len(), "row");
        let what = format!("{count} refused, and not watched as written: {}", some_of(&refused));
        found.push(check.warn(what, "api-health apis validate names every fault"));
    }
    let (enabled, disabled) = (checked.watched().count(), checked.in_force().filter(|config| !config.enabled).count());
    if enabled == 0 && found.is_empty() {
        found.push(check.warn("there is none to watch", "api-health apis add --url https://example.com/health"));
    } else if found.is_empty() {
        let off = if disabled == 0 { String::new() } else { format!(", {disabled} disabled") };
        found.push(check.ok(format!("{} to watch{off}", text::count(enabled, "API"))));
    }
    found.extend(unserved(&checked, app));
    found.extend(hosts(&checked, app).await);
    found
}

/// The APIs that no channel asks for: their alerts go to all.
fn unserved(checked: &Checked, app: &App) -> Option<Finding> {
    let routes = app.routes();
    let unserved = checked.watched().filter(|config| !routes.serves(&config.tags));
    let apis: Vec<&str> = unserved.map(|config| config.api_id.as_str()).collect();
    let what = || format!("no channel asks for the tags of {}: {}", text::count(apis.len(), "API"), some_of(&apis));
    let todo = "their alerts go to all channels until one has a tag of theirs, or none (tags below [[notify.channel]])";
    (!apis.is_empty()).then(|| Check::Apis.warn(what(), todo))
}

/// What is owed to channels that are not set.
fn gone(states: &[ApiState], app: &App) -> Option<Finding> {
    let set = app.channels();
    let mut gone: BTreeMap<&str, usize> = BTreeMap::new();
    for channel in states.iter().flat_map(|state| &state.owed).flat_map(OwedAlert::pending_channels) {
        if !set.contains(&channel) {
            *gone.entry(channel).or_default() += 1;
        }
    }
    let names: Vec<String> =
        gone.iter().map(|(channel, owed)| format!("{channel} ({})", text::count(*owed, "alert"))).collect();
    let what = || format!("owed to a channel that is not set here: {}", some_of(&names));
    let todo = "set it again, and it is told; or api-health alerts drop --channel NAME";
    (!gone.is_empty()).then(|| Check::States.warn(what(), todo))
}

/// Looks up a sample, spread evenly over all.
async fn hosts(checked: &Checked, app: &App) -> Vec<Finding> {
    let (resolver, proxies) = (&app.resolver(), &app.settings.proxies);
    let hosts: Vec<String> = checked.watched().filter_map(|config| host(config, proxies)).collect();
    let names: BTreeSet<&str> = hosts.iter().map(String::as_str).filter(|host| address(host).is_none()).collect();
    let all = names.len();
    let sample: Vec<&str> = names.into_iter().step_by(all.div_ceil(HOSTS_MAX).max(1)).collect();
    let deadline = Instant::now() + LOOKUP_TIMEOUT;
    let lookups = sample.iter().map(|name| async move {
        let found = timeout_at(deadline, resolver.lookup(name, 443, deadline)).await;
        (*name, found.ok().and_then(Result::ok))
    });
    let found: BTreeMap<&str, Option<Vec<SocketAddr>>> = join_all(lookups).await.into_iter().collect();
    let lost: Vec<&str> = found.iter().filter(|(_, found)| found.is_none()).map(|(name, _)| *name).collect();
    let of = format!("{} of {}", sample.len(), text::count(all, "host"));
    let todo = "see that names resolve here (getent hosts HOST, /etc/resolv.conf), and that these are written right";
    let what = || format!("{of} tried, {} without an address: {}", lost.len(), some_of(&lost));
    let looked_up = match lost.len() {
        _ if sample.is_empty() => None,
        0 => Some(Check::ApiHosts.ok(format!("names resolve: {of} tried"))),
        // One name may be its owner's fault; all of several are ours.
        count if count > 1 && count == sample.len() => Some(Check::ApiHosts.fault(what(), todo)),
        _ => Some(Check::ApiHosts.warn(what(), todo)),
    };
    let is_far = |host: &&str| {
        let found = found.get(host).into_iter().flatten().flatten().map(SocketAddr::ip);
        address(host).into_iter().chain(found).any(|ip| Zone::of(ip) == Zone::Far)
    };
    let far: Vec<&str> = hosts.iter().map(String::as_str).filter(is_far).collect();
    let unvouched = if all == sample.len() { network::unvouched(&far, app).await } else { None };
    looked_up.into_iter().chain(unvouched).collect()
}

/// The host that this machine connects to for an API; `None` where the row names another place for that, or a proxy does it, which
/// looks names up itself, as this machine often cannot.
fn host(config: &ApiConfig, proxies: &Proxies) -> Option<String> {
    let url = url::Url::parse(&config.url).ok()?;
    let is_elsewhere = config.asking.as_ref().is_some_and(|asking| asking.connect_to.is_some());
    let by_proxy = match &config.proxy {
        Some(proxy) => proxy.reveal() != NONE,
        None => proxies.of(&url).is_some(),
    };
    let host = url.host_str()?.trim_matches(['[', ']']);
    (!is_elsewhere && !by_proxy).then(|| host.to_owned())
}

fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// The stored states, and the heartbeats beside them.
pub(super) async fn states(app: &App) -> Vec<Finding> {
    let check = Check::States;
    if !app.store_exists() {
        return check.ok(format!("nothing is stored yet: {} is not there, or empty", app.store_name())).into();
    }
    let loaded = async {
        let store = app.open_store().await?;
        let loaded = store.load_all().await?;
        Ok::<_, AppError>((store, loaded))
    };
    let (store, LoadedStates { states, unreadable, quarantined }) = match loaded.await {
        Ok(loaded) => loaded,
        Err(error) => {
            return check.fault(error.to_string(), "do what that says: `run` does not begin without its states").into();
        }
    };
    let now = app.clock.now();
    let mut found = Vec::new();
    if !unreadable.is_empty() {
        let ids: Vec<&String> = unreadable.iter().map(|record| &record.api_id).collect();
        found.push(check.warn(
            format!("{} cannot be read: {}", text::count(ids.len(), "record"), some_of(&ids)),
            "`run` sets damaged ones aside by itself and starts over; those of a newer version need that version",
        ));
    }
    if quarantined > 0 {
        found.push(check.warn(
            format!("{} set aside", text::count(quarantined, "damaged record")),
            "look at them (api_health_states_set_aside in SQLite, api-health:set-aside:… in DynamoDB), then delete them",
        ));
    }
    let owed = states.iter().flat_map(|state| &state.owed).filter(|owed| !owed_to(app, owed).is_empty());
    let owed: Vec<_> = owed.map(|owed| owed.alert.detected_at).collect();
    if let Some(oldest) = owed.iter().min() {
        let what = format!("{} owed, the oldest {}", text::count(owed.len(), "alert"), text::ago(*oldest, now));
        found.push(check.warn(what, "api-health alerts list; api-health alerts retry"));
    }
    found.extend(gone(&states, app));
    let last = states.iter().filter_map(|state| state.last_probe.as_ref()).map(|probe| probe.at).max();
    let last = last.map_or_else(|| "no probe yet".into(), |at| format!("last probe stored {}", text::ago(at, now)));
    found.push(check.ok(format!("{} readable, {last}", text::count(states.len(), "state"))));
    found.extend(heartbeat::examine(&*store, app.settings.store.heartbeat.is_some(), now).await);
    found
}
