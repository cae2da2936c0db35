//! Sites of Upptime.

use super::*;

#[test]
fn a_site_of_upptime_becomes_a_row() {
    let import = super::import(Source::Upptime, "upptime", &["headers.yml"]);
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
    let import = super::import(Source::Upptime, "upptime", &["codes.yml"]);
    assert_eq!(row(&import, "login-page")["expected_status"], "200,302,401");
    assert_eq!(row(&import, "teapot")["max_redirects"], 10);
    let import = super::import(Source::Upptime, "upptime", &["texts.yml"]);
    assert_eq!(row(&import, "backend")["assert"], serde_json::json!(["body contains Hello from the backend"]));
    let expected = ["latency < 4000 ms", "body lacks Application error"];
    assert_eq!(row(&import, "frontend")["assert"], serde_json::json!(expected));
    let import = super::import(Source::Upptime, "upptime", &["tcp.yml"]);
    assert_eq!((&row(&import, "game-server")["url"], import.rows.len()), (&"tcp://game.example.org:25565".into(), 2));
    let import = super::import(Source::Upptime, "upptime", &["schedule.yml"]);
    assert_eq!(row(&import, "hourly")["schedule"], "*/15 * * * *");
    let import = super::import(Source::Upptime, "upptime", &["slugs.yml"]);
    let ids: Vec<_> = import.rows.iter().map(|row| row.fields["api_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["japan", "api", "same", "same-2"]);
    let import = super::import(Source::Upptime, "upptime", &["notifications.yml"]);
    assert!(channels_to_toml(&import.channels).contains("chat_id = \"${env:NOTIFICATION_TELEGRAM_CHAT_ID}\""));
}
