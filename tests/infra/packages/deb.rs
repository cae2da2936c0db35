//! The .deb under a real systemd: install, upgrade, remove, install again, purge.

use super::service::Machine;
use super::{built, need};
use crate::skip::skip;

const DATABASE: [&str; 2] = ["/var/lib/api-health", "/var/lib/api-health/api-health.db"];

#[test]
fn a_deb_is_installed_upgraded_removed_and_purged() {
    let ready = built().and_then(|built| need("dpkg-deb", "dpkg").and(Ok(built)));
    let (built, machine) = match ready.and_then(|built| Ok((built, Machine::boot()?))) {
        Ok(both) => both,
        Err(why) => return skip("a_deb_is_installed_upgraded_removed_and_purged", &why),
    };
    let container = &machine.container;
    container.copy_in(&built.first.deb, "/srv/first.deb", "644");
    container.copy_in(&built.later.deb, "/srv/later.deb", "644");

    // Installed, it runs, and it is started at each boot.
    container.ok(&["dpkg", "--install", "/srv/first.deb"]);
    let first = machine.wait_until_ready();
    assert_eq!(machine.property("UnitFileState"), "enabled");
    machine.watch();
    let since = machine.up_since();
    machine.edit_settings();

    // An upgrade whose own settings are others as well: what the operator wrote is kept, and so is what is known.
    container.sh("dpkg-deb --raw-extract /srv/later.deb /srv/later
         echo '# Something new.' >>/srv/later/etc/api-health/api-health.toml
         dpkg-deb -Znone --root-owner-group --build /srv/later /srv/later.deb");
    container.ok(&["dpkg", "--force-confold", "--install", "/srv/later.deb"]);
    machine.wait_until_restarted(&first);
    machine.assert_edits_are_kept();
    machine.wait_for_probes();
    assert_eq!(machine.up_since(), since, "nothing is forgotten");

    // Removed: what a person wrote and what the daemon knew stay.
    container.ok(&["dpkg", "--remove", "api-health"]);
    machine.assert_gone();
    let left = machine.left();
    for path in
        ["/etc/api-health/api-health.toml", "/etc/api-health/env", "/etc/api-health/credentials/token", DATABASE[1]]
    {
        assert!(left.iter().any(|l| l == path), "{path} is gone: {left:?}");
    }
    let elsewhere = |path: &&String| !path.starts_with("/etc/api-health") && !path.starts_with(DATABASE[0]);
    let elsewhere: Vec<_> = left.iter().filter(elsewhere).collect();
    // Debian's own: the removed unit is masked, and remembered as one that was enabled.
    assert!(
        elsewhere.iter().all(|path| path.contains("/systemd/") && path.contains("api-health.service")),
        "{elsewhere:?}"
    );

    // Installed again, it goes on from there.
    container.ok(&["dpkg", "--force-confold", "--install", "/srv/first.deb"]);
    machine.wait_until_ready();
    machine.assert_edits_are_kept();
    machine.wait_for_probes();
    assert_eq!(machine.up_since(), since);

    // Nobody who upgrades a fleet waits for a daemon that waits for AWS.
    machine.cut_off_from_aws();
    container.ok(&["timeout", "60", "dpkg", "--force-confold", "--install", "/srv/later.deb"]);
    machine.wait_until_it_waits_for_aws();

    // Purged, nothing is left but the user.
    container.ok(&["dpkg", "--purge", "api-health"]);
    machine.assert_gone();
    assert_eq!(machine.left(), Vec::<String>::new());
    container.ok(&["id", "api-health"]);

    // Where no systemd runs, as in an image that is being made, it is installed and removed all the same.
    let line =
        "mount -t tmpfs none /run && dpkg --install /srv/first.deb && api-health --version && dpkg --purge api-health";
    container.ok(&["unshare", "--mount", "sh", "-euc", line]);
}
