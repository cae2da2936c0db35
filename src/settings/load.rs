//! From what was written to what is in force: every fault of the file and the environment at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api_health_core::own::records::Role;
use api_health_core::{ConfigIssue, Timestamp};
use serde_json::{Map, Value, json};

use super::keys::{self, Key};
use super::notify;
use super::raw::RawFile;
use super::reader::{Effective, Origin, SettingsReader};
use super::words;
use super::{ApisSettings, FleetSettings, LogSettings, NetworkSettings, ProbeSettings, RunSettings, Settings, StoreKind, StoreSettings};
use crate::configs::defaults::{ApiDefaults, DefaultSchedule};
use crate::configs::fields;
use crate::configs::file::regular;
use crate::configs::schedules::ScheduleCache;
use crate::configs::timing::{RawTiming, schedule_and_interval};
use crate::configs::validate::status_set;
use crate::configs::values::{self, ValueFault};

/// The file that is read if none is named.
pub const FILE_NAME: &str = "api-health.toml";

/// The most files and folders of APIs.
const PATHS_MAX: usize = 1_000;
/// Why a setting of AWS is refused by a build without the feature `aws`.
pub const NO_AWS: &str = "needs AWS, and this build has no AWS: it was made with --no-default-features";

/// A cron expression has no year, so that it comes due after any moment if it does after this one: 2026-01-01.
const SOME_MOMENT: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// The settings in force, and where each came from.
#[derive(Clone, Debug)]
pub struct LoadedSettings {
    pub settings: Settings,
    /// For `settings show`: every key in the order of the reference page, then what the AWS SDK reads.
    pub effective: Vec<Effective>,
    /// The settings file, if there is one.
    pub file: Option<PathBuf>,
}

