//! Where a daemon's socket is: a daemon and a command with the same settings come to the same place.
//!
//! | which daemon | where |
//! |---|---|
//! | one with `$RUNTIME_DIRECTORY`, which systemd sets for a unit with `RuntimeDirectory=` | `api-health.sock` in the first of its folders |
//! | another one with an SQLite file | beside the file: `api-health.db.sock` |
//! | another one with DynamoDB | `api-health-HASH.sock` in `$XDG_RUNTIME_DIR` or `/run/user/UID`; without such a folder there is no socket |
//!
//! A command does not know how the daemon was started, so it tries all of these, then the folder of the packaged service. A
//! daemon says which store it works on, and one that works on another is not the one that was looked for.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::notify::format;
use crate::settings::{Settings, StoreKind};
use crate::sqlite;

/// The name of the socket in a folder that belongs to one daemon.
const FILE_NAME: &str = "api-health.sock";

/// Where the packaged service has it, as its unit says (`RuntimeDirectory=`).
const OF_THE_SERVICE: &str = "/run/api-health/api-health.sock";

/// So many bytes of a SHA-256 tell the stores of one user apart.
const HASH_BYTES: usize = 8;

/// Environment variables, as the settings see them.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a daemon with these settings listens; `None` if there is no folder for it.
pub fn of_the_daemon(settings: &Settings, env: Env<'_>) -> Option<PathBuf> {
    in_runtime_directory(env).or_else(|| by_store(settings, env))
}

/// Where a command with these settings looks, in this order.
pub fn of_a_command(settings: &Settings, env: Env<'_>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = in_runtime_directory(env).into_iter().chain(by_store(settings, env)).collect();
    if !places.iter().any(|place| place == Path::new(OF_THE_SERVICE)) {
        places.push(OF_THE_SERVICE.into());
    }
    places
}

/// The store, by a name that is the same in whatever folder a process runs: two daemons on one store have the same.
pub fn store(settings: &Settings, env: Env<'_>) -> String {
    let store = &settings.store;
    match store.kind {
        StoreKind::Sqlite => {
            let path = sqlite::real_path(&store.path).unwrap_or_else(|| store.path.clone());
            format!("SQLite file {}", path.display())
        }
        StoreKind::Dynamodb => {
            let set = |name| env(name).filter(|value| !value.is_empty());
            let region = settings.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
            let endpoint = set("AWS_ENDPOINT_URL_DYNAMODB").or_else(|| set("AWS_ENDPOINT_URL"));
            // Hashed, since there may be a password in it.
            let endpoint = endpoint.map(|url| format!(" at {}", hash(&url))).unwrap_or_default();
            format!("DynamoDB table {}{region}{endpoint}", store.state_table)
        }
    }
}

/// systemd separates several folders with colons; the first is ours.
fn in_runtime_directory(env: Env<'_>) -> Option<PathBuf> {
    let folders = env("RUNTIME_DIRECTORY")?;
    absolute(folders.split(':').next()?).map(|folder| folder.join(FILE_NAME))
}

fn by_store(settings: &Settings, env: Env<'_>) -> Option<PathBuf> {
    match settings.store.kind {
        StoreKind::Sqlite => sqlite::beside(&settings.store.path, ".sock"),
        StoreKind::Dynamodb => {
            let folder = env("XDG_RUNTIME_DIR").and_then(|folder| absolute(&folder)).or_else(folder_of_the_user)?;
            Some(folder.join(format!("api-health-{}.sock", hash(&store(settings, env)))))
        }
    }
}

fn folder_of_the_user() -> Option<PathBuf> {
    Some(PathBuf::from(format!("/run/user/{}", geteuid().as_raw()))).filter(|folder| folder.is_dir())
}

fn absolute(folder: &str) -> Option<PathBuf> {
    Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute())
}

fn hash(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    format::hex(digest.as_ref().get(..HASH_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn places(settings: &Settings, env: &[(&str, &str)]) -> (Option<PathBuf>, Vec<PathBuf>) {
        let env: HashMap<&str, &str> = env.iter().copied().collect();
        let env = |name: &str| env.get(name).map(ToString::to_string);
        (of_the_daemon(settings, &env), of_a_command(settings, &env))
    }

    fn sqlite_at(path: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.store.path = path.to_owned();
        settings
    }

    #[test]
    fn the_runtime_directory_comes_first_and_a_command_looks_beside_the_file_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let settings = sqlite_at(&folder.join("a.db"));
        let beside = folder.join("a.db.sock");
        let of_the_service = PathBuf::from(OF_THE_SERVICE);
        assert_eq!(places(&settings, &[]), (Some(beside.clone()), vec![beside.clone(), of_the_service.clone()]));
        let in_x = PathBuf::from("/run/x/api-health.sock");
        let (daemon, command) = places(&settings, &[("RUNTIME_DIRECTORY", "/run/x:/run/y")]);
        assert_eq!((daemon, command), (Some(in_x.clone()), vec![in_x, beside.clone(), of_the_service.clone()]));
        let (daemon, command) = places(&settings, &[("RUNTIME_DIRECTORY", "/run/api-health")]);
        assert_eq!((daemon, command), (Some(of_the_service.clone()), vec![of_the_service, beside.clone()]));
        assert_eq!(places(&settings, &[("RUNTIME_DIRECTORY", "x")]).0, Some(beside.clone()), "not absolute");
        assert_eq!(places(&settings, &[("RUNTIME_DIRECTORY", "")]).0, Some(beside));
    }

    #[test]
    fn one_file_has_one_place_by_whatever_name_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        std::fs::write(folder.join("a.db"), "").unwrap();
        std::os::unix::fs::symlink(folder.join("a.db"), folder.join("link.db")).unwrap();
        let [by_name, by_link] = ["a.db", "link.db"].map(|name| sqlite_at(&folder.join(name)));
        assert_eq!(places(&by_name, &[]), places(&by_link, &[]));
        assert_eq!(store(&by_name, &|_| None), store(&by_link, &|_| None));
    }

    #[test]
    fn each_pair_of_tables_has_a_place_of_its_own() {
        let mut settings = Settings::default();
        settings.store.kind = StoreKind::Dynamodb;
        let at = |settings: &Settings, more: &[(&str, &str)]| {
            let env = [&[("XDG_RUNTIME_DIR", "/run/user/7")], more].concat();
            places(settings, &env).0.unwrap().into_os_string().into_string().unwrap()
        };
        let mut all = vec![at(&settings, &[])];
        assert!(all[0].starts_with("/run/user/7/api-health-") && all[0].ends_with(".sock"), "{all:?}");
        assert_eq!(all[0].len(), "/run/user/7/api-health-.sock".len() + 2 * HASH_BYTES);
        all.push(at(&settings, &[("AWS_ENDPOINT_URL", "http://me:hunter2@127.0.0.1:1")]));
        settings.region = Some("eu-central-1".into());
        all.push(at(&settings, &[]));
        settings.store.state_table = "others".into();
        all.push(at(&settings, &[]));
        assert_eq!(at(&settings, &[]), all[3], "it does not change by itself");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4, "{all:?}");
        let named = store(&settings, &|name| (name == "AWS_ENDPOINT_URL").then(|| "http://me:hunter2@a.test".into()));
        assert!(named.starts_with("DynamoDB table others in eu-central-1 at ") && !named.contains("hunter"), "{named}");
    }
}
