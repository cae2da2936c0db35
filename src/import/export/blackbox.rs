//! Targets of the blackbox exporter, one entry for each row, for `file_sd_configs`. How a target is asked stands in a module.

use serde_json::{Map, Value, json};

use super::super::secrets::has_reference;
use super::{Export, Fields};

pub(super) fn export(rows: &[Map<String, Value>]) -> Export {
    let (mut entries, mut export) = (Vec::new(), Export::default());
    for row in rows {
        let mut fields = Fields::of(row);
        let url = fields.text("url").unwrap_or_default();
        if fields.take("enabled") == Some(&Value::Bool(false)) {
            export.unsaid.push(fields.unsaid("enabled", "it is switched off, and left out"));
            continue;
        }
        let kind = fields.text("kind").unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or((kind, url));
        let (target, module) = match scheme {
            "tcp" => (rest, "tcp_connect"),
            "tls" => (rest, "tls_connect"),
            "dns" => {
                export.unsaid.push(
                    fields
                        .unsaid("url", "a module of the exporter names what is asked of a name server; it is left out"),
                );
                continue;
            }
            _ => (url, "http_2xx"),
        };
        if has_reference(url) || url.contains("${file:") || url.contains("${credential:") {
            export.unsaid.push(fields.unsaid("url", "it has a reference, and targets have none; it is left out"));
            continue;
        }
        let mut labels = Map::new();
        labels.insert("api_id".into(), json!(fields.api_id));
        labels.insert("module".into(), json!(module));
        if let Some(name) = fields.text("name") {
            labels.insert("name".into(), json!(name));
        }
        let tags = fields.texts("tags");
        if !tags.is_empty() {
            labels.insert("tags".into(), json!(tags.join(",")));
        }
        fields.take("api_id");
        // What every module of that name does.
        let usual = [("expected_status", json!("2xx")), ("method", json!("GET"))];
        for (name, value) in usual {
            if fields.rest.iter().any(|(known, found)| *known == name && **found == value) {
                fields.take(name);
            }
        }
        for (name, _) in std::mem::take(&mut fields.rest) {
            let why = match name.as_str() {
                "interval_seconds" | "schedule" | "timezone" => "it is `scrape_interval` of a job",
                "timeout_seconds" => "it is `scrape_timeout` of a job, or `timeout` of a module",
                "failure_threshold" | "success_threshold" | "recheck_seconds" => "it is `for` of an alert rule",
                _ => "it stands in a module of the exporter",
            };
            export.unsaid.push(fields.unsaid(name, why));
        }
        entries.push(json!({ "targets": [target], "labels": labels }));
    }
    export.text = format!("{:#}\n", Value::Array(entries));
    export
}
