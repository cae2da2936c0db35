//! Alerts that are held: what happens is decided as ever, and alerted when no reason is left to wait.
//!
//! There is one rule, and [`decide`](crate::decide()) keeps it. A confirmed change is alerted when nothing holds it. What holds it is a
//! maintenance window, a parent that is down, or that it changes too often ([`flap`](crate::flap)). When no hold is left, the next outcome
//! that confirms the status compares it with what was alerted last, and only a difference is alerted: at most one alert.
//!
//! Nothing is kept in a list meanwhile. The record has the truth (`status`, `incident`) and what was alerted last (`last_alerted`); [`Held`]
//! adds what neither of them says. So a hold survives kill -9 and a change of owner as any state does.

use std::fmt;

use crate::api::ApiId;
use crate::incident::Incident;
use crate::status::Status;
use crate::time::Timestamp;

/// Why alerts of an API are held just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A maintenance window is open.
    Maintenance {
        /// When it ends.
        until: Timestamp,
        /// What a person wrote about it; empty: nothing.
        note: String,
    },
    /// An API that it depends on is down.
    ParentDown(ApiId),
    /// An API that it depends on has to be asked first whether it is down as well.
    ParentUnsure(ApiId),
    /// It changes too often.
    Flapping,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maintenance { until, note } if note.is_empty() => write!(f, "maintenance until {until}"),
            Self::Maintenance { until, note } => write!(f, "maintenance until {until}: {note}"),
            Self::ParentDown(parent) => write!(f, "{parent}, which it depends on, is down"),
            Self::ParentUnsure(parent) => write!(f, "{parent}, which it depends on, is probed first"),
            Self::Flapping => f.write_str("it is flapping"),
        }
    }
}

/// Changes that were confirmed and not alerted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The status before the first of them.
    pub from: Status,
    /// How many.
    pub changes: u32,
    /// When the last of them was confirmed.
    pub confirmed_at: Timestamp,
    /// What held it.
    pub why: String,
    /// The outage that was alerted last, if its end is among them. When the API goes down once more it goes on.
    pub ended: Option<Box<Incident>>,
}
