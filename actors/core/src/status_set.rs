//! `expected_status`: which HTTP status codes count as a pass, as people write them (`2xx`, `200-299,301,404`).

use std::fmt;
use std::sync::Arc;

/// A set of HTTP status codes from 100 to 999: RFC 9110 names those to 599, and servers send others too. Copies share what is in it:
/// most rows expect what is set for all.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StatusSet(Arc<Parts>);

#[derive(PartialEq, Eq, Hash)]
struct Parts {
    text: Box<str>,
    ranges: Box<[(u16, u16)]>,
}

impl StatusSet {
    /// The most parts that one set may have; a longer list is a mistake, and this bounds what a row can cost.
    pub const PARTS_MAX: usize = 50;

    /// Parses a comma-separated list of codes (`200`), classes (`2xx`) and ranges (`200-299`).
    ///
    /// # Errors
    /// Says in plain words which part is wrong and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        if parts.len() > Self::PARTS_MAX {
            return Err(format!("has {} parts, more than {}", parts.len(), Self::PARTS_MAX));
        }
        let ranges = parts.iter().map(|part| parse_part(part)).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Parts { text: parts.join(",").into(), ranges })))
    }

    /// Whether `code` is in the set.
    pub fn contains(&self, code: u16) -> bool {
        self.0.ranges.iter().any(|&(low, high)| (low..=high).contains(&code))
    }
}

fn parse_part(part: &str) -> Result<(u16, u16), String> {
    if part.is_empty() {
        return Err("has an empty part".into());
    }
    let lower = part.to_ascii_lowercase();
    if let Some(class) = lower.strip_suffix("xx") {
        return match class {
            "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" => {
                let first = u16::from(class.as_bytes()[0] - b'0') * 100;
                Ok((first, first + 99))
            }
            _ => Err(format!("has the class \"{part}\", and there are only 1xx to 9xx")),
        };
    }
    let (low, high) = match part.split_once('-') {
        Some((low, high)) => (parse_code(low.trim())?, parse_code(high.trim())?),
        None => {
            let code = parse_code(part)?;
            (code, code)
        }
    };
    if low > high {
        return Err(format!("has the range \"{part}\", which runs backwards"));
    }
    Ok((low, high))
}

fn parse_code(text: &str) -> Result<u16, String> {
    let three_digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(code) if three_digits && (100..=999).contains(&code) => Ok(code),
        _ => Err(format!("has \"{text}\", which is not a status code from 100 to 999")),
    }
}

impl Default for StatusSet {
    /// `2xx`: any success.
    fn default() -> Self {
        Self(Arc::new(Parts { text: "2xx".into(), ranges: [(200, 299)].into() }))
    }
}

/// As it was written, without spaces.
impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusSet({})", self.0.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_codes_classes_and_ranges() {
        let set = StatusSet::parse("200-204, 3XX ,404").unwrap();
        assert_eq!(set.to_string(), "200-204,3XX,404");
        for (code, expected) in
            [(199, false), (200, true), (204, true), (205, false), (399, true), (404, true), (405, false)]
        {
            assert_eq!(set.contains(code), expected, "{code}");
        }
    }

    #[test]
    fn codes_that_no_standard_names_can_be_expected_too() {
        let set = StatusSet::parse("9xx,600-699,520").unwrap();
        for (code, expected) in [(520, true), (599, false), (600, true), (699, true), (700, false), (999, true)] {
            assert_eq!(set.contains(code), expected, "{code}");
        }
    }

    #[test]
    fn each_fault_is_named() {
        for (text, fault) in [
            ("", "empty part"),
            ("200,,404", "empty part"),
            ("0xx", "1xx to 9xx"),
            ("xx", "1xx to 9xx"),
            ("2x", "not a status code"),
            ("99", "not a status code"),
            ("099", "not a status code"),
            ("1000", "not a status code"),
            ("+200", "not a status code"),
            ("299-200", "backwards"),
            ("ok", "not a status code"),
        ] {
            let error = StatusSet::parse(text).unwrap_err();
            assert!(error.contains(fault), "{text:?}: {error}");
        }
        assert!(StatusSet::parse(&vec!["200"; 51].join(",")).unwrap_err().contains("51 parts"));
    }

    proptest! {
        #[test]
        fn never_panics_and_what_parses_prints_as_something_that_means_the_same(text in "[0-9x, -]{0,20}") {
            if let Ok(set) = StatusSet::parse(&text) {
                let again = StatusSet::parse(&set.to_string()).unwrap();
                for code in 0..=1_000 {
                    prop_assert_eq!(set.contains(code), again.contains(code));
                }
            }
        }
    }
}
