//! What was: the history of an API, incidents, and the report of a month.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::Timestamp;
use api_health_core::history::UtcMonth;

use super::answer::{Answer, Data, Form, behind, everything, page, until_now, view_for};
use super::past_types::{History, Incident, Incidents, Note, Point, Report, ReportRow};
use super::problem::Problem;
use super::query::Query;
use crate::past::{self, Step, Untold};
use crate::shown;

/// So far back a history reaches where its beginning is not given.
const DEFAULT_REACH: Duration = Duration::from_secs(24 * 3_600);

/// The most points of one answer: 62 days of hours.
pub(crate) const POINTS_MAX: u128 = 62 * 24;

/// Months that the list of incidents goes back.
const MONTHS_BACK: i32 = 13;

impl From<Untold> for Problem {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Off => Self::not_found("no history is kept here; [history] in the settings switches it on"),
            Untold::Failed(_) => Self::unavailable(untold.to_string()),
        }
    }
}

/// The past of one API by the hour, day or month.
#[utoipa::path(get, path = "/api/v1/apis/{api_id}/history", params(
    ("api_id" = String, Path),
    ("from" = Option<String>, Query, description = "RFC 3339, or a day; a day before `to` if left out"),
    ("to" = Option<String>, Query, description = "RFC 3339, or a day; now if left out"),
    ("step" = Option<String>, Query, description = "`hour`, `day` or `month`; `hour` if left out"),
    ("format" = Option<String>, Query, description = "`json` or `csv`"),
), responses(
    (status = 200, body = History), (status = 304, description = "Nothing has changed since that ETag"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn history(request: HttpRequest, id: web::Path<String>, model: Data) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["from", "to", "step", "format"]);
    let (from, to, form) = (query.time("from"), query.time("to"), Form::of(&request, &mut query));
    let named = query.get("step").unwrap_or("hour");
    let known = past::STEPS.into_iter().find(|(name, _)| *name == named);
    if known.is_none() {
        query.fault("step is hour, day or month".into());
    }
    let (name, step) = known.unwrap_or(past::STEPS[0]);
    let everything = everything(&model).await?;
    let to = until_now(&everything, to);
    let reach = i64::try_from(DEFAULT_REACH.as_millis()).unwrap_or_default();
    let from = from.unwrap_or_else(|| Timestamp::from_millis(to.as_millis().saturating_sub(reach)));
    let step_ms = match step {
        Step::Hour => 3_600_000,
        Step::Day => 24 * 3_600_000,
        Step::Month => 28 * 24 * 3_600_000,
    };
    if from >= to {
        query.fault("from is not before to, which is now at the latest: write an earlier one".into());
    } else if known.is_some() && to.since(from).as_millis() / step_ms > POINTS_MAX {
        query.fault(format!("this is more than {POINTS_MAX} points: ask for less time, or a wider step"));
    }
    query.finish()?;
    let view = view_for(&request, &everything, &id)?;
    let past = past::of(&model, view, to).await?;
    let points: Vec<Point> = past.points(&(from..to), step).iter().map(Point::of).collect();
    let answer = Answer { request: &request, model: &model, everything: &everything, next_cursor: None };
    let history =
        History { api_id: view.api_id.to_string(), from: from.to_string(), to: to.to_string(), step: name, points };
    Ok(answer.rows(form, &history, &history.points, &Point::COLUMNS))
}

