//! The rows of docs/configuration.md that people copy, each on a server that is well and on one that is not.

use std::sync::Arc;

use api_health::clock::SystemClock;
use api_health::configs::defaults::ApiDefaults;
use api_health::configs::file;
use api_health::configs::validate::RowRules;
use api_health_actors::ports::Probe as _;
use api_health_core::assertion::judge;
use api_health_core::{ApiConfig, Outcome, Verdict};

use crate::port::probe;
use crate::server::{End, Script, Server, good_config, run};

const PAGE: &str = include_str!("../../docs/configuration.md");

fn rows() -> Vec<Arc<ApiConfig>> {
    let (_, after) = PAGE.split_once("<!-- real life: apis.toml -->\n```toml\n").unwrap();
    let text = after.split("```").next().unwrap().replace("${env:", "$${env:");
    let rules = RowRules::new(ApiDefaults::default(), Arc::new(SystemClock));
    let loaded = rules.check_all(&file::parse("apis.toml", &text).unwrap());
    assert_eq!(loaded.refused, []);
    loaded.good
}

/// A head in one line and a body, with the length of the body between them.
fn http(head: &str, body: &str) -> Script {
    let head = head.replace(" | ", "\r\n");
    Script::new(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()), End::Hold)
}

fn json(body: &str) -> Script {
    http("200 OK | content-type: application/json; charset=utf-8", body)
}

/// Of each row what a server says that is well, what one says that is not, and what has to be in the reason.
fn stories() -> Vec<(&'static str, Script, Script, &'static str)> {
    let page = |body: &str| http("200 OK", body);
    let filler = "x".repeat(200);
    vec![
        (
            "spring-boot",
            json(r#"{"status":"UP","components":{"db":{"status":"UP"}}}"#),
            json(r#"{"status":"UP","components":{"db":{"status":"DOWN"}}}"#),
            "found \"DOWN\"",
        ),
        ("kubernetes", page("ok"), page("[-]etcd failed\nhealthz check failed"), "body matches ^ok$"),
        (
            "shop-page",
            page(&format!("<h1>A chair</h1> Price: 5 <a>Add to cart</a>{filler}")),
            page(&format!("<h1>Internal Server Error</h1> Price: 5 Add to cart{filler}")),
            "body lacks Internal Server Error",
        ),
        (
            "wordpress",
            page("<html>Hello world!</html>"),
            page("<html><h1>Error establishing a database connection</h1></html>"),
            "found it at byte 11",
        ),
        (
            "graphql",
            json(r#"{"data":{"viewer":{"login":"me"}}}"#),
            json(r#"{"errors":[{"message":"rate limited"}]}"#),
            "found nothing there",
        ),
        (
            "rest",
            json(r#"{"items":[{"price":5}]}"#),
            http("200 OK | content-type: text/html", "<html>Bad gateway</html>"),
            "found \"text/html\"",
        ),
        ("login", page("/login Password"), page("Application error"), "body contains Password"),
        (
            "cdn",
            Script::new(
                "HTTP/1.1 200 OK\r\ncache-control: public, max-age=300\r\ncontent-type: text/javascript\r\ncontent-length: 900\r\n\r\n",
                End::Hold,
            ),
            Script::new("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 900\r\n\r\n", End::Hold),
            "found no such header",
        ),
        (
            "queue",
            json(r#"[{"name":"payments","messages":3,"consumers":2},{"name":"mails","messages":0,"consumers":0}]"#),
            json(r#"[{"name":"payments","messages":3,"consumers":0},{"name":"mails","messages":4000,"consumers":1}]"#),
            "found 4000; expected",
        ),
        (
            "payments",
            json(r#"{"mode":"live","maintenance":false}"#),
            json(r#"{"mode":"live","maintenance":true}"#),
            "json $.maintenance = false, found true",
        ),
    ]
}

/// What a probe of `row` finds at a server that plays `script`. A row that ends at a login page is led to one.
async fn find(row: &ApiConfig, script: Script) -> Outcome {
    let server = Server::start(Some(good_config()), script).await;
    let mut url = server.url("https");
    let moved =
        Server::start(Some(good_config()), http(&format!("302 Found | location: {}", url.replace("/x", "/login")), ""))
            .await;
    if row.api_id.as_str() == "login" {
        url = moved.url("https");
    }
    let api = ApiConfig { url, ..row.clone() };
    judge(&api, &probe(1, 1 << 20).probe(Arc::new(api.clone())).await)
}

#[test]
fn each_row_that_people_copy_tells_well_from_unwell() {
    let (rows, stories) = (rows(), stories());
    assert_eq!(rows.len(), stories.len());
    for (row, (id, well, unwell, words)) in rows.iter().zip(stories) {
        assert_eq!(row.api_id.as_str(), id);
        let (well, unwell) = run(async { (find(row, well).await, find(row, unwell).await) });
        assert_eq!(well.verdict, Verdict::Pass, "{id}: {well:?}");
        assert_eq!(unwell.verdict, Verdict::Fail, "{id}: {unwell:?}");
        assert!(unwell.reason().unwrap().contains(words), "{id}: {unwell:?}");
    }
}
