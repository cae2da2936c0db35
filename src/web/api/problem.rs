//! What is answered to a request that cannot be: an error by RFC 9457 whose `detail` says what to write instead.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// An error of this API (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says what it is.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The status code.
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// What is wrong here, and what to do.
    pub(crate) detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", status: status.as_u16(), title, detail: detail.into() }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The same whether there is no such API, or one that the reader may not see.
    pub(crate) fn no_such_api() -> Self {
        Self::not_found("no API of this id is shown here; /api/v1/apis lists those that are")
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The keeper shows nothing.
    pub(crate) fn not_yet() -> Self {
        Self::unavailable("the state-keeper is being started and shows nothing yet; ask again in some seconds")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if self.status == 503 {
            response.insert_header((header::RETRY_AFTER, "5"));
        }
        let body = serde_json::to_string(self).unwrap_or_default(); // text alone: it cannot fail
        response.content_type("application/problem+json").body(body)
    }
}
