//! The files below `tests/testdata/import`, each of a shape that people have in public: their fields are all accounted for.

use std::path::{Path, PathBuf};

use super::*;

/// The variables that are set while these files are read.
fn environment(name: &str) -> Option<String> {
    (name == "IMPORT_TEST_HOST").then(|| "env.example.org".into())
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testdata/import").join(name)
}

fn file(folder_name: &str, name: &str) -> File {
    let bytes = std::fs::read(folder(folder_name).join(name)).unwrap();
    File { name: name.to_owned(), content: Content::Bytes(bytes) }
}

fn import(source: Source, folder: &str, names: &[&str]) -> Import {
    let files: Vec<File> = names.iter().map(|name| file(folder, name)).collect();
    let import = read(source, &files, &environment, &[]).unwrap_or_else(|faults| panic!("{names:?}: {faults:?}"));
    check_sum(&import, &format!("{names:?}"));
    import
}

/// Every field is judged once.
pub(super) fn check_sum(import: &Import, what: &str) {
    let judged: usize = import.entries.iter().map(|entry| entry.fields).sum();
    let list: Vec<String> = import.entries.iter().map(|entry| format!("{} {}", entry.fields, entry.path)).collect();
    assert_eq!(judged, import.fields, "{what}: not each field is judged once:\n{}", list.join("\n"));
}

/// A row as one line of JSON.
fn row(import: &Import, api_id: &str) -> serde_json::Value {
    let found = import.rows.iter().find(|row| row.fields["api_id"] == api_id);
    let ids = || import.rows.iter().map(|row| row.fields["api_id"].to_string()).collect::<Vec<_>>();
    serde_json::Value::Object(found.unwrap_or_else(|| panic!("{api_id} is not among {:?}", ids())).fields.clone())
}

/// Why what stands at a path is lost, or how it is near.
fn said(import: &Import, path: &str) -> String {
    let entry = import.entries.iter().find(|entry| entry.path == path);
    match &entry.unwrap_or_else(|| panic!("nothing is said of {path}")).verdict {
        Verdict::Taken => "taken".into(),
        Verdict::Near(how) => format!("near: {how}"),
        Verdict::Lost(why) => format!("lost: {why}"),
    }
}

fn all_of(source: Source, name: &str, least: usize) {
    let mut names: Vec<String> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= least, "{names:?}");
    for file in &names {
        let import = import(source, name, &[file]);
        let again = read(source, &[super::tests::file(name, file)], &environment, &[]).unwrap();
        assert_eq!(import.rows, again.rows, "{file}: the same file gives the same rows");
        for row in &import.rows {
            let text = serde_json::to_string(&row.fields).unwrap();
            assert!(!text.contains("hunter"), "{file}: a secret stands in a row: {text}");
        }
        assert!(!channels_to_toml(&import.channels).contains("hunter"), "{file}");
    }
}

#[test]
fn every_field_of_every_file_is_accounted_for() {
    all_of(Source::Gatus, "gatus", 15);
    all_of(Source::Upptime, "upptime", 10);
    all_of(Source::Blackbox, "blackbox", 10);
}

#[test]
fn an_endpoint_of_gatus_becomes_a_row() {
    let import = import(Source::Gatus, "gatus", &["conditions.yaml"]);
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
    let import = import(Source::Gatus, "gatus", &["alerting.yaml"]);
    let checkout = row(&import, "shop-checkout");
    assert_eq!((&checkout["failure_threshold"], &checkout["success_threshold"]), (&3.into(), &1.into()));
    assert_eq!(checkout["remind_after_seconds"], 3600);
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
    assert_eq!(names, ["SLACK_URL", "PAGERDUTY_KEY", "TELEGRAM_TOKEN", "EMAIL_PASSWORD"]);
}

