//! Incidents: a list of those that are open and of a month's that are over, and one with its story.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::evidence::Evidence;
use api_health_core::history::{Note, UtcMonth};
use api_health_core::incident::Incident;
use api_health_core::view::ApiView;
use api_health_core::{Timestamp, text};
use askama::Template;

use super::answer::{Page, Pages};
use super::head::{Head, Place};
use super::message::{asked_wrongly, not_found};
use super::query::Query;
use super::row::masked;
use super::words::{When, count, more, span};
use super::zone::Look;
use crate::model::Model;
use crate::past::{self, Over};
use crate::shown;

/// Incidents that are over, on one page.
pub(crate) const OVER_MAX: usize = 200;

/// Open incidents that are shown.
const OPEN_MAX: usize = 100;

const REASON_CHARS_MAX: usize = 240;

/// An incident as a row of a list.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) began: When,
    /// How long it lasted, or has lasted.
    pub(crate) lasts: String,
    pub(crate) is_open: bool,
}

impl Line {
    /// The open one of an API.
    pub(crate) fn open(view: &ApiView, look: &Look) -> Option<Self> {
        let incident = view.incident.as_ref()?;
        Some(Self {
            id: incident.incident_id.clone(),
            name: text::line(view.name(), 60),
            reason: masked(view, &incident.reason, REASON_CHARS_MAX),
            began: When::of(incident.started_at, look),
            lasts: span(look.now.since(incident.started_at)),
            is_open: true,
        })
    }

