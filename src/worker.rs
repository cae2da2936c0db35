//! The name of this worker among those that share the tables. It outlives the process, so that a daemon that crashed and is
//! started again takes its own lease over at once, and nobody waits for it to lapse.
//!
//! The name stands in a file beside the boot id of the machine, and the file is locked while the process lives. Same boot and
//! a free lock: the process before this one is dead for certain. Another boot id: a new name is drawn, since the disk may have
//! been cloned. Where there is no folder for it, or another process has it, the name is this process's alone.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use api_health_core::own::records::WorkerId;

/// Where Linux tells one boot from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How much of the file is read.
const BYTES_MAX: u64 = 1_024;

/// Which worker this is.
#[derive(Debug)]
pub struct Identity {
    pub id: WorkerId,
    /// The kernel's id of the present boot.
    pub boot_id: String,
    /// The process that used this name before is dead for certain.
    pub former_life_is_dead: bool,
    /// Held for as long as the process lives.
    _lock: Option<File>,
}

impl Identity {
    /// The worker of this machine for that table; the folder is where the environment says.
    pub fn find(table: &str, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let boot_id = std::fs::read_to_string(BOOT_ID).map(|text| text.trim().to_owned()).unwrap_or_default();
        let path = folder(env).map(|folder| folder.join(format!("worker-{table}")));
        let found = path.and_then(|path| match Self::at(&path, &boot_id) {
            Ok(found) => found,
            Err(error) => {
                let path = path.display().to_string();
                tracing::info!(path, %error, "the name of this worker cannot be kept; after a crash its lease has to lapse first");
                None
            }
        });
        found.unwrap_or_else(|| Self { id: draw(), boot_id, former_life_is_dead: false, _lock: None })
    }

    /// `None`: another process has the name.
    fn at(path: &Path, boot_id: &str) -> std::io::Result<Option<Self>> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        let mut text = String::new();
        (&mut file).take(BYTES_MAX).read_to_string(&mut text)?;
        let mut lines = text.lines();
        let known = lines.next().and_then(|name| WorkerId::parse(name).ok());
        let is_same_boot = !boot_id.is_empty() && lines.next() == Some(boot_id);
        if let Some(id) = known.filter(|_| is_same_boot) {
            return Ok(Some(Self { id, boot_id: boot_id.to_owned(), former_life_is_dead: true, _lock: Some(file) }));
        }
        let id = draw();
        file.seek(SeekFrom::Start(0))?;
        file.set_len(0)?;
        write!(file, "{id}\n{boot_id}\n")?;
        file.sync_all()?;
        Ok(Some(Self { id, boot_id: boot_id.to_owned(), former_life_is_dead: false, _lock: Some(file) }))
    }
}

/// systemd's folder for what a service keeps, or a person's own.
fn folder(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let of_systemd = set("STATE_DIRECTORY").and_then(|all| Some(PathBuf::from(all.split(':').next()?)));
    let of_user = || set("XDG_STATE_HOME").map(PathBuf::from);
    let of_home = || set("HOME").map(|home| Path::new(&home).join(".local/state"));
    of_systemd.or_else(|| Some(of_user().or_else(of_home)?.join("api-health")))
}

/// A name that no other worker has: 128 bits of the chance that the standard library keys its hashes with.
fn draw() -> WorkerId {
    let bits = || u128::from(RandomState::new().build_hasher().finish());
    WorkerId::of_bits((bits() << 64) | bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_on_one_machine_waits_for_nobody_and_a_cloned_disk_is_another_worker() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-health/worker-t");
        let first = Identity::at(&path, "boot").unwrap().unwrap();
        assert!(!first.former_life_is_dead, "there was none");
        assert!(Identity::at(&path, "boot").unwrap().is_none(), "while it lives nobody else has its name");
        let id = first.id.clone();
        drop(first);
        let again = Identity::at(&path, "boot").unwrap().unwrap();
        assert_eq!((&again.id, again.former_life_is_dead), (&id, true));
        drop(again);
        let cloned = Identity::at(&path, "another boot").unwrap().unwrap();
        assert!(cloned.id != id && !cloned.former_life_is_dead);
        drop(cloned);
        std::fs::write(&path, "x".repeat(100 * BYTES_MAX as usize)).unwrap();
        assert!(!Identity::at(&path, "boot").unwrap().unwrap().former_life_is_dead, "a file that is not ours");
        std::fs::write(&path, "no name at all\nboot").unwrap();
        assert!(!Identity::at(&path, "boot").unwrap().unwrap().former_life_is_dead);
    }

    #[test]
    fn without_a_folder_each_process_is_a_worker_of_its_own() {
        let none = |_: &str| None;
        assert_ne!(Identity::find("t", &none).id, Identity::find("t", &none).id);
        let systemd = |name: &str| (name == "STATE_DIRECTORY").then(|| "/a:/b".to_owned());
        assert_eq!(super::folder(&systemd), Some(PathBuf::from("/a")));
        let home = |name: &str| (name == "HOME").then(|| "/home/me".to_owned());
        assert_eq!(super::folder(&home), Some(PathBuf::from("/home/me/.local/state/api-health")));
    }
}
