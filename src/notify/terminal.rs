//! The terminal: one block of lines for each alert, in colour where the caller says so.
//!
//! The terminal takes an alert over when its block is written and flushed. An output can stall without end (a paused
//! terminal, a pipe that nobody reads), so a thread of its own does the writing, and a call waits for it no longer than
//! [`WRITE_TIMEOUT`]. A closed pipe is permanent: nobody will read this output again, so a person must start the
//! program with another, and until then the alert stays owed.
//!
//! In systemd's journal each line begins with its syslog priority, as lines of the log do (`telemetry`): an outage is found
//! by `journalctl -p warning`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use api_health_actors::ports::{Clock, Notifier, NotifierOfMany, NotifyError};
use api_health_core::{Alert, AlertKind};
use futures_util::future::LocalBoxFuture;
use tokio::sync::oneshot;

use super::digest::Digest;
use super::message::Message;

/// Bound on writing one block.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

const DOWN: Style = AnsiColor::Red.on_default().bold();
const UP: Style = AnsiColor::Green.on_default().bold();
const CLOSED: Style = Style::new().bold();
const LABEL: Style = Style::new().dimmed();

/// The most blocks that wait to be written: as many alerts as go out side by side, and some.
pub const BLOCKS_WAITING_MAX: usize = 64;

/// A block to write, and where to say what came of it.
type Job = (String, oneshot::Sender<io::Result<()>>);
/// What came of a block, once that is known.
type Written = oneshot::Receiver<io::Result<()>>;

/// Writes to a terminal, or to whatever stands in its place.
pub struct TerminalNotifier {
    jobs: SyncSender<Job>,
    /// By the id of the alert or digest, the blocks that a call gave up on and that may be written yet: they are not written twice.
    given_up: Mutex<HashMap<String, Written>>,
    environment: String,
    colour: bool,
    is_journal: bool,
    clock: Arc<dyn Clock>,
}

impl TerminalNotifier {
    /// `writer` is standard output in production. `colour` is the caller's to decide: whether it is a terminal, and
    /// whether `NO_COLOR` is set.
    ///
    /// # Errors
    /// When this machine has no thread to give.
    pub fn new(
        writer: impl Write + Send + 'static,
        environment: String,
        colour: bool,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel(BLOCKS_WAITING_MAX);
        std::thread::Builder::new().name("alerts-terminal".into()).spawn(move || write_all(writer, &inbox))?;
        Ok(Self { jobs, given_up: Mutex::default(), environment, colour, is_journal: false, clock })
    }

    /// Whether the output is systemd's journal, which takes a priority off each line.
    #[must_use]
    pub fn with_priorities(self, is_journal: bool) -> Self {
        Self { is_journal, ..self }
    }

    fn block(&self, alert: &Alert) -> String {
        let message = Message::new(alert, &self.environment, self.clock.now());
        let style = match alert.kind {
            AlertKind::Down | AlertKind::Flapping | AlertKind::Reminder => DOWN,
            AlertKind::Up => UP,
            AlertKind::Closed => CLOSED,
        };
        let mut block = format!("{}\n", self.paint(style, &message.line()));
        // What is down and why is in the first line already.
        for (label, value) in message.facts().iter().filter(|(label, _)| !matches!(*label, "What" | "Why")) {
            block.push_str(&format!("  {} {value}\n", self.paint(LABEL, &format!("{label:<11}"))));
        }
        if self.is_journal { with_priority(&block, alert.kind) } else { block }
    }

