//! The disk is full: probing goes on, alerts come, and what was decided meanwhile is stored when there is room again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::alerts::Receiver;
use crate::apis::rows;
use crate::daemon::{Daemon, Home, SOON, let_pass, states_in, wait_for};
use crate::support::http::{Answer, Server};

/// An owed alert that could not be stored is told after 30 s; and a busy machine.
const TOLD_UNSTORED: Duration = Duration::from_secs(75);

/// A daemon whose disk can be filled.
struct Disk {
    home: Home,
    daemon: Daemon,
    /// The SQLite file as this process sees it.
    database: PathBuf,
}

impl Disk {
    /// The stored record. It is read from a copy: SQLite follows the link into the daemon's own world, and is lost there.
    fn state(&self, api_id: &str) -> Value {
        let copy = tempfile::tempdir().unwrap();
        for name in ["api-health.db", "api-health.db-wal"] {
            let _ = fs::copy(self.database.with_file_name(name), copy.path().join(name));
        }
        states_in(&copy.path().join("api-health.db")).remove(api_id).unwrap_or_default()
    }

    fn wait_for_state(&self, api_id: &str, what: &str, is: impl Fn(&Value) -> bool) {
        wait_for(&format!("{api_id}: {what}"), SOON, || is(&self.state(api_id)).then_some(()));
    }
}

#[allow(clippy::disallowed_methods, reason = "the test's own clock")]
fn the_disk_is_full(
    start: impl Fn(&Home) -> (Daemon, PathBuf),
    fill: impl Fn(&Disk),
    free: impl Fn(&Disk),
    says: &str,
) {
    let (target, receiver) = (Server::start(), Receiver::start());
    let settings = format!("{}[store]\npath = \"disk/api-health.db\"\n", receiver.settings());
    let home = Home::new(&settings, &rows(&target, &["steady", "shop", "blink"]));
    fs::create_dir(home.path().join("disk")).unwrap();
    let (daemon, database) = start(&home);
    let disk = Disk { home, daemon, database };
    for api_id in ["steady", "shop", "blink"] {
        disk.wait_for_state(api_id, "up", |state| state["status"] == "up");
    }

    fill(&disk);
    let (began, hits) = (Instant::now(), target.hits("/steady"));
    target.set("/shop", Answer::Status(503));
    target.set("/blink", Answer::Status(503));
    let seen = |api_id: &str, to: &str| {
        let line =
            format!("status changed\",\"api_id\":\"{api_id}\",\"from\":\"{}\"", if to == "up" { "down" } else { "up" });
        disk.daemon.wait_for_log(&line);
    };
    seen("blink", "down");
    target.set("/blink", Answer::Status(200));
    seen("blink", "up");
    disk.daemon.wait_for_log(says);
    receiver.wait_for("shop", "down", TOLD_UNSTORED);
    receiver.wait_for("blink", "up", TOLD_UNSTORED);
    let (hits, seconds) = (target.hits("/steady") - hits, began.elapsed().as_secs_f64());
    assert!(hits as f64 >= seconds * 0.6 - 1.0, "steady: {hits} probes in {seconds:.0} s");
    assert_eq!(disk.state("shop")["status"], "up", "the disk was really full");

    free(&disk);
    for (api_id, status) in [("shop", "down"), ("blink", "up")] {
        disk.wait_for_state(api_id, "stored and told", |s| s["status"] == status && s["owed"] == json!([]));
    }
    disk.daemon.wait_for_log("the store takes writes again");
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    disk.wait_for_state("shop", "up and told", |s| s["status"] == "up" && s["owed"] == json!([]));
    let_pass(Duration::from_secs(1));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
    assert_eq!(receiver.told_of("blink"), ["down", "up"]);
    assert_eq!(receiver.told_of("steady"), [""; 0]);
    let ended = disk.daemon.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
    drop(disk.home);
}

/// The disk is one of 2 MiB that only the daemon has.
#[test]
fn on_a_full_disk_probing_goes_on_alerts_come_and_nothing_is_lost() {
    let namespace = ["unshare", "--mount", "--propagation", "private"];
    let can = Command::new("unshare").args(&namespace[1..]).args(["mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not mount a disk of its own: {can:?}");
        return;
    }
    let mount = "mount -t tmpfs -o size=2m none disk && exec \"$@\"";
    let start = |home: &Home| {
        let through = namespace.iter().copied().chain(["sh", "-c", mount, "sh"]).collect::<Vec<_>>();
        let daemon = home.run_through(&through);
        let inside = PathBuf::from(format!("/proc/{}/root", daemon.id()));
        (daemon, inside.join(home.path().strip_prefix("/").unwrap()).join("disk/api-health.db"))
    };
    let filler = |disk: &Disk| disk.database.with_file_name("filler");
    let fill = |disk: &Disk| {
        let mut file = File::create(filler(disk)).unwrap();
        let full = (0..2_048).find_map(|_| file.write_all(&[0; 4_096]).err());
        assert_eq!(full.unwrap().kind(), std::io::ErrorKind::StorageFull);
    };
    the_disk_is_full(start, fill, |disk| fs::remove_file(filler(disk)).unwrap(), "the disk is full");
}

/// No file of the daemon may be written to any more: for it, the limit on the size of files is 0.
#[test]
fn where_no_file_may_grow_probing_goes_on_alerts_come_and_nothing_is_lost() {
    let start = |home: &Home| {
        let daemon = home.run_through(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        (daemon, home.path().join("disk/api-health.db"))
    };
    let limit = |disk: &Disk, bytes| {
        let pid = Pid::from_raw(disk.daemon.id().try_into().unwrap());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    };
    let fill = |disk: &Disk| limit(disk, Some(0));
    the_disk_is_full(start, fill, |disk| limit(disk, None), "the store does not take writes");
}
