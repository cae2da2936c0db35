//! Formats values for people: spans, moments, and ASCII where a channel takes nothing else.

use std::fmt::Write as _;
use std::time::Duration;

use api_health_core::{Timestamp, text};
use deunicode::deunicode_with_tofu;

/// `text` as one line of at most `chars_max` printable ASCII characters; other letters are written in Latin ones, and
/// what has no likeness there becomes `?`. A cut ends in `...`.
pub(super) fn ascii(text: &str, chars_max: usize) -> String {
    let plain = deunicode_with_tofu(&text::line(text, chars_max.saturating_add(1)), "?");
    let printable = plain.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' });
    cut_ascii(squeeze(printable), chars_max)
}

/// `text`, which is ASCII, cut to `chars_max` characters with `...` at the end of a cut.
pub(super) fn cut_ascii(mut text: String, chars_max: usize) -> String {
    if text.len() > chars_max {
        text.truncate(chars_max.saturating_sub(3));
        text.truncate(text.trim_end().len());
        text.push_str("...");
    }
    text
}

/// The two largest units that are not zero: `4 min 10 s`, `3 d 2 h`, `45 s`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [("d", seconds / 86_400), ("h", seconds / 3_600 % 24), ("min", seconds / 60 % 60), ("s", seconds % 60)];
    match units.iter().position(|(_, count)| *count > 0) {
        None => "less than 1 s".into(),
        Some(first) => {
            let of_two = units[first..].iter().take(2).filter(|(_, count)| *count > 0);
            of_two.map(|(unit, count)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Milliseconds as people read them: `0.4 ms`, `87 ms`, `2.31 s`.
pub(crate) fn millis(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1_000.0;
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 9_999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.2} s", span.as_secs_f64())
    }
}

/// A point in time as people read it: `2026-11-22 07:30:00 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('T') {
        // A time beyond the year 9999 has no such form, and is shown as it is.
        Some((day, time)) if text.is_ascii() && time.len() >= 8 => format!("{day} {} UTC", &time[..8]),
        _ => text,
    }
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

fn squeeze(chars: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    for c in chars {
        if c != ' ' || !(line.is_empty() || line.ends_with(' ')) {
            line.push(c);
        }
    }
    line.truncate(line.trim_end_matches(' ').len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, words) in [
            (0, "less than 1 s"),
            (45, "45 s"),
            (60, "1 min"),
            (250, "4 min 10 s"),
            (3_600, "1 h"),
            (3_660, "1 h 1 min"),
            (3_601, "1 h"),
            (3 * 86_400 + 2 * 3_600 + 59, "3 d 2 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
        assert!(!span(Duration::MAX).is_empty());
    }

    #[test]
    fn moments_read_well_and_never_panic() {
        assert_eq!(moment(Timestamp::from_millis(1_795_332_600_250)), "2026-11-22 07:30:00 UTC");
        for end in [i64::MIN, i64::MAX] {
            assert!(moment(Timestamp::from_millis(end)).contains("ms after 1970"));
        }
    }

    #[test]
    fn other_letters_are_written_in_latin_ones() {
        assert_eq!(ascii("Größe 北京 Ω", 100), "Grosse Bei Jing O");
        assert_eq!(ascii("a\u{202e}b\u{1b}[31m\r\nc", 100), "a?b?[31m c");
        assert_eq!(ascii("abcdefgh", 7), "abcd...");
    }

    proptest! {
        #[test]
        fn lines_keep_their_bounds(text in "(\\PC|\\pC|\\pM){0,80}", chars_max in 4_usize..60) {
            let plain = ascii(&text, chars_max);
            prop_assert!(plain.len() <= chars_max);
            prop_assert!(plain.bytes().all(|b| (b' '..=b'~').contains(&b)), "{plain:?}");
        }
    }
}
