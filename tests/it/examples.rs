//! The folders below `examples`: each does what its README says, on servers of this test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

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

/// What was posted: the path, and the body.
type Posts = Arc<Mutex<Vec<(String, Value)>>>;

/// Slack at `/slack` and PagerDuty elsewhere, as they say that an alert is taken.
fn services() -> (u16, Posts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, posts) = (listener.local_addr().unwrap().port(), Posts::default());
    let kept = Arc::clone(&posts);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = take(stream, &kept);
        }
    });
    (port, posts)
}

fn take(stream: TcpStream, posts: &Posts) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(rest) = line.strip_prefix("POST ") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap_or(0);
        } else if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let is_slack = path == "/slack";
    posts.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
    let (code, words) = if is_slack { (200, "ok") } else { (202, "{}") };
    let head = format!("HTTP/1.1 {code} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", words.len());
    reader.into_inner().write_all((head + words).as_bytes())
}

#[test]
fn the_team_reads_all_and_who_is_on_call_is_woken_for_one_tag() {
    let place = place("slack-and-pagerduty");
    let (port, posts) = services();
    let down = server([("/pay".to_owned(), 503), ("/blog".to_owned(), 503)].into());
    let rows = text("slack-and-pagerduty", "apis.toml")
        .replace("https://pay.example.org/health", &format!("http://127.0.0.1:{down}/pay"))
        .replace("https://blog.example.org/", &format!("http://127.0.0.1:{down}/blog"));
    place.write("apis.toml", &rows);
    let key = "routing_key = ";
    let settings = text("slack-and-pagerduty", "api-health.toml")
        .replace(key, &format!("url = \"http://127.0.0.1:{port}/pagerduty\"\n{key}"));
    place.write("api-health.toml", &settings);
    let mut command = place.command(&["run", "--once"]);
    command.env("SLACK_URL", format!("http://127.0.0.1:{port}/slack")).env("PAGERDUTY_KEY", "0123456789abcdef");
    let ran = finish(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    let posts = posts.lock().unwrap();
    let to =
        |path: &str| posts.iter().filter(|(to, _)| to == path).map(|(_, body)| body.to_string()).collect::<Vec<_>>();
    let (slack, pagerduty) = (to("/slack"), posts.iter().filter(|(path, _)| path.starts_with("/pagerduty")).count());
    assert_eq!(slack.len(), 2, "{posts:?}");
    assert!(slack.iter().any(|body| body.contains("payments")) && slack.iter().any(|body| body.contains("blog")));
    assert_eq!(pagerduty, 1, "{posts:?}");
    let woken = posts.iter().find(|(path, _)| path.starts_with("/pagerduty")).map(|(_, body)| body).unwrap();
    assert!(woken["event_action"] == "trigger" && woken.to_string().contains("payments"), "{woken}");
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
