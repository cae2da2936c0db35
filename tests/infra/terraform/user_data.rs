//! What the instance runs at its first boot is run here, in a mount namespace with an `/etc` of its own, and with commands
//! that only write down how they were called.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use crate::skip::{self, Because};
use crate::support::moto::Moto;

/// Fetches fail once without an answer, once with a damaged file, and then succeed.
const FETCH: &str = r#"#!/bin/bash
name=$(basename "$0")
echo "$name $*" >>"$STAGE/calls"
for word; do case $word in *.rpm) [ -d "$(dirname "$word")" ] && to=$word ;; esac; done
case $(grep -c "^$name " "$STAGE/calls") in
  1) exit 1 ;;
  2) echo damaged >"$to" ;;
  *) cp "$STAGE/package" "$to" ;;
esac
"#;

/// The first two installs fail; the third brings what the package brings: a group, a folder and files without settings.
const DNF: &str = r#"#!/bin/bash
echo "dnf $*" >>"$STAGE/calls"
for last; do :; done
cmp "$last" "$STAGE/package" || exit 9
[ "$(grep -c '^dnf ' "$STAGE/calls")" -gt 2 ] || exit 1
printf 'root:x:0:0::/:\n' >/etc/passwd
printf 'root:x:0:\napi-health:x:%s:\n' "$GROUP" >/etc/group
mkdir -p /etc/api-health
[ -e /etc/api-health/env ] || echo '# AWS_REGION=' >/etc/api-health/env
[ -e /etc/api-health/api-health.toml ] || echo '# defaults' >/etc/api-health/api-health.toml
"#;

/// What the daemon would read at that moment.
const SYSTEMCTL: &str = r#"#!/bin/bash
echo "systemctl $*" >>"$STAGE/calls"
for name in env api-health.toml; do cp -p "/etc/api-health/$name" "$STAGE/$name-at-$1"; done
"#;

/// Takes no time, but not for ever.
const SLEEP: &str = r#"#!/bin/bash
echo "sleep $*" >>"$STAGE/calls"
[ "$(grep -c '^sleep ' "$STAGE/calls")" -lt 20 ] || kill "$PPID"
"#;

/// Where one may give a file away, that group's number; else one's own.
fn group() -> u32 {
    if skip::is_root() { 977 } else { 0 }
}

/// Checks it all: `environment` is what `APP_ENVIRONMENT` must be, and `settings` the program's settings, whatever is in
/// them.
pub(super) fn check(script: &str, environment: &str, settings: &str, moto: &Moto) {
    let toml = settings;
    assert!(script.len() < 16 * 1024, "EC2 takes 16 KiB at most, this has {}", script.len());
    assert!(script.starts_with("#!/bin/bash\n"), "cloud-init goes by the first line");
    let parsed = Command::new("bash").args(["-n", "-c", script]).output().unwrap();
    assert!(parsed.status.success() && parsed.stderr.is_empty(), "{parsed:?}");

    let stage = tempfile::tempdir().unwrap();
    let stage = stage.path();
    if !namespaces(stage) {
        let because = Because::Impossible("this process may not make a mount namespace".into());
        return skip::skip("the user data is run", &because);
    }

    // From the bucket.
    set_up(stage, script);
    let ran = run(stage);
    assert!(ran.status.success(), "{ran:?}");
    let calls = fs::read_to_string(stage.join("calls")).unwrap();
    let words: Vec<&str> = calls.lines().filter_map(|call| call.split(' ').next()).collect();
    assert_eq!(
        words,
        ["aws", "sleep", "aws", "sleep", "aws", "dnf", "sleep", "dnf", "sleep", "dnf", "systemctl", "systemctl"],
        "tries again until it has the right file:\n{calls}"
    );
    assert!(calls.starts_with("aws s3 cp --only-show-errors s3://api-health-package-"), "{calls}");
    assert!(calls.contains("sleep 5\naws") && calls.contains("sleep 10\naws"), "{calls}");
    let installs: Vec<&str> =
        calls.lines().filter(|call| call.starts_with("dnf ")).map(|call| call.rsplit_once(' ').unwrap().0).collect();
    let without = "dnf install -y --disablerepo=*";
    assert_eq!(installs, [without, "dnf install -y", without], "every other try needs no repository:\n{calls}");
    assert!(calls.ends_with("systemctl enable api-health.service\nsystemctl restart api-health.service\n"), "{calls}");

    let written = fs::read_to_string(stage.join("etc/api-health/env")).unwrap();
    let early = fs::read_to_string(stage.join("env-at-enable")).unwrap();
    assert_eq!(written, early, "the settings are there before the daemon starts");
    let mode = fs::metadata(stage.join("etc/api-health/env")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640);

    let file = stage.join("etc/api-health/api-health.toml");
    assert_eq!(fs::read_to_string(&file).unwrap(), toml);
    assert_eq!(fs::read_to_string(stage.join("api-health.toml-at-enable")).unwrap(), toml, "before the daemon starts");
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    let mapped = if skip::is_root() { group() } else { fs::metadata(stage).unwrap().gid() };
    assert_eq!(metadata.gid(), mapped, "the daemon's group reads it");
    assert!(fs::read_dir(stage.join("tmp")).unwrap().next().is_none(), "nothing is left behind");

    let settings = read(&written);
    assert_eq!(settings["APP_ENVIRONMENT"], environment, "{written}");
    assert_eq!(settings, sourced(&stage.join("etc/api-health/env"), &settings), "a shell reads the same");
    the_program_takes(&settings, moto);

    // Once more, as after a hand-made change.
    fs::write(stage.join("etc/api-health/env"), "AWS_REGION=elsewhere\n").unwrap();
    fs::write(&file, "environment = \"elsewhere\"\n").unwrap();
    let ran = run(stage);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(fs::read_to_string(stage.join("etc/api-health/env")).unwrap(), written);
    assert_eq!(fs::read_to_string(&file).unwrap(), toml);

    // From an address.
    let source = script.lines().find(|line| line.starts_with("package=")).unwrap();
    set_up(stage, &script.replace(source, "package='https://example.com/api-health.aarch64.rpm'"));
    let ran = run(stage);
    assert!(ran.status.success(), "{ran:?}");
    let calls = fs::read_to_string(stage.join("calls")).unwrap();
    let fetches = calls
        .lines()
        .filter(|call| call.starts_with("curl ") && call.ends_with("https://example.com/api-health.aarch64.rpm"));
    assert!(fetches.count() == 3 && calls.contains("--proto =https"), "{calls}");
}

