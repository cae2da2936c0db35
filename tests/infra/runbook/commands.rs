//! Every command of api-health that the pages name exists, with the options that they name.

use api_health::cli::args::Cli;
use clap::{Command, CommandFactory};

use super::page::{CRON, OPERATIONS, blocks};

/// What begins a line that api-health is called by; the second is a function of the page itself.
const CALLS: [&str; 3] = ["api-health", "as_daemon", "/usr/bin/api-health"];

/// Every call in shell text, as words.
fn calls(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let simple = joined.split(['\n', ';', '|', '(', ')', '`']).flat_map(|part| part.split("&&"));
    simple
        .filter_map(|part| {
            let part = part.split(" #").next().unwrap_or_default();
            let words: Vec<String> = part.split_whitespace().map(str::to_owned).collect();
            // After assignments; in a crontab and after systemd-run it is not the first word.
            let is_command = |at: usize| {
                words[..at].iter().all(|word| word.contains('='))
                    || words[0] == "systemd-run"
                    || words[at] == "/usr/bin/api-health"
            };
            let at = (0..words.len()).find(|at| CALLS.contains(&words[*at].as_str()) && is_command(*at))?;
            Some(words[at + 1..].to_vec())
        })
        .collect()
}

/// What is wrong with a call.
fn fault(words: &[String]) -> Option<String> {
    let root = Cli::command();
    let mut command: &Command = &root;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or_default();
            let has = |command: &Command| command.get_arguments().any(|a| a.get_long() == Some(name));
            if !has(command) && !has(&root) {
                return Some(format!("{} has no option --{name}", command.get_name()));
            }
            if name == "settings" {
                words.next();
            }
        } else if let Some(sub) = command.find_subcommand(word) {
            command = sub;
        } else if command.has_subcommands() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return Some(format!("{} has no command {word}", command.get_name()));
        }
    }
    None
}

#[test]
fn every_command_and_option_of_api_health_that_the_pages_name_exists() {
    let mut seen = 0;
    for (name, page) in [("operations.md", OPERATIONS), ("cron.md", CRON)] {
        let prose: Vec<String> = page.split('`').skip(1).step_by(2).map(|code| format!("{code}\n")).collect();
        let code: Vec<String> =
            blocks(page).into_iter().filter(|b| !["prints", "mail"].contains(&&*b.marker)).map(|b| b.text).collect();
        for words in calls(&(code.concat() + &prose.concat())) {
            seen += 1;
            assert_eq!(fault(&words), None, "docs/{name}: api-health {}", words.join(" "));
        }
    }
    assert!(seen > 30, "{seen} calls found");
}

#[test]
fn a_command_that_is_not_there_is_found() {
    for (text, is_bad) in [
        ("api-health apis import a.toml --yes", false),
        ("DDB_STATE_TABLE=x api-health --settings a status --json", false),
        ("api-health apis import a.toml --force", true),
        ("x && api-health staus", true),
        ("(umask 077; as_daemon alerts redo)", true),
        ("*/2 * * * * api-health flock x /usr/bin/api-health run --twice", true),
    ] {
        let calls = calls(text);
        assert_eq!(calls.len(), 1, "{text}: {calls:?}");
        assert_eq!(fault(&calls[0]).is_some(), is_bad, "{text}");
    }
    assert!(calls("systemctl restart api-health").is_empty());
}
