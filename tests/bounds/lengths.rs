//! The fields of a row at their bounds: the longest of each is good, and one more is refused by name.

use api_health::configs::assertions::{ASSERTION_CHARS_MAX, ASSERTIONS_MAX, CERTIFICATE_DAYS_MAX};
use api_health::configs::fields::{
    BODY_BYTES_MAX, EXPECTED_STATUS_CHARS_MAX, EXPRESSION_CHARS_MAX, FIELDS, NAME_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX,
    nearest,
};
use api_health::configs::headers::{HEADERS_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use api_health::configs::url::CHARS_MAX;
use api_health_core::{ApiId, StatusSet};
use serde_json::{Map, Value, json};

use crate::{fields, row, rules};

/// `https://a.test/xxx…` of so many characters.
fn url(chars: usize) -> String {
    format!("https://a.test/{}", "x".repeat(chars - "https://a.test/".len()))
}

/// `0,0,0… * * * *` of so many characters.
fn expression(chars: usize) -> String {
    let rest = " * * * *";
    let minutes = "0,".repeat(chars);
    format!("{}0{rest}", &minutes[..(chars - rest.len() - 1) / 2 * 2]) + &" ".repeat((chars - rest.len() - 1) % 2)
}

fn headers(count: usize, name: usize, value: usize) -> Value {
    let of = |n: usize| (format!("{n:x>name$}"), Value::from("v".repeat(value)));
    Value::Object((0..count).map(of).collect())
}

fn assertions(count: usize, chars: usize) -> Value {
    json!(vec![format!("{:x<chars$}", "body contains "); count])
}

/// Every field as long as it may be, and what is one more.
fn longest() -> Vec<(&'static str, Value, Value)> {
    let tags = |count: usize, chars: usize| json!(vec!["ü".repeat(chars); count]);
    let codes = |count: usize| json!(vec!["200-299"; count].join(", "));
    let spaced = |chars: usize| json!(format!("{:<chars$}200", "200,", chars = chars - 3));
    vec![
        ("api_id", json!("a".repeat(ApiId::CHARS_MAX)), json!("a".repeat(ApiId::CHARS_MAX + 1))),
        ("name", json!("ü".repeat(NAME_CHARS_MAX)), json!("ü".repeat(NAME_CHARS_MAX + 1))),
        ("url", json!(url(CHARS_MAX)), json!(url(CHARS_MAX + 1))),
        ("headers", headers(HEADERS_MAX, 10, 10), headers(HEADERS_MAX + 1, 10, 10)),
        ("headers", headers(1, NAME_BYTES_MAX, VALUE_BYTES_MAX), headers(1, NAME_BYTES_MAX + 1, 1)),
        ("headers", headers(1, 1, VALUE_BYTES_MAX), headers(1, 1, VALUE_BYTES_MAX + 1)),
        ("body", json!("b".repeat(BODY_BYTES_MAX)), json!("b".repeat(BODY_BYTES_MAX + 1))),
        ("tags", tags(TAGS_MAX, TAG_CHARS_MAX), tags(TAGS_MAX + 1, 1)),
        ("tags", tags(1, TAG_CHARS_MAX), tags(1, TAG_CHARS_MAX + 1)),
        ("expected_status", codes(StatusSet::PARTS_MAX), codes(StatusSet::PARTS_MAX + 1)),
        ("expected_status", spaced(EXPECTED_STATUS_CHARS_MAX), spaced(EXPECTED_STATUS_CHARS_MAX + 1)),
        ("schedule", json!(expression(EXPRESSION_CHARS_MAX)), json!(expression(EXPRESSION_CHARS_MAX) + "  ")),
        ("maintenance", json!(vec!["@daily for 1h"; 20]), json!(vec!["@daily for 1h"; 21])),
        ("maintenance", json!([format!("@daily{:194}", " for 1h")]), json!([format!("@daily{:195}", " for 1h")])),
        ("depends_on", json!(vec!["a".repeat(ApiId::CHARS_MAX); 20]), json!(vec!["a"; 21])),
        ("assert", assertions(ASSERTIONS_MAX, 20), assertions(ASSERTIONS_MAX + 1, 20)),
        ("assert", assertions(1, ASSERTION_CHARS_MAX), assertions(1, ASSERTION_CHARS_MAX + 1)),
        ("certificate_days", json!(vec![365; CERTIFICATE_DAYS_MAX]), json!(vec![365; CERTIFICATE_DAYS_MAX + 1])),
        ("certificate_days", json!(365), json!([366])),
        ("connect_to", json!("a".repeat(260)), json!("a".repeat(261))),
        ("timeout_seconds", json!(300), json!(301)),
        ("max_redirects", json!(10), json!(11)),
    ]
}

fn faults(extra: &str, value: Value) -> Vec<String> {
    let mut row_fields = fields(json!({ "api_id": "a", "url": "https://a.test/" }));
    row_fields.insert(extra.into(), value);
    let refused = rules().check(&row(row_fields)).err();
    refused.map(|refused| refused.faults.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn the_longest_of_each_field_is_good_and_one_more_is_refused() {
    for (field, good, too_much) in longest() {
        assert_eq!(faults(field, good), [""; 0], "{field}");
        let refused = faults(field, too_much);
        assert!(refused.len() == 1 && refused[0].contains(field), "{field}: {refused:?}");
        assert!(refused[0].chars().count() < 1_000, "{field}: {}", refused[0]);
    }
    assert_eq!(longest()[2].1.as_str().map(str::len), Some(CHARS_MAX));
}

#[test]
fn a_time_zone_has_so_many_characters_at_most() {
    let zone = |chars: usize| {
        fields(
            json!({ "api_id": "a", "url": "https://a.test/", "schedule": "* * * * *", "timezone": "Z".repeat(chars) }),
        )
    };
    let why = |chars| rules().check(&row(zone(chars))).unwrap_err().faults[0].why.clone();
    assert_eq!(why(64), "is not the name of a time zone");
    assert_eq!(why(65), "has 65 characters, more than 64");
}

#[test]
fn so_many_records_may_be_expected() {
    let answers = |count: usize| {
        let row_fields = json!({ "api_id": "a", "url": "dns:///a.test", "expected_answers": vec!["10.0.0.1"; count] });
        rules().check(&row(fields(row_fields)))
    };
    assert!(answers(20).is_ok());
    assert_eq!(answers(21).unwrap_err().faults[0].why, "is more than 20");
}

#[test]
fn what_is_quoted_is_cut_whatever_it_is() {
    let huge = "\u{202e}".repeat(1_000_000);
    for field in FIELDS {
        for fault in faults(field.name, huge.clone().into()) {
            assert!(fault.len() < 1_500, "{}: {} bytes", field.name, fault.len());
        }
        for fault in faults(field.name, json!({ huge.clone(): huge.clone() })) {
            assert!(fault.len() < 1_500, "{}: {} bytes", field.name, fault.len());
        }
    }
    let unknown = faults(&huge, Value::Null);
    assert!(unknown.len() == 1 && unknown[0].len() < 1_500, "{} bytes", unknown[0].len());
    assert_eq!(nearest(&"timeout".repeat(100)), None, "what is long is no misspelling, and is not compared");
}

#[test]
fn a_url_is_bounded_in_the_form_in_which_it_is_sent() {
    let found = faults("url", json!(format!("https://a.test/{}", "🦀".repeat(200))));
    assert!(found[0].contains("has 2415 characters in the form in which it is sent, more than 2048"), "{found:?}");
}

#[test]
fn references_fill_in_no_more_than_the_field_takes() {
    // 1,500 files of 60,000 bytes would be 90 MB.
    let found = faults("body", json!("${file:/x}".repeat(1_500)));
    assert!(
        found.len() == 1 && found[0].contains("has more than 65536 bytes when its references are filled in"),
        "{found:?}"
    );
    // A name without an end, and more faults than anybody reads.
    let found = faults("body", json!(format!("${{file:/{}", "x".repeat(5_000))));
    assert!(found.len() == 1 && found[0].contains("has no \"}\" after it"), "{found:?}");
    let found = faults("body", json!(format!("${{env:{}}}", "ü".repeat(2_000)).repeat(12)));
    assert!(found.len() == 10 && found.iter().all(|fault| fault.len() < 1_500), "{} issues", found.len());
}

#[test]
fn the_faults_of_one_row_are_told_up_to_a_bound_and_counted() {
    let junk: Map<String, Value> = (0..100_000).map(|n| (format!("timeout{n}"), Value::Null)).collect();
    let refused = rules().check(&row(junk)).unwrap_err();
    assert_eq!(refused.faults.len(), api_health::configs::validate::FAULTS_PER_ROW_MAX + 1);
    assert_eq!(refused.faults.last().unwrap().what, "99952 more faults", "with the two fields that are missing");
}
