//! Files and limits of this machine: what must be readable is, what must be writable is, and no secret lies open.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::env_file::{self, STATE_FOLDER};
use super::report::Finding;
use crate::app::App;
use crate::cli::checks::Check;
use crate::cli::text;
use crate::configs::secrets::has_reference;
use crate::configs::toml_text::{self, to_map};
use crate::configs::{file, files};
use crate::probe::resolve::files_of_probes;
use crate::settings::reader::Origin;
use crate::settings::{LoadedSettings, StoreKind};

/// Where the packages have secrets as files, for the unit's `LoadCredential=`.
const CREDENTIALS: &str = "/etc/api-health/credentials";

/// Where the packages have the environment of the unit, for its `EnvironmentFile=`.
const ENVIRONMENT: &str = "/etc/api-health/env";

/// File descriptors beside those of probes: the store, channels, standard streams, the runtime.
const OTHER_FILES: u64 = 64;

/// What is written to see that the disk takes it: a few pages of a database.
const WRITTEN_BYTES: usize = 16 * 1024;

/// The log of a busy database, and the copy of it that a backup makes.
const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Headers and variables with one of these in their names carry secrets.
const SECRET_WORDS: [&str; 6] = ["auth", "token", "key", "secret", "cookie", "password"];

/// Every check of files that fits the settings. It blocks for as long as disks take.
pub(super) fn look(loaded: &LoadedSettings, app: &App, env_is_from: Option<&Path>) -> Vec<Finding> {
    let settings = &loaded.settings;
    let mut found = Vec::new();
    if let Some(path) = &loaded.file {
        found.push(readable(Check::SettingsFile, path, settings_secret));
    }
    found.extend(files::files_of(&settings.apis.files).into_iter().map(|file| match file {
        Ok(path) => readable(Check::ApisFile, &path, apis_secret),
        Err(error) => {
            Finding::fault(Check::ApisFile, error.to_string(), "name another path, or let the daemon's user read it")
        }
    }));
    found.extend(environment_file(env_is_from.unwrap_or(Path::new(ENVIRONMENT))));
    found.extend(secret_files());
    if let Some(path) = &settings.probe.extra_roots {
        found.push(match app.client() {
            Ok(_) => Finding::ok(Check::ExtraRoots, format!("{} is readable and holds certificates", path.display())),
            Err(error) => Finding::fault(Check::ExtraRoots, error.to_string(), "mend the file, or name another one"),
        });
    }
    found.push(open_files(getrlimit(Resource::Nofile).maximum, settings.probe.max_in_flight));
    if settings.store.kind == StoreKind::Sqlite {
        let is_default = loaded.effective.iter().any(|e| e.key == "store.path" && e.origin == Origin::Default);
        found.push(sqlite(&settings.store.path, is_default && Path::new(STATE_FOLDER).join("api-health.db").exists()));
    }
    found
}

/// That a file can be read, and is not open to everybody if `secret` finds one written in it.
fn readable(check: Check, path: &Path, secret: fn(&Value) -> Option<&'static str>) -> Finding {
    let mode = |text| Ok((text, mode_of(path).map_err(|error| format!("{}: {error}", path.display()))?));
    let (text, mode) = match file::read_regular(path).map_err(|error| error.to_string()).and_then(mode) {
        Ok(found) => found,
        Err(why) => {
            return Finding::fault(check, why, "name another path, or let the daemon's user read it (chown, chmod)");
        }
    };
    let secret = || {
        let value = toml_text::parse(&text).map(|document| Value::Object(to_map(&document.table))).unwrap_or_default();
        secret(&value).map(|what| format!("{what} is written in it"))
    };
    let todo = ", and give it the daemon's group; or write ${env:NAME} or ${file:PATH} there";
    openness(check, path, mode, secret, todo)
}

/// That the file of the environment, where there is one, is not open to everybody while a secret is written in it.
fn environment_file(path: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(path).is_ok_and(|found| found.is_file()).then(|| mode_of(path).ok())??;
    let secret = || {
        // What cannot be read as such may hold anything.
        let variables = env_file::read(path).unwrap_or_default();
        let found = variables.into_iter().find(|(name, value)| looks_secret(name) && !value.is_empty())?;
        Some(format!("{} looks secret", found.0))
    };
    Some(openness(Check::EnvFile, path, mode, secret, ""))
}

