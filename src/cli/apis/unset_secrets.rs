//! References that this shell cannot fill in. The daemon's environment is usually another one (a systemd unit's), so
//! that writing a row does not depend on it: it is reported, and `apis validate` and `run` are strict.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::App;
use crate::cli::out::note;
use crate::configs::secrets::{SecretSource, SystemSecrets};
use crate::configs::validate::RowRules;

/// Stands where a secret cannot be read, and is good as a header's value.
const STAND_IN: &str = "x";

/// Fills in what it can, and remembers what it could not.
#[derive(Default)]
pub(in crate::cli) struct Unset(Mutex<BTreeSet<String>>);

impl Unset {
    /// The app's rules, with references filled in this way.
    pub(in crate::cli) fn rules(app: &App) -> (RowRules, Arc<Self>) {
        let unset = Arc::new(Self::default());
        let secrets: Arc<dyn SecretSource + Send + Sync> = Arc::<Self>::clone(&unset);
        (RowRules { secrets, ..(*app.rules).clone() }, unset)
    }

    /// Says what could not be filled in.
    pub(super) fn report(&self) {
        for reference in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            note(&format!("note: {reference} cannot be filled in from here; `api-health run` needs it where it runs"));
        }
    }

    fn missing(&self, reference: String) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(reference);
        STAND_IN.into()
    }
}

impl SecretSource for Unset {
    fn env(&self, name: &str) -> Result<String, String> {
        let found = SystemSecrets.env(name).ok().filter(|value| !value.is_empty());
        Ok(found.unwrap_or_else(|| self.missing(format!("${{env:{name}}}"))))
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let found = SystemSecrets.file(path).ok().filter(|text| !text.is_empty());
        Ok(found.unwrap_or_else(|| self.missing(format!("${{file:{}}}", path.display().to_string().escape_debug()))))
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        let found = SystemSecrets.credential(name).ok().filter(|text| !text.is_empty());
        Ok(found.unwrap_or_else(|| self.missing(format!("${{credential:{}}}", name.escape_debug()))))
    }

    fn is_stand_in(&self, text: &str) -> bool {
        text.trim() == STAND_IN
    }
}

/// Any reference filled in with the same stand-in, for commands to which secrets do not matter.
pub(in crate::cli) struct AnySecret;

impl SecretSource for AnySecret {
    fn env(&self, _: &str) -> Result<String, String> {
        Ok(STAND_IN.into())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok(STAND_IN.into())
    }

    fn credential(&self, _: &str) -> Result<String, String> {
        Ok(STAND_IN.into())
    }

    fn is_stand_in(&self, text: &str) -> bool {
        text.trim() == STAND_IN
    }
}
