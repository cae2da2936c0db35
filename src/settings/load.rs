//! From what was written to what is in force: every fault of the file and the environment at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api_health_core::ConfigFault;
use serde_json::Value;

use super::heartbeat_out;
use super::keys;
use super::notify;
use super::parsers;
use super::proxy;
use super::raw::RawFile;
use super::reader::{Effective, Origin, SettingsReader};
use super::web;
use super::{
    ApisSettings, FleetSettings, HistorySettings, LogSettings, NetworkSettings, ProbeSettings, RunSettings, Settings,
    StoreKind, StoreSettings,
};
use crate::configs::defaults::{ApiDefaults, DefaultSchedule};
use crate::configs::field::{Context, SOME_MOMENT};
use crate::configs::kinds::Choice;
use crate::configs::pipes::regular;
use crate::configs::schedules::ScheduleCache;
use crate::configs::secrets::SecretSource;
use crate::configs::shared_windows::SharedWindows;
use crate::configs::timing::schedule_and_interval;
use crate::configs::values::{self, ValueFault};
use crate::environment;
use crate::probe::guard::Allowed;

/// The file that is read if none is named.
pub const FILE_NAME: &str = "api-health.toml";

/// Why a setting of AWS is refused by a build without the feature `aws`.
pub const NO_AWS: &str = "needs AWS, and this build has no AWS: it was made with --no-default-features";

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
) -> Result<LoadedSettings, Vec<ConfigFault>> {
    load_for(cfg!(feature = "aws"), file, folder, env)
}

/// The same while the program runs: only from a file that can be read again and again. The text of a pipe is gone, and to open it
/// could wait for ever.
///
/// # Errors
/// As [`load`], and a file that is a pipe.
pub fn reload(
    file: Option<&Path>,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedSettings, Vec<ConfigFault>> {
    found(file, folder).map_or(Ok(()), |path| regular(&path)).map_err(|fault| vec![fault])?;
    load(file, folder, env)
}

/// The file that is read. A link that leads nowhere is there, and a fault: whoever laid it means other settings than the defaults.
fn found(file: Option<&Path>, folder: &Path) -> Option<PathBuf> {
    let usual = folder.join(FILE_NAME);
    file.map(Path::to_owned).or_else(|| is_there(&usual).then_some(usual))
}

/// Whether there is such a file, or a link by that name that leads nowhere.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What [`load`] does, for a build with or without AWS.
fn load_for(
    has_aws: bool,
    file: Option<&Path>,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<LoadedSettings, Vec<ConfigFault>> {
    let file = found(file, folder);
    let raw = file.as_deref().map(RawFile::read).transpose()?.unwrap_or_default();
    let (settings, effective, faults) = read(has_aws, &raw, env);
    if faults.is_empty() { Ok(LoadedSettings { settings, effective, file }) } else { Err(faults) }
}

impl Default for Settings {
    /// What is in force with no settings at all.
    fn default() -> Self {
        read(cfg!(feature = "aws"), &RawFile::default(), &|_| None).0
    }
}

/// References in settings come from the same environment as the settings.
struct Surroundings<'a>(&'a dyn Fn(&str) -> Option<String>);

impl SecretSource for Surroundings<'_> {
    fn env(&self, name: &str) -> Result<String, String> {
        (self.0)(name).ok_or_else(|| environment::why_missing(name))
    }
}

