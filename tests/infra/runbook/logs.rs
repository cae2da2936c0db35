//! The tables of docs/operations.md: lines of the log, what api-health tells of itself, and exit codes are those of the code.

use std::fs;
use std::path::Path;

use api_health::exit::Exit;

use super::page::{OPERATIONS, is_like};

/// The cells of the table below `<!-- marker -->`.
pub(super) fn table(marker: &str) -> Vec<Vec<String>> {
    let (_, after) = OPERATIONS.split_once(&format!("<!-- {marker} -->\n")).unwrap();
    let lines = after.lines().take_while(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The sources of the program.
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

/// What the calls of a macro of `tracing` say: the last text of each call.
fn said(sources: &str, level: &str) -> Vec<String> {
    let call = format!("tracing::{level}!(");
    let calls = sources.split(&call).skip(1);
    calls.filter_map(|rest| texts(rest).into_iter().next_back()).collect()
}

/// The texts among the arguments of a call, whose opening parenthesis stood before `rest`.
fn texts(rest: &str) -> Vec<String> {
    let (mut texts, mut depth) = (Vec::new(), 1);
    let mut signs = rest.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => texts.push(signs.by_ref().take_while(|sign| *sign != '"').collect()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    texts
}

/// Lines that say what somebody wrote, or what died: the text is not the program's.
const OPEN: [&str; 2] = ["{line}", "without a text"];
/// Only `demo` says this, and to the person who typed it.
const OF_THE_DEMO: &str = "the small API cannot listen";

/// The lines of the log that are explained: pattern and level.
fn explained() -> Vec<(String, String)> {
    let rows = table("log lines");
    assert!(rows.len() > 20);
    rows.into_iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone())).collect()
}

/// What no row is about.
fn unexplained(lines: &[String], level: &str) -> Vec<String> {
    let explained = explained();
    let is_explained = |line: &String| explained.iter().any(|(pattern, of)| of == level && is_like(pattern, line));
    let is_own = |line: &&String| !OPEN.contains(&line.as_str()) && line.as_str() != OF_THE_DEMO;
    lines.iter().filter(is_own).filter(|line| !is_explained(line)).cloned().collect()
}

#[test]
fn each_line_of_the_log_that_the_runbook_explains_is_one_of_the_program() {
    let sources = sources();
    for (pattern, level) in explained() {
        let lines = said(&sources, &level.to_lowercase());
        let is_there = lines.iter().any(|line| is_like(&pattern, line)) || pattern.starts_with("panic: ");
        assert!(is_there, "no {level} line of the log says {pattern:?}");
        assert!(["ERROR", "WARN"].contains(&level.as_str()), "{pattern}: {level}");
    }
}

#[test]
fn the_runbook_explains_every_error_of_the_program() {
    let errors = said(&sources(), "error");
    assert!(errors.len() > 25, "{errors:?}");
    assert_eq!(unexplained(&errors, "ERROR"), [""; 0]);
    // The check is tried on what it is there to find.
    let planted = "x; tracing::error!(api_id, why = of(\"nothing\"), \"a new fault\"); tracing::error!(\"the \")";
    let lines = said(planted, "error");
    assert_eq!(unexplained(&lines, "ERROR"), ["a new fault", "the "]);
}

#[test]
fn the_runbook_explains_everything_that_api_health_tells_of_itself_and_every_exit_code() {
    let ids = include_str!("../../../actors/core/src/api_id.rs");
    let own: Vec<&str> = ids
        .lines()
        .filter(|line| line.starts_with("const MONITOR_"))
        .map(|line| line.split('"').nth(1).unwrap())
        .collect();
    assert!(own.len() >= 2, "{own:?}");
    for id in own {
        assert!(OPERATIONS.contains(&format!("| `{id}")), "{id} is not explained");
    }
    for kind in ["down", "up", "closed", "unclear", "clear", "certificate_ends_soon", "certificate_renewed"] {
        assert!(OPERATIONS.contains(&format!("| `{kind}` |")), "{kind} is not explained");
    }
    let codes: Vec<String> = table("exit codes").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(codes, Exit::TABLE.map(|(exit, _)| exit.code().to_string()));
}
