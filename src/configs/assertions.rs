//! What a row expects beyond the status: the fields `assert` and `certificate_days`.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use api_health_core::assertion::{Assertion, AssertionFault};
use api_health_core::certificate::DEFAULT_DAYS;
use serde_json::{Value, json};

use super::field::{About, Context, Field, Parsed, ValueKind};
use super::kinds::{each, parse_numbers, parse_text};
use super::values::{ValueFault, quote};
use crate::in_use::InUse;

/// The most assertions of one API.
pub const ASSERTIONS_MAX: usize = 20;
/// The longest assertion.
pub const ASSERTION_CHARS_MAX: usize = 500;
/// The most thresholds of one certificate.
pub const CERTIFICATE_DAYS_MAX: usize = 5;

pub(super) const ASSERT: Field<Vec<Arc<Assertion>>> = Field::new(
    "assert",
    ValueKind::TextOrTexts {
        most: ASSERTIONS_MAX,
        chars_max: ASSERTION_CHARS_MAX,
        words: "an assertion, or a list of at most 20, each of at most 500 characters",
    },
    parse,
    |all| json!(all.iter().map(|assertion| assertion.as_str()).collect::<Vec<_>>()),
)
.means(
    "What is expected beyond the status ([assertions](#assertions)); what does not hold is a fail with a reason of its own.",
    "['json $.status = \"ok\"', 'latency < 800 ms']",
)
.also(&["asserts", "assertions", "conditions", "checks", "keyword", "body_contains", "json_path", "contains"]);

pub(super) const CERTIFICATE_DAYS: Field<Vec<u16>> = Field::new(
    "certificate_days",
    ValueKind::Numbers {
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

/// The default, which all rows share that say nothing.
pub(super) fn default_days() -> Arc<[u16]> {
    static DAYS: LazyLock<Arc<[u16]>> = LazyLock::new(|| DEFAULT_DAYS.into());
    Arc::clone(&DAYS)
}

fn parse(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<Arc<Assertion>>> {
    let (mut at, is_list) = (0, value.as_array().is_some_and(|list| list.len() > 1));
    each(value, ASSERTIONS_MAX, |value| {
        at += 1; // counted as people count
        one(value, about).map_err(|fault| if is_list { fault.inside(&at.to_string()) } else { fault })
    })
}

fn one(value: &Value, about: &About) -> Result<Arc<Assertion>, ValueFault> {
    let text = parse_text(value, about)?;
    shared(text).map_err(|fault| ValueFault::new(quote(text), fault.why, fault.remedy))
}

/// Those of all rows of this process, by their text, so that a row that is read by itself, or years later, shares with the others too: a
/// compiled regular expression takes up to 45 KB.
static IN_USE: LazyLock<Mutex<InUse<Box<str>, Assertion>>> = LazyLock::new(Mutex::default);

fn shared(text: &str) -> Result<Arc<Assertion>, AssertionFault> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = in_use.get(text.trim()) {
        return Ok(known);
    }
    let assertion = Assertion::parse(text)?;
    Ok(in_use.put(assertion.as_str().into(), assertion))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::defaults::ApiDefaults;
    use super::super::raw::RawRow;
    use super::super::validate::RowRules;
    use super::*;
    use crate::clock::SystemClock;

    /// The assertions of a row with this one.
    fn of_row(id: usize, text: &str) -> Vec<Arc<Assertion>> {
        let Value::Object(fields) = json!({"api_id": format!("a-{id}"), "url": "http://a.test/", "assert": text})
        else {
            unreachable!()
        };
        let rules = RowRules::new(ApiDefaults::default(), Arc::new(SystemClock));
        rules.check(&RawRow { location: "t".into(), fields }).unwrap().assertions
    }

    #[test]
    fn rows_that_expect_the_same_hold_one_and_a_row_that_changes_lets_it_go() {
        let text = r"body matches shared by all v\d+";
        let mut rows: Vec<_> = (0..1_000).map(|id| of_row(id, text)).collect();
        assert!(rows.iter().all(|row| Arc::ptr_eq(&row[0], &rows[0][0])));
        assert_eq!(Arc::strong_count(&rows[0][0]), 1_000, "nobody else holds it");
        let before = Arc::downgrade(&rows[0][0]);
        for (id, row) in rows.iter_mut().enumerate() {
            assert!(before.upgrade().is_some());
            *row = of_row(id, "header x-changed exists");
        }
        assert!(before.upgrade().is_none());
        assert!(Arc::ptr_eq(&rows[0][0], &rows[999][0]));
    }
}
