//! Monitors of Uptime Kuma.

use super::*;

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
    let import = read(Source::Kuma, std::slice::from_ref(&file), &environment, &[]).unwrap();
    check_sum(&import, "kuma-2.sql");
    assert_eq!(read(Source::Kuma, &[file], &environment, &[]).unwrap().rows, import.rows);
    assert_eq!(
        row(&import, "shop-checkout"),
        serde_json::json!({
            "api_id": "shop-checkout", "name": "Checkout", "url": "https://shop.example.org/health", "method": "GET",
            "interval_seconds": 60, "timeout_seconds": 48, "failure_threshold": 3, "success_threshold": 1, "recheck_seconds": 20,
            "remind_after_seconds": 600, "expected_status": "200-299,304", "max_redirects": 10,
            "tags": ["Shop", "prod", "team:shop", "to-ops-chat", "to-phone"],
            "maintenance": ["30 22 * * 1,5 Europe/Berlin for 150m"],
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
        everything.contains("kind = \"ntfy\"\ntoken = \"${env:PHONE_TOKEN}\"\ntopic = \"${env:PHONE_TOPIC}\"\nurl = \"https://ntfy.example.org\"")
    );
}

#[test]
fn monitors_of_a_backup_of_kuma_become_rows() {
    let import = super::import(Source::Kuma, "kuma", &["backup-1.json"]);
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
fn a_table_of_kuma_has_so_many_rows_at_most() {
    let (_folder, file) = database("kuma-2.sql");
    let Content::Database(path) = &file.content else { unreachable!() };
    let many = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n LIMIT 100001)
                INSERT INTO notification (id, name) SELECT i, 'x' FROM n";
    rusqlite::Connection::open(path).unwrap().execute_batch(many).unwrap();
    let fault = read(Source::Kuma, &[file], &environment, &[]).unwrap_err().remove(0);
    assert!(fault.why.contains("notification has more than 100000 rows"), "{fault:?}");
}

#[test]
fn a_database_that_is_in_use_is_read_and_left_as_it_is() {
    let (_folder, file) = database("kuma-2.sql");
    let Content::Database(path) = &file.content else { unreachable!() };
    let running = rusqlite::Connection::open(path).unwrap();
    running.pragma_update(None, "journal_mode", "wal").unwrap();
    running
        .execute_batch("UPDATE monitor SET name = 'Cart' WHERE id = 2; BEGIN IMMEDIATE; DELETE FROM monitor")
        .unwrap();
    let before = std::fs::read(path).unwrap();
    let import = read(Source::Kuma, std::slice::from_ref(&file), &environment, &[]).unwrap();
    assert_eq!(
        row(&import, "shop-cart")["name"],
        "Cart",
        "what is in its log is seen, and what is not committed is not"
    );
    assert_eq!(std::fs::read(path).unwrap(), before);
}
