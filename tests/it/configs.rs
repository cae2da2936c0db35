//! Rows to APIs: defaults, planted faults, any JSON at all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_health::clock::SystemClock;
use api_health::configs::defaults::{ApiDefaults, DefaultSchedule};
use api_health::configs::fields::FIELDS;
use api_health::configs::raw::RawRow;
use api_health::configs::secrets::SecretSource;
use api_health::configs::validate::{FAULTS_PER_ROW_MAX, RowRules};
use api_health_core::{IpFamily, Method};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::bad_input::rules;

struct Vault;

impl SecretSource for Vault {
    fn env(&self, name: &str) -> Result<String, String> {
        (name == "TOKEN").then(|| "hunter2".into()).ok_or_else(|| "is not set in the environment of api-health".into())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        if path == Path::new("/run/body") { Ok("the body".into()) } else { Err("is not there".into()) }
    }
}

fn vault_rules() -> RowRules {
    RowRules { secrets: Arc::new(Vault), ..rules() }
}

pub(crate) fn row(fields: Value) -> RawRow {
    let Value::Object(fields) = fields else { panic!("a row is a table") };
    RawRow { location: "t".into(), fields }
}

#[test]
fn a_short_row_means_the_defaults() {
    let api = rules().check(&row(json!({"api_id": "a", "url": "https://a.test"}))).unwrap();
    assert_eq!((&*api.name, api.url.as_str(), api.method), ("a", "https://a.test/", Method::Get));
    assert_eq!((api.timeout, api.recheck), (Duration::from_secs(10), Duration::from_secs(5)));
    assert_eq!((api.failure_threshold, api.success_threshold, api.max_redirects, api.enabled), (2, 2, 0, true));
    assert_eq!(
        (api.schedule.to_string().as_str(), api.expected_status.to_string().as_str()),
        ("*/2 * * * * UTC", "2xx")
    );
    assert!(api.headers.is_empty() && api.body.is_none() && api.tags.is_empty());
}

#[test]
fn the_defaults_of_the_settings_are_taken_and_a_row_wins_over_them() {
    let defaults = ApiDefaults {
        timeout: Duration::from_secs(3),
        when: DefaultSchedule::Every(Duration::from_secs(30)),
        timezone: "Europe/Berlin".into(),
        max_redirects: 4,
        ..ApiDefaults::default()
    };
    let rules = RowRules::new(defaults, Arc::new(SystemClock));
    let api = rules.check(&row(json!({"api_id": "a", "url": "https://a.test"}))).unwrap();
    assert_eq!((api.timeout.as_secs(), api.max_redirects, api.schedule.to_string()), (3, 4, "every 30 s".into()));
    let own = json!({"api_id": "a", "url": "https://a.test", "schedule": "0  9 * * *", "timeout_seconds": 4.0});
    let api = rules.check(&row(own)).unwrap();
    assert_eq!((api.timeout.as_secs(), api.schedule.to_string()), (4, "0 9 * * * Europe/Berlin".into()));
    let refused = rules.check(&row(json!({"api_id": "a", "url": "https://a.test", "timezone": "UTC"}))).unwrap_err();
    assert!(refused.faults[0].why.contains("the default is an interval"), "{refused:?}");
}

#[test]
fn a_full_row_is_read_in_full_and_its_secrets_are_never_printed() {
    let api = vault_rules()
        .check(&row(json!({
            "api_id": "shop", "name": "Shop", "url": "http://127.0.0.1:8080/x?y=1", "method": "post",
            "headers": {"Authorization": "Bearer ${env:TOKEN}", "Accept": "*/*"}, "body": "${file:/run/body} $${x}",
            "expected_status": 204, "timeout_seconds": 300, "interval_seconds": 86400, "enabled": false,
            "failure_threshold": 20, "success_threshold": 1, "recheck_seconds": 3600, "max_redirects": 10,
            "ip_family": "ipv4", "tags": ["a", "b"],
        })))
        .unwrap();
    assert_eq!(api.headers[1].1.reveal(), "Bearer hunter2");
    assert_eq!(api.body.as_ref().unwrap().reveal(), "the body ${x}");
    assert_eq!((api.expected_status.to_string().as_str(), api.method, api.enabled), ("204", Method::Post, false));
    assert_eq!((api.schedule.to_string(), api.ip_family), ("every 86400 s".into(), IpFamily::Ipv4));
    let printed = format!("{api:?}");
    assert!(!printed.contains("hunter2") && !printed.contains("the body"), "{printed}");
}

#[test]
fn a_family_that_does_not_fit_the_address_in_the_url_is_refused() {
    let check = |url: &str, family: &str| {
        let checked = rules().check(&row(json!({"api_id": "a", "url": url, "ip_family": family})));
        checked.map(|api| api.ip_family).map_err(|refused| refused.faults[0].to_string())
    };
    assert_eq!(check("http://[::1]/", "ipv6"), Ok(IpFamily::Ipv6));
    assert_eq!(check("http://a.test/", "ipv6"), Ok(IpFamily::Ipv6));
    assert_eq!(check("http://127.0.0.1/", "any"), Ok(IpFamily::Any));
    let said = check("http://127.0.0.1/", "ipv6").unwrap_err();
    assert!(said.contains("ip_family: \"ipv6\" does not fit url, in which an IPv4 address stands"), "{said}");
}

