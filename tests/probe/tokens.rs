//! APIs that want a token: where it comes from, how long it may take, who shares it, and that nobody sees it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{PreparedProbe, Probe as _};
use api_health_core::asking::Oauth;
use api_health_core::assertion::{Assertion, judge};
use api_health_core::observation::LocalFault;
use api_health_core::{Answer, ApiConfig, Asking, Failure, Method, Secret, Verdict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::kinds::{api, ask, probe_of, reason};
use crate::server::{CLIENT, End, Script, Server, run};

/// A server of tokens and an API that wants them, on one port each.
struct Tokens {
    url: String,
    /// The requests for tokens, as text.
    asked: Rc<RefCell<Vec<String>>>,
    answer: Rc<RefCell<String>>,
    /// How long it takes to answer one request. Each waits for the one before.
    takes: Rc<Cell<Duration>>,
}

impl Tokens {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let tokens = Self { url, asked: Rc::default(), answer: Rc::default(), takes: Rc::default() };
        tokens.answers("200 OK", "{\"access_token\": \"t1\", \"token_type\": \"Bearer\", \"expires_in\": 3600}");
        let (asked, answer, takes) = (Rc::clone(&tokens.asked), Rc::clone(&tokens.answer), Rc::clone(&tokens.takes));
        actix_rt::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                asked.borrow_mut().push(request);
                sleep(takes.get()).await;
                let answer = answer.borrow().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        tokens
    }

    fn answers(&self, status: &str, body: &str) {
        *self.answer.borrow_mut() = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    }

    fn asking(&self) -> Asking {
        let [client_id, client_secret] = ["me", "hunter 2"].map(Secret::new);
        let (token_url, scope) = (Secret::new(&self.url), Some(Secret::new("health read")));
        Asking {
            oauth: Some(Oauth { token_url, client_id, client_secret, scope, audience: None }),
            ..Asking::default()
        }
    }
}

/// One request with its body.
async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().split("content-length: ").nth(1).and_then(|l| l.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return text;
        }
    }
}

/// An API that takes the token that it is told to.
async fn taking(token: &'static str) -> (String, Rc<Cell<&'static str>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let taken = Rc::new(Cell::new(token));
    let takes = Rc::clone(&taken);
    actix_rt::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let is_good = read(&mut stream).await.contains(&format!("\r\nAuthorization: Bearer {}\r\n", takes.get()));
            let status = if is_good { "200 OK" } else { "401 No" };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        }
    });
    (url, taken)
}

#[test]
fn a_token_is_fetched_once_for_all_and_again_where_it_is_refused() {
    run(async {
        let (tokens, (url, takes)) = (Tokens::start().await, taking("t1").await);
        let probe = probe_of(&CLIENT);
        let prepared: Vec<_> = (0..5).map(|_| probe.prepare(Arc::new(api(&url, tokens.asking())))).collect();
        let all = prepared.iter().map(|one| Rc::clone(one).run());
        for seen in futures_util::future::join_all(all).await {
            assert!(matches!(&seen.answer, Answer::Response(response) if response.status == 200), "{seen:?}");
        }
        {
            let asked = tokens.asked.borrow();
            assert_eq!(asked.len(), 1, "{asked:?}");
            assert!(asked[0].starts_with("POST /token HTTP/1.1\r\n"), "{asked:?}");
            assert!(asked[0].contains("\r\nAuthorization: Basic bWU6aHVudGVyKzI=\r\n"), "me:hunter+2, {asked:?}");
            assert!(asked[0].ends_with("\r\n\r\ngrant_type=client_credentials&scope=health+read"), "{asked:?}");
        }
        takes.set("t2");
        tokens.answers("200 OK", "{\"access_token\": \"t2\"}");
        let seen = Rc::clone(&prepared[0]).run().await;
        assert!(matches!(&seen.answer, Answer::Response(response) if response.status == 200), "{seen:?}");
        assert_eq!(tokens.asked.borrow().len(), 2);
        takes.set("t3"); // and one that is new and refused is an answer like any other
        let seen = Rc::clone(&prepared[0]).run().await;
        assert!(matches!(&seen.answer, Answer::Response(response) if response.status == 401), "{seen:?}");
        assert_eq!(tokens.asked.borrow().len(), 3);
    });
}

