//! Logs: readable on a terminal and in systemd's journal, JSON elsewhere or when asked for; always on standard error. No
//! secret is ever in one.
//!
//! In the journal (standard error is the socket that `JOURNAL_STREAM` names) `auto` is text: `journalctl` is read by people, and
//! brings fields of its own for those who are not. A line of text begins with its syslog priority there, as `<4>` for a
//! warning (sd-daemon(3)), which journald takes off again, so that `journalctl -p warning` finds warnings; it has no time,
//! since the journal has it. JSON that was asked for stays plain JSON.
//!
//! In the daemon a line goes through [`queue`], so that nobody waits for whoever reads the log, and past [`limit`].

mod limit;
mod queue;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::clock::since_boot;
use crate::settings::{LogFormat, LogSettings};
use limit::{LeftOut, Limiter};
use queue::Queue;

/// The longest line of the log. What grows with outside input is cut where it comes in; this holds for what was missed
/// there, and for what libraries say.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// How much is kept of each text in a JSON line that is too long: six of them stay below the bound, however they are escaped.
const CUT_TEXT_CHARS: usize = 1_000;

/// The fields that are kept of a JSON line that is too long.
const KEPT_FIELDS: [&str; 6] = ["timestamp", "level", "message", "target", "api_id", "source"];

/// Targets that are never heard: the SDK's search for credentials quotes what a credential process printed. What comes of the
/// search is told by [`crate::aws`] in words of its own. And the server of the page: its story is told by `app/web.rs`, and anybody
/// could make it say that a request was bad.
const NEVER_HEARD: [&str; 4] = ["aws_config", "aws_credential_types", "actix_http", "actix_server"];

/// At the end of the process, what is still to be written may take this long.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Where the daemon's lines go. A command that answers a person writes its few lines itself, and waits for its reader.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// What is logged, and can be changed.
static WANTED: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs by another level from now on; whether that could be.
pub fn set_level(level: &str) -> bool {
    let Ok(wanted) = EnvFilter::builder().with_regex(false).parse(level) else { return false };
    WANTED.get().is_some_and(|handle| handle.reload(wanted).is_ok())
}

/// Sets the log up for the whole process, and lets panics go through it.
///
/// Libraries are heard up to `debug` whatever the settings say: at `trace` some of them, the AWS SDK among them, write
/// whole requests and answers down, with whatever secrets they hold. A few are not heard at all.
///
/// A second call changes nothing.
pub fn start(settings: &LogSettings, colour: bool) {
    set_up(settings, colour, None);
}

/// The same for the daemon: it waits for no reader, and what all APIs have to say alike it says once.
pub fn start_daemon(settings: &LogSettings, colour: bool) {
    set_up(settings, colour, Some(Arc::default()));
}

fn set_up(settings: &LogSettings, colour: bool, limiter: Option<Arc<Limiter>>) {
    // The settings were checked; should the filter not parse anyway, say what matters.
    let wanted =
        EnvFilter::builder().with_regex(false).parse(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let (wanted, handle) = reload::Layer::new(wanted);
    let may_be_heard = filter_fn(|event| may_be_heard(*event.level(), event.target()));
    let is_journal = is_journal(io::stderr());
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal() && !is_journal,
    };
    let queue = limiter.clone().and_then(start_queue);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(LogWriter { json, with_priority: is_journal && !json, queue });
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else if is_journal {
        lines.with_ansi(colour).with_target(false).without_time().boxed()
    } else {
        lines.with_ansi(colour).with_target(false).boxed()
    };
    let limited = limiter.map(Limited);
    let started = tracing_subscriber::registry().with(wanted).with(may_be_heard).with(limited).with(lines).try_init();
    if started.is_ok() {
        let _ = WANTED.set(handle);
        std::panic::set_hook(Box::new(|panic| {
            // Without a backtrace: to find its symbols would hold up every actor on the thread. The text of a panic is
            // ours or a library's; no value of a config is formatted into one.
            let location = panic.location().map(ToString::to_string);
            tracing::error!(location, "panic: {}", panic.payload_as_str().unwrap_or("without a text"));
        }));
    }
}

