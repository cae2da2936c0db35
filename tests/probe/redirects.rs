//! Redirects: how many, where to, and above all what is not taken along.

use api_health::probe::{Reply, Request};
use api_health_core::{Failure, Method, Secret};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{CLIENT, End, Script, Server, get, good_config, run};

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

fn redirect(status: u16, location: &str) -> Script {
    Script::new(format!("HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 2\r\n\r\nno"), End::Hold)
}

fn asked(server: &Server) -> String {
    String::from_utf8(server.asked.borrow().clone()).unwrap()
}

/// A POST with a key and a body, which follows at most three redirects.
fn post(url: &str) -> Request {
    Request {
        method: Method::Post,
        headers: vec![("X-Api-Key".into(), Secret::new("hunter2")), ("Content-Type".into(), Secret::new("text/plain"))],
        body: Some("secret body".into()),
        max_redirects: 3,
        ..get(url)
    }
}

/// `from` redirects to `to`, which answers; what `to` was asked, and what came of it.
async fn follow(status: u16, from: &Server, location: &str, to: &Server) -> (String, Reply) {
    *from.script.borrow_mut() = redirect(status, location);
    *to.script.borrow_mut() = Script::new(ANSWER, End::Hold);
    let reply = CLIENT.exchange(&post(&from.url("http"))).await.result.unwrap();
    (asked(to), reply)
}

#[test]
fn nothing_that_was_configured_goes_to_another_origin() {
    run(async {
        let (a, b) = (Server::start(None, redirect(302, "/")).await, Server::start(None, redirect(302, "/")).await);
        for status in [301, 302, 303, 307, 308] {
            let (asked, reply) = follow(status, &a, &b.url("http"), &b).await;
            assert_eq!((reply.status, reply.redirects), (200, 1));
            assert!(!asked.contains("hunter2") && !asked.contains("secret body"), "{status}: {asked}");
            assert!(!asked.to_lowercase().contains("content-type"), "{status}: {asked}");
            assert!(asked.contains(&format!("host: localhost:{}\r\n", b.address.port())), "{asked}");
            let method = if status < 304 { "GET /x HTTP/1.1\r\n" } else { "POST /x HTTP/1.1\r\n" };
            assert!(asked.starts_with(method), "{status}: {asked}");
        }
    });
}

#[test]
fn another_scheme_and_another_name_are_other_origins() {
    run(async {
        let plain = Server::start(None, redirect(307, "/")).await;
        let secure = Server::start(Some(good_config()), Script::new(ANSWER, End::Hold)).await;
        let (asked, _) = follow(307, &plain, &secure.url("https"), &secure).await;
        assert!(asked.starts_with("POST") && !asked.contains("hunter2") && !asked.contains("secret body"), "{asked}");
        let other_name = format!("http://127.0.0.1:{}/y", plain.address.port());
        *plain.script.borrow_mut() = redirect(307, &other_name);
        let failure = CLIENT.exchange(&post(&plain.url("http"))).await.result.unwrap_err();
        assert_eq!(failure, Failure::TooManyRedirects { followed: 3 });
        assert!(!self::asked(&plain).contains("hunter2"));
    });
}

/// What the last hop was asked of a request with these headers, when each hop answers with these heads in turn.
fn asked_on_the_way(headers: &[(&str, &str)], heads: &[&str]) -> (Vec<String>, Reply) {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads: Vec<String> = heads.iter().map(|head| head.replace("PORT", &port.to_string())).collect();
        let redirects = u8::try_from(heads.len()).unwrap();
        let server = actix_rt::spawn(async move {
            let mut asked = Vec::new();
            for head in heads {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 16 * 1024];
                let length = stream.read(&mut request).await.unwrap();
                asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await.unwrap();
            }
            asked
        });
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let request =
            Request { headers, max_redirects: redirects, ..get(&format!("http://localhost:{port}/shop/start")) };
        let reply = CLIENT.exchange(&request).await.result.unwrap();
        (server.await.unwrap(), reply)
    })
}

