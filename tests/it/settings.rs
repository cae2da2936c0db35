//! Settings: what is in force with nothing, with a file, with an environment; where it came from; what is masked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api_health::configs::defaults::DefaultSchedule;
use api_health::settings::load::{LoadedSettings, load};
use api_health::settings::{LogFormat, ResolverKind, Settings, StoreKind, keys, show};

const FULL: &str = r#"
environment = "staging"
region = "eu-west-1"

[store]
kind = "sqlite"
path = "data/api-health.db"
checkpoint_seconds = 5

[apis]
file = "apis.toml"
from_store = false
reload_seconds = 30

[notify.webhook]
url = "https://hooks.example.com/T0/${env:HOOK_PATH}"
secret = "${env:HOOK_SECRET}"
timeout_seconds = 7

[notify.terminal]

[probe]
timeout_seconds = 20
interval_seconds = 15
timezone = "Europe/Berlin"
expected_status = 200
failure_threshold = 3
success_threshold = 1
recheck_seconds = 2
max_redirects = 5
spread = false
max_in_flight = 100
max_in_flight_per_host = 10
contact = "ops@example.com"
body_bytes_max = 2048
extra_roots = "/etc/ca.pem"
resolver = "system"

[run]
shutdown_seconds = 20

[log]
level = "info,api_health::probe=debug"
format = "json"
"#;

const MINUTE: Duration = Duration::from_secs(60);

/// Loads `text` as `api-health.toml` of a folder of its own, found there by itself.
fn load_text(text: Option<&str>, env: &[(&str, &str)]) -> (tempfile::TempDir, LoadedSettings) {
    let folder = tempfile::tempdir().unwrap();
    if let Some(text) = text {
        std::fs::write(folder.path().join("api-health.toml"), text).unwrap();
    }
    let env: HashMap<_, _> = env.iter().copied().collect();
    let loaded = load(None, folder.path(), &|name| env.get(name).map(ToString::to_string)).unwrap();
    (folder, loaded)
}

fn from(loaded: &LoadedSettings, key: &str) -> String {
    let json = show::json(loaded);
    let from = &json[key]["from"];
    format!("{} {}{}", from["kind"].as_str().unwrap(), from["name"].as_str().unwrap_or(""), from["line"])
}

#[test]
fn with_nothing_at_all_it_is_sqlite_here_and_the_terminal() {
    let (_folder, loaded) = load_text(None, &[]);
    assert_eq!(loaded.settings, Settings::default());
    let Settings { store, run, fleet, probe, .. } = &loaded.settings;
    assert_eq!((store.kind, store.checkpoint.as_secs(), store.heartbeat), (StoreKind::Sqlite, 10, Some(MINUTE)));
    assert_eq!((run.shutdown.as_secs(), fleet.lease.as_secs(), fleet.renew.as_secs()), (10, 10, 3));
    assert_eq!((fleet.expected, fleet.fail_open, loaded.settings.apis.reload), (None, true, MINUTE));
    assert_eq!((probe.spread, probe.max_in_flight, probe.body_bytes_max), (true, 4_096, 1_048_576));
    assert_eq!((probe.max_in_flight_per_host, probe.contact.as_deref()), (1_024, None));
    assert_eq!(loaded.file, None);
    assert!(loaded.settings.notify.terminal);
    assert_eq!(loaded.settings.store.path, PathBuf::from("api-health.db"));
}

