//! `/healthz`: the process lives. `/readyz`: it does its work.

use actix_web::{HttpResponse, web};

use crate::model::Model;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/healthz", web::get().to(alive)).route("/readyz", web::get().to(ready));
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// The keeper is heard of, and the store takes writes.
async fn ready(model: web::Data<Model>) -> HttpResponse {
    let Some(everything) = model.everything().await else {
        return not_ready("the state-keeper shows nothing yet\n".into());
    };
    if everything.is_stale() {
        return not_ready(format!("nothing was heard of the state-keeper since {}\n", everything.snapshot.at));
    }
    if let Some((_, trouble)) =
        everything.snapshot.own.iter().find(|(id, _)| *id == api_health_core::ApiId::monitor_store())
    {
        return not_ready(format!("the store takes no writes: {}\n", trouble.reason));
    }
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n")
}

fn not_ready(why: String) -> HttpResponse {
    HttpResponse::ServiceUnavailable().content_type("text/plain; charset=utf-8").body(why)
}
