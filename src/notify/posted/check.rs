//! What is wrong with the settings of a channel that is posted to, found before anything is sent.

use std::sync::Arc;

use api_health_core::evidence::{Certificate, Evidence};
use api_health_core::{Alert, AlertKind, ApiId, Secret, Status, Timestamp, text};
use url::Url;

use super::request;
use super::template::TEMPLATE_BYTES_MAX;
use super::words::Alerts;
use crate::configs::values::ValueFault;
use crate::notify::channel::{ChannelSettings, KeyFault};
use crate::notify::kinds;

/// The most characters that are told of why a template fails.
const WHY_CHARS_MAX: usize = 300;

/// In one line, for whoever has no place in a file to name.
pub(super) fn in_words((_, fault): &KeyFault, settings: &ChannelSettings) -> String {
    let ValueFault { what, why, remedy, .. } = fault;
    let of = if settings.kind.name == "webhook" { "the webhook" } else { &settings.name };
    format!("{of}: {what} {why}; write {remedy}")
}

/// All that is wrong with them. Nothing of a URL beyond its host is in one, and no secret.
pub fn faults(settings: &ChannelSettings) -> Vec<KeyFault> {
    let Some(url) = settings.posted_to() else { return Vec::new() };
    let mut faults = Vec::new();
    let missing = |name: &&str| settings.keys.get(*name).is_none_or(|value| value.reveal().trim().is_empty());
    for key in settings.kind.keys.iter().filter(|key| key.required && missing(&key.name)) {
        faults.push((key.name, ValueFault::new(key.name, "is missing", format!("{} = {}", key.name, key.example))));
    }
    if settings.keys.get("secret").is_some_and(|secret| secret.reveal().is_empty()) {
        faults.push(("secret", ValueFault::new("secret", "is empty", "a long random one, or leave it out")));
    }
    match Url::parse(url) {
        _ if faults.iter().any(|(key, _)| *key == "url") => {}
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            url_faults(settings, &url, &mut faults);
        }
        _ => {
            faults
                .push(("url", ValueFault::new("url", "is not one of http or https", "one such as https://host/path")));
        }
    }
    if faults.is_empty() && settings.template.is_some() {
        faults.extend(template_fault(settings));
    }
    faults
}

fn url_faults(settings: &ChannelSettings, url: &Url, faults: &mut Vec<KeyFault>) {
    if !url.username().is_empty() || url.password().is_some() {
        let (why, remedy) = (
            "holds a user name or password, which would not be sent",
            "it without them, and check the signature or set a header instead",
        );
        faults.push(("url", ValueFault::new("url", why, remedy)));
    }
    let host = url.host_str().unwrap_or_default();
    if let Some(known) = kinds::of_host(host).filter(|known| known.name != settings.kind.name) {
        let why = format!("is of {}, which takes no post of the kind {}", known.name, settings.kind.name);
        let remedy = format!("kind = \"{}\" in a [[notify.channel]]", known.name);
        faults.push(("url", ValueFault::new(host, why, remedy)));
    }
}

/// The first alert for which the template makes no body.
fn template_fault(settings: &ChannelSettings) -> Option<KeyFault> {
    let posting = settings.kind.posting.as_ref()?;
    let source = settings.template.as_ref()?;
    // An error of the template may quote what was put in.
    let keys = settings.kind.keys.iter().map(|key| (key.name, Secret::new("https://host/key"))).collect();
    let tried_with = ChannelSettings { keys, ..settings.clone() };
    let fault = |why: String| {
        let why = text::line(&why, WHY_CHARS_MAX);
        let names = "title, text, kind, name, status, reason, url, api_id, alert_id, incident_id and the other fields of the machine form";
        ("template", ValueFault::new("the template", why, format!("one that uses {names}")))
    };
    if source.len() > TEMPLATE_BYTES_MAX {
        return Some(fault(format!("is longer than {TEMPLATE_BYTES_MAX} bytes")));
    }
    let now = Timestamp::from_millis(1_795_332_606_000);
    let alerts = samples(None);
    let with_evidence: Vec<Arc<Alert>> = evidences().iter().flat_map(|seen| samples(Some(seen))).collect();
    let each = alerts.iter().chain(&with_evidence).map(|alert| Alerts::One(alert));
    let tried = each.chain([Alerts::Many(&alerts)]);
    for tried in tried {
        if let Err(why) = request::request(&tried_with, posting, tried, "production", now) {
            let of = match tried {
                Alerts::One(alert) => format!("an alert of the kind {}", alert.kind.as_str()),
                Alerts::Many(_) => "a digest".to_owned(),
            };
            return Some(fault(format!("cannot tell {of}: {why}")));
        }
    }
    None
}

/// What was seen of an outage: hardly anything, and all that there may be.
fn evidences() -> [Arc<Evidence>; 2] {
    let at = Timestamp::from_millis(1_795_332_600_000);
    let certificate = Certificate { subject: "a \"shop\"".into(), issuer: "b".into(), not_before: at, not_after: at };
    let whole = Evidence {
        address: "192.0.2.1:443".parse().ok(),
        status_line: Some("HTTP/1.1 503 \"no\"".into()),
        body_start: Some("<b>\"{{\\".into()),
        certificate: Some(certificate),
        ..Evidence::default()
    };
    [Arc::default(), Arc::new(whole)]
}

