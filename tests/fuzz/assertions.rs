//! Assertions of any words over bodies of any bytes: read or refused in a clear line, judged in bounded time, and no secret is told.

use std::time::Duration;

use api_health::configs::raw::RawRow;
use api_health_core::assertion::expected::broken;
use api_health_core::assertion::{Body, Content, judge};
use api_health_core::{Answer, Observation, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use crate::bytes::{bytes, text};
use crate::rows::check_faults;
use crate::{NOW, config, is_clear, rules, soon};

const BEGINNINGS: &[&str] = &[
    "body contains ",
    "body lacks ",
    "body matches ",
    "body size ",
    "json $",
    "json $.",
    "header x ",
    "content-type = ",
    "latency < ",
    "url ",
    "tls >= ",
];

const WORDS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "*",
    "+",
    "?",
    "|",
    "^",
    "$",
    ".",
    "..",
    "\\",
    "\\w",
    "\\p{L}",
    "(?i)",
    "{1,99}",
    "a",
    "0",
    ",",
    "'",
    "\"",
    "@",
    "==",
    "&&",
    "!",
    ":",
    "-1",
    " exists",
    " = ",
    " in ",
    " length > ",
    "[?@.a",
    "count(",
    "value(",
    "length(",
    "ü",
    "\u{202e}",
];

/// Half of an assertion is good, so that what follows is tried.
fn assertion() -> impl Strategy<Value = String> {
    let rest = vec(prop_oneof![9 => select(WORDS).prop_map(str::to_owned), 1 => text()], 0..40);
    (select(BEGINNINGS), rest).prop_map(|(beginning, rest)| format!("{beginning}{}", rest.concat()))
}

fn documents() -> Vec<Vec<u8>> {
    let deep = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let wide = format!("{{\"a\":[{}1]}}", "{\"a\":1},".repeat(200));
    let texts = [
        "{\"a\":{\"b\":[1,2.5,\"x\",null,true]},\"x\":\"ok\"}",
        "<html>hunter2</html>",
        "",
        "\u{feff}[]",
        &deep,
        &wide,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn any_assertion_judges_any_body(all in vec(assertion(), 1..4), body in bytes(documents(), &["{", "}", "\"a\":", "1e999", ",", "[", "]"]), is_cut: bool) {
        let Value::Object(fields) = json!({ "api_id": "a", "url": "http://a.test/", "assert": all }) else { unreachable!() };
        let api = match soon(|| rules().check(&RawRow { location: "t".into(), fields })) {
            Ok(api) => api,
            Err(refused) => return check_faults(&refused.faults),
        };
        let body = if is_cut { Body::Cut(body) } else { Body::Whole(body) };
        let content = Content { body, url: api.url.clone(), ..Content::default() };
        let broken = soon(|| broken(&api.assertions, &content, str::to_owned));
        let answer = Answer::Response(Response { status: 200, broken, ..Response::default() });
        let seen = Observation { took: Duration::from_millis(5), ..Observation::new(answer, NOW) };
        let outcome = soon(|| judge(&api, &seen));
        prop_assert!(outcome.reasons.len() <= api.assertions.len());
        if let Some(reason) = outcome.reason() {
            is_clear(&reason, 300).map_err(TestCaseError::fail)?;
        }
    }
}
