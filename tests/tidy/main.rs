//! Tidiness as a test: what the tree promises of itself and no compiler checks.

mod runner;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the tree with that ending, but for what is built or not ours.
fn files(ending: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !(name.starts_with('.') && name != ".ci") {
                    walk(&path, ending, found);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(root(), ending, &mut found);
    assert!(!found.is_empty(), "no file ends in {ending}");
    found.sort();
    found
}

/// Names and versions of all packages that are built here; the lock file also has those that no feature asks for.
fn built() -> Vec<(String, String)> {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let mut packages: Vec<(String, String)> = String::from_utf8(tree.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned()))
        .collect();
    packages.sort();
    packages.dedup();
    assert!(packages.len() > 100, "cargo tree names the whole tree: {packages:?}");
    packages
}

#[test]
fn every_module_opens_with_the_sentence_that_a_newcomer_needs() {
    for path in files(".rs") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with a //! sentence", path.display());
    }
}

#[test]
fn nothing_stands_at_the_top_but_what_has_its_place_there() {
    let listed = std::process::Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let top: BTreeSet<&str> = listed.lines().filter_map(|path| path.split('/').next()).collect();
    let known = ".ci .gitignore ARCHITECTURE.md CHANGELOG.md Cargo.lock Cargo.toml LICENSE-APACHE LICENSE-MIT README.md actors \
                 benches clippy.toml deny.toml docs examples infra rustfmt.toml src test tests";
    let strange: Vec<&&str> = top.iter().filter(|name| !known.split(' ').any(|known| known == **name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn a_file_is_one_idea() {
    let mut lengths: Vec<usize> = Vec::new();
    for path in files(".rs") {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines: is it one idea?", path.display());
        lengths.push(lines);
    }
    lengths.sort_unstable();
    assert!(lengths[lengths.len() / 2] <= 200, "the median file has {} lines", lengths[lengths.len() / 2]);
}

#[test]
fn there_is_one_tls_stack_one_crypto_library_and_one_runtime() {
    let built = built();
    let versions = |name: &str| built.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
    for one in ["rustls", "aws-lc-rs", "tokio", "hyper", "tokio-rustls", "hyper-rustls", "rustls-webpki"] {
        assert_eq!(versions(one).len(), 1, "{one}: {:?}", versions(one));
    }
    for none in ["ring", "openssl", "openssl-sys", "native-tls", "boring", "reqwest", "async-std", "smol"] {
        assert!(versions(none).is_empty(), "{none} {:?} is in the tree", versions(none));
    }
}

#[test]
fn the_inner_rings_know_nothing_of_the_outer() {
    let dependencies = |manifest: &str| -> Vec<String> {
        let manifest: toml::Table = fs::read_to_string(root().join(manifest)).unwrap().parse().unwrap();
        manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
    };
    assert_eq!(dependencies("actors/core/Cargo.toml"), ["croner", "jiff", "regex", "serde_json", "serde_json_path"]);
    for dependency in dependencies("actors/Cargo.toml") {
        let allowed = ["actix", "actix-rt", "api-health-core", "backoff", "futures-util", "tokio", "tracing"];
        assert!(allowed.contains(&dependency.as_str()), "ring 2 depends on {dependency}");
    }
}

#[test]
fn one_place_reads_the_environment_as_text() {
    let alone = root().join("src/environment.rs");
    // The telemetry compares one with what the stream is, byte by byte.
    let other = |path: &Path| path != alone && !path.ends_with("telemetry.rs");
    for path in files(".rs").into_iter().filter(|path| path.starts_with(root().join("src")) && other(path)) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("env::var("), "{}: use crate::environment, which tells what is no text", path.display());
    }
}

#[test]
fn what_is_shipped_is_optimised_whole() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let levels = |profile: &str| -> Vec<(String, i64)> {
        let packages = manifest["profile"][profile]["package"].as_table().unwrap();
        packages.iter().map(|(name, set)| (name.clone(), set["opt-level"].as_integer().unwrap())).collect()
    };
    let built = built();
    let release = levels("release");
    assert!(release.iter().any(|(name, level)| name == "aws-sdk-dynamodb" && *level == 0), "{release:?}");
    for (name, _) in &release {
        assert!(
            built.iter().any(|(known, _)| known == name),
            "[profile.release.package] names {name}, which is not built"
        );
    }
    let wanted: Vec<(String, i64)> = release.into_iter().map(|(name, _)| (name, 3)).collect();
    assert_eq!(levels("dist"), wanted, "each crate that `release` leaves as it is stands in `dist` with opt-level = 3");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for path in files(".md") {
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let target = path.parent().unwrap().join(target);
            assert!(target.exists(), "{} links to {}, which is not there", path.display(), target.display());
        }
    }
}

/// Names in backquotes that are long enough to be those of tests.
fn test_names(page: &str) -> Vec<&str> {
    let is_name = |text: &&str| {
        text.matches('_').count() >= 2
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    page.split('`').skip(1).step_by(2).filter(is_name).collect()
}

#[test]
fn every_test_that_the_page_of_promises_names_exists() {
    let page = fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let sources: String = files(".rs").iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let named = test_names(&page);
    assert!(named.len() > 80, "{} tests are named", named.len());
    let fields = [
        "timeout_seconds",
        "unclear_after_seconds",
        "flap_window_seconds",
        "remind_after_seconds",
        "changes_left_out",
        "alert_id",
        "happened_at",
        "api_health_states_set_aside",
    ];
    let missing: Vec<&str> =
        named.into_iter().filter(|name| !fields.contains(name) && !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/semantics.md names tests that are not there: {missing:#?}");
}
