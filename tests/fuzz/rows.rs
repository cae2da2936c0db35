//! Config rows of any shape: each is a good API or is refused with clear faults, and hurts itself alone.

use api_health::configs::assertions::{ASSERTION_CHARS_MAX, ASSERTIONS_MAX, CERTIFICATE_DAYS_MAX};
use api_health::configs::fields::{BODY_BYTES_MAX, FIELDS, NAME_CHARS_MAX, TAGS_MAX};
use api_health::configs::headers;
use api_health::configs::raw::RawRow;
use api_health::configs::validate::FAULTS_PER_ROW_MAX;
use api_health::configs::{file, target, url};
use api_health_actors::ports::LoadedConfigs;
use api_health_core::schedule::{Due, Moment, Slot};
use api_health_core::{ApiConfig, ConfigFault};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::bytes::{json as any_json, text};
use crate::{NOW, SECRET, config, is_clear, rules, soon};

/// No fault is longer than this: what is quoted is cut, and what is suggested is of our own words.
pub const FAULT_CHARS_MAX: usize = 3_000;

/// The fields of a row that is good.
pub fn good() -> Map<String, Value> {
    let row = json!({
        "api_id": "shop", "url": "https://shop.test/health", "name": "Shop", "method": "POST",
        "headers": { "Authorization": "Bearer ${env:TOKEN}", "X-A": "b" }, "body": "{\"token\": \"${env:TOKEN}\"}",
        "expected_status": "200-299,404", "timeout_seconds": 10, "schedule": "*/5 8-18 * * MON-FRI",
        "timezone": "Europe/Berlin", "enabled": true, "failure_threshold": 3, "success_threshold": 1,
        "recheck_seconds": 5, "max_redirects": 3, "ip_family": "ipv4", "tags": ["shop", "eu"],
        "assert": ["json $.status = \"ok\"", "body matches v\\d+", "header x contains a"], "certificate_days": [30, 7],
    });
    let Value::Object(row) = row else { unreachable!() };
    row
}

/// What may stand in a field: what suits another field, or anything.
fn value() -> impl Strategy<Value = Value> {
    let of_another: Vec<Value> = good().into_iter().map(|(_, value)| value).collect();
    prop_oneof![
        select(of_another),
        any_json(),
        text().prop_map(Value::from),
        (-5..100_000_i64).prop_map(Value::from),
        btree_map(prop_oneof![text(), "[A-Za-z-]{1,12}"], text(), 0..60).prop_map(|map| json!(map)),
        vec(text(), 0..30).prop_map(Value::from),
    ]
}

/// A good row with a few fields that are not, or anything at all.
pub fn fields() -> impl Strategy<Value = Map<String, Value>> {
    let names: Vec<String> = FIELDS.iter().map(|field| field.name.to_owned()).collect();
    let name = prop_oneof![6 => select(names), 1 => text(), 1 => "[a-z_]{1,16}"];
    let changed = (vec((name, proptest::option::of(value())), 0..4), "[a-z]{1,3}").prop_map(|(changes, api_id)| {
        let mut row = good();
        row.insert("api_id".into(), api_id.into());
        for (name, value) in changes {
            match value {
                Some(value) => row.insert(name, value),
                None => row.remove(&name),
            };
        }
        row
    });
    prop_oneof![8 => changed, 1 => btree_map(text(), any_json(), 0..8).prop_map(|map| map.into_iter().collect())]
}

pub fn check_faults(faults: &[ConfigFault]) -> Result<(), TestCaseError> {
    prop_assert!(!faults.is_empty() && faults.len() <= FAULTS_PER_ROW_MAX + 2, "{} issues", faults.len());
    for fault in faults {
        is_clear(&fault.to_string(), FAULT_CHARS_MAX).map_err(TestCaseError::fail)?;
        prop_assert!(!fault.remedy.is_empty() && !fault.why.is_empty(), "{fault:?}");
    }
    Ok(())
}

