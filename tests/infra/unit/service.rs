//! The daemon as a service: the built binary, the unit and its user, copied into a container.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use serde_json::Value;

use crate::container::{Container, Output};
use crate::support::http::{Request, Server};

/// The unit's name.
pub(crate) const UNIT: &str = "api-health.service";

/// The key that signs alerts; a credential.
pub(crate) const SECRET: &str = "a long random text for the tests";

/// A file of this tree.
pub(crate) fn tree(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// The service, installed and not started.
pub(crate) struct Service<'a> {
    pub(crate) container: &'a Container,
}

impl<'a> Service<'a> {
    /// Copies in what a package would install. What is in `settings` stands below `[apis] file = "apis.toml"`.
    pub(crate) fn install(container: &'a Container, settings: &str) -> Self {
        container.copy_in(env!("CARGO_BIN_EXE_api-health"), "/usr/bin/api-health", "755");
        container.copy_in(tree("infra/systemd/api-health.sysusers"), "/usr/lib/sysusers.d/api-health.conf", "644");
        container.copy_in(tree("infra/systemd/api-health.service"), &format!("/usr/lib/systemd/system/{UNIT}"), "644");
        container.ok(&["systemd-sysusers"]);
        let service = Self { container };
        service.settings(&format!("[apis]\nfile = \"apis.toml\"\n{settings}"));
        service.apis("");
        container.ok(&["systemctl", "daemon-reload"]);
        service
    }

    /// Writes the settings file, as an installation leaves it: for root to write and for the daemon to read.
    pub(crate) fn settings(&self, text: &str) {
        self.etc("api-health.toml", text);
    }

    /// Writes the file of APIs.
    pub(crate) fn apis(&self, text: &str) {
        self.etc("apis.toml", text);
    }

    /// Writes a file in /etc/api-health for root and the daemon.
    pub(crate) fn etc(&self, name: &str, text: &str) {
        let path = format!("/etc/api-health/{name}");
        self.container.write(&format!("{path}.new"), text, "640");
        self.container.sh(&format!("chgrp api-health {path}.new; mv {path}.new {path}"));
    }

    /// Writes a secret that only root can read.
    pub(crate) fn credential(&self, name: &str, text: &str) {
        self.container.sh("install -d -m 700 /etc/api-health/credentials");
        self.container.write(&format!("/etc/api-health/credentials/{name}"), text, "600");
    }

    /// Changes the unit as `systemctl edit` does.
    pub(crate) fn edit(&self, name: &str, lines: &str) {
        self.container.write(&format!("/etc/systemd/system/{UNIT}.d/{name}.conf"), lines, "644");
        self.container.ok(&["systemctl", "daemon-reload"]);
    }

    /// `systemctl start`, which ends when the daemon says that it is ready.
    #[track_caller]
    pub(crate) fn start(&self) {
        let output = self.systemctl("start");
        assert_eq!(output.code, Some(0), "{output:?}\n{}", self.container.journal(UNIT));
    }

    /// `systemctl VERB` of the unit.
    pub(crate) fn systemctl(&self, verb: &str) -> Output {
        self.container.run(&["systemctl", verb, UNIT])
    }

    /// What systemd says of the unit.
    pub(crate) fn property(&self, property: &str) -> String {
        self.container.unit_property(UNIT, property)
    }

    /// What the unit wrote, and what systemd said of it.
    pub(crate) fn log(&self) -> String {
        self.container.journal(UNIT)
    }

    /// The daemon's process, as the container sees it; 0 for none.
    pub(crate) fn pid(&self) -> u32 {
        self.property("MainPID").parse().unwrap()
    }

    /// Waits until systemd has started the daemon again `restarts` times in all, and it is ready.
    #[track_caller]
    pub(crate) fn wait_for_restart(&self, restarts: u32) {
        self.container.wait_for(&format!("restart {restarts}"), || {
            let restarted = self.property("NRestarts").parse::<u32>().unwrap() >= restarts;
            (restarted && self.property("ActiveState") == "active").then_some(())
        });
    }

    /// A command of the program's, run as the daemon: as its user, with its environment and its state (infra/systemd/README.md).
    pub(crate) fn as_the_daemon(&self, arguments: &[&str]) -> Output {
        let mut words = vec!["systemd-run", "--quiet", "--pipe", "--wait", "--collect"];
        words.extend(["--property=User=api-health", "--property=UMask=0077"]);
        words.extend(["--property=StateDirectory=api-health", "--property=StateDirectoryMode=0700"]);
        words.push("--property=EnvironmentFile=-/etc/api-health/env");
        words.push("--property=LoadCredential=secrets:/etc/api-health/credentials");
        words.push("--property=SetCredential=secrets:none");
        words.extend(["/usr/bin/api-health", "--settings", "/etc/api-health/api-health.toml"]);
        words.extend(arguments);
        self.container.run(&words)
    }

    /// What the daemon's entry of that name in /proc says.
    pub(crate) fn proc(&self, name: &str) -> String {
        self.container.ok(&["cat", &format!("/proc/{}/{name}", self.pid())])
    }

    /// The lines `Name: value` of its /proc/PID/status.
    pub(crate) fn status(&self) -> BTreeMap<String, String> {
        let lines = self.proc("status");
        let pairs = lines.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    }
}

/// A row that is probed each second and confirmed within another.
pub(crate) fn row(api_id: &str, url: &str) -> String {
    format!("[[api]]\napi_id = \"{api_id}\"\nurl = \"{url}\"\ninterval_seconds = 1\nrecheck_seconds = 1\n")
}

/// The settings that send alerts to `/hook` of a server, signed with the credential `webhook`.
pub(crate) fn webhook(server: &Server) -> String {
    let url = server.url("/hook");
    format!("[notify.webhook]\nurl = \"{url}\"\nsecret = \"${{credential:webhook}}\"\ntimeout_seconds = 15\n")
}

/// The alerts of APIs that `/hook` took over, in order, each with a good signature.
pub(crate) fn alerts(server: &Server) -> Vec<Value> {
    let taken = server.requests("/hook").into_iter().filter(|request| request.answered == 200);
    let alerts = taken.map(|request| alert(&request));
    alerts.filter(|alert| !alert["api_id"].as_str().unwrap().contains(':')).collect()
}

/// `API kind` of each of them.
pub(crate) fn told(server: &Server) -> Vec<String> {
    let text = |alert: &Value, field: &str| alert[field].as_str().unwrap().to_owned();
    alerts(server).iter().map(|alert| format!("{} {}", text(alert, "api_id"), text(alert, "kind"))).collect()
}

/// The alert in a request.
pub(crate) fn alert(request: &Request) -> Value {
    let timestamp = request.header("x-api-health-timestamp").expect("a timestamp");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("{timestamp}.{}", request.body).as_bytes());
    let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        request.header("x-api-health-signature"),
        Some(format!("v1={tag}").as_str()),
        "signed by the credential"
    );
    serde_json::from_str(&request.body).unwrap()
}
