//! `cloud.rs` in a build without the feature `aws`. The settings refuse what would lead here (`settings/load.rs`), so that a
//! person reads of it there, with line and key.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::leases::Leases;
use api_health_actors::ports::{Clock, HistoryStore, Notifier, StateStore};

use super::AppError;
use crate::configs::raw::RowTable;
use crate::settings::load::NO_AWS;
use crate::settings::{Settings, SnsSettings};

/// Nothing is looked for.
pub(super) const PREFLIGHT_MAX: Duration = Duration::ZERO;

pub(super) async fn states(_: &Settings, (): &Region) -> Result<Arc<dyn StateStore>, AppError> {
    refuse()
}

pub(super) async fn history(_: &Settings, (): &Region) -> Result<Option<Arc<dyn HistoryStore>>, AppError> {
    refuse()
}

pub(super) async fn configs(_: &Settings, (): &Region) -> Result<Arc<dyn RowTable>, AppError> {
    refuse()
}

pub(super) async fn leases(_: &Settings, (): &Region) -> Result<Arc<dyn Leases>, AppError> {
    refuse()
}

pub(super) async fn topic(
    _: &SnsSettings,
    _: &Settings,
    _: Arc<dyn Clock>,
    _: bool,
) -> Result<Arc<dyn Notifier>, AppError> {
    refuse()
}

/// None is needed.
pub(super) type Region = ();

fn refuse<T>() -> Result<T, AppError> {
    Err(AppError::BadConfigs(format!("this {NO_AWS}")))
}
