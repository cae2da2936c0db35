//! A screen on a wall: nothing to click, large type, and it loads itself again.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::view::ApiView;
use askama::Template;

use super::answer::{Page, Pages};
use super::head::{Head, Place};
use super::overview::{Count, Own};
use super::row::{Row, since};
use super::words::{Said, more};
use super::zone::Look;
use crate::model::Model;

/// What can be read from across a room.
const ROWS_MAX: usize = 12;

#[derive(Template)]
#[template(path = "wall.html")]
struct Wall {
    head: Head,
    said: Said,
    counts: Vec<Count>,
    own: Vec<Own>,
    rows: Vec<Row>,
    more: Option<String>,
}

pub(crate) async fn page(request: HttpRequest, model: web::Data<Model>, pages: web::Data<Pages>) -> HttpResponse {
    let model = &**model;
    pages.answer(&request, model, |everything| async move { make(&everything, model) }).await
}

fn make(everything: &Look, model: &Model) -> Page {
    let now = everything.now;
    let views = everything.views.iter().map(AsRef::as_ref);
    let mut troubled: Vec<&ApiView> = views.filter(|view| view.condition(now).is_trouble()).collect();
    troubled.sort_by_cached_key(|view| (view.condition(now), since(view, now)));
    Page::of(
        StatusCode::OK,
        &Wall {
            head: Head::of(everything, &model.site.about, "api-health", Place::Elsewhere),
            said: Said::of(everything),
            counts: Count::all(everything),
            own: Own::all(everything),
            more: more(troubled.len(), ROWS_MAX),
            rows: troubled.into_iter().take(ROWS_MAX).map(|view| Row::of(view, everything)).collect(),
        },
    )
}
