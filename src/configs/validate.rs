//! Validates rows: reports all faults of a row at once, and an invalid row never affects the others.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, LoadedConfigs, RefusedRow};
use api_health_core::{ApiConfig, ApiId, ConfigIssue, Method, Secret, StatusSet, Timestamp};
use serde_json::Value;

use super::checker::Checker;
use super::defaults::ApiDefaults;
use super::fields::{self, Bounds, Field};
use super::raw::RawRow;
use super::schedules::ScheduleCache;
use super::secrets::{SecretSource, SystemSecrets};
use super::timing::{RawTiming, check_conflicts};
use super::values::{self, ValueFault, quote, show, wanted};
use super::{headers, url};

/// The most faults that are told of one row; what more there are is counted.
pub const ISSUES_PER_ROW_MAX: usize = 50;
/// The most faults that are told of all rows of one source together; past that, each bad row tells its first alone.
pub const ISSUES_PER_SOURCE_MAX: usize = 10_000;
/// The longest body of a request.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
pub const NAME_CHARS_MAX: usize = 200;
/// The most tags of one API.
pub const TAGS_MAX: usize = 20;
/// The longest `expected_status`: as many parts as it may have, the longest of them, with a comma and a space between them.
pub const EXPECTED_STATUS_CHARS_MAX: usize = 500;
/// The longest tag.
pub const TAG_CHARS_MAX: usize = 64;

/// By what rules rows are read.
#[derive(Clone)]
pub struct RowRules {
    /// What missing fields mean.
    pub defaults: ApiDefaults,
    /// What references are filled in from.
    pub secrets: Arc<dyn SecretSource + Send + Sync>,
    /// To reject schedules that have no run in the future.
    pub clock: Arc<dyn Clock>,
}

impl RowRules {
    /// Rules that fill in references from this process's environment and files.
    pub fn new(defaults: ApiDefaults, clock: Arc<dyn Clock>) -> Self {
        Self { defaults, secrets: Arc::new(SystemSecrets), clock }
    }

    /// Reads one row by itself.
    ///
    /// # Errors
    /// The row with all its faults.
    pub fn check(&self, row: &RawRow) -> Result<ApiConfig, RefusedRow> {
        self.check_with(row, self.secrets.as_ref(), &mut ScheduleCache::default(), self.clock.now())
    }

    /// Reads the rows of one source. Rows that share an id are all refused, each naming the others.
    pub fn check_all(&self, rows: &[RawRow]) -> LoadedConfigs {
        let mut checker = Checker::new(self);
        rows.iter().for_each(|row| checker.push(row));
        checker.finish().0
    }

