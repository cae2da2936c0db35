//! Live events: each change of the condition of an API, as server-sent events.
//!
//! Whoever lost the connection and comes back with the id of the last event that it has seen gets all that it missed, if that is still
//! kept; else it is told to load everything anew. A stream costs nothing while nothing changes, and one that is not read is not filled.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use api_health_actors::board::{Board, Change, TIME_STEP};
use api_health_actors::ports::Clock;
use api_health_core::view::Condition;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::answer::Data;
use crate::api::problem::Problem;
use crate::shown;

/// Streams at once.
const STREAMS_MAX: usize = 192;

/// What changes within this time is sent together.
const TOGETHER: Duration = Duration::from_secs(1);

/// A comment is sent where there was no event for so long, so that whatever is in between does not take the connection for dead.
const COMMENT_AFTER: Duration = Duration::from_secs(15);

/// A stream that took nothing for so long does not count any longer: another may have its place, and it ends when it is read again.
const DROPPED_AFTER: Duration = Duration::from_secs(60);

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.app_data(web::Data::new(Streams::default())).route("/api/v1/events", web::get().to(events));
}

/// All streams. The web side has one thread.
#[derive(Default)]
pub(crate) struct Streams {
    /// Each with the moment at which it took something last.
    open: RefCell<VecDeque<Weak<Cell<Instant>>>>,
}

impl Streams {
    /// A place for one more; `None`: there is none.
    fn place(&self) -> Option<Rc<Cell<Instant>>> {
        let mut open = self.open.borrow_mut();
        open.retain(|place| place.upgrade().is_some_and(|taken_at| taken_at.get().elapsed() < DROPPED_AFTER));
        if open.len() >= STREAMS_MAX {
            return None;
        }
        let place = Rc::new(Cell::new(Instant::now()));
        open.push_back(Rc::downgrade(&place));
        Some(place)
    }

    fn has(&self, place: &Rc<Cell<Instant>>) -> bool {
        self.open.borrow().iter().any(|open| Weak::ptr_eq(open, &Rc::downgrade(place)))
    }
}

/// Each change of the condition of an API, as server-sent events.
///
/// `change` has a JSON object with `api_id`, `state`, `word`, `why` and `at` (`state` is `null` for an API that is no longer watched);
/// `reset` says that something was missed: load everything anew.
#[utoipa::path(get, path = "/api/v1/events", params(
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen"),
), responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (status = 503, description = "There are 192 streams already, or nothing to show yet", body = Problem,
     content_type = "application/problem+json"),
))]
pub(crate) async fn events(
    request: HttpRequest,
    model: Data,
    streams: web::Data<Streams>,
) -> Result<HttpResponse, Problem> {
    if !shown::is_let_in(&request) {
        return Err(Problem::not_found("events are for those who are let in"));
    }
    model.everything().await.ok_or_else(Problem::not_yet)?;
    let place = streams.place();
    let place =
        place.ok_or_else(|| Problem::unavailable(format!("{STREAMS_MAX} streams are open: come back later")))?;
    let life = format!("{:x}", model.began_at.as_millis());
    let header = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = header.and_then(|id| id.strip_prefix(&life)?.strip_prefix('-')?.parse().ok());
    let (board, clock) = (Arc::clone(&model.site.board), Arc::clone(&model.site.clock));
    let stream = Stream { revisions: board.revisions(), life, seen, sent_at: None, place, streams, board, clock };
    let pieces = stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((Ok::<_, Infallible>(piece), stream))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(pieces)))
}

struct Stream {
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    revisions: watch::Receiver<u64>,
    /// Of this run of the program: the numbers of another one mean other changes.
    life: String,
    /// The number of the last change that was sent; `None`: the next piece is a reset.
    seen: Option<u64>,
    sent_at: Option<Instant>,
    place: Rc<Cell<Instant>>,
    streams: web::Data<Streams>,
}

