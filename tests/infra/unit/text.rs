//! The unit as a text: sound, tight, and each line with its reason.

use std::collections::BTreeSet;
use std::process::Command;

use super::booted;
use super::service::{Service, UNIT, tree};
use crate::skip::{Because, skip};

/// The exposure that `systemd-analyze security` may find, in tenths: 10 of 100 is what it calls safe, a bare unit has 96.
const EXPOSURE_MAX: u32 = 15;

fn unit() -> String {
    std::fs::read_to_string(tree("infra/systemd/api-health.service")).unwrap()
}

/// Whether `systemd-analyze security` finds the unit tight enough.
fn is_tight(unit: &str) -> std::io::Result<bool> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(UNIT);
    std::fs::write(&path, unit).unwrap();
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let output = Command::new("systemd-analyze").args(["security", "--offline=true", &threshold]).arg(path).output()?;
    println!("{}", String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default());
    Ok(output.status.success())
}

#[test]
fn its_exposure_is_low_and_each_part_of_the_sandbox_counts() {
    let unit = unit();
    match is_tight(&unit) {
        Ok(is_tight) => assert!(is_tight, "see: systemd-analyze security --offline=true infra/systemd/{UNIT}"),
        Err(_) => {
            let because = Because::Missing("systemd-analyze is not there; write: apt-get install systemd".into());
            return skip("its_exposure_is_low_and_each_part_of_the_sandbox_counts", &because);
        }
    }
    // The figure follows the unit: without what weighs most, it is too high.
    for line in ["CapabilityBoundingSet=\n", "User=api-health\n", "SystemCallFilter=@system-service\n"] {
        assert!(unit.contains(line));
        assert_eq!(is_tight(&unit.replace(line, "")).ok(), Some(false), "without {line}");
    }
}

#[test]
fn systemd_has_nothing_to_say_against_it() {
    let Some(container) = booted("systemd_has_nothing_to_say_against_it") else { return };
    let _service = Service::install(&container, "");
    // The manual page comes with a package, so it is not looked for.
    let verify = |unit: &str| container.run(&["systemd-analyze", "verify", "--man=no", unit]);
    let output = verify(&format!("/usr/lib/systemd/system/{UNIT}"));
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    // A word that systemd does not know would be passed over at each start.
    let path = "/etc/systemd/system/misspelt.service";
    container.write(path, &unit().replace("ProtectClock=", "ProtectClok="), "644");
    let output = verify(path);
    assert!(output.stderr.contains("ProtectClok"), "{output:?}");
}

#[test]
fn each_of_its_paragraphs_has_a_reason() {
    let service = unit().split_once("[Service]\n").unwrap().1.split_once("[Install]").unwrap().0.to_owned();
    let mut reasoned = false;
    for line in service.lines() {
        match line.chars().next() {
            Some('#') => reasoned = true,
            Some(_) => assert!(reasoned, "{line} has no reason above it"),
            None => reasoned = false,
        }
    }
}

/// What a round that a timer starts has no use for: how a daemon is started, reloaded, watched, asked and started again.
const OF_A_DAEMON_ONLY: [&str; 9] = [
    "SocketBindAllow",
    "NotifyAccess",
    "ExecReload",
    "Restart",
    "RestartSec",
    "WatchdogSec",
    "TimeoutAbortSec",
    "RuntimeDirectory",
    "RuntimeDirectoryMode",
];

/// What a round has of its own, with its own reason.
const OF_A_ROUND: [&str; 4] = ["Type", "ExecStart", "TimeoutStartSec", "TimeoutStopSec"];

#[test]
fn a_round_of_the_timer_has_the_same_lines_and_their_reasons_stand_in_the_daemon_s_unit() {
    let lines = |unit: &str, but: &[&str]| -> BTreeSet<String> {
        let unit = std::fs::read_to_string(tree(&format!("infra/systemd/{unit}"))).unwrap();
        let service = unit.split_once("[Service]\n").unwrap().1.split("\n[Install]").next().unwrap();
        let is_shared = |line: &&str| line.split_once('=').is_some_and(|(name, _)| !but.contains(&name));
        service.lines().filter(|line| !line.starts_with('#')).filter(is_shared).map(str::to_owned).collect()
    };
    let daemon = lines(UNIT, &[&OF_A_DAEMON_ONLY[..], &OF_A_ROUND].concat());
    assert_eq!(daemon, lines("api-health-once.service", &OF_A_ROUND));
}
