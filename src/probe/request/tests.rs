//! What goes out, header by header, and what is left behind where another host answers.

use super::*;
use crate::probe::wire::{Framing, Headers};
use std::time::Duration;

fn request(method: Method, url: &str, headers: &[(&str, &str)], body: Option<&'static str>) -> Request {
    Request {
        method,
        url: url.parse().unwrap(),
        headers: headers.iter().map(|(n, v)| ((*n).to_owned(), Secret::new(*v))).collect(),
        body: body.map(|b| Bytes::from_static(b.as_bytes())),
        timeout: Duration::from_secs(1),
        body_bytes_max: 1,
        keep_body: false,
        accept_encoding: None,
        max_redirects: 0,
    }
}

fn text(request: &Request) -> String {
    String::from_utf8(Prepared::new(request.clone(), USER_AGENT).unwrap().head.to_vec()).unwrap()
}

#[test]
fn a_get_carries_nothing_that_was_not_asked_for() {
    assert_eq!(
        text(&request(Method::Get, "http://a.test:8080/x?y=z#f", &[], None)),
        format!(
            "GET /x?y=z HTTP/1.1\r\nhost: a.test:8080\r\nuser-agent: {USER_AGENT}\r\naccept: */*\r\n\
             connection: close\r\n\r\n"
        )
    );
}

#[test]
fn headers_of_the_config_win_except_where_the_body_ends() {
    let headers = [
        ("Host", "other.test"),
        ("User-Agent", "me"),
        ("ACCEPT", "text/plain"),
        ("connection", "keep-alive"),
        ("Content-Length", "99"),
        ("X-Key", "k"),
    ];
    assert_eq!(
        text(&request(Method::Post, "https://a.test/", &headers, Some("abc"))),
        "POST / HTTP/1.1\r\nHost: other.test\r\nUser-Agent: me\r\nACCEPT: text/plain\r\nconnection: keep-alive\r\n\
         X-Key: k\r\ncontent-length: 3\r\n\r\n"
    );
    assert!(text(&request(Method::Post, "http://[::1]/", &[], None)).contains("\r\ncontent-length: 0\r\n"));
    assert!(text(&request(Method::Get, "http://[::1]:81/", &[], None)).contains("\r\nhost: [::1]:81\r\n"));
}

#[test]
fn what_goes_along_hangs_on_how_far_a_redirect_leads() {
    for (from, to, along) in [
        ("http://a.test/", "http://a.test/x", Along::All),
        ("http://a.test/", "https://a.test/", Along::All),
        ("http://a.test:80/", "https://a.test:443/x", Along::All),
        ("http://a.test/", "https://a.test:8443/", Along::Harmless),
        ("http://a.test:8080/", "https://a.test/", Along::Harmless),
        ("https://a.test/", "https://a.test:8443/", Along::Harmless),
        ("https://a.test/", "http://a.test/", Along::Nothing),
        ("http://a.test/", "https://www.a.test/", Along::Nothing),
        ("http://a.test/", "http://b.test/", Along::Nothing),
    ] {
        assert!(Along::between(&from.parse().unwrap(), &to.parse().unwrap()) == along, "{from} to {to}");
    }
}

#[test]
fn an_upgrade_to_https_takes_headers_credentials_and_body_along() {
    let headers = [("User-Agent", "me"), ("Authorization", "Bearer key")];
    let prepared = Prepared::new(request(Method::Post, "http://a.test/", &headers, Some("abc")), USER_AGENT).unwrap();
    let mut hop = prepared.first(USER_AGENT);
    let answer = Head { status: 308, headers: Headers::of(Vec::new()), framing: Framing::None };
    hop.redirect(&answer, "https://a.test/".parse().unwrap()).unwrap();
    let sent = String::from_utf8(hop.head.to_vec()).unwrap();
    assert!(sent.contains("Authorization: Bearer key\r\n") && sent.contains("User-Agent: me\r\n"), "{sent}");
    assert!(hop.body.is_some() && hop.left_behind().is_empty());
    hop.redirect(&answer, "https://b.test/".parse().unwrap()).unwrap();
    let sent = String::from_utf8(hop.head.to_vec()).unwrap();
    assert!(!sent.contains("key") && hop.body.is_none(), "{sent}");
    assert_eq!(hop.left_behind(), ["User-Agent", "Authorization", "the body"]);
}

#[test]
fn what_was_left_behind_is_told_up_to_a_bound() {
    let headers = [("A", "1"), ("B", "1"), ("C", "1"), ("D", "1"), ("E", "1"), ("F", "1")];
    let prepared = Prepared::new(request(Method::Post, "http://a.test/", &headers, Some("abc")), USER_AGENT).unwrap();
    let mut hop = prepared.first(USER_AGENT);
    let answer = Head { status: 307, headers: Headers::of(Vec::new()), framing: Framing::None };
    hop.redirect(&answer, "http://b.test/".parse().unwrap()).unwrap();
    assert_eq!(hop.left_behind(), ["A", "B", "C", "D", "E", "2 more"]);
}

#[test]
fn a_header_cannot_smuggle_another_and_its_value_stays_secret() {
    for (name, value) in [("x", "a\r\nb: c"), ("x", "hunter2\0"), ("x y", "a"), ("", "a"), ("x:", "a")] {
        let request = request(Method::Get, "http://a.test/", &[(name, value)], None);
        let failure = Prepared::new(request, USER_AGENT).err().unwrap().to_string();
        assert!(failure.contains("forbids") && !failure.contains("hunter2"), "{failure}");
    }
}
