//! What has no bound of its own is cut, counted or left out on the pages.

use std::cell::Cell;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use api_health_actors::board::Board;
use api_health_actors::testkit::{VirtualClock, in_virtual_time};
use api_health_core::history::{HistoryItem, HistorySlot, Series, Story, UtcMonth};

use super::*;
use crate::model::{About, Model, NoneElsewhere, Site};
use crate::page::answer::{Page, Pages};

/// What stands between `from` and the next `to`, each time.
fn between<'a>(page: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    page.split(from).skip(1).map(|part| part.split(to).next().unwrap_or_default()).collect()
}

/// There are so many of these texts, each cut to so many characters.
#[track_caller]
fn are_cut(texts: &[&str], count: usize, chars: usize) {
    assert_eq!(texts.len(), count, "{texts:?}");
    assert!(texts.iter().all(|text| text.chars().count() == chars && text.ends_with('…')), "{texts:?}");
}

#[test]
fn more_than_a_page_shows_is_counted_and_longer_words_are_cut() {
    let make = |at: u32| {
        let mut view = up_with(&format!("api-{at:03}"), |config| {
            config.name = format!("{at:03} {}", "ö".repeat(600)).into();
            config.tags = vec![format!("{:02}{}", at % 25, "ä".repeat(62))];
            config.public = true;
        });
        if at < 150 {
            view = down(view, &"w".repeat(600));
            view.beside.certificate = Some(Trouble { since: ago(9), reason: "c".repeat(600) });
        } else {
            view = probed(view, Verdict::Pass, None);
        }
        view.last_probe.as_mut().unwrap().latency_ms = Some(at);
        view
    };
    in_system(async {
        let views: Vec<ApiView> = (0..600).map(make).collect();
        let incident = format!("/incidents/{}", views[0].incident.as_ref().unwrap().incident_id);
        let shop = Shop::with(views);
        let get = async |path: &str| {
            let (status, _, page) = shop.get(path).await;
            assert_eq!(status, 200, "{path}: {page}");
            page
        };

        let page = get("/apis").await;
        are_cut(&between(&page, " data-row>", "</a>"), 100, 60);
        are_cut(&between(&page, "class=\"why\">", "</td>"), 100, 100);

        let page = get("/").await;
        let section = |title: &str| between(&page, &format!("<h2>{title}</h2>"), "</section>")[0];
        are_cut(&between(section("Not well"), " data-row>", "</a>"), 100, 60);
        are_cut(&between(section("Not well"), "class=\"why\">", "</td>"), 100, 100);
        assert!(section("Not well").contains("50 more"));
        let certificates = section("Certificates that end soon");
        are_cut(&between(certificates, "</a>: ", "</li>"), 10, 100);
        let names = |section| -> Vec<&str> {
            between(section, "<a href=", "</a>").into_iter().filter_map(|link| link.split('>').nth(1)).collect()
        };
        are_cut(&names(section("Tags")), 20, 40);
        assert!(section("Tags").contains("and 5 more"));
        let slowest = section("Slowest last answers");
        are_cut(&names(slowest), 5, 40);
        assert!(slowest.contains("/apis/api-599") && slowest.contains("/apis/api-595"), "{slowest}");

        let page = get(&format!("/reports/{}", &NOW.to_string()[..7])).await;
        assert_eq!(between(&page, "<tr><th scope=\"row\">", "</th>").len(), 100);
        assert!(page.contains("cursor=api-099"), "{page}");

        let page = get("/wall").await;
        are_cut(&between(&page, "<b>", "</b>"), 12, 60);
        assert!(page.contains("and 138 more"));

        let page = get("/public").await;
        assert_eq!(between(&page, "<th scope=\"row\">", "</th>").len(), 500);
        assert!(page.contains("and 100 more"));

        let page = get("/incidents").await;
        are_cut(&between(&page, "class=\"why\">", "</td>"), 100, 240);
        assert!(page.contains("50 more"));
        are_cut(&between(&get(&incident).await, "class=\"cause\">", "</p>"), 1, 240);

        let page = get("/apis/api-000").await;
        are_cut(&between(&page, "<h1>", "</h1>"), 1, 500);
        are_cut(&between(&page, "class=\"cause\">", "</p>"), 1, 500);
        are_cut(&between(&page, "<dt>Certificate</dt><dd>", "</dd>"), 1, 500);

        assert!(get(&format!("/apis?q={}", "%C3%B6".repeat(200))).await.contains("next"));
        let (status, _, page) = shop.get(&format!("/apis?q={}", "%C3%B6".repeat(201))).await;
        assert_eq!((status, page.contains("longer than 200 characters")), (400, true), "{page}");
    });
}

/// Over one API and this history, in virtual time.
fn model(history: &MemoryHistory) -> Model {
    let board = Arc::new(Board::default());
    testkit::board::show(&board, vec![up("a")], Vec::new(), NOW);
    Model::new(Site {
        board,
        stats: Arc::default(),
        history: Some(Arc::new(history.clone())),
        clock: Arc::new(VirtualClock::new()),
        elsewhere: Arc::new(NoneElsewhere),
        about: About::default(),
    })
}

