//! The public page: names and how they are, from a type that has no room for more.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::view::{ApiView, Condition};
use api_health_core::{Timestamp, text};
use askama::Template;

use super::answer::{Page, Pages};
use super::assets;
use super::row::since;
use super::words::{When, count, more, number, span};
use super::zone::Look;
use crate::model::Model;
use crate::server::content_security_policy;
use crate::shown;

/// More are counted.
const ROWS_MAX: usize = 500;

/// What anybody may know of an API whose row says `public = true`. It has no room for a URL, a header, a reason or evidence, so none
/// can be shown by mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicView {
    name: String,
    condition: Condition,
    since: Option<Timestamp>,
}

impl PublicView {
    /// `None` for one that is not public, or switched off.
    pub(crate) fn of(view: &ApiView, now: Timestamp) -> Option<Self> {
        let config = view.config.as_ref().filter(|_| shown::is_public(view))?;
        Some(Self { name: text::line(&config.name, 80), condition: view.condition(now), since: since(view, now) })
    }
}

#[derive(Template)]
#[template(path = "public.html")]
struct Public {
    title: String,
    icon: &'static str,
    first: String,
    proof: String,
    rows: Vec<Row>,
    more: Option<String>,
    made: When,
    is_stale: bool,
    assets: &'static str,
}

struct Row {
    name: String,
    condition: Condition,
    since: Option<When>,
}

pub(crate) async fn page(request: HttpRequest, model: web::Data<Model>, pages: web::Data<Pages>) -> HttpResponse {
    let mut response = pages.answer(&request, &model, |everything| async move { make(&everything) }).await;
    let origins = &model.site.about.embed_origins;
    if !origins.is_empty()
        && let Ok(policy) = HeaderValue::from_str(&content_security_policy(origins))
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn make(everything: &Look) -> Page {
    let now = everything.now;
    let views = everything.views.iter().filter_map(|view| PublicView::of(view, now));
    let mut views: Vec<PublicView> = views.collect();
    views.sort_by(|a, b| a.condition.cmp(&b.condition).then_with(|| a.name.cmp(&b.name)));
    let total = views.len();
    let down = views.iter().filter(|view| view.condition == Condition::Down).count();
    let is_stale = everything.is_stale();
    let heard = now.since(everything.snapshot.at);
    let (first, proof) = match total {
        _ if is_stale => (
            format!("It is not known how things are: nothing was heard for {}.", span(heard)),
            format!("What follows is as of {}.", everything.moment(everything.snapshot.at)),
        ),
        0 => ("Nothing is shown here yet.".into(), "An API stands on this page when its row says so.".into()),
        _ => (
            format!(
                "{} of {} {} down.",
                number(down),
                count(total, "service"),
                if down == 1 || total == 1 { "is" } else { "are" }
            ),
            format!("As of {}.", everything.moment(now)),
        ),
    };
    let icon = match down {
        _ if is_stale || total == 0 => "unknown",
        0 if views.iter().any(|view| view.condition.is_trouble()) => "trouble",
        0 => "up",
        _ => "down",
    };
    let rows = views.into_iter().take(ROWS_MAX).map(|view| Row {
        name: view.name,
        condition: view.condition,
        since: view.since.map(|since| When::of(since, everything)),
    });
    Page::of(
        StatusCode::OK,
        &Public {
            title: if is_stale { "? not known".into() } else { format!("{} down · Status", number(down)) },
            icon,
            first,
            proof,
            rows: rows.collect(),
            more: more(total, ROWS_MAX),
            made: When::of(now, everything),
            is_stale,
            assets: assets::version(),
        },
    )
}
