//! The settings that a package brings: valid, complete, and true in what they say of the defaults.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::{BINARY, tree};

/// What `settings show` prints of a settings file: each key with its value and where it comes from.
#[track_caller]
fn shown(file: &Path) -> BTreeMap<String, (String, String)> {
    let output = Command::new(BINARY)
        .args(["--settings", file.to_str().unwrap(), "settings", "show"])
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8(output.stdout).unwrap();
    let header = table.lines().next().unwrap();
    let (value, from) = (header.find("VALUE").unwrap(), header.find("FROM").unwrap());
    let row = |line: &str| {
        let column = |a: usize, b: usize| line.get(a..b).unwrap_or_default().trim().to_owned();
        (column(0, value), (column(value, from), column(from, line.len())))
    };
    table.lines().skip(1).map(row).collect()
}

/// What is in a list is tried as a whole.
const LIST: &str = "[[";

/// The settings that are commented out: section, key, and the line without its `#`.
fn commented(text: &str) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start_matches('#');
        if bare.starts_with("[[") {
            section = LIST.into();
        } else if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        } else if section != LIST && line.starts_with('#') && !line.starts_with("# ") && bare.contains(" = ") {
            let key = bare.split(" = ").next().unwrap();
            found.push((section.clone(), key.to_owned(), bare.to_owned()));
        }
    }
    found
}

#[test]
fn they_are_valid_as_they_are() {
    let settings = shown(&tree("infra/packaging/config/api-health.toml"));
    let set: Vec<_> = settings.iter().filter(|(_, (_, from))| from != "default").map(|(key, _)| key.as_str()).collect();
    assert_eq!(set, ["store.path"], "nothing else is decided for the operator");
}

#[test]
fn the_channel_that_is_shown_is_one() {
    let text = std::fs::read_to_string(tree("infra/packaging/config/api-health.toml")).unwrap();
    let block = text.lines().skip_while(|line| *line != "#[[notify.channel]]").take_while(|line| !line.is_empty());
    let block: Vec<_> = block.map(|line| line.trim_start_matches('#')).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api-health.toml");
    std::fs::write(&file, block.join("\n")).unwrap();
    let settings = shown(&file);
    assert!(settings.keys().any(|key| key.contains("team-shop")), "{settings:?}");
}

#[test]
fn every_setting_is_there_and_each_line_is_true() {
    let text = std::fs::read_to_string(tree("infra/packaging/config/api-health.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("api-health.toml");
    std::fs::write(&file, "").unwrap();
    let defaults = shown(&file);

    let mut there = vec!["store.path".to_owned()];
    for (section, key, line) in commented(&text) {
        let name = format!("{section}{key}");
        let header = if section.is_empty() { String::new() } else { format!("[{}]\n", section.trim_end_matches('.')) };
        // What says how to tell needs a place to tell it.
        let beside = match section.as_str() {
            "notify.webhook." if key != "url" => "url = \"https://hooks.example.com/x\"\n",
            "heartbeat_out." if key != "url" => "url = \"https://hc-ping.com/x\"\n",
            "web." if key == "trusted_header" => "trusted_proxies = \"10.0.0.5\"\n",
            "web." if key == "trusted_proxies" => "trusted_header = \"X-Forwarded-User\"\n",
            "notify.sns." if key != "topic_arn" => "topic_arn = \"arn:aws:sns:eu-central-1:123456789012:api-health\"\n",
            _ => "",
        };
        std::fs::write(&file, format!("{header}{beside}{line}\n")).unwrap();
        let settings = shown(&file);
        let (value, from) = settings.get(&name).unwrap_or_else(|| panic!("there is no setting {name}"));
        assert_ne!(from, "default", "{name}: the line sets nothing");
        let default = &defaults[&name].0;
        assert!(default == "-" || default == value, "{name}: the line shows {value}, the default is {default}");
        there.push(name);
    }
    let missing: Vec<_> = defaults.keys().filter(|key| !key.starts_with("AWS_") && !there.contains(key)).collect();
    assert!(missing.is_empty(), "infra/packaging/config/api-health.toml does not show {missing:?}");
}

#[test]
fn the_environment_file_names_variables_that_exist() {
    let text = std::fs::read_to_string(tree("infra/packaging/config/env")).unwrap();
    let assignments: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(n, _)| !n.contains(' '))
        .collect();
    assert!(assignments.len() >= 4, "{assignments:?}");
    let output = Command::new(BINARY)
        .args(["settings", "show"])
        .current_dir(std::env::temp_dir())
        .env_clear()
        .envs(assignments.iter().copied())
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    for (name, _) in assignments {
        assert!(table.contains(&format!("environment variable {name}")), "{name} sets nothing:\n{table}");
    }
}
