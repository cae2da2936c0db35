//! What a row means where it says nothing: the built-in defaults, or those of `[probe]` in the settings.

use std::time::Duration;

use api_health_core::StatusSet;

use super::fields::{
    EXPECTED_STATUS, FAILURE_THRESHOLD, FLAP_CHANGES, FLAP_WINDOW_SECONDS, MAX_REDIRECTS, RECHECK_SECONDS, SCHEDULE,
    SUCCESS_THRESHOLD, TIMEOUT_SECONDS, TIMEZONE,
};
use super::shared_windows::SharedWindows;

/// The values that a row's missing fields take. The built-in ones are `ApiDefaults::default()`.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiDefaults {
    /// `timeout_seconds`.
    pub timeout: Duration,
    /// `schedule` or `interval_seconds`.
    pub when: DefaultSchedule,
    /// `timezone`, for a row with a `schedule` of its own as well.
    pub timezone: String,
    /// `expected_status`.
    pub expected_status: StatusSet,
    /// `failure_threshold`.
    pub failure_threshold: u32,
    /// `success_threshold`.
    pub success_threshold: u32,
    /// `recheck_seconds`.
    pub recheck: Duration,
    /// `unclear_after_seconds`; `None`: three intervals of the API, and five minutes at least.
    pub unclear_after: Option<Duration>,
    /// `flap_changes`; 0: never.
    pub flap_changes: u32,
    /// `flap_window_seconds`.
    pub flap_window: Duration,
    /// `remind_after_seconds`; `None`: never.
    pub remind_after: Option<Duration>,
    /// `max_redirects`.
    pub max_redirects: u8,
    /// `[maintenance]`: what a row has beside its own.
    pub maintenance: SharedWindows,
}

/// When an API is probed whose row does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultSchedule {
    /// A cron expression, in the default time zone or in the row's own.
    Cron(String),
    /// Every so often.
    Every(Duration),
}

impl Default for ApiDefaults {
    fn default() -> Self {
        Self {
            timeout: TIMEOUT_SECONDS.built_in().unwrap_or_default(),
            when: DefaultSchedule::Cron(SCHEDULE.built_in().unwrap_or_default()),
            timezone: TIMEZONE.built_in().unwrap_or_default(),
            expected_status: EXPECTED_STATUS.built_in().unwrap_or_default(),
            failure_threshold: FAILURE_THRESHOLD.built_in().unwrap_or_default(),
            success_threshold: SUCCESS_THRESHOLD.built_in().unwrap_or_default(),
            recheck: RECHECK_SECONDS.built_in().unwrap_or_default(),
            unclear_after: None,
            flap_changes: FLAP_CHANGES.built_in().unwrap_or_default(),
            flap_window: FLAP_WINDOW_SECONDS.built_in().unwrap_or_default(),
            remind_after: None,
            max_redirects: MAX_REDIRECTS.built_in().unwrap_or_default(),
            maintenance: SharedWindows::default(),
        }
    }
}
