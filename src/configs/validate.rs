//! Validates rows: reports all faults of a row at once, and an invalid row never affects the others.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use api_health_actors::ports::{Clock, LoadedConfigs, RefusedRow};
use api_health_core::assertion::Assertion;
use api_health_core::{ApiConfig, ConfigFault, IpFamily, Method, Schedule, Timestamp};
use serde_json::Value;

use super::alerting;
use super::asking;
use super::assertions;
use super::checker::Checker;
use super::cron_text::in_words;
use super::defaults::{ApiDefaults, DefaultSchedule};
use super::field::{Context, Field};
use super::fields::{self, FIELDS};
use super::raw::RawRow;
use super::schedules::ScheduleCache;
use super::secrets::{SecretSource, SystemSecrets};
use super::stand_in::{STAND_IN, Same};
use super::target::Target;
use super::timing::check_conflicts;
use super::values::{ValueFault, bounded, quote};
use crate::probe::guard::Allowed;

/// The most faults that are reported of one row; further ones are counted.
pub const FAULTS_PER_ROW_MAX: usize = 50;
/// The most faults that are reported of all rows of one source; past that, only the first of each bad row.
pub const FAULTS_PER_SOURCE_MAX: usize = 10_000;
/// By what rules rows are read.
#[derive(Clone)]
pub struct RowRules {
    /// What missing fields mean.
    pub defaults: ApiDefaults,
    /// What references are filled in from.
    pub secrets: Arc<dyn SecretSource + Send + Sync>,
    /// To reject schedules that have no run in the future.
    pub clock: Arc<dyn Clock>,
    /// Link-local networks that may be probed.
    pub allowed: Allowed,
}

impl RowRules {
    /// Rules that fill in references from this process's environment and files.
    pub fn new(defaults: ApiDefaults, clock: Arc<dyn Clock>) -> Self {
        Self { defaults, secrets: Arc::new(SystemSecrets), clock, allowed: Allowed::default() }
    }

    /// The same where these link-local networks may be probed.
    #[must_use]
    pub fn with_allowed(self, allowed: Allowed) -> Self {
        Self { allowed, ..self }
    }

    /// The same where secrets do not matter: any is filled in with the same stand-in.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        Self { secrets: Arc::new(Same(STAND_IN)), ..self.clone() }
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
        let place = place(&row.location, row.api_id());
        let context = Context { secrets, schedules, now, folder: Path::new(""), allowed: &self.allowed };
        let mut reader = RowReader { row, place, context, faults: Vec::new(), more: 0 };
        let d = &self.defaults;
        reader.unknown_fields();
        let api_id = reader.required(&fields::API_ID);
        let target = reader.target();
        let schedule = reader.schedule(d);
        let name = reader.get(&fields::NAME);
        let ip_family = reader.ip_family(target.as_ref());
        let method = reader.get(&fields::METHOD).unwrap_or_default();
        let expected_status = reader.get(&fields::EXPECTED_STATUS).unwrap_or_else(|| d.expected_status.clone());
        let assertions = reader.assertions(method);
        let certificate_days = reader.get(&fields::CERTIFICATE_DAYS).map_or_else(assertions::default_days, Into::into);
        let mut headers = reader.get(&fields::HEADERS).unwrap_or_default();
        let asking = asking::read(&mut reader, target.as_ref(), &mut headers);
        let body = reader.get(&fields::BODY);
        let proxy = reader.get(&fields::PROXY);
        let enabled = reader.get(&fields::ENABLED).unwrap_or(true);
        let tags = reader.get(&fields::TAGS).unwrap_or_default();
        let public = reader.get(&fields::PUBLIC).unwrap_or_default();
        let timeout = reader.get(&fields::TIMEOUT_SECONDS).unwrap_or(d.timeout);
        let recheck = reader.get(&fields::RECHECK_SECONDS).unwrap_or(d.recheck);
        let unclear_after = reader.get(&fields::UNCLEAR_AFTER_SECONDS).or(d.unclear_after);
        let failure_threshold = reader.get(&fields::FAILURE_THRESHOLD).unwrap_or(d.failure_threshold);
        let success_threshold = reader.get(&fields::SUCCESS_THRESHOLD).unwrap_or(d.success_threshold);
        let max_redirects = reader.get(&fields::MAX_REDIRECTS).unwrap_or(d.max_redirects);
        let mut alerting = alerting::together(
            reader.get(&fields::MAINTENANCE),
            reader.get(&fields::DEPENDS_ON),
            reader.get(&fields::FLAP_CHANGES).unwrap_or(d.flap_changes),
            reader.get(&fields::FLAP_WINDOW_SECONDS).unwrap_or(d.flap_window),
            reader.get(&fields::REMIND_AFTER_SECONDS).or(d.remind_after),
        );
        alerting.maintenance.extend(d.maintenance.of(&tags).cloned());
        match (api_id, target, schedule) {
            (Some(api_id), Some(target), Some(schedule)) if reader.faults.is_empty() => Ok(ApiConfig {
                name: name.map_or_else(|| api_id.shared(), Into::into),
                api_id,
                url: target.url,
                method,
                headers,
                body,
                expected_status,
                assertions,
                certificate_days,
                timeout,
                max_redirects,
                schedule,
                enabled,
                failure_threshold,
                success_threshold,
                recheck,
                unclear_after,
                tags,
                public,
                alerting: Arc::new(alerting),
                ip_family,
                proxy,
                asking,
            }),
            (api_id, ..) => {
                bounded(&mut reader.faults, FAULTS_PER_ROW_MAX, reader.more, "row", &row.location);
                Err(RefusedRow { api_id, faults: reader.faults })
            }
        }
    }
}

