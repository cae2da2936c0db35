//! What holds of assertions: each says by itself what it found, a text that is none says what is wrong with it, and nothing that comes
//! from outside makes one panic or take for ever.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::assertion::expected::{broken, too_slow};
use api_health_core::assertion::{Assertion, Body, Content, TlsVersion};
use proptest::prelude::*;
use proptest::sample::select;

fn assertion(text: &str) -> Arc<Assertion> {
    Arc::new(Assertion::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")))
}

fn with(body: &str) -> Content {
    Content {
        body: Body::Whole(body.into()),
        headers: vec![
            ("content-type".into(), "Application/JSON; charset=utf-8".into()),
            ("x-cache".into(), "HIT, HIT".into()),
        ],
        url: "https://shop.test/login?token=hunter2".into(),
        tls: Some(TlsVersion::V1_2),
    }
}

/// What is found where `text` does not hold; `None`: it holds.
fn found(text: &str, content: &Content) -> Option<String> {
    let mut lines = broken(&[assertion(text)], content, str::to_owned);
    lines.extend(too_slow(&[assertion(text)], Duration::from_millis(812)));
    assert!(lines.len() <= 1);
    let line = lines.into_iter().next()?;
    let prefix = format!("expected {text}, found ");
    Some(line.strip_prefix(&prefix).unwrap_or(&line).to_owned())
}

#[test]
fn a_body_is_looked_through() {
    let page = with("<h1>Welcome to the shop</h1> v1.23");
    for holds in [
        "body contains Welcome to",
        "body contains \"<h1>Welcome\"",
        "body lacks Fatal error",
        r"body matches v\d+\.\d+$",
        "body matches (?i)WELCOME",
        "body size > 10",
        "body size <= 1048576",
        "body size != 0",
    ] {
        assert_eq!(found(holds, &page), None, "{holds}");
    }
    assert_eq!(found("body contains welcome", &page).unwrap(), "nothing of it in 34 bytes");
    assert_eq!(found("body lacks shop", &page).unwrap(), "it at byte 20");
    assert_eq!(found("body matches ^Welcome", &page).unwrap(), "nothing of it in 34 bytes");
    assert_eq!(found("body size < 10", &page).unwrap(), "34 bytes");
    assert_eq!(found("body contains x", &with("")).unwrap(), "an empty body");
    let cut = Content { body: Body::Cut(b"the beginning".into()), ..Content::default() };
    assert_eq!(found("body contains end", &cut).unwrap(), "nothing of it in the first 13 bytes");
    assert_eq!(found("body size > 12", &cut), None);
    assert_eq!(found("body size < 13", &cut).unwrap(), "more than 13 bytes");
    assert_eq!(found("body size > 14", &cut).unwrap(), "more than 13 bytes, of which no more are read");
    assert!(found("json $.a exists", &cut).unwrap().starts_with("a body that is longer"));
    let left = Content { body: Body::Cut(Vec::new()), ..Content::default() };
    for text in ["body contains end", "json $.a exists"] {
        assert_eq!(found(text, &left).unwrap(), "a stream, which is not read");
    }
}

#[test]
fn json_is_followed_by_its_path_and_each_value_has_to_fit() {
    let document = with(
        r#"{"status":"ok","n":1.0,"big":18446744073709551615,"at":"2026-11-27","list":[{"up":true},{"up":false}],"":[],"a b":null}"#,
    );
    for holds in [
        r#"json $.status = "ok""#,
        r#"json $.status == "ok""#,
        "json $.n = 1",
        "json $.n >= 1",
        "json $.n < 1.5",
        "json $.big > 18446744073709551614",
        r#"json $.at > "2026-01-01""#,
        r#"json $.status in ["ok", "fine"]"#,
        r#"json $.status != "down""#,
        "json $.list length = 2",
        "json $.status length = 2",
        "json $[''] length = 0",
        "json $['a b'] exists",
        "json $['a b'] = null",
        "json $.list[*].up exists",
        "json $.list[?@.up == true].up = true",
        "json $..up in [true, false]",
        "json $.list[-1].up = false",
    ] {
        assert_eq!(found(holds, &document), None, "{holds}");
    }
    for (text, what) in [
        (r#"json $.status = "down""#, "\"ok\""),
        ("json $.none exists", "nothing there"),
        ("json $.none != 1", "nothing there"),
        ("json $.list[*].up = true", "false"),
        ("json $.n > 1", "1.0"),
        ("json $.n > \"a\"", "1.0, which cannot be compared with that"),
        ("json $.list length > 2", "a length of 2"),
        ("json $.n length > 2", "1.0, which has no length"),
        ("json $.list = 1", "a list of 2"),
        ("json $ length = 1", "a length of 7"),
    ] {
        assert_eq!(found(text, &document).unwrap(), what, "{text}");
    }
    assert_eq!(found("json $.a exists", &with(" \n")).unwrap(), "an empty body");
    let html = found("json $.a exists", &with("<html>")).unwrap();
    assert_eq!(html, "a body that is no JSON: expected value at line 1 column 1");
    assert_eq!(found("json $.a = 1", &with("\u{feff}{\"a\":1}")), None, "a byte order mark");
    let long = with(&format!(r#"{{"a":"{}\u202e"}}"#, "x".repeat(500)));
    assert!(found("json $.a = 1", &long).unwrap().chars().count() <= 60);
    assert!(found("json $.a = 1", &with(&"[".repeat(100_000))).unwrap().contains("recursion limit"));
}

#[test]
fn headers_addresses_times_and_tls() {
    let answer = with("");
    for holds in [
        "header X-Cache exists",
        "header x-cache = HIT, HIT",
        "header x-cache matches ^HIT",
        "header x-powered-by lacks PHP",
        "header x-powered-by != PHP",
        "content-type = application/json",
        "url = https://shop.test/login?token=hunter2",
        "url contains /login",
        "latency < 1 s",
        "latency <= 812 ms",
        "tls >= 1.2",
    ] {
        assert_eq!(found(holds, &answer), None, "{holds}");
    }
    for (text, what) in [
        ("header server exists", "no such header"),
        ("header server contains x", "no such header"),
        ("header x-cache = MISS", "\"HIT, HIT\""),
        ("content-type = text/html", "\"Application/JSON; charset=utf-8\""),
        ("url = https://shop.test/", "https://shop.test/login?***"),
        ("latency < 500 ms", "812 ms"),
        ("tls >= 1.3", "TLS 1.2"),
    ] {
        assert_eq!(found(text, &answer).unwrap(), what, "{text}");
    }
    assert_eq!(found("tls >= 1.2", &Content { tls: None, ..answer.clone() }).unwrap(), "no TLS");
}

#[test]
fn each_has_a_reason_of_its_own_and_what_cannot_be_unpacked_is_said_once() {
    let all = ["body contains a", "json $.b exists", "tls >= 1.3"].map(assertion);
    assert_eq!(broken(&all, &with("{}"), str::to_owned).len(), 3);
    let bomb = Content { body: Body::Packed("is a bomb".into()), ..with("") };
    assert_eq!(broken(&all, &bomb, str::to_owned), ["the body is a bomb", "expected tls >= 1.3, found TLS 1.2"]);
}

#[test]
fn a_text_that_is_none_says_why_and_what_to_write() {
    for (text, why, remedy) in [
        ("", "begins with none of body, json", "what is looked at"),
        ("status = 200", "begins with none of body, json", "what is looked at"),
        ("body", "says nothing behind body", "such as 'body contains Welcome'"),
        ("body has a", "has \"has\" behind body, which is none of contains, lacks, matches, size", "one of contains"),
        ("body contains", "has nothing behind contains", "what is expected"),
        ("body matches a(b", "that is taken: unclosed group, at its character 2", "a regular expression"),
        ("body size > many", "has no comparison with a number of bytes", "'body size > 100'"),
        ("body size > 1048577", "has no comparison with a number of bytes", "up to 1048576"),
        ("json status", "has no path behind json", "begins with $"),
        ("json $.a[ = 1", "has a path that is no JSON path", "$.items[0].name"),
        ("json $.a is 1", "in no way that is known", "one of exists, =, !="),
        ("json $.a", "says nothing behind the path", "exists"),
        ("json $.a = ok", "has no JSON value behind =", "texts in double quotes"),
        ("json $.a in 5", "has no list behind in", "a list"),
        ("json $.a length 5", "has no comparison with a number behind length", "'json $.items length > 0'"),
        ("json $..a..b exists", "has .. more than once", "$.items"),
        ("json $[0,0,0,0,0] exists", "has , more than 3 times", "$.items"),
        ("json $[?match(@.a, 'x')] exists", "has the function match(", "$.items"),
        ("header", "has no name of a header", "header x-cache exists"),
        ("header a:b exists", "has no name of a header", "header x-cache exists"),
        ("header a exists b", "has more behind exists", "nothing"),
        ("content-type = json", "has no media type", "application/json"),
        ("content-type = text/html; charset=utf-8", "has no media type", "without parameters"),
        ("latency < 500", "has no span of time", "ms or s"),
        ("latency > 1 s", "has no span of time", "< and a number"),
        ("latency < 301 s", "has no span of time", "300 s"),
        ("url is x", "has \"is\" behind url", "one of ="),
        ("tls >= 1.1", "has no version of TLS", "1.2 or 1.3"),
    ] {
        let fault = Assertion::parse(text).expect_err(text);
        assert!(fault.why.contains(why), "{text}: {}", fault.why);
        assert!(fault.remedy.contains(remedy), "{text}: {}", fault.remedy);
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let word = select(vec![
        "body ",
        "json ",
        "header ",
        "content-type ",
        "latency ",
        "url ",
        "tls ",
        "contains ",
        "lacks ",
        "matches ",
        "size ",
        "exists",
        "= ",
        "!= ",
        "< ",
        ">= ",
        "in ",
        "length ",
        "$",
        "$.a",
        "$..",
        "[*]",
        "[?@.a",
        "(",
        ")",
        "[",
        "]",
        "'",
        "\"",
        "\\",
        "1.3",
        "500 ms",
        "{",
        "}",
        "*",
        "+",
        "|",
        ",",
        "\\w",
        "{9}",
        "ü",
        "\u{202e}",
    ]);
    prop_oneof![
        3 => prop::collection::vec(prop_oneof![4 => word.prop_map(str::to_owned), 1 => any::<String>()], 0..12)
            .prop_map(|words| words.concat()),
        1 => ".{0,500}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_an_assertion_or_says_what_is_wrong(text in any_text()) {
        match Assertion::parse(&text) {
            Ok(parsed) => {
                prop_assert_eq!(Assertion::parse(parsed.as_str()).unwrap(), parsed, "it reads as it is written");
            }
            Err(fault) => prop_assert!(!fault.why.is_empty() && !fault.remedy.is_empty()),
        }
    }

    #[test]
    fn any_body_is_judged(text in any_text(), body in any::<Vec<u8>>(), is_cut: bool) {
        let Ok(parsed) = Assertion::parse(&text) else { return Ok(()) };
        let content = Content { body: if is_cut { Body::Cut(body) } else { Body::Whole(body) }, ..with("") };
        let line = broken(&[Arc::new(parsed)], &content, str::to_owned).pop().unwrap_or_default();
        prop_assert!(!line.contains("hunter2"), "{}", line);
    }

    #[test]
    fn what_contains_holds_of_lacks_does_not(words in "[a-c.*(]{1,4}", body in "[a-c.*(]{0,40}") {
        let of = |how: &str| found(&format!("body {how} \"{words}\""), &with(&body)).is_none();
        prop_assert_eq!(of("contains"), body.contains(&words));
        prop_assert_eq!(of("contains"), !of("lacks"));
    }

    #[test]
    fn numbers_in_json_are_compared_as_numbers(a in -50_i64..50, b in -50_i64..50, is_float: bool) {
        let written = if is_float { format!("{a}.0") } else { a.to_string() };
        let document = with(&format!("{{\"n\":{written}}}"));
        for (sign, holds) in [("<", a < b), ("<=", a <= b), ("=", a == b), ("!=", a != b), (">=", a >= b), (">", a > b)] {
            prop_assert_eq!(found(&format!("json $.n {sign} {b}"), &document).is_none(), holds, "{} {} {}", a, sign, b);
        }
    }

    #[test]
    fn a_path_of_brackets_is_read_soon(open in prop::collection::vec(select(vec!["[", "(", "?", "@", "$", "!", "'", ".", "*", ","]), 0..200)) {
        let _ = Assertion::parse(&format!("json ${} exists", open.concat()));
    }
}