/// One alert of each kind, with what is hard to quote.
fn samples(evidence: Option<&Arc<Evidence>>) -> Vec<Arc<Alert>> {
    let at = Timestamp::from_millis(1_795_332_600_000);
    let Ok(api_id) = ApiId::parse("shop") else { return Vec::new() };
    let about = [api_id.clone(), ApiId::monitor_unclear(&api_id), ApiId::monitor_certificate(&api_id)];
    let alert = |api_id: &ApiId, kind: AlertKind| Alert {
        alert_id: format!("{api_id}.1795332600000.3.{}", kind.as_str()),
        incident_id: format!("{api_id}.1795332600000.3"),
        kind,
        api_id: api_id.clone(),
        name: "The \"shop\" <b>&amp; \\ größe 🛒".into(),
        url: "https://shop.test/health?a=b&c=\"d\"".into(),
        previous_status: Status::Up,
        happened_at: at,
        detected_at: at,
        incident_started_at: at,
        reason: "status 503 is not in 2xx\n{{ \"'".into(),
        changes_left_out: 0,
        evidence: evidence.cloned(),
    };
    about.iter().flat_map(|id| AlertKind::ALL.map(|kind| Arc::new(alert(id, kind)))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::notify::channel::ChannelKind;

    fn channel(kind: &'static ChannelKind, url: &str) -> ChannelSettings {
        let mut keys: std::collections::BTreeMap<_, _> =
            kind.keys.iter().filter(|key| key.required).map(|key| (key.name, Secret::new("abc"))).collect();
        keys.insert("url", Secret::new(url));
        let settings = ChannelSettings::webhook(Secret::new(url), None, Duration::from_secs(10));
        ChannelSettings { name: "ops".into(), kind, keys, ..settings }
    }

    #[test]
    fn every_preset_makes_a_body_of_every_alert() {
        for kind in kinds::KINDS {
            let Some(source) = kind.posting.as_ref().and_then(|posting| posting.body) else { continue };
            let settings = ChannelSettings { template: Some(source.into()), ..channel(kind, "https://h.test/x") };
            assert!(faults(&settings).is_empty(), "{}: {:?}", kind.name, faults(&settings));
        }
    }

    #[test]
    fn a_template_that_cannot_tell_an_alert_is_a_fault() {
        let webhook = kinds::named("webhook").unwrap();
        for (source, says) in [
            ("{\"text\": {{ title }}}", ""),
            ("{\"text\": {{ name ~ \": \" ~ reason }}}", ""),
            ("{\"text\": \"{{ title }}\"}", "brings its own quotes"),
            ("{\"text\": {{ nam }}}", "nam is a name that no alert has"),
            ("{\"text\": {{ evidence.address }}}", "cannot tell an alert of the kind down"),
            ("{\"text\": {{ title }", "line 1 of the template"),
            ("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}1", "fuel"),
            ("[{% for a in range(9000) %}{{ title }},{% endfor %}1]", "more than 65536 bytes"),
            ("{{ \"x\" * 900000000 }}", "fuel"),
        ] {
            let settings = ChannelSettings { template: Some(source.into()), ..channel(webhook, "https://h.test/x") };
            let found: Vec<String> = faults(&settings).iter().map(|fault| in_words(fault, &settings)).collect();
            assert_eq!(found.is_empty(), says.is_empty(), "{source}: {found:?}");
            assert!(found.iter().all(|text| text.contains(says)), "{source}: {found:?}");
        }
        let long =
            ChannelSettings { template: Some("1".repeat(TEMPLATE_BYTES_MAX + 1)), ..channel(webhook, "http://h/") };
        assert!(faults(&long)[0].1.why.contains("longer"));
    }

    #[test]
    fn a_host_that_is_known_is_refused_under_another_kind() {
        for (kind, url, wants) in [
            ("webhook", "https://hooks.slack.com/services/T/B/X", Some("slack")),
            ("slack", "https://ptb.discord.com/api/webhooks/1/x/slack", Some("discord")),
            ("webhook", "https://acme.webhook.office.com/webhookb2/x", Some("teams")),
            ("slack", "https://hooks.slack.com/services/T/B/X", None),
            ("slack", "https://chat.example.com/hooks/x", None),
        ] {
            let found = faults(&channel(kinds::named(kind).unwrap(), url));
            assert_eq!(!found.is_empty(), wants.is_some(), "{url}: {found:?}");
            if let Some(wants) = wants {
                assert!(found[0].1.remedy.contains(&format!("kind = \"{wants}\"")), "{found:?}");
                assert!(!format!("{found:?}").contains("/x"), "{found:?}");
            }
        }
    }

    #[test]
    fn the_table_is_sorted_and_says_what_belongs_to_whom_once() {
        let names: Vec<&str> = kinds::KINDS.iter().map(|kind| kind.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut hosts: Vec<&str> = kinds::KINDS.iter().flat_map(|kind| kind.hosts).copied().collect();
        let all = hosts.len();
        hosts.sort_unstable();
        hosts.dedup();
        assert_eq!(hosts.len(), all);
    }
}