fn mode_of(path: &Path) -> std::io::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

/// How open a file is: nobody else may change it, nor read it if `secret` finds something.
fn openness(check: Check, path: &Path, mode: u32, secret: impl FnOnce() -> Option<String>, todo: &str) -> Finding {
    let (shown, everybody) = (path.display(), format!("every user of this machine (mode {mode:03o})"));
    if mode & 0o002 != 0 {
        return Finding::warn(check, format!("{shown} may be changed by {everybody}"), format!("chmod o-w {shown}"));
    }
    match if mode & 0o004 != 0 { secret() } else { None } {
        Some(what) => {
            let what = format!("{shown} may be read by {everybody}, and {what}");
            Finding::warn(check, what, format!("chmod 640 {shown}{todo}"))
        }
        None => Finding::ok(check, format!("{shown}: mode {mode:03o}, and no secret in it lies open")),
    }
}

fn looks_secret(name: &str) -> bool {
    SECRET_WORDS.iter().any(|word| name.to_ascii_lowercase().contains(word))
}

/// A text that stands there as it is, and stands for nothing else.
fn is_literal(value: Option<&Value>) -> bool {
    value.and_then(Value::as_str).is_some_and(|text| !text.is_empty() && !has_reference(text))
}

fn settings_secret(settings: &Value) -> Option<&'static str> {
    let webhook = settings.pointer("/notify/webhook")?;
    if is_literal(webhook.get("secret")) {
        return Some("the webhook's secret");
    }
    let url = webhook.get("url").and_then(Value::as_str).filter(|url| !has_reference(url));
    // With many services, what follows the host is the secret.
    let has_path =
        url.and_then(|url| url::Url::parse(url).ok()).is_some_and(|url| url.path() != "/" || url.query().is_some());
    has_path.then_some("the webhook's whole url")
}

fn apis_secret(apis: &Value) -> Option<&'static str> {
    let rows = apis.get("api")?.as_array()?;
    let headers = rows.iter().filter_map(|row| row.get("headers")?.as_object()).flatten();
    headers
        .into_iter()
        .any(|(name, value)| looks_secret(name) && is_literal(Some(value)))
        .then_some("a header that looks secret")
}

/// The folder that systemd handed over, and the one that it was handed from.
fn secret_files() -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty()) {
        let shown = Path::new(&folder).display().to_string();
        found.push(match std::fs::read_dir(&folder) {
            Ok(entries) => {
                let count = text::count(entries.count(), "secret");
                Finding::ok(Check::SecretFiles, format!("{shown} (CREDENTIALS_DIRECTORY): {count}"))
            }
            Err(error) => Finding::fault(
                Check::SecretFiles,
                format!("{shown} (CREDENTIALS_DIRECTORY) cannot be read: {error}"),
                "run as the daemon's user while the daemon runs, and see LoadCredential= in its unit",
            ),
        });
    }
    if let Ok(folder) = std::fs::metadata(CREDENTIALS) {
        let mode = folder.permissions().mode() & 0o777;
        found.push(if mode & 0o077 == 0 {
            Finding::ok(Check::SecretFiles, format!("{CREDENTIALS} is its owner's alone, mode {mode:03o}"))
        } else {
            let what = format!("{CREDENTIALS} is open to others than its owner (mode {mode:03o})");
            Finding::warn(Check::SecretFiles, what, format!("chmod 700 {CREDENTIALS}"))
        });
    }
    found
}

/// The daemon raises its limit to the most that it may have.
fn open_files(most: Option<u64>, max_in_flight: usize) -> Finding {
    let needed = files_of_probes(u64::try_from(max_in_flight).unwrap_or(u64::MAX)).saturating_add(OTHER_FILES);
    match most {
        Some(most) if most < needed => Finding::warn(
            Check::OpenFiles,
            format!("{most} at most here, and probe.max_in_flight = {max_in_flight} may need {needed}"),
            format!("LimitNOFILE={needed} in the unit (ulimit -Hn in a shell), or a smaller probe.max_in_flight"),
        ),
        Some(most) => Finding::ok(Check::OpenFiles, format!("{most} at most here, {needed} may be needed")),
        None => Finding::ok(Check::OpenFiles, "without a limit"),
    }
}

