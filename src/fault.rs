//! Why a table or a file did not do what it was asked, by who must act next; and the same as the two ports say it.

use api_health_actors::ports::{SourceError, StoreError};
use api_health_core::{ConfigFault, text};

/// The most characters of somebody else's message that are passed on.
const MESSAGE_CHARS_MAX: usize = 200;

/// A fault of a store or a table. `place` is what people call it: `SQLite file api-health.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Waiting may help.
    Wait {
        place: String,
        /// What happened, as the rest of a sentence: `is locked by another program`.
        what: String,
    },
    /// A person must act.
    Person {
        place: String,
        /// What is wrong, as the rest of a sentence: `does not exist in region eu-central-1`.
        what: String,
        /// What to write instead, to stand after the word "write".
        remedy: String,
    },
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Wait { place, what } => Self::Unavailable(format!("{place} {what}")),
            Fault::Person { place, what, remedy } => {
                Self::Misconfigured { what: format!("{place} {what}"), remedy: format!("write {remedy}") }
            }
        }
    }
}

impl From<Fault> for SourceError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Wait { place, what } => Self::Unavailable(format!("{place} {what}")),
            Fault::Person { place, what, remedy } => {
                Self::Misconfigured(ConfigFault { location: place, what: "this source".into(), why: what, remedy })
            }
        }
    }
}

/// Somebody else's message as one bounded line.
pub(crate) fn one_line(message: &str) -> String {
    text::line(message, MESSAGE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ports_say_who_where_what_and_what_to_write() {
        let fault = Fault::Person {
            place: "SQLite file a.db".into(),
            what: "is not an SQLite file".into(),
            remedy: "another path".into(),
        };
        assert_eq!(
            StoreError::from(fault.clone()).to_string(),
            "SQLite file a.db is not an SQLite file; write another path"
        );
        assert_eq!(
            SourceError::from(fault).to_string(),
            "SQLite file a.db: this source is not an SQLite file; write another path"
        );
        let fault = Fault::Wait { place: "SQLite file a.db".into(), what: "is locked".into() };
        assert_eq!(StoreError::from(fault), StoreError::Unavailable("SQLite file a.db is locked".into()));
    }

    #[test]
    fn a_message_becomes_one_bounded_line() {
        assert_eq!(one_line("a\n  b\u{7}\tc"), "a b\u{fffd} c");
        assert_eq!(one_line(&"ü".repeat(999)).chars().count(), MESSAGE_CHARS_MAX);
    }
}
