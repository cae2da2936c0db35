//! Files and limits of this machine: what must be readable is, what must be writable is, and no secret lies open.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use api_health_actors::ports::SourceError;
use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::env_file::{self, ENV_FILE, STATE_FOLDER};
use super::report::Finding;
use crate::app::App;
use crate::cli::checks::Check;
use crate::cli::run::limits;
use crate::configs::secrets::has_reference;
use crate::configs::toml_text::{self, to_map};
use crate::configs::{file, files};
use crate::settings::reader::Origin;
use crate::settings::{LoadedSettings, StoreKind};

/// Where the packages have secrets as files, for the unit's `LoadCredential=`.
const CREDENTIALS: &str = "/etc/api-health/credentials";

/// What is written to see that the disk takes it: a few pages of a database.
const WRITTEN_BYTES: usize = 16 * 1024;

/// The log of a busy database, and the copy of it that a backup makes.
const FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Headers, settings and variables with one of these in their names carry secrets.
const SECRET_WORDS: [&str; 6] = ["auth", "token", "key", "secret", "cookie", "password"];

/// Keys whose values may be a secret in the form of a URL.
const SECRET_URLS: [&str; 3] = ["notify.webhook.url", "notify.channel.url", "heartbeat_out.url"];

/// What else to do about a file that the daemon reads by its group.
const OR_ELSE: &str = ", and give it the daemon's group; or write ${env:NAME} or ${file:PATH} there";

/// Every check of files that fits the settings, on a thread of its own, since a disk may hang.
pub(super) async fn examine(loaded: LoadedSettings, env_file: Option<PathBuf>) -> Vec<Finding> {
    let work = move || all(&loaded, env_file.as_deref().unwrap_or(Path::new(ENV_FILE)));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let what = format!("files could not be looked at: {error}");
        Check::SettingsFile.fault(what, "report this as a fault of api-health").into()
    })
}

fn all(loaded: &LoadedSettings, env_file: &Path) -> Vec<Finding> {
    let settings = &loaded.settings;
    let mut found: Vec<Finding> = loaded.file.iter().map(|path| toml(Check::SettingsFile, Ok(path.clone()))).collect();
    found.extend(files::files_of(&settings.apis.files).into_iter().map(|path| toml(Check::ApisFile, path)));
    if env_file.is_file() {
        let secret = || {
            let variables = env_file::read(env_file).unwrap_or_default();
            variables.into_iter().find_map(|(name, value)| secret_in(&name, &value.into()))
        };
        found.push(openness(Check::EnvFile, env_file, secret, ""));
    }
    found.extend(credentials());
    if let Some(path) = &settings.probe.extra_roots {
        let shown = path.display();
        found.push(match App::new(settings.clone()).client() {
            Ok(_) => Check::ExtraRoots.ok(format!("{shown} is readable and holds certificates")),
            Err(error) => Check::ExtraRoots.fault(error.to_string(), "mend the file, or name another one"),
        });
    }
    found.push(open_files(getrlimit(Resource::Nofile).maximum, settings.probe.max_in_flight));
    if settings.store.kind == StoreKind::Sqlite {
        let is_default = loaded.effective.iter().any(|e| e.key == "store.path" && e.origin == Origin::Default);
        let is_astray = is_default && Path::new(STATE_FOLDER).join("api-health.db").exists();
        found.push(if is_astray { astray(&settings.store.path) } else { sqlite(&settings.store.path) });
    }
    found
}

/// That a file can be read, and is not open to everybody if a secret is written in it.
fn toml(check: Check, path: Result<PathBuf, SourceError>) -> Finding {
    match path.and_then(|path| Ok((file::read_regular(&path)?, path))) {
        Ok((text, path)) => {
            let secret = || secret_in("", &Value::Object(to_map(&toml_text::parse(&text).ok()?.table)));
            openness(check, &path, secret, OR_ELSE)
        }
        Err(error) => {
            check.fault(error.to_string(), "name another path, or let the daemon's user read it (chown, chmod)")
        }
    }
}

fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).map_or(0, |found| found.permissions().mode() & 0o777)
}

/// How open a file is: nobody else may change it, nor read it if `secret` finds something.
fn openness(check: Check, path: &Path, secret: impl FnOnce() -> Option<String>, or_else: &str) -> Finding {
    let (shown, mode) = (path.display(), mode_of(path));
    let everybody = format!("every user of this machine (mode {mode:03o})");
    let secret = if mode & 0o004 != 0 { secret() } else { None };
    if mode & 0o002 != 0 {
        check.warn(format!("{shown} may be changed by {everybody}"), format!("chmod o-w {shown}"))
    } else if let Some(name) = secret {
        let what = format!("{shown} may be read by {everybody}, and {name} in it looks secret");
        check.warn(what, format!("chmod 640 {shown}{or_else}"))
    } else {
        check.ok(format!("{shown}: mode {mode:03o}, and no secret in it lies open"))
    }
}

/// The name of the first text in `value` that looks secret and stands there as it is, and for nothing else.
fn secret_in(name: &str, value: &Value) -> Option<String> {
    let inner = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| secret_in(&inner(key), value)),
        Value::Array(list) => list.iter().find_map(|value| secret_in(name, value)),
        Value::String(text) if text.is_empty() || has_reference(text) => None,
        Value::String(text) => {
            let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            // With many services, what follows the host is the secret.
            let has_path = |url: url::Url| url.path() != "/" || url.query().is_some();
            let is_url = || SECRET_URLS.contains(&name) && url::Url::parse(text).is_ok_and(has_path);
            (SECRET_WORDS.iter().any(|word| last.contains(word)) || is_url()).then(|| name.to_owned())
        }
        _ => None,
    }
}

