//! Rows in the form of other programs.

use super::*;

#[test]
fn rows_that_are_written_for_gatus_are_read_as_the_same_rows() {
    for name in ["conditions.yaml", "requests.yaml", "dns.yaml", "kinds.yaml", "labels.yaml", "anchors.yaml"] {
        let import = super::import(Source::Gatus, "gatus", &[name]);
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
