//! `settings show`: what is in force and where each value comes from, secrets masked; and whether a running daemon has others.

use std::path::Path;

use serde_json::Value;

use super::out::{Out, note};
use super::text::line;
use crate::app::AppError;
use crate::control::client::{self, ControlError, Found};
use crate::control::protocol::{Answer, Request};
use crate::environment;
use crate::exit::Exit;
use crate::settings::{LoadedSettings, show};

/// Settings that are paths: relative ones begin at another folder there.
const PATHS: [&str; 2] = ["apis.file", "probe.extra_roots"];

/// `settings show`.
///
/// # Errors
/// Every fault of the settings.
pub(super) fn show(file: Option<&Path>, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let loaded = super::settings_in_force(file).map_err(AppError::Configuration)?;
    if as_json {
        out.json(&show::json(&loaded))?;
    } else {
        out.print(&show::table(&loaded))?;
    }
    if let Some(text) = actix_rt::System::new().block_on(of_the_daemon(&loaded)) {
        note(&text);
    }
    Ok(Exit::Ok)
}

/// What a daemon on the same store runs with; `None` if there is none that this user may ask.
async fn of_the_daemon(loaded: &LoadedSettings) -> Option<String> {
    let found = match client::find(&loaded.settings, &environment::get).await {
        Ok(found) => found?,
        Err(ControlError::NotOurs) => return None,
        Err(error) => return Some(line(&error.to_string())),
    };
    let daemon = format!("the daemon (pid {}, since {})", found.who.pid, line(&found.who.since));
    Some(match client::ask(&found.path, &Request::Settings).await {
        Ok(Some(Answer::Settings { settings })) => {
            let folder = std::env::current_dir().unwrap_or_default();
            let others = differences(&show::json(loaded), &folder, &settings, &found);
            if others.is_empty() {
                format!("{daemon} runs with these settings (secrets are not compared)")
            } else {
                format!("{daemon} runs with other settings: {}", others.join(", "))
            }
        }
        Ok(_) => return None, // it ended meanwhile
        Err(error) => line(&error.to_string()),
    })
}

/// The keys of `ours` whose value is another one there.
fn differences(ours: &Value, folder: &Path, theirs: &Value, found: &Found) -> Vec<String> {
    let value = |settings: &Value, key: &str, folder: &Path| {
        let value = settings[key]["value"].clone();
        match value.as_str().filter(|_| PATHS.contains(&key)) {
            Some(path) => Value::from(folder.join(path).to_string_lossy()),
            None => value,
        }
    };
    // The file of the store is the same one, by whatever name.
    let keys = ours.as_object().into_iter().flat_map(|settings| settings.keys()).filter(|key| *key != "store.path");
    let their_folder = Path::new(&found.who.folder);
    keys.filter(|key| value(ours, key, folder) != value(theirs, key, their_folder)).cloned().collect()
}
