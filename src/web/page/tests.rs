//! The pages as they are answered: small at any number of APIs, without secrets, and true when something is amiss.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::{self, MemoryHistory};
use api_health_core::evidence::Evidence;
use api_health_core::figures::CertificateEnds;
use api_health_core::history::{Note, NoteKind};
use api_health_core::incident::{DeliveredAlert, Incident};
use api_health_core::state::{LastProbe, Streak, Toward};
use api_health_core::view::{ApiView, Condition, Trouble};
use api_health_core::{AlertKind, ApiId, PhaseTimes, ProbeFigures, Secret, Status, Timestamp, Verdict};

use crate::testing::{NOW, Shop, up, up_with};

mod bounds;

/// No page is larger, before it is packed.
const PAGE_BYTES_MAX: usize = 100_000;

fn in_system<F: Future>(body: F) -> F::Output {
    actix_rt::System::new().block_on(body)
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() - seconds * 1_000)
}

fn down(mut view: ApiView, why: &str) -> ApiView {
    (view.status, view.since) = (Status::Down, Some(ago(180)));
    view.incident = Some(Box::new(Incident {
        incident_id: format!("{}.{}.3", view.api_id, ago(180).as_millis()),
        started_at: ago(180),
        reason: why.into(),
        ..Incident::default()
    }));
    probed(view, Verdict::Fail, Some(why))
}

fn probed(mut view: ApiView, verdict: Verdict, error: Option<&str>) -> ApiView {
    view.last_probe = Some(LastProbe {
        at: ago(3),
        verdict,
        latency_ms: Some(87),
        status_code: Some(200),
        error: error.map(str::to_owned),
    });
    view
}

/// So many, of which each hundredth is down, with names as long as a row may have them.
fn many(count: usize) -> Vec<ApiView> {
    let make = |at: usize| {
        let view = up_with(&format!("api-{at:06}"), |config| {
            config.name = format!("{} {at}", "Größe & <Gewicht> ".repeat(8)).into();
            config.tags = vec![format!("team-{}", at % 300), "eu".into()];
        });
        if at.is_multiple_of(100) {
            down(view, &"status 500 & \"no\" body ".repeat(8))
        } else {
            probed(view, Verdict::Pass, None)
        }
    };
    (0..count).map(make).collect()
}

#[test]
fn the_first_screen_is_small_at_any_number_of_apis_and_says_how_many_are_down() {
    in_system(async {
        for (count, first) in [
            (10, "1 of 10 APIs is down."),
            (1_000, "10 of 1,000 APIs are down."),
            (100_000, "1,000 of 100,000 APIs are down."),
        ] {
            let shop = Shop::with(many(count));
            for path in ["/", "/apis", "/apis?sort=name", "/wall", "/incidents", "/public"] {
                let (status, _, page) = shop.get(path).await;
                assert_eq!(status, 200, "{path}: {page}");
                assert!(page.len() < PAGE_BYTES_MAX, "{path} at {count}: {} bytes", page.len());
                if path == "/" {
                    assert!(page.contains(first) && page.contains("the latest 3 s ago"), "{page}");
                    assert!(page.contains("down · api-health</title>") && page.contains("icon-down.svg"), "{page}");
                    assert_eq!(page.contains("and <a href=\"/apis?sort=state\">900 more</a>"), count == 100_000);
                    assert_eq!(page.contains("and 99,980 more"), count == 100_000, "hosts");
                    println!("{count} APIs: {} bytes", page.len());
                }
            }
        }
    });
}

