//! Cron expressions and time zones as a person writes them, and what is wrong with them in words.

use api_health_core::Schedule;
use api_health_core::schedule::CronFault;
use serde_json::Value;

use super::field::{About, Context, Parsed};
use super::kinds::parse_text;
use super::values::{ValueFault, quote};

/// Parses `schedule`.
///
/// # Errors
/// What is no cron expression, or has no run in the future.
pub(super) fn expression(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    context.schedules.cron(text, UTC, context.now).map_err(|fault| in_words(fault, text, about))?;
    Ok(text.to_owned())
}

/// Parses `timezone`.
///
/// # Errors
/// What is not the name of a time zone.
pub(super) fn zone(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    let cron = context.schedules.cron(Schedule::DEFAULT_CRON, text, context.now);
    cron.map_err(|fault| in_words(fault, text, about))?;
    Ok(text.to_owned())
}

const UTC: &str = "UTC";

/// What is wrong with what was written for a schedule or a time zone.
pub(super) fn in_words(fault: CronFault, written: &str, about: &About) -> ValueFault {
    let (why, remedy) = match fault {
        CronFault::Zone => {
            ("is not the name of a time zone".into(), "an IANA name, such as \"Europe/Berlin\" or \"UTC\"".into())
        }
        CronFault::Never => ("never comes due".into(), "a day that exists in some year".into()),
        CronFault::Step { why, remedy } => (why, remedy),
        CronFault::Expression(why) => (fitted(&why), about.wanted()),
    };
    ValueFault::new(quote(written), why, remedy)
}

/// The cron parser's message, fitted behind what was written.
fn fitted(message: &str) -> String {
    if message.starts_with("has ") {
        return message.to_owned();
    }
    let bare = message.strip_prefix("Component error: ").or_else(|| message.strip_prefix("Invalid pattern: "));
    format!("is not a cron expression (the parser says: {})", bare.unwrap_or(message).trim_end_matches('.'))
}
