//! What runs the tests (`tests/setup/run`) comes to an end, whatever becomes of a test binary.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_test_binary_that_cannot_start_or_leaves_a_process_behind_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // The `cargo test` of this run: it names two binaries as built, and one of them is gone.
    let artifact = |name: &str| {
        let (manifest, executable) = (at("Cargo.toml"), at(name));
        let (manifest, executable) = (manifest.display(), executable.display());
        format!(
            r#"{{"reason":"compiler-artifact","profile":{{"test":true}},"executable":"{executable}","manifest_path":"{manifest}","target":{{"name":"{name}"}}}}"#
        )
    };
    script(&at("cargo"), &format!("cat <<'END'\n{}\n{}\nEND", artifact("gone"), artifact("leaves")));
    script(
        &at("leaves"),
        &format!("sleep 600 &\necho $! > {}\necho 'test result: ok. 1 passed'", at("left").display()),
    );
    let status = Command::new("timeout")
        .arg("60")
        .arg(super::root().join("tests/setup/run"))
        .arg("--quick")
        .env("CARGO", at("cargo"))
        .stdout(File::create(at("stdout")).unwrap())
        .stderr(File::create(at("stderr")).unwrap())
        .stdin(Stdio::null())
        .status()
        .unwrap();
    if let Ok(left) = fs::read_to_string(at("left")) {
        Command::new("kill").arg(left.trim()).status().unwrap();
    }
    let text = |name: &str| fs::read_to_string(at(name)).unwrap();
    assert_eq!(status.code(), Some(101), "{}{}", text("stdout"), text("stderr"));
    assert!(text("stderr").contains("failed: gone;"), "{}", text("stderr"));
    assert!(
        text("stdout").contains("gone, 0 s\ncannot be run: ") && text("stdout").contains("ok. 1 passed"),
        "{}",
        text("stdout")
    );
}