#[test]
fn the_named_schedules_of_the_reference_page_are_read() {
    for name in ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "30 0 9 * * MON-FRI", "0 0 29 2 *"] {
        let read = rules().check(&row(json!({"api_id": "a", "url": "https://a.test", "schedule": name})));
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}

#[test]
fn rows_with_one_schedule_share_it() {
    let rows: Vec<_> = (0..3).map(|n| row(json!({"api_id": format!("a{n}"), "url": "https://a.test"}))).collect();
    let good = rules().check_all(&rows).good;
    assert!(Arc::ptr_eq(&good[0].schedule, &good[1].schedule) && Arc::ptr_eq(&good[1].schedule, &good[2].schedule));
}

#[test]
fn a_bad_row_hurts_itself_alone_and_says_whose_it_is() {
    let loaded = rules().check_all(&[
        row(json!({"api_id": "good", "url": "https://a.test"})),
        row(json!({"api_id": "bad", "url": "https://a.test", "timeout_seconds": 0})),
        row(json!({"url": 5})),
    ]);
    assert_eq!(loaded.good.len(), 1);
    assert_eq!(loaded.refused[0].api_id.as_ref().map(ToString::to_string).as_deref(), Some("bad"));
    assert_eq!(loaded.refused[1].api_id, None);
    assert_eq!(loaded.refused[1].faults.len(), 2);
}

#[test]
fn a_row_of_a_thousand_unknown_fields_is_told_briefly() {
    let mut fields: Map<String, Value> = (0..1_000).map(|n| (format!("f{n}"), Value::Null)).collect();
    fields.insert("api_id".into(), "a".into());
    let faults = rules().check(&row(Value::Object(fields))).unwrap_err().faults;
    assert_eq!(faults.len(), FAULTS_PER_ROW_MAX + 1);
    assert_eq!(faults.last().unwrap().what, "951 more faults");
}

/// Field, a bad value, and a part of what must be said of it.
fn faults() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("api_id", json!("a b"), "has the character ' '"),
        ("name", json!(""), "is empty"),
        ("url", json!("gopher://a.test"), "is neither http nor https"),
        ("method", json!("BREW"), "is not a method"),
        ("headers", json!({"Expect": "x"}), "is set by the HTTP client"),
        ("body", json!({}), "a table is not text"),
        ("expected_status", json!("0xx"), "1xx to 9xx"),
        ("timeout_seconds", json!(301), "is not from 1 to 300"),
        ("schedule", json!("* *"), "has 2 fields"),
        ("interval_seconds", json!("30"), "write 30, without quotes"),
        ("enabled", json!(null), "null is not true or false"),
        ("failure_threshold", json!(21), "is not from 1 to 20"),
        ("success_threshold", json!([]), "a list is not a number"),
        ("recheck_seconds", json!(1.5), "is not a whole number"),
        ("max_redirects", json!(-1), "is not from 0 to 10"),
        ("ip_family", json!("IPv5"), "is not known; write \"ipv6\""),
        ("tags", json!(["x".repeat(65)]), "has 65 characters, more than 64"),
        ("timout", json!(1), "the nearest name that is known"),
        ("proxy", json!("socks5://a:1"), "neither the URL of an http proxy nor"),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[0-9*/,LW#?@ -]{0,20}".prop_map(Value::from),
        "(https?://)?[a-z0-9.:@/#?$\\[\\]{} ]{0,20}".prop_map(Value::from),
        "[${}a-z:/\r\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_planted_fault_is_reported_with_its_field(chosen in prop::collection::btree_set(0..faults().len(), 1..=faults().len())) {
        let mut fields = json!({"api_id": "a", "url": "https://a.test"});
        let all = faults();
        for index in &chosen {
            fields[all[*index].0] = all[*index].1.clone();
        }
        let faults = rules().check(&row(fields)).unwrap_err().faults;
        for index in &chosen {
            let (field, _, said) = &all[*index];
            let found = faults.iter().any(|i| i.to_string().contains(field) && i.to_string().contains(said));
            prop_assert!(found, "{} {}: {:#?}", field, said, faults);
        }
        // Beside the planted ones there is only what schedule and interval_seconds say of each other.
        let both = chosen.contains(&8) && chosen.contains(&9);
        prop_assert_eq!(faults.len(), chosen.len() + usize::from(both), "{:#?}", faults);
    }

    #[test]
    fn any_row_at_all_is_read_or_refused_with_reasons(
        fields in prop::collection::btree_map(
            prop_oneof![
                prop::sample::select(FIELDS).prop_map(|field| field.name.to_owned()),
                "\\PC{0,10}",
            ],
            any_json(),
            0..10,
        )
    ) {
        let mut fields: Map<String, Value> = fields.into_iter().collect();
        let rules = vault_rules();
        if let Err(refused) = rules.check(&row(Value::Object(fields.clone()))) {
            prop_assert!(!refused.faults.is_empty());
        }
        // Once more with a good key and URL, so that the other fields decide.
        fields.insert("api_id".into(), "a".into());
        fields.insert("url".into(), "https://a.test".into());
        match rules.check(&row(Value::Object(fields))) {
            Ok(api) => prop_assert!(api.timeout >= Duration::from_secs(1) && api.failure_threshold >= 1),
            Err(refused) => prop_assert!(refused.faults.iter().all(|i| !i.why.is_empty() && !i.remedy.is_empty())),
        }
    }
}
