//! The tables of docs/operations.md: lines of the log, what api-health tells of itself, and exit codes are those of the code.

use std::fs;
use std::path::Path;

use api_health::cli::exit::Exit;

use super::page::OPERATIONS;

/// The cells of the table below `<!-- marker -->`.
fn table(marker: &str) -> Vec<Vec<String>> {
    let (_, after) = OPERATIONS.split_once(&format!("<!-- {marker} -->\n")).unwrap();
    let lines = after.lines().take_while(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The sources of the program, without line breaks inside texts.
fn sources() -> String {
    fn walk(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, text);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for folder in ["src", "actors/src"] {
        walk(&root.join(folder), &mut text);
    }
    text
}

#[test]
fn each_line_of_the_log_that_the_runbook_explains_is_one_of_the_program() {
    let sources = sources();
    let rows = table("log lines");
    assert!(rows.len() > 10);
    for row in rows {
        let line = row[0].trim_matches('`');
        assert!(sources.contains(line), "no line of the log says {line:?}");
        assert!(["ERROR", "WARN"].contains(&row[1].as_str()), "{row:?}");
    }
}

#[test]
fn the_runbook_explains_everything_that_api_health_tells_of_itself_and_every_exit_code() {
    let ids = include_str!("../../../actors/core/src/api.rs");
    let own: Vec<&str> =
        ids.lines().filter(|line| line.starts_with("const OWN_")).map(|line| line.split('"').nth(1).unwrap()).collect();
    assert!(own.len() >= 2, "{own:?}");
    for id in own {
        assert!(OPERATIONS.contains(&format!("| `{id}")), "{id} is not explained");
    }
    for kind in ["down", "up", "closed"] {
        assert!(OPERATIONS.contains(&format!("| `{kind}` |")), "{kind} is not explained");
    }
    let codes: Vec<String> = table("exit codes").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(codes, Exit::TABLE.map(|(exit, _)| exit.code().to_string()));
}
