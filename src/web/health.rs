//! `/healthz`: the process lives. `/readyz`: it does its work. Both are for everybody; why it does not is for those who may look.

use actix_web::{HttpResponse, web};
use api_health_core::ApiId;
use api_health_core::view::{Condition, Counts};

use crate::access::Looker;
use crate::model::{Everything, Model};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/healthz", web::get().to(alive)).route("/readyz", web::get().to(ready));
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

async fn ready(looker: Looker, model: web::Data<Model>) -> HttpResponse {
    let why = match model.everything().await {
        None => Some("the state-keeper shows nothing yet".into()),
        Some(everything) => why_not(&everything),
    };
    let mut response = if why.is_none() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let text = match why {
        None => "ready\n".to_owned(),
        Some(why) if looker == Looker::Known => format!("not ready: {why}\n"),
        Some(_) => "not ready\n".to_owned(),
    };
    response.content_type("text/plain; charset=utf-8").body(text)
}

/// The keeper is heard of, the store takes writes, and probing makes progress.
fn why_not(everything: &Everything) -> Option<String> {
    if everything.is_stale() {
        return Some(format!("nothing was heard of the state-keeper since {}", everything.snapshot.at));
    }
    if let Some((_, trouble)) = everything.snapshot.own.iter().find(|(id, _)| *id == ApiId::monitor_store()) {
        return Some(format!("the store takes no writes: {}", trouble.reason));
    }
    let counts = Counts::of(everything.snapshot.views.iter().map(AsRef::as_ref), everything.now);
    let (late, here) = (counts.get(Condition::Unwatched), counts.total());
    (late * 2 > here).then(|| format!("{late} of {here} APIs are not probed when they should be"))
}