#[test]
fn secrets_and_references_of_gatus_become_references_of_ours() {
    let import = super::tests::import(Source::Gatus, "gatus", &["requests.yaml"]);
    assert_eq!(row(&import, "login")["body"], "${env:LOGIN_BODY}");
    assert_eq!(row(&import, "graph")["headers"]["Authorization"], "Bearer ${env:GRAPH_AUTHORIZATION}");
    assert_eq!(row(&import, "search")["url"], "https://api.example.org/v1/find?api_key=${env:SEARCH_API_KEY}&q=a");
    let place = import.secrets[0].place.clone().unwrap();
    assert_eq!(place, "requests.yaml, line 9: endpoints[0].body");
    let import = super::tests::import(Source::Gatus, "gatus", &["environment.yaml"]);
    assert_eq!(row(&import, "by-path")["url"], "https://hooks.example.org/${env:HOOK_PATH}/$5");
    assert_eq!(row(&import, "by-path")["headers"]["Authorization"], "Bearer ${env:API_TOKEN}");
    assert_eq!(row(&import, "by-host")["url"], "https://env.example.org/health");
    assert!(said(&import, "endpoints[2]").contains("IMPORT_TEST_NOT_SET"));
    let import = super::tests::import(Source::Gatus, "gatus", &["labels.yaml"]);
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
    let import = super::tests::import(Source::Gatus, "gatus", &["dns.yaml"]);
    let resolver = row(&import, "dns-resolver");
    assert_eq!(resolver["url"], "dns://192.0.2.53/www.example.org?type=A");
    assert_eq!((&resolver["expected_answers"], import.rows.len()), (&["192.0.2.80"][..].into(), 2));
    let import = super::tests::import(Source::Gatus, "gatus", &["kinds.yaml"]);
    assert_eq!(import.rows.len(), 2);
    assert!(said(&import, "endpoints[4]").starts_with("lost: wss is not spoken"));
    let import = super::tests::import(Source::Gatus, "gatus", &["maintenance.yaml"]);
    let windows = ["0 2 * * * for 90m", "30 23 * * MON,THU Europe/Berlin for 60m"];
    assert_eq!(row(&import, "nightly")["maintenance"], serde_json::json!(windows));
    let import = super::tests::import(Source::Gatus, "gatus", &["configmap.yaml"]);
    assert_eq!(import.rows[0].location, "configmap.yaml, line 9");
    let import = super::tests::import(Source::Gatus, "gatus", &["suites.yaml"]);
    assert!(said(&import, "endpoints[0]").contains("SSH tunnel") && import.rows.len() == 1);
}

#[test]
fn several_files_are_one_configuration_and_broken_ones_are_all_named() {
    let import = import(Source::Gatus, "gatus", &["alerting.yaml", "minimal.yaml"]);
    assert_eq!(import.rows.len(), 4);
    let bytes = |name: &str, bytes: &[u8]| File { name: name.into(), content: Content::Bytes(bytes.to_vec()) };
    let files = [bytes("a.yaml", b"endpoints: [\n"), bytes("b.yaml", b"x: \"\xff\"\n"), bytes("c.yaml", b"a: 1")];
    let faults = read(Source::Gatus, &files, &environment, &[]).unwrap_err();
    let places: Vec<&str> = faults.iter().map(|fault| fault.location.as_str()).collect();
    assert_eq!(places, ["a.yaml, line 2, column 1", "b.yaml, line 1"]);
}