/// Reads the settings. `file` must be there; without one, `folder`/api-health.toml is read if it is there.
///
/// # Errors
/// Every fault of the file and of the environment.
pub fn load(
    file: Option<&Path>,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedSettings, Vec<ConfigIssue>> {
    load_for(cfg!(feature = "aws"), file, folder, env)
}

/// The same while the program runs: only from a file that can be read again and again. The text of a pipe is gone, and to open it
/// could wait for ever.
///
/// # Errors
/// As [`load`], and a file that is a pipe.
pub fn load_again(
    file: Option<&Path>,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedSettings, Vec<ConfigIssue>> {
    found(file, folder).map_or(Ok(()), |path| regular(&path)).map_err(|issue| vec![issue])?;
    load(file, folder, env)
}

/// The file that is read.
fn found(file: Option<&Path>, folder: &Path) -> Option<PathBuf> {
    let usual = folder.join(FILE_NAME);
    file.map(Path::to_owned).or_else(|| usual.exists().then_some(usual))
}

/// What [`load`] does, for a build with or without AWS.
fn load_for(
    has_aws: bool,
    file: Option<&Path>,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedSettings, Vec<ConfigIssue>> {
    let file = found(file, folder);
    let raw = file.as_deref().map(RawFile::read).transpose()?.unwrap_or_default();
    let mut reader = SettingsReader { has_aws, file: raw, env, issues: Vec::new(), effective: Vec::new() };
    let settings = Settings {
        environment: reader.text(&keys::ENVIRONMENT, words::environment),
        region: reader.optional_text(&keys::REGION, words::region),
        store: store(&mut reader),
        apis: apis(&mut reader),
        notify: notify::read(&mut reader),
        probe: probe(&mut reader),
        network: NetworkSettings { witnesses: reader.witnesses() },
        run: RunSettings { shutdown: reader.seconds(&keys::SHUTDOWN) },
        fleet: fleet(&mut reader),
        log: LogSettings {
            level: reader.text(&keys::LOG_LEVEL, words::log_level),
            format: reader.value(&keys::LOG_FORMAT, super::LogFormat::Auto, words::log_format, |f| json!(f.as_str())),
        },
    };
    for name in keys::READ_BY_THE_SDK {
        let set = reader.env(name);
        let origin = if set.is_some() { Origin::Env(name) } else { Origin::Default };
        reader.effective.push(Effective { key: name, value: set.map_or(Value::Null, |v| words::endpoint(&v)), origin });
    }
    if reader.issues.is_empty() {
        Ok(LoadedSettings { settings, effective: reader.effective, file })
    } else {
        Err(reader.issues)
    }
}

impl SettingsReader<'_> {
    fn text(&mut self, key: &Key, read: impl FnOnce(&Value) -> Result<String, ValueFault>) -> String {
        self.value(key, key.default(), read, |text| json!(text))
    }

    fn optional_text(&mut self, key: &Key, read: impl FnOnce(&Value) -> Result<String, ValueFault>) -> Option<String> {
        self.value(key, None, |v| read(v).map(Some), |text| json!(text))
    }

    fn number(&mut self, key: &Key) -> u64 {
        self.number_or(key, key.default())
    }

    fn number_or(&mut self, key: &Key, default: u64) -> u64 {
        self.value(key, default, |v| values::whole_number(v, &key.field), |n| json!(n))
    }

    pub(super) fn seconds(&mut self, key: &Key) -> Duration {
        Duration::from_secs(self.number(key))
    }

    fn optional_seconds(&mut self, key: &Key) -> Option<Duration> {
        let read = |v: &Value| values::whole_number(v, &key.field).map(|n| Some(Duration::from_secs(n)));
        self.value(key, None, read, |span| json!(span.map(|span| span.as_secs())))
    }

    /// `network.witnesses`: one, or several.
    fn witnesses(&mut self) -> Vec<String> {
        let read = |v: &Value| match v {
            Value::Array(list) if list.len() > words::WITNESSES_MAX => {
                let why = format!("is more than {}", words::WITNESSES_MAX);
                Err(ValueFault::new(format!("a list of {}", list.len()), why, "fewer: one that is well is enough"))
            }
            Value::Array(list) => list.iter().map(words::witness).collect(),
            one => Ok(vec![words::witness(one)?]),
        };
        self.value(&keys::WITNESSES, Vec::new(), read, |all| if all.is_empty() { Value::Null } else { json!(all) })
    }

    fn flag(&mut self, key: &Key) -> bool {
        self.value(key, key.default(), values::flag, |flag| json!(flag))
    }

    /// A path, relative to the folder of the settings file.
    fn path(&mut self, key: &Key) -> Option<PathBuf> {
        let folder = self.file.path.parent().map(Path::to_owned).unwrap_or_default();
        let read = |v: &Value| Ok(Some(folder.join(values::text(v, &key.field, words::PATH_CHARS_MAX)?)));
        self.value(key, None, read, |path: &Option<PathBuf>| json!(path.as_ref().map(|p| p.display().to_string())))
    }

    /// One path or several.
    fn paths(&mut self, key: &Key) -> Vec<PathBuf> {
        let folder = self.file.path.parent().map(Path::to_owned).unwrap_or_default();
        let one = |v: &Value| Ok(folder.join(values::text(v, &key.field, words::PATH_CHARS_MAX)?));
        let read = |v: &Value| match v {
            Value::Array(list) if list.is_empty() || list.len() > PATHS_MAX => {
                let why = format!("is not 1 to {PATHS_MAX}");
                Err(ValueFault::new(
                    format!("a list of {}", list.len()),
                    why,
                    "the paths of files, or of a folder of them",
                ))
            }
            Value::Array(list) => list.iter().map(one).collect(),
            one_path => Ok(vec![one(one_path)?]),
        };
        let shown = |paths: &Vec<PathBuf>| match &paths[..] {
            [] => Value::Null,
            [one] => json!(one.display().to_string()),
            more => more.iter().map(|path| path.display().to_string()).collect(),
        };
        self.value(key, Vec::new(), read, shown)
    }
}

/// A write of DynamoDB is paid for, and the heartbeat says that everything is probed; SQLite's own file takes a batch in
/// milliseconds.
pub const fn default_checkpoint_seconds(kind: StoreKind) -> u64 {
    match kind {
        StoreKind::Dynamodb => 3_600,
        StoreKind::Sqlite => 10,
    }
}

fn store(reader: &mut SettingsReader<'_>) -> StoreSettings {
    let by_env = [&keys::CONFIG_TABLE, &keys::STATE_TABLE].into_iter().find_map(|key| {
        let name = key.env?;
        reader.env(name).map(|_| name)
    });
    let (kind, origin) = match (by_env, reader.read(&keys::STORE_KIND, words::store_kind)) {
        (Some(name), _) => (StoreKind::Dynamodb, Origin::Env(name)),
        (None, written) => written.unwrap_or((StoreKind::Sqlite, Origin::Default)),
    };
    if kind == StoreKind::Dynamodb && !reader.has_aws {
        let remedy = match origin {
            Origin::Env(_) => "nothing into it, which leaves an SQLite file, or take a build with AWS",
            _ => "\"sqlite\", or take a build with AWS",
        };
        reader.fault(keys::STORE_KIND.name(), &origin, ValueFault::new("\"dynamodb\"", NO_AWS, remedy));
    }
    reader.note(&keys::STORE_KIND, json!(kind.as_str()), origin);
    let path = match reader.written(&keys::STORE_PATH) {
        Some(_) => reader.path(&keys::STORE_PATH).unwrap_or_default(),
        None => {
            // systemd separates several folders with colons; the first is ours.
            let folder = reader.env("STATE_DIRECTORY").and_then(|all| Some(all.split(':').next()?.to_owned()));
            let origin = if folder.is_some() { Origin::Env("STATE_DIRECTORY") } else { Origin::Default };
            let path = PathBuf::from(folder.unwrap_or_default()).join("api-health.db");
            reader.note(&keys::STORE_PATH, json!(path.display().to_string()), origin);
            path
        }
    };
    let config_table = reader.text(&keys::CONFIG_TABLE, |v| words::table(&keys::CONFIG_TABLE, v));
    let state_table = reader.text(&keys::STATE_TABLE, |v| words::table(&keys::STATE_TABLE, v));
    if kind == StoreKind::Dynamodb && config_table == state_table {
        let origin = reader.written(&keys::STATE_TABLE).map_or(Origin::Default, |(_, origin)| origin);
        let fault = ValueFault::new(values::quote(&state_table), "is also the config table", "two different tables");
        reader.fault(keys::STATE_TABLE.name(), &origin, fault);
    }
    let checkpoint = Duration::from_secs(reader.number_or(&keys::CHECKPOINT, default_checkpoint_seconds(kind)));
    let heartbeat = Some(reader.seconds(&keys::HEARTBEAT)).filter(|period| !period.is_zero());
    StoreSettings { kind, path, config_table, state_table, checkpoint, heartbeat }
}

fn fleet(reader: &mut SettingsReader<'_>) -> FleetSettings {
    let fleet = FleetSettings {
        role: reader.value(&keys::FLEET_ROLE, Role::Worker, words::role, |role| json!(words::role_word(*role))),
        expected: usize::try_from(reader.number(&keys::FLEET_EXPECTED)).ok().filter(|expected| *expected > 0),
        lease: reader.seconds(&keys::FLEET_LEASE),
        renew: reader.seconds(&keys::FLEET_RENEW),
        fail_open: reader.flag(&keys::FLEET_FAIL_OPEN),
    };
    if fleet.lease < fleet.renew * 3 {
        let origin = reader.written(&keys::FLEET_RENEW).or_else(|| reader.written(&keys::FLEET_LEASE));
        let origin = origin.map_or(Origin::Default, |(_, origin)| origin);
        let why = format!("is more than a third of fleet.lease_seconds ({})", fleet.lease.as_secs());
        let remedy = format!("at most {}, or a longer lease", fleet.lease.as_secs() / 3);
        reader.fault(
            keys::FLEET_RENEW.name(),
            &origin,
            ValueFault::new(fleet.renew.as_secs().to_string(), why, remedy),
        );
    }
    fleet
}

fn apis(reader: &mut SettingsReader<'_>) -> ApisSettings {
    let files = reader.paths(&keys::APIS_FILE);
    let from_store = reader.flag(&keys::APIS_FROM_STORE);
    if let (false, true, Some((_, origin))) = (from_store, files.is_empty(), reader.written(&keys::APIS_FROM_STORE)) {
        let fault = ValueFault::new("false", "leaves nothing to read APIs from", "true, or name a file below [apis]");
        if reader.written(&keys::APIS_FILE).is_none() {
            reader.fault(keys::APIS_FROM_STORE.name(), &origin, fault);
        }
    }
    ApisSettings { files, from_store, reload: reader.seconds(&keys::APIS_RELOAD) }
}

fn probe(reader: &mut SettingsReader<'_>) -> ProbeSettings {
    let built_in = ApiDefaults::default();
    let timeout = reader.seconds(&keys::TIMEOUT);
    let (when, timezone) = default_schedule(reader, &built_in);
    let expected_status =
        reader.value(&keys::EXPECTED_STATUS, built_in.expected_status, status_set, |set| json!(set.to_string()));
    let defaults = ApiDefaults {
        timeout,
        when,
        timezone,
        expected_status,
        failure_threshold: fit(reader.number(&keys::FAILURE_THRESHOLD)),
        success_threshold: fit(reader.number(&keys::SUCCESS_THRESHOLD)),
        recheck: reader.seconds(&keys::RECHECK),
        unclear_after: reader.optional_seconds(&keys::UNCLEAR_AFTER),
        max_redirects: fit(reader.number(&keys::MAX_REDIRECTS)),
    };
    ProbeSettings {
        defaults,
        spread: reader.flag(&keys::SPREAD),
        max_in_flight: fit(reader.number(&keys::MAX_IN_FLIGHT)),
        body_bytes_max: fit(reader.number(&keys::BODY_BYTES_MAX)),
        extra_roots: reader.path(&keys::EXTRA_ROOTS),
    }
}

/// A number in a smaller type; the bounds of each key fit its own.
fn fit<T: TryFrom<u64> + Default>(number: u64) -> T {
    T::try_from(number).unwrap_or_default()
}

/// `probe.schedule`, `probe.timezone` and `probe.interval_seconds`, checked as those of a row are; but the time zone may
/// stand beside an interval, for rows with a schedule of their own.
fn default_schedule(reader: &mut SettingsReader<'_>, built_in: &ApiDefaults) -> (DefaultSchedule, String) {
    let three = [
        (&keys::SCHEDULE, fields::SCHEDULE),
        (&keys::TIMEZONE, fields::TIMEZONE),
        (&keys::INTERVAL, fields::INTERVAL_SECONDS),
    ];
    let mut row = Map::new();
    for (key, field) in &three {
        if let Some((value, _)) = reader.written(key) {
            row.insert(field.name.to_owned(), value);
        }
    }
    let (written, mut faults) = RawTiming::read(&row, &mut ScheduleCache::default(), SOME_MOMENT);
    if row.contains_key(fields::SCHEDULE.name) && row.contains_key(fields::INTERVAL_SECONDS.name) {
        faults.push((&fields::INTERVAL_SECONDS, schedule_and_interval()));
    }
    for (field, fault) in faults {
        let key = three.iter().find(|(_, f)| f.name == field.name).map_or(&keys::SCHEDULE, |(key, _)| key);
        let origin = reader.written(key).map_or(Origin::Default, |(_, origin)| origin);
        reader.fault(key.name(), &origin, fault);
    }
    let when = match (&written.expression, written.interval) {
        (Some(expression), _) => DefaultSchedule::Cron(expression.clone()),
        (None, Some(interval)) => DefaultSchedule::Every(interval),
        (None, None) => built_in.when.clone(),
    };
    let (cron, every) = match &when {
        DefaultSchedule::Cron(expression) => (json!(expression), Value::Null),
        DefaultSchedule::Every(interval) => (Value::Null, json!(interval.as_secs())),
    };
    let timezone = written.zone.unwrap_or_else(|| built_in.timezone.clone());
    for (key, value) in [(&keys::SCHEDULE, cron), (&keys::TIMEZONE, json!(timezone)), (&keys::INTERVAL, every)] {
        let origin = reader.written(key).map_or(Origin::Default, |(_, origin)| origin);
        reader.note(key, value, origin);
    }
    (when, timezone)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a build without AWS says of a settings file and an environment.
    fn faults(file: &str, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, file).unwrap();
        let issues = load_for(false, Some(&path), folder.path(), env).err().unwrap_or_default();
        let place = format!("{}, ", path.display());
        issues.iter().map(|issue| issue.to_string().replace(&place, "")).collect()
    }

    #[test]
    fn a_build_without_aws_refuses_each_setting_that_needs_it() {
        let unset = |_: &str| None;
        let file = "region = \"eu-central-1\"\n[store]\nkind = \"dynamodb\"\n[notify.sns]\n\
                    topic_arn = \"arn:aws:sns:eu-central-1:123456789012:alerts\"\n";
        let told = faults(file, &unset);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("line 3: store.kind: \"dynamodb\" needs AWS, and this build has no AWS"),
            "{told:?}"
        );
        assert!(told[0].contains("write \"sqlite\""), "{told:?}");
        assert!(told[1].starts_with("line 5: notify.sns.topic_arn: \"arn:aws:sns:"), "{told:?}");
        assert!(told[1].contains("this build has no AWS") && told[1].contains("[notify.webhook]"), "{told:?}");

        let table = |name: &str| (name == "DDB_STATE_TABLE").then(|| "states".to_owned());
        let told = faults("", &table);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("environment variable DDB_STATE_TABLE: store.kind:"), "{told:?}");
        assert!(told[0].contains("this build has no AWS") && told[0].contains("write nothing into it"), "{told:?}");

        let region = |name: &str| (name == "AWS_REGION").then(|| "eu-central-1".to_owned());
        assert_eq!(faults("", &region), [""; 0], "a region alone asks for nothing");
    }
}