#[test]
fn a_list_is_searched_filtered_sorted_and_walked_to_its_end() {
    in_system(async {
        let shop = Shop::with(many(250));
        let ids = |page: &str| -> Vec<String> {
            let links = page.split("<a href=\"/apis/").skip(1);
            links.map(|link| link.split('"').next().unwrap_or_default().to_owned()).collect()
        };
        let (mut path, mut all) = ("/apis?sort=name".to_owned(), Vec::new());
        loop {
            let (_, _, page) = shop.get(&path).await;
            all.extend(ids(&page));
            let Some(next) = page.split("rel=\"next\" class=\"next\" href=\"").nth(1) else { break };
            path = next.split('"').next().unwrap_or_default().replace("&#38;", "&");
        }
        let mut once = all.clone();
        once.sort();
        once.dedup();
        assert_eq!((all.len(), once.len()), (250, 250));
        for (query, count) in [
            ("q=API-00024", 10),
            ("q=no%20such", 0),
            ("state=down", 3),
            ("tag=team-7", 1),
            ("tag=eu&state=up&q=000001", 1),
        ] {
            let (_, _, page) = shop.get(&format!("/apis?{query}")).await;
            assert_eq!(ids(&page).len(), count, "{query}");
        }
        let (_, _, page) = shop.get("/apis?cursor=gone").await;
        assert!(page.contains("this is its beginning"), "{page}");
    });
}

#[test]
fn what_is_asked_wrongly_or_is_not_there_gets_a_page_that_says_so() {
    in_system(async {
        let shop = Shop::with(vec![up("a")]);
        for (path, status, words) in [
            ("/apis?state=red", 400, "write one of down, unwatched"),
            ("/apis?sort=colour", 400, "write one of id, name"),
            ("/apis?q=%FF", 200, "Nothing fits"),
            ("/apis/b", 404, "No API of this id"),
            ("/apis/..%2f", 404, "No API of this id"),
            ("/apis/a?range=1y", 400, "90d or 13mo"),
            ("/incidents?month=2026-13", 400, "month=2026-11"),
            ("/incidents/x", 404, "No incident of this id"),
            ("/incidents/a.1.1", 404, "no history is kept"),
            ("/reports/2099-01", 400, "no report"),
            ("/reports/x", 400, "no report"),
            ("/nothing", 404, "There is no such page"),
            ("/assets/secret", 404, "There is no such page"),
        ] {
            let (got, headers, page) = shop.get(path).await;
            assert_eq!(got, status, "{path}: {page}");
            assert!(page.contains(words), "{path}: {page}");
            assert!(headers.contains_key("content-security-policy"), "{path}");
        }
        assert_eq!(awc::Client::default().post(shop.url("/apis")).send().await.unwrap().status(), 405);
        assert_eq!(awc::Client::default().head(shop.url("/apis")).send().await.unwrap().status(), 200);
    });
}

#[test]
fn no_secret_of_a_row_is_on_any_page_and_nothing_but_its_name_on_the_public_one() {
    const SECRETS: [&str; 4] = ["hunter2-header", "hunter2-body", "hunter2-query", "hunter2-token"];
    in_system(async {
        let view = up_with("shop", |config| {
            config.name = "<script>Shop</script>".into();
            config.url = "http://inner.test/health?key=hunter2-query&x=1".into();
            config.headers = vec![("Authorization".into(), Secret::new("Bearer hunter2-header"))];
            config.body = Some(Secret::new("{\"password\":\"hunter2-body\",\"t\":\"hunter2-token\"}"));
            config.public = true;
        });
        let mut view = down(view, "the server said hunter2-header hunter2-body hunter2-query hunter2-token <img>");
        view.beside.certificate = Some(Trouble { since: ago(9), reason: "of hunter2-header".into() });
        view.held = None;
        let incident = view.incident.as_ref().unwrap().incident_id.clone();
        let shop = Shop::with(vec![view, up("private")]);
        let month = &NOW.to_string()[..7];
        for path in [
            "/",
            "/apis",
            "/apis/shop",
            "/incidents",
            &format!("/incidents/{incident}"),
            &format!("/reports/{month}"),
            &format!("/reports/{month}.csv"),
            "/wall",
            "/public",
        ] {
            let (status, _, page) = shop.get(path).await;
            assert_eq!(status, 200, "{path}: {page}");
            for secret in SECRETS {
                assert!(!page.contains(secret), "{path} shows {secret}: {page}");
            }
            let is_html = !path.ends_with(".csv");
            assert!(!(is_html && (page.contains("<script>S") || page.contains("<img>"))), "{path}: {page}");
        }
        let (_, _, page) = shop.get("/public").await;
        assert!(page.contains("1 of 1 service is down.") && page.contains("Shop"), "{page}");
        for inner in ["inner.test", "the server said", "private", "/apis"] {
            assert!(!page.contains(inner), "{inner}: {page}");
        }
        let (_, _, page) = shop.get("/apis/shop").await;
        assert!(page.contains("http://inner.test/health?key=***") && page.contains("Authorization: ***"), "{page}");
    });
}

