//! How much patience a server asks for.

use std::time::{Duration, UNIX_EPOCH};

use api_health_core::Timestamp;

/// The most patience that a server can ask for with `retry-after`.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What a `retry-after` of `value` asks for at `now`, at most [`RETRY_AFTER_MAX`]: seconds, or the date to wait for, in each
/// of the three forms of RFC 9110. A date that has passed asks for nothing; what is neither is ignored.
pub(crate) fn retry_after(value: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let asked = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds ask for more than the bound.
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Timestamp::from_millis(i64::try_from(date.as_millis()).ok()?).since(now)
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_bounded_and_nonsense_ignored() {
        let now = Timestamp::parse("2026-11-22T07:30:06Z").unwrap();
        for (value, after) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("3601", Some(3_600)),
            ("99999999999999999999999999", Some(3_600)),
            ("-1", None),
            ("", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
            // The form to write, and the two old ones to read.
            ("Sun, 22 Nov 2026 07:30:36 GMT", Some(30)),
            (" Sunday, 22-Nov-26 07:30:36 GMT", Some(30)),
            ("Sun Nov 22 07:30:36 2026", Some(30)),
            ("Sun, 22 Nov 2026 07:30:00 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Mon, 23 Nov 2026 07:30:00 GMT", Some(3_600)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3_600)),
            ("Sun, 31 Feb 2026 07:30:00 GMT", None),
            ("Sun, 22 Nov 2026 07:30:36 CET", None),
            ("2026-11-22T07:30:36Z", None),
        ] {
            assert_eq!(retry_after(value.as_bytes(), now), after.map(Duration::from_secs), "{value:?}");
        }
        assert_eq!(retry_after(b"\xff", now), None);
        for end in [i64::MIN, i64::MAX] {
            assert!(retry_after(b"Sun, 22 Nov 2026 07:30:00 GMT", Timestamp::from_millis(end)).is_some());
        }
    }
}
