//! Spans of time as a person writes them: `30m`, `2h`, `1d 12h`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400), ("h", 3_600), ("min", 60), ("m", 60), ("s", 1)];

/// A span of at least a second; `None`: it is none. Each unit comes once at most, the longest first.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds, mut shortest) = (text.trim(), 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let (unit, of) = UNITS.iter().find(|(unit, of)| rest.starts_with(unit) && *of < shortest)?;
        rest = rest[unit.len()..].trim_start();
        shortest = *of;
        seconds = seconds.checked_add(number.checked_mul(*of)?)?;
    }
    (seconds > 0).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let seconds = |text| parse(text).map(|span| span.as_secs());
        for (text, expected) in
            [("30m", 1_800), ("90s", 90), ("2h", 7_200), ("1d 12h", 129_600), ("1h30min", 5_400), (" 5 m ", 300)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in
            ["", "0m", "5", "m", "-5m", "5m 2h", "5m5m", "1.5h", "99999999999999999999d", "18446744073709551615d"]
        {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
