//! `docs/configuration.md` says what the program does: its tables are those of the code, its good examples are taken,
//! and its bad ones earn the very text that is quoted.

use std::path::Path;

use api_health::configs::field::{About, Unwritten};
use api_health::configs::fields::FIELDS;
use api_health::configs::file;
use api_health::notify::kinds::KINDS;
use api_health::settings::channel_keys::CHANNEL_KEYS;
use api_health::settings::keys::{KEYS, READ_BY_THE_SDK};
use api_health::settings::load::load;

use super::bad_input::{rules, said_of_configs, said_of_settings};

const PAGE: &str = include_str!("../../docs/configuration.md");

/// A cell: what would end it is escaped.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.iter().map(|c| cell(c)).collect::<Vec<_>>().join(" | ").replace("|  |", "| |"))
}

fn common(field: &About) -> [String; 6] {
    let default = match field.default {
        Unwritten::Value(value) => format!("`{value}`"),
        Unwritten::Words(words) => words.to_owned(),
    };
    let (kind, unit) = (field.kind.name().to_owned(), field.kind.unit().to_owned());
    [kind, unit, default, field.kind.bounds(), field.meaning.to_owned(), format!("`{}`", field.example)]
}

/// The table that the page must have below its marker `<!-- table: name -->`.
fn compare_table(name: &str, expected: &str) {
    let marker = format!("<!-- table: {name} -->\n");
    let (_, after) = PAGE.split_once(&marker).unwrap_or_else(|| panic!("no {marker}"));
    let found = after.split_once("\n\n").map_or(after, |(table, _)| table);
    assert_eq!(format!("{found}\n"), expected, "this is what must stand there:\n{marker}{expected}");
}

#[test]
fn the_table_of_fields_is_that_of_the_code() {
    let mut expected =
        "| field | type | unit | default | bounds | meaning | example |\n|---|---|---|---|---|---|---|\n".to_owned();
    for field in FIELDS {
        let mut cells = vec![format!("`{}`", field.name)];
        cells.extend(common(field));
        expected.push_str(&line(&cells));
    }
    compare_table("fields", &expected);
}

#[test]
fn the_table_of_settings_is_that_of_the_code() {
    let mut expected = "| key | environment | type | unit | default | bounds | meaning | example |\n\
                        |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for key in KEYS {
        let mut cells = vec![format!("`{}`", key.name), key.env.map(|e| format!("`{e}`")).unwrap_or_default()];
        cells.extend(common(key));
        expected.push_str(&line(&cells));
    }
    compare_table("settings", &expected);
    for name in READ_BY_THE_SDK {
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is not on the page");
    }
}

#[test]
fn the_tables_of_channels_are_those_of_the_code() {
    let mut expected =
        "| key | type | unit | default | bounds | meaning | example |\n|---|---|---|---|---|---|---|\n".to_owned();
    for key in CHANNEL_KEYS {
        let mut cells = vec![format!("`{}`", key.name)];
        cells.extend(common(key));
        expected.push_str(&line(&cells));
    }
    compare_table("channels", &expected);
    let mut expected = "| kind | key | must be there | meaning | example |\n|---|---|---|---|---|\n".to_owned();
    for kind in KINDS {
        for key in kind.keys {
            let required = if key.required { "yes" } else { "no" };
            let code = |text: &str| format!("`{text}`");
            let cells = [code(kind.name), code(key.name), required.into(), key.meaning.into(), code(key.example)];
            expected.push_str(&line(&cells));
        }
    }
    compare_table("kinds", &expected);
}

/// The code block after each `marker`, and the one that follows it.
pub(crate) fn examples(marker: &str) -> Vec<(String, String)> {
    let blocks = |text: &str| -> Vec<String> {
        text.split("```").skip(1).step_by(2).take(2).map(|b| b.split_once('\n').unwrap().1.to_owned()).collect()
    };
    let found: Vec<_> = PAGE
        .split(&format!("<!-- {marker} -->"))
        .skip(1)
        .map(|after| {
            let mut two = blocks(after).into_iter();
            (two.next().unwrap(), two.next().unwrap_or_default())
        })
        .collect();
    assert!(!found.is_empty(), "no example is marked {marker}");
    found
}

#[test]
fn good_examples_are_taken() {
    for (text, _) in examples("good: apis.toml") {
        // The references of an example are not set here; everything else of it must be right.
        let text = text.replace("${env:", "$${env:").replace("${file:", "$${file:");
        let rows = file::parse("apis.toml", &text).unwrap();
        assert!(!rows.is_empty());
        assert_eq!(rules().check_all(&rows).refused, [], "{text}");
    }
    for (text, _) in examples("good: api-health.toml") {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "x").unwrap();
        let path = folder.path().join("api-health.toml");
        std::fs::write(&path, text.replace("/run/credentials/api-health.service/webhook", secret.to_str().unwrap()))
            .unwrap();
        let env = |name: &str| matches!(name, "WEBHOOK_SECRET" | "HOOK_PATH").then(|| "x".to_owned());
        if let Err(faults) = load(Some(&path), Path::new(""), &env) {
            panic!("{text}\n{faults:#?}");
        }
    }
}

#[test]
fn bad_examples_earn_the_text_that_is_quoted() {
    for (text, quoted) in examples("bad: apis.toml") {
        assert_eq!(said_of_configs("apis.toml", &text), quoted);
    }
    for (text, quoted) in examples("bad: api-health.toml") {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-health.toml");
        std::fs::write(&path, &text).unwrap();
        assert_eq!(said_of_settings(&path), quoted);
    }
}
