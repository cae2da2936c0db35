//! The .rpm under a real systemd: install, upgrade, erase. Its scripts are what is tried; the dependencies are another
//! distribution's, and its tests of contents see to them.

use super::service::Machine;
use super::{built, need};
use crate::skip::skip;

#[test]
fn an_rpm_is_installed_upgraded_and_erased() {
    let ready = built().and_then(|built| need("rpm", "rpm").and(Ok(built)));
    let (built, machine) = match ready.and_then(|built| Ok((built, Machine::boot()?))) {
        Ok(both) => both,
        Err(why) => return skip("an_rpm_is_installed_upgraded_and_erased", &why),
    };
    let container = &machine.container;
    container.copy_in(&built.first.rpm, "/srv/first.rpm", "644");
    container.copy_in(&built.later.rpm, "/srv/later.rpm", "644");
    // Amazon Linux starts nothing at boot that nobody asked for.
    container.write("/etc/systemd/system-preset/99-default.preset", "disable *\n", "644");

    container.ok(&["rpm", "--install", "--nodeps", "/srv/first.rpm"]);
    assert_eq!(machine.property("UnitFileState"), "disabled", "the preset decides");
    assert_eq!(machine.property("ActiveState"), "inactive");
    container.ok(&["systemctl", "enable", "--now", "api-health"]);
    let first = machine.wait_until_ready();
    machine.watch();
    let since = machine.up_since();
    machine.edit_settings();

    container.ok(&["rpm", "--upgrade", "--nodeps", "/srv/later.rpm"]);
    machine.wait_until_restarted(&first);
    assert_eq!(machine.property("UnitFileState"), "enabled", "and asks nobody's preset again");
    machine.assert_edits_are_kept();
    machine.wait_for_probes();
    assert_eq!(machine.up_since(), since, "nothing is forgotten");

    container.ok(&["rpm", "--erase", "--nodeps", "api-health"]);
    machine.assert_gone();
    let left = machine.left();
    let expected = |path: &&String| {
        let kept = ["/etc/api-health", "/var/lib/api-health"];
        !kept.iter().any(|folder| path.as_str() == *folder || path.starts_with(&format!("{folder}/")))
    };
    assert_eq!(left.iter().filter(expected).collect::<Vec<_>>(), Vec::<&String>::new());
    for path in [
        "/etc/api-health/api-health.toml.rpmsave",
        "/etc/api-health/credentials/token",
        "/var/lib/api-health/api-health.db",
    ] {
        assert!(left.iter().any(|l| l == path), "{path} is gone: {left:?}");
    }

    // A stopped service is not started by an upgrade, and where no systemd runs nothing fails.
    let line = "mount -t tmpfs none /run && rpm --install --nodeps /srv/first.rpm && rpm --upgrade --nodeps /srv/later.rpm \
                && api-health --version && rpm --erase --nodeps api-health";
    container.ok(&["unshare", "--mount", "sh", "-euc", line]);
    assert_eq!(machine.property("ActiveState"), "inactive");
}
