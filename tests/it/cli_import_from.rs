//! `apis import --from`: what is told, what is written, and that the rows can be asked.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::cli::{Place, Ran, finish};

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/import").join(name)
}

#[test]
fn each_field_is_told_of_and_the_same_files_again_have_nothing_to_do() {
    let place = Place::new();
    std::fs::copy(testdata("gatus/alerting.yaml"), place.path("gatus.yaml")).unwrap();
    std::fs::copy(testdata("gatus/minimal.yaml"), place.path("more.yaml")).unwrap();
    let import = ["apis", "import", "--from", "gatus", "gatus.yaml", "more.yaml", "--channels", "channels.toml"];
    let with = |more: &'static str| import.iter().copied().chain([more]).collect::<Vec<&str>>();

    let dry = place.ok(&with("--dry-run"));
    assert!(dry.contains("+ shop-checkout  gatus.yaml, line 27, "), "{dry}");
    assert!(
        dry.contains("x gatus.yaml, line 45: endpoints[1].alerts[0].description: an alert says what was seen"),
        "{dry}"
    );
    assert!(dry.contains("~ gatus.yaml, line 3: alerting.slack.webhook-url"), "{dry}");
    assert!(dry.contains("\n46 fields of 4 rows: 24 taken, 15 near, 7 lost\n"), "{dry}");
    assert!(dry.contains("SLACK_URL           stands in gatus.yaml, line 3"), "{dry}");
    assert!(dry.contains("channels.toml: 4 channels would be written\n"), "{dry}");
    assert!(dry.contains(": 4 to add, 0 to change, 0 to remove; 0 unchanged\n"), "{dry}");
    assert!(!dry.contains("hunter2") && !dry.contains("T0/B0"), "{dry}");
    let told: Value = serde_json::from_str(&place.ok(&[&import[..], &["--dry-run", "--json"]].concat())).unwrap();
    assert_eq!(told["summary"], json!({"fields": 46, "taken": 24, "near": 15, "lost": 7}));
    let lost =
        told["fields"].as_array().unwrap().iter().find(|field| field["path"] == "endpoints[1].alerts[0].description");
    let lost = lost.unwrap();
    assert_eq!((&lost["verdict"], &lost["api_id"], &lost["line"]), (&json!("lost"), &json!("shop-search"), &json!(45)));
    assert_eq!((told["rows"].as_array().unwrap().len(), &told["secrets"][1]["place"]), (4, &Value::Null));
    assert!(!place.files().contains(&"channels.toml".into()), "a dry run writes nothing");

    let done = place.ok(&with("--yes"));
    assert!(done.ends_with(": 4 added, 0 changed, 0 removed\n"), "{done}");
    let channels = std::fs::read_to_string(place.path("channels.toml")).unwrap();
    assert!(channels.contains("[[notify.channel]]\nname = \"slack\"\nkind = \"slack\"\n"), "{channels}");
    let again = place.ok(&with("--yes"));
    assert!(again.contains(": nothing to do; 4 unchanged\n"), "{again}");

    place.write("channels.toml", "# mine\n");
    let refused = place.run(&with("--yes"));
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.err.contains("channels.toml: the file is there and holds something else"), "{refused:?}");
}

#[test]
fn a_row_that_is_refused_is_lost_and_the_others_are_taken() {
    let place = Place::new();
    let metadata = "endpoints:\n  - name: metadata\n    url: http://169.254.169.254/\n    conditions: ['[STATUS] == 200']\n  \
                    - name: good\n    url: http://good.example.org/\n    conditions: ['[STATUS] == 200']\n";
    let told = place.run_with_input(&["apis", "import", "--from", "gatus", "-", "--yes"], metadata);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("x metadata") && told.out.contains("its row is refused: url:"), "{told:?}");
    assert!(told.out.ends_with(": 1 added, 0 changed, 0 removed\n"), "{told:?}");
}

