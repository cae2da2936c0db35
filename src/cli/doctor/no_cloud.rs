//! `cloud.rs` in a build without the feature `aws`: the settings refuse whatever there would be to look at.

use super::Task;
use super::report::Finding;
use crate::app::App;
use crate::settings::LoadedSettings;

pub(super) struct Cloud;

impl Cloud {
    pub(super) async fn find(_: &LoadedSettings, _: &App) -> (Self, Vec<Finding>) {
        (Self, Vec::new())
    }

    pub(super) fn tasks<'a>(&'a self, _: &'a App) -> Vec<Task<'a>> {
        Vec::new()
    }
}
