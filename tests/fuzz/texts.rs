//! The small languages of a row: URLs, `expected_status`, ids, headers, references, times.

use std::path::Path;

use ::url::Host;
use api_health::configs::field::Context;
use api_health::configs::fields::HEADERS;
use api_health::configs::schedules::ScheduleCache;
use api_health::configs::{headers, secrets, url, urls};
use api_health::probe::guard;
use api_health_core::{ApiId, Method, StatusSet, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::bytes::text;
use crate::{Known, NOW, SECRET, config, is_clear, soon};

fn url_text() -> impl Strategy<Value = String> {
    let part = select(vec![
        "http",
        "https",
        "ftp",
        ":",
        "/",
        "//",
        "://",
        "@",
        "hunter2",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[::]",
        "[fd00:ec2::254]",
        "[64:ff9b::a9fe:a9fe]",
        "#",
        "?",
        "[",
        "]",
        "::1",
        "::",
        "fe80",
        "ffff",
        "169.254.169.254",
        "0",
        "2852039166",
        "0xa9fea9fe",
        "0251",
        ".",
        "a.test",
        "xn--",
        "ü",
        "🦀",
        "%",
        "%2e",
        "%00",
        "65536",
        "80",
        "\\",
        "\t",
        "localhost",
        "。",
        "127.1",
        "metadata",
        "-",
        "_",
        "*",
        "$",
        "{",
        "}",
    ]);
    prop_oneof![
        3 => vec(part.clone(), 0..12).prop_map(|parts| parts.concat()),
        3 => vec(part.clone(), 0..10).prop_map(|parts| format!("http://{}", parts.concat())),
        3 => vec(part, 1..3).prop_map(|parts| format!("http://{}/", parts.concat())),
        1 => text(),
        1 => (text(), 1..2_050_usize).prop_map(|(text, times)| format!("https://a.test/{}", text.repeat(times.min(3_000 / text.len().max(1))))),
    ]
}

fn status_text() -> impl Strategy<Value = String> {
    let part = select(vec![
        "2xx", "200", "299", "-", ",", "x", "X", " ", "1", "599", "600", "099", "+", "ü", "100-599", "5xx-", ",,", "٣",
    ]);
    prop_oneof![vec(part, 0..120).prop_map(|parts| parts.concat()), text()]
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn a_url_is_what_may_be_probed_or_is_refused(text in url_text()) {
        match soon(|| url::check(&text)) {
            Ok(read) => {
                prop_assert!(matches!(read.scheme(), "http" | "https") && read.as_str().len() <= url::CHARS_MAX);
                prop_assert!(read.username().is_empty() && read.password().is_none() && read.fragment().is_none());
                prop_assert_eq!(url::check(read.as_str()), Ok(read.clone()));
                let address = match read.host() {
                    Some(Host::Ipv4(ip)) => Some(ip.into()),
                    Some(Host::Ipv6(ip)) => Some(ip.into()),
                    Some(Host::Domain(name)) => { prop_assert!(!name.is_empty()); None }
                    None => { prop_assert!(false, "no host in {read}"); None }
                };
                prop_assert!(address.and_then(guard::refuse).is_none(), "{read}");
            }
            Err(fault) => {
                // The word may be a host or a path here; before an @ it is a password.
                let line = fault.at("t").to_string();
                let password = text.contains("hunter2@") && line.contains(SECRET);
                prop_assert!(!password, "{line}");
                is_clear(&line.replace(SECRET, ""), 1_000).map_err(TestCaseError::fail)?;
            }
        }
    }

    #[test]
    fn urls_of_the_command_line_become_rows_with_ids(texts in vec(url_text(), 0..6)) {
        let rows = soon(|| urls::rows(&texts));
        prop_assert!(rows.len() <= texts.len());
        for row in rows {
            prop_assert!(ApiId::parse(row.fields["api_id"].as_str().unwrap()).is_ok());
        }
    }

    #[test]
    fn a_status_set_holds_status_codes_and_prints_as_what_it_is(text in status_text()) {
        match soon(|| StatusSet::parse(&text)) {
            Ok(set) => {
                let again = StatusSet::parse(&set.to_string()).unwrap();
                prop_assert_eq!(&set, &again);
                prop_assert!((100..=999).any(|code| set.contains(code)), "empty");
                prop_assert!((0..100).chain(1_000..=u16::MAX).all(|code| !set.contains(code)));
            }
            Err(why) => prop_assert!(!why.is_empty()),
        }
    }

    #[test]
    fn an_id_is_plain_and_a_time_and_a_method_are_read_or_not(text in prop_oneof![text(), "[a-zA-Z0-9._ -]{0,90}"]) {
        if let Ok(id) = ApiId::parse(&text) {
            prop_assert!((1..=80).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)));
            prop_assert_eq!(id.as_str(), &text);
        }
        if let Some(at) = Timestamp::parse(&text) {
            prop_assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        }
        if let Some(method) = Method::parse(&text) {
            prop_assert!(text.eq_ignore_ascii_case(method.as_str()));
        }
    }

    #[test]
    fn references_are_filled_in_within_the_bound_or_refused(
        parts in vec(prop_oneof![select(vec!["${env:TOKEN}", "$", "{", "}", "${", "$${", "env:", "file:/", "ü", "a"]).prop_map(str::to_owned), text()], 0..20),
        bytes_max in 0..500_usize,
    ) {
        let text = parts.concat();
        match soon(|| secrets::resolve(&text, &Known, bytes_max)) {
            Ok(resolved) => prop_assert!(resolved.len() <= bytes_max && (secrets::has_reference(&text) || resolved == text)),
            Err(faults) => {
                prop_assert!((1..=10).contains(&faults.len()));
                for fault in faults {
                    is_clear(&fault.at("t").to_string(), 4_000).map_err(TestCaseError::fail)?;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn headers_that_are_let_through_cannot_smuggle_another(table in btree_map(prop_oneof![text(), "[A-Za-z-]{1,10}"], text(), 0..55)) {
        let parse = |table: Value| soon(|| {
            let schedules = &mut ScheduleCache::default();
            HEADERS.parse(&table, &mut Context { secrets: &Known, schedules, now: NOW, folder: Path::new(""), allowed: &Default::default() })
        });
        // The whole table, and each header by itself: among many, one that is bad hides what came of the others.
        let singly = table.iter().map(|(name, value)| json!({ name: value }));
        for table in singly.chain([json!(table)]) {
            match parse(table.clone()) {
                Ok(read) => {
                    prop_assert!(read.len() <= headers::HEADERS_MAX && Some(read.len()) == table.as_object().map(Map::len));
                    for (name, value) in &read {
                        prop_assert!(name.bytes().all(|b| b.is_ascii_graphic() && b != b':'), "{name:?}");
                        prop_assert!(value.reveal().bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)));
                    }
                }
                Err(faults) => {
                    prop_assert!(!faults.is_empty());
                    for fault in faults {
                        is_clear(&fault.at("headers").to_string(), 4_000).map_err(TestCaseError::fail)?;
                    }
                }
            }
        }
    }
}
