//! Numbers, spans and moments in the words that people read, the same in alerts, commands and pages.

use std::fmt::Display;
use std::time::Duration;

use crate::time::Timestamp;

/// A whole number with a comma before each three digits: `1,234,567`.
pub fn number(n: impl Display) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 API`, `1,000 APIs`.
pub fn count(n: usize, one: &str) -> String {
    format!("{} {one}{}", number(n), if n == 1 { "" } else { "s" })
}

/// The two largest units that are not zero: `4 min 10 s`, `3 d 2 h`, `45 s`.
pub fn span(span: Duration) -> String {
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
pub fn millis(span: Duration) -> String {
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
pub fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('T') {
        // A time beyond the year 9999 has no such form, and is shown as it is.
        Some((day, time)) if text.is_ascii() && time.len() >= 8 => format!("{day} {} UTC", &time[..8]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (n, words) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(n), words);
        }
        assert_eq!((count(1, "API"), count(2_000, "API")), ("1 API".into(), "2,000 APIs".into()));
    }

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
}
