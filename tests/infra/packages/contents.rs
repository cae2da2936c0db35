//! What is in the packages, with which owner and mode, and what they ask for.

use std::path::Path;
use std::process::Command;

use super::{built, need, stdout, text};
use crate::skip::{Because, skip};

/// Each path that a package must have, with its mode. Those of zsh differ by the distribution's custom.
const FILES: [(&str, &str); 14] = [
    ("/usr/bin/api-health", "-rwxr-xr-x"),
    ("/usr/lib/systemd/system/api-health.service", "-rw-r--r--"),
    ("/usr/lib/sysusers.d/api-health.conf", "-rw-r--r--"),
    ("/etc/api-health/api-health.toml", "-rw-r-----"),
    ("/etc/api-health/env", "-rw-r-----"),
    ("/usr/share/man/man1/api-health.1.gz", "-rw-r--r--"),
    ("/usr/share/bash-completion/completions/api-health", "-rw-r--r--"),
    ("/usr/share/fish/vendor_completions.d/api-health.fish", "-rw-r--r--"),
    ("/usr/share/doc/api-health/copyright", "-rw-r--r--"),
    ("/usr/share/doc/api-health/LICENSE-MIT", "-rw-r--r--"),
    ("/usr/share/doc/api-health/LICENSE-APACHE", "-rw-r--r--"),
    ("/usr/share/doc/api-health/configuration.md", "-rw-r--r--"),
    ("/usr/share/doc/api-health/README.md", "-rw-r--r--"),
    ("/usr/share/doc/api-health/CHANGELOG.md", "-rw-r--r--"),
];

const CONFIG: [&str; 2] = ["/etc/api-health/api-health.toml", "/etc/api-health/env"];

#[track_caller]
fn has_all(list: &str, zsh: &str) {
    for (path, mode) in FILES.into_iter().chain([(zsh, "-rw-r--r--")]) {
        let line = list.lines().find(|line| line.split_whitespace().any(|word| word.trim_start_matches('.') == path));
        let line = line.unwrap_or_else(|| panic!("no {path} in:\n{list}"));
        assert!(line.starts_with(mode), "{line}: the mode is not {mode}");
        assert!(line.contains("root"), "{line}");
    }
}

#[test]
fn the_deb_has_everything_and_keeps_the_settings() {
    let (built, ()) = match built().and_then(|built| Ok((built, need("dpkg-deb", "dpkg")?))) {
        Ok(both) => both,
        Err(why) => return skip("the_deb_has_everything_and_keeps_the_settings", &why),
    };
    let deb = text(&built.first.deb);
    let list = stdout("sh", &["-c", &format!("dpkg-deb --fsys-tarfile {deb} | tar --list --verbose --file -")]);
    let list = list.replace(" 0/0 ", " root/root ");
    has_all(&list, "/usr/share/zsh/vendor-completions/_api-health");
    assert_eq!(stdout("dpkg-deb", &["--info", deb, "conffiles"]).split_whitespace().collect::<Vec<_>>(), CONFIG);

    let field = |name: &str| stdout("dpkg-deb", &["--field", deb, name]).trim().to_owned();
    assert_eq!(field("Version"), format!("{}-1", env!("CARGO_PKG_VERSION")));
    assert_eq!(field("Architecture"), if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    let depends = field("Depends");
    for package in ["libc6 (>= 2.34)", "libgcc-s1", "ca-certificates", "systemd | "] {
        assert!(depends.contains(package), "{depends}");
    }
}

#[test]
fn the_rpm_has_everything_and_keeps_the_settings() {
    let (built, ()) = match built().and_then(|built| Ok((built, need("rpm", "rpm")?))) {
        Ok(both) => both,
        Err(why) => return skip("the_rpm_has_everything_and_keeps_the_settings", &why),
    };
    let query =
        |format: &str| stdout("rpm", &["--query", "--package", "--queryformat", format, text(&built.first.rpm)]);
    let list = query("[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES}\n]");
    has_all(&list, "/usr/share/zsh/site-functions/_api-health");

    let flags = query("[%{FILEFLAGS:fflags} %{FILENAMES}\n]");
    let kept: Vec<_> = flags.lines().filter_map(|line| line.strip_prefix("cn ")).collect();
    assert_eq!(kept, CONFIG, "configuration, not to be replaced: {flags}");

    assert_eq!(
        query("%{VERSION}-%{RELEASE}.%{ARCH}"),
        format!("{}-1.{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
    );
    let requires = query("[%{REQUIRENAME}\n]");
    for name in ["libc.so.6(GLIBC_2.34)(64bit)", "libgcc_s.so.1()(64bit)", "ca-certificates", "systemd", "/bin/sh"] {
        assert!(requires.lines().any(|line| line == name), "{requires}");
    }
}

/// Of the packing alone: both hold the one program that cargo built. infra/packaging/README.md says how the whole is compared.
#[test]
fn a_program_that_is_packed_twice_is_equal_bytes() {
    let built = match built() {
        Ok(built) => built,
        Err(why) => return skip("a_program_that_is_packed_twice_is_equal_bytes", &why),
    };
    let read = |path: &Path| std::fs::read(path).unwrap();
    assert!(read(&built.first.deb) == read(&built.again.deb), "the .deb differs: see diffoscope");
    assert!(read(&built.first.rpm) == read(&built.again.rpm), "the .rpm differs: see diffoscope");
    assert!(read(&built.first.deb) != read(&built.later.deb), "another revision is another package");
}

#[test]
fn the_man_page_opens_and_the_completions_parse() {
    let (built, ()) = match built().and_then(|built| Ok((built, need("dpkg-deb", "dpkg")?))) {
        Ok(both) => both,
        Err(why) => return skip("the_man_page_opens_and_the_completions_parse", &why),
    };
    let folder = tempfile::tempdir().unwrap();
    stdout("dpkg-deb", &["--extract", text(&built.first.deb), text(folder.path())]);
    let installed = |path: &str| text(&folder.path().join(path)).to_owned();

    let man = installed("usr/share/man/man1/api-health.1.gz");
    let gzip = std::fs::read(&man).unwrap();
    assert_eq!(gzip[4..8], [0; 4], "no time in the head of the gzip file");
    if let Err(why) = need("man", "man-db") {
        skip("the man page", &why);
    } else {
        let output =
            Command::new("man").args(["--warnings", "--local-file", &man]).env("MANWIDTH", "100").output().unwrap();
        let (page, warnings) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success() && page.contains("SYNOPSIS") && page.contains("api-health"),
            "{page}\n{warnings}"
        );
    }

    stdout("bash", &["-n", &installed("usr/share/bash-completion/completions/api-health")]);
    let others = [
        ("zsh", "usr/share/zsh/vendor-completions/_api-health"),
        ("fish", "usr/share/fish/vendor_completions.d/api-health.fish"),
    ];
    for (shell, path) in others {
        match need(shell, shell) {
            Ok(()) => drop(stdout(shell, &["-n", &installed(path)])),
            Err(_) => skip(&format!("the completions of {shell}"), &Because::Impossible(format!("no {shell} here"))),
        }
    }
}
