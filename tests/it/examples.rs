//! The folders below `examples`: each does what its README says, on servers of this test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use super::cli::{Place, Ran, finish};
use super::cli_import_from::{moved, server, testdata};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn text(name: &str, file: &str) -> String {
    std::fs::read_to_string(folder(name).join(file)).unwrap()
}

/// A place with the files of an example.
fn place(name: &str) -> Place {
    let place = Place::new();
    for entry in std::fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, place.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    place
}

/// Its rows, asking a server of this test.
fn with_a_server(place: &Place, name: &str) {
    let written: Value = toml::from_str(&text(name, "apis.toml")).unwrap();
    let mut codes = BTreeMap::new();
    let mut rows: Vec<Map<String, Value>> = Vec::new();
    for row in written["api"].as_array().unwrap() {
        rows.extend(moved(row.as_object().unwrap(), &format!("1-{name}"), &mut codes));
    }
    let port = server(codes).to_string();
    place.write("apis.toml", &toml::to_string(&json!({ "api": rows })).unwrap().replace("PORT", &port));
    let settings = text(name, "api-health.toml").replace("/var/lib/api-health/", "");
    place.write("api-health.toml", &settings);
}

fn all_up(place: &Place, ran: &Ran, how_many: usize) {
    assert_eq!(ran.code, 0, "{ran:?}");
    let status = place.json(&["status"]);
    assert_eq!(status["summary"]["up"], how_many, "{status:#}\n{ran:?}");
}

/// `sh` with the program in its path.
fn shell(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.program(Path::new("sh"), arguments);
    let folder = Path::new(env!("CARGO_BIN_EXE_api-health")).parent().unwrap().display().to_string();
    command.env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()));
    command
}

#[test]
fn a_laptop_and_two_services_watch_what_stands_in_their_files() {
    for name in ["laptop", "two-services"] {
        let place = place(name);
        place.ok(&["apis", "validate", "apis.toml"]);
        with_a_server(&place, name);
        let ran = place.run(&["run", "--once"]);
        all_up(&place, &ran, 2);
    }
}

#[test]
fn cron_makes_a_round_by_the_line_of_its_table() {
    let place = place("cron");
    with_a_server(&place, "cron");
    let table = text("cron", "api-health.cron");
    let fields: Vec<&str> = table.lines().last().unwrap().split(' ').collect();
    let line = fields[6..].join(" ").replace("/etc/api-health", &place.path("").display().to_string());
    let ran = finish(&mut shell(&place, &["-c", &line]));
    all_up(&place, &ran, 2);
}

#[test]
fn moving_in_brings_every_check_into_the_table() {
    let gatus = place("from-gatus");
    let ran = finish(&mut shell(&gatus, &["move-in"]));
    assert!(ran.code == 0 && ran.out.contains(": 2 added, 0 changed, 0 removed"), "{ran:?}");
    let kuma = place("from-kuma");
    let script = std::fs::read_to_string(testdata("kuma/kuma-2.sql")).unwrap();
    rusqlite::Connection::open(kuma.path("kuma.db")).unwrap().execute_batch(&script).unwrap();
    let ran = finish(&mut shell(&kuma, &["move-in"]));
    assert!(ran.code == 0 && ran.out.contains(": 7 added, 0 changed, 0 removed"), "{ran:?}");
    for place in [gatus, kuma] {
        assert!(std::fs::read_to_string(place.path("channels.toml")).unwrap().contains("kind = \"slack\""));
    }
}

#[test]
fn behind_a_proxy_the_outside_is_asked_by_it_and_the_inside_directly() {
    let place = place("behind-a-proxy");
    let outside = "http://status.partner.example.org/health";
    let port = server([(outside.to_owned(), 200), ("/health".to_owned(), 200)].into());
    let place_of = format!("http://127.0.0.1:{port}");
    let settings = text("behind-a-proxy", "api-health.toml").replace("http://proxy.example.org:3128", &place_of);
    place.write("api-health.toml", &settings);
    let rows = text("behind-a-proxy", "apis.toml").replace("http://intranet.example.org", &place_of);
    place.write("apis.toml", &rows);
    let ran = place.run(&["run", "--once"]);
    all_up(&place, &ran, 2);
}

/// What stands below `NAME: |` in a file of YAML, as it is.
fn block(yaml: &str, name: &str) -> String {
    let (_, behind) = yaml.split_once(&format!("  {name}: |\n")).unwrap();
    let lines = behind.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lines.map(|line| line.trim_start_matches("    ").to_owned() + "\n").collect()
}

#[test]
fn what_kubernetes_starts_has_good_settings_and_is_asked_where_it_answers() {
    let yaml = text("kubernetes", "api-health.yaml");
    let place = Place::new();
    let settings = block(&yaml, "api-health.toml").replace("/var/lib/api-health/", "").replace("/etc/api-health/", "");
    place.write("api-health.toml", &settings);
    let secrets = "/var/run/secrets/kubernetes.io/serviceaccount";
    place.write("token", "x");
    let rows =
        block(&yaml, "apis.toml").replace(&format!("{secrets}/token"), &place.path("token").display().to_string());
    let rows: String = rows.lines().filter(|line| !line.contains("ca.crt")).map(|line| format!("{line}\n")).collect();
    place.write("apis.toml", &rows);
    assert!(place.ok(&["apis", "validate", "apis.toml"]).contains("2 good"));
    place.ok(&["settings", "show"]);
    for asked in ["path: /healthz, port: web", "path: /readyz, port: web", "containerPort: 8462"] {
        assert!(yaml.contains(asked), "{asked}");
    }
    assert!(settings.contains("0.0.0.0:8462"));
}

#[test]
fn what_terraform_and_two_workers_are_told_is_known() {
    let variables = std::fs::read_to_string(folder("../infra/terraform/variables.tf")).unwrap();
    for line in text("ec2", "terraform.tfvars").lines() {
        let (name, _) = line.split_once('=').unwrap();
        assert!(variables.contains(&format!("variable \"{}\"", name.trim())), "{name}");
    }
    let place = place("two-workers");
    let shown = place.ok(&["settings", "show"]);
    assert!(shown.contains("dynamodb") && shown.contains("arn:aws:sns:eu-central-1"), "{shown}");
}
