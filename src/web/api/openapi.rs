//! `/api/v1/openapi.json`: the description of the JSON API for machines, made from its own types.

use actix_web::HttpResponse;
use utoipa::OpenApi;

use super::{now, past, statuspage};
use crate::{badge, events, feed};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "api-health",
        description = "How the APIs are that are watched, and how they were. Times are RFC 3339 in UTC; errors are RFC 9457.",
    ),
    paths(
        now::summary,
        now::apis,
        now::api,
        past::history,
        past::incidents,
        past::report,
        events::events,
        statuspage::summary,
        badge::badge,
        feed::feed,
    )
)]
struct Description;

/// The description as text.
pub(super) fn text() -> String {
    Description::openapi().to_json().unwrap_or_default() // it is made of text alone
}

pub(super) async fn openapi() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(text())
}
