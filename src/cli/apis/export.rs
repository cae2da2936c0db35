//! `apis export`: the table as it was written, literal secrets and all, so that it can be imported again; or in another program's form.

use api_health_import::{Program, Unsaid};
use serde_json::{Map, Value, json};

use super::existing_table;
use crate::app::{App, AppError};
use crate::cli::out::{Out, note};
use crate::configs::defaults::{ApiDefaults, DefaultSchedule};
use crate::configs::file;
use crate::exit::Exit;

pub(super) async fn export(app: &App, to: Option<Program>, out: &Out) -> Result<Exit, AppError> {
    let rows = existing_table(app).await?.rows().await?;
    match to {
        None => out.data(&file::to_toml(&rows).map_err(AppError::Unavailable)?)?,
        Some(program) => {
            let rows: Vec<Map<String, Value>> =
                rows.iter().map(|row| with_defaults(row.fields.clone(), &app.rules.defaults)).collect();
            let export = api_health_import::export(program, &rows);
            out.data(&export.text)?;
            for Unsaid { api_id, field, why } in &export.unsaid {
                note(&format!("note: {api_id}: {field}: {why}"));
            }
        }
    }
    if rows.is_empty() {
        note(&format!("{} has no APIs", app.table_name()));
    }
    Ok(Exit::Ok)
}

/// What a row leaves to the settings, which the other program does not know.
fn with_defaults(mut row: Map<String, Value>, defaults: &ApiDefaults) -> Map<String, Value> {
    let mut set = |name: &str, value: Value| {
        row.entry(name).or_insert(value);
    };
    set("timeout_seconds", json!(defaults.timeout.as_secs()));
    set("expected_status", json!(defaults.expected_status.to_string()));
    set("failure_threshold", json!(defaults.failure_threshold));
    set("success_threshold", json!(defaults.success_threshold));
    set("max_redirects", json!(defaults.max_redirects));
    if !row.contains_key("schedule") && !row.contains_key("interval_seconds") {
        match &defaults.when {
            DefaultSchedule::Every(interval) => row.insert("interval_seconds".into(), json!(interval.as_secs())),
            DefaultSchedule::Cron(expression) => row.insert("schedule".into(), json!(expression)),
        };
    }
    row
}
