//! Standard output, as the commands see it: what it can show, and how a reader that goes away is taken. Nothing leaves by it that
//! could move a cursor or turn the text round, whoever it came from, and on a terminal lines break between words.
//!
//! A pipe whose reader has gone (`api-health status | head -1`) is no fault: what is written after that goes nowhere, and
//! the command ends with the exit code that it would have had.

use std::cell::Cell;
use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use api_health_core::text;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::wrap;
use crate::app::AppError;
use crate::{environment, telemetry};

/// What is well.
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
/// What is not.
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What may be either.
pub(super) const DOUBT: Style = AnsiColor::Yellow.on_default();
/// What matters less.
pub(super) const DIM: Style = Style::new().dimmed();
/// Titles.
pub(super) const STRONG: Style = Style::new().bold();
/// As it is.
pub(super) const PLAIN: Style = Style::new();

/// What is fewer than this is over too soon for a progress bar.
const PROGRESS_FROM: usize = 50;

/// The narrowest terminal that anything is made to fit.
const COLUMNS_MIN: usize = 16;

/// When something is done that depends on where the output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal that has colours, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Standard output.
pub(super) struct Out {
    /// Whether it gets colour.
    pub(super) colour: bool,
    terminal: bool,
    /// Whether it is a terminal that shows more than ASCII. A pipe and a dumb terminal get ASCII pictures.
    pub(super) unicode: bool,
    /// The columns of the terminal; `None` where it is none, and nothing is cut.
    pub(super) columns: Option<usize>,
    closed: Cell<bool>,
}

impl Out {
    /// Standard output of this process.
    pub(super) fn new(when: When) -> Self {
        let stdout = std::io::stdout();
        let terminal = stdout.is_terminal();
        Self {
            colour: colour(when, &stdout),
            terminal,
            unicode: terminal && is_no_dumb_terminal() && locale_is_utf8(),
            columns: columns(&stdout),
            closed: Cell::new(false),
        }
    }

    #[cfg(test)]
    pub(super) fn of_test(unicode: bool, columns: Option<usize>) -> Self {
        Self { colour: false, terminal: unicode, unicode, columns, closed: Cell::new(false) }
    }

    /// Writes lines for people: broken between words where the terminal is narrower, and with nothing in them that steers but
    /// colours of ours.
    ///
    /// # Errors
    /// What keeps them from being written; but not that the reader has gone, see [`Out::closed`].
    pub(super) fn print(&self, text: &str) -> Result<(), AppError> {
        let safe = if self.colour { but_colours(text) } else { text::lines(text).into_owned() };
        self.write(&self.columns.map_or_else(|| safe.clone(), |columns| wrap::lines(&safe, columns)))
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Makes a terminal empty, and begins at its top; one that cannot is given a line that parts what comes from what was.
    ///
    /// # Errors
    /// As [`Out::print`].
    pub(super) fn clear(&self) -> Result<(), AppError> {
        match (self.terminal, is_no_dumb_terminal()) {
            (true, true) => self.write("\u{1b}[H\u{1b}[2J"),
            (true, false) => self.write("\n"),
            (false, _) => Ok(()),
        }
    }

    /// Writes what a program is to read, byte by byte; on a terminal as [`Out::print`] does.
    ///
    /// # Errors
    /// As [`Out::print`].
    pub(super) fn data(&self, text: &str) -> Result<(), AppError> {
        if self.terminal { self.write(&text::lines(text)) } else { self.write(text) }
    }

    fn write(&self, text: &str) -> Result<(), AppError> {
        if self.closed.get() {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed.set(true);
                Ok(())
            }
            Err(error) => Err(AppError::Unavailable(format!("standard output: cannot be written to: {error}"))),
        }
    }

    /// Writes one JSON value, indented, and a newline.
    ///
    /// # Errors
    /// As [`Out::print`].
    pub(super) fn json(&self, value: &Value) -> Result<(), AppError> {
        self.write(&text::json(&format!("{value:#}\n")))
    }

