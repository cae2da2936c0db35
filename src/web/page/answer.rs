//! A page as an answer: made once for a snapshot however many ask, shared as bytes, packed once, and not sent again to who has it.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io::Write;
use std::rc::Rc;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use api_health_core::Timestamp;
use askama::Template;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::query::Query;
use super::zone::Look;
use crate::api::answer::is_known;
use crate::model::Model;

/// Pages kept of one snapshot. More are made for each who asks.
const PAGES_MAX: usize = 64;

/// The longest path with its query that is kept.
const PATH_BYTES_MAX: usize = 512;

/// What is shorter is not worth packing.
const PACKED_FROM_BYTES: usize = 1_000;

const HTML: &str = "text/html; charset=utf-8";

/// A page that was made.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
    packed: OnceCell<Bytes>,
}

impl Page {
    pub(crate) fn new(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Self {
        Self { status, content_type, bytes: text.into(), packed: OnceCell::new() }
    }

    /// From its template.
    pub(crate) fn of(status: StatusCode, template: &impl Template) -> Self {
        match template.render() {
            Ok(text) => Self::new(status, HTML, text),
            Err(error) => {
                tracing::error!(%error, "a page could not be made");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "text/plain; charset=utf-8",
                    "this page could not be made\n",
                )
            }
        }
    }

    fn packed(&self) -> Bytes {
        let pack = || {
            let mut packer = GzEncoder::new(Vec::with_capacity(self.bytes.len() / 4), Compression::fast());
            // Into memory nothing fails; were it so, the answer would be empty and not wrong.
            packer.write_all(&self.bytes).and_then(|()| packer.finish()).unwrap_or_default().into()
        };
        self.packed.get_or_init(pack).clone()
    }

    /// For who asks so. With a `tag`, whoever has it is told that nothing is new.
    pub(crate) fn answer(&self, request: &HttpRequest, tag: Option<&str>, cache: &'static str) -> HttpResponse {
        let asked = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CACHE_CONTROL, cache)).insert_header((header::VARY, "Accept-Encoding"));
        if let Some(tag) = tag.filter(|_| self.status == StatusCode::OK) {
            response.insert_header((header::ETAG, tag));
            if is_known(request, tag) {
                return response.status(StatusCode::NOT_MODIFIED).finish();
            }
        }
        response.content_type(self.content_type);
        let takes_gzip = || asked(header::ACCEPT_ENCODING).is_some_and(takes_gzip);
        if self.bytes.len() >= PACKED_FROM_BYTES && takes_gzip() {
            return response.insert_header((header::CONTENT_ENCODING, "gzip")).body(self.packed());
        }
        response.body(self.bytes.clone())
    }
}

/// Whether `Accept-Encoding` has gzip and does not refuse it.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|one| {
        let (name, rest) = one.split_once(';').unwrap_or((one, ""));
        let quality = rest.trim().strip_prefix("q=").map_or(Ok(1.0), |quality| quality.trim().parse::<f32>());
        name.trim().eq_ignore_ascii_case("gzip") && quality.is_ok_and(|quality| quality > 0.0)
    })
}

/// Pages of the newest snapshot. The web side has one thread.
#[derive(Debug, Default)]
pub(crate) struct Pages(RefCell<Kept>);

#[derive(Debug, Default)]
struct Kept {
    of: (u64, Timestamp),
    pages: HashMap<String, Rc<Page>>,
}

impl Pages {
    /// The page of this path, made by `make` if nobody has asked for it since the snapshot.
    pub(crate) async fn answer<F>(
        &self,
        request: &HttpRequest,
        model: &Model,
        make: impl FnOnce(Look) -> F,
    ) -> HttpResponse
    where
        F: Future<Output = Page>,
    {
        let Some(everything) = model.everything().await else {
            return super::message::starting().answer(request, None, "no-store");
        };
        let of = (everything.snapshot.revision, everything.now);
        let tag = format!("W/\"{}-{}\"", of.0, of.1.as_millis());
        let path = request.uri().path_and_query().map_or("", |path| path.as_str());
        let kept = self.0.borrow_mut().get(of, path);
        let page = match kept {
            Some(page) => page,
            None => {
                let usual = &model.site.about.timezone;
                let zone = |asked: String| if asked.is_empty() { usual.clone() } else { asked };
                let look = Query::of(request).and_then(|query| Look::new(everything, &zone(query.tz)));
                let page = Rc::new(match look {
                    Ok(look) => make(look).await,
                    Err(why) => super::message::asked_wrongly(&why, ""),
                });
                self.0.borrow_mut().put(of, path, &page);
                page
            }
        };
        page.answer(request, Some(&tag), "no-cache")
    }
}

impl Kept {
    fn get(&mut self, of: (u64, Timestamp), path: &str) -> Option<Rc<Page>> {
        if self.of != of {
            self.of = of;
            self.pages.clear();
        }
        self.pages.get(path).cloned()
    }

    fn put(&mut self, of: (u64, Timestamp), path: &str, page: &Rc<Page>) {
        if self.of == of && self.pages.len() < PAGES_MAX && path.len() <= PATH_BYTES_MAX {
            self.pages.insert(path.to_owned(), Rc::clone(page));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_who_takes_it() {
        for (accepted, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
            ("gzip;q=x", false),
        ] {
            assert_eq!(takes_gzip(accepted), takes, "{accepted}");
        }
    }
}
