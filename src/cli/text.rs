//! Small words: spans, moments, names, as the commands print them.

use std::time::Duration;

pub(super) use api_health_core::words::{count, millis, number, span};
use api_health_core::{Schedule, Timestamp, text};

/// The longest line of foreign text that is printed.
const LINE_CHARS_MAX: usize = 400;

/// Foreign text (a name, a URL, an answer's words) as one line that cannot move a cursor.
pub(super) fn line(text: &str) -> String {
    text::line(text, LINE_CHARS_MAX)
}

/// A span that nothing exceeds, rounded up to what its two units show: one hour and 25 s is `1 h 1 min`.
pub(super) fn at_most(most: Duration) -> String {
    let shown = match most.as_secs() {
        86_400.. => 3_600,
        3_600.. => 60,
        _ => 1,
    };
    let seconds = most.as_secs() + u64::from(most.subsec_nanos() > 0);
    span(Duration::from_secs(seconds.div_ceil(shown).saturating_mul(shown)))
}

/// How long ago: `3 h 12 min ago`, `now`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.since(then) {
        since if since < Duration::from_secs(1) => "now".into(),
        since => format!("{} ago", span(since)),
    }
}

/// `every 30 s`, `at */2 * * * * UTC`.
pub(super) fn schedule(schedule: &Schedule) -> String {
    let text = schedule.to_string();
    if text.starts_with("every ") { text } else { format!("at {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(millis(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(millis(Duration::from_millis(87)), "87 ms");
        assert_eq!(millis(Duration::from_millis(12_310)), "12.31 s");
        let then = Timestamp::from_millis(0);
        assert_eq!(ago(then, Timestamp::from_millis(11_520_000)), "3 h 12 min ago");
        assert_eq!(ago(Timestamp::from_millis(5_000), then), "now", "the clock was set back");
        for (seconds, words) in
            [(85, "1 min 25 s"), (3_625, "1 h 1 min"), (3_600, "1 h"), (86_399, "1 d"), (2_592_061, "30 d 1 h")]
        {
            assert_eq!(at_most(Duration::from_secs(seconds)), words);
        }
    }
}