/// The settings, where each came from, and all that is wrong with them; with a fault, the settings are not to be used.
fn read(
    has_aws: bool,
    file: &RawFile,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Settings, Vec<Effective>, Vec<ConfigFault>) {
    let (secrets, schedules) = (&Surroundings(env), &mut ScheduleCache::default());
    let folder = file.path.parent().unwrap_or(Path::new(""));
    let allowed = &Allowed::default();
    let context = Context { secrets, schedules, now: SOME_MOMENT, folder, allowed };
    let faults = file.faults.clone();
    let mut reader = SettingsReader { has_aws, file, env, context, faults, effective: Vec::new() };
    let (environment, region) = (reader.get(&keys::ENVIRONMENT), reader.optional(&keys::REGION));
    let proxies = Arc::new(proxy::read(&mut reader));
    let store = store(&mut reader);
    let settings = Settings {
        environment,
        region,
        proxies,
        history: history(&mut reader, &store),
        store,
        apis: apis(&mut reader),
        notify: notify::read(&mut reader),
        heartbeat_out: heartbeat_out::read(&mut reader),
        probe: probe(&mut reader),
        network: NetworkSettings { witnesses: reader.get(&keys::WITNESSES) },
        run: RunSettings { shutdown: reader.get(&keys::SHUTDOWN) },
        fleet: fleet(&mut reader),
        log: LogSettings { level: reader.get(&keys::LOG_LEVEL), format: reader.get(&keys::LOG_FORMAT) },
        web: web::read(&mut reader),
    };
    for key in keys::READ_BY_THE_SDK {
        let set = reader.env(key);
        let origin = if set.is_some() { Origin::Env(key) } else { Origin::Default };
        reader.effective.push(Effective {
            key: key.into(),
            value: set.map_or(Value::Null, |v| parsers::endpoint(&v)),
            origin,
        });
    }
    proxy::note_variables(&mut reader);
    (settings, reader.effective, reader.faults)
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
    let by_env = [keys::CONFIG_TABLE.env, keys::STATE_TABLE.env].into_iter().flatten();
    let by_env = by_env.clone().find(|name| reader.env(name).is_some());
    let written = reader.read(&keys::STORE_KIND);
    let (kind, origin) = match by_env {
        Some(name) => (StoreKind::Dynamodb, Origin::Env(name)),
        None => written.unwrap_or((StoreKind::Sqlite, Origin::Default)),
    };
    if kind == StoreKind::Dynamodb && !reader.has_aws {
        let remedy = match origin {
            Origin::Env(_) => "nothing into it, which leaves an SQLite file, or take a build with AWS",
            _ => "\"sqlite\", or take a build with AWS",
        };
        let fault = ValueFault::new(values::quote(kind.as_str()), NO_AWS, remedy);
        reader.fault(keys::STORE_KIND.name, &origin, fault);
    }
    reader.note(&keys::STORE_KIND, Some(&kind), origin);
    // systemd separates several folders with colons; the first is ours.
    let folder = reader.env("STATE_DIRECTORY").and_then(|all| Some(all.split(':').next()?.to_owned()));
    let origin = if folder.is_some() { Origin::Env("STATE_DIRECTORY") } else { Origin::Default };
    let path = PathBuf::from(folder.unwrap_or_default()).join("api-health.db");
    let path = reader.in_force(&keys::STORE_PATH, Some((path, origin))).unwrap_or_default();
    let config_table = reader.get(&keys::CONFIG_TABLE);
    let state_table = reader.get(&keys::STATE_TABLE);
    if kind == StoreKind::Dynamodb && config_table == state_table {
        let fault = ValueFault::new(values::quote(&state_table), "is also the config table", "two different tables");
        reader.fault(keys::STATE_TABLE.name, &reader.origin(&keys::STATE_TABLE), fault);
    }
    let checkpoint = reader.get_or(&keys::CHECKPOINT, Duration::from_secs(default_checkpoint_seconds(kind)));
    let heartbeat = Some(reader.get(&keys::HEARTBEAT)).filter(|period| !period.is_zero());
    StoreSettings { kind, path, config_table, state_table, checkpoint, heartbeat }
}

/// How often the present day of each API is written: likewise, a write of DynamoDB is paid for.
pub const fn default_history_flush_seconds(kind: StoreKind) -> u64 {
    match kind {
        StoreKind::Dynamodb => 21_600,
        StoreKind::Sqlite => 300,
    }
}

