//! References that this shell cannot fill in. The daemon's environment is usually another one (a systemd unit's), so
//! that writing a row does not depend on it: it is reported, and `apis validate` and `run` are strict.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::App;
use crate::cli::out::note;
use crate::configs::secrets::{SecretSource, SystemSecrets};
use crate::configs::stand_in::STAND_IN;
use crate::configs::validate::RowRules;

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

    fn or_stand_in(&self, found: Result<String, String>, reference: impl FnOnce() -> String) -> Result<String, String> {
        Ok(found.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(reference());
            STAND_IN.into()
        }))
    }
}

impl SecretSource for Unset {
    fn env(&self, name: &str) -> Result<String, String> {
        self.or_stand_in(SystemSecrets.env(name), || format!("${{env:{name}}}"))
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        self.or_stand_in(SystemSecrets.file(path), || {
            format!("${{file:{}}}", path.display().to_string().escape_debug())
        })
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        self.or_stand_in(SystemSecrets.credential(name), || format!("${{credential:{}}}", name.escape_debug()))
    }

    fn is_stand_in(&self, text: &str) -> bool {
        text.trim() == STAND_IN
    }
}
