//! The source of secrets where they are not read: each reference stands for the same text.

use std::path::Path;

use super::secrets::SecretSource;

/// Stands where a secret is not read, and is good as a header's value.
pub(crate) const STAND_IN: &str = "x";

/// Any reference filled in with this text.
pub(crate) struct Same(pub(crate) &'static str);

impl SecretSource for Same {
    fn env(&self, _: &str) -> Result<String, String> {
        Ok(self.0.into())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.into())
    }

    fn is_stand_in(&self, text: &str) -> bool {
        text.trim() == self.0
    }

    fn credential(&self, _: &str) -> Result<String, String> {
        Ok(self.0.into())
    }
}
