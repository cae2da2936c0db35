//! The gate on what the binary needs of the system: it lets this one pass, and refuses those it exists for.

use std::io::Write;
use std::process::{Command, Output};

use super::{BINARY, need, stdout, tree};
use crate::skip::skip;

/// What is planted: a binary's needs, as readelf prints them.
fn needs(libraries: &[&str], versions: &[&str]) -> String {
    let mut text = String::new();
    for library in libraries {
        text += &format!(" 0x0000000000000001 (NEEDED)             Shared library: [{library}]\n");
    }
    for version in versions {
        text += &format!("  0x0010:   Name: {version}  Flags: none  Version: 3\n");
    }
    text
}

fn judge(symbols: &str) -> Output {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(symbols.as_bytes()).unwrap();
    Command::new(tree("infra/packaging/glibc-gate")).arg("--symbols").arg(file.path()).output().unwrap()
}

#[track_caller]
fn refused(symbols: &str, because: &str) {
    let output = judge(symbols);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "let pass: {symbols}");
    assert!(errors.contains(because), "{errors}");
}

#[test]
fn the_program_runs_on_amazon_linux_2023() {
    if let Err(why) = need("readelf", "binutils") {
        return skip("the_program_runs_on_amazon_linux_2023", &why);
    }
    // A machine with a newer glibc may build for itself; what is packed for others passes the gate in any case.
    let highest = stdout(tree("infra/packaging/glibc-gate").to_str().unwrap(), &[BINARY]);
    assert!(highest.starts_with("2."), "{highest}");
}

#[test]
fn the_gate_refuses_what_would_not_start_there() {
    let plain = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"];
    let passed = judge(&needs(&plain, &["GLIBC_2.2.5", "GLIBC_2.34", "GLIBC_2.4"]));
    assert!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
    assert_eq!(passed.stdout, b"2.34\n", "the highest, and not the last in the alphabet");

    refused(&needs(&plain, &["GLIBC_2.4", "GLIBC_2.36"]), "needs glibc 2.36, and Amazon Linux 2023 has 2.34");
    refused(&needs(&plain, &["GLIBC_2.34.1"]), "needs glibc 2.34.1");
    refused(&needs(&plain, &["GLIBC_2.100", "GLIBC_2.9"]), "needs glibc 2.100");
    refused(&needs(&["libc.so.6", "libssl.so.3"], &["GLIBC_2.34"]), "libssl.so.3");
    refused("There is no dynamic section in this file.\n", "names no version of glibc");
}

#[test]
fn the_packages_ask_for_what_the_gate_allows() {
    let gate = std::fs::read_to_string(tree("infra/packaging/glibc-gate")).unwrap();
    let max = gate.lines().find_map(|line| line.strip_prefix("max=")).unwrap();
    let manifest = std::fs::read_to_string(tree("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("depends = \"libc6 (>= {max})")), "the .deb");
    assert!(manifest.contains(&format!("\"libc.so.6(GLIBC_{max})(64bit)\" = \"*\"")), "the .rpm");
}
