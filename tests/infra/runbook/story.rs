//! The story of docs/operations.md: a first API, down and up, the import, a restored table; and SQLite's copies.

use super::page::{OPERATIONS, is_like, marked, to_run};
use super::shell::Shell;
use crate::skip::skip;

#[test]
fn what_the_runbook_says_of_aws_is_so_on_an_emulator() {
    let shell = match Shell::new("api-health-alerts") {
        Ok(shell) => shell,
        Err(why) => return skip("what_the_runbook_says_of_aws_is_so_on_an_emulator", &why),
    };
    let mut blocks = to_run(OPERATIONS, "run: story");
    blocks.extend(to_run(OPERATIONS, "run: look"));
    shell.play(&blocks);
    let subjects = shell.subjects();
    for mail in marked(OPERATIONS, "mail") {
        let said = mail.lines().next().unwrap();
        assert_eq!(subjects.iter().filter(|subject| is_like(said, subject)).count(), 1, "{said:?}: {subjects:?}");
    }
}

#[test]
fn what_the_runbook_says_of_sqlite_is_so() {
    let shell = match Shell::new("none") {
        Ok(shell) => shell,
        Err(why) => return skip("what_the_runbook_says_of_sqlite_is_so", &why),
    };
    shell.run("api-health apis add --url https://example.com/ --id shop && api-health run --once 2>/dev/null");
    shell.play(&to_run(OPERATIONS, "run: sqlite"));
}
