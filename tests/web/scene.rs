//! What the browser is shown: APIs that are well and that are not, always the same.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit;
use api_health_core::figures::CertificateEnds;
use api_health_core::incident::{DeliveredAlert, Incident};
use api_health_core::state::{LastProbe, Streak, Toward};
use api_health_core::view::{ApiView, Trouble};
use api_health_core::{AlertKind, ApiConfig, Evidence, PhaseTimes, ProbeFigures, Status, Timestamp, Verdict};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_332_600_000);

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - seconds * 1_000)
}

/// An API that has been up for days.
fn up_with(id: &str, name: &str, change: impl FnOnce(&mut ApiConfig)) -> ApiView {
    let mut config = testkit::api(id, 30);
    config.name = name.into();
    config.url = format!("https://{id}.example.com/health");
    change(&mut config);
    let mut view = testkit::board::view(config, NOW);
    let number = id.bytes().map(i64::from).sum::<i64>();
    view.since = Some(ago(86_400 + number * 97));
    probed(view, 3 + number % 20, Verdict::Pass, None)
}

pub(crate) fn up(id: &str, name: &str) -> ApiView {
    up_with(id, name, |config| config.public = true)
}

fn probed(mut view: ApiView, seconds: i64, verdict: Verdict, error: Option<&str>) -> ApiView {
    let latency = 20 + view.api_id.as_str().bytes().map(u32::from).sum::<u32>() % 160;
    view.last_probe = Some(LastProbe {
        at: ago(seconds),
        verdict,
        latency_ms: Some(latency),
        status_code: Some(if verdict == Verdict::Pass { 200 } else { 503 }),
        error: error.map(str::to_owned),
    });
    view.late_after = Some(ago(-40));
    let part = |share: u32| Some(Duration::from_millis((latency / share).into()));
    let mut figures = ProbeFigures::default().with_took(Duration::from_millis(latency.into()));
    figures.phases.add(&PhaseTimes {
        resolve: part(20),
        connect: part(6),
        tls: part(4),
        first_byte: part(2),
        body: part(50),
    });
    let ends = ago(-(30 + i64::from(latency)) * 86_400);
    view.figures = Some(figures.with_ends(Some(CertificateEnds { earliest: ends, of_chain: ends })));
    view
}

pub(crate) fn down(view: ApiView, seconds: i64, why: &str) -> ApiView {
    let mut view = probed(view, 3, Verdict::Fail, Some(why));
    (view.status, view.since) = (Status::Down, Some(ago(seconds)));
    view.incident = Some(Box::new(Incident {
        incident_id: format!("{}.{}.3", view.api_id, ago(seconds).as_millis()),
        started_at: ago(seconds),
        reason: why.into(),
        confirmed_at: Some(ago(seconds - 6)),
        delivered: vec![DeliveredAlert { channel: "sns".into(), kind: AlertKind::Down, at: ago(seconds - 7) }],
        evidence: Some(Arc::new(Evidence {
            seen_at: ago(seconds - 6),
            address: Some(([192, 0, 2, 7], 443).into()),
            status_line: Some("HTTP/1.1 503 Service Unavailable".into()),
            body_start: Some("<h1>Back in a minute</h1>".into()),
            well: vec!["dynamodb.eu-central-1.amazonaws.com:443".into()],
            ..Evidence::default()
        })),
        ..Incident::default()
    }));
    view
}

/// The id of the incident of [`ten`].
pub(crate) fn incident_id(api_id: &str) -> String {
    format!("{api_id}.{}.3", ago(754).as_millis())
}

/// A small shop on a bad morning.
pub(crate) fn ten() -> Vec<ApiView> {
    let tagged = |id, name, tag: &str| {
        up_with(id, name, |config| {
            config.public = true;
            config.tags = vec![tag.into()];
        })
    };
    let mut payments = tagged("payments", "Payments", "money");
    payments.streak = Some(Streak { toward: Toward::Down, request_fingerprint: 0, count: 1, first_at: ago(4) });
    let payments = probed(payments, 4, Verdict::Fail, Some("no answer within 10 s"));
    let mut search = tagged("search", "Search", "shop");
    search.maintenance_until = Some(ago(-3_000));
    search.since = Some(ago(600));
    let mut mail = tagged("mail", "Mail gateway", "inside");
    mail.beside.certificate =
        Some(Trouble { since: ago(9_000), reason: "its certificate ends on 2026-11-25, in 3 days".into() });
    vec![
        tagged("accounts", "Accounts", "shop"),
        tagged("basket", "Basket", "shop"),
        tagged("catalogue", "Catalogue", "shop"),
        down(tagged("checkout", "Checkout", "money"), 754, "status 503 where 200 to 299 is expected"),
        tagged("images", "Images", "shop"),
        mail,
        payments,
        search,
        tagged("shipping", "Shipping rates", "inside"),
        tagged("stock", "Stock", "inside"),
    ]
}

/// One of each.
pub(crate) fn each_state() -> Vec<ApiView> {
    let trouble = |why: &str| Some(Trouble { since: ago(400), reason: why.into() });
    let mut all = ten();
    let mut unwatched = up("billing", "Billing");
    unwatched.beside.not_probed = trouble("its prober died six times within a minute");
    let mut unclear = up("partner", "Partner");
    unclear.beside.unclear = trouble("the name cannot be resolved here, nor can any other");
    let mut unknown = up("new", "Just added");
    (unknown.status, unknown.since, unknown.last_probe) = (Status::Unknown, None, None);
    all.extend([unwatched, unclear, unknown, up_with("old", "Old shop", |config| config.enabled = false)]);
    all.sort_by(|a, b| a.api_id.cmp(&b.api_id));
    all
}

/// So many, of which a hundredth is down.
pub(crate) fn many(count: usize) -> Vec<ApiView> {
    let make = |at: usize| {
        let view = up_with(&format!("api-{at:06}"), &format!("Service {at} of the platform"), |config| {
            config.tags = vec![format!("team-{}", at % 232), ["eu", "us", "ap"][at % 3].into()];
            config.url = format!("https://host-{}.example.com/health", at % 500);
            config.public = at.is_multiple_of(50);
        });
        if at % 100 == 7 { down(view, 60 + at as i64, "status 503 where 200 to 299 is expected") } else { view }
    };
    (0..count).map(make).collect()
}