/// The folder that systemd hands secrets over from. One that is needed and cannot be read is a fault of whatever refers to it.
fn credentials() -> Option<Finding> {
    let check = Check::SecretFiles;
    match mode_of(Path::new(CREDENTIALS)) {
        0 => None, // it is not there
        mode if mode & 0o077 == 0 => Some(check.ok(format!("{CREDENTIALS} is its owner's alone, mode {mode:03o}"))),
        mode => {
            let what = format!("{CREDENTIALS} is open to others than its owner (mode {mode:03o})");
            Some(check.warn(what, format!("chmod 700 {CREDENTIALS}")))
        }
    }
}

/// The daemon raises its limit to the most that it may have.
fn open_files(most: Option<u64>, max_in_flight: usize) -> Finding {
    match (limits::too_few_files(most, max_in_flight as u64), most) {
        (Some((what, todo)), _) => Check::OpenFiles.warn(what, todo),
        (None, Some(most)) => {
            Check::OpenFiles.ok(format!("{most} at most here, enough for {max_in_flight} probes at once"))
        }
        (None, None) => Check::OpenFiles.ok("without a limit"),
    }
}

/// The installed service keeps another file than the one of these settings.
fn astray(path: &Path) -> Finding {
    Check::SqliteFile.warn(
        format!("{} in this folder, and not the one of the installed service in {STATE_FOLDER}", path.display()),
        format!("STATE_DIRECTORY={STATE_FOLDER} before the command, or --env-file, which sets it"),
    )
}

/// The file of the store, and the disk that it is on.
fn sqlite(path: &Path) -> Finding {
    let (check, shown) = (Check::SqliteFile, path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let of = folder.display();
    let room = format!("free space there (df -h {of}; df -i {of}), or set store.path to a file on another disk");
    let elsewhere =
        "set store.path to a file in a folder that this user may write to (chown), on a disk that is not read-only";
    if let Err(error) = written_in(folder) {
        // The library's words end in the path that it tried.
        let why = error.to_string();
        let why = why.split(" at path ").next().unwrap_or_default();
        return match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                check.fault(format!("{shown}: the disk is full, {WRITTEN_BYTES} bytes cannot be written ({why})"), room)
            }
            _ => check.fault(format!("no file can be made in {of}: {why}"), elsewhere),
        };
    }
    if let Some(free) = free_bytes(folder).filter(|free| *free < FREE_BYTES_MIN) {
        let left = format!("{free} bytes of space are left and {FREE_BYTES_MIN} may be needed");
        return check.warn(format!("{shown}: the disk is almost full, {left}"), room);
    }
    if path.is_symlink() && !path.exists() {
        return check.fault(format!("{shown} is a link to nowhere"), elsewhere);
    } else if !path.exists() {
        return check.ok(format!("{shown} is not there yet; `run` can make it"));
    }
    let mode = mode_of(path);
    match OpenOptions::new().read(true).write(true).open(path).and_then(|file| file.metadata()) {
        Ok(found) if !found.is_file() => check.fault(format!("{shown} is no regular file"), elsewhere),
        Ok(_) if mode & 0o006 != 0 => check.warn(
            format!(
                "{shown} is open to every user of this machine (mode {mode:03o}), and rows of APIs may hold secrets"
            ),
            format!("chmod o-rw {shown}*"),
        ),
        Ok(found) => check.ok(format!("{shown}: writable, {} bytes", found.len())),
        Err(error) => check.fault(format!("{shown} cannot be written to: {error}"), elsewhere),
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
        let secret = |value: Value| secret_in("", &value);
        let webhook = |url: &str, key: &str| secret(json!({ "notify": { "webhook": { "url": url, "secret": key } } }));
        assert_eq!(webhook("${env:URL}", "${env:SECRET}"), None);
        assert_eq!(webhook("https://a.test", "${env:SECRET}"), None);
        assert_eq!(webhook("https://a.test/T0", "${env:SECRET}").unwrap(), "notify.webhook.url");
        assert_eq!(webhook("${env:URL}", "hunter2").unwrap(), "notify.webhook.secret");
        let slack = json!({ "notify": { "channel": [{ "url": "https://hooks.slack.com/services/T0/B0/x" }] } });
        assert_eq!(secret(slack).unwrap(), "notify.channel.url");
        assert_eq!(secret(json!({})), None);
        let api = |name: &str, value: &str| {
            secret(json!({ "api": [{ "url": "https://a.test/b" }, { "headers": { name: value } }] }))
        };
        assert_eq!(api("Authorization", "Bearer x").unwrap(), "api.headers.Authorization");
        assert_eq!(api("X-Api-Key", "${env:KEY}"), None);
        assert_eq!(api("Accept", "text/html"), None);
        assert_eq!(secret_in("SHOP_TOKEN", &"x".into()).unwrap(), "SHOP_TOKEN");
    }

    #[test]
    fn a_limit_that_is_too_low_is_told() {
        let low = open_files(Some(4_096), 4_096);
        assert!(low.mark == Mark::Warn && low.todo.unwrap().starts_with("write LimitNOFILE="));
        assert_eq!(open_files(Some(524_288), 4_096).mark, Mark::Ok);
        assert_eq!(open_files(None, 65_535).mark, Mark::Ok);
    }
}
