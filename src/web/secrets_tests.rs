//! Secrets of a row, which a server repeats wherever it can, are in no answer; and strangers get names and states alone.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::MemoryHistory;
use api_health_core::evidence::{Certificate, Evidence};
use api_health_core::history::{HistoryItem, HistorySlot, Series, Story, UtcMonth};
use api_health_core::incident::Incident;
use api_health_core::state::LastProbe;
use api_health_core::view::{ApiView, Trouble};
use api_health_core::{ProbeFigures, Secret, Status, Verdict};

use crate::testing::{NOW, Shop, up_with};

/// One in the URL, one in a header, one in the body.
const SECRETS: [&str; 3] = ["tok-hunter22", "key-hunter33", "pin-hunter44"];

/// What is no secret, and for nobody but those who are let in.
const INSIDE: [&str; 4] = ["a.inside.test", "503", "X-Key", "db-7"];

fn repeated() -> String {
    format!("status 503: db-7 says {}", SECRETS.join(" and "))
}

fn incident(started_at: api_health_core::Timestamp) -> Incident {
    let words = || Some(repeated());
    let certificate =
        Certificate { subject: repeated(), issuer: repeated(), not_before: started_at, not_after: started_at };
    let evidence = Evidence {
        seen_at: started_at,
        status_line: words(),
        body_start: words(),
        certificate: Some(certificate),
        ill: vec![repeated()],
        ..Evidence::default()
    };
    Incident {
        incident_id: format!("a.{}.3", started_at.as_millis()),
        started_at,
        reason: repeated(),
        name: "Shop".into(),
        evidence: Some(Arc::new(evidence)),
        ..Incident::default()
    }
}

/// A public API that is down, of which everything is told that may be told.
fn view() -> ApiView {
    let mut view = up_with("a", |config| {
        config.url = format!("https://a.inside.test/x?token={}", SECRETS[0]);
        config.headers = vec![("X-Key".into(), Secret::new(SECRETS[1]))];
        config.body = Some(Secret::new(SECRETS[2]));
        (config.name, config.public) = ("Shop".into(), true);
    });
    let trouble = || Some(Trouble { since: NOW, reason: repeated() });
    (view.status, view.since, view.incident) = (Status::Down, Some(NOW), Some(Box::new(incident(NOW))));
    (view.beside.unclear, view.beside.certificate) = (trouble(), trouble());
    let (latency_ms, status_code) = (Some(42), Some(503));
    view.last_probe =
        Some(LastProbe { at: NOW, verdict: Verdict::Fail, latency_ms, status_code, error: Some(repeated()) });
    view.figures = Some(ProbeFigures::default().with_took(Duration::from_millis(42)));
    view
}

/// An outage of it that is over.
fn past() -> MemoryHistory {
    let history = MemoryHistory::default();
    let (began_at, ended_at) = (UtcMonth::of(NOW).first_day().starts_at(), NOW);
    let incident = incident(began_at);
    let end_evidence = incident.evidence.clone();
    let (end_confirmed_at, is_closed, excluded_ms) = (ended_at, false, 0);
    let story = Story { incident, began_at, ended_at, end_confirmed_at, is_closed, excluded_ms, end_evidence };
    let api_id = view().api_id;
    for series in [Series::Api(api_id.clone()), Series::Incidents(UtcMonth::of(NOW))] {
        let slot = HistorySlot::Incident { started_at: began_at, api_id: api_id.clone() };
        history.put(HistoryItem { series, slot, epoch: 0, kept_until: None, bytes: story.encode() });
    }
    history
}

fn badges() -> impl Iterator<Item = String> {
    let facts = ["status", "uptime-7d", "uptime-30d", "uptime-90d", "p95", "certificate"];
    facts.into_iter().flat_map(|fact| ["svg", "json"].map(|form| format!("/badge/a/{fact}.{form}")))
}

#[test]
fn secrets_that_a_server_repeats_are_in_no_answer() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::remembering(vec![view()], past());
        let [open, over] =
            [NOW, UtcMonth::of(NOW).first_day().starts_at()].map(|at| format!("/incidents/a.{}.3", at.as_millis()));
        let paths = "/ /apis /apis?q=a /apis/a /incidents /reports/2026-11 /reports/2026-11.csv /wall /public /feed.atom \
                     /api/v1/summary /api/v1/apis /api/v1/apis/a /api/v1/apis/a/history /api/v1/incidents \
                     /api/v1/incidents?format=csv /api/v1/reports/2026-11 /api/v2/summary.json /metrics /probe?target=a /sd/prometheus";
        let mut shown = String::new();
        for path in paths.split_whitespace().map(str::to_owned).chain([open, over]).chain(badges()) {
            let (status, _, text) = shop.get(&path).await;
            assert_eq!(status, 200, "{path}: {text}");
            for secret in SECRETS {
                assert!(!text.contains(secret), "{path} has {secret}: {text}");
            }
            shown.push_str(&text);
        }
        assert!(shown.contains("db-7 says *** and *** and ***"), "the rest is told: {shown}");
    });
}

#[test]
fn strangers_get_the_names_and_states_of_public_apis_and_no_more() {
    actix_rt::System::new().block_on(async {
        let private = up_with("private", |config| config.name = "Payroll".into());
        let shop = Shop::remembering(vec![view(), private], past());
        // It came through a proxy, so whoever sent it is nobody on this machine.
        let stranger = [("X-Forwarded-For", "192.0.2.1")];
        let everybody = ["/public", "/feed.atom", "/api/v2/summary.json"].map(str::to_owned);
        for path in everybody.into_iter().chain(badges()) {
            let (status, _, text) = shop.get_as(&path, &stranger).await;
            assert_eq!(status, 200, "{path}: {text}");
            for inside in SECRETS.into_iter().chain(INSIDE).chain(["Payroll", "private"]) {
                assert!(!text.contains(inside), "{path} has {inside}: {text}");
            }
        }
        for path in ["/", "/apis/a", "/incidents", "/wall", "/reports/2026-11", "/metrics"] {
            assert_eq!(shop.get_as(path, &stranger).await.0, 401, "{path}");
        }
        for path in ["/badge/private/status.svg", "/badge/nobody/status.svg"] {
            assert_eq!(shop.get_as(path, &stranger).await.0, 404, "what is private and what is not there look alike");
        }
    });
}