#[test]
fn a_site_of_upptime_becomes_a_row() {
    let import = import(Source::Upptime, "upptime", &["headers.yml"]);
    assert_eq!(
        row(&import, "api"),
        serde_json::json!({
            "api_id": "api", "name": "API", "url": "https://api.example.org/v1/me", "method": "POST",
            "headers": {
                "Content-Type": "application/json", "Authorization": "Bearer ${env:API_TOKEN}",
                "X-Api-Key": "${env:API_X_API_KEY}",
            },
            "body": "{\"ping\": true}", "schedule": "*/5 * * * *", "timeout_seconds": 30, "success_threshold": 1,
            "max_redirects": 3, "expected_status": "200-208,226,300-308",
        })
    );
    assert_eq!(row(&import, "secret-path")["url"], "https://hooks.example.org/${env:HOOK_PATH}");
    let import = super::tests::import(Source::Upptime, "upptime", &["codes.yml"]);
    assert_eq!(row(&import, "login-page")["expected_status"], "200,302,401");
    assert_eq!(row(&import, "teapot")["max_redirects"], 10);
    let import = super::tests::import(Source::Upptime, "upptime", &["texts.yml"]);
    assert_eq!(row(&import, "backend")["assert"], serde_json::json!(["body contains Hello from the backend"]));
    let expected = ["latency < 4000 ms", "body lacks Application error"];
    assert_eq!(row(&import, "frontend")["assert"], serde_json::json!(expected));
    let import = super::tests::import(Source::Upptime, "upptime", &["tcp.yml"]);
    assert_eq!((&row(&import, "game-server")["url"], import.rows.len()), (&"tcp://game.example.org:25565".into(), 2));
    let import = super::tests::import(Source::Upptime, "upptime", &["schedule.yml"]);
    assert_eq!(row(&import, "hourly")["schedule"], "*/15 * * * *");
    let import = super::tests::import(Source::Upptime, "upptime", &["slugs.yml"]);
    let ids: Vec<_> = import.rows.iter().map(|row| row.fields["api_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["japan", "api", "same", "same-2"]);
    let import = super::tests::import(Source::Upptime, "upptime", &["notifications.yml"]);
    assert!(channels_to_toml(&import.channels).contains("chat_id = \"${env:NOTIFICATION_TELEGRAM_CHAT_ID}\""));
}

/// A database made by a script.
pub(super) fn database(script: &str) -> (tempfile::TempDir, File) {
    let folder_of_it = tempfile::tempdir().unwrap();
    let path = folder_of_it.path().join("kuma.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.execute_batch(&std::fs::read_to_string(folder("kuma").join(script)).unwrap()).unwrap();
    (folder_of_it, File { name: "kuma.db".into(), content: Content::Database(path) })
}

#[test]
fn monitors_of_a_database_of_kuma_become_rows() {
    let (_folder, file) = database("kuma-2.sql");
    let import = read(Source::Kuma, &[file.clone()], &environment, &[]).unwrap();
    check_sum(&import, "kuma-2.sql");
    assert_eq!(read(Source::Kuma, &[file], &environment, &[]).unwrap().rows, import.rows);
    assert_eq!(
        row(&import, "shop-checkout"),
        serde_json::json!({
            "api_id": "shop-checkout", "name": "Checkout", "url": "https://shop.example.org/health", "method": "GET",
            "interval_seconds": 60, "timeout_seconds": 48, "failure_threshold": 3, "success_threshold": 1, "recheck_seconds": 20,
            "remind_after_seconds": 600, "expected_status": "200-299,304", "max_redirects": 10,
            "tags": ["Shop", "prod", "team:shop", "to-ops-chat", "to-phone"],
            "maintenance": ["30 22 * * 1,5 Europe/Berlin for 150m", "30 3 * * * for 60m"],
        })
    );
    let search = row(&import, "shop-search");
    assert_eq!(search["assert"], serde_json::json!(["body lacks no results"]));
    assert_eq!(search["headers"]["X-Api-Key"], "${env:SHOP_SEARCH_X_API_KEY}");
    assert_eq!((&search["body"], &search["timeout_seconds"]), (&"{\"q\": \"a\"}".into(), &24.into()));
    assert_eq!(search["maintenance"], serde_json::json!(["2099-12-01T22:00:00Z to 2099-12-02T02:00:00Z"]));
    let queue = row(&import, "queue");
    assert_eq!(queue["basic_auth"], "monitor:${env:QUEUE_PASSWORD}");
    assert_eq!(queue["assert"], serde_json::json!(["json $.depth < 1000"]));
    assert_eq!(row(&import, "complex")["proxy"], "http://monitor:${env:COMPLEX_PROXY_PASSWORD}@proxy.example.org:3128");
    assert_eq!(row(&import, "database")["url"], "tcp://db.example.org:5432");
    assert_eq!(row(&import, "names")["url"], "dns://192.0.2.53/www.example.org?type=AAAA");
    let orders = row(&import, "orders");
    assert_eq!((&orders["enabled"], &orders["ip_family"]), (&false.into(), &"ipv4".into()));
    assert_eq!(orders["oauth2"]["client_secret"], "${env:ORDERS_CLIENT_SECRET}");
    assert_eq!(import.rows.len(), 7);
    for (path, why) in [
        ("monitorList[7]", "lost: push is not asked"),
        ("monitorList[9]", "lost: it is upside down"),
        ("monitorList[4].json_path", "lost: a path is one of RFC 9535"),
        ("monitorList[10].proxy_id", "lost: a proxy is one of HTTP, not socks5"),
        ("monitorList[10].ignore_tls", "lost: a certificate is always checked"),
        ("notificationList[2]", "lost: there is no such channel"),
        ("maintenanceList[2]", "lost: windows by hand"),
        ("stat_daily", "lost: history by counts"),
    ] {
        assert!(said(&import, path).starts_with(why), "{path}: {}", said(&import, path));
    }
    let everything = format!("{:?}{}", import.rows, channels_to_toml(&import.channels));
    assert!(!everything.contains("hunter"), "{everything}");
    assert!(
        everything.contains("kind = \"ntfy\"\nserver = \"https://ntfy.example.org\"\ntoken = \"${env:PHONE_TOKEN}\"")
    );
}

#[test]
fn monitors_of_a_backup_of_kuma_become_rows() {
    let import = import(Source::Kuma, "kuma", &["backup-1.json"]);
    let blog = row(&import, "blog-grinning");
    assert_eq!((&blog["name"], &blog["failure_threshold"]), (&"Blog 😀".into(), &2.into()));
    assert_eq!(blog["headers"], serde_json::json!({"Authorization": "Bearer ${env:BLOG_GRINNING_AUTHORIZATION}"}));
    assert_eq!(blog["tags"], serde_json::json!(["blog", "to-telegram"]));
    let line = import.entries.iter().find(|entry| entry.path == "monitorList[1].port").unwrap().line;
    assert_eq!(line, 53);
    assert!(said(&import, "monitorList[0].headers").starts_with("near: without what the client writes: Connection"));
    assert_eq!(row(&import, "mail")["url"], "tcp://mail.example.org:25");
    let other = File { name: "x.json".into(), content: Content::Bytes(b"{\"a\": 1}".to_vec()) };
    assert!(read(Source::Kuma, &[other], &environment, &[]).unwrap_err()[0].why.contains("has no monitorList"));
    let (folder_of_it, _) = database("kuma-2.sql");
    let path = folder_of_it.path().join("empty.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    let empty = File { name: "empty.db".into(), content: Content::Database(path) };
    assert!(read(Source::Kuma, &[empty], &environment, &[]).unwrap_err()[0].why.contains("has no table monitor"));
}

#[test]
fn targets_of_the_blackbox_exporter_become_rows() {
    let import = import(Source::Blackbox, "blackbox", &["prometheus.yml", "rules.yml"]);
    assert_eq!(
        row(&import, "shop.example.org-health"),
        serde_json::json!({
            "api_id": "shop.example.org-health", "name": "shop", "url": "https://shop.example.org/health",
            "interval_seconds": 60, "timeout_seconds": 10, "expected_status": "2xx", "max_redirects": 10,
            "failure_threshold": 4, "certificate_days": [7], "tags": ["blackbox", "env:prod", "service:shop"],
        })
    );
    assert_eq!(row(&import, "files.example.org")["basic_auth"], "user:${env:FILES_EXAMPLE_ORG_PASSWORD}");
    assert!(said(&import, "scrape_configs[0]").starts_with("lost: this job does not ask"));
    assert!(said(&import, "groups[0].rules[1]").starts_with("lost: there is no such rule"));
    let import = super::tests::import(Source::Blackbox, "blackbox", &["modules-jobs.yml", "modules.yml"]);
    let api = row(&import, "api.example.org-ping");
    assert_eq!(
        api["assert"],
        serde_json::json!([
            "body matches \"\\\"ok\\\"\\\\s*:\\\\s*true\"",
            "body lacks Could not connect",
            "header Strict-Transport-Security matches max-age=[0-9]+",
            "header X-Debug lacks enabled",
            "tls >= 1.2",
        ])
    );
    assert_eq!((&api["method"], &api["max_redirects"], &api["ip_family"]), (&"POST".into(), &0.into(), &"ipv6".into()));
    assert_eq!((&api["expected_status"], &api["server_name"]), (&"200-201,204".into(), &"inner.example.org".into()));
    assert_eq!((&api["interval_seconds"], &api["timeout_seconds"]), (&15.into(), &10.into()));
    assert_eq!(api["headers"]["X-Api-Key"], "${env:HTTP_POST_JSON_X_API_KEY}");
    assert_eq!(row(&import, "www.example.org")["timeout_seconds"], 5);
    assert_eq!(row(&import, "blog.example.org")["url"], "http://blog.example.org");
    assert_eq!(row(&import, "login.example.org-me")["basic_auth"], "monitor:${env:HTTP_LOGIN_PASSWORD}");
    assert_eq!(row(&import, "token.example.org-me")["bearer_token"], "${file:/etc/blackbox/token}");
    assert_eq!(row(&import, "orders.example.org")["oauth2"]["scope"], "health");
    assert_eq!(row(&import, "db.example.org-5432")["url"], "tcp://db.example.org:5432");
    assert_eq!(row(&import, "mail.example.org-993")["url"], "tls://mail.example.org:993");
    assert_eq!(row(&import, "192.0.2.54-53")["url"], "dns://192.0.2.54/www.example.org?type=A");
    assert!(
        said(&import, "modules.unused").starts_with("lost: no job")
            && said(&import, "modules.icmp").starts_with("lost: icmp")
    );
    assert!(said(&import, "modules.http_post_json.http.fail_if_body_matches_regexp[1]").starts_with("lost"));
}

#[test]
fn relabelling_of_the_usual_form_is_followed_and_any_other_is_said() {
    let import = import(Source::Blackbox, "blackbox", &["file-sd.yml", "web-targets.json"]);
    assert_eq!(row(&import, "two.example.org-8080-health")["url"], "http://two.example.org:8080/health");
    assert!(said(&import, "scrape_configs[0].file_sd_configs[0].files[1]").starts_with("lost: no such file"));
    let import = super::tests::import(Source::Blackbox, "blackbox", &["by-label.yml"]);
    assert_eq!(row(&import, "db.example.org-6379")["url"], "tcp://db.example.org:6379");
    assert_eq!(
        row(&import, "shop.example.org-health")["tags"],
        serde_json::json!(["mixed", "module:http_2xx", "region:eu-central"])
    );
    assert!(
        said(&import, "scrape_configs[0].static_configs[2].targets[0]").contains("its module of_nobody is not among")
    );
    assert!(said(&import, "scrape_configs[0].relabel_configs[3]").starts_with("lost: labels are not made"));
    let import = super::tests::import(Source::Blackbox, "blackbox", &["prefixed.yml"]);
    assert_eq!(row(&import, "a.example.org-healthz")["url"], "https://a.example.org/healthz");
    let import = super::tests::import(Source::Blackbox, "blackbox", &["unusual.yml"]);
    assert_eq!(import.rows.len(), 0);
    assert!(said(&import, "scrape_configs[1]").contains("the action keep may change its targets"));
    let import = super::tests::import(Source::Blackbox, "blackbox", &["alertmanager.yml"]);
    let toml = channels_to_toml(&import.channels);
    for line in [
        "name = \"team\"\nkind = \"slack\"\nurl = \"${env:TEAM_URL}\"",
        "name = \"team-email\"\nkind = \"email\"\nfrom = \"alerts@example.org\"\npassword = \"${env:TEAM_EMAIL_PASSWORD}\"\nto = \"ops@example.org\"",
        "name = \"oncall\"\nkind = \"pagerduty\"\nrouting_key = \"${env:ONCALL_ROUTING_KEY}\"",
        "token = \"${file:/etc/alertmanager/telegram}\"",
    ] {
        assert!(toml.contains(line), "{line}\n{toml}");
    }
}

fn mapped(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect()
}

#[test]
fn lines_of_a_table_become_rows() {
    let import = read(Source::Csv, &[file("csv", "uptimerobot.csv")], &environment, &[]).unwrap();
    check_sum(&import, "uptimerobot.csv");
    assert_eq!(
        row(&import, "shop-checkout"),
        serde_json::json!({
            "api_id": "shop-checkout", "name": "Shop, checkout", "interval_seconds": 60,
            "url": "https://shop.example.org/checkout?token=${env:SHOP_CHECKOUT_TOKEN}",
            "assert": ["body contains Add \"to\" cart"], "basic_auth": "monitor:${env:SHOP_CHECKOUT_PASSWORD}",
        })
    );
    let closed = row(&import, "maintenance-page");
    assert_eq!((&closed["assert"][0], &closed["enabled"]), (&"body lacks We are closed".into(), &false.into()));
    assert_eq!(row(&import, "database")["url"], "tcp://db.example.org:5432");
    assert!(said(&import, "row 5:").starts_with("lost: ping is not asked"));
    assert!(said(&import, "row 1:Alert Contacts").starts_with("lost: nothing is known"));

    let pairs = mapped(&[("url", "Website"), ("name", "Title"), ("tags", "Team")]);
    let import = read(Source::Csv, &[file("csv", "semicolons.csv")], &environment, &pairs).unwrap();
    check_sum(&import, "semicolons.csv");
    assert_eq!(
        row(&import, "home"),
        serde_json::json!({
            "api_id": "home", "name": "Home", "url": "https://www.example.org", "interval_seconds": 300,
            "method": "HEAD", "tags": ["web", "eu"],
        })
    );
    assert_eq!(said(&import, "row 2:"), "lost: it has no URL");
    for (text, pairs, why) in [
        ("a,b\n1,2\n", mapped(&[]), "has no column that is known to hold URLs"),
        ("a,b\n1,2\n", mapped(&[("url", "c")]), "has no column c"),
    ] {
        let bad = File { name: "x.csv".into(), content: Content::Bytes(text.into()) };
        assert_eq!(read(Source::Csv, &[bad], &environment, &pairs).unwrap_err()[0].why, why);
    }
}

#[test]
fn rows_that_are_written_for_gatus_are_read_as_the_same_rows() {
    for name in ["conditions.yaml", "requests.yaml", "dns.yaml", "kinds.yaml", "labels.yaml", "anchors.yaml"] {
        let import = import(Source::Gatus, "gatus", &[name]);
        let rows: Vec<_> = import.rows.iter().map(|row| row.fields.clone()).collect();
        let export = export(Program::Gatus, &rows);
        let written = File { name: "again.yaml".into(), content: Content::Bytes(export.text.clone().into()) };
        let again = read(Source::Gatus, &[written], &environment, &[])
            .unwrap_or_else(|faults| panic!("{faults:?}\n{}", export.text));
        for (row, again) in rows.iter().zip(&again.rows) {
            for field in [
                "url",
                "name",
                "method",
                "body",
                "headers",
                "expected_status",
                "interval_seconds",
                "basic_auth",
                "expected_answers",
                "enabled",
            ] {
                assert_eq!(row.get(field), again.fields.get(field), "{name}: {field}\n{}", export.text);
            }
        }
        assert_eq!(rows.len(), again.rows.len());
    }
}

#[test]
fn what_another_program_cannot_say_is_named() {
    let row = serde_json::json!({
        "api_id": "shop", "name": "Shop", "url": "https://shop.example.org/", "schedule": "*/5 * * * *", "tags": ["a", "b"],
        "expected_status": "200-299,301", "assert": ["json $.a in [1, \"1\"]", "tls >= 1.3", "latency < 2 s"],
        "bearer_token": "${file:/x}", "certificate_days": [7], "depends_on": ["db"], "failure_threshold": 2,
    });
    let rows = [row.as_object().unwrap().clone()];
    let gatus = export(Program::Gatus, &rows);
    for line in ["- name: \"Shop\"\n", "[BODY].a == 1\"", "[RESPONSE_TIME] < 2000\"", "[STATUS] == any(200, 201, "] {
        assert!(gatus.text.contains(line), "{line}\n{}", gatus.text);
    }
    let fields: Vec<&str> = gatus.unsaid.iter().map(|unsaid| unsaid.field.as_str()).collect();
    let want =
        ["tags", "schedule", "headers.Authorization", "assert", "failure_threshold", "certificate_days", "depends_on"];
    assert_eq!(fields, want);
    let blackbox = export(Program::Blackbox, &rows);
    let targets: serde_json::Value = serde_json::from_str(&blackbox.text).unwrap();
    let labels = serde_json::json!({"api_id": "shop", "module": "http_2xx", "name": "Shop", "tags": "a,b"});
    assert_eq!(targets, serde_json::json!([{"targets": ["https://shop.example.org/"], "labels": labels}]));
    assert_eq!(blackbox.unsaid.len(), 7, "{:?}", blackbox.unsaid);
}
