//! How everything is at this moment.

use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{Answer, Data, behind, everything, page, view_for};
use super::problem::Problem;
use super::query::Query;
use super::types::{Api, Apis, Summary};
use crate::shown;

/// How everything is, in figures.
#[utoipa::path(get, path = "/api/v1/summary", responses(
    (status = 200, body = Summary), (status = 304, description = "Nothing has changed since that ETag"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn summary(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let everything = everything(&model).await?;
    let about = &model.site.about;
    let answer = Answer { request: &request, model: &model, everything: &everything, next_cursor: None };
    Ok(answer.json(&Summary::of(&everything, &about.version, &about.environment)))
}

/// All APIs, by id.
#[utoipa::path(get, path = "/api/v1/apis", params(
    ("state" = Option<String>, Query, description = "Those in any of these conditions, with commas between"),
    ("tag" = Option<String>, Query, description = "Those with this tag; may be repeated: with all of them"),
    ("q" = Option<String>, Query, description = "Those with this in their id, name or URL"),
    ("limit" = Option<usize>, Query, description = "1 to 1000; 100 if left out"),
    ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
), responses(
    (status = 200, body = Apis, headers(("Link" = String, description = "`rel=\"next\"`: the next page"))),
    (status = 304, description = "Nothing has changed since that ETag"),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn apis(request: HttpRequest, model: Data) -> Result<HttpResponse, Problem> {
    let mut query = Query::of(&request, &["state", "tag", "q", "limit", "cursor"]);
    let (filter, limit, cursor) = (query.filter(), query.limit(), query.cursor());
    query.finish()?;
    let everything = everything(&model).await?;
    let now = everything.now;
    let wanted = behind(&everything, cursor.as_deref()).into_iter();
    let wanted = wanted.filter(|view| filter.takes(view, now) && shown::may_see(&request, view));
    let (views, next_cursor) = page(wanted, limit, |view| view.api_id.to_string());
    let apis = Apis {
        now: now.to_string(),
        is_stale: everything.is_stale(),
        apis: views.into_iter().map(|view| Api::of(view, now)).collect(),
        next_cursor: next_cursor.clone(),
    };
    Ok(Answer { request: &request, model: &model, everything: &everything, next_cursor }.json(&apis))
}

/// One API.
#[utoipa::path(get, path = "/api/v1/apis/{api_id}", params(("api_id" = String, Path)), responses(
    (status = 200, body = Api), (status = 304, description = "Nothing has changed since that ETag"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn api(request: HttpRequest, id: web::Path<String>, model: Data) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[]).finish()?;
    let everything = everything(&model).await?;
    let view = view_for(&request, &everything, &id)?;
    let answer = Answer { request: &request, model: &model, everything: &everything, next_cursor: None };
    Ok(answer.json(&Api::of(view, everything.now)))
}
