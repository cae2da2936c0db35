//! Who looks: as another user than the daemon, the doctor sees other files, other credentials and another environment.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::env_file::ENV_FILE;
use super::report::Finding;
use crate::cli::checks::{Check, SETTINGS_FILE};
use crate::settings::load;

/// The user that the packages make and the unit names.
const DAEMON_USER: &str = "api-health";

/// Who runs this, and who else there is.
pub(super) struct Who {
    uid: u32,
    host: String,
    /// The content of `/etc/passwd`.
    users: String,
    /// The settings file in force, as the daemon's user would name it.
    settings: Option<PathBuf>,
    /// Where this environment came from.
    env_file: Option<PathBuf>,
    has_env_file: bool,
}

impl Who {
    /// This process, on this machine.
    pub(super) fn here(settings: Option<&Path>, env_file: Option<&Path>) -> Self {
        let installed = || load::is_there(SETTINGS_FILE.as_ref()).then(|| SETTINGS_FILE.into());
        Self {
            uid: geteuid().as_raw(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            users: std::fs::read_to_string("/etc/passwd").unwrap_or_default(),
            settings: settings.map(|path| std::path::absolute(path).unwrap_or(path.into())).or_else(installed),
            env_file: env_file.map(Path::to_owned),
            has_env_file: load::is_there(ENV_FILE.as_ref()),
        }
    }

    /// Whether `watcher`, the user of the process that watches just now, or else the user whom the packages make, is us.
    pub(super) fn finding(&self, watcher: Option<u32>) -> Finding {
        let from = match &self.env_file {
            None => String::new(),
            Some(path) if path == Path::new("-") => ", with the environment of standard input".into(),
            Some(path) => format!(", with the environment of {}", path.display()),
        };
        let us = format!("{} on {}{from}", self.called(self.uid), self.host);
        let installed = || self.users().find(|(name, _)| *name == DAEMON_USER).map(|(_, uid)| uid);
        match watcher.or_else(installed).filter(|uid| *uid != self.uid) {
            None => Check::User.ok(us),
            Some(uid) => {
                let daemon = self.called(uid);
                let what = format!("{us}; the daemon is {daemon}: it may see other files, credentials and variables");
                Check::User.warn(what, self.command(uid))
            }
        }
    }

    /// `root (uid 0)`, `uid 1234`.
    pub(super) fn called(&self, uid: u32) -> String {
        self.name_of(uid).map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
    }

    /// What to type to look with the daemon's eyes.
    fn command(&self, uid: u32) -> String {
        let user = self.name_of(uid).map_or_else(|| format!("'#{uid}'"), str::to_owned);
        let settings = self.settings.as_ref().map(|path| format!(" --settings {}", path.display())).unwrap_or_default();
        let env_file = if self.has_env_file { format!(" --env-file {ENV_FILE}") } else { String::new() };
        format!("sudo -u {user} api-health{settings} doctor{env_file}")
    }

    fn name_of(&self, uid: u32) -> Option<&str> {
        self.users().find(|(_, id)| *id == uid).map(|(name, _)| name)
    }

    fn users(&self) -> impl Iterator<Item = (&str, u32)> {
        self.users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?.parse().ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Mark;

    fn who(uid: u32, users: &str) -> Who {
        Who {
            uid,
            host: "ip-10-0-0-1".into(),
            users: users.into(),
            settings: Some(SETTINGS_FILE.into()),
            env_file: None,
            has_env_file: true,
        }
    }

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\nodd\napi-health:x:990:990::/:/usr/sbin/nologin\n";

    #[test]
    fn root_is_told_how_to_look_with_the_daemon_s_eyes() {
        let found = who(0, USERS).finding(None);
        assert_eq!(found.mark, Mark::Warn);
        assert!(found.what.starts_with("root (uid 0) on ip-10-0-0-1; the daemon is api-health (uid 990)"), "{found:?}");
        let todo = "sudo -u api-health api-health --settings /etc/api-health/api-health.toml doctor --env-file \
                    /etc/api-health/env";
        assert_eq!(found.todo.unwrap(), todo);
    }

    #[test]
    fn the_daemon_s_user_is_well_and_so_is_a_machine_without_one() {
        assert_eq!(who(990, USERS).finding(None).mark, Mark::Ok);
        assert_eq!(who(0, "root:x:0:0::/root:/bin/sh").finding(None).mark, Mark::Ok);
        assert_eq!(who(0, USERS).finding(Some(0)).mark, Mark::Ok, "whoever watches in fact counts");
        let found = who(0, USERS).finding(Some(7));
        assert!(found.what.contains("the daemon is uid 7") && found.todo.unwrap().starts_with("sudo -u '#7' "));
    }
}
