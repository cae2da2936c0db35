//! Pages for people: HTML from the server, charts as SVG, all of it without a script.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};
use api_health_core::view::Condition;
use askama::Template;

use crate::model::{Everything, Model};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/", web::get().to(overview));
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    everything: &'a Everything,
}

impl Overview<'_> {
    fn down(&self) -> usize {
        self.everything.counts.get(Condition::Down)
    }
}

async fn overview(model: web::Data<Model>) -> HttpResponse {
    let Some(everything) = model.everything().await else {
        return HttpResponse::ServiceUnavailable().content_type(ContentType::plaintext()).body("not yet\n");
    };
    match (Overview { everything: &everything }).render() {
        Ok(page) => HttpResponse::Ok().content_type(ContentType::html()).body(page),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            HttpResponse::InternalServerError().finish()
        }
    }
}
