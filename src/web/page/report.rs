//! A month as a report: how long each API was up, on paper or as CSV, a hundred APIs at a time.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::history::UtcMonth;
use api_health_core::text;
use askama::Template;

use super::answer::{Page, Pages};
use super::chart::span_or_none;
use super::head::{Head, Place};
use super::list::{ROWS_MAX, found, wrong};
use super::message::asked_wrongly;
use super::query::Query;
use super::stored::{Read, Uptime};
use super::words::{count, millis, number};
use super::zone::Look;
use crate::api::answer::cell;
use crate::model::Model;
use crate::past;

#[derive(Template)]
#[template(path = "report.html")]
struct Report {
    head: Head,
    month: String,
    says: String,
    rows: Vec<Line>,
    csv: String,
    next: Option<String>,
    earlier: String,
    later: Option<String>,
    why_not: Option<String>,
}

/// The figures of one API.
struct Line {
    id: String,
    name: String,
    uptime: String,
    coverage: String,
    down: String,
    down_seconds: String,
    incidents: String,
    p95: String,
    p95_ms: String,
}

pub(crate) async fn page(
    request: HttpRequest,
    month: web::Path<String>,
    model: web::Data<Model>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    let query = Query::of(&request);
    pages.answer(&request, &model, |everything| make(everything, &model, &month, query)).await
}

async fn make(everything: Look, model: &Model, asked: &str, query: Result<Query, String>) -> Page {
    let (asked, is_csv) = asked.strip_suffix(".csv").map_or((asked, false), |month| (month, true));
    let this = UtcMonth::of(everything.now);
    let Some(month) = UtcMonth::parse(asked).filter(|month| *month <= this) else {
        let instead = format!("Write a month until now, such as /reports/{this}.");
        return asked_wrongly("There is no report of that month.", &instead);
    };
    let query = query.and_then(|query| Ok((found(&everything, &query)?, query)));
    let (all, query) = match query {
        Ok(found) => found,
        Err(why) => return wrong(&why),
    };
    let from = all.iter().position(|view| view.api_id.as_str() == query.cursor).map_or(0, |place| place + 1);
    let shown = &all[from..all.len().min(from + ROWS_MAX)];
    let (starts, ends) = (month.first_day().starts_at(), month.last_day().ends_at().min(everything.now));
    let (mut rows, mut why_not) = (Vec::with_capacity(shown.len()), None);
    for view in shown {
        let read = Read::from(past::of(model, view, everything.now).await);
        let figures = read.past().map(|past| Uptime::of(past, starts, ends));
        if read.is_failed() {
            why_not = Some(read.why_not());
        }
        let figures = figures.unwrap_or_default();
        let is_known = figures.share.is_some();
        let if_known = |words: String| if is_known { words } else { "not known".into() };
        rows.push(Line {
            id: view.api_id.to_string(),
            name: text::line(view.name(), 60),
            uptime: figures.share.clone().unwrap_or_else(|| "not known".into()),
            coverage: figures.coverage.clone().unwrap_or_default(),
            down: if_known(span_or_none(figures.down)),
            down_seconds: if is_known { figures.down.as_secs().to_string() } else { String::new() },
            incidents: if_known(number(figures.incidents)),
            p95: figures.p95.map_or_else(|| "–".into(), millis),
            p95_ms: figures.p95.map(|p95| p95.as_millis().to_string()).unwrap_or_default(),
        });
    }
    let last = shown.last().filter(|_| all.len() > from + ROWS_MAX);
    let path = |ending: &str, cursor: &str| query.link(&format!("/reports/{month}{ending}"), cursor);
    if is_csv {
        return Page::new(StatusCode::OK, "text/csv; charset=utf-8", csv(&rows));
    }
    Page::of(
        StatusCode::OK,
        &Report {
            head: Head::of(&everything, &model.site.about, &format!("Report of {month}"), Place::Report),
            says: format!(
                "{}, from {} to {}.",
                count(all.len(), "API"),
                everything.moment(starts),
                everything.moment(ends)
            ),
            rows,
            csv: path(".csv", &query.cursor),
            next: last.map(|last| path("", last.api_id.as_str())),
            earlier: month.plus_months(-1).to_string(),
            later: (month < this).then(|| month.plus_months(1).to_string()),
            month: month.to_string(),
            why_not,
        },
    )
}

fn csv(rows: &[Line]) -> String {
    let mut text = String::from("api_id,name,uptime,coverage,down_seconds,incidents,p95_ms\r\n");
    for row in rows {
        let parts = [
            &row.id,
            &row.name,
            &row.uptime,
            &row.coverage,
            &row.down_seconds,
            &row.incidents.replace(',', ""),
            &row.p95_ms,
        ];
        text.push_str(&parts.map(|part| cell(part)).join(","));
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_and_no_formula() {
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(cell("=HYPERLINK(1)"), "'=HYPERLINK(1)");
    }
}
