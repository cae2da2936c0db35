//! What is stored, for commands that show it: read without making a store, and what cannot be read is named.

use api_health_actors::ports::{LoadedStates, UnreadableState};
use api_health_core::delivery::OwedAlert;
use serde_json::{Value, json};

use super::out::note;
use super::text;
use crate::app::{App, AppError};

/// A store that is not there is not made by looking.
pub(super) fn must_exist(app: &App) -> Result<(), AppError> {
    if app.store_exists() {
        return Ok(());
    }
    Err(AppError::NotThere(format!(
        "{} is not there, or empty, so nothing was watched yet with these settings; write `api-health run https://…` to \
         begin, or see `api-health settings show` for the store that is meant",
        app.store_name()
    )))
}

/// The states of the store, which is not created.
pub(super) async fn load_states(app: &App) -> Result<LoadedStates, AppError> {
    must_exist(app)?;
    Ok(app.open_store().await?.load_all().await?)
}

/// Names the records that make no sense.
pub(super) fn report_unreadable(unreadable: &[UnreadableState]) {
    for record in unreadable {
        let (id, why) = (text::line(&record.api_id), text::line(&record.why));
        note(&format!("error: the stored state of {id} cannot be read: {why}; its API starts again as unknown"));
    }
}

/// The same for machines.
pub(super) fn json_of_unreadable(unreadable: &[UnreadableState]) -> Value {
    unreadable.iter().map(|record| json!({ "api_id": record.api_id, "why": record.why })).collect()
}

/// The channels that must have an alert and have not. One that was stored before alerts named their channels is owed to those
/// that are set here.
pub(super) fn owed_to(app: &App, owed: &OwedAlert) -> Vec<String> {
    if owed.owed_to.is_empty() {
        let lacking = app.channels().into_iter().filter(|channel| !owed.is_delivered(channel));
        return lacking.map(str::to_owned).collect();
    }
    owed.pending_channels().map(str::to_owned).collect()
}
