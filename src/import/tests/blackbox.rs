//! Targets of Prometheus' blackbox exporter.

use super::*;

#[test]
fn targets_of_the_blackbox_exporter_become_rows() {
    let import = super::import(Source::Blackbox, "blackbox", &["prometheus.yml", "rules.yml"]);
    assert_eq!(
        row(&import, "shop.example.org-health"),
        serde_json::json!({
            "api_id": "shop.example.org-health", "name": "shop", "url": "https://shop.example.org/health",
            "interval_seconds": 60, "timeout_seconds": 10, "expected_status": "2xx", "max_redirects": 10,
            "failure_threshold": 4, "recheck_seconds": 60, "certificate_days": [7], "tags": ["blackbox", "env:prod", "service:shop"],
        })
    );
    assert_eq!(row(&import, "files.example.org")["basic_auth"], "user:${env:FILES_EXAMPLE_ORG_PASSWORD}");
    assert!(said(&import, "scrape_configs[0]").starts_with("lost: this job does not ask"));
    assert!(said(&import, "groups[0].rules[1]").starts_with("lost: there is no such rule"));
    let import = super::import(Source::Blackbox, "blackbox", &["modules-jobs.yml", "modules.yml"]);
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
    let import = super::import(Source::Blackbox, "blackbox", &["file-sd.yml", "web-targets.json"]);
    assert_eq!(row(&import, "two.example.org-8080-health")["url"], "http://two.example.org:8080/health");
    assert!(said(&import, "scrape_configs[0].file_sd_configs[0].files[1]").starts_with("lost: no such file"));
    let import = super::import(Source::Blackbox, "blackbox", &["by-label.yml"]);
    assert_eq!(row(&import, "db.example.org-6379")["url"], "tcp://db.example.org:6379");
    assert_eq!(
        row(&import, "shop.example.org-health")["tags"],
        serde_json::json!(["mixed", "module:http_2xx", "region:eu-central"])
    );
    assert!(
        said(&import, "scrape_configs[0].static_configs[2].targets[0]").contains("its module of_nobody is not among")
    );
    assert!(said(&import, "scrape_configs[0].relabel_configs[3]").starts_with("lost: labels are not made"));
    let import = super::import(Source::Blackbox, "blackbox", &["prefixed.yml"]);
    assert_eq!(row(&import, "a.example.org-healthz")["url"], "https://a.example.org/healthz");
    let import = super::import(Source::Blackbox, "blackbox", &["unusual.yml"]);
    assert_eq!(import.rows.len(), 0);
    assert!(said(&import, "scrape_configs[1]").contains("the action keep may change its targets"));
    let import = super::import(Source::Blackbox, "blackbox", &["alertmanager.yml"]);
    let toml = channels_to_toml(&import.channels);
    for line in [
        "name = \"team\"\nkind = \"slack\"\nurl = \"${env:TEAM_URL}\"",
        "name = \"team-email\"\nkind = \"email\"\nfrom = \"alerts@example.org\"\npassword = \"${env:TEAM_EMAIL_PASSWORD}\"\nto = \"ops@example.org\"",
        "name = \"oncall\"\nkind = \"pagerduty\"\nrouting_key = \"${env:ONCALL_ROUTING_KEY}\"",
        "bot_token = \"${file:/etc/alertmanager/telegram}\"",
    ] {
        assert!(toml.contains(line), "{line}\n{toml}");
    }
}
