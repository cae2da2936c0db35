//! What all answers of the JSON API have in common: a weak `ETag`, the link to the next page, JSON or CSV.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_core::view::{ApiView, Condition};
use api_health_core::{ApiId, Timestamp};
use serde::Serialize;

use super::problem::Problem;
use super::query::{self, Query};
use crate::model::{Everything, Model};

/// Everything, or why there is nothing.
pub(crate) async fn everything(model: &Model) -> Result<Arc<Everything>, Problem> {
    model.everything().await.ok_or_else(Problem::not_yet)
}

/// An API that whoever asks may see.
pub(crate) fn view_for<'a>(
    request: &HttpRequest,
    everything: &'a Everything,
    api_id: &str,
) -> Result<&'a ApiView, Problem> {
    let api_id = ApiId::parse(api_id).map_err(|_| Problem::no_such_api())?;
    let found = everything.get(&api_id).map(AsRef::as_ref);
    found.filter(|view| crate::shown::may_see(request, view)).ok_or_else(Problem::no_such_api)
}

/// Tells whether an answer is what somebody has: it changes with the revision, and within a minute with what only time changes.
fn etag(began_at: Timestamp, everything: &Everything) -> String {
    let mut hash = DefaultHasher::new();
    everything.snapshot.revision.hash(&mut hash);
    began_at.hash(&mut hash);
    (everything.now.as_millis() / 60_000).hash(&mut hash);
    everything.is_stale().hash(&mut hash);
    Condition::ALL.map(|condition| everything.counts.get(condition)).hash(&mut hash);
    format!("W/\"{:016x}\"", hash.finish())
}

/// Whether whoever asks has this already.
pub(crate) fn is_known(request: &HttpRequest, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag)))
}

/// An answer that changes with `everything`.
pub(crate) struct Answer<'a> {
    pub(crate) request: &'a HttpRequest,
    pub(crate) model: &'a Model,
    pub(crate) everything: &'a Everything,
    pub(crate) next_cursor: Option<String>,
}

impl Answer<'_> {
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> HttpResponse {
        match serde_json::to_string(value) {
            Ok(text) => self.body("application/json", text),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                HttpResponse::InternalServerError().finish()
            }
        }
    }

    pub(crate) fn body(&self, content_type: &str, text: String) -> HttpResponse {
        let etag = etag(self.model.began_at, self.everything);
        let mut response = HttpResponse::Ok();
        response.insert_header((header::ETAG, etag.clone())).insert_header((header::CACHE_CONTROL, "no-cache"));
        if let Some(cursor) = &self.next_cursor {
            let link = format!("<{}>; rel=\"next\"", query::next_page(self.request, cursor));
            if let Ok(link) = HeaderValue::from_str(&link) {
                response.insert_header((header::LINK, link));
            }
        }
        if is_known(self.request, &etag) {
            return response.status(actix_web::http::StatusCode::NOT_MODIFIED).finish();
        }
        response.content_type(content_type).body(text)
    }

    /// The same rows, as CSV if that is wanted.
    pub(crate) fn rows<T: Serialize, R: Serialize>(
        &self,
        form: Form,
        whole: &T,
        rows: &[R],
        columns: &[&str],
    ) -> HttpResponse {
        match form {
            Form::Json => self.json(whole),
            Form::Csv => self.body("text/csv; charset=utf-8; header=present", csv(rows, columns)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Csv,
}

impl Form {
    /// `format`, else what the `Accept` header says.
    pub(crate) fn of(request: &HttpRequest, query: &mut Query) -> Self {
        match query.get("format") {
            Some("json") => Self::Json,
            Some("csv") => Self::Csv,
            Some(_) => {
                query.fault("format is json or csv".into());
                Self::Json
            }
            None => {
                let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                if accept.is_some_and(|accept| accept.contains("text/csv")) { Self::Csv } else { Self::Json }
            }
        }
    }
}

/// These columns of rows (RFC 4180).
pub(crate) fn csv<R: Serialize>(rows: &[R], columns: &[&str]) -> String {
    let mut text = columns.join(",") + "\r\n";
    for row in rows {
        let row = serde_json::to_value(row).unwrap_or_default();
        let fields: Vec<String> = columns.iter().map(|column| field(&row[*column])).collect();
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A text as it stands in CSV, and never as a formula, which a spreadsheet would run.
pub(crate) fn cell(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn field(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => cell(text),
        serde_json::Value::Array(all) if all.is_empty() => String::new(),
        list @ serde_json::Value::Array(_) => cell(&list.to_string()),
        other => other.to_string(),
    }
}

/// The rows of a page: those behind the cursor, at most `limit`, and the cursor of the next page if there is one.
pub(crate) fn page<T>(
    rows: impl Iterator<Item = T>,
    limit: usize,
    name: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let mut rows: Vec<T> = rows.take(limit + 1).collect();
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let cursor = rows.last().filter(|_| has_more).map(|last| query::cursor_behind(&name(last)));
    (rows, cursor)
}

/// The APIs behind a cursor.
pub(crate) fn behind<'a>(everything: &'a Everything, cursor: Option<&str>) -> Vec<&'a Arc<ApiView>> {
    let mut views: Vec<_> = everything.views.iter().collect();
    let from = cursor.map_or(0, |cursor| views.partition_point(|view| view.api_id.as_str() <= cursor));
    views.split_off(from)
}

/// The last moment that may be asked for: now.
pub(crate) fn until_now(everything: &Everything, to: Option<Timestamp>) -> Timestamp {
    to.map_or(everything.now, |to| to.min(everything.now))
}

pub(crate) type Data = web::Data<Model>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_csv_is_quoted_where_it_must_be_and_never_a_formula() {
        #[derive(Serialize)]
        struct Row {
            a: &'static str,
            b: Option<f64>,
        }
        let rows = [Row { a: "x, \"y\"", b: Some(1.5) }, Row { a: "=1+1", b: None }];
        assert_eq!(csv(&rows, &["b", "a"]), "b,a\r\n1.5,\"x, \"\"y\"\"\"\r\n,'=1+1\r\n");
    }

    #[test]
    fn the_last_page_has_no_next() {
        assert_eq!(page(1..=3, 3, ToString::to_string), (vec![1, 2, 3], None));
        assert_eq!(page(1..=4, 3, ToString::to_string), (vec![1, 2, 3], Some("33".into())));
    }
}