    pub(super) fn check_with(
        &self,
        row: &RawRow,
        secrets: &dyn SecretSource,
        schedules: &mut ScheduleCache,
        now: Timestamp,
    ) -> Result<ApiConfig, RefusedRow> {
        let place = place(&row.location, api_id_of(row));
        let mut reader = RowReader { row, place, secrets, issues: Vec::new(), more: 0 };
        reader.unknown_fields();
        let api_id = reader.api_id();
        let url = reader.required(&fields::URL, |value| match value {
            Value::String(text) => url::check(text), // which shows no more of it than is safe
            _ => Err(ValueFault::new(show(value), "is not text", wanted(&fields::URL))),
        });
        let schedule = reader.schedule(&self.defaults, schedules, now);
        let d = &self.defaults;
        let name =
            reader.optional(&fields::NAME, |v| values::text(v, &fields::NAME, NAME_CHARS_MAX).map(str::to_owned));
        let method = reader.optional(&fields::METHOD, method);
        let expected_status = reader.optional(&fields::EXPECTED_STATUS, status_set);
        let headers = reader.headers();
        let body = reader.body();
        let enabled = reader.optional(&fields::ENABLED, values::flag);
        let tags = reader.tags();
        let seconds = |n| Duration::from_secs(n);
        let timeout = reader.number(&fields::TIMEOUT_SECONDS).map(seconds);
        let recheck = reader.number(&fields::RECHECK_SECONDS).map(seconds);
        let unclear_after = reader.number(&fields::UNCLEAR_AFTER_SECONDS).map(seconds);
        // The bounds of these fields fit their types; the defaults stand where they would not.
        let small = |n: u64| u32::try_from(n).ok();
        let failure_threshold = reader.number(&fields::FAILURE_THRESHOLD).and_then(small);
        let success_threshold = reader.number(&fields::SUCCESS_THRESHOLD).and_then(small);
        let max_redirects = reader.number(&fields::MAX_REDIRECTS).and_then(|n| u8::try_from(n).ok());
        match (api_id, url, schedule) {
            (Some(api_id), Some(url), Some(schedule)) if reader.issues.is_empty() => Ok(ApiConfig {
                name: name.unwrap_or_else(|| api_id.to_string()),
                api_id,
                url: url.into(),
                method: method.unwrap_or_default(),
                headers,
                body,
                expected_status: expected_status.unwrap_or_else(|| d.expected_status.clone()),
                timeout: timeout.unwrap_or(d.timeout),
                max_redirects: max_redirects.unwrap_or(d.max_redirects),
                schedule,
                enabled: enabled.unwrap_or(true),
                failure_threshold: failure_threshold.unwrap_or(d.failure_threshold),
                success_threshold: success_threshold.unwrap_or(d.success_threshold),
                recheck: recheck.unwrap_or(d.recheck),
                unclear_after: unclear_after.or(d.unclear_after),
                tags,
            }),
            (api_id, ..) => Err(RefusedRow { api_id, issues: bounded(reader.issues, reader.more, &row.location) }),
        }
    }
}

impl fmt::Debug for RowRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowRules").field("defaults", &self.defaults).finish_non_exhaustive()
    }
}

/// Reads the fields of one row and gathers what is wrong with them.
struct RowReader<'a> {
    row: &'a RawRow,
    place: String,
    secrets: &'a dyn SecretSource,
    issues: Vec<ConfigIssue>,
    /// Faults that are counted and not in `issues`.
    more: usize,
}

