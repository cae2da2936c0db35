//! A test once more in a process of its own, with a network and a file tree that nobody else has, where it may do as root does.

use std::io::Write as _;
use std::process::Command;

/// Says to the process inside that it is there.
const INSIDE: &str = "API_HEALTH_TEST_IN_A_NETWORK_OF_ITS_OWN";
/// Set where everything that the machine has must be used: a tool that went missing is a failure there, not a skip.
const MUST_RUN: &str = "API_HEALTH_TESTS_MUST_RUN";
const NAMESPACES: &str = "--map-root-user --net --mount --propagation private --";

/// Runs `inside` there, after the lines of `script` for a shell. `test` is the name of the caller, with its modules. Where a
/// user may have no namespaces, it is skipped, and says so. Gives what was printed inside.
pub fn run(test: &str, script: &str, inside: impl FnOnce()) -> String {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return String::new();
    }
    let unshare = |line: &str| {
        let mut command = Command::new("unshare");
        command.args(NAMESPACES.split(' ')).args(["sh", "-euc", line, "sh"]);
        command
    };
    let can = unshare("mount -t tmpfs none /run && ip link set lo up").output();
    if !can.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os(MUST_RUN).is_none(), "{test}: no network of its own, and {MUST_RUN} is set: {can:?}");
        // Not eprintln!, which a test harness keeps to itself when the test passes.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: this user may not have a network of its own: {can:?}");
        return String::new();
    }
    let line = format!("mount -t tmpfs none /run\nip link set lo up\n{script}\nexec \"$@\"");
    let program = std::env::current_exe().unwrap();
    let ran = unshare(&line).arg(program).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}{}", said(&ran.stdout), said(&ran.stderr));
    let printed = said(&ran.stdout);
    assert!(printed.contains("1 passed"), "no test has the name {test}");
    printed
}

/// Runs a line of a shell inside.
pub fn shell(line: &str) {
    let ran = Command::new("sh").args(["-euc", line]).output().unwrap();
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
}