/// The file of the store. `is_astray`: the installed service keeps another one.
fn sqlite(path: &Path, is_astray: bool) -> Finding {
    let check = Check::SqliteFile;
    let shown = path.display();
    if is_astray {
        return Finding::warn(
            check,
            format!("{shown} in this folder, and not the one of the installed service in {STATE_FOLDER}"),
            format!("STATE_DIRECTORY={STATE_FOLDER} before the command, or --env-file, which sets it"),
        );
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let todo = "set store.path to a file in a folder that this user may write to (chown), on a disk that is not full or read-only";
    if let Err(error) = written_in(folder) {
        let (why, of) = (error.to_string(), folder.display());
        // The library's words end in the path that it tried.
        let why = why.split(" at path ").next().unwrap_or_default();
        return match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Finding::fault(
                check,
                format!("{shown}: the disk is full, {WRITTEN_BYTES} bytes cannot be written ({why})"),
                format!("free space there (df -h {of}; df -i {of}), or set store.path to a file on another disk"),
            ),
            _ => Finding::fault(check, format!("no file can be made in {of}: {why}"), todo),
        };
    }
    if let Some(free) = free_bytes(folder).filter(|free| *free < FREE_BYTES_MIN) {
        let of = folder.display();
        return Finding::warn(
            check,
            format!(
                "{shown}: the disk is almost full, {free} bytes of space are left and {FREE_BYTES_MIN} may be needed"
            ),
            format!("free space there (df -h {of}), or set store.path to a file on another disk"),
        );
    }
    if !path.exists() {
        return Finding::ok(check, format!("{shown} is not there yet; `run` can make it"));
    }
    match OpenOptions::new().read(true).write(true).open(path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o006 != 0 => Finding::warn(
            check,
            format!(
                "{shown} is open to every user of this machine (mode {:03o}), and rows of APIs may hold secrets",
                found.permissions().mode() & 0o777
            ),
            format!("chmod o-rw {shown}*"),
        ),
        Ok(found) if found.is_file() => Finding::ok(check, format!("{shown}: writable, {} bytes", found.len())),
        Ok(_) => Finding::fault(check, format!("{shown} is no regular file"), "set store.path to a file"),
        Err(error) => Finding::fault(check, format!("{shown} cannot be written to: {error}"), todo),
    }
}

/// Makes a file there, writes into it and removes it: on a full disk an empty one can still be made.
fn written_in(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".api-health-doctor-").tempfile_in(folder)?;
    file.write_all(&[0; WRITTEN_BYTES])?;
    file.as_file().sync_data()
}

/// What is left on the file system of a folder for whoever is not root.
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Mark;
    use serde_json::json;

    #[test]
    fn a_secret_is_what_stands_there_literally() {
        let webhook = |url: &str, secret: &str| json!({ "notify": { "webhook": { "url": url, "secret": secret } } });
        assert!(settings_secret(&webhook("${env:URL}", "${env:SECRET}")).is_none());
        assert!(settings_secret(&webhook("https://a.test", "${env:SECRET}")).is_none());
        assert!(settings_secret(&webhook("https://a.test/T0", "${env:SECRET}")).is_some());
        assert!(settings_secret(&webhook("${env:URL}", "hunter2")).is_some());
        assert!(settings_secret(&json!({})).is_none());
        let api = |name: &str, value: &str| json!({ "api": [{ "url": "x" }, { "headers": { name: value } }] });
        assert!(apis_secret(&api("Authorization", "Bearer x")).is_some());
        assert!(apis_secret(&api("X-Api-Key", "${env:KEY}")).is_none());
        assert!(apis_secret(&api("Accept", "text/html")).is_none());
    }

    #[test]
    fn a_limit_that_is_too_low_is_told() {
        assert_eq!(open_files(Some(4_096), 4_096).mark, Mark::Warn);
        assert_eq!(open_files(Some(524_288), 4_096).mark, Mark::Ok);
        assert_eq!(open_files(None, 65_535).mark, Mark::Ok);
    }
}