/// What holds of every API that is let through, whatever was written.
pub fn check_good(api: &ApiConfig) -> Result<(), TestCaseError> {
    prop_assert!(target::of(&api.url, &Default::default()).is_ok_and(|again| again.url == api.url), "{}", api.url);
    prop_assert!(api.url.len() <= url::CHARS_MAX, "{} bytes of URL", api.url.len());
    prop_assert!((1..=NAME_CHARS_MAX).contains(&api.name.chars().count()) && !api.name.chars().any(char::is_control));
    prop_assert!((1..=300).contains(&api.timeout.as_secs()) && (1..=3_600).contains(&api.recheck.as_secs()));
    prop_assert!((1..=20).contains(&api.failure_threshold) && (1..=20).contains(&api.success_threshold));
    prop_assert!(api.max_redirects <= 10 && api.tags.len() <= TAGS_MAX);
    prop_assert!(api.headers.len() <= headers::HEADERS_MAX);
    prop_assert!(api.assertions.len() <= ASSERTIONS_MAX && api.certificate_days.len() <= CERTIFICATE_DAYS_MAX);
    prop_assert!(api.certificate_days.iter().all(|days| (1..=365).contains(days)));
    prop_assert!(api.assertions.iter().all(|assertion| assertion.as_str().chars().count() <= ASSERTION_CHARS_MAX));
    for (name, value) in &api.headers {
        prop_assert!(name.len() <= headers::NAME_BYTES_MAX && value.reveal().len() <= headers::VALUE_BYTES_MAX);
        prop_assert!(value.reveal().bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)), "{name}");
    }
    prop_assert!(api.body.as_ref().is_none_or(|body| body.reveal().len() <= BODY_BYTES_MAX));
    prop_assert!((100..=999).any(|code| api.expected_status.contains(code)));
    prop_assert!((0..100).chain(600..1_000).all(|code| !api.expected_status.contains(code)));
    let now = Moment { wall: NOW, monotonic: std::time::Duration::ZERO };
    match api.schedule.next_due(Slot::of(&api.api_id), now) {
        Some(Due::Wall(due)) => prop_assert!(due > NOW),
        Some(Due::Monotonic(_)) => {}
        None => prop_assert!(false, "{:?} never comes due", api.schedule),
    }
    let shown = format!("{api:?}");
    prop_assert!(!shown.contains(SECRET), "{}", shown);
    Ok(())
}

pub fn check(rows: &[RawRow], loaded: &LoadedConfigs) -> Result<(), TestCaseError> {
    prop_assert_eq!(loaded.good.len() + loaded.refused.len(), rows.len());
    for api in &loaded.good {
        check_good(api)?;
    }
    for refused in &loaded.refused {
        check_faults(&refused.faults)?;
    }
    // A row means the same by itself, but for one that shares its id.
    for row in rows {
        let id = row.fields.get("api_id");
        let twins = rows.iter().filter(|other| other.fields.get("api_id") == id).count();
        match rules().check(row) {
            Ok(api) if twins == 1 => prop_assert!(loaded.good.iter().any(|other| **other == api)),
            Ok(api) => prop_assert!(loaded.good.iter().all(|other| other.api_id != api.api_id)),
            Err(refused) => check_faults(&refused.faults)?,
        }
    }
    Ok(())
}

pub fn rows(fields: Vec<Map<String, Value>>) -> Vec<RawRow> {
    fields.into_iter().map(|fields| RawRow { location: "t".into(), fields }).collect()
}

#[test]
fn the_good_row_is_good() {
    assert!(rules().check_all(&rows(vec![good()])).refused.is_empty());
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn rows_of_any_shape_are_good_or_refused_and_hurt_no_other(fields in vec(fields(), 1..4)) {
        let rows = rows(fields);
        let loaded = soon(|| rules().check_all(&rows));
        check(&rows, &loaded)?;
    }

    #[test]
    fn a_row_that_can_be_exported_means_the_same_when_it_is_read_again(fields in fields()) {
        let before = rows(vec![fields]);
        let Ok(text) = file::to_toml(&before) else { return Ok(()) };
        let after = file::parse("t", &text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let verdict = |rows: &[RawRow]| rules().check_all(rows).good;
        // A field that is null is left out, which may make a row good that was not.
        let nulls = before[0].fields.values().any(|value| value.to_string().contains("null"));
        prop_assert!(nulls || verdict(&before) == verdict(&after), "{text}");
    }
}