impl Stream {
    /// The next piece; `None`: it ends.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.streams.has(&self.place) {
            return None;
        }
        self.place.set(Instant::now());
        if let Some(sent_at) = self.sent_at {
            tokio::time::sleep_until(sent_at + TOGETHER).await;
        }
        let comment_at = Instant::now() + COMMENT_AFTER;
        let piece = loop {
            self.board.look();
            self.board.pass_time(self.clock.now());
            self.revisions.borrow_and_update();
            if let Some(piece) = self.news() {
                break piece;
            }
            match tokio::time::timeout(TIME_STEP, self.revisions.changed()).await {
                Ok(Err(_)) => return None, // there is no board any more
                _ if Instant::now() >= comment_at => break ":\n\n".into(),
                _ => (),
            }
        };
        self.place.set(Instant::now());
        self.sent_at = Some(Instant::now());
        Some(Bytes::from(piece))
    }

    /// What has happened since the last piece.
    fn news(&mut self) -> Option<String> {
        let changes = self.seen.and_then(|seen| self.board.changes_after(seen));
        let Some(changes) = changes else {
            let last = self.board.last_change();
            self.seen = Some(last);
            return Some(format!("retry: 2000\nid: {}-{last}\nevent: reset\ndata: {{}}\n\n", self.life));
        };
        self.seen = Some(changes.last()?.number);
        let mut piece = String::new();
        for change in &changes {
            let data = self.data(change);
            let _ = write!(piece, "id: {}-{}\nevent: change\ndata: {data}\n\n", self.life, change.number); // it cannot fail
        }
        Some(piece)
    }

    /// On one line, as JSON always can be.
    fn data(&self, change: &Change) -> String {
        let view = self.board.get(&change.api_id);
        // Without a row nobody knows what in it is a secret.
        let why = change.why.as_ref().zip(view.as_ref()).map(|(why, view)| shown::said(view, why));
        serde_json::json!({
            "api_id": change.api_id.to_string(),
            "state": change.condition.map(Condition::as_str),
            "word": change.condition.map(Condition::word),
            "why": why,
            "at": change.at.to_string(),
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use api_health_actors::testkit;
    use api_health_core::view::ApiView;
    use api_health_core::{Secret, Status};
    use futures_util::StreamExt as _;

    use super::*;
    use crate::testing::{NOW, Shop, up, up_with};

    /// A stream that is read event by event.
    struct Reader {
        body: std::pin::Pin<Box<dyn stream::Stream<Item = Result<Bytes, awc::error::PayloadError>>>>,
        rest: String,
    }

    impl Reader {
        async fn open(shop: &Shop, last_event_id: Option<&str>) -> Self {
            let mut request = awc::Client::default().get(shop.url("/api/v1/events"));
            if let Some(id) = last_event_id {
                request = request.insert_header(("Last-Event-ID", id));
            }
            let response = request.send().await.expect("an answer");
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
            Self { body: Box::pin(response), rest: String::new() }
        }

        /// The id, the name and the data of the next event.
        async fn event(&mut self) -> [String; 3] {
            loop {
                if let Some((event, rest)) = self.rest.split_once("\n\n") {
                    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                    let event = ["id: ", "event: ", "data: "].map(|name| field(name).to_owned());
                    self.rest = rest.to_owned();
                    if !event[1].is_empty() {
                        return event;
                    }
                    continue;
                }
                let piece = self.body.next().await.expect("it goes on").expect("it does not break off");
                self.rest.push_str(str::from_utf8(&piece).expect("text"));
            }
        }
    }

    /// The board shows these APIs, those of them that are down first.
    fn show(shop: &Shop, down: usize, all: usize) {
        let views = (0..all).map(|n| {
            let view = up(&format!("a{n}"));
            if n < down { ApiView { status: Status::Down, ..view } } else { view }
        });
        testkit::board::show(&shop.board, views.collect(), Vec::new(), NOW);
    }

    #[test]
    fn a_stream_that_is_cut_and_resumed_misses_nothing_and_gets_nothing_twice() {
        actix_rt::System::new().block_on(async {
            let shop = Shop::with(Vec::new());
            show(&shop, 0, 20);
            let mut reader = Reader::open(&shop, None).await;
            let [mut last, name, _] = reader.event().await;
            assert_eq!(name, "reset");
            let mut seen = Vec::new();
            for (cut_after, down) in [(3, 5), (4, 9), (0, 12), (20, 20)] {
                show(&shop, down, 20);
                for _ in 0..cut_after.min(down - seen.len()) {
                    let [id, name, data] = reader.event().await;
                    assert_eq!(name, "change");
                    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
                    assert_eq!((data["state"].as_str(), data["word"].as_str()), (Some("down"), Some("Down")));
                    seen.push(data["api_id"].as_str().unwrap().to_owned());
                    last = id;
                }
                drop(reader);
                reader = Reader::open(&shop, Some(&last)).await;
            }
            let mut wanted: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
            wanted.sort_unstable();
            seen.sort_unstable();
            assert_eq!(seen, wanted);
        });
    }

    #[test]
    fn an_outcome_that_is_late_is_told_though_nothing_came() {
        actix_rt::System::new().block_on(async {
            let late = ApiView { late_after: Some(NOW.plus(Duration::from_secs(5))), ..up("a") };
            let shop = Shop::with(vec![late]);
            let mut reader = Reader::open(&shop, None).await;
            assert_eq!(reader.event().await[1], "reset");
            shop.clock.set(NOW.plus(Duration::from_secs(6)));
            let [_, name, data] = reader.event().await;
            let data: serde_json::Value = serde_json::from_str(&data).unwrap();
            assert_eq!((name.as_str(), data["state"].as_str()), ("change", Some("unwatched")), "{data}");
        });
    }

    #[test]
    fn what_is_not_kept_or_was_never_given_out_is_a_reset() {
        actix_rt::System::new().block_on(async {
            let shop = Shop::with(vec![up("a0")]);
            let [id, ..] = Reader::open(&shop, None).await.event().await;
            let (life, _) = id.split_once('-').unwrap();
            for lost in [format!("{life}-999"), "0-0".into(), "-".into(), "\u{7f}".into(), life.into(), String::new()] {
                let header = awc::http::header::HeaderValue::from_bytes(lost.as_bytes());
                if header.is_ok() {
                    let [_, name, _] = Reader::open(&shop, Some(&lost)).await.event().await;
                    assert_eq!(name, "reset", "{lost}");
                }
            }
        });
    }

    #[test]
    fn secrets_are_in_no_event() {
        actix_rt::System::new().block_on(async {
            let shop = Shop::with(Vec::new());
            let mut reader = Reader::open(&shop, None).await;
            assert_eq!(reader.event().await[1], "reset");
            let mut view = up_with("a", |config| config.headers = vec![("X-Key".into(), Secret::new("hunter22"))]);
            let reason = "it echoes hunter22".into();
            view.beside.not_probed = Some(api_health_core::view::Trouble { since: NOW, reason });
            testkit::board::show(&shop.board, vec![view], Vec::new(), NOW);
            let [_, _, data] = reader.event().await;
            assert!(data.contains("it echoes ***") && !data.contains("hunter22"), "{data}");
        });
    }

    #[test]
    fn there_are_so_many_streams_and_those_that_take_nothing_lose_their_place() {
        actix_rt::System::new().block_on(async {
            tokio::time::pause();
            let streams = Streams::default();
            let mut places: Vec<_> = (0..STREAMS_MAX).map(|_| streams.place().expect("a place")).collect();
            assert!(streams.place().is_none());
            places.pop();
            places.push(streams.place().expect("one ended"));
            tokio::time::advance(DROPPED_AFTER).await;
            places[1].set(Instant::now());
            let fresh = streams.place().expect("one that takes nothing has lost its place");
            assert!(!streams.has(&places[0]) && streams.has(&places[1]) && streams.has(&fresh));
        });
    }
}