/// Incidents, the newest first: those that are open, and those of 13 months that are over.
#[utoipa::path(get, path = "/api/v1/incidents", params(
    ("limit" = Option<usize>, Query, description = "1 to 1000; 100 if left out"),
    ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ("format" = Option<String>, Query, description = "`json` or `csv`"),
), responses(
    (status = 200, body = Incidents, headers(("Link" = String, description = "`rel=\"next\"`: the next page"))),
    (status = 304, description = "Nothing has changed since that ETag"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn incidents(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["limit", "cursor", "format"]);
    let (limit, cursor, form) = (query.limit(), query.cursor(), Form::of(&request, &mut query));
    query.finish()?;
    let everything = everything(&model).await?;
    let now = everything.now;
    let visible = everything.views.iter().filter(|view| shown::may_see(&request, view));
    let mut all: Vec<Incident> = visible.filter_map(|view| Incident::open(view, now)).collect();
    let this_month = UtcMonth::of(now);
    let months = this_month.plus_months(1 - MONTHS_BACK)..this_month.plus_months(1);
    let read = match past::months(&model, &months, now).await {
        Err(Untold::Failed(why)) => return Err(Untold::Failed(why).into()),
        read => read.ok(),
    };
    let has_closed = read.is_some();
    let read = read.unwrap_or_default();
    // The incidents of an API that is gone are shown to those alone who may see all.
    let is_let_in = shown::is_let_in(&request);
    let may_see = |over: &&past::Over| is_let_in || view_for(&request, &everything, over.api_id.as_str()).is_ok();
    all.extend(read.over.iter().filter(may_see).map(|over| {
        let view = everything.get(&over.api_id).map(AsRef::as_ref);
        Incident::closed(over, view)
    }));
    for incident in all.iter_mut().filter(|_| is_let_in) {
        incident.notes = read.notes_of(&incident.incident_id).iter().map(Note::of).collect();
    }
    all.sort_by_cached_key(|incident| std::cmp::Reverse(incident.name_in_order()));
    let rest =
        all.into_iter().filter(|incident| cursor.as_ref().is_none_or(|cursor| incident.name_in_order() < *cursor));
    let (incidents, next_cursor) = page(rest, limit, Incident::name_in_order);
    let incidents = Incidents { now: now.to_string(), has_closed, incidents, next_cursor: next_cursor.clone() };
    let answer = Answer { request: &request, model: &model, everything: &everything, next_cursor };
    Ok(answer.rows(form, &incidents, &incidents.incidents, &Incident::COLUMNS))
}

/// The report of a month, by API.
#[utoipa::path(get, path = "/api/v1/reports/{month}", params(
    ("month" = String, Path, description = "As `2026-11`"),
    ("limit" = Option<usize>, Query, description = "1 to 1000; 100 if left out"),
    ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
    ("format" = Option<String>, Query, description = "`json` or `csv`"),
), responses(
    (status = 200, body = Report, headers(("Link" = String, description = "`rel=\"next\"`: the next page"))),
    (status = 304, description = "Nothing has changed since that ETag"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn report(
    request: HttpRequest,
    month: web::Path<String>,
    model: Data,
) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["limit", "cursor", "format"]);
    let (limit, cursor, form) = (query.limit(), query.cursor(), Form::of(&request, &mut query));
    let month = UtcMonth::parse(&month);
    if month.is_none() {
        query.fault("the month in the path is one as 2026-11".into());
    }
    query.finish()?;
    let month = month.unwrap_or_default();
    let everything = everything(&model).await?;
    let starts_at = month.first_day().starts_at();
    if starts_at > everything.now {
        return Err(Problem::not_found("that month has not begun yet"));
    }
    let window = starts_at..until_now(&everything, Some(month.last_day().ends_at()));
    let visible = behind(&everything, cursor.as_deref()).into_iter().filter(|view| shown::may_see(&request, view));
    let (views, next_cursor) = page(visible, limit, |view| view.api_id.to_string());
    let mut apis = Vec::with_capacity(views.len());
    for view in views {
        let span = past::of(&model, view, everything.now).await?.whole(&window);
        apis.push(ReportRow::of(view, &span));
    }
    let report = Report { month: month.to_string(), apis, next_cursor: next_cursor.clone() };
    let answer = Answer { request: &request, model: &model, everything: &everything, next_cursor };
    Ok(answer.rows(form, &report, &report.apis, &ReportRow::COLUMNS))
}
