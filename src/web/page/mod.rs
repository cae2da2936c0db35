//! Pages for people: HTML from the server, charts as SVG, all of it without a script.
//!
//! | file | answers |
//! |---|---|
//! | [`overview`], [`list`], [`api`], [`incident`], [`report`], [`wall`], [`public`] | a page each |
//! | [`message`] | pages that say one thing: not found, asked wrongly, not known yet |
//! | [`answer`] | a page is made once for a snapshot, and shared as bytes |
//! | [`assets`] | the style, the one script and the icons |
//! | [`head`], [`row`], [`words`], [`query`], [`zone`] | what the pages have in common |
//! | [`stored`], [`chart`] | what is stored of the past is understood and drawn |
//! | [`phases`] | how the last probe spent its time |

mod answer;
mod api;
mod assets;
mod chart;
mod head;
mod incident;
mod list;
mod message;
mod overview;
mod phases;
mod public;
mod query;
mod report;
mod row;
mod stored;
#[cfg(test)]
mod tests;
mod wall;
mod words;
mod zone;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use answer::Pages;

/// What is for everybody.
pub(crate) fn public_routes(config: &mut ServiceConfig) {
    config
        .app_data(Data::new(Pages::default()))
        .service(web::resource("/public").route(web::get().to(public::page)))
        .configure(assets::routes);
}

/// What is for those who may look.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(web::resource("/").route(web::get().to(overview::page)))
        .service(web::resource("/apis").route(web::get().to(list::page)))
        .service(web::resource("/apis/{id}").route(web::get().to(api::page)))
        .service(web::resource("/incidents").route(web::get().to(incident::list)))
        .service(web::resource("/incidents/{id}").route(web::get().to(incident::page)))
        .service(web::resource("/reports/{month}").route(web::get().to(report::page)))
        .service(web::resource("/wall").route(web::get().to(wall::page)))
        .default_service(web::to(no_page));
}

/// For any path that nobody knows.
async fn no_page(request: HttpRequest) -> HttpResponse {
    message::no_page().answer(&request, None, "no-store")
}