    pub(crate) fn over(over: &Over, look: &Look) -> Self {
        let view = look.get(&over.api_id).map(AsRef::as_ref);
        let incident = &over.story.incident;
        Self {
            id: incident.incident_id.clone(),
            name: text::line(&incident.name, 60),
            reason: text::line(&shown::said_once(view, &incident.reason), REASON_CHARS_MAX),
            began: When::of(over.story.began_at, look),
            lasts: span(over.lasted()),
            is_open: false,
        }
    }
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct Incidents {
    head: Head,
    says: String,
    open: Vec<Line>,
    more: Option<String>,
    month: String,
    earlier: String,
    later: Option<String>,
    over: Vec<Line>,
    /// Why those that are over cannot be shown.
    why_not: Option<String>,
}

pub(crate) async fn list(request: HttpRequest, model: web::Data<Model>, pages: web::Data<Pages>) -> HttpResponse {
    let asked = Query::of(&request).map(|query| query.month);
    pages.answer(&request, &model, |everything| make_list(everything, &model, asked)).await
}

async fn make_list(everything: Look, model: &Model, asked: Result<String, String>) -> Page {
    let now = everything.now;
    let this = UtcMonth::of(now);
    let month = match asked.as_deref() {
        Ok("") => Some(this),
        Ok(month) => UtcMonth::parse(month),
        Err(_) => None,
    };
    let Some(month) = month else {
        return asked_wrongly("That month cannot be read.", "Write a month such as month=2026-11.");
    };
    let mut open: Vec<&Arc<ApiView>> = everything.views.iter().filter(|view| view.incident.is_some()).collect();
    open.sort_by_key(|view| std::cmp::Reverse(view.incident.as_ref().map(|incident| incident.started_at)));
    let (over, why_not) = match past::months(model, &(month..month.plus_months(1)), now).await {
        Ok(read) => (read.over.iter().take(OVER_MAX).map(|over| Line::over(over, &everything)).collect(), None),
        Err(why) => (Vec::new(), Some(why.to_string())),
    };
    Page::of(
        StatusCode::OK,
        &Incidents {
            head: Head::of(&everything, &model.site.about, "Incidents", Place::Incidents),
            says: match open.len() {
                0 => "No incident is open.".into(),
                1 => "1 incident is open.".into(),
                n => format!("{} are open.", count(n, "incident")),
            },
            more: more(open.len(), OPEN_MAX),
            open: open.into_iter().take(OPEN_MAX).filter_map(|view| Line::open(view, &everything)).collect(),
            month: month.to_string(),
            earlier: month.plus_months(-1).to_string(),
            later: (month < this).then(|| month.plus_months(1).to_string()),
            over,
            why_not,
        },
    )
}

#[derive(Template)]
#[template(path = "incident.html")]
struct One {
    head: Head,
    id: String,
    api_id: String,
    name: String,
    says: String,
    reason: String,
    steps: Vec<(When, String)>,
    /// A title, and what was seen, a line each.
    evidence: Vec<(&'static str, Vec<String>)>,
    notes: Vec<(When, Note)>,
    /// How a person writes one.
    command: String,
    is_open: bool,
}

pub(crate) async fn page(
    request: HttpRequest,
    id: web::Path<String>,
    model: web::Data<Model>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    pages.answer(&request, &model, |everything| make(everything, &model, &id)).await
}

async fn make(everything: Look, model: &Model, id: &str) -> Page {
    let now = everything.now;
    let Some((api_id, started_at)) = Incident::of_id(id) else {
        return not_found("No incident of this id is known.");
    };
    let view = everything.get(&api_id).map(AsRef::as_ref);
    let open = view.and_then(|view| view.incident.as_deref()).filter(|incident| incident.incident_id == id);
    let read = past::over_of(model, &api_id, now).await;
    let over = read.as_ref().ok().and_then(|all| all.iter().find(|over| over.story.incident.incident_id == id));
    let over = over.filter(|_| open.is_none());
    let incident = match (open, over) {
        (Some(open), _) => open,
        (None, Some(over)) => &over.story.incident,
        (None, None) => {
            return not_found(&match &read {
                Ok(_) => "No incident of this id is known.".to_owned(),
                Err(why) => format!("No open incident has this id, and {why}."),
            });
        }
    };
    let month = UtcMonth::of(started_at);
    let notes = past::months(model, &(month..month.plus_months(1)), now).await.unwrap_or_default();
    let says = match over {
        Some(over) => format!("Down for {}, from {}.", span(over.lasted()), everything.moment(over.story.began_at)),
        None => format!("Down since {}, for {}.", everything.moment(started_at), span(now.since(started_at))),
    };
    let began_at = over.map_or(started_at, |over| over.story.began_at);
    let mut steps = steps_of(incident, began_at);
    match over {
        Some(over) => {
            let ended = if over.story.is_closed { "It was watched no longer." } else { "The first probe passed." };
            steps.push((over.story.ended_at, ended.into()));
            steps.push((over.story.end_confirmed_at, "The end was confirmed.".into()));
        }
        None => steps.extend(view.into_iter().flat_map(steps_to_come)),
    }
    steps.sort_by_key(|(at, _)| *at);
    let end = over.and_then(|over| over.story.end_evidence.as_deref());
    let ends: [(_, Vec<String>); 2] = [
        ("What was seen when it was confirmed", seen(incident.evidence.as_deref(), view, &everything)),
        ("What was seen when it was over", seen(end, view, &everything)),
    ];
    Page::of(
        StatusCode::OK,
        &One {
            head: Head::of(&everything, &model.site.about, "Incident", Place::Elsewhere),
            id: id.to_owned(),
            api_id: api_id.to_string(),
            name: text::line(if over.is_none() { view.map_or("", ApiView::name) } else { &incident.name }, 200),
            says,
            reason: text::line(&shown::said_once(view, &incident.reason), REASON_CHARS_MAX),
            steps: steps.into_iter().map(|(at, what)| (When::of(at, &everything), what)).collect(),
            evidence: ends.into_iter().filter(|(_, lines)| !lines.is_empty()).collect(),
            notes: notes.notes_of(id).iter().map(|note| (When::of(note.at, &everything), note.clone())).collect(),
            command: format!("api-health incidents note {id} \"…\""),
            is_open: over.is_none(),
        },
    )
}

/// What was seen, a line each, as alerts have it.
pub(crate) fn seen(evidence: Option<&Evidence>, view: Option<&ApiView>, look: &Look) -> Vec<String> {
    let Some(evidence) = evidence else { return Vec::new() };
    let facts = evidence.facts().into_iter().map(|(label, fact)| format!("{label}: {fact}"));
    let shown = facts.map(|line| text::line(&shown::said_once(view, &line), 300));
    std::iter::once(format!("At {}", look.moment(evidence.seen_at))).chain(shown).collect()
}

/// What is not over of one that is open.
fn steps_to_come(view: &ApiView) -> Vec<(Timestamp, String)> {
    let owed = (view.owed > 0).then(|| format!("{} not taken by every channel yet.", count(view.owed, "alert")));
    let held = view.held.as_ref().map(|held| format!("Its alert is held: {}.", text::line(held, REASON_CHARS_MAX)));
    owed.into_iter().chain(held).map(|what| (view.at, what)).collect()
}

/// From the first fail until the channels had its alerts.
fn steps_of(incident: &Incident, began_at: Timestamp) -> Vec<(Timestamp, String)> {
    let mut steps = vec![(began_at, "The first probe failed.".to_owned())];
    steps.extend(incident.confirmed_at.map(|at| (at, "The outage was confirmed.".into())));
    steps.extend(incident.delivered.iter().map(|told| {
        let late = span(told.at.since(incident.confirmed_at.unwrap_or(began_at)));
        let (channel, kind) = (text::line(&told.channel, 80), told.kind.as_str());
        (told.at, format!("{channel} took the alert “{kind}”, {late} after it was due."))
    }));
    steps
}