#[test]
fn faults_of_the_command_line_and_of_files_are_told_with_what_to_write() {
    let place = Place::new();
    place.write("a.yaml", "endpoints: [\n");
    place.write("b.toml", "");
    for (args, fault) in [
        (
            &["apis", "import", "--from", "gatus", "a.yaml", "none.yaml", "--yes"][..],
            "none.yaml: the file is not there; write the path of a file of theirs",
        ),
        (&["apis", "import", "--from", "gatus", "a.yaml", "--yes"], "a.yaml, line 2, column 1: the text is no YAML"),
        (&["apis", "import", "b.toml", "b.toml", "--yes"], "apis import: 2 files are more than one; write one after"),
        (&["apis", "import", "--from", "gatus", "-"], "standard input holds the rows"),
    ] {
        let ran = finish(&mut place.command(args));
        assert!(ran.code == 64 && ran.err.contains(fault), "{args:?}: {ran:?}");
    }
    let ran = place.run(&["apis", "import", "--from", "nagios", "a.yaml"]);
    assert!(ran.code != 0 && ran.err.contains("possible values: gatus, kuma, blackbox"), "{ran:?}");
}

/// Every file that is there, with the program that it is of.
fn files() -> Vec<(&'static str, PathBuf)> {
    let mut files = Vec::new();
    for program in ["gatus", "upptime", "blackbox", "kuma", "csv"] {
        let entries = std::fs::read_dir(testdata(program)).unwrap();
        files.extend(entries.map(|entry| (program, entry.unwrap().path())));
    }
    files.sort();
    files
}

/// Imports a file, with modules of the exporter where it needs them.
fn import(place: &Place, program: &str, path: &Path) -> Ran {
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut command = place.command(&["apis", "import", "--yes", "--from", program]);
    if name.ends_with(".sql") {
        let database = place.path("kuma.db");
        if !database.exists() {
            let script = std::fs::read_to_string(path).unwrap();
            rusqlite::Connection::open(&database).unwrap().execute_batch(&script).unwrap();
        }
        command.arg(database);
    } else {
        command.arg(path);
    }
    match name {
        "modules-jobs.yml" => drop(command.arg(path.with_file_name("modules.yml"))),
        "file-sd.yml" => drop(command.arg(path.with_file_name("web-targets.json"))),
        "semicolons.csv" => drop(command.args(["--map", "url=Website,name=Title,tags=Team"])),
        _ => {}
    }
    finish(command.env("IMPORT_TEST_HOST", "env.example.org"))
}

#[test]
fn rows_of_all_files_are_good_and_the_same_import_again_has_nothing_to_do() {
    for (program, path) in files() {
        let place = Place::new();
        let first = import(&place, program, &path);
        assert_eq!(first.code, 0, "{path:?}: {first:?}");
        assert!(!first.out.contains("its row is refused"), "{path:?}: {}", first.out);
        assert!(!first.out.contains("hunter"), "{path:?}: a secret is shown: {}", first.out);
        let again = import(&place, program, &path);
        assert!(again.code == 0 && again.out.contains("nothing to do; "), "{path:?}: {again:?}");
    }
}

#[test]
fn channels_of_all_files_are_good_settings_once_their_secrets_are_set() {
    let mut tried = 0;
    for (program, path) in files() {
        let place = Place::new();
        let channels = place.path("channels.toml");
        let mut command = place.command(&["apis", "import", "--yes", "--from", program, "--channels"]);
        command.arg(&channels).env("IMPORT_TEST_HOST", "env.example.org").arg(&path);
        if path.extension().is_some_and(|ending| ending == "sql") || finish(&mut command).code != 0 {
            continue;
        }
        let Ok(written) = std::fs::read_to_string(&channels) else { continue };
        let written = written.replace("${file:/etc/alertmanager/telegram}", "a token");
        place.write("channels.toml", &written);
        let mut shown = place.command(&["--settings", "channels.toml", "settings", "show"]);
        for name in written.split("${env:").skip(1).filter_map(|rest| rest.split('}').next()) {
            shown.env(name, "https://hooks.example.com/x");
        }
        let ran = finish(&mut shown);
        assert!(ran.code == 0 && ran.out.contains("notify.channel."), "{path:?}: {ran:?}\n{written}");
        tried += 1;
    }
    assert!(tried >= 4, "{tried} of the files name channels");
}

