//! The webhook that is told: what it got, checked as a careful receiver checks it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api_health_core::Timestamp;
use aws_lc_rs::hmac;
use serde_json::Value;

use crate::daemon::wait_for;
use crate::support::http::{Answer, Request, Server};

/// The key that signs alerts.
pub(crate) const SECRET: &str = "a long random text for the tests";

/// An alert as it was taken over.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// When.
    pub(crate) at: SystemTime,
    /// The machine form.
    pub(crate) alert: Value,
}

impl Received {
    /// A field that is text.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.alert[field].as_str().unwrap_or_else(|| panic!("{field} is not text in {}", self.alert))
    }

    /// A field that is a time.
    pub(crate) fn time(&self, field: &str) -> SystemTime {
        let millis = Timestamp::parse(self.text(field)).expect("a time").as_millis();
        UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap())
    }
}

/// A webhook.
pub(crate) struct Receiver {
    pub(crate) server: Server,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self { server: Server::start() }
    }

    /// The settings that send alerts to it, signed.
    pub(crate) fn settings(&self) -> String {
        self.settings_within(1)
    }

    /// The same, with another bound on one call.
    pub(crate) fn settings_within(&self, timeout_seconds: u32) -> String {
        settings_for(&self.server.url("/hook"), timeout_seconds)
    }

    /// Takes alerts over no more, or again.
    pub(crate) fn answer(&self, answer: Answer) {
        self.server.set("/hook", answer);
    }

    /// Every alert that it took over, in order, repeats included. Each has a good signature.
    pub(crate) fn received(&self) -> Vec<Received> {
        let taken = self.server.requests("/hook").into_iter().filter(|request| request.answered == 200);
        taken.map(|request| checked(&request)).collect()
    }

    /// `(api_id, kind)` of every alert that it took over, in order, but for those about the monitor itself.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        let of_apis = |r: &Received| !r.text("api_id").contains(':');
        let received = self.received().into_iter().filter(of_apis);
        received.map(|r| (r.text("api_id").to_owned(), r.text("kind").to_owned())).collect()
    }

    /// The kinds of the alerts of one API, in order.
    pub(crate) fn told_of(&self, api_id: &str) -> Vec<String> {
        let received = self.received().into_iter().filter(|r| r.text("api_id") == api_id);
        received.map(|r| r.text("kind").to_owned()).collect()
    }

    /// Waits for the alert of `kind` of an API.
    pub(crate) fn wait_for(&self, api_id: &str, kind: &str, within: Duration) -> Received {
        wait_for(&format!("the {kind} of {api_id}"), within, || {
            self.received().into_iter().find(|r| r.text("api_id") == api_id && r.text("kind") == kind)
        })
    }
}

/// The settings that send alerts to `url`, signed, and one by one.
pub(crate) fn settings_for(url: &str, timeout_seconds: u32) -> String {
    format!(
        "[notify]\ndigest_above = 0\n[notify.webhook]\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n\
         timeout_seconds = {timeout_seconds}\n"
    )
}

/// The alert of a request that carries a good signature.
pub(crate) fn checked(request: &Request) -> Received {
    let timestamp = request.header("x-api-health-timestamp").expect("a timestamp");
    let signature = request.header("x-api-health-signature").expect("a signature").strip_prefix("v1=").unwrap();
    let bytes: Vec<u8> =
        (0..signature.len()).step_by(2).map(|at| u8::from_str_radix(&signature[at..at + 2], 16).unwrap()).collect();
    let signed = format!("{timestamp}.{}", request.body);
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes(), &bytes)
        .expect("the signature is good");
    let alert: Value = serde_json::from_str(&request.body).unwrap();
    let id = alert["alert_id"].as_str().or(alert["digest_id"].as_str());
    assert_eq!(request.header("x-api-health-alert-id"), id);
    assert_eq!(request.header("content-type"), Some("application/json"));
    Received { at: request.at, alert }
}
