//! One API: what it is and why, its charts, how long it was up, its incidents, and what is configured of it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::history::{UtcDay, UtcMonth};
use api_health_core::view::{ApiView, Condition};
use api_health_core::{ApiConfig, ApiId, Timestamp, Verdict, text};
use askama::Template;

use super::answer::{Page, Pages};
use super::chart::{Drawing, latency, span_or_none};
use super::head::{Head, Place};
use super::incident::{Line, OVER_MAX, seen};
use super::message::{asked_wrongly, not_found};
use super::phases;
use super::query::Query;
use super::row::{Row, ms, why};
use super::stored::{Reach, Read, Uptime};
use super::words::{ago, count, span};
use super::zone::Look;
use crate::model::Model;
use crate::past::{self, Past};
use crate::shown;

/// The longest reason, name or value; longer ones are cut.
const CHARS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "api.html")]
struct Api {
    head: Head,
    row: Row,
    name: String,
    says: String,
    why: Option<String>,
    facts: Vec<(&'static str, String)>,
    tags: Vec<(String, String)>,
    hours: Drawing,
    days: Drawing,
    /// Of the last probe, if it got so far.
    phases: Option<Drawing>,
    /// What was seen when the open incident was confirmed.
    evidence: Vec<String>,
    latency: Option<Drawing>,
    /// Why there is no chart of latencies.
    why_not: String,
    ranges: [Reach; 4],
    /// The one of them that is shown.
    reach: Reach,
    /// Over which time, the figures, and how long it was down in words.
    uptimes: Vec<(String, Uptime, String)>,
    incidents: Vec<Line>,
    config: Vec<(&'static str, String)>,
}

pub(crate) async fn page(
    request: HttpRequest,
    id: web::Path<String>,
    model: web::Data<Model>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    let range = Query::of(&request).map(|query| query.range);
    pages.answer(&request, &model, |everything| make(everything, &model, &id, range)).await
}

async fn make(everything: Look, model: &Model, id: &str, range: Result<String, String>) -> Page {
    let reach = match range.as_deref().map(Reach::parse) {
        Ok(Some(reach)) => reach,
        Ok(None) => return asked_wrongly("That stretch of time is not known.", "Write range=24h, 7d, 90d or 13mo."),
        Err(why) => return asked_wrongly(why, "Write range=24h, 7d, 90d or 13mo."),
    };
    let Some(view) = ApiId::parse(id).ok().and_then(|id| everything.get(&id)) else {
        return not_found("No API of this id is watched.");
    };
    let now = everything.now;
    let read = Read::from(past::of(model, view, now).await);
    let past = read.past();
    let row = Row::of(view, &everything);
    Page::of(
        StatusCode::OK,
        &Api {
            head: Head::of(&everything, &model.site.about, &text::line(view.name(), 60), Place::Elsewhere),
            name: text::line(view.name(), CHARS_MAX),
            says: says(view, &row, now),
            why: why(view, now, CHARS_MAX),
            facts: facts(view, &everything),
            tags: tags(view),
            hours: read.bar(Reach::DAY, "hour", &everything),
            days: read.bar(Reach::QUARTER, "day", &everything),
            phases: view.figures.as_ref().and_then(phases::drawing),
            evidence: seen(view.incident.as_deref().and_then(|open| open.evidence.as_deref()), Some(view), &everything),
            latency: read.last(reach.points, now).and_then(|points| latency(&points, reach.words, &everything)),
            why_not: read.why_not(),
            ranges: Reach::ALL,
            reach,
            uptimes: past.map(|past| uptimes(past, now)).unwrap_or_default(),
            incidents: incidents(view, &read, &everything),
            config: view.config.as_deref().map(config).unwrap_or_default(),
            row,
        },
    )
}

/// `Down since 2026-11-22 07:30:00 UTC, for 3 min.`
fn says(view: &ApiView, row: &Row, now: Timestamp) -> String {
    let word = view.condition(now).word();
    match (&row.since, &row.lasts) {
        (Some(since), Some(lasts)) => format!("{word} since {}, for {lasts}.", since.words),
        _ => format!("{word}."),
    }
}

fn facts(view: &ApiView, look: &Look) -> Vec<(&'static str, String)> {
    let now = look.now;
    let mut facts = Vec::new();
    if let Some(probe) = &view.last_probe {
        let took = probe.latency_ms.map(|latency| format!(", in {}", ms(latency))).unwrap_or_default();
        let status = probe.status_code.map(|code| format!(", status {code}")).unwrap_or_default();
        facts.push((
            "Last probe",
            format!("{} ({}): {}{status}{took}", look.moment(probe.at), ago(probe.at, now), word(probe.verdict)),
        ));
    }
    if let Some(after) = view.late_after.filter(|after| now <= *after) {
        facts.push(("Next outcome", format!("by {}, else it counts as not watched", look.moment(after))));
    }
    if let Some(until) = view.maintenance_until.filter(|until| now < *until) {
        facts.push(("Maintenance", format!("until {}; alerts wait", look.moment(until))));
    }
    if view.condition(now) != Condition::Off
        && let Some(config) = &view.config
    {
        facts.push(("An outage is told", format!("within {} of its start", span(config.worst_detection()))));
    }
    if view.owed > 0 {
        facts.push(("Alerts owed", format!("{} not taken by every channel yet", count(view.owed, "alert"))));
    }
    if let Some(held) = &view.held {
        facts.push(("Alert held", text::line(held, CHARS_MAX)));
    }
    if view.is_flapping {
        facts.push(("Flapping", "it changes more often than its row allows, so its changes are held".into()));
    }
    let ends = view.figures.and_then(|figures| figures.ends()).map(|ends| ends.of_chain);
    match (&view.beside.certificate, ends) {
        (Some(told), _) => facts.push(("Certificate", super::row::masked(view, &told.reason, CHARS_MAX))),
        (None, Some(at)) => facts.push(("Certificate", certificate(at, look))),
        (None, None) => {}
    }
    if view.missed_ticks > 0 {
        facts.push(("Missed", count(usize::try_from(view.missed_ticks).unwrap_or(usize::MAX), "tick")));
    }
    facts
}

/// `ends on 2027-01-10 07:30:00 UTC, in 44 days`.
fn certificate(ends: Timestamp, look: &Look) -> String {
    let (now, at) = (look.now, look.moment(ends));
    let days = |span: Duration| count((span.as_secs() / 86_400) as usize, "day");
    if now < ends { format!("ends on {at}, in {}", days(ends.since(now))) } else { format!("ended on {at}") }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "failed",
        Verdict::Inconclusive => "told nothing of it",
    }
}

fn tags(view: &ApiView) -> Vec<(String, String)> {
    let tags = view.config.iter().flat_map(|config| &config.tags);
    tags.map(|tag| (text::line(tag, 64), super::query::encoded(tag))).collect()
}

/// Day, week, month, quarter and year, as whole days in UTC until now.
fn uptimes(past: &Past, now: Timestamp) -> Vec<(String, Uptime, String)> {
    let back =
        |days: u64| Timestamp::from_millis(now.as_millis() - Duration::from_secs(days * 86_400).as_millis() as i64);
    let month = UtcMonth::of(now);
    let spans = [
        ("24 hours".to_owned(), back(1)),
        ("7 days".to_owned(), back(7)),
        (format!("this month ({month})"), month.first_day().starts_at()),
        ("90 days".to_owned(), UtcDay::of(now).plus_days(-89).starts_at()),
        ("12 months".to_owned(), month.plus_months(-11).first_day().starts_at()),
    ];
    let row = |(words, from)| {
        let uptime = Uptime::of(past, from, now);
        let down = span_or_none(uptime.down);
        (words, uptime, down)
    };
    spans.map(row).into()
}

fn incidents(view: &ApiView, read: &Read, look: &Look) -> Vec<Line> {
    let open = Line::open(view, look);
    open.into_iter().chain(read.over().take(OVER_MAX).map(|over| Line::over(&over, look))).collect()
}

/// What is configured, without secrets: of headers the names, of the body that there is one, of the query the names of its parts.
fn config(config: &ApiConfig) -> Vec<(&'static str, String)> {
    let line = |words: &str| text::line(words, CHARS_MAX);
    let mut all = vec![
        ("URL", line(&shown::url(config))),
        ("Method", config.method.to_string()),
        ("Schedule", config.schedule.to_string()),
        ("Timeout", span(config.timeout)),
        ("Expected status", line(&config.expected_status.to_string())),
        ("Down after", count(config.failure_threshold as usize, "fail")),
        ("Up after", count(config.success_threshold as usize, "pass").replace("passs", "passes")),
        ("Asked again", format!("within {}", span(config.recheck))),
    ];
    let names: Vec<String> = config.headers.iter().map(|(name, _)| format!("{}: ***", line(name))).collect();
    let depends: Vec<&str> = config.alerting.depends_on.iter().map(ApiId::as_str).collect();
    all.extend((!names.is_empty()).then(|| ("Headers", names.join(", "))));
    all.extend(config.body.as_ref().map(|_| ("Body", "***".to_owned())));
    let assertions = config.assertions.len();
    all.extend((assertions > 0).then(|| ("Assertions", count(assertions, "assertion"))));
    all.extend((!depends.is_empty()).then(|| ("Depends on", depends.join(", "))));
    all
}