impl fmt::Debug for RowRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowRules").field("defaults", &self.defaults).finish_non_exhaustive()
    }
}

/// Reads the fields of one row and gathers what is wrong with them.
pub(super) struct RowReader<'a> {
    pub(super) row: &'a RawRow,
    place: String,
    pub(super) context: Context<'a>,
    faults: Vec<ConfigFault>,
    /// Faults that are counted and not in `faults`.
    more: usize,
}

impl<'a> RowReader<'a> {
    pub(super) fn push(&mut self, field: &str, fault: ValueFault) {
        let place = place(&self.row.location.of_field(field), self.row.api_id());
        self.faults.push(fault.at(format!("{place}: {field}")));
    }

    fn unknown_fields(&mut self) {
        let row = self.row;
        for name in row.fields.keys().filter(|name| !FIELDS.iter().any(|f| f.name == name.as_str())) {
            // Suggesting a name for each of a million unknown fields would take minutes.
            if self.faults.len() >= FAULTS_PER_ROW_MAX {
                self.more += 1;
                continue;
            }
            let known = || format!("one of {}", FIELDS.iter().map(|f| f.name).collect::<Vec<_>>().join(", "));
            let nearest = fields::nearest(name).map(str::to_owned);
            let fault = ValueFault::unknown(format!("the field {}", quote(name)), nearest, known);
            self.faults.push(fault.at(place(&row.location.of_field(name), row.api_id())));
        }
    }

    /// What stands in a field; `None` where it is not written, and where something is wrong with it.
    pub(super) fn get<T>(&mut self, field: &Field<T>) -> Option<T> {
        let parsed = field.parse(self.row.fields.get(field.name)?, &mut self.context);
        parsed.map_err(|faults| faults.into_iter().for_each(|fault| self.push(field.name, fault))).ok()
    }

    fn required<T>(&mut self, field: &Field<T>) -> Option<T> {
        if !self.row.fields.contains_key(field.name) {
            let remedy = format!("{} = {}, with your own value", field.name, field.example);
            let fault = ValueFault::new(format!("the field {}", field.name), "is missing", remedy);
            self.faults.push(fault.at(&self.place));
        }
        self.get(field)
    }

    /// Where no body is read, none could be judged.
    fn assertions(&mut self, method: Method) -> Vec<Arc<Assertion>> {
        let assertions = self.get(&fields::ASSERT).unwrap_or_default();
        let is_head_only = self.row.fields.get(fields::HEAD_ONLY.name) == Some(&Value::Bool(true));
        let unread = match method {
            Method::Head => Some(("an answer to HEAD has none", "method = \"GET\"")),
            _ if is_head_only => Some(("head_only leaves it unread", "head_only = false")),
            _ => None,
        };
        if let Some((why, remedy)) = unread.filter(|_| assertions.iter().any(|assertion| assertion.needs_body())) {
            let (why, remedy) =
                (format!("expects something of a body, and {why}"), format!("{remedy}, or no such assertion"));
            self.push(fields::ASSERT.name, ValueFault::new("the list", why, remedy));
        }
        assertions
    }

    /// What the URL says; beside a kind, its scheme may be left out.
    fn target(&mut self) -> Option<Target> {
        let of = |field: &str| self.row.fields.get(field).and_then(Value::as_str);
        match (of(fields::KIND.name), of(fields::URL.name)) {
            (Some(kind @ ("tcp" | "tls" | "dns")), Some(url)) if !url.contains("://") => {
                let whole = Value::String(format!("{kind}://{url}"));
                let parsed = fields::URL.parse(&whole, &mut self.context);
                parsed.map_err(|faults| faults.into_iter().for_each(|fault| self.push(fields::URL.name, fault))).ok()
            }
            _ => self.required(&fields::URL),
        }
    }

    /// It must fit an address that stands in the URL.
    fn ip_family(&mut self, target: Option<&Target>) -> IpFamily {
        let family = self.get(&fields::IP_FAMILY).unwrap_or_default();
        let Some(address) = target.and_then(|target| target.address) else { return family };
        if !family.takes(address) {
            let why = format!("does not fit url, in which an {} address stands", IpFamily::of(address));
            let remedy = "\"any\", or a url with a name or another address";
            self.push(fields::IP_FAMILY.name, ValueFault::new(quote(family.as_str()), why, remedy));
        }
        family
    }

    /// The three fields that say when, and the defaults.
    fn schedule(&mut self, defaults: &ApiDefaults) -> Option<Arc<Schedule>> {
        let before = self.faults.len();
        let expression = self.get(&fields::SCHEDULE);
        let zone = self.get(&fields::TIMEZONE);
        let interval = self.get(&fields::INTERVAL_SECONDS);
        if let Some((field, fault)) = check_conflicts(&self.row.fields, defaults) {
            self.push(field, fault);
        }
        if self.faults.len() > before {
            return None;
        }
        let schedules = &mut *self.context.schedules;
        let expression = match (&expression, interval, &defaults.when) {
            (Some(expression), ..) => expression,
            (None, Some(interval), _) => return Some(schedules.every(interval)),
            (None, None, DefaultSchedule::Every(interval)) => return Some(schedules.every(*interval)),
            (None, None, DefaultSchedule::Cron(expression)) => expression,
        };
        let cron = schedules.cron(expression, zone.as_ref().unwrap_or(&defaults.timezone), self.context.now);
        cron.map_err(|fault| self.push(fields::SCHEDULE.name, in_words(fault, expression, &fields::SCHEDULE))).ok()
    }
}

/// Where a row stands, with its id if it says one.
pub(super) fn place(location: &str, api_id: Option<&str>) -> String {
    match api_id {
        Some(api_id) => format!("{location}, api {}", quote(api_id)),
        None => location.to_owned(),
    }
}
