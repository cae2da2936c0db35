//! Endpoints of Gatus.

use super::*;

#[test]
fn an_endpoint_of_gatus_becomes_a_row() {
    let import = super::import(Source::Gatus, "gatus", &["conditions.yaml"]);
    assert_eq!(
        row(&import, "api-users"),
        serde_json::json!({
            "api_id": "api-users", "name": "users", "url": "https://api.example.org/users", "tags": ["api"],
            "interval_seconds": 60, "expected_status": "100-299", "max_redirects": 10,
            "assert": [
                "latency < 5000 ms", "json $.data length > 0", "json $.data[0].name = \"john\"",
                "json $.count in [1, \"1\", 2, \"2\", 3, \"3\"]", "body lacks \"\\\"errors\\\"\"", "json $.data exists",
                "body matches \"version\"\\s*:\\s*\"?2\\.[^\"]*\"?\\s*[,}\\]]", "json $.data[0].name != \"nobody\"",
            ],
        })
    );
    let greeting = row(&import, "greeting");
    assert_eq!((&greeting["expected_status"], &greeting["certificate_days"]), (&"200-201".into(), &[10].into()));
    assert!(said(&import, "endpoints[1].conditions[3]").starts_with("lost: the address"));
    assert!(said(&import, "endpoints[1].conditions[4]").starts_with("near: told 10 days before"));
    let line = import.entries.iter().find(|entry| entry.path == "endpoints[1].conditions[5]").unwrap().line;
    assert_eq!(line, 24);
}

#[test]
fn alerts_of_gatus_become_thresholds_channels_and_tags() {
    let import = super::import(Source::Gatus, "gatus", &["alerting.yaml"]);
    let checkout = row(&import, "shop-checkout");
    assert_eq!((&checkout["failure_threshold"], &checkout["success_threshold"]), (&3.into(), &1.into()));
    assert_eq!((&checkout["remind_after_seconds"], &checkout["recheck_seconds"]), (&3600.into(), &60.into()));
    assert_eq!(checkout["tags"], serde_json::json!(["shop", "to-slack", "to-pagerduty"]));
    assert_eq!(row(&import, "shop-search")["failure_threshold"], 5);
    assert_eq!(row(&import, "blog")["tags"], serde_json::json!(["to-telegram"]));
    let toml = channels_to_toml(&import.channels);
    for line in [
        "[[notify.channel]]\nname = \"email\"\nkind = \"email\"\n",
        "password = \"${env:EMAIL_PASSWORD}\"",
        "url = \"smtp://mail.example.org:587\"",
        "url = \"${env:SLACK_URL}\"",
        "routing_key = \"${env:PAGERDUTY_KEY}\"",
        "tags = [\"to-slack\"]",
    ] {
        assert!(toml.contains(line), "{line}\n{toml}");
    }
    assert!(said(&import, "alerting.twilio").starts_with("lost"));
    let names: Vec<&str> = import.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, ["SLACK_URL", "PAGERDUTY_KEY", "TELEGRAM_BOT_TOKEN", "EMAIL_PASSWORD"]);
}

#[test]
fn secrets_and_references_of_gatus_become_references_of_ours() {
    let import = super::import(Source::Gatus, "gatus", &["requests.yaml"]);
    assert_eq!(row(&import, "login")["body"], "${env:LOGIN_BODY}");
    assert_eq!(row(&import, "graph")["headers"]["Authorization"], "Bearer ${env:GRAPH_AUTHORIZATION}");
    assert_eq!(row(&import, "search")["url"], "https://api.example.org/v1/find?api_key=${env:SEARCH_API_KEY}&q=a");
    let place = import.secrets[0].place.clone().unwrap();
    assert_eq!(place, "requests.yaml, line 9: endpoints[0].body");
    let import = super::import(Source::Gatus, "gatus", &["environment.yaml"]);
    assert_eq!(row(&import, "by-path")["url"], "https://hooks.example.org/${env:HOOK_PATH}/$5");
    assert_eq!(row(&import, "by-path")["headers"]["Authorization"], "Bearer ${env:API_TOKEN}");
    assert_eq!(row(&import, "by-host")["url"], "https://env.example.org/health");
    assert!(said(&import, "endpoints[2]").contains("IMPORT_TEST_NOT_SET"));
    let import = super::import(Source::Gatus, "gatus", &["labels.yaml"]);
    let books = row(&import, "laden-eu-bucher-co");
    assert_eq!(books["basic_auth"], "user:${env:LADEN_EU_BUCHER_CO_PASSWORD}");
    assert_eq!(
        (&books["tags"], &books["enabled"]),
        (&["Läden (EU)", "team:books", "tier:1"][..].into(), &false.into())
    );
    assert_eq!(row(&import, "laden-eu-bucher-co-2")["url"], "https://books.example.org/second");
}

#[test]
fn what_is_no_request_is_taken_where_it_can_be() {
    let import = super::import(Source::Gatus, "gatus", &["dns.yaml"]);
    let resolver = row(&import, "dns-resolver");
    assert_eq!(resolver["url"], "dns://192.0.2.53/www.example.org?type=A");
    assert_eq!((&resolver["expected_answers"], import.rows.len()), (&["192.0.2.80"][..].into(), 2));
    let import = super::import(Source::Gatus, "gatus", &["kinds.yaml"]);
    assert_eq!(import.rows.len(), 2);
    assert!(said(&import, "endpoints[4]").starts_with("lost: wss is not spoken"));
    let import = super::import(Source::Gatus, "gatus", &["maintenance.yaml"]);
    let windows = ["0 2 * * * for 90m", "30 23 * * MON,THU Europe/Berlin for 60m"];
    assert_eq!(row(&import, "nightly")["maintenance"], serde_json::json!(windows));
    let import = super::import(Source::Gatus, "gatus", &["configmap.yaml"]);
    assert_eq!(import.rows[0].location, "configmap.yaml, line 9");
    let import = super::import(Source::Gatus, "gatus", &["suites.yaml"]);
    assert!(said(&import, "endpoints[0]").contains("SSH tunnel") && import.rows.len() == 1);
}

#[test]
fn several_files_are_one_configuration_and_broken_ones_are_all_named() {
    let import = super::import(Source::Gatus, "gatus", &["alerting.yaml", "minimal.yaml"]);
    assert_eq!(import.rows.len(), 4);
    let bytes = |name: &str, bytes: &[u8]| File { name: name.into(), content: Content::Bytes(bytes.to_vec()) };
    let files = [bytes("a.yaml", b"endpoints: [\n"), bytes("b.yaml", b"x: \"\xff\"\n"), bytes("c.yaml", b"a: 1")];
    let faults = read(Source::Gatus, &files, &environment, &[]).unwrap_err();
    let places: Vec<&str> = faults.iter().map(|fault| fault.location.as_str()).collect();
    assert_eq!(places, ["a.yaml, line 2, column 1", "b.yaml, line 1"]);
    for (source, why) in
        [(Source::Gatus, "of Gatus: it has no endpoints"), (Source::Upptime, "of Upptime: it has no sites")]
    {
        let fault = read(source, &files[2..], &environment, &[]).unwrap_err().remove(0);
        assert!(fault.location == "c.yaml" && fault.why.ends_with(why), "{fault:?}");
    }
}
