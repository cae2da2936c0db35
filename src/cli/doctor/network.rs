//! The way out to the webhook's host, and the words for any way out.

use std::time::Duration;

use api_health_core::{Failure, PhaseTimes};
use url::Url;

use super::report::Finding;
use crate::app::App;
use crate::cli::checks::Check;
use crate::cli::text;

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
        Failure::NameNotFound { .. } | Failure::LookupFailed { .. } => {
            "see that names resolve here (getent hosts HOST, /etc/resolv.conf), and that the name, or the region in it, is right"
        }
        Failure::Certificate(_) | Failure::Tls { .. } => {
            "see who answers there: a proxy that opens TLS, or a wrong clock; and that ca-certificates is installed"
        }
        Failure::Local(_) => "mend that on this machine first",
        _ => {
            "let this machine out: a route (public IP address, NAT or VPC endpoint), and outbound HTTPS in security group and firewall"
        }
    };
    check.fault(format!("{place}: {failure}"), todo)
}

/// The way to the webhook's host, with nothing sent.
pub(super) async fn webhook(app: &App) -> Vec<Finding> {
    let check = Check::Webhook;
    let Some(webhook) = &app.settings.notify.webhook else { return Vec::new() };
    let (Ok(url), Ok(client)) = (Url::parse(webhook.url.reveal()), app.client()) else {
        return check.not_checked("the extra roots cannot be used").into(); // the url was checked when it was read
    };
    let (host, (times, result)) = (webhook.host(), client.reach(&url, REACH_TIMEOUT).await);
    let well =
        |()| format!("{host} can be reached: {}; --send-test-message shows whether it takes an alert", phases(&times));
    result.map_or_else(|failure| unreachable(check, &host, &failure), |done| check.ok(well(done))).into()
}