#[test]
fn a_cookie_that_is_set_on_the_way_goes_along_and_to_nobody_else() {
    let set =
        "302 X\r\nset-cookie: seen=1; Path=/\r\nset-cookie: odd=\u{1}\r\nset-cookie: key=v; Secure\r\nlocation: /on";
    let (asked, _) =
        asked_on_the_way(&[], &[set, "302 X\r\nlocation: /off\r\nset-cookie: seen=; Max-Age=0; Path=/", "200 OK"]);
    assert!(!asked[0].contains("cookie:"), "{}", asked[0]);
    assert!(asked[1].contains("\r\ncookie: seen=1\r\n"), "{}", asked[1]);
    assert!(!asked[2].contains("cookie:"), "{}", asked[2]);
    let (asked, _) = asked_on_the_way(&[("Cookie", "mine=1")], &[set, "200 OK"]);
    assert!(asked[1].contains("\r\nCookie: mine=1; seen=1\r\n"), "{}", asked[1]);
    let other = "302 X\r\nset-cookie: seen=1; Path=/\r\nlocation: http://127.0.0.1:PORT/";
    let (asked, _) = asked_on_the_way(&[("Cookie", "mine=1")], &[other, "200 OK"]);
    assert!(!asked[1].to_lowercase().contains("cookie:"), "{}", asked[1]);
}

#[test]
fn a_login_that_only_wants_its_cookie_back_is_no_circle() {
    let loops = "302 X\r\nset-cookie: consent=yes\r\nlocation: /shop/start";
    let (asked, reply) = asked_on_the_way(&[], &[loops, "200 OK"]);
    assert_eq!((reply.status, reply.redirects), (200, 1));
    assert!(asked[1].starts_with("GET /shop/start") && asked[1].contains("consent=yes"), "{}", asked[1]);
}

#[test]
fn a_refusal_names_what_a_redirect_left_behind() {
    let headers = [("X-Api-Key", "hunter2"), ("User-Agent", "me")];
    let away = "302 X\r\nlocation: http://127.0.0.1:PORT/";
    let (_, reply) = asked_on_the_way(&headers, &[away, "403 No"]);
    assert_eq!(reply.left_behind, ["X-Api-Key", "User-Agent"]);
    for last in ["503 No", "200 OK"] {
        assert!(asked_on_the_way(&headers, &[away, last]).1.left_behind.is_empty(), "{last}");
    }
    assert!(asked_on_the_way(&headers, &["302 X\r\nlocation: /on", "403 No"]).1.left_behind.is_empty());
}

#[test]
fn on_another_port_of_its_host_goes_what_every_client_tells_and_no_key() {
    run(async {
        let plain = Server::start(None, redirect(307, "/")).await;
        let secure = Server::start(Some(good_config()), Script::new(ANSWER, End::Hold)).await;
        *plain.script.borrow_mut() = redirect(307, &secure.url("https"));
        let mut request = post(&plain.url("http"));
        request.headers.push(("User-Agent".into(), Secret::new("our-probe/7")));
        request.headers.push(("ACCEPT".into(), Secret::new("text/plain")));
        request.headers.push(("Cookie".into(), Secret::new("session=hunter2")));
        assert_eq!(CLIENT.exchange(&request).await.result.unwrap().status, 200);
        let upgraded = asked(&secure);
        assert!(upgraded.contains("User-Agent: our-probe/7\r\n") && upgraded.contains("ACCEPT: text/plain\r\n"));
        assert!(!upgraded.contains("hunter2") && !upgraded.contains("secret body"), "{upgraded}");
        *secure.script.borrow_mut() = redirect(307, &plain.url("http"));
        *plain.script.borrow_mut() = Script::new(ANSWER, End::Hold);
        assert_eq!(
            CLIENT
                .exchange(&Request { url: secure.url("https").parse().unwrap(), ..request })
                .await
                .result
                .unwrap()
                .status,
            200
        );
        assert!(!asked(&plain).contains("our-probe"), "what was sent under TLS is not sent without it");
    });
}