#[test]
fn each_state_has_its_word_its_sign_and_its_mark() {
    in_system(async {
        let trouble = || Some(Trouble { since: ago(9), reason: "why".into() });
        let with = |id: &str, change: fn(&mut ApiView)| {
            let mut view = up(id);
            change(&mut view);
            view
        };
        let mut unwatched = up("unwatched");
        unwatched.beside.not_probed = trouble();
        let mut unclear = up("unclear");
        unclear.beside.unclear = trouble();
        let views = vec![
            down(up("down"), "why"),
            unwatched,
            unclear,
            with("suspect", |view| {
                view.streak = Some(Streak { toward: Toward::Down, request_fingerprint: 0, count: 1, first_at: ago(5) });
            }),
            with("maintenance", |view| view.maintenance_until = Some(ago(-60))),
            with("unknown", |view| view.status = Status::Unknown),
            up("up"),
            up_with("off", |config| config.enabled = false),
        ];
        let shop = Shop::with(views);
        for path in ["/", "/apis"] {
            let (_, _, page) = shop.get(path).await;
            for condition in Condition::ALL {
                let row =
                    page.split("<tr").find(|row| row.contains(&format!("/apis/{}\"", condition.as_str()))).unwrap();
                assert!(row.contains(condition.word()) && row.contains(&format!("m-{}", condition.as_str())), "{row}");
                assert!(row.contains(condition.glyph()), "{row}");
            }
        }
        let (_, _, page) = shop.get("/").await;
        assert!(page.contains("1 of 8 APIs is down."), "{page}");
        assert!(page.contains("1 is not watched, 1 is not probed yet, 1 is switched off"), "{page}");
    });
}

#[test]
fn an_empty_monitor_says_how_to_begin_and_one_that_is_silent_that_nothing_is_known() {
    in_system(async {
        let empty = Shop::with(Vec::new());
        let (_, _, page) = empty.get("/").await;
        assert!(page.contains("No API is watched yet.") && page.contains("api-health apis add --url"), "{page}");
        let shop = Shop::with(vec![probed(up("a"), Verdict::Pass, None)]);
        shop.clock.set(ago(-120));
        for path in ["/", "/wall", "/public"] {
            let (_, _, page) = shop.get(path).await;
            assert!(page.contains("It is not known how things are: nothing was heard for 2 min."), "{path}: {page}");
            assert!(page.contains("<title>? not known") && page.contains("stale"), "{path}: {page}");
        }
    });
}

#[test]
fn what_the_monitor_tells_of_itself_stands_above_all() {
    in_system(async {
        let shop = Shop::with(vec![up("a")]);
        let own = vec![(ApiId::monitor_store(), Trouble { since: ago(60), reason: "the disk is full".into() })];
        testkit::board::show(&shop.board, vec![up("a")], own, NOW);
        for path in ["/", "/wall"] {
            let (_, _, page) = shop.get(path).await;
            assert!(page.contains("api-health:store") && page.contains("the disk is full"), "{path}: {page}");
        }
        assert!(!shop.get("/public").await.2.contains("disk"));
    });
}

#[test]
fn who_has_a_page_is_not_sent_it_again_and_who_takes_gzip_gets_less() {
    in_system(async {
        let shop = Shop::with(many(50));
        let (_, headers, page) = shop.get("/apis").await;
        let tag = headers.get("etag").unwrap().to_str().unwrap().to_owned();
        // A clock that stands and a board that is left alone: the tag stays, however long this takes.
        assert_eq!(shop.get_as("/apis", &[("If-None-Match", &tag)]).await.0, 304);
        assert_eq!(shop.get_as("/apis", &[("If-None-Match", "W/\"other\"")]).await.0, 200);
        let mut packed = awc::Client::builder()
            .no_default_headers()
            .finish()
            .get(shop.url("/apis"))
            .insert_header(("Accept-Encoding", "gzip"))
            .no_decompress()
            .send()
            .await
            .unwrap();
        assert_eq!(packed.headers().get("content-encoding").unwrap(), "gzip");
        let bytes = packed.body().await.unwrap();
        assert!(bytes.len() * 3 < page.len(), "{} of {}", bytes.len(), page.len());
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked, page);
        testkit::board::show(&shop.board, vec![up("a")], Vec::new(), NOW);
        tokio::time::sleep(Duration::from_millis(1_100)).await; // a snapshot is kept for a second
        assert_eq!(shop.get_as("/apis", &[("If-None-Match", &tag)]).await.0, 200);
        let (_, headers, _) = shop.get("/assets/style.css").await;
        assert_eq!(headers.get("content-type").unwrap(), "text/css; charset=utf-8");
    });
}