impl RowReader<'_> {
    fn push(&mut self, field: &str, fault: ValueFault) {
        self.issues.push(fault.at(format!("{}: {field}", self.place)));
    }

    fn unknown_fields(&mut self) {
        let row = self.row;
        for name in row.fields.keys().filter(|name| !fields::FIELDS.iter().any(|f| f.name == name.as_str())) {
            // Suggesting a name for each of a million unknown fields would take minutes.
            if self.issues.len() >= ISSUES_PER_ROW_MAX {
                self.more += 1;
                continue;
            }
            let remedy = match fields::nearest(name) {
                Some(nearest) => format!("{nearest}, the nearest name that is known"),
                None => format!("one of {}", fields::FIELDS.map(|f| f.name).join(", ")),
            };
            self.issues
                .push(ValueFault::new(format!("the field {}", quote(name)), "is not known", remedy).at(&self.place));
        }
    }

    fn optional<T>(&mut self, field: &Field, read: impl FnOnce(&Value) -> Result<T, ValueFault>) -> Option<T> {
        let found = read(self.row.fields.get(field.name)?);
        found.map_err(|fault| self.push(field.name, fault)).ok()
    }

    fn required<T>(&mut self, field: &Field, read: impl FnOnce(&Value) -> Result<T, ValueFault>) -> Option<T> {
        if !self.row.fields.contains_key(field.name) {
            let remedy = format!("{} = {}, with your own value", field.name, field.example);
            self.issues
                .push(ValueFault::new(format!("the field {}", field.name), "is missing", remedy).at(&self.place));
        }
        self.optional(field, read)
    }

    fn number(&mut self, field: &Field) -> Option<u64> {
        self.optional(field, |value| values::whole_number(value, field))
    }

    fn api_id(&mut self) -> Option<ApiId> {
        self.required(&fields::API_ID, |value| {
            let text = values::text(value, &fields::API_ID, usize::MAX)?;
            ApiId::parse(text).map_err(|why| ValueFault::new(quote(text), why, wanted(&fields::API_ID)))
        })
    }

    fn schedule(
        &mut self,
        defaults: &ApiDefaults,
        cache: &mut ScheduleCache,
        now: Timestamp,
    ) -> Option<Arc<api_health_core::Schedule>> {
        let (written, mut faults) = RawTiming::read(&self.row.fields, cache, now);
        faults.extend(check_conflicts(&self.row.fields, defaults));
        if faults.is_empty() {
            match written.schedule(defaults, cache, now) {
                Ok(schedule) => return Some(schedule),
                Err(fault) => faults.push(fault),
            }
        }
        for (field, fault) in faults {
            self.push(field.name, fault);
        }
        None
    }

    fn headers(&mut self) -> Vec<(String, Secret)> {
        match self.row.fields.get(fields::HEADERS.name) {
            Some(value) => {
                let location = format!("{}: {}", self.place, fields::HEADERS.name);
                headers::read(value, &location, self.secrets, &mut self.issues)
            }
            None => Vec::new(),
        }
    }

    fn body(&mut self) -> Option<Secret> {
        match headers::secret_text(self.row.fields.get(fields::BODY.name)?, self.secrets, BODY_BYTES_MAX) {
            Ok(text) => Some(Secret::new(text)),
            Err(faults) => {
                for fault in faults {
                    self.push(fields::BODY.name, fault);
                }
                None
            }
        }
    }

    fn tags(&mut self) -> Vec<String> {
        self.optional(&fields::TAGS, |value| {
            let Value::Array(list) = value else {
                return Err(ValueFault::new(show(value), "is not a list", wanted(&fields::TAGS)));
            };
            if list.len() > TAGS_MAX {
                return Err(ValueFault::new(
                    format!("{} tags", list.len()),
                    format!("are more than {TAGS_MAX}"),
                    "fewer",
                ));
            }
            list.iter().map(|tag| values::text(tag, &fields::TAGS, TAG_CHARS_MAX).map(str::to_owned)).collect()
        })
        .unwrap_or_default()
    }
}

fn method(value: &Value) -> Result<Method, ValueFault> {
    let text = values::text(value, &fields::METHOD, usize::MAX)?;
    let Bounds::Words(known) = fields::METHOD.bounds else { return Ok(Method::default()) };
    Method::parse(text)
        .ok_or_else(|| ValueFault::new(quote(text), "is not a method that is used", format!("one of {known}")))
}

/// `expected_status` of a row or of `[probe]`: text, or one code as a number.
///
/// # Errors
/// What is wrong with it.
pub fn status_set(value: &Value) -> Result<StatusSet, ValueFault> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        _ => values::text(value, &fields::EXPECTED_STATUS, EXPECTED_STATUS_CHARS_MAX)?.to_owned(),
    };
    StatusSet::parse(&text).map_err(|why| {
        let remedy = "codes, classes and ranges with commas between them, such as \"200-299,301,404\"";
        ValueFault::new(show(value), why, remedy)
    })
}

pub(super) fn api_id_of(row: &RawRow) -> Option<&str> {
    row.fields.get(fields::API_ID.name).and_then(Value::as_str)
}

/// Where a row stands, with its id if it says one.
pub(super) fn place(location: &str, api_id: Option<&str>) -> String {
    match api_id {
        Some(api_id) => format!("{location}, api {}", quote(api_id)),
        None => location.to_owned(),
    }
}

fn bounded(mut issues: Vec<ConfigIssue>, more: usize, location: &str) -> Vec<ConfigIssue> {
    let more = more + issues.len().saturating_sub(ISSUES_PER_ROW_MAX);
    if more > 0 {
        issues.truncate(ISSUES_PER_ROW_MAX);
        issues.push(ValueFault::new(format!("{more} more faults"), "are not listed", "the row again").at(location));
    }
    issues
}
