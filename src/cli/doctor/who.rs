//! Who looks: as another user than the daemon, the doctor sees other files, other credentials and another environment.

use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::report::Finding;
use crate::cli::checks::{Check, SETTINGS_FILE};

/// The user that the packages make and the unit names.
const DAEMON_USER: &str = "api-health";
/// Where the packages put the environment, and the unit reads it.
const ENV_FILE: &str = "/etc/api-health/env";

/// Who runs this, and who else there is.
pub(super) struct Who {
    uid: u32,
    host: String,
    /// The content of `/etc/passwd`.
    users: String,
    /// The settings file in force, as the daemon's user would name it.
    settings: Option<PathBuf>,
    env_is_from: Option<PathBuf>,
    has_env_file: bool,
}

impl Who {
    /// This process, on this machine.
    pub(super) fn here(settings: Option<&Path>, env_is_from: Option<&Path>) -> Self {
        let installed = || Path::new(SETTINGS_FILE).exists().then(|| SETTINGS_FILE.into());
        Self {
            uid: geteuid().as_raw(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            users: std::fs::read_to_string("/etc/passwd").unwrap_or_default(),
            settings: settings.map(|path| std::path::absolute(path).unwrap_or(path.into())).or_else(installed),
            env_is_from: env_is_from.map(Path::to_owned),
            has_env_file: Path::new(ENV_FILE).exists(),
        }
    }

    /// `root (uid 0)`, `uid 1234`.
    pub(super) fn called(&self, uid: u32) -> String {
        match self.name_of(uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        }
    }

    /// Whether `watcher`, the user of the process that watches just now, or else the user whom the packages make, is us.
    pub(super) fn finding(&self, watcher: Option<u32>) -> Finding {
        let from = self.env_is_from.as_ref().map(|path| {
            let from = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
            format!(", with the environment of {from}")
        });
        let us = format!("{} on {}{}", self.called(self.uid), self.host, from.unwrap_or_default());
        let installed = || self.uid_of(DAEMON_USER);
        match watcher.or_else(installed).filter(|uid| *uid != self.uid) {
            None => Finding::ok(Check::User, us),
            Some(uid) => Finding::warn(
                Check::User,
                format!("{us}; the daemon is {}: it may see other files, credentials and variables", self.called(uid)),
                self.command(uid),
            ),
        }
    }

    /// What to type to look with the daemon's eyes.
    fn command(&self, uid: u32) -> String {
        let user = self.name_of(uid).map_or_else(|| format!("'#{uid}'"), str::to_owned);
        let settings = self.settings.as_ref().map(|path| format!(" --settings {}", path.display())).unwrap_or_default();
        let env_file = if self.has_env_file { format!(" --env-file {ENV_FILE}") } else { String::new() };
        format!("sudo -u {user} api-health{settings} doctor{env_file}")
    }

    fn entries(&self) -> impl Iterator<Item = (&str, u32)> {
        self.users.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?, fields.nth(1)?.parse().ok()?))
        })
    }

    fn name_of(&self, uid: u32) -> Option<&str> {
        self.entries().find(|(_, id)| *id == uid).map(|(name, _)| name)
    }

    fn uid_of(&self, name: &str) -> Option<u32> {
        self.entries().find(|(user, _)| *user == name).map(|(_, uid)| uid)
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
            env_is_from: None,
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
