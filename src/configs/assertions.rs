//! What a row expects beyond the status: the fields `assert` and `certificate_days`.

use api_health_core::assertion::Assertion;
use api_health_core::certificate::DEFAULT_DAYS;
use serde_json::{Value, json};

use super::field::{About, Context, Field, Kind, Parsed};
use super::kinds::{each, parse_numbers, parse_text};
use super::values::{ValueFault, quote};

/// The most assertions of one API.
pub const ASSERTIONS_MAX: usize = 20;
/// The longest assertion.
pub const ASSERTION_CHARS_MAX: usize = 500;
/// The most thresholds of one certificate.
pub const CERTIFICATE_DAYS_MAX: usize = 5;

pub(super) const ASSERT: Field<Vec<Assertion>> = Field::new(
    "assert",
    Kind::TextOrTexts {
        most: ASSERTIONS_MAX,
        chars_max: ASSERTION_CHARS_MAX,
        words: "an assertion, or a list of at most 20, each of at most 500 characters",
    },
    parse,
    |all| json!(all.iter().map(Assertion::as_str).collect::<Vec<_>>()),
)
.means(
    "What is expected beyond the status ([assertions](#assertions)); what does not hold is a fail with a reason of its own.",
    "['json $.status = \"ok\"', 'latency < 800 ms']",
)
.also(&["asserts", "assertions", "conditions", "checks", "keyword", "body_contains", "json_path", "contains"]);

pub(super) const CERTIFICATE_DAYS: Field<Vec<u16>> = Field::new(
    "certificate_days",
    Kind::Numbers {
        unit: "days",
        most: CERTIFICATE_DAYS_MAX,
        least: 1,
        greatest: 365,
        words: "at most 5, each from 1 to 365; an empty list tells nothing",
    },
    parse_numbers,
    |days| json!(days),
)
.means(
    "So many days before its certificate ends that is told, once for each ([certificates](#certificates)); it changes no status.",
    "[30, 7, 1]",
)
.default("[14, 3]")
.also(&["cert_days", "certificate_expiry_days", "tls_days", "ssl_days"]);

/// The default, as a row has it that says nothing.
pub(super) fn default_days() -> Vec<u16> {
    DEFAULT_DAYS.to_vec()
}

fn parse(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<Assertion>> {
    let (mut at, is_list) = (0, value.as_array().is_some_and(|list| list.len() > 1));
    each(value, ASSERTIONS_MAX, |value| {
        at += 1; // counted as people count
        one(value, about).map_err(|fault| if is_list { fault.inside(&at.to_string()) } else { fault })
    })
}

fn one(value: &Value, about: &About) -> Result<Assertion, ValueFault> {
    let text = parse_text(value, about)?;
    Assertion::parse(text).map_err(|fault| ValueFault::new(quote(text), fault.why, fault.remedy))
}
