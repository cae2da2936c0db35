//! Incidents: a list of those that are open and of a month's that are over, and one with its story.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::history::UtcMonth;
use api_health_core::view::ApiView;
use api_health_core::{ApiId, text};
use askama::Template;

use super::answer::{Page, Pages};
use super::head::{Head, Place};
use super::message::{asked_wrongly, not_found};
use super::past::{LINES_MAX, Pasts};
use super::query::Query;
use super::row::masked;
use super::stored::{Past, Story};
use super::words::{When, count, span};
use super::zone::Look;
use crate::model::Model;
use crate::shown;

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

    pub(crate) fn over(story: &Story, look: &Look) -> Self {
        let view = look.get(&story.api_id).map(AsRef::as_ref);
        Self {
            id: story.incident_id.clone(),
            name: text::line(&story.name, 60),
            reason: text::line(&shown::said_once(view, &story.reason), REASON_CHARS_MAX),
            began: When::of(story.began_at, look),
            lasts: span(story.ended_at.since(story.began_at)),
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
    more: usize,
    month: String,
    earlier: String,
    later: Option<String>,
    over: Vec<Line>,
    /// Why those that are over cannot be shown.
    why_not: Option<String>,
}

pub(crate) async fn list(request: HttpRequest, model: web::Data<Model>, pages: web::Data<Pages>) -> HttpResponse {
    let asked = Query::of(&request).map(|query| query.month);
    pages.answer(&request, &model, |everything| make_list(everything, &model, &model.pasts, asked)).await
}

async fn make_list(everything: Look, model: &Model, pasts: &Pasts, asked: Result<String, String>) -> Page {
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
    let (over, why_not) = match pasts.stories_of(&model.site, month, everything.now).await {
        Ok(stories) => (stories.iter().take(LINES_MAX).map(|story| Line::over(story, &everything)).collect(), None),
        Err(why) => (Vec::new(), Some(why)),
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
            more: open.len().saturating_sub(OPEN_MAX),
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
    steps: Vec<Step>,
    evidence: Vec<String>,
    is_open: bool,
}

/// Something that happened.
struct Step {
    when: When,
    what: String,
}

pub(crate) async fn page(
    request: HttpRequest,
    id: web::Path<String>,
    model: web::Data<Model>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    pages.answer(&request, &model, |everything| make(everything, &model, &model.pasts, &id)).await
}

/// The API of an incident, which stands first in its id.
pub(crate) fn api_of(incident_id: &str) -> Option<ApiId> {
    let (id, _) = incident_id.rsplit_once('.')?;
    ApiId::parse(id.rsplit_once('.')?.0).ok()
}

async fn make(everything: Look, model: &Model, pasts: &Pasts, id: &str) -> Page {
    let now = everything.now;
    let Some(api_id) = api_of(id) else { return not_found("No incident of this id is known.") };
    let view = everything.get(&api_id);
    let head = || Head::of(&everything, &model.site.about, "Incident", Place::Elsewhere);
    if let Some((view, line)) =
        view.and_then(|view| Some((view, Line::open(view, &everything).filter(|line| line.id == id)?)))
    {
        return Page::of(
            StatusCode::OK,
            &One {
                head: head(),
                id: id.to_owned(),
                api_id: api_id.to_string(),
                says: format!("Down since {}, for {}.", line.began.words, line.lasts),
                name: line.name,
                reason: line.reason,
                steps: steps_of_open(view, &everything),
                evidence: Vec::new(),
                is_open: true,
            },
        );
    }
    let read = pasts.of(&model.site, &api_id, view.map(AsRef::as_ref), now).await;
    let stories = read.past().map(Past::stories).unwrap_or_default();
    let Some(story) = stories.into_iter().find(|story| story.incident_id == id) else {
        return not_found(&match read.past() {
            Some(_) => "No incident of this id is known.".to_owned(),
            None => format!("No open incident has this id, and {}.", read.why_not()),
        });
    };
    Page::of(
        StatusCode::OK,
        &One {
            head: head(),
            id: id.to_owned(),
            api_id: story.api_id.to_string(),
            name: text::line(&story.name, 200),
            says: format!(
                "Down for {}, from {}.",
                span(story.ended_at.since(story.began_at)),
                everything.moment(story.began_at)
            ),
            reason: text::line(&shown::said_once(view.map(AsRef::as_ref), &story.reason), REASON_CHARS_MAX),
            steps: steps_of(&story, &everything),
            evidence: story.evidence.iter().map(|line| text::line(line, 300)).collect(),
            is_open: false,
        },
    )
}

fn steps_of_open(view: &ApiView, look: &Look) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut step = |at, what: String| steps.push(Step { when: When::of(at, look), what });
    if let Some(incident) = &view.incident {
        step(incident.started_at, "The first probe failed.".into());
    }
    if view.owed > 0 {
        step(view.at, format!("{} not taken by every channel yet.", count(view.owed, "alert")));
    }
    if let Some(held) = &view.held {
        step(view.at, format!("Its alert is held: {}.", text::line(held, REASON_CHARS_MAX)));
    }
    steps
}

fn steps_of(story: &Story, look: &Look) -> Vec<Step> {
    let mut steps = vec![(story.began_at, "The first probe failed.".to_owned())];
    steps.extend(story.confirmed_at.map(|at| (at, "The outage was confirmed.".into())));
    steps.extend(story.told.iter().map(|(channel, kind, at)| {
        let late = span(at.since(story.confirmed_at.unwrap_or(story.began_at)));
        (
            *at,
            format!("{} took the alert “{}”, {late} after it was due.", text::line(channel, 80), text::line(kind, 40)),
        )
    }));
    steps.push((story.ended_at, "The first probe passed.".into()));
    steps.push((story.end_confirmed_at, "The end was confirmed.".into()));
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(at, what)| Step { when: When::of(at, look), what }).collect()
}