/// Whether a mount here would be seen here alone. That the kernel refuses it is a reason to go without; that anything else
/// goes wrong for root on Linux is a fault where everything must run.
fn namespaces(stage: &Path) -> bool {
    let bare = stage.join("probe");
    fs::create_dir(&bare).unwrap();
    let tried = unshare().args(["sh", "-c", "mount --bind \"$1\" /etc", "sh"]).arg(&bare).env("LC_ALL", "C").output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("unshare (in util-linux): {error}"),
    };
    let is_refused = ["Operation not permitted", "ermission denied"].iter().any(|refusal| why.contains(refusal));
    if cfg!(target_os = "linux") && skip::is_root() && !is_refused {
        skip::skip("the user data is run", &Because::Missing(format!("root makes no mount namespace: {why}")));
    }
    false
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !skip::is_root() {
        command.arg("--map-root-user");
    }
    command
}

fn set_up(stage: &Path, script: &str) {
    for folder in ["etc", "bin", "tmp"] {
        let _ = fs::remove_dir_all(stage.join(folder));
        fs::create_dir(stage.join(folder)).unwrap();
    }
    let _ = fs::remove_file(stage.join("calls"));
    fs::write(stage.join("user-data"), script).unwrap();
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/infra/terraform/tests/testdata/api-health-0.0.0-1.aarch64.rpm");
    fs::copy(package, stage.join("package")).unwrap();
    for (name, text) in [("aws", FETCH), ("curl", FETCH), ("dnf", DNF), ("systemctl", SYSTEMCTL), ("sleep", SLEEP)] {
        let path = stage.join("bin").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn run(stage: &Path) -> Output {
    let path = format!("{}:/usr/bin:/bin", stage.join("bin").display());
    unshare()
        .args(["bash", "-c", "mount --bind \"$STAGE/etc\" /etc && exec bash \"$STAGE/user-data\""])
        .env_clear()
        .env("PATH", path)
        .env("STAGE", stage)
        .env("GROUP", group().to_string())
        .env("TMPDIR", stage.join("tmp"))
        .output()
        .unwrap()
}

/// As systemd reads an environment file: `NAME="value"`, where a backslash takes the meaning from `\`, `"`, `` ` `` and `$`.
fn read(file: &str) -> BTreeMap<String, String> {
    file.lines()
        .map(|line| {
            let (name, quoted) = line.split_once('=').unwrap();
            let quoted = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
            let mut value = String::new();
            let mut characters = quoted.chars();
            while let Some(character) = characters.next() {
                value.push(if character == '\\' { characters.next().unwrap() } else { character });
            }
            (name.to_owned(), value)
        })
        .collect()
}

/// The same names as a shell reads them.
fn sourced(file: &Path, names: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut script = format!(". '{}'\n", file.display());
    for name in names.keys() {
        script += &format!("printf '{name}=%s\\n' \"${name}\"\n");
    }
    let output = Command::new("bash").args(["-euc", &script]).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

/// The program finds its tables by these settings alone.
fn the_program_takes(settings: &BTreeMap<String, String>, moto: &Moto) {
    let output = Command::new(env!("CARGO_BIN_EXE_api-health"))
        .args(["apis", "list", "--json"])
        .env_clear()
        .envs(moto.environment())
        .envs(settings)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
