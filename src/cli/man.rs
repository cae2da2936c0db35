//! `man`: one page for everything, made from the same definitions as the help.

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::args::Cli;
use crate::exit::Exit;

/// The environment that is read, beside what every AWS SDK reads.
const ENVIRONMENT: [(&str, &str); 17] = [
    ("AWS_REGION", "The region of the tables; a topic's is in its ARN."),
    ("APP_ENVIRONMENT", "The name of this deployment; it stands in every alert."),
    ("DDB_CONFIG_TABLE", "The DynamoDB table of configs; naming it, or the next, chooses DynamoDB."),
    ("DDB_STATE_TABLE", "The DynamoDB table of states."),
    ("DDB_HISTORY_TABLE", "The DynamoDB table of history."),
    ("SNS_TOPIC_ARN", "The topic that alerts go to."),
    ("AWS_ENDPOINT_URL", "An emulator in the place of AWS; also AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL_SNS."),
    ("STATE_DIRECTORY", "Where api-health.db is kept, as systemd sets it."),
    ("CREDENTIALS_DIRECTORY", "Where ${credential:NAME} is read, as systemd sets it."),
    ("NOTIFY_SOCKET", "Where `run` tells systemd that it is ready and what it does, as systemd sets it."),
    ("WATCHDOG_USEC, WATCHDOG_PID", "That `run` is to tell systemd again and again that probing makes progress."),
    ("JOURNAL_STREAM", "Whether standard error goes to systemd's journal: the log is text with priorities then."),
    ("VISUAL, EDITOR", "What `apis edit` opens a row in; vi without them."),
    ("NO_COLOR", "Set to anything: no colour, unless --color always says so."),
    ("LC_ALL, LC_CTYPE, LANG", "Whether pictures on a terminal may be drawn with more than ASCII."),
    ("TMPDIR", "Where drafts of `apis edit` and the store of `demo` are, while they last."),
    ("any other", "A header or body with ${env:NAME} is filled in from NAME when `run` or `probe` reads it."),
];

const FILES: [(&str, &str); 3] = [
    ("./api-health.toml", "Settings, unless --settings names another file."),
    (
        "./api-health.db",
        "States and configs, unless the settings choose another store. SQLite keeps two files beside it.",
    ),
    ("apis.toml", "A file of [[api]] tables, where [apis] file in the settings names it."),
];

const SIGNALS: [(&str, &str); 2] = [
    (
        "SIGTERM, SIGINT",
        "run: no new probes, those under way finished or cut at a deadline, everything stored, exit 0. A second one ends it at once.",
    ),
    ("SIGHUP", "run: the configs are read again now."),
];

/// The page.
///
/// # Errors
/// None in practice: it is written into memory.
pub(super) fn page() -> std::io::Result<String> {
    let mut command = Cli::command();
    command.build();
    let mut page: Vec<u8> = Vec::new();
    let man = Man::new(command.clone()).manual("api-health");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;

    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for sub in command.get_subcommands() {
        describe(&mut roff, sub);
    }
    roff.control("SH", ["EXIT STATUS"]);
    list(&mut roff, Exit::TABLE.map(|(exit, meaning)| (exit.code().to_string(), meaning.to_owned())));
    roff.control("SH", ["ENVIRONMENT"]);
    list(&mut roff, ENVIRONMENT.map(|(name, meaning)| (name.to_owned(), meaning.to_owned())));
    roff.control("SH", ["FILES"]);
    list(&mut roff, FILES.map(|(name, meaning)| (name.to_owned(), meaning.to_owned())));
    roff.control("SH", ["SIGNALS"]);
    list(&mut roff, SIGNALS.map(|(name, meaning)| (name.to_owned(), meaning.to_owned())));
    roff.control("SH", ["EXAMPLES"]);
    verbatim(&mut roff, super::help::EXAMPLES);
    roff.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// One command and those below it, each with its usage, its options and its examples.
fn describe(roff: &mut Roff, command: &clap::Command) {
    let subs: Vec<&clap::Command> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    if command.get_name() == "help" {
        return;
    }
    if subs.is_empty() {
        let mut usage = command.clone();
        let usage = usage.render_usage().to_string();
        roff.control("SS", [usage.trim_start_matches("Usage: ")]);
        if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
            roff.text([roman(sentence(&about.to_string()))]);
        }
        let own =
            command.get_arguments().filter(|arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help");
        list(roff, own.map(|arg| (arg.to_string(), arg.get_help().map(ToString::to_string).unwrap_or_default())));
        if let Some(after) = command.get_after_help() {
            verbatim(roff, &after.to_string());
        }
    }
    for sub in subs {
        describe(roff, sub);
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', ')']) { text.to_owned() } else { format!("{text}.") }
}

/// Terms and what they mean.
fn list(roff: &mut Roff, items: impl IntoIterator<Item = (String, String)>) {
    for (term, meaning) in items {
        roff.control("TP", []);
        let term: Inline = if term.starts_with(['<', '[']) { italic(term) } else { bold(term) };
        roff.text([term]);
        roff.text([roman(sentence(&meaning))]);
    }
}

/// Lines as they are.
fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}
