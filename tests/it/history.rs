//! Where history is kept, as the program opens it by its settings.

use std::path::Path;
use std::process::Command;

use api_health::app::App;
use api_health::settings::{LogFormat, LogSettings, load};
use api_health::telemetry;
use api_health_actors::ports::StoreError;
use api_health_core::history::{HistoryItem, HistorySlot, Series, UtcMonth};

use crate::cloud::Cloud;
use crate::support::moto::Moto;
use crate::support::tools;

/// Tells the child, which is this very test in another process with an environment of its own, which settings it has.
const CHILD_SETTINGS: &str = "API_HEALTH_TEST_HISTORY_SETTINGS";

const TEST: &str = "history::what_is_opened_follows_from_the_settings_and_a_table_that_is_not_there_is_said";

/// Opens it, and writes and reads an item if there is any. Says on standard output what came of it.
fn open(settings: &str) {
    telemetry::start(&LogSettings { level: "info".into(), format: LogFormat::Text }, false);
    let loaded = load::load(Some(settings.as_ref()), Path::new(""), &|name| std::env::var(name).ok()).unwrap();
    actix_rt::System::new().block_on(async {
        let Some(store) = App::new(loaded.settings).open_history().await.unwrap() else {
            return println!("opened: none");
        };
        let month = UtcMonth::parse("2026-11").unwrap();
        let (series, slot) = (Series::Incidents(month), HistorySlot::Month(month));
        let item = HistoryItem { series, slot: slot.clone(), epoch: 1, kept_until: None, bytes: vec![1] };
        if let Err(error) = store.write(vec![item.clone()]).await.remove(0) {
            return println!(
                "opened: {}",
                if matches!(error, StoreError::Unavailable(_)) { "waits for it" } else { "is refused" }
            );
        }
        let found = store.read(item.series.clone(), slot.clone()..=slot, 1).await.unwrap();
        println!("opened: {}", if found == [item] { "reads what it wrote" } else { "reads something else" });
    });
}

/// What a program with these settings and variables says: of what it opened, and in its log.
fn said(settings: &str, env: &[(&str, &str)]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api-health.toml");
    std::fs::write(&path, settings).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([TEST, "--exact", "--nocapture"]).current_dir(folder.path()).env(CHILD_SETTINGS, &path);
    let ran = child.envs(env.iter().copied()).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let opened = text(ran.stdout).lines().find_map(|line| Some(line.split_once("opened: ")?.1.to_owned()));
    (opened.unwrap(), text(ran.stderr))
}

#[test]
fn what_is_opened_follows_from_the_settings_and_a_table_that_is_not_there_is_said() {
    if let Ok(settings) = std::env::var(CHILD_SETTINGS) {
        return open(&settings);
    }
    let well = || "reads what it wrote".to_owned();
    let (opened, log) = said("", &[]);
    assert_eq!((opened, log.contains("no history is kept")), (well(), false), "SQLite: {log}");
    assert_eq!(said("[history]\nenabled = false\n", &[]).0, "none");

    let cloud = Cloud::new();
    let moto = Moto::shared().environment();
    let mut env: Vec<(&str, &str)> = moto.iter().map(|(name, value)| (*name, value.as_str())).collect();
    env.extend([("DDB_STATE_TABLE", &*cloud.state_table), ("DDB_HISTORY_TABLE", &*cloud.history_table)]);
    let (opened, log) = said("", &env);
    assert_eq!((opened, log.contains("no history is kept")), (well(), false), "DynamoDB: {log}");
    for (table, why) in [
        ("no-such-table", "DynamoDB table no-such-table does not exist in region eu-central-1; write the name of"),
        (&*cloud.config_table, "has another key than is needed"),
    ] {
        env.push(("DDB_HISTORY_TABLE", table));
        let (opened, log) = said("", &env);
        assert_eq!(opened, "none", "{log}");
        assert_eq!(log.matches("no history is kept").count(), 1, "once: {log}");
        assert!(log.contains(why) && log.contains("infra/terraform of this release makes the table"), "{log}");
    }
    // What may pass by itself is left to whoever writes later.
    let nowhere = format!("http://127.0.0.1:{}", tools::free_port());
    env.extend([("DDB_HISTORY_TABLE", &*cloud.history_table), ("AWS_ENDPOINT_URL", &*nowhere)]);
    assert_eq!(said("", &env).0, "waits for it");
}
