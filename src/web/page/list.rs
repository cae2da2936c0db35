//! The list of APIs: searched, filtered and sorted, in pages of a hundred.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::text;
use api_health_core::view::{ApiView, Condition};
use askama::Template;

use super::answer::{Page, Pages};
use super::head::{Head, Place};
use super::message::asked_wrongly;
use super::query::{Query, SEARCH_CHARS_MAX};
use super::row::{Row, since};
use super::words::{count, number};
use super::zone::Look;
use crate::api::query::Filter;
use crate::model::Model;

/// Rows of one page.
pub(crate) const ROWS_MAX: usize = 100;

/// The ways to sort, as they stand in the query and on the page.
const SORTS: [(&str, &str); 5] = [
    ("id", "id"),
    ("name", "name"),
    ("state", "worst first"),
    ("latency", "slowest first"),
    ("since", "latest change first"),
];

#[derive(Template)]
#[template(path = "list.html")]
struct List {
    head: Head,
    says: String,
    query: Query,
    states: Vec<Choice>,
    sorts: Vec<Choice>,
    rows: Vec<Row>,
    next: Option<String>,
    /// The query asks for something, so that nothing found is no empty monitor.
    is_filtered: bool,
    is_lost: bool,
}

/// One option of a form.
struct Choice {
    value: &'static str,
    word: String,
    is_chosen: bool,
}

pub(crate) async fn page(request: HttpRequest, model: web::Data<Model>, pages: web::Data<Pages>) -> HttpResponse {
    let query = Query::of(&request);
    let model = &**model;
    pages
        .answer(&request, model, |everything| async move {
            query.and_then(|query| make(&everything, model, query)).unwrap_or_else(|why| wrong(&why))
        })
        .await
}

/// A query that cannot be read.
pub(crate) fn wrong(why: &str) -> Page {
    asked_wrongly(why, "The form above the list of APIs makes addresses that can be read.")
}

fn make(everything: &Look, model: &Model, query: Query) -> Result<Page, String> {
    let found = found(everything, &query)?;
    let place = found.iter().position(|view| view.api_id.as_str() == query.cursor);
    let from = place.map_or(0, |place| place + 1);
    let shown = &found[from..found.len().min(from + ROWS_MAX)];
    let next =
        shown.last().filter(|_| found.len() > from + ROWS_MAX).map(|last| query.link("/apis", last.api_id.as_str()));
    let total = count(everything.counts.total(), "API");
    let is_filtered = !(query.q.is_empty() && query.state.is_empty() && query.tag.is_empty());
    let says = match found.len() {
        n if n <= ROWS_MAX && is_filtered => format!("{} of {total}.", number(n)),
        n if n <= ROWS_MAX => format!("{total}."),
        n => format!("{} to {} of {}.", number(from + 1), number(from + shown.len()), count(n, "API")),
    };
    let states = Condition::ALL.into_iter().map(|condition| Choice {
        value: condition.as_str(),
        word: format!("{} {} ({})", condition.glyph(), condition.word(), number(everything.counts.get(condition))),
        is_chosen: query.state == condition.as_str(),
    });
    let sorts =
        SORTS.into_iter().map(|(value, word)| Choice { value, word: word.into(), is_chosen: query.sort == value });
    Ok(Page::of(
        StatusCode::OK,
        &List {
            head: Head::of(everything, &model.site.about, "APIs", Place::List),
            says,
            states: states.collect(),
            sorts: sorts.collect(),
            rows: shown.iter().map(|view| Row::of(view, everything)).collect(),
            next,
            is_filtered,
            is_lost: !query.cursor.is_empty() && place.is_none(),
            query,
        },
    ))
}

/// Those that a query asks for, in its order.
pub(crate) fn found<'a>(everything: &'a Look, query: &Query) -> Result<Vec<&'a Arc<ApiView>>, String> {
    let now = everything.now;
    let state = match query.state.as_str() {
        "" => None,
        word => Some(Condition::parse(word).ok_or_else(|| {
            let known: Vec<&str> = Condition::ALL.iter().map(|condition| condition.as_str()).collect();
            format!("state={} is no state; write one of {}.", text::line(word, 40), known.join(", "))
        })?),
    };
    if query.q.chars().count() > SEARCH_CHARS_MAX {
        return Err(format!("What is searched for is longer than {SEARCH_CHARS_MAX} characters; write less."));
    }
    let filter = Filter {
        conditions: state.into_iter().collect(),
        tags: Some(query.tag.clone()).filter(|tag| !tag.is_empty()).into_iter().collect(),
        words: query.q.trim().to_lowercase(),
    };
    let mut found: Vec<_> = everything.views.iter().filter(|view| filter.takes(view, now)).collect();
    match query.sort.as_str() {
        "" | "id" => {}
        "name" => found.sort_by_cached_key(|view| view.name().to_lowercase()),
        "state" => found.sort_by_cached_key(|view| (view.condition(now), since(view, now))),
        "latency" => found
            .sort_by_cached_key(|view| std::cmp::Reverse(view.last_probe.as_ref().and_then(|probe| probe.latency_ms))),
        "since" => found.sort_by_cached_key(|view| std::cmp::Reverse(since(view, now))),
        other => {
            let known: Vec<&str> = SORTS.iter().map(|(value, _)| *value).collect();
            return Err(format!("sort={} is no order; write one of {}.", text::line(other, 40), known.join(", ")));
        }
    }
    Ok(found)
}