#[test]
fn the_table_of_keys_tells_the_true_defaults() {
    let (_folder, loaded) = load_text(None, &[]);
    for effective in &loaded.effective {
        let Some(key) = keys::KEYS.iter().find(|k| k.name == effective.key) else { continue };
        let in_force = match &effective.value {
            serde_json::Value::Null => "none".to_owned(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let told = key.default.to_string();
        let agrees =
            told == in_force || told.starts_with(&format!("{in_force} ")) || told.starts_with(&format!("{in_force};"));
        assert!(agrees || key.name == "region", "{}: {told} is told, {in_force} is in force", key.name);
    }
}

#[test]
fn every_key_of_the_file_is_in_force_and_paths_begin_where_it_is() {
    let env = [("HOOK_PATH", "hunter2"), ("HOOK_SECRET", "hunter3")];
    let (folder, loaded) = load_text(Some(FULL), &env);
    let s = &loaded.settings;
    assert_eq!((s.environment.as_str(), s.region.as_deref()), ("staging", Some("eu-west-1")));
    assert_eq!((s.store.kind, s.store.path.clone()), (StoreKind::Sqlite, folder.path().join("data/api-health.db")));
    assert_eq!(s.store.checkpoint, Duration::from_secs(5));
    assert_eq!((s.apis.files.clone(), s.apis.from_store), (vec![folder.path().join("apis.toml")], false));
    assert_eq!(s.apis.reload, Duration::from_secs(30));
    let webhook = s.notify.webhook.as_ref().unwrap();
    assert_eq!(webhook.keys["url"].reveal(), "https://hooks.example.com/T0/hunter2");
    assert_eq!(webhook.keys["secret"].reveal(), "hunter3");
    assert_eq!((webhook.timeout, webhook.name.as_str()), (Duration::from_secs(7), "webhook"));
    assert!(s.notify.terminal && s.notify.sns.is_none());
    let d = &s.probe.defaults;
    assert_eq!(d.when, DefaultSchedule::Every(Duration::from_secs(15)));
    assert_eq!((d.timezone.as_str(), d.expected_status.to_string().as_str()), ("Europe/Berlin", "200"));
    assert_eq!((d.timeout.as_secs(), d.recheck.as_secs()), (20, 2));
    assert_eq!((d.failure_threshold, d.success_threshold, d.max_redirects), (3, 1, 5));
    assert_eq!((s.probe.spread, s.probe.max_in_flight, s.probe.body_bytes_max), (false, 100, 2048));
    assert_eq!((s.probe.max_in_flight_per_host, s.probe.contact.as_deref()), (10, Some("ops@example.com")));
    assert_eq!(s.probe.extra_roots.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(s.probe.resolver, ResolverKind::System);
    assert_eq!((s.run.shutdown.as_secs(), s.log.format), (20, LogFormat::Json));
    assert_eq!(s.log.level, "info,api_health::probe=debug");
}

#[test]
fn no_secret_is_shown_in_any_form() {
    let env =
        [("HOOK_PATH", "hunter2"), ("HOOK_SECRET", "hunter3"), ("AWS_ENDPOINT_URL", "http://me:hunter4@aws.test")];
    let (_folder, loaded) = load_text(Some(FULL), &env);
    let shown = format!("{:?}{}{}", loaded, show::table(&loaded), show::json(&loaded));
    assert!(!shown.contains("hunter"), "{shown}");
    let table = show::table(&loaded);
    assert!(table.contains("https://hooks.example.com/***"), "{table}");
    assert!(table.contains("http://***@aws.test"), "{table}");
}

#[test]
fn the_environment_wins_and_selects_dynamodb() {
    let env = [
        ("APP_ENVIRONMENT", "production"),
        ("AWS_REGION", "eu-central-1"),
        ("DDB_STATE_TABLE", "states-prod"),
        ("SNS_TOPIC_ARN", "arn:aws:sns:eu-central-1:123456789012:alerts.fifo"),
        ("API_HEALTH_LOG", "debug"),
        ("HOOK_PATH", "x"),
        ("HOOK_SECRET", "x"),
    ];
    let text = FULL.replace("checkpoint_seconds = 5", "").replace("[notify.terminal]", "");
    let (_folder, loaded) = load_text(Some(&text), &env);
    let s = &loaded.settings;
    assert_eq!((s.environment.as_str(), s.region.as_deref()), ("production", Some("eu-central-1")));
    assert_eq!((s.store.kind, s.store.state_table.as_str()), (StoreKind::Dynamodb, "states-prod"));
    assert_eq!((s.store.config_table.as_str(), s.store.checkpoint.as_secs()), ("api_health_configs", 3_600));
    assert_eq!(s.store.heartbeat, Some(Duration::from_secs(60)));
    assert_eq!((s.history.enabled, s.history.flush.as_secs()), (true, 21_600));
    assert_eq!(s.history.table, "api_health_history");
    let sns = s.notify.sns.as_ref().unwrap();
    assert_eq!((sns.is_fifo(), sns.region()), (true, "eu-central-1"));
    assert!(!s.notify.terminal, "others are configured, and its section is not there");
    assert_eq!(s.log.level, "debug");
    assert_eq!(from(&loaded, "store.kind"), "environment DDB_STATE_TABLEnull");
    assert_eq!(from(&loaded, "environment"), "environment APP_ENVIRONMENTnull");
    assert_eq!(from(&loaded, "store.config_table"), "default null");
    assert_eq!(from(&loaded, "probe.timeout_seconds"), "file 23");
}

#[test]
fn history_has_a_table_of_its_own_which_alone_selects_nothing() {
    let table = |name: &'static str| [("DDB_HISTORY_TABLE", name)];
    let (_folder, loaded) = load_text(None, &table("past"));
    let s = &loaded.settings;
    assert_eq!((s.store.kind, s.history.table.as_str(), s.history.flush.as_secs()), (StoreKind::Sqlite, "past", 300));
    for (name, which) in [("api_health_configs", "config"), ("api_health_states", "state")] {
        let env = |asked: &str| match asked {
            "DDB_HISTORY_TABLE" => Some(name.to_owned()),
            "DDB_STATE_TABLE" => Some("api_health_states".to_owned()),
            _ => None,
        };
        let faults = load(None, Path::new("/nowhere"), &env).unwrap_err();
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let place = "environment variable DDB_HISTORY_TABLE: history.table";
        assert_eq!(told, [format!("{place}: \"{name}\" is also the {which} table; write another table")]);
    }
}

#[test]
fn an_empty_variable_is_unset_and_systemd_names_the_folder() {
    let (_folder, loaded) = load_text(None, &[("SNS_TOPIC_ARN", ""), ("STATE_DIRECTORY", "/var/lib/api-health:/x")]);
    assert!(loaded.settings.notify.sns.is_none() && loaded.settings.notify.terminal);
    assert_eq!(loaded.settings.store.path, PathBuf::from("/var/lib/api-health/api-health.db"));
    assert_eq!(from(&loaded, "store.path"), "environment STATE_DIRECTORYnull");
}

#[test]
fn a_bad_variable_is_named() {
    let env = |name: &str| match name {
        "DDB_CONFIG_TABLE" => Some("x".to_owned()),
        "SNS_TOPIC_ARN" => Some("alerts".to_owned()),
        _ => None,
    };
    let faults = load(None, Path::new("/nowhere"), &env).unwrap_err();
    let locations: Vec<_> = faults.iter().map(|i| i.location.as_str()).collect();
    assert_eq!(
        locations,
        [
            "environment variable DDB_CONFIG_TABLE: store.config_table",
            "environment variable SNS_TOPIC_ARN: notify.sns.topic_arn"
        ]
    );
}

#[test]
fn every_key_is_shown_once_in_the_order_of_the_reference() {
    let (_folder, loaded) = load_text(None, &[]);
    let shown: Vec<_> = loaded.effective.iter().map(|e| &*e.key).collect();
    let expected: Vec<_> = keys::KEYS.iter().map(|k| k.name).chain(keys::READ_BY_THE_SDK).collect();
    assert_eq!(shown, expected);
}