/// Says a line of text on standard error, behind what was logged before; `false` where the log does not take it, since no daemon
/// speaks.
pub fn say(line: &str) -> bool {
    QUEUE.get().inspect(|queue| queue.push(format!("{line}\n").as_bytes())).is_some()
}

/// Gives what was logged a moment to be written, before the process ends.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_MAX);
    }
}

/// `None` where there is no thread or no descriptor for it: then whoever logs writes, and waits.
fn start_queue(limiter: Arc<Limiter>) -> Option<&'static Queue> {
    // Not by way of `io::stderr()`: whoever holds its lock holds up everybody else who would say something.
    let output = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
    let after = move |dropped| {
        if dropped > 0 {
            tracing::error!("{dropped} log lines were dropped: nobody read standard error");
        }
        for LeftOut { level, lines, message } in limiter.take_due(since_boot()) {
            if level == Level::ERROR {
                tracing::error!("and {lines} more such lines in the last minute: {message}");
            } else {
                tracing::warn!("and {lines} more such lines in the last minute: {message}");
            }
        }
    };
    let queue = Queue::start(output, after).ok()?;
    Some(&**QUEUE.get_or_init(|| queue))
}

/// Leaves out what the limiter has had enough of.
struct Limited(Arc<Limiter>);

impl<S: Subscriber> Layer<S> for Limited {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.allows(event, since_boot)
    }
}

/// Whether an output of this process goes into systemd's journal.
pub fn is_journal(stream: impl AsFd) -> bool {
    goes_to_journal(stream, std::env::var("JOURNAL_STREAM").ok().as_deref())
}

/// Whatever the settings say.
fn may_be_heard(level: Level, target: &str) -> bool {
    let of_crate = target.split("::").next().unwrap_or(target);
    !NEVER_HEARD.contains(&of_crate) && (level < Level::TRACE || of_crate.starts_with("api_health"))
}

/// Whether a stream is the one that systemd connected to its journal: `JOURNAL_STREAM` has its device and inode.
fn goes_to_journal(stream: impl AsFd, journal_stream: Option<&str>) -> bool {
    let named = journal_stream.and_then(|text| text.split_once(':'));
    let Some((device, inode)) = named.and_then(|(d, i)| Some((d.parse::<u64>().ok()?, i.parse::<u64>().ok()?))) else {
        return false;
    };
    rustix::fs::fstat(stream).is_ok_and(|stat| stat.st_dev == device && stat.st_ino == inode)
}

/// The syslog priority of a line, as sd-daemon(3) numbers them.
fn priority(level: Level) -> char {
    match level {
        Level::ERROR => '3',
        Level::WARN => '4',
        Level::INFO => '6',
        Level::DEBUG | Level::TRACE => '7',
    }
}

/// Makes the writer of each line, which knows its level.
struct LogWriter {
    json: bool,
    with_priority: bool,
    queue: Option<&'static Queue>,
}

