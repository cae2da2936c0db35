//! Why a command could not do its work, and the exit code that says so.

use std::fmt;

use api_health_actors::ports::{SourceError, StoreError};
use api_health_core::ConfigFault;

use crate::exit::Exit;

/// Why a command could not do its work, in words for the person at the terminal.
#[derive(Debug)]
pub enum AppError {
    /// What they wrote is bad; every fault.
    Configuration(Vec<ConfigFault>),
    /// No source of configs can be read, and a person must mend that.
    BadConfigs(String),
    /// Something outside is not there, and what to do about it.
    Unavailable(String),
    /// The same, where it may be there later without anybody's doing.
    NotYet(String),
    /// What was asked for is not there.
    NotThere(String),
    /// A fault of ours.
    Internal(String),
}

impl AppError {
    /// The exit code that says so.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) | Self::BadConfigs(_) => Exit::BadConfiguration,
            Self::Unavailable(_) | Self::NotYet(_) => Exit::Unavailable,
            Self::NotThere(_) => Exit::Fail,
            Self::Internal(_) => Exit::Internal,
        }
    }
}

impl fmt::Display for AppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(faults) => {
                for (index, fault) in faults.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{fault}")?;
                }
                Ok(())
            }
            Self::BadConfigs(text)
            | Self::Unavailable(text)
            | Self::NotYet(text)
            | Self::NotThere(text)
            | Self::Internal(text) => f.write_str(text),
        }
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<SourceError> for AppError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Unavailable(what) => Self::Unavailable(what),
            SourceError::Misconfigured(fault) => Self::Configuration(vec![fault]),
        }
    }
}