#[test]
fn what_people_wrote_and_what_was_seen_is_shown_to_those_who_may_see_it() {
    let history = MemoryHistory::default();
    let secret = |config: &mut api_health_core::ApiConfig| {
        config.headers = vec![("X-Key".into(), Secret::new("hunter22"))];
        config.public = true;
    };
    let mut view = down(up_with("a", secret), "status 503");
    let figures = ProbeFigures::default().with_took(Duration::from_millis(70));
    let ends = NOW.plus(Duration::from_secs(44 * 86_400 + 60));
    let mut figures = figures.with_ends(Some(CertificateEnds { earliest: ends, of_chain: ends }));
    let ms = |ms| Some(Duration::from_millis(ms));
    figures.phases.add(&PhaseTimes { connect: ms(20), first_byte: ms(50), ..PhaseTimes::default() });
    view.figures = Some(figures);
    let id = format!("a.{}.3", ago(180).as_millis());
    let told = DeliveredAlert { channel: "sns".into(), kind: AlertKind::Down, at: ago(160) };
    let evidence =
        Evidence { seen_at: ago(170), status_line: Some("HTTP/1.1 503 hunter22".into()), ..Evidence::default() };
    let open = view.incident.as_mut().unwrap();
    (open.confirmed_at, open.delivered, open.evidence) = (Some(ago(170)), vec![told], Some(Arc::new(evidence)));
    let text = "the disk is <full>".to_owned();
    let note = Note { incident_id: id.clone(), at: ago(60), by: "ann".into(), kind: Some(NoteKind::Identified), text };
    history.put(note.item().unwrap());
    in_system(async {
        let shop = Shop::remembering(vec![view], history);
        let (status, _, page) = shop.get(&format!("/incidents/{id}")).await;
        assert_eq!(status, 200);
        let (_, steps) = page.split_once("What happened").unwrap();
        let at = |what: &str| steps.find(what).unwrap_or_else(|| panic!("{what}: {page}"));
        assert!(at("The first probe failed") < at("The outage was confirmed"));
        assert!(at("The outage was confirmed") < at("sns took the alert “down”, 10 s after it was due"), "{page}");
        assert!(page.contains("ann, <b>identified</b>: the disk is &#60;full&#62;"), "{page}");
        assert!(page.contains("HTTP/1.1 503 ***") && page.contains("when it was confirmed"), "{page}");
        let (_, _, page) = shop.get("/apis/a").await;
        for what in
            ["HTTP/1.1 503 ***", "ends on 2027-01-05", "in 44 days", "It took 70 ms: connect 20 ms, first byte 50 ms"]
        {
            assert!(page.contains(what), "{what}: {page}");
        }
        let (_, _, json) = shop.get("/api/v1/incidents").await;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["incidents"][0]["notes"][0]["by"], &json["incidents"][0]["notes"][0]["kind"]),
            (&"ann".into(), &"identified".into())
        );
        assert!(shop.get("/feed.atom").await.2.contains("(identified, ann): the disk is"));
        // Whoever comes by a proxy has no login.
        let stranger = [("X-Forwarded-For", "192.0.2.1")];
        for path in ["/public", "/feed.atom", "/api/v1/incidents", "/api/v2/summary.json"] {
            let (_, _, text) = shop.get_as(path, &stranger).await;
            assert!(!text.contains("disk") && !text.contains("503"), "{path}: {text}");
        }
    });
}
