//! A test once more in a process of its own, with a network and a file tree that nobody else has, where it may do as root does.

use std::process::Command;

/// Says to the process inside that it is there.
const INSIDE: &str = "API_HEALTH_TEST_IN_A_NETWORK_OF_ITS_OWN";
const NAMESPACES: &str = "--map-root-user --net --mount --propagation private --";

/// Runs `inside` there, after the lines of `script` for a shell. `test` is the name of the caller, with its modules. Where a
/// user may have no namespaces, it is skipped, and says so.
pub fn run(test: &str, script: &str, inside: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let unshare = |line: &str| {
        let mut command = Command::new("unshare");
        command.args(NAMESPACES.split(' ')).args(["sh", "-euc", line, "sh"]);
        command
    };
    let can = unshare("mount -t tmpfs none /run && ip link set lo up").output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this user may not have a network of its own: {can:?}");
        return;
    }
    let line = format!("mount -t tmpfs none /run\nip link set lo up\n{script}\nexec \"$@\"");
    let program = std::env::current_exe().unwrap();
    let ran = unshare(&line).arg(program).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}{}", said(&ran.stdout), said(&ran.stderr));
    assert!(said(&ran.stdout).contains("1 passed"), "no test has the name {test}");
}

/// Runs a line of a shell inside.
pub fn shell(line: &str) {
    let ran = Command::new("sh").args(["-euc", line]).output().unwrap();
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
}