#[test]
fn what_has_left_its_origin_stays_behind_when_it_comes_home() {
    run(async {
        let a = Server::start(None, redirect(302, "/")).await;
        let b = Server::start(None, redirect(302, "/")).await;
        *a.script.borrow_mut() = redirect(307, &b.url("http"));
        *b.script.borrow_mut() = redirect(307, &a.url("http"));
        assert!(CLIENT.exchange(&post(&a.url("http"))).await.result.is_err());
        assert_eq!((a.accepted.get(), b.accepted.get()), (2, 2));
        assert!(!asked(&a).contains("hunter2") && !asked(&b).contains("hunter2"));
    });
}

/// The last of the requests to one server that redirects to itself.
fn within_one_origin(status: u16, location: &str) -> String {
    run(async {
        let server = Server::start(None, redirect(status, location)).await;
        let request = Request { max_redirects: 1, ..post(&server.url("http")) };
        let failure = CLIENT.exchange(&request).await.result.unwrap_err();
        assert_eq!(failure, Failure::TooManyRedirects { followed: 1 });
        assert_eq!(server.accepted.get(), 2);
        asked(&server)
    })
}

#[test]
fn within_its_origin_the_headers_go_along_and_the_method_follows_the_rules() {
    for status in [301, 302, 303] {
        let asked = within_one_origin(status, "/y?z");
        assert!(asked.starts_with("GET /y?z HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("hunter2") && !asked.contains("secret body"), "{asked}");
        assert!(!asked.to_lowercase().contains("content-"), "{asked}");
    }
    for status in [307, 308] {
        let asked = within_one_origin(status, "y");
        assert!(asked.starts_with("POST /y HTTP/1.1\r\n") && asked.ends_with("\r\n\r\nsecret body"), "{asked}");
        assert!(asked.contains("hunter2") && asked.contains("Content-Type: text/plain"), "{asked}");
    }
}

#[test]
fn with_none_allowed_the_redirect_is_the_answer() {
    run(async {
        let server = Server::start(None, redirect(301, "http://169.254.169.254/")).await;
        let reply = CLIENT.exchange(&get(&server.url("http"))).await.result.unwrap();
        assert_eq!((reply.status, reply.redirects, &reply.body[..]), (301, 0, &b"no"[..]));
        assert_eq!(server.accepted.get(), 1);
    });
}

#[test]
fn redirects_that_cannot_be_followed() {
    run(async {
        let server = Server::start(None, redirect(302, "/")).await;
        for (location, words) in [
            ("ftp://a.test/", "it leads to ftp: which is neither http nor https"),
            ("file:///etc/passwd", "it leads to file:"),
            ("http://[::1", "its location is not a URL"),
            (&"x".repeat(9_000), "its location is longer than 8192 bytes"),
        ] {
            *server.script.borrow_mut() = redirect(302, location);
            let failure = CLIENT.exchange(&post(&server.url("http"))).await.result.unwrap_err();
            assert!(matches!(&failure, Failure::BadRedirect { detail } if detail.starts_with(words)), "{failure}");
        }
        for status in [300, 304, 305] {
            *server.script.borrow_mut() = redirect(status, "/y");
            assert_eq!(CLIENT.exchange(&post(&server.url("http"))).await.result.unwrap().status, status);
        }
        *server.script.borrow_mut() = Script::new("HTTP/1.1 302 X\r\ncontent-length: 0\r\n\r\n", End::Hold);
        assert_eq!(CLIENT.exchange(&post(&server.url("http"))).await.result.unwrap().status, 302);
    });
}

#[test]
fn a_user_name_in_a_location_is_not_sent() {
    run(async {
        let (a, b) = (Server::start(None, redirect(302, "/")).await, Server::start(None, redirect(302, "/")).await);
        let location = format!("http://user:pass@localhost:{}/x", b.address.port());
        let (asked, _) = follow(302, &a, &location, &b).await;
        assert!(!asked.contains("user:") && !asked.to_lowercase().contains("authorization"), "{asked}");
    });
}
