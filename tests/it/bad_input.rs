//! Every text that a bad config or a bad settings file earns: each `tests/testdata/*/invalid-*.toml` has the whole
//! text beside it. `API_HEALTH_BLESS=1` writes the texts anew; read the difference before you keep it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api_health::clock::SystemClock;
use api_health::configs::defaults::ApiDefaults;
use api_health::configs::file;
use api_health::configs::validate::RowRules;
use api_health::settings::load;
use api_health_actors::ports::{LoadedConfigs, SourceError};

/// By what rules tests read rows.
pub(crate) fn rules() -> RowRules {
    RowRules::new(ApiDefaults::default(), Arc::new(SystemClock))
}

/// What is said of a config file, one fault per line.
pub(crate) fn said_of_configs(name: &str, text: &str) -> String {
    let loaded = file::parse(name, text).map(|rows| rules().check_all(&rows));
    match loaded {
        Ok(LoadedConfigs { refused, .. }) => {
            refused.iter().flat_map(|row| &row.faults).fold(String::new(), |mut said, fault| {
                writeln!(said, "{fault}").unwrap();
                said
            })
        }
        Err(SourceError::Misconfigured(fault)) => format!("{fault}\n"),
        Err(SourceError::Unavailable(why)) => panic!("{why}"),
    }
}

/// What is said of a settings file in an empty environment, one fault per line. `folder` is cut from the locations.
pub(crate) fn said_of_settings(path: &Path) -> String {
    let folder = format!("{}/", path.parent().unwrap().display());
    match load::load(Some(path), Path::new(""), &|_| None) {
        Ok(_) => String::new(),
        Err(faults) => faults.iter().map(|fault| format!("{fault}\n").replace(&folder, "")).collect(),
    }
}

fn invalid(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "the files are where this test looks");
    files
}

fn compare(path: &Path, said: &str) {
    let expected = path.with_extension("txt");
    if std::env::var_os("API_HEALTH_BLESS").is_some() {
        std::fs::write(&expected, said).unwrap();
    }
    let expected = std::fs::read_to_string(&expected).unwrap();
    assert!(!expected.is_empty(), "{} is bad, and nothing is said of it", path.display());
    assert_eq!(said, expected, "{}", path.display());
    assert!(!said.contains("hunter2"), "a secret in {}: {said}", path.display());
}

#[test]
fn every_bad_config_file_earns_its_whole_text() {
    for path in invalid("configs") {
        let name = path.file_name().unwrap().to_str().unwrap();
        compare(&path, &said_of_configs(name, &std::fs::read_to_string(&path).unwrap()));
    }
}

#[test]
fn every_bad_settings_file_earns_its_whole_text() {
    for path in invalid("settings") {
        compare(&path, &said_of_settings(&path));
    }
}

#[test]
fn a_file_that_cannot_be_read_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("apis.toml");
    assert_eq!(
        file::read_text(&gone).unwrap_err().to_string(),
        format!(
            "{}: the file is not there; write the path of a file with an [[api]] table for each API, or make that file",
            gone.display()
        )
    );
    assert!(file::read_text(folder.path()).unwrap_err().to_string().contains("is a folder"));
    std::fs::write(&gone, [0xff]).unwrap();
    assert!(file::read_text(&gone).unwrap_err().to_string().contains("is not UTF-8"));
    std::fs::File::create(&gone).unwrap().set_len(file::FILE_BYTES_MAX + 1).unwrap();
    assert!(file::read_text(&gone).unwrap_err().to_string().contains("is longer than 16777216 bytes"));
    let missing = load::load(Some(&folder.path().join("none.toml")), Path::new(""), &|_| None).unwrap_err();
    assert!(missing[0].to_string().ends_with("write the path of your settings file, or make that file"), "{missing:?}");
    let long = load::load(Some(&gone), Path::new(""), &|_| None).unwrap_err();
    assert!(long[0].to_string().ends_with("is longer than 16777216 bytes; write a shorter one"), "{long:?}");
    std::os::unix::fs::symlink("nowhere", folder.path().join(load::FILE_NAME)).unwrap();
    let leads_nowhere = load::load(None, folder.path(), &|_| None).unwrap_err();
    let why = "the file is a link to nowhere; write it anew, or remove the link";
    assert!(leads_nowhere[0].to_string().ends_with(why), "{leads_nowhere:?}");
}