/// What the server says, by the end of what is asked for; anything else is a page.
const ANSWERS: [(&str, &str); 14] = [
    ("1-laptop/shop.example.org/health", "{\"status\": \"UP\"}"),
    ("1-cron/shop.example.org/health", "{\"status\": \"UP\"}"),
    ("api.example.org/users", "{\"data\": [{\"name\": \"john\"}], \"count\": 2, \"version\": \"2.1\"}"),
    ("www.example.org/hello", "<html><h1>Hello</h1></html>"),
    ("www.example.org/ping", "pong"),
    ("files.example.org/status.php", "{\"installed\": true, \"maintenance\": false}"),
    ("api.example.org/login", "{\"token\": \"0123456789abcdef\"}"),
    ("api.example.org/graphql", "{\"data\": {\"viewer\": {\"login\": \"monitor\"}}}"),
    ("ingress.example.org/healthz", "ok"),
    ("legacy.example.org/health", "{\"status\": \"UP\"}"),
    ("backend.example.org/api/", "Hello from the backend"),
    ("queue.example.org/api", "{\"depth\": 5}"),
    ("api.example.org/ping", "{\"ok\": true}"),
    ("shop.example.org/checkout?token=x", "<a>Add \"to\" cart</a>"),
];

/// A server that answers each path with the status that is expected there.
pub(crate) fn server(codes: BTreeMap<String, u16>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let codes = codes.clone();
            std::thread::spawn(move || answer(stream, &codes));
        }
    });
    port
}

fn answer(mut stream: TcpStream, codes: &BTreeMap<String, u16>) -> Option<()> {
    let (mut head, mut some) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut some).ok()? {
            0 => return None,
            read => head.extend_from_slice(&some[..read]),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut words = head.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let code = codes.get(path).copied().unwrap_or(404);
    let body = ANSWERS.iter().find(|(end, _)| path.ends_with(end)).map_or("<p>fine</p>", |(_, body)| body);
    let shown = if method == "HEAD" || code == 204 { "" } else { body };
    let length = if code == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let head =
        format!("HTTP/1.1 {code} x\r\nstrict-transport-security: max-age=60\r\n{length}connection: close\r\n\r\n");
    stream.write_all(format!("{head}{shown}").as_bytes()).ok()
}

/// A code of `expected_status`: 200 if it is one.
fn code(expected: &str) -> u16 {
    let bounds = |part: &str| -> (u16, u16) {
        let part = part.trim().replace("2xx", "200-299");
        let (from, to) = part.split_once('-').unwrap_or((&part, &part));
        (from.parse().unwrap(), to.parse().unwrap())
    };
    let ranges: Vec<(u16, u16)> = expected.split(',').map(bounds).collect();
    if ranges.iter().any(|(from, to)| (*from..=*to).contains(&200)) { 200 } else { ranges[0].0 }
}

/// A row that asks the server of this test, at `PORT`, for what it asked another one for; a pass is enough to be up. `None` where it
/// speaks neither HTTP nor just TCP.
pub(crate) fn moved(
    row: &Map<String, Value>,
    under: &str,
    codes: &mut BTreeMap<String, u16>,
) -> Option<Map<String, Value>> {
    let mut row = row.clone();
    let url = row["url"].as_str().unwrap().to_owned();
    let (scheme, rest) = url.split_once("://").unwrap();
    row["api_id"] = format!("{under}-{}", row["api_id"].as_str().unwrap()).into();
    // What is of another server, or of TLS.
    let others = [
        "proxy",
        "server_name",
        "ca_certificates",
        "client_certificate",
        "client_key",
        "oauth2",
        "ip_family",
        "bearer_token",
        "enabled",
        "schedule",
        "certificate_days",
        "depends_on",
    ];
    others.iter().for_each(|field| drop(row.remove(*field)));
    if let Some(Value::Array(assertions)) = row.get_mut("assert") {
        assertions.retain(|assertion| !assertion.as_str().unwrap().starts_with("tls"));
    }
    row.insert("success_threshold".into(), json!(1));
    row.insert("failure_threshold".into(), json!(1));
    match scheme {
        "http" | "https" => {
            let mut path = format!("/{under}/{rest}");
            while let Some((before, behind)) = path.split_once("${env:") {
                path = format!("{before}x{}", behind.split_once('}').unwrap().1);
            }
            let expected = row.get("expected_status").and_then(Value::as_str).unwrap_or("2xx");
            codes.insert(path.clone(), code(expected));
            row["url"] = format!("http://127.0.0.1:PORT{path}").into();
        }
        "tcp" => row["url"] = "tcp://127.0.0.1:PORT".into(),
        _ => return None,
    }
    Some(row)
}