#[test]
fn so_many_pages_of_a_snapshot_are_kept_and_none_of_a_longer_path() {
    in_virtual_time(async {
        let (model, pages, made) = (model(&MemoryHistory::default()), Pages::default(), Cell::new(0));
        let made_of_two = async |path: String| {
            made.set(0);
            for _ in 0..2 {
                let make = |_| {
                    made.set(made.get() + 1);
                    std::future::ready(Page::new(StatusCode::OK, "text/plain", "a page"))
                };
                pages.answer(&TestRequest::with_uri(&path).to_http_request(), &model, make).await;
            }
            made.get()
        };
        for (bytes, times) in [(512, 1), (513, 2)] {
            assert_eq!(made_of_two(format!("/{}", "x".repeat(bytes - 1))).await, times, "{bytes} bytes");
        }
        for n in 2..=65 {
            assert_eq!(made_of_two(format!("/{n}")).await, if n <= 64 { 1 } else { 2 }, "page {n}");
        }
    });
}

#[test]
fn so_many_pasts_are_kept_for_a_minute_each_with_the_newest_of_its_incidents() {
    in_virtual_time(async {
        let history = MemoryHistory::default();
        let model = model(&history);
        let api = |n: usize| ApiId::parse(&format!("api-{n}")).unwrap();
        let series = |n: usize| if n == 0 { Series::Incidents(UtcMonth::of(NOW)) } else { Series::Api(api(n)) };
        for (n, began) in (0..1_001).flat_map(|began| [(0, began), (1, began)]) {
            let slot = HistorySlot::Incident { started_at: ago(1_001 - began), api_id: api(1) };
            history.put(HistoryItem { series: series(n), slot, epoch: 0, kept_until: None, bytes: Vec::new() });
        }
        let read = async |n: usize| {
            let before = history.reads();
            let items = model.pasts.items(&model.site, series(n), NOW).await.unwrap();
            (items, history.reads() > before)
        };
        for n in 0..256 {
            let (items, is_read) = read(n).await;
            assert_eq!((items.len(), is_read), (if n < 2 { 1_000 } else { 0 }, true), "past {n}");
            tokio::time::sleep(Duration::from_millis(1)).await;
            let second = HistorySlot::Incident { started_at: ago(1_000), api_id: api(1) };
            assert!(items.first().is_none_or(|item| item.slot == second), "the oldest is left out: {items:?}");
        }
        for n in 0..256 {
            assert!(!read(n).await.1, "past {n} is kept");
        }
        assert!(read(256).await.1 && !read(256).await.1 && !read(255).await.1, "one more is kept");
        assert!(read(0).await.1, "the oldest made room for it");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(read(256).await.1 && !read(256).await.1, "what is old is read again");
        // Two of these have more bytes than are kept.
        for (n, at) in (300..302).flat_map(|n| (0..1_000).map(move |at| (n, at))) {
            let slot = HistorySlot::Incident { started_at: ago(at), api_id: api(n) };
            history.put(HistoryItem { series: series(n), slot, epoch: 0, kept_until: None, bytes: vec![0; 17_000] });
        }
        assert!(read(300).await.1 && !read(300).await.1, "it fits");
        assert!(read(301).await.1 && !read(301).await.1 && read(300).await.1, "only one of them");
    });
}

#[test]
fn more_incidents_than_a_page_shows_are_left_out() {
    let history = MemoryHistory::default();
    let month = UtcMonth::of(NOW);
    let api_id = ApiId::parse("a").unwrap();
    for n in 0..250 {
        let began_at = month.first_day().starts_at().plus(Duration::from_secs(n * 60));
        let incident = Incident {
            incident_id: format!("a.{}.{n}", began_at.as_millis()),
            started_at: began_at,
            reason: "it said hunter22".into(),
            name: "a".into(),
            ..Incident::default()
        };
        let ended_at = began_at.plus(Duration::from_secs(30));
        let story = Story {
            incident,
            began_at,
            ended_at,
            end_confirmed_at: ended_at,
            is_closed: false,
            excluded_ms: 0,
            end_evidence: None,
        };
        for series in [Series::Incidents(month), Series::Api(api_id.clone())] {
            let slot = HistorySlot::Incident { started_at: began_at, api_id: api_id.clone() };
            history.put(HistoryItem { series, slot, epoch: 0, kept_until: None, bytes: story.encode() });
        }
    }
    in_system(async {
        let secret = |config: &mut api_health_core::ApiConfig| {
            config.headers = vec![("X-Key".into(), Secret::new("hunter22"))];
        };
        let shop = Shop::remembering(vec![up_with("a", secret)], history);
        for path in ["/incidents", "/apis/a"] {
            let (status, _, page) = shop.get(path).await;
            assert_eq!((status, page.matches("it said ***").count()), (200, 200), "{path}");
            assert!(!page.contains("hunter22"), "{path}");
        }
        let first = format!("/incidents/a.{}.0", month.first_day().starts_at().as_millis());
        let (status, _, page) = shop.get(&first).await;
        assert!(status == 200 && page.contains("it said ***") && !page.contains("hunter22"), "{page}");
        let (_, _, csv) = shop.get("/api/v1/incidents?limit=1000&format=csv").await;
        assert_eq!((csv.lines().count(), csv.contains("hunter22")), (251, false));
    });
}