fn history(reader: &mut SettingsReader<'_>, store: &StoreSettings) -> HistorySettings {
    let enabled = reader.get(&keys::HISTORY_ENABLED);
    let flush = Duration::from_secs(default_history_flush_seconds(store.kind));
    let flush = reader.get_or(&keys::HISTORY_FLUSH, flush);
    let table = reader.get(&keys::HISTORY_TABLE);
    let others = [(&store.config_table, "config"), (&store.state_table, "state")];
    let other = others.into_iter().find(|(name, _)| **name == table);
    if let Some((_, other)) = other.filter(|_| store.kind == StoreKind::Dynamodb && enabled) {
        let fault = ValueFault::new(values::quote(&table), format!("is also the {other} table"), "another table");
        reader.fault(keys::HISTORY_TABLE.name, &reader.origin(&keys::HISTORY_TABLE), fault);
    }
    HistorySettings { enabled, flush, table }
}

fn fleet(reader: &mut SettingsReader<'_>) -> FleetSettings {
    let fleet = FleetSettings {
        role: reader.get(&keys::FLEET_ROLE),
        expected: Some(reader.get(&keys::FLEET_EXPECTED)).filter(|expected| *expected > 0),
        lease: reader.get(&keys::FLEET_LEASE),
        renew: reader.get(&keys::FLEET_RENEW),
        fail_open: reader.get(&keys::FLEET_FAIL_OPEN),
    };
    if fleet.lease < fleet.renew * 3 {
        let written = reader.written(&keys::FLEET_RENEW).or_else(|| reader.written(&keys::FLEET_LEASE));
        let origin = written.map_or(Origin::Default, |(_, origin)| origin);
        let (lease, renew) = (fleet.lease.as_secs(), fleet.renew.as_secs());
        let why = format!("is more than a third of fleet.lease_seconds ({lease})");
        let remedy = format!("at most {}, or a longer lease", lease / 3);
        reader.fault(keys::FLEET_RENEW.name, &origin, ValueFault::new(renew.to_string(), why, remedy));
    }
    fleet
}

fn apis(reader: &mut SettingsReader<'_>) -> ApisSettings {
    let files = reader.get(&keys::APIS_FILE);
    let from_store = reader.get(&keys::APIS_FROM_STORE);
    if !from_store && reader.written(&keys::APIS_FILE).is_none() {
        let fault = ValueFault::new("false", "leaves nothing to read APIs from", "true, or name a file below [apis]");
        reader.fault(keys::APIS_FROM_STORE.name, &reader.origin(&keys::APIS_FROM_STORE), fault);
    }
    ApisSettings { files, from_store, reload: reader.get(&keys::APIS_RELOAD) }
}

