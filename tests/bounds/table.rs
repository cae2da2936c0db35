//! docs/bounds.md and the tree say the same: each constant is where the page says, with that value; each test is there; and
//! no bound in the tree is missing from the page.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of the page's table.
struct Row {
    what: String,
    /// Name, value and file.
    constants: Vec<(String, String, String)>,
    /// File and function.
    tests: Vec<(String, String)>,
}

/// Numbers that look like bounds, and bound nothing that grows with outside input.
const NOT_OF_THE_PAGE: [(&str, &str); 9] = [
    ("src/cli/apis/import/write.rs", "WRITES_IN_FLIGHT_MAX"), // a command that ends
    ("src/cli/alerts/retry.rs", "READ_SINGLY_MAX"),
    ("src/cli/apis/import/plan.rs", "NAMED_MAX"),
    ("src/cli/apis/import/differences.rs", "VALUE_CHARS_MAX"),
    ("src/cost/bill.rs", "WORKERS_MAX"),
    ("src/cli/demo/mod.rs", "EVENTS_MAX"), // the demo talks to itself
    ("src/cli/demo/api.rs", "HEAD_BYTES_MAX"),
    ("src/cli/demo/api.rs", "CONNECTIONS_MAX"),
    ("src/configs/nearest.rs", "COMPARED_BYTES_MAX"), // what is compared, not what is taken
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backticks in `cell`.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows of the page: what | bound | `NAME = VALUE` in `FILE` | `FILE::TEST`.
fn rows() -> Vec<Row> {
    let page = read("docs/bounds.md");
    let lines =
        page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what | ") && !line.contains("---"));
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [what, _, constants, tests] = cells[..] else { panic!("not four cells: {line}") };
            let pairs = quoted(constants);
            assert!(pairs.len().is_multiple_of(2), "a constant without a file: {line}");
            let constants = pairs.chunks(2).map(|pair| {
                let (name, value) = pair[0].split_once(" = ").unwrap_or_else(|| panic!("no value: {line}"));
                (name.to_owned(), value.to_owned(), pair[1].clone())
            });
            let tests = quoted(tests).into_iter().map(|test| {
                let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("no test: {line}"));
                (file.to_owned(), function.to_owned())
            });
            Row { what: what.to_owned(), constants: constants.collect(), tests: tests.collect() }
        })
        .collect()
}

/// The value of `const NAME: TYPE = VALUE;`, with single spaces.
fn value_of(text: &str, name: &str) -> Option<String> {
    let (_, after) = text.split_once(&format!("const {name}: "))?;
    let (_, value) = after.split_once("= ")?;
    let (value, _) = value.split_once(';')?;
    Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn is_there((file, test): &(String, String)) -> bool {
    let text = read(file);
    // A promise is made a test of by the list that it stands in.
    let is_listed = text.contains("promises! {") && text.contains(&format!("\n    {test}\n"));
    text.contains(&format!("fn {test}(")) && (is_listed || text.contains("#[test]") || text.contains("::test]"))
}

#[test]
fn each_constant_of_the_page_has_that_value_and_each_test_is_there() {
    let rows = rows();
    assert!(rows.len() > 50, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for Row { what, constants, tests } in &rows {
        for (name, value, file) in constants {
            let there = value_of(&read(file), name);
            if there.as_ref() != Some(value) {
                wrong.push(format!("{what}: {name} in {file} is {there:?}, and the page says {value}"));
            }
        }
        if tests.is_empty() {
            wrong.push(format!("{what}: no test"));
        }
        wrong.extend(
            tests.iter().filter(|test| !is_there(test)).map(|test| format!("{what}: there is no test {test:?}")),
        );
    }
    // And those that the text names.
    let page = read("docs/bounds.md");
    let named = quoted(&page).into_iter().filter_map(|quoted| {
        let (file, test) = quoted.split_once(".rs::")?;
        Some((format!("{file}.rs"), test.to_owned()))
    });
    wrong.extend(named.filter(|test| !is_there(test)).map(|test| format!("there is no test {test:?}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["tests", "testkit", "target"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.contains("tests") {
            found.push(path);
        }
    }
}

#[test]
fn no_bound_in_the_tree_is_missing_from_the_page() {
    let listed: HashSet<(String, String)> =
        rows().into_iter().flat_map(|row| row.constants).map(|(name, _, file)| (file, name)).collect();
    let mut files = Vec::new();
    for folder in ["src", "actors/src", "actors/core/src"] {
        sources(&root().join(folder), &mut files);
    }
    let mut missing = Vec::new();
    let mut seen = 0;
    for path in files {
        let file = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        for after in read(&file).split("const ").skip(1) {
            let Some((name, of_type)) = after.split_once(": ") else { continue };
            let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            let is_bound = name.ends_with("_MAX") || name == "LIMITS" || name.ends_with("CAPACITY");
            let is_number = ["usize", "u8", "u32", "u64", "CommitLimits"].iter().any(|t| of_type.starts_with(t));
            if is_name && is_bound && is_number {
                seen += 1;
                let exempt = NOT_OF_THE_PAGE.contains(&(file.as_str(), name));
                if !exempt && !listed.contains(&(file.clone(), name.to_owned())) {
                    missing.push(format!("{name} of {file}"));
                }
            }
        }
    }
    assert!(seen > 50, "{seen} bounds found");
    assert!(missing.is_empty(), "not in docs/bounds.md: {}", missing.join(", "));
}
