//! The fields of an API, in one table: what checks them, what suggests a name for a misspelt one, and what
//! `docs/configuration.md` says (a test compares) all read it here.

use std::fmt;

/// One field of an API, or one key of the settings.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    /// What may be written: `text`, `whole number`, `true or false`, `list of texts`, `table of texts`.
    pub kind: &'static str,
    /// The unit of a number; empty if it has none.
    pub unit: &'static str,
    /// What holds if it is not written.
    pub default: &'static str,
    /// What is accepted.
    pub bounds: Bounds,
    pub meaning: &'static str,
    /// A value as it is written in TOML.
    pub example: &'static str,
    /// Other names that people give it, for the suggestion alone.
    pub also: &'static [&'static str],
}

/// What is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// A whole number, both ends included.
    Number(u64, u64),
    /// Anything else, in words.
    Words(&'static str),
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(least, most) => write!(f, "{least} to {most}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

impl Field {
    const fn new(name: &'static str, kind: &'static str, default: &'static str, bounds: &'static str) -> Self {
        Self { name, kind, unit: "", default, bounds: Bounds::Words(bounds), meaning: "", example: "", also: &[] }
    }

    const fn means(self, meaning: &'static str, example: &'static str) -> Self {
        Self { meaning, example, ..self }
    }

    const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }

    pub const fn text(
        name: &'static str,
        default: &'static str,
        bounds: &'static str,
        meaning: &'static str,
        example: &'static str,
    ) -> Self {
        Self::new(name, "text", default, bounds).means(meaning, example)
    }

    /// A whole number.
    pub const fn number(
        name: &'static str,
        unit: &'static str,
        default: &'static str,
        bounds: (u64, u64),
        meaning: &'static str,
        example: &'static str,
    ) -> Self {
        let bounds = Bounds::Number(bounds.0, bounds.1);
        Self { name, kind: "whole number", unit, default, bounds, meaning, example, also: &[] }
    }

    /// True or false.
    pub const fn flag(name: &'static str, default: &'static str, meaning: &'static str, example: &'static str) -> Self {
        Self::new(name, "true or false", default, "").means(meaning, example)
    }

    /// The same field under another name, as it stands in `[probe]`.
    pub const fn named(self, name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, ..self }
    }
}

/// The key of an API.
pub const API_ID: Field = Field::text(
    "api_id",
    "required",
    "1 to 80 characters of A-Z a-z 0-9 . _ -",
    "The key: unique, and the same for as long as this API is watched.",
    "\"shop-checkout\"",
)
.also(&["id", "key"]);
pub const NAME: Field = Field::text(
    "name",
    "api_id",
    "1 to 200 characters, no control characters",
    "What people call it; it stands in alerts.",
    "\"Checkout\"",
)
.also(&["title", "label", "description"]);
pub const URL: Field = Field::text(
    "url",
    "required",
    "http or https with a host, at most 2048 characters",
    "What is asked. No user name, password or fragment; no link-local, metadata, multicast or unspecified address.",
    "\"https://shop.example.com/health\"",
)
.also(&["uri", "endpoint", "address", "target"]);
pub const METHOD: Field = Field::text(
    "method",
    "GET",
    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "The HTTP method, in either case.",
    "\"HEAD\"",
)
.also(&["verb", "http_method"]);
pub const HEADERS: Field = Field::new(
    "headers",
    "table of texts",
    "none",
    "at most 50; each value at most 8192 characters of printable ASCII",
)
.means(
    "Request headers by name. A value may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
    "{ Authorization = \"Bearer ${env:SHOP_TOKEN}\" }",
)
.also(&["header", "http_headers"]);
/// The request body.
pub const BODY: Field = Field::text(
    "body",
    "none",
    "at most 65536 bytes",
    "The request body. It may hold `${env:NAME}`, `${file:PATH}` and `${credential:NAME}`.",
    "'{\"ping\": true}'",
)
.also(&["payload", "data"]);
/// Which status codes pass.
pub const EXPECTED_STATUS: Field = Field::new(
    "expected_status",
    "text or whole number",
    "2xx",
    "at most 50 codes, classes and ranges from 100 to 599",
)
.means("The status codes that count as a pass.", "\"200-299,301,404\"")
.also(&["status", "status_code", "expected_status_code", "expect_status"]);
/// Bound on one probe.
pub const TIMEOUT_SECONDS: Field = Field::number(
    "timeout_seconds",
    "seconds",
    "10",
    (1, 300),
    "Bound on the whole exchange, from name resolution to the last byte.",
    "10",
)
.also(&["timeout", "timeout_ms", "timeout_secs"]);
/// When it is probed, by the calendar.
pub const SCHEDULE: Field = Field::text(
    "schedule",
    "*/2 * * * *",
    "5 cron fields, or 6 with seconds first; at most 200 characters",
    "When it is probed: a cron expression. Not beside interval_seconds.",
    "\"*/5 8-18 * * MON-FRI\"",
)
.also(&["cron", "crontab", "when"]);
/// The time zone of `schedule`.
pub const TIMEZONE: Field =
    Field::text("timezone", "UTC", "an IANA name", "The time zone that schedule is read in.", "\"Europe/Berlin\"")
        .also(&["tz", "time_zone", "zone"]);