fn probe(reader: &mut SettingsReader<'_>) -> ProbeSettings {
    let maintenance =
        SharedWindows { of_all: reader.get(&keys::MAINTENANCE_WINDOWS), by_tag: reader.get(&keys::MAINTENANCE_BY_TAG) };
    let timeout = reader.get(&keys::TIMEOUT);
    // The time zone may stand beside an interval, for rows with a schedule of their own.
    let has_interval = reader.written(&keys::INTERVAL).is_some();
    let cron = keys::SCHEDULE.built_in().filter(|_| !has_interval).map(|cron| (cron, Origin::Default));
    let cron = reader.in_force(&keys::SCHEDULE, cron).unwrap_or_default();
    let timezone = reader.get(&keys::TIMEZONE);
    let when = reader.optional(&keys::INTERVAL).map_or(DefaultSchedule::Cron(cron), DefaultSchedule::Every);
    if has_interval && reader.written(&keys::SCHEDULE).is_some() {
        reader.fault(keys::INTERVAL.name, &reader.origin(&keys::INTERVAL), schedule_and_interval());
    }
    let defaults = ApiDefaults {
        timeout,
        when,
        timezone,
        expected_status: reader.get(&keys::EXPECTED_STATUS),
        failure_threshold: reader.get(&keys::FAILURE_THRESHOLD),
        success_threshold: reader.get(&keys::SUCCESS_THRESHOLD),
        recheck: reader.get(&keys::RECHECK),
        unclear_after: reader.optional(&keys::UNCLEAR_AFTER),
        flap_changes: reader.get(&keys::FLAP_CHANGES),
        flap_window: reader.get(&keys::FLAP_WINDOW),
        remind_after: reader.optional(&keys::REMIND_AFTER),
        max_redirects: reader.get(&keys::MAX_REDIRECTS),
        maintenance,
    };
    ProbeSettings {
        defaults,
        spread: reader.get(&keys::SPREAD),
        max_in_flight: reader.get(&keys::MAX_IN_FLIGHT),
        max_in_flight_per_host: reader.get(&keys::MAX_IN_FLIGHT_PER_HOST),
        contact: reader.optional(&keys::CONTACT),
        body_bytes_max: reader.get(&keys::BODY_BYTES_MAX),
        resolver: reader.get(&keys::RESOLVER),
        extra_roots: reader.optional(&keys::EXTRA_ROOTS),
        allowed: Allowed::new(reader.get(&keys::ALLOWED_LINK_LOCAL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a build without AWS says of a settings file and an environment.
    fn faults(file: &str, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, file).unwrap();
        let faults = load_for(false, Some(&path), folder.path(), env).err().unwrap_or_default();
        let place = format!("{}, ", path.display());
        faults.iter().map(|fault| fault.to_string().replace(&place, "")).collect()
    }

    #[test]
    fn a_key_that_is_not_known_hides_no_bad_value_of_the_same_file() {
        let told = faults("[probe]\nspred = true\n[log]\nlevel = \"loud\"\n", &|_| None);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("line 2: ") && told[1].starts_with("line 4: "), "{told:?}");
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

    #[test]
    fn so_many_channels_are_taken_at_most_each_with_so_many_keys_and_as_long_texts() {
        let unset = |_: &str| None;
        let channel = |name: &str, more: &str| {
            format!("[[notify.channel]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"https://a.test/\"\n{more}")
        };
        let many = |count: usize| (0..count).map(|n| channel(&format!("c{n}"), "")).collect::<String>();
        assert_eq!(faults(&many(12), &unset), [""; 0]);
        assert!(faults(&many(13), &unset)[0].contains("13 channels are more than 12"));
        let longest = channel(
            &"n".repeat(32),
            &format!("template = \"\\\"{}\\\"\"\nsecret = \"{}\"\n", "t".repeat(16_382), "s".repeat(4_096)),
        );
        assert_eq!(faults(&longest, &unset), [""; 0]);
        let longer = channel(
            &"n".repeat(33),
            &format!("template = \"{}\"\nsecret = \"{}\"\n", "t".repeat(16_385), "s".repeat(4_097)),
        );
        let told = faults(&longer, &unset);
        assert_eq!(told.len(), 3, "{told:?}");
        let long = "x".repeat(1_025);
        assert_eq!(faults(&channel("a", &format!("success = {{ contains = \"{long}\" }}\n")), &unset).len(), 1);
        let keys: String = (0..40).map(|n| format!("k{n} = 1\n")).collect();
        let told = faults(&channel("a", &keys), &unset);
        assert!(told.len() == 1 && told[0].contains("43 keys are more than any kind of channel has"), "{told:?}");
        let some: String = keys.split_inclusive('\n').take(20).collect();
        let bad: String = (0..12).map(|n| channel(&format!("N{n}"), &some)).collect();
        assert_eq!(faults(&bad, &unset).len(), 51, "the rest is counted");
    }

    #[test]
    fn so_many_networks_are_opened_at_most_and_each_fault_is_told() {
        let unset = |_: &str| None;
        let of = |networks: &str| faults(&format!("[probe]\nallowed_link_local = {networks}\n"), &unset);
        assert_eq!(of(&format!("{:?}", vec!["169.254.171.0/24"; 16])), [""; 0]);
        assert!(of(&format!("{:?}", vec!["169.254.171.0/24"; 17]))[0].contains("is more than 16"));
        let told = of("[\"169.254.0.0/16\", \"10.0.0.0/8\"]");
        assert!(told.len() == 2 && told[0].contains("metadata") && told[1].contains("no part of"), "{told:?}");
    }
}
