//! What the pages say of the service and of the timer, typed as root under a real systemd.

use std::path::Path;

use super::page::{CRON, OPERATIONS, compare, to_run};
use crate::container::{Container, Network};
use crate::skip::skip;
use crate::support::http::Server;

const SETTINGS: &str = "[apis]\nfile = \"/etc/api-health/apis.toml\"\n";

/// A machine with the service on it, as the package leaves it, that watches one API.
fn machine(server: &Server) -> Result<Container, crate::skip::Because> {
    let container = Container::boot(Network::Shared)?;
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/systemd");
    container.copy_in(env!("CARGO_BIN_EXE_api-health"), "/usr/bin/api-health", "755");
    for (file, path) in [
        ("api-health.service", "/usr/lib/systemd/system/api-health.service"),
        ("api-health.sysusers", "/usr/lib/sysusers.d/api-health.conf"),
        ("api-health-once.service", "/usr/share/doc/api-health/api-health-once.service"),
        ("api-health-once.timer", "/usr/share/doc/api-health/api-health-once.timer"),
    ] {
        container.copy_in(units.join(file), path, "644");
    }
    container.ok(&["systemd-sysusers"]);
    container.ok(&["install", "-d", "-m", "700", "/etc/api-health/credentials"]);
    container.write("/etc/api-health/api-health.toml", SETTINGS, "644");
    let row = format!("[[api]]\napi_id = \"shop\"\nurl = \"{}\"\n", server.url("/shop"));
    container.write("/etc/api-health/apis.toml", &row, "644");
    container.ok(&["systemctl", "daemon-reload"]);
    container.ok(&["systemctl", "enable", "--now", "api-health"]);
    Ok(container)
}

/// Runs all blocks of a page in one shell, and compares what they print; gives it.
fn play(container: &Container, page: &str) -> String {
    let (blocks, expected): (Vec<String>, Vec<Vec<String>>) = to_run(page, "run: systemd").into_iter().unzip();
    let blocks = blocks.concat();
    container.write("/srv/page.sh", &format!("exec 2>&1\ncd /srv\nset -eu -o pipefail\n{blocks}echo done\n"), "644");
    let ended = container.run(&["bash", "/srv/page.sh"]);
    assert!(ended.code == Some(0) && ended.stdout.ends_with("done"), "{ended:?}");
    assert_eq!(compare(&expected.concat(), &ended.stdout), Ok(()));
    ended.stdout
}

#[test]
fn what_the_pages_say_of_systemd_is_so() {
    let server = Server::start();
    let container = match machine(&server) {
        Ok(container) => container,
        Err(why) => return skip("what_the_pages_say_of_systemd_is_so", &why),
    };
    let printed = play(&container, OPERATIONS);
    for words in ["Status: \"", "watching", "store.path", "no fault", "terminal", "took it over"] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    assert_eq!(container.unit_property("api-health.service", "ActiveState"), "active");
    // `as_daemon` shares the folder with the service, and leaves it as it was.
    let as_daemon = to_run(OPERATIONS, "run: systemd").into_iter().find(|(text, _)| text.starts_with("as_daemon() {"));
    let as_daemon = as_daemon.unwrap().0;
    let mode = |script: &str| {
        container.write("/srv/mode.sh", &format!("{script}stat --format %a /var/lib/api-health\n"), "644");
        container.ok(&["bash", "/srv/mode.sh"]).lines().next_back().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(mode(""), "700");
    assert_eq!(mode(&as_daemon), "700");
    // What it takes for that: without it, anybody may list the folder.
    assert_eq!(mode(&as_daemon.replace(" --property=StateDirectoryMode=0700", "")), "755");
    container.ok(&["chmod", "700", "/var/lib/api-health"]);

    // cron.md ends with the way back to the daemon.
    let printed = play(&container, CRON);
    assert!(printed.contains("round done") && printed.contains("Finished api-health-once.service"), "{printed}");
    assert!(printed.contains("api-health-once.service"), "the timer is listed: {printed}");
    assert_eq!(container.unit_property("api-health.service", "ActiveState"), "active");

    container.ok(&["systemctl", "disable", "--now", "api-health"]);
    let often = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/1\n";
    container.write("/etc/systemd/system/api-health-once.timer.d/often.conf", often, "644");
    container.ok(&["systemctl", "daemon-reload"]);
    let rounds = || container.journal("api-health-once").matches("round done").count();
    let before = rounds();
    container.ok(&["systemctl", "start", "api-health-once.timer"]);
    container.wait_for("three rounds of the timer", || (rounds() >= before + 3).then_some(()));
    container.ok(&["systemctl", "stop", "api-health-once.timer"]);
    let score = container.run(&["systemd-analyze", "security", "--no-pager", "api-health-once.service"]).stdout;
    let last = score.lines().next_back().unwrap_or_default();
    let exposure: f64 = last.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(10.0);
    assert!(exposure <= 1.5, "{last}");
}
