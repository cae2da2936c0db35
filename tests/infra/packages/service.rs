//! The installed service, and what a test looks at: is it ready, does it probe, what does it know, what is left of it.

use std::collections::BTreeSet;

use crate::container::{Container, Network};
use crate::skip::Because;
use crate::support::http::Server;

const UNIT: &str = "api-health.service";
/// What an operator types: the same settings as the service, and its user.
const AS_THE_SERVICE: [&str; 6] =
    ["runuser", "--user=api-health", "--", "api-health", "--settings", "/etc/api-health/api-health.toml"];

/// A machine that a package is installed on, and an API that it watches.
pub(super) struct Machine {
    pub(super) container: Container,
    api: Server,
    /// What was there before the package.
    before: BTreeSet<String>,
}

impl Machine {
    pub(super) fn boot() -> Result<Self, Because> {
        let container = Container::boot(Network::Shared)?;
        // Images for containers forbid packages to start services by it; real machines do not have it.
        container.sh("rm -f /usr/sbin/policy-rc.d");
        let before = files(&container);
        Ok(Self { container, api: Server::start(), before })
    }

    pub(super) fn property(&self, name: &str) -> String {
        self.container.unit_property(UNIT, name)
    }

    /// Its process, once systemd was told that it is ready.
    #[track_caller]
    pub(super) fn wait_until_ready(&self) -> String {
        self.container.wait_for("the service is ready", || {
            (self.property("ActiveState") == "active" && self.property("SubState") == "running")
                .then(|| self.property("MainPID"))
        })
    }

    /// The same after an upgrade, which ends before the old process does.
    #[track_caller]
    pub(super) fn wait_until_restarted(&self, old: &str) {
        self.container
            .wait_for("the upgrade starts the new program", || (self.wait_until_ready() != old).then_some(()));
    }

    /// Has it use tables on AWS, where nothing answers: neither the metadata service, which would have credentials, nor AWS.
    pub(super) fn cut_off_from_aws(&self) {
        let lines = "AWS_REGION=eu-central-1\nDDB_CONFIG_TABLE=configs\nDDB_STATE_TABLE=states\n\
                     AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9\nAWS_ENDPOINT_URL=http://127.0.0.1:9\n";
        self.container.sh(&format!(
            "sed -i '/^path = /d' /etc/api-health/api-health.toml; printf '{lines}' >>/etc/api-health/env"
        ));
    }

    /// That it is not ready, and waits.
    #[track_caller]
    pub(super) fn wait_until_it_waits_for_aws(&self) {
        self.container.wait_for("it waits for AWS", || {
            (self.property("ActiveState") == "activating" && self.property("StatusText").contains("AWS")).then_some(())
        });
    }

    /// Has it watch the API, and waits until the first probes have come.
    #[track_caller]
    pub(super) fn watch(&self) {
        let url = self.api.url("/health");
        let words = ["apis", "add", "--id", "shop", "--url", &url, "--set", "interval_seconds=1"];
        self.container.ok(&[&AS_THE_SERVICE[..], &words].concat());
        self.container.ok(&["systemctl", "reload", UNIT]);
        self.wait_for_probes();
    }

    #[track_caller]
    pub(super) fn wait_for_probes(&self) {
        let earlier = self.api.hits("/health");
        self.container.wait_for("it probes", || (self.api.hits("/health") >= earlier + 2).then_some(()));
    }

    /// Since when the API is up, by the stored record.
    #[track_caller]
    pub(super) fn up_since(&self) -> String {
        self.container.wait_for("a stored status", || {
            let json = self.container.ok(&[&AS_THE_SERVICE[..], &["status", "--json"]].concat());
            let status: serde_json::Value = serde_json::from_str(&json).unwrap();
            let api = &status["apis"][0];
            (api["status"] == "up").then(|| api["since"].to_string())
        })
    }

    /// What an operator changes by hand.
    pub(super) fn edit_settings(&self) {
        self.container.sh("sed -i 's/^#environment = .*/environment = \"edited\"/' /etc/api-health/api-health.toml");
        self.container.sh("echo 'API_HEALTH_LOG=debug' >> /etc/api-health/env");
        self.container.write("/etc/api-health/credentials/token", "a secret", "600");
    }

    /// That the edits are there, with the modes and owners that they should have, and in force.
    #[track_caller]
    pub(super) fn assert_edits_are_kept(&self) {
        self.container.sh("grep -q '^environment = \"edited\"' /etc/api-health/api-health.toml");
        self.container.sh("grep -q '^API_HEALTH_LOG=debug' /etc/api-health/env");
        let modes = self
            .container
            .sh("cd /etc/api-health; stat --format='%n %A %U:%G' api-health.toml env credentials credentials/token");
        assert_eq!(
            modes.lines().collect::<Vec<_>>(),
            [
                "api-health.toml -rw-r----- root:api-health",
                "env -rw-r----- root:api-health",
                "credentials drwx------ root:root",
                "credentials/token -rw------- root:root"
            ]
        );
        let shown = self.container.ok(&[&AS_THE_SERVICE[..], &["settings", "show"]].concat());
        assert!(shown.contains("edited"), "{shown}");
    }

    /// That nothing runs any more and no unit is left to start.
    #[track_caller]
    pub(super) fn assert_gone(&self) {
        assert_eq!(self.container.run(&["pgrep", "--exact", "api-health"]).stdout, "", "a process is left");
        assert!(self.container.run(&["systemctl", "start", UNIT]).code != Some(0), "there is something to start");
        assert!(
            !self.container.run(&["sh", "-c", "command -v api-health"]).stdout.contains('/'),
            "the program is left"
        );
    }

    /// The files that the package left behind, by name; not the list that the package manager keeps of it.
    pub(super) fn left(&self) -> Vec<String> {
        files(&self.container)
            .difference(&self.before)
            .filter(|path| !path.starts_with("/var/lib/dpkg/"))
            .cloned()
            .collect()
    }
}

/// All files and folders of the system that carry the name, or lie in folders that do.
fn files(container: &Container) -> BTreeSet<String> {
    // Each service's private /tmp is the same in name until the next boot, and the journal is not by name.
    container
        .sh("find /etc /usr /var /run /lib -xdev -path '*api-health*' -not -path '*/systemd-private-*'")
        .lines()
        .map(str::to_owned)
        .collect()
}