#[test]
fn an_api_that_refuses_a_token_takes_it_from_no_other() {
    run(async {
        let tokens = Tokens::start().await;
        let ((refuses, _), (takes, _)) = (taking("t2").await, taking("t1").await);
        let probe = probe_of(&CLIENT);
        let apis = [&refuses, &takes].map(|url| api(url, tokens.asking()));
        let [refuses, takes] = apis.each_ref().map(|api| probe.prepare(Arc::new(api.clone())));
        let verdict = async |api: &ApiConfig, prepared: &Rc<dyn PreparedProbe>| {
            judge(api, &Rc::clone(prepared).run().await).verdict
        };
        assert_eq!(verdict(&apis[1], &takes).await, Verdict::Pass);
        tokens.answers("500 X", "");
        assert_eq!(verdict(&apis[0], &refuses).await, Verdict::Inconclusive, "a new one is not to be had");
        assert_eq!(verdict(&apis[1], &takes).await, Verdict::Pass, "the old one is good");
        assert_eq!(tokens.asked.borrow().len(), 2);
        tokens.answers("200 OK", "{\"access_token\": \"t2\"}");
        assert_eq!(verdict(&apis[0], &refuses).await, Verdict::Pass);
    });
}

#[test]
fn a_token_takes_half_of_the_time_at_most_and_none_of_the_latency() {
    run(async {
        let (tokens, (url, _)) = (Tokens::start().await, taking("t1").await);
        tokens.takes.set(Duration::from_millis(1_800));
        let late = ApiConfig { timeout: Duration::from_secs(2), ..api(&url, tokens.asking()) };
        let (_, outcome) = ask(late).await;
        assert!(outcome.verdict == Verdict::Inconclusive, "{outcome:?}");
        assert!(reason(&outcome).ends_with("it did not answer in time"), "{outcome:?}");
        let started = Instant::now();
        let slow = ApiConfig { timeout: Duration::from_secs(60), ..api(&url, tokens.asking()) };
        let (seen, outcome) = ask(slow).await;
        assert_eq!(outcome.verdict, Verdict::Pass, "{outcome:?}");
        assert!(seen.waited_for_host >= tokens.takes.get(), "{seen:?}");
        assert!(seen.took + tokens.takes.get() <= started.elapsed(), "{seen:?}");
        assert_eq!(seen.figures.took().as_millis(), seen.took.as_millis());
    });
}

#[test]
fn an_api_with_more_time_for_a_token_does_not_go_by_what_one_with_less_met() {
    run(async {
        let (tokens, (url, _)) = (Tokens::start().await, taking("t1").await);
        tokens.takes.set(Duration::from_secs(2));
        let probe = probe_of(&CLIENT);
        let of = |seconds| ApiConfig { timeout: Duration::from_secs(seconds), ..api(&url, tokens.asking()) };
        let apis = [of(1), of(60)];
        let seen = apis.each_ref().map(|api| probe.prepare(Arc::new(api.clone())).run());
        let seen = futures_util::future::join_all(seen).await;
        let verdicts: Vec<_> = apis.iter().zip(&seen).map(|(api, seen)| judge(api, seen).verdict).collect();
        assert_eq!(verdicts, [Verdict::Inconclusive, Verdict::Pass], "{seen:?}");
    });
}