#[test]
fn rows_of_all_files_pass_on_a_server_of_their_shape() {
    let (mut rows, mut codes) = (Vec::new(), BTreeMap::new());
    for (number, (program, path)) in files().into_iter().enumerate() {
        let place = Place::new();
        assert_eq!(import(&place, program, &path).code, 0, "{path:?}");
        if !place.files().contains(&"api-health.db".into()) {
            continue; // nothing in it can be asked
        }
        let exported: Value = toml::from_str(&place.ok(&["apis", "export"])).unwrap();
        for row in exported["api"].as_array().into_iter().flatten() {
            rows.extend(moved(row.as_object().unwrap(), &format!("{number}"), &mut codes));
        }
    }
    assert!(rows.len() > 80, "{}", rows.len());
    let port = server(codes).to_string();
    let place = Place::new();
    let text = toml::to_string(&json!({ "api": rows })).unwrap().replace("PORT", &port);
    place.write("rows.toml", &text);
    place.write("api-health.toml", "[apis]\nfile = \"rows.toml\"\nfrom_store = false\n");
    let mut command = place.command(&["run", "--once"]);
    for part in text.split("${env:").skip(1) {
        command.env(part.split_once('}').unwrap().0, "x");
    }
    let ran = finish(&mut command);
    let status = place.json(&["status"]);
    let not_up: Vec<&Value> = status["apis"].as_array().unwrap().iter().filter(|api| api["status"] != "up").collect();
    assert!(not_up.is_empty() && ran.code == 0, "{not_up:#?}\n{ran:?}");
    assert_eq!(status["summary"]["up"], rows.len());
}

#[test]
fn what_comes_out_of_a_pipe_is_read_from_its_first_byte() {
    let endpoint = "endpoints:\n  - name: shop\n    url: https://shop.example.org/\n";
    let ran = Place::new().run_with_input(&["apis", "import", "--from", "gatus", "/dev/stdin", "--dry-run"], endpoint);
    assert!(ran.code == 0 && ran.out.contains("+ shop "), "{ran:?}");
}

#[test]
fn the_table_is_written_for_other_programs_and_what_they_cannot_say_is_noted() {
    let place = Place::new();
    place.ok(&["apis", "add", "--url", "https://shop.example.org/health", "--id", "shop", "--set", "tags=[\"eu\"]"]);
    let targets = place.run(&["apis", "export", "--to", "blackbox"]);
    let found: Value = serde_json::from_str(&targets.out).unwrap();
    let labels = json!({"api_id": "shop", "module": "http_2xx", "tags": "eu"});
    assert_eq!(found, json!([{"targets": ["https://shop.example.org/health"], "labels": labels}]));
    assert!(targets.err.contains("note: shop: schedule: it is `scrape_interval` of a job"), "{targets:?}");
    let endpoints = place.run(&["apis", "export", "--to", "gatus"]);
    assert!(endpoints.out.starts_with("endpoints:\n  - name: \"shop\"\n    group: \"eu\"\n"), "{endpoints:?}");
    assert!(endpoints.err.contains("note: shop: schedule: */2 * * * *: Gatus knows intervals alone"), "{endpoints:?}");
    place.write("again.yaml", &endpoints.out);
    let again = place.ok(&["apis", "import", "--from", "gatus", "again.yaml", "--dry-run"]);
    assert!(again.contains("\"https://shop.example.org/health\"") && again.contains(" 0 lost\n"), "{again}");
}