    fn block_of_many(&self, alerts: &[Arc<Alert>], digest: Digest<'_>) -> String {
        let outage = alerts.iter().find(|alert| alert.kind.starts_incident());
        let style = if outage.is_some() { DOWN } else { UP };
        let mut block = format!("{}\n", self.paint(style, &digest.line()));
        for line in digest.lines() {
            block.push_str(&format!("  {line}\n"));
        }
        for (label, value) in digest.facts() {
            block.push_str(&format!("  {} {value}\n", self.paint(LABEL, &format!("{label:<11}"))));
        }
        let kind = outage.map_or(AlertKind::Up, |alert| alert.kind);
        if self.is_journal { with_priority(&block, kind) } else { block }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn given_up(&self) -> MutexGuard<'_, HashMap<String, Written>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the block to the thread, unless it is there already.
    fn hand_over(&self, id: &str, block: impl FnOnce() -> String) -> Result<Written, NotifyError> {
        if let Some(written) = self.given_up().remove(id) {
            return Ok(written);
        }
        let (tell, written) = oneshot::channel();
        match self.jobs.try_send((block(), tell)) {
            Ok(()) => Ok(written),
            Err(TrySendError::Full(_)) => Err(stalled()),
            Err(TrySendError::Disconnected(_)) => Err(thread_gone()),
        }
    }

    async fn write(&self, id: String, block: impl FnOnce() -> String) -> Result<(), NotifyError> {
        let mut written = self.hand_over(&id, block)?;
        match tokio::time::timeout(WRITE_TIMEOUT, &mut written).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(failed(&error)),
            Ok(Err(_)) => Err(thread_gone()),
            Err(_) => {
                self.give_up(id, written);
                Err(stalled())
            }
        }
    }

    /// Remembers a block that may be written yet.
    fn give_up(&self, id: String, written: Written) {
        let mut given_up = self.given_up();
        if given_up.len() > BLOCKS_WAITING_MAX {
            given_up.retain(|_, written| written.is_empty()); // those that still wait are as few as the queue is long
        }
        given_up.insert(id, written);
    }
}

impl Notifier for TerminalNotifier {
    fn channel(&self) -> &str {
        "terminal"
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move { self.write(alert.alert_id.clone(), || self.block(&alert)).await })
    }

    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        Some(self)
    }
}

impl NotifierOfMany for TerminalNotifier {
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move {
            let digest = Digest::new(&alerts, &self.environment, self.clock.now());
            self.write(digest.id(), || self.block_of_many(&alerts, digest)).await
        })
    }
}

/// Puts the priority before each line, as sd-daemon(3) has it: 4 is a warning, 5 a notice. An API of which there is news is no
/// fault of the daemon's, so none is an error.
fn with_priority(block: &str, kind: AlertKind) -> String {
    let priority = match kind {
        AlertKind::Down | AlertKind::Flapping | AlertKind::Reminder => "<4>",
        AlertKind::Up | AlertKind::Closed => "<5>",
    };
    block.split_inclusive('\n').flat_map(|line| [priority, line]).collect()
}

/// The thread: it ends with the notifier.
fn write_all(mut writer: impl Write, inbox: &Receiver<Job>) {
    while let Ok((block, tell)) = inbox.recv() {
        let result = writer.write_all(block.as_bytes()).and_then(|()| writer.flush());
        let _ = tell.send(result); // nobody is waiting: the notifier is gone
    }
}

fn failed(error: &io::Error) -> NotifyError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return NotifyError::Permanent {
            reason: "the output that alerts are written to is closed".into(),
            remedy: "start api-health again with an open output, or choose another channel under [notify]".into(),
        };
    }
    NotifyError::Retryable {
        reason: format!("the alert could not be written to the terminal: {}", error.kind()),
        after: None,
    }
}

fn stalled() -> NotifyError {
    let seconds = WRITE_TIMEOUT.as_secs();
    NotifyError::Retryable {
        reason: format!("the terminal has taken nothing for {seconds} s: it may be paused"),
        after: None,
    }
}

fn thread_gone() -> NotifyError {
    NotifyError::Permanent {
        reason: "the thread that writes alerts to the terminal has ended".into(),
        remedy: "start api-health again, and report this as a fault of api-health".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_journal_an_outage_is_a_warning_and_its_end_a_notice_in_each_line() {
        let block = "DOWN shop\n  URL  https://example.com/\n";
        assert_eq!(with_priority(block, AlertKind::Down), "<4>DOWN shop\n<4>  URL  https://example.com/\n");
        assert_eq!(with_priority("UP shop\n", AlertKind::Up), "<5>UP shop\n");
        assert_eq!(with_priority("CLOSED shop\n", AlertKind::Closed), "<5>CLOSED shop\n");
    }
}