#[test]
fn a_token_that_a_server_echoes_is_shown_nowhere() {
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.";
    run(async {
        let tokens = Tokens::start().await;
        tokens.answers("200 OK", &format!("{{\"access_token\": \"{TOKEN}\"}}"));
        let echo = |head: &str| format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        for (answer, words) in [
            (echo(&format!("200 Bearer {TOKEN}\r\nx-echo: Bearer {TOKEN}")), "found \"Bearer ***\""),
            (echo(&format!("302 {TOKEN}\r\nlocation: /login/{TOKEN}/")), "(redirects to /login/***/)"),
        ] {
            let server = Server::start(None, Script::new(answer, End::Fin)).await;
            let assertions = vec![Arc::new(Assertion::parse("header x-echo = well").unwrap())];
            let api = ApiConfig { assertions, ..api(&server.url("http"), tokens.asking()) };
            let (seen, outcome) = ask(api).await;
            let asked = String::from_utf8(server.asked.borrow().clone()).unwrap();
            assert!(asked.contains(&format!(": Bearer {TOKEN}\r\n")), "{asked}");
            assert!(outcome.verdict == Verdict::Fail && reason(&outcome).contains(words), "{outcome:?}");
            let status_line = outcome.evidence.as_ref().unwrap().status_line.as_deref().unwrap();
            assert!(status_line.ends_with("***"), "{status_line}");
            assert!(!format!("{seen:?}{outcome:?}").contains(TOKEN), "{outcome:?}");
        }
    });
}

#[test]
fn a_token_server_that_gives_none_says_nothing_of_the_api() {
    run(async {
        let (tokens, (url, _)) = (Tokens::start().await, taking("t1").await);
        let long = format!("{{\"access_token\": \"{}\"}}", "t".repeat(64 * 1024));
        for (status, body, words) in [
            ("200 OK", &long[..], "its answer holds no access_token"),
            ("500 X", "", "it answered with status 500"),
            ("400 X", "{\"error\": \"invalid_scope\"}", "it answered with status 400 (invalid_scope)"),
            ("200 OK", "<html>", "its answer holds no access_token"),
            ("200 OK", "{\"access_token\": \"a\\r\\nb\"}", "its access_token cannot be sent in a header"),
        ] {
            tokens.answers(status, body);
            let api = api(&url, tokens.asking());
            let seen = probe_of(&CLIENT).probe(Arc::new(api.clone())).await;
            let outcome = judge(&api, &seen);
            assert!(matches!(seen.answer, Answer::Failure(Failure::Local(LocalFault::NoToken { .. }))), "{seen:?}");
            assert_eq!(outcome.verdict, Verdict::Inconclusive);
            assert!(reason(&outcome).starts_with("no access token: the token server 127.0.0.1:"), "{outcome:?}");
            assert!(reason(&outcome).ends_with(words), "{outcome:?}");
        }
        let mut asking = tokens.asking();
        asking.oauth.as_mut().unwrap().token_url =
            Secret::new(format!("http://127.0.0.1:{}/", crate::ports::listen().local_addr().unwrap().port()));
        let (_, outcome) = ask(api(&url, asking)).await;
        assert!(outcome.verdict == Verdict::Inconclusive && reason(&outcome).ends_with("refused"), "{outcome:?}");
    });
}

#[test]
fn a_token_server_that_wants_the_credentials_in_the_body_gets_them_there() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let token_url = format!("http://{}/token", listener.local_addr().unwrap());
        actix_rt::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let is_good = read(&mut stream).await.ends_with("&client_id=me&client_secret=hunter+2");
                let (status, body) = if is_good { ("200 OK", "{\"access_token\":\"t1\"}") } else { ("401 X", "") };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let (tokens, (url, _)) = (Tokens::start().await, taking("t1").await);
        let mut asking = tokens.asking();
        asking.oauth.as_mut().unwrap().token_url = Secret::new(token_url);
        let post = ApiConfig { method: Method::Post, ..api(&url, asking) };
        assert_eq!(ask(post).await.1.verdict, Verdict::Pass);
    });
}
