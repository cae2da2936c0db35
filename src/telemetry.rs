//! Logs: readable on a terminal, JSON elsewhere or when asked for; always on standard error. No secret is ever in one.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::{LogFormat, LogSettings};

/// Sets the log up for the whole process, and lets panics go through it.
///
/// Libraries are heard up to `debug` whatever the settings say: at `trace` some of them, the AWS SDK among them, write
/// whole requests and answers down, with whatever secrets they hold.
///
/// A second call changes nothing.
pub fn start(settings: &LogSettings, colour: bool) {
    // The settings were checked; should the filter not parse all the same, say what matters.
    let wanted = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let no_foreign_trace = filter_fn(|event| *event.level() < Level::TRACE || event.target().starts_with("api_health"));
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.with_ansi(colour).with_target(false).boxed()
    };
    let started = tracing_subscriber::registry().with(wanted).with(no_foreign_trace).with(lines).try_init();
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            // Without a backtrace: to find its symbols would hold up every actor on the thread. The text of a panic is
            // ours or a library's; no value of a config is formatted into one.
            let location = panic.location().map(ToString::to_string);
            tracing::error!(location, "panic: {}", panic.payload_as_str().unwrap_or("without a text"));
        }));
    }
}
