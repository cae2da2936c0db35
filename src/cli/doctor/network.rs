//! The way out to whatever is posted to, and the words for any way out.

use std::collections::BTreeSet;
use std::time::Duration;

use api_health_actors::ports::Witnesses as _;
use api_health_core::network::crowd::{ADDRESSES_MIN, APIS_MIN};
use api_health_core::network::{OwnPart, Zone};
use api_health_core::observation::LocalFault;
use api_health_core::{Failure, PhaseTimes};
use futures_util::future::join_all;
use url::Url;

use super::report::Finding;
use crate::app::App;
use crate::cli::checks::Check;
use crate::cli::text;
use crate::environment;
use crate::notify::channel::ChannelSettings;
use crate::notify::kinds;
use crate::probe::Client;
use crate::probe::proxies::Proxies;
use crate::witnesses::SystemWitnesses;

/// Bound on one way out, with its answer: within that of a whole check.
pub(super) const REACH_TIMEOUT: Duration = Duration::from_secs(10);

/// `DNS 3 ms, TCP 21 ms, TLS 40 ms, first byte 33 ms`.
pub(super) fn phases(times: &PhaseTimes) -> String {
    let named = [("DNS", times.resolve), ("TCP", times.connect), ("TLS", times.tls), ("first byte", times.first_byte)];
    let taken = named.iter().filter_map(|(name, took)| Some(format!("{name} {}", text::millis((*took)?))));
    taken.collect::<Vec<_>>().join(", ")
}

/// That `place` cannot be reached, and what may help.
pub(super) fn unreachable(check: Check, place: &str, failure: &Failure) -> Finding {
    let todo = match failure {
        Failure::NameNotFound { .. }
        | Failure::NoAddress { .. }
        | Failure::NameServerFailed { .. }
        | Failure::NameServersSilent { .. }
        | Failure::LookupFailed { .. } => {
            "see that names resolve here (getent hosts HOST, /etc/resolv.conf), and that the name, or the region in it, is right"
        }
        Failure::Certificate(_) | Failure::Tls { .. } => {
            "see who answers there: a proxy that opens TLS, or a wrong clock; and that ca-certificates is installed"
        }
        Failure::Local(LocalFault::Proxy { .. }) | Failure::BehindProxy { .. } => {
            "see that this is the right proxy, that it lets this machine in, and that it can reach that host"
        }
        Failure::Local(_) => "mend that on this machine first",
        _ => {
            "let this machine out: a route (public IP address, NAT or VPC endpoint), and outbound HTTPS in security group and firewall"
        }
    };
    check.fault(format!("{place}: {failure}"), todo)
}

/// By way of which proxy everything goes; nothing, where none is written anywhere.
pub(super) fn proxies(proxies: &Proxies) -> Vec<Finding> {
    let unusable = proxies.unusable.iter().map(|why| {
        Check::Proxy.warn(why.clone(), "write proxy = \"http://HOST:PORT\", or \"none\", into the settings")
    });
    let used = (!proxies.ways.is_empty()).then(|| Check::Proxy.ok(proxies.ways.clone()));
    used.into_iter().chain(unusable).collect()
}

/// The way to the host of each channel that is posted to, and to the dead man's switch, with nothing sent.
pub(super) async fn webhooks(app: &App) -> Vec<Finding> {
    let notify = &app.settings.notify;
    let takes_alerts = "; --send-test-message shows whether it takes an alert";
    let channels = notify.webhook.iter().chain(&notify.channels);
    let channels = channels.filter_map(|channel| Some((named(channel), channel.posted_to()?, takes_alerts)));
    let beats = app.settings.heartbeat_out.iter().map(|beats| ("heartbeat_out".to_owned(), beats.url.reveal(), ""));
    let parsed = |(who, url, beside)| Some((who, Url::parse(url).ok()?, beside)); // they were checked when they were read
    let places: Vec<(String, Url, &str)> = channels.chain(beats).filter_map(parsed).collect();
    let mut found: Vec<Finding> = places.iter().filter_map(|(who, url, _)| old_connector(who, url)).collect();
    match app.client() {
        _ if places.is_empty() => {}
        Ok(client) => {
            found.extend(join_all(places.iter().map(|(who, url, beside)| reach(&client, who, url, beside))).await);
        }
        Err(_) => found.push(Check::Webhook.not_checked("the extra roots cannot be used")),
    }
    found
}

/// `ops (pagerduty)`: the name, and the kind where that is another word.
fn named(channel: &ChannelSettings) -> String {
    let (name, kind) = (&channel.name, channel.kind.name);
    if name == kind { name.clone() } else { format!("{name} ({kind})") }
}

/// A connector of Office 365 in Teams. All hosts that are known to be of Teams are theirs.
fn old_connector(who: &str, url: &Url) -> Option<Finding> {
    let host = url.host_str().filter(|host| kinds::of_host(host).is_some_and(|kind| kind.name == "teams"))?;
    Some(Check::Webhook.warn(
        format!(
            "{who} at {host}: Microsoft retires the connectors of Teams in 2026, and takes no alerts there any more then"
        ),
        "make a Workflow in Teams (\"When a Teams webhook request is received\"), and write its URL in place of this one",
    ))
}

async fn reach(client: &Client, who: &str, url: &Url, beside: &str) -> Finding {
    let (check, place) = (Check::Webhook, format!("{who} at {}", &url[..url::Position::BeforePath]));
    let (times, result) = client.reach(url, REACH_TIMEOUT).await;
    let well = |()| format!("{place} can be reached: {}{beside}", phases(&times));
    result.map_or_else(|failure| unreachable(check, &place, &failure), |done| check.ok(well(done)))
}

/// That a way out which is lost would be told as outages of the APIs in the internet: nobody else is asked there, and they are too few to
/// be believed by themselves.
pub(super) async fn unvouched(far: &[&str], app: &App) -> Option<Finding> {
    let is_crowd = far.len() >= APIS_MIN && far.iter().collect::<BTreeSet<_>>().len() >= ADDRESSES_MIN;
    if far.is_empty() || is_crowd {
        return None;
    }
    let witnesses = SystemWitnesses::new(app.client().ok()?, &app.settings, &environment::get);
    let ballot = witnesses.ask(OwnPart::NETWORK, Vec::new()).await;
    let apis = text::count(far.len(), "API");
    let what = format!(
        "a lost way into the internet is told as an outage of {apis} there: no witness is there, and who is nearby says nothing of it"
    );
    let todo = "name a host in the internet that takes connections: witnesses = \"1.1.1.1:443\" below [network]";
    ballot.iter().all(|vote| vote.zone == Zone::Near).then(|| Check::ApiHosts.warn(what, todo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_of_teams_is_told_from_a_workflow() {
        let is_old = |url: &str| old_connector("chat", &Url::parse(url).unwrap()).is_some();
        assert!(
            is_old("https://example.webhook.office.com/webhookb2/x") && is_old("https://outlook.office.com/webhook/x")
        );
        assert!(!is_old("https://prod-1.westeurope.logic.azure.com/workflows/x"));
        assert!(!is_old("https://hooks.slack.com/services/x"));
    }
}
