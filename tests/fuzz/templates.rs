//! Templates of channels, and what the services answer to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api_health::notify::channel::ChannelSettings;
use api_health::notify::kinds::KINDS;
use api_health::notify::posted::{PostedNotifier, RETRY_AFTER_MAX, check};
use api_health_actors::ports::{Notifier, NotifyError};
use api_health_core::Secret;
use futures_util::future::join_all;
use proptest::prelude::*;

use crate::answers::alert;
use crate::bytes::bytes;
use crate::server::{CLIENT, End, Script, Server, run};
use crate::{SECRET, SOON, StillClock, config, is_clear};

const WORDS: &[&str] = &[
    "{{ title }}",
    "{{ text",
    "}}",
    "{% for a in range(99999) %}",
    "{% for l in lines %}",
    "{% endfor %}",
    "{% if ends %}",
    "{% endif %}",
    "{% set x = x ~ x %}",
    "{% set x = title %}",
    "{{ x * 99999 }}",
    "{{ \"%99999999s\"|format(title) }}",
    "|replace(\"\", text)",
    "{{ evidence.address }}",
    "{{ alerts[0].name }}",
    "{{ keys.url }}",
    "{{ nothing }}",
    "|tojson",
    "|indent(99999)",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "{#",
    "#}",
    "{% raw %}",
    "{{ -9223372036854775808 // -1 }}",
    "{{ title.__class__ }}",
    "|join(\",\")",
    "{% macro a() %}",
    "{% include \"/etc/passwd\" %}",
];

fn seeds() -> Vec<Vec<u8>> {
    let presets = KINDS.iter().filter_map(|kind| kind.posting.as_ref()?.body);
    presets.map(|preset| preset.as_bytes().to_vec()).collect()
}

/// What services answer.
const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 202 X\r\n",
    "HTTP/1.1 429 X\r\n",
    "HTTP/1.1 400 X\r\n",
    "retry-after: ",
    "content-length: 0\r\n",
    "\r\n",
    "{",
    "}",
    "\"ok\":true",
    "\"id\":",
    "\"errcode\":",
    "\"code\":",
    "\"status\":1",
    "-1",
    "0",
    "1e999",
    "99999999999999999999",
    "\"retry_after\":",
    "-0.5",
    "NaN",
    "\"parameters\":{\"retry_after\":",
    "\"retry_after_ms\":",
    "null",
    "[[[[[[",
    ",",
    "ok",
    SECRET,
];

fn answers() -> Vec<Vec<u8>> {
    let bodies = [
        "ok",
        r#"{"ok":true}"#,
        r#"{"retry_after":1.5}"#,
        r#"{"parameters":{"retry_after":9}}"#,
        r#"{"retry_after_ms":1e308}"#,
        r#"{"errcode":0}"#,
    ];
    let answer = |status: u16, body: &str| {
        format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    bodies.iter().flat_map(|body| [answer(200, body), answer(429, body)]).collect()
}

/// One channel of each kind that is posted to.
fn channels(url: &str) -> Vec<ChannelSettings> {
    let channel = |kind: &'static api_health::notify::channel::ChannelKind| {
        let settings = ChannelSettings::webhook(Secret::new(url), None, Duration::from_millis(500));
        let mut keys: std::collections::BTreeMap<_, _> =
            kind.keys.iter().map(|key| (key.name, Secret::new(SECRET))).collect();
        keys.insert("url", Secret::new(url));
        ChannelSettings { name: "fuzzed".into(), kind, keys, ..settings }
    };
    KINDS.iter().filter(|kind| kind.posting.is_some()).map(channel).collect()
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    #[allow(clippy::disallowed_methods, reason = "it measures that it ends")]
    fn a_template_may_be_anything(source in bytes(seeds(), WORDS)) {
        let source = String::from_utf8_lossy(&source).into_owned();
        let started = Instant::now();
        for settings in channels(&format!("https://h.test/{SECRET}")).into_iter().step_by(5) {
            let settings = ChannelSettings { template: Some(source.clone()), ..settings };
            for (_, fault) in check::faults(&settings) {
                let fault = fault.at("notify.channel.template").to_string();
                is_clear(&fault, 1_000).map_err(TestCaseError::fail)?;
            }
        }
        prop_assert!(started.elapsed() < SOON);
    }
}

proptest! {
    #![proptest_config(config(6))]

    #[test]
    fn a_service_may_answer_anything(answer in bytes(answers(), ANSWERS)) {
        let results = run(async {
            let server = Server::start(None, Script::new(answer, End::Fin)).await;
            let notifiers = channels(&format!("http://{}/{SECRET}", server.address)).into_iter();
            let notifiers: Vec<_> = notifiers.map(|settings| PostedNotifier::new(&CLIENT, settings, "test".into(), Arc::new(StillClock)).unwrap()).collect();
            join_all(notifiers.iter().map(|notifier| notifier.deliver(alert()))).await
        });
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            is_clear(&error.to_string(), 1_000).map_err(TestCaseError::fail)?;
            if let NotifyError::Retryable { after: Some(after), .. } = error {
                prop_assert!(*after <= RETRY_AFTER_MAX, "{after:?}");
            }
        }
    }
}
