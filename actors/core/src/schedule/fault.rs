//! What can be wrong with a cron schedule.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CronFault {
    /// The expression, and in what way.
    Expression(String),
    /// A step that is never taken, and what to write instead.
    Step {
        /// In what way, as the rest of a sentence about the expression.
        why: String,
        /// To stand after the word "write".
        remedy: String,
    },
    /// The time zone is not an IANA name.
    Zone,
    /// It never comes due, as on the 31st of February.
    Never,
}
