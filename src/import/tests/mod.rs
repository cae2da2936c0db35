//! The files below `tests/testdata/import`, each of a shape that people have in public: their fields are all accounted for.

mod blackbox;
mod export;
mod gatus;
mod kuma;
mod mutations;
mod table;
mod upptime;

use std::path::{Path, PathBuf};

use super::*;

/// The variables that are set while these files are read.
fn environment(name: &str) -> Option<String> {
    (name == "IMPORT_TEST_HOST").then(|| "env.example.org".into())
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/testdata/import").join(name)
}

fn file(folder_name: &str, name: &str) -> File {
    let bytes = std::fs::read(folder(folder_name).join(name)).unwrap();
    File { name: name.to_owned(), content: Content::Bytes(bytes) }
}

fn import(source: Source, folder: &str, names: &[&str]) -> Import {
    let files: Vec<File> = names.iter().map(|name| file(folder, name)).collect();
    let import = read(source, &files, &environment, &[]).unwrap_or_else(|faults| panic!("{names:?}: {faults:?}"));
    check_sum(&import, &format!("{names:?}"));
    import
}

/// Every field is judged once.
pub(super) fn check_sum(import: &Import, what: &str) {
    let judged: usize = import.entries.iter().map(|entry| entry.fields).sum();
    let list: Vec<String> = import.entries.iter().map(|entry| format!("{} {}", entry.fields, entry.path)).collect();
    assert_eq!(judged, import.fields, "{what}: not each field is judged once:\n{}", list.join("\n"));
}

/// A row as one line of JSON.
fn row(import: &Import, api_id: &str) -> serde_json::Value {
    let found = import.rows.iter().find(|row| row.fields["api_id"] == api_id);
    let ids = || import.rows.iter().map(|row| row.fields["api_id"].to_string()).collect::<Vec<_>>();
    serde_json::Value::Object(found.unwrap_or_else(|| panic!("{api_id} is not among {:?}", ids())).fields.clone())
}

/// Why what stands at a path is lost, or how it is near.
fn said(import: &Import, path: &str) -> String {
    let entry = import.entries.iter().find(|entry| entry.path == path);
    match &entry.unwrap_or_else(|| panic!("nothing is said of {path}")).verdict {
        Verdict::Taken => "taken".into(),
        Verdict::Near(how) => format!("near: {how}"),
        Verdict::Lost(why) => format!("lost: {why}"),
    }
}

fn all_of(source: Source, name: &str, least: usize) {
    let mut names: Vec<String> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= least, "{names:?}");
    for file in &names {
        let import = import(source, name, &[file]);
        let again = read(source, &[super::tests::file(name, file)], &environment, &[]).unwrap();
        assert_eq!(import.rows, again.rows, "{file}: the same file gives the same rows");
        for row in &import.rows {
            let text = serde_json::to_string(&row.fields).unwrap();
            assert!(!text.contains("hunter"), "{file}: a secret stands in a row: {text}");
        }
        assert!(!channels_to_toml(&import.channels).contains("hunter"), "{file}");
    }
}

#[test]
fn every_field_of_every_file_is_accounted_for() {
    all_of(Source::Gatus, "gatus", 15);
    all_of(Source::Upptime, "upptime", 10);
    all_of(Source::Blackbox, "blackbox", 10);
}
