//! A real server over a board that a test fills, and a real client.

use std::sync::Arc;

use actix_web::web;
use api_health_actors::board::Board;
use api_health_actors::ports::{Clock, HistoryStore};
use api_health_actors::testkit;
use api_health_core::view::ApiView;
use api_health_core::{ApiConfig, Timestamp};
use tokio::sync::watch;

use crate::Access;
use crate::model::{About, NoneElsewhere, Site};
use crate::server::{Limits, Listen, Server, start};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_332_600_000);

/// A clock that a test sets.
pub(crate) struct TestClock(watch::Sender<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
}

impl TestClock {
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.send_replace(now);
    }
}

/// A server, and what it shows.
pub(crate) struct Shop {
    pub(crate) board: Arc<Board>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) server: Server,
}

impl Shop {
    /// Shows these APIs.
    pub(crate) fn with(views: Vec<ApiView>) -> Self {
        Self::open(views, Access::default())
    }

    pub(crate) fn open(views: Vec<ApiView>, access: Access) -> Self {
        Self::bounded(views, access, Limits::default())
    }

    pub(crate) fn bounded(views: Vec<ApiView>, access: Access, limits: Limits) -> Self {
        Self::of(views, access, limits, None)
    }

    /// With a past.
    pub(crate) fn remembering(views: Vec<ApiView>, history: testkit::MemoryHistory) -> Self {
        Self::of(views, Access::default(), Limits::default(), Some(Arc::new(history)))
    }

    fn of(views: Vec<ApiView>, access: Access, limits: Limits, history: Option<Arc<dyn HistoryStore>>) -> Self {
        let (board, clock) = (Arc::new(Board::default()), Arc::new(TestClock(watch::Sender::new(NOW))));
        testkit::board::show(&board, views, Vec::new(), NOW);
        let site = Site {
            board: Arc::clone(&board),
            stats: Arc::default(),
            history,
            clock: Arc::<TestClock>::clone(&clock),
            elsewhere: Arc::new(NoneElsewhere),
            about: About {
                timezone: "Europe/Berlin".into(),
                embed_origins: vec!["https://www.example.org".into()],
                ..About::default()
            },
        };
        let listen = Listen { addresses: vec![([127, 0, 0, 1], 0).into()], access, limits };
        let server = start(site, &listen).expect("a free port");
        Self { board, clock, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addresses()[0])
    }

    /// The status, the headers and the text of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, awc::http::header::HeaderMap, String) {
        self.get_as(path, &[]).await
    }

    /// The same, with these headers in the request.
    pub(crate) async fn get_as(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, awc::http::header::HeaderMap, String) {
        let mut request = awc::Client::default().get(self.url(path)).timeout(std::time::Duration::from_secs(60));
        for header in headers {
            request = request.insert_header(*header);
        }
        let mut response = request.send().await.expect("an answer");
        let body = response.body().limit(8 * 1024 * 1024).await.expect("a whole answer");
        (response.status().as_u16(), response.headers().clone(), String::from_utf8_lossy(&body).into_owned())
    }
}

/// The path of an answer that no buffer of the system takes at once.
pub(crate) const LARGE: &str = "/test/large";
const LARGE_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route(LARGE, web::get().to(|| async { "x".repeat(LARGE_BYTES) }));
}

/// An API of that id that is up.
pub(crate) fn up(id: &str) -> ApiView {
    testkit::board::view(testkit::api(id, 60), NOW)
}

/// The same, with its config changed.
pub(crate) fn up_with(id: &str, change: impl FnOnce(&mut ApiConfig)) -> ApiView {
    let mut config = testkit::api(id, 60);
    change(&mut config);
    testkit::board::view(config, NOW)
}

#[test]
fn it_answers_by_names_that_it_knows_and_no_others_and_says_when_it_is_not_ready() {
    actix_rt::System::new().block_on(async {
        let shop = Shop::with(vec![up("a"), up_with("b", |config| config.name = "<b>".into())]);
        let (status, headers, page) = shop.get("/").await;
        assert_eq!(status, 200);
        assert!(page.contains("0 of 2 APIs are down") && page.contains("&#60;b&#62;"), "{page}");
        assert!(
            headers.get("content-security-policy").is_some_and(|policy| policy.to_str().unwrap().contains("'none'"))
        );
        assert_eq!(shop.get_as("/", &[("Host", "evil.example")]).await.0, 421);
        assert_eq!(shop.get("/healthz").await.0, 200);
        assert_eq!(shop.get("/readyz").await.0, 200);
        shop.clock.set(NOW.plus(std::time::Duration::from_secs(300)));
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await; // a snapshot is kept for a second
        let (status, _, why) = shop.get("/readyz").await;
        assert_eq!((status, why.contains("nothing was heard")), (503, true), "{why}");
        assert!(shop.server.is_alive() && shop.board.last_change() == 0);
    });
}
