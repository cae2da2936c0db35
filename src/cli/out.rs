//! Standard output, as the commands see it: what it can show, and how a reader that goes away is taken.
//!
//! A pipe whose reader has gone (`api-health status | head -1`) is no fault: what is written after that goes nowhere, and
//! the command ends with the exit code that it would have had.

use std::cell::Cell;
use std::io::{ErrorKind, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

use super::args::When;
use crate::app::AppError;
use crate::telemetry;

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

/// The narrowest terminal that tables are cut for.
const COLUMNS_MIN: usize = 40;

/// Standard output.
pub(super) struct Out {
    /// Whether it gets colour.
    pub(super) colour: bool,
    /// Whether it is a terminal that shows more than ASCII. A pipe gets ASCII pictures.
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
        let columns = terminal
            .then(|| rustix::termios::tcgetwinsize(&stdout).ok())
            .flatten()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0)
            .map(|columns| columns.max(COLUMNS_MIN));
        Self {
            colour: super::colour(when, &stdout),
            unicode: terminal && locale_is_utf8(),
            columns,
            closed: Cell::new(false),
        }
    }

    /// Writes `text` as it is.
    ///
    /// # Errors
    /// What keeps it from being written; but not that the reader has gone, see [`Out::closed`].
    pub(super) fn print(&self, text: &str) -> Result<(), AppError> {
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
        self.print(&format!("{value:#}\n"))
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
    if !telemetry::say(text) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

/// What the locale says of the terminal's alphabet; the first variable that is set decides (POSIX, section 8.2).
fn locale_is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
