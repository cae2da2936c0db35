//! What each condition becomes.

use super::super::super::words::codes;
use super::*;
use proptest::prelude::*;

fn of(text: &str) -> String {
    match read(text, EndpointKind::Http) {
        Meaning::Status(set) => format!("status {}", codes(&set)),
        Meaning::Assert(assertion) => assertion,
        Meaning::Nearly(assertion, _) => format!("near {assertion}"),
        Meaning::CertificateDays(days) => format!("days {days}"),
        Meaning::Answer(answer) => format!("answer {answer}"),
        Meaning::Always => "always".into(),
        Meaning::Lost(_) => "lost".into(),
    }
}

#[test]
fn a_status_becomes_a_set_of_codes() {
    assert_eq!(of("[STATUS] == 200"), "status 200");
    assert_eq!(of("200 == [STATUS]"), "status 200");
    assert_eq!(of("[STATUS] < 300"), "status 100-299");
    assert_eq!(of("[STATUS] == any(200, 429)"), "status 200,429");
    assert_eq!(of("[STATUS] == pat(2*)"), "status 200-299");
    assert_eq!(of("[STATUS] != 500"), "status 100-499,501-599");
    assert_eq!(of("400 <= [status]"), "status 400-599");
}

#[test]
fn a_body_becomes_assertions() {
    for (condition, assertion) in [
        ("[BODY] == pat(*<h1>Hello World</h1>*)", "body contains <h1>Hello World</h1>"),
        ("[BODY] != pat(*error*)", "body lacks error"),
        ("[BODY] == OK", "body matches ^\\s*(OK)\\s*$"),
        ("[BODY] == pat(v*.1)", "body matches (?s)^\\s*v.*\\.1\\s*$"),
        ("[BODY] == pat(*)", "always"),
        ("[BODY].status == UP", "json $.status = \"UP\""),
        ("[BODY].data[0].id == 1", "json $.data[0].id in [1, \"1\"]"),
        ("[BODY][0].a-b == x", "json $[0]['a-b'] = \"x\""),
        ("[BODY].items[*].ok == true", "json $.items[*].ok in [true, \"true\"]"),
        ("[BODY].id == any(1, a)", "json $.id in [1, \"1\", \"a\"]"),
        ("[BODY].age >= 18", "json $.age >= 18"),
        ("[BODY].state != down", "near json $.state != \"down\""),
        ("[BODY].name == pat(john*)", "near body matches \"name\"\\s*:\\s*\"?john[^\"]*\"?\\s*[,}\\]]"),
        ("len([BODY].data) < 5", "json $.data length < 5"),
        ("len([BODY]) == 8", "near json $ length = 8"),
        ("has([BODY].users) == true", "json $.users exists"),
        ("has([BODY].errors) == false", "near body lacks \"\\\"errors\\\"\""),
        ("has([BODY].errors) != true", "near body lacks \"\\\"errors\\\"\""),
        ("[BODY].a == [BODY].b", "lost"),
        ("[BODY] > 5", "lost"),
        ("[BODY]. == 5", "lost"),
    ] {
        assert_eq!(of(condition), assertion, "{condition}");
    }
}

#[test]
fn the_rest_is_taken_or_said_to_be_lost() {
    for (condition, meaning) in [
        ("[RESPONSE_TIME] < 500", "latency < 500 ms"),
        ("[RESPONSE_TIME] <= 1s", "latency <= 1000 ms"),
        ("[RESPONSE_TIME] > 5", "lost"),
        ("[CERTIFICATE_EXPIRATION] > 48h", "days 2"),
        ("[CERTIFICATE_EXPIRATION] > 0", "always"),
        ("[CONNECTED] == true", "always"),
        ("[IP] == 127.0.0.1", "lost"),
        ("[DOMAIN_EXPIRATION] > 720h", "lost"),
        ("[STATUS]==200", "lost"),
        ("[CONTEXT].a == 1", "lost"),
    ] {
        assert_eq!(of(condition), meaning, "{condition}");
    }
    assert_eq!(read("[BODY] == 192.0.2.1", EndpointKind::Dns), Meaning::Answer("192.0.2.1".into()));
    assert_eq!(read("[DNS_RCODE] == NOERROR", EndpointKind::Dns), Meaning::Always);
    assert!(matches!(read("[RESPONSE_TIME] < 5", EndpointKind::Tcp), Meaning::Lost(_)));
}

proptest! {
    #[test]
    fn any_condition_means_something(
        left in "(\\[BODY\\]|len\\(\\[BODY\\]|has\\(\\[BODY\\]|\\[STATUS\\]|\\PC{0,6})[.\\[\\]a*0-9)'é]{0,8}",
        sign in "( == | != | < | >= |==)",
        right in "(pat\\(|any\\(|)\\PC{0,10}",
    ) {
        let _ = read(&format!("{left}{sign}{right}"), EndpointKind::Http);
    }
}
