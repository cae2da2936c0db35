//! `apis add` and `apis rm`, and the one way in which a row is written.

use api_health_core::{ApiConfig, ConfigFault};
use serde_json::{Map, Value};

use super::unset_secrets::Unset;
use super::{changed, set};
use crate::app::{App, AppError};
use crate::cli::args::AddArgs;
use crate::cli::configured;
use crate::cli::out::{Out, note};
use crate::cli::text;
use crate::configs::fields::{API_ID, NAME};
use crate::configs::files;
use crate::configs::raw::{RawRow, RowTable};
use crate::configs::urls;
use crate::configs::values::{ValueFault, quote};
use crate::exit::Exit;

/// Where a row stands that was written on the command line.
const COMMAND_LINE: &str = "command line";

/// `apis add`.
pub(super) async fn add(app: &App, args: &AddArgs, out: &Out) -> Result<Exit, AppError> {
    let mut faults = Vec::new();
    let mut fields = Map::new();
    for row in urls::rows(std::slice::from_ref(&args.url)) {
        fields = row.fields; // the URL with its scheme, and an id made from it
    }
    if let Some(api_id) = &args.api_id {
        fields.insert(API_ID.name.into(), Value::String(api_id.clone()));
    }
    if let Some(name) = &args.name {
        fields.insert(NAME.name.into(), Value::String(name.clone()));
    }
    set::apply(&mut fields, &args.set, &mut faults);
    let config = check(app, &fields, COMMAND_LINE, faults)?;
    let table = app.open_table().await?;
    let api_id = config.api_id.to_string();
    if table.get(api_id.clone()).await?.is_some() {
        let what = format!("the api_id {}", quote(&api_id));
        let why = format!("is already in {}", table.name());
        let remedy = format!("another one with --id, or change that row: api-health apis edit {api_id} --set …");
        return Err(AppError::Configuration(vec![ValueFault::new(what, why, remedy).at(COMMAND_LINE)]));
    }
    put(app, &*table, fields, &config, &format!("added {api_id} to"), out).await
}

/// Writes a row that was checked, and says what was agreed to.
pub(super) async fn put(
    app: &App,
    table: &dyn RowTable,
    fields: Map<String, Value>,
    config: &ApiConfig,
    done: &str,
    out: &Out,
) -> Result<Exit, AppError> {
    table.put(fields).await?;
    out.print(&format!("{done} {}\n{}", table.name(), promise(config)))?;
    changed::announce(app, std::iter::once(config.api_id.as_str())).await;
    note_if_shadowed(app, config.api_id.as_str());
    Ok(Exit::Ok)
}

/// `apis rm`.
pub(super) async fn rm(app: &App, api_id: &str, out: &Out) -> Result<Exit, AppError> {
    let table = super::existing_table(app).await?;
    if table.delete(api_id.to_owned()).await? {
        out.print(&format!("removed {} from {}\n", text::line(api_id), table.name()))?;
        changed::announce(app, std::iter::once(api_id)).await;
        if table.rows().await?.is_empty() {
            note(&format!(
                "note: {} is empty now, and a running api-health takes that for a fault and keeps its last API; restart \
                 it, or disable an API instead: api-health apis edit API_ID --set enabled=false",
                table.name()
            ));
        }
        return Ok(Exit::Ok);
    }
    Err(not_in(app, &*table, api_id).await)
}

/// Says that a row is not in the table, and whether it is in the file.
pub(super) async fn not_in(app: &App, table: &dyn RowTable, api_id: &str) -> AppError {
    let elsewhere = configured::read(app)
        .await
        .into_iter()
        .filter(|source| source.name != table.name())
        .find(|source| source.rows.as_ref().is_ok_and(|rows| rows.iter().any(|row| row.api_id() == Some(api_id))));
    let hint = match elsewhere {
        Some(file) => format!("it is in {}; edit that file", file.name),
        None => "see `api-health apis list`".into(),
    };
    AppError::NotThere(format!("{} has no API {}; {hint}", table.name(), quote(api_id)))
}

/// Checks a row before it is written. References that cannot be filled in here are told and let through.
///
/// # Errors
/// `faults` and every fault of the row.
pub(super) fn check(
    app: &App,
    fields: &Map<String, Value>,
    location: &str,
    mut faults: Vec<ConfigFault>,
) -> Result<ApiConfig, AppError> {
    let (rules, unset) = Unset::rules(app);
    let row = RawRow { location: location.into(), fields: fields.clone() };
    match rules.check(&row) {
        Ok(config) if faults.is_empty() => {
            unset.report();
            if let Some(remark) = config.schedule.remark() {
                note(&format!("note: the schedule {remark}"));
            }
            Ok(config)
        }
        Ok(_) => Err(AppError::Configuration(faults)),
        Err(refused) => {
            faults.extend(refused.faults);
            Err(AppError::Configuration(faults))
        }
    }
}

/// What was agreed to, in a sentence: when it is asked, and how soon an outage is told.
fn promise(config: &ApiConfig) -> String {
    if !config.enabled {
        return format!("  {}: disabled, so it is not probed\n", text::line(&config.url));
    }
    let (schedule, detected) = (&config.schedule, text::at_most(config.worst_detection()));
    format!("  {}: probed {}, an outage is told within {detected}\n", text::line(&config.url), text::schedule(schedule))
}

/// A row of the same id in the file wins over the table's.
fn note_if_shadowed(app: &App, api_id: &str) {
    let (rows, _) = files::rows_of(&app.settings.apis.files);
    if let Some(row) = rows.iter().find(|row| row.api_id() == Some(api_id)) {
        note(&format!("note: {} has a row {api_id} as well, which wins over the table's", row.location));
    }
    note_if_not_read(app);
}

/// Says it where rows of the table are not watched at all.
pub(super) fn note_if_not_read(app: &App) {
    if !app.settings.apis.from_store {
        note("note: the table is not read: [apis] from_store is false in the settings");
    }
}