    /// Whether the reader has gone.
    pub(super) fn closed(&self) -> bool {
        self.closed.get()
    }

    /// `text` in a style, where there is colour.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && style != PLAIN { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// What a cut text ends in.
    pub(super) fn ellipsis(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }
}

/// Says something on standard error that is not the answer. Nobody may be there to read it.
pub(super) fn note(text: &str) {
    let (stderr, safe) = (std::io::stderr(), text::lines(text));
    let shown = columns(&stderr).map_or_else(|| safe.clone().into_owned(), |columns| wrap::lines(&safe, columns));
    if !telemetry::say(&shown) {
        let _ = writeln!(std::io::stderr(), "{shown}");
    }
}

/// Whether somebody watches standard error on a terminal on which a line can be written over.
pub(super) fn shows_progress() -> bool {
    std::io::stderr().is_terminal() && is_no_dumb_terminal()
}

/// A bar for so many of something; one that is not seen, where nobody watches or they are over too soon.
pub(super) fn progress_bar(what: &str, total: usize) -> ProgressBar {
    if total < PROGRESS_FROM || !shows_progress() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template(&format!("{what} {{bar:40}} {{pos}}/{{len}}")) {
        bar.set_style(style);
    }
    bar
}

fn is_no_dumb_terminal() -> bool {
    environment::look("TERM").is_some_and(|term| !matches!(term.as_str(), "" | "dumb"))
}

/// Whether a stream should get colour.
pub(super) fn colour(when: When, stream: &impl IsTerminal) -> bool {
    let no_colour = || environment::look("NO_COLOR").is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => stream.is_terminal() && is_no_dumb_terminal() && !no_colour(),
    }
}

/// Says what the reader of the command line has to say: a help text that was asked for, or a fault. What `--color` stands beside it
/// is found here, since nobody else has read it. A reader that has gone does not care.
pub(super) fn say(answer: &clap::Error) {
    let words: Vec<_> = std::env::args_os().filter_map(|word| word.into_string().ok()).collect();
    let values =
        words.iter().zip(words.iter().skip(1)).filter(|(name, _)| *name == "--color").map(|(_, value)| &**value);
    let asked = values.chain(words.iter().filter_map(|word| word.strip_prefix("--color="))).last();
    let when = asked.and_then(|value| When::from_str(value, false).ok()).unwrap_or(When::Auto);
    let text = |in_colour: bool| match answer.render() {
        text if in_colour => text.ansi().to_string(),
        text => text.to_string(),
    };
    let (mut stdout, mut stderr) = (std::io::stdout(), std::io::stderr());
    let _ = match answer.use_stderr() {
        true => stderr.write_all(text(colour(when, &stderr)).as_bytes()),
        false => stdout.write_all(text(colour(when, &stdout)).as_bytes()),
    };
}

/// The columns of a terminal.
fn columns(stream: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0).map(|columns| columns.max(COLUMNS_MIN))
}

/// `text` with nothing in it that steers but colours.
fn but_colours(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        shown.push_str(&text::lines(&rest[..at]));
        // One that is no colour is one character that steers.
        let length = wrap::colour_at(&rest[at..]).unwrap_or(1);
        let part = &rest[at..at + length];
        shown.push_str(&if length > 1 { part.into() } else { text::lines(part) });
        rest = &rest[at + length..];
    }
    shown + &text::lines(rest)
}

/// What the locale says of the terminal's alphabet; the first variable that is set decides (POSIX, section 8.2).
fn locale_is_utf8() -> bool {
    let set = |name| environment::look(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_ours_stay_and_nothing_else_steers() {
        let painted = format!("{BAD}DOWN{BAD:#} a\u{202e}b\u{1b}[2J\u{1b}]0;t\u{7}\n");
        let shown = but_colours(&painted);
        assert_eq!(shown, format!("{BAD}DOWN{BAD:#} a\u{fffd}b\u{fffd}[2J\u{fffd}]0;t\u{fffd}\n"));
        assert_eq!(but_colours("\u{1b}"), "\u{fffd}");
    }
}