/// Where a line goes.
enum Output {
    Queue(&'static Queue),
    Stderr,
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Self::Queue(queue) => queue.push(line),
            // At once, so that two threads do not write into each other's lines.
            Self::Stderr => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = LineWriter<Output>;

    fn make_writer(&'a self) -> Self::Writer {
        let output = self.queue.map_or(Output::Stderr, Output::Queue);
        LineWriter { output, json: self.json, priority: None }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        LineWriter { priority: self.with_priority.then(|| priority(*event.level())), ..self.make_writer() }
    }
}

/// Passes lines on, and cuts those that are longer than [`LINE_BYTES_MAX`]. Each write is one event, as the formatter makes
/// them.
struct LineWriter<W> {
    output: W,
    json: bool,
    /// Stands before each line: what follows a line break inside an event is not taken for an event of its own importance.
    priority: Option<char>,
}

impl<W: Write> Write for LineWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut written = match line.len() {
            0..=LINE_BYTES_MAX => Cow::Borrowed(line),
            _ if self.json => Cow::Owned(cut_json(line)),
            _ => Cow::Owned(cut_text(line)),
        };
        if let Some(priority) = self.priority {
            let lines = written.split_inclusive(|byte| *byte == b'\n');
            written = Cow::Owned(lines.flat_map(|line| [format!("<{priority}>").as_bytes(), line].concat()).collect());
        }
        self.output.write_all(&written)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

fn cut_text(line: &[u8]) -> Vec<u8> {
    // A character that is cut in two is as good as one that was never there.
    let kept = String::from_utf8_lossy(&line[..LINE_BYTES_MAX / 2]);
    format!("{}… ({} bytes in all)\n", kept.trim_end_matches('\u{fffd}'), line.len()).into_bytes()
}

fn cut_json(line: &[u8]) -> Vec<u8> {
    let all: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
    let mut kept: Map<String, Value> = KEPT_FIELDS
        .iter()
        .filter_map(|name| {
            let text = all.get(*name)?.as_str()?;
            Some(((*name).to_owned(), Value::from(text.chars().take(CUT_TEXT_CHARS).collect::<String>())))
        })
        .collect();
    kept.insert("cut_from_bytes".into(), line.len().into());
    format!("{}\n", Value::Object(kept)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(line: &str, json: bool) -> String {
        let mut lines = LineWriter { output: Vec::new(), json, priority: None };
        lines.write_all(line.as_bytes()).unwrap();
        String::from_utf8(lines.output).unwrap()
    }

    #[test]
    fn libraries_are_not_heard_at_trace_and_the_search_for_credentials_never() {
        assert!(
            may_be_heard(Level::TRACE, "api_health_actors::prober") && may_be_heard(Level::DEBUG, "rustls::client")
        );
        assert!(!may_be_heard(Level::TRACE, "rustls::client"));
        assert!(
            !may_be_heard(Level::ERROR, "aws_config") && !may_be_heard(Level::WARN, "aws_config::meta::credentials")
        );
    }

    #[test]
    fn in_the_journal_each_line_begins_with_its_priority() {
        let mut lines = LineWriter { output: Vec::new(), json: false, priority: Some(priority(Level::WARN)) };
        lines.write_all(b" WARN a\n<0>b\n").unwrap();
        lines.write_all(" WARN ".repeat(LINE_BYTES_MAX).as_bytes()).unwrap();
        let text = String::from_utf8(lines.output).unwrap();
        assert!(text.starts_with("<4> WARN a\n<4><0>b\n<4> WARN "), "{}", &text[..50]);
        assert!(text.ends_with("bytes in all)\n") && text.len() < LINE_BYTES_MAX);
        assert_eq!([Level::ERROR, Level::INFO, Level::DEBUG, Level::TRACE].map(priority), ['3', '6', '7', '7']);
    }

    #[test]
    fn the_journal_is_known_by_the_device_and_inode_of_the_stream() {
        let file = tempfile::tempfile().unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        let is = |text: &str| goes_to_journal(&file, Some(text));
        assert!(is(&format!("{}:{}", stat.st_dev, stat.st_ino)));
        assert!(!is(&format!("{}:{}", stat.st_dev, stat.st_ino + 1)), "started by one whose log goes there");
        assert!(!is("") && !is("a:b") && !goes_to_journal(&file, None));
    }

    #[test]
    fn a_line_of_the_log_is_bounded_and_stays_one_line() {
        let short = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(written(&short, false), short);
        let text = written(&format!("{}\n", "ü".repeat(LINE_BYTES_MAX)), false);
        assert!(text.len() < LINE_BYTES_MAX && text.ends_with("… (131073 bytes in all)\n"), "{}", text.len());
        // Each character takes six in JSON.
        let dear = "\u{1}".repeat(LINE_BYTES_MAX);
        let line =
            serde_json::json!({ "level": "ERROR", "message": dear, "api_id": dear, "source": dear, "other": dear });
        let json = written(&format!("{line}\n"), true);
        assert!(json.len() < LINE_BYTES_MAX, "{}", json.len());
        assert_eq!(json.find('\n'), Some(json.len() - 1));
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((read["level"].as_str(), read["message"].as_str()), (Some("ERROR"), Some(&*"\u{1}".repeat(1_000))));
        assert_eq!(read["cut_from_bytes"], line.to_string().len() + 1);
    }
}
