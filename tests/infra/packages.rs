//! The packages: what is in them, where they run, and what an install, an upgrade and a removal do.

mod contents;
mod deb;
mod gate;
mod rpm;
mod service;
mod settings;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::skip::Because;
use crate::support::tools;

/// The program that cargo built for this test: it is what is packed, and nothing is compiled again.
const BINARY: &str = env!("CARGO_BIN_EXE_api-health");

/// The packages of one build.
struct Packages {
    deb: PathBuf,
    rpm: PathBuf,
}

/// Those that the tests share, made once.
struct Built {
    first: Packages,
    /// The same program packed again, by a shell that is set up otherwise.
    again: Packages,
    /// The same program as a later revision: what an upgrade installs.
    later: Packages,
}

/// The packages, or why this machine cannot make them.
fn built() -> Result<&'static Built, Because> {
    static BUILT: OnceLock<Result<Built, Because>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            return Err(Because::Impossible("packages are for Linux, and made there".into()));
        }
        for program in ["cargo-deb", "cargo-generate-rpm"] {
            if !tools::folder().join("bin").join(program).exists() {
                return Err(Because::Missing(format!("{program} is not there; write: tests/setup/install")));
            }
        }
        need("readelf", "binutils")?;
        Ok(Built {
            first: build("first", "1", &[]),
            again: build("again", "1", &[("TZ", "Asia/Tokyo"), ("LC_ALL", "C.UTF-8")]),
            later: build("later", "2", &[]),
        })
    });
    built.as_ref().map_err(Clone::clone)
}

fn build(name: &str, revision: &str, environment: &[(&str, &str)]) -> Packages {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages").join(name);
    let _ = std::fs::remove_dir_all(&out);
    let arch = std::env::consts::ARCH.replace("aarch64", "arm64");
    let mask = if environment.is_empty() { "022" } else { "077" };
    let words = ["--profile", "dev", "--arch", &arch, "--revision", revision, "--no-build", BINARY, "--out"];
    let output = Command::new("bash")
        .args(["-c", "umask $0; exec \"$@\"", mask, "infra/packaging/build"])
        .args(words)
        .arg(&out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("API_HEALTH_TEST_TOOLS", std::path::absolute(tools::folder()).unwrap())
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let find = |ending: &str| {
        let mut paths = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|e| e == ending)).unwrap_or_else(|| panic!("no .{ending}"))
    };
    Packages { deb: find("deb"), rpm: find("rpm") }
}

/// Says what to install if this machine has no such program.
fn need(program: &str, package: &str) -> Result<(), Because> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).exists()) {
        return Ok(());
    }
    Err(Because::Missing(format!("{program} is not there; on Debian: apt-get install {package}")))
}

/// What a command printed; it has to succeed.
#[track_caller]
fn stdout(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file of the tree.
fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
