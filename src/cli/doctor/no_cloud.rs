//! `cloud.rs` in a build without the feature `aws`: the settings refuse whatever there would be to look at.

use super::CheckUnderWay;
use super::report::Finding;
use crate::app::App;
use crate::settings::LoadedSettings;

pub(super) struct Cloud;

impl Cloud {
    pub(super) async fn look(_: &LoadedSettings, _: &App) -> (Self, Vec<Finding>) {
        (Self, Vec::new())
    }

    pub(super) fn missing(&self) -> Option<&'static str> {
        None
    }

    pub(super) fn checks<'a>(&'a self, _: &'a App) -> Vec<CheckUnderWay<'a>> {
        Vec::new()
    }

    pub(super) async fn count_quarantined(&self, _: &str) -> Result<u32, String> {
        Ok(0)
    }
}
