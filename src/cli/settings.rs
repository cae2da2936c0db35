//! `settings show`: what is in force and where each value comes from, secrets masked. Where a daemon runs, that is what it has; what is
//! written otherwise is told.

use std::path::Path;

use serde_json::Value;

use super::out::{Out, note};
use super::text::line;
use crate::app::AppError;
use crate::control::client::{self, ControlError, Found};
use crate::control::protocol::{Answer, Request};
use crate::environment;
use crate::exit::Exit;
use crate::settings::reader::Origin;
use crate::settings::{LoadedSettings, show};

/// Settings that are paths: relative ones begin at another folder there.
const PATHS: [&str; 2] = ["apis.file", "probe.extra_roots"];

/// `settings show`.
///
/// # Errors
/// Every fault of the settings.
pub(super) fn show(file: Option<&Path>, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let mut loaded = super::settings_in_force(file).map_err(AppError::Configuration)?;
    let said = actix_rt::System::new().block_on(of_the_daemon(&mut loaded));
    if as_json {
        out.json(&show::json(&loaded))?;
    } else {
        out.print(&show::table(&loaded))?;
    }
    if let Some(text) = said {
        note(&text);
    }
    Ok(Exit::Ok)
}

/// A setting that the daemon has otherwise than it is written.
pub(super) struct Other {
    key: String,
    has: Value,
    written: Value,
}

impl Other {
    /// All of them in one line.
    pub(super) fn words(others: &[Self]) -> String {
        let one = |other: &Self| format!("{} (it has {}, written is {})", other.key, other.has, other.written);
        line(&others.iter().map(one).collect::<Vec<_>>().join(", "))
    }
}

/// Puts what a daemon on the same store has in the place of what is written, and says what that is; `None` if there is none that this
/// user may ask.
async fn of_the_daemon(loaded: &mut LoadedSettings) -> Option<String> {
    let found = match client::find(&loaded.settings, &environment::get).await {
        Ok(found) => found?,
        Err(ControlError::NotOurs) => return None,
        Err(error) => return Some(line(&error.to_string())),
    };
    let daemon = format!("the daemon (pid {}, since {})", found.who.pid, line(&found.who.since));
    let others = match others(loaded, &found).await {
        Ok(others) => others?, // it ended meanwhile
        Err(why) => return Some(why),
    };
    for effective in &mut loaded.effective {
        if let Some(other) = others.iter().find(|other| other.key == effective.key) {
            (effective.value, effective.origin) = (other.has.clone(), Origin::Daemon(found.who.pid));
        }
    }
    Some(match &others[..] {
        [] => format!("{daemon} runs with these settings (secrets are not compared)"),
        others => format!("{daemon} runs with other settings than are written: {}", Other::words(others)),
    })
}

/// What a daemon has otherwise than it is written; `None`: it is gone.
///
/// # Errors
/// It does not answer.
pub(super) async fn others(loaded: &LoadedSettings, found: &Found) -> Result<Option<Vec<Other>>, String> {
    match client::ask(&found.path, &Request::Settings).await {
        Ok(Some(Answer::Settings { settings })) => {
            let folder = std::env::current_dir().unwrap_or_default();
            Ok(Some(differences(&show::json(loaded), &folder, &settings, found)))
        }
        Ok(_) => Ok(None),
        Err(error) => Err(line(&error.to_string())),
    }
}

/// The settings of `ours` whose value is another one there.
fn differences(ours: &Value, folder: &Path, theirs: &Value, found: &Found) -> Vec<Other> {
    let value = |settings: &Value, key: &str, folder: &Path| {
        let whole = |path: &Value| path.as_str().map(|path| Value::from(folder.join(path).to_string_lossy()));
        let value = &settings[key]["value"];
        let paths = value.as_array().map(|list| list.iter().filter_map(whole).collect());
        paths.or_else(|| whole(value)).filter(|_| PATHS.contains(&key)).unwrap_or_else(|| value.clone())
    };
    // The file of the store is the same one, by whatever name.
    let keys = ours.as_object().into_iter().flat_map(|settings| settings.keys()).filter(|key| *key != "store.path");
    let their_folder = Path::new(&found.who.folder);
    let both = keys.map(|key| (key, value(theirs, key, their_folder), value(ours, key, folder)));
    both.filter(|(_, has, written)| has != written)
        .map(|(key, has, written)| Other { key: key.clone(), has, written })
        .collect()
}
