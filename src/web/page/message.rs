//! Pages that say one thing: that something is not there, was asked wrongly, or is not to be had yet.

use actix_web::http::StatusCode;
use askama::Template;

use super::answer::Page;
use super::assets;

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    says: &'a str,
    /// What to do instead.
    instead: &'a str,
    is_public: bool,
    /// What it says is soon otherwise.
    loads_again: bool,
    assets: &'a str,
}

fn page(status: StatusCode, title: &str, says: &str, instead: &str, is_public: bool) -> Page {
    Page::of(
        status,
        &Message {
            title,
            says,
            instead,
            is_public,
            loads_again: status == StatusCode::SERVICE_UNAVAILABLE,
            assets: assets::version(),
        },
    )
}

/// Nothing was heard of the state-keeper.
pub(crate) fn starting() -> Page {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Not known yet",
        "It is not known yet how things are: the part that keeps the states is being started and shows nothing.",
        "Alerts do not depend on this page. It loads itself again.",
        true,
    )
}

pub(crate) fn not_found(what: &str) -> Page {
    page(
        StatusCode::NOT_FOUND,
        "Not found",
        what,
        "The list of APIs and that of incidents have all that is known here.",
        false,
    )
}

/// For paths that nobody knows, where what is not public must not be told of.
pub(crate) fn no_page() -> Page {
    page(StatusCode::NOT_FOUND, "Not found", "There is no such page.", "", true)
}

/// A query that cannot be read: what, and what to write instead.
pub(crate) fn asked_wrongly(what: &str, instead: &str) -> Page {
    page(StatusCode::BAD_REQUEST, "That cannot be shown", what, instead, false)
}