/// When it is probed, by the stopwatch.
pub const INTERVAL_SECONDS: Field = Field::number(
    "interval_seconds",
    "seconds",
    "none",
    (1, 86_400),
    "When it is probed: every N seconds. Not beside schedule or timezone.",
    "30",
)
.also(&["interval", "every", "period", "frequency", "interval_secs"]);
/// Whether it is probed at all.
pub const ENABLED: Field = Field::flag("enabled", "true", "A disabled API is kept and not probed.", "false")
    .also(&["active", "disabled", "enable", "paused"]);
/// Fails that confirm an outage.
pub const FAILURE_THRESHOLD: Field = Field::number(
    "failure_threshold",
    "probes",
    "2",
    (1, 20),
    "So many fails in a row make it down; the first of them is when the outage began.",
    "3",
)
.also(&["failures", "retries", "fail_threshold", "unhealthy_threshold"]);
/// Passes that confirm a recovery.
pub const SUCCESS_THRESHOLD: Field =
    Field::number("success_threshold", "probes", "2", (1, 20), "So many passes in a row make it up again.", "1")
        .also(&["successes", "healthy_threshold", "recovery_threshold"]);
/// How soon a suspect is probed again.
pub const RECHECK_SECONDS: Field = Field::number(
    "recheck_seconds",
    "seconds",
    "5",
    (1, 3_600),
    "How soon it is probed again while a change waits for its confirmation.",
    "5",
)
.also(&["recheck", "retry_seconds", "retry_interval"]);
/// When it is told that nothing can be told.
pub const UNCLEAR_AFTER_SECONDS: Field = Field::number(
    "unclear_after_seconds",
    "seconds",
    "none",
    (1, 2_592_000),
    "When nothing can be told of it for so long, that is told (`unclear`); with none it is three intervals, and 300 at least.",
    "600",
)
.also(&["unclear", "unclear_after", "stale_after"]);
/// Redirects that are followed.
pub const MAX_REDIRECTS: Field = Field::number(
    "max_redirects",
    "redirects",
    "0",
    (0, 10),
    "How many redirects are followed; with 0 the redirect itself is judged.",
    "3",
)
.also(&["redirects", "follow_redirects"]);
pub const TAGS: Field = Field::new("tags", "list of texts", "none", "at most 20 of at most 64 characters")
    .means("Free words for people and filters.", "[\"shop\", \"eu\"]")
    .also(&["labels", "groups"]);

/// Every field of an API, in the order in which documentation and exports list them.
pub const FIELDS: [&Field; 18] = [
    &API_ID,
    &NAME,
    &URL,
    &METHOD,
    &HEADERS,
    &BODY,
    &EXPECTED_STATUS,
    &TIMEOUT_SECONDS,
    &SCHEDULE,
    &TIMEZONE,
    &INTERVAL_SECONDS,
    &ENABLED,
    &FAILURE_THRESHOLD,
    &SUCCESS_THRESHOLD,
    &RECHECK_SECONDS,
    &UNCLEAR_AFTER_SECONDS,
    &MAX_REDIRECTS,
    &TAGS,
];

/// Below this likeness (0 to 1, Jaro-Winkler) a name is no suggestion: found by trying misspellings of every field.
const LIKENESS_MIN: f64 = 0.82;

/// A longer name is not compared: it is no misspelling, and this bounds the work.
const NAME_CHARS_MAX: usize = 64;

/// The field that was probably meant by `name`.
pub fn nearest(name: &str) -> Option<&'static str> {
    let lower = plain(name);
    if let Some(field) = FIELDS.iter().find(|f| f.also.contains(&lower.as_str())) {
        return Some(field.name);
    }
    nearest_of(name, FIELDS.iter().map(|f| f.name))
}

/// The one of `known` that is most like `name`, if any is like it at all.
pub fn nearest_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = plain(name);
    if name.len() > NAME_CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['-', ' '], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_field() {
        for (written, meant) in [
            ("timout_seconds", "timeout_seconds"),
            ("Timeout-Seconds", "timeout_seconds"),
            ("timeout", "timeout_seconds"),
            ("cron", "schedule"),
            ("shedule", "schedule"),
            ("header", "headers"),
            ("id", "api_id"),
            ("apiid", "api_id"),
            ("failure_treshold", "failure_threshold"),
            ("expectedStatus", "expected_status"),
        ] {
            assert_eq!(nearest(written), Some(meant), "{written}");
        }
        assert_eq!(nearest("colour"), None);
        assert_eq!(nearest(&"name".repeat(1_000)), None);
    }

    #[test]
    fn each_name_finds_itself_and_no_two_fields_claim_one_name() {
        for field in FIELDS {
            assert_eq!(nearest(field.name), Some(field.name));
        }
        let mut names: Vec<_> = FIELDS.iter().flat_map(|f| f.also.iter().chain([&f.name])).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
