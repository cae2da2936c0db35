//! Small forms that several programs share: durations, status codes, ids, patterns.

use std::collections::BTreeSet;

/// Headers that the HTTP client writes itself.
const OURS: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(crate) fn is_ours(header: &str) -> bool {
    OURS.contains(&header.to_ascii_lowercase().as_str())
}

/// Host and path of a URL: what may be shown of it.
pub(crate) fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    format!("{}{path}", authority.rsplit('@').next().unwrap_or_default())
}

/// The methods that a row may have.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// `1h30m`, `250ms`, `2d`, as Go and Prometheus write durations: in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-6,
            "us" | "µs" | "μs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            "d" => 8.64e7,
            "w" => 6.048e8,
            "y" => 3.1536e10,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[end..];
    }
    (!text.trim().is_empty() && total < 1e15).then_some(total.round() as u64)
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(1000)
}

/// The whole seconds from `least` to `most` that are nearest, rounded up.
pub(crate) fn within(milliseconds: u64, least: u64, most: u64) -> (u64, bool) {
    let whole = seconds(milliseconds).clamp(least, most);
    (whole, whole.checked_mul(1000) == Some(milliseconds))
}

/// Codes as `expected_status` has them: `200-299,301`.
pub(crate) fn codes(codes: &BTreeSet<u16>) -> String {
    let mut parts: Vec<(u16, u16)> = Vec::new();
    for &code in codes {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == code => *last = code,
            _ => parts.push((code, code)),
        }
    }
    let part = |(from, to): &(u16, u16)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

/// An id out of words for people: `Shop (EU)` is `shop-eu`. Empty where no letter is one of a to z, even nearly.
pub(crate) fn slug(text: &str) -> String {
    let plain = deunicode::deunicode_with_tofu(text, "");
    let mut slug = String::new();
    for c in plain.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(76); // room for a number behind it
    slug.trim_end_matches(['-', '.', '_']).trim_start_matches(['.', '_']).to_owned()
}

/// `text` as a regular expression that matches it alone.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\.+*?()|[]{}^$#&-~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// `text` behind `contains` or `lacks`, in quotes where they are needed for it to be meant as it is.
pub(crate) fn quoted(text: &str) -> String {
    let needs = text.trim() != text || text.starts_with('"') || text.contains(char::is_control);
    if needs { serde_json::Value::from(text).to_string() } else { text.to_owned() }
}

/// Removes what is not good in one line of a name, and cuts it.
pub(crate) fn name(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.trim().chars().take(200).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_go_and_prometheus_write_them() {
        let all = ["1h30m", "250ms", "1.5s", "2d", "0", "", "5", "m", "-1s", "1x", "99999999y"];
        let want =
            [Some(5_400_000), Some(250), Some(1500), Some(172_800_000), Some(0), None, None, None, None, None, None];
        assert_eq!(all.map(milliseconds), want);
        assert_eq!(
            (within(1500, 1, 300), within(10_000, 1, 300), within(0, 1, 300)),
            ((2, false), (10, true), (1, false))
        );
    }

    #[test]
    fn codes_and_ids_are_short() {
        assert_eq!(codes(&[200, 201, 202, 301].into()), "200-202,301");
        assert_eq!([slug("Shop (EU)"), slug("Öl & Gas"), slug("…")], ["shop-eu", "ol-gas", ""]);
        assert_eq!((escaped("a.b"), quoted("a "), quoted("a")), ("a\\.b".into(), "\"a \"".into(), "a".into()));
    }

    proptest! {
        #[test]
        fn any_text_is_a_duration_or_none(text in "\\PC{0,20}") {
            let _ = milliseconds(&text);
            let slug = slug(&text);
            prop_assert!(slug.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{}", slug);
        }
    }
}
