//! The JSON API: `/api/v1`, read-only, as `/api/v1/openapi.json` describes it; and `/api/v2/summary.json` in the form of Statuspage.
//!
//! | file | answers |
//! |---|---|
//! | `now` | how everything and each API is |
//! | `past` | history, incidents, the report of a month |
//! | `types`, `past_types` | the form of all of that |
//! | `openapi` | the description for machines |
//! | `statuspage` | what aggregators of status pages read |
//! | `problem`, `query`, `answer` | errors, parameters, and what all answers have in common |

pub(crate) mod answer;
mod now;
mod openapi;
mod past;
mod past_types;
pub(crate) mod problem;
pub(crate) mod query;
mod statuspage;
#[cfg(test)]
mod tests;
mod types;

use actix_web::web;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/summary", web::get().to(now::summary))
        .route("/api/v1/apis", web::get().to(now::apis))
        .route("/api/v1/apis/{api_id}", web::get().to(now::api))
        .route("/api/v1/apis/{api_id}/history", web::get().to(past::history))
        .route("/api/v1/incidents", web::get().to(past::incidents))
        .route("/api/v1/reports/{month}", web::get().to(past::report))
        .route("/api/v1/openapi.json", web::get().to(openapi::openapi));
}

/// What is for everybody.
pub(crate) fn public_routes(config: &mut web::ServiceConfig) {
    config.route("/api/v2/summary.json", web::get().to(statuspage::summary));
}
