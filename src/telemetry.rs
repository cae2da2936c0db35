//! Logs: readable on a terminal, JSON elsewhere or when asked for; always on standard error. No secret is ever in one.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::settings::{LogFormat, LogSettings};

/// Sets the log up for the whole process, and lets panics go through it.
///
/// A second call changes nothing.
pub fn start(settings: &LogSettings, colour: bool) {
    // The settings were checked; should the filter not parse all the same, say what matters.
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stderr().is_terminal(),
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    let started = if json {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        builder.with_ansi(colour).with_target(false).try_init()
    };
    if started.is_ok() {
        std::panic::set_hook(Box::new(|panic| {
            // Without a backtrace: to find its symbols would hold up every actor on the thread. The text of a panic is
            // ours or a library's; no value of a config is formatted into one.
            let location = panic.location().map(ToString::to_string);
            tracing::error!(location, "panic: {}", panic.payload_as_str().unwrap_or("without a text"));
        }));
    }
}
