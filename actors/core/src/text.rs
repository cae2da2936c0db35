//! Makes text from outside safe to show: text of a server, a library or a table becomes one short line without control
//! characters.

use std::borrow::Cow;
use std::sync::Arc;

/// Replaces each character that is not shown.
const NOT_SHOWN: char = '\u{fffd}';

/// A hash of `text` that is the same in every process, version and machine.
///
/// FNV-1a, then the finaliser of splitmix64, so that texts that differ in their last letter land far apart.
pub(crate) fn stable_hash(text: &str) -> u64 {
    let fnv =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `text` as one line of at most `chars_max` characters, for a log, a terminal, a mail or a record.
///
/// Line breaks and other white space become one space, and none at either end. A character that steers what stands around
/// it (a control character, a mark that turns the direction of reading, an invisible one of Unicode's format characters)
/// becomes `U+FFFD`, so that people see that something was there. The two joiners stay: Persian and emoji are written with
/// them. A text that was cut ends in `…`. Doing it twice changes nothing more.
pub fn line(text: &str, chars_max: usize) -> String {
    let (mut line, mut chars, mut gap) = (String::new(), 0, false);
    for c in text.chars() {
        if c.is_whitespace() {
            gap = chars > 0;
            continue;
        }
        let shown = if steers(c) { NOT_SHOWN } else { c };
        let wanted = 1 + usize::from(gap);
        if chars + wanted > chars_max {
            return end_with_ellipsis(line, chars, chars_max, gap);
        }
        line.extend(gap.then_some(' '));
        line.push(shown);
        chars += wanted;
        gap = false;
    }
    line
}

/// `line` in at most `bytes_max` bytes of UTF-8, for a record whose bytes are paid for. One that was cut ends in `…`.
pub fn within(mut line: String, bytes_max: usize) -> String {
    if line.len() > bytes_max {
        let room = bytes_max.saturating_sub('…'.len_utf8());
        line.truncate(line.floor_char_boundary(room));
        line.truncate(line.trim_end().len());
        line.extend((bytes_max >= '…'.len_utf8()).then_some('…'));
    }
    line
}

/// `text` of several lines with nothing in it that steers: each such character becomes `U+FFFD`, and line breaks stay. For what was
/// put together from safe parts, as a last check before it leaves.
pub fn lines(text: &str) -> Cow<'_, str> {
    if !text.contains(steers_lines) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if steers_lines(c) { NOT_SHOWN } else { c }).collect())
}

/// `json`, in which such characters can stand in strings alone, with each of them escaped: it means what it meant.
pub fn json(json: &str) -> Cow<'_, str> {
    if !json.contains(steers_lines) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 32);
    for c in json.chars() {
        if steers_lines(c) {
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Checks a name that people give: 1 to `chars_max` characters of `A-Z a-z 0-9 . _ -`.
pub(crate) fn name(text: &str, chars_max: usize) -> Result<Arc<str>, String> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.len() > chars_max {
        return Err(format!("is longer than {chars_max} characters"));
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        Some(c) => Err(format!("has the character {c:?}")),
        None => Ok(text.into()),
    }
}

/// `line`, with `…` in place of the text that would follow. A word that would be cut is left out, unless it is most of the line.
fn end_with_ellipsis(mut line: String, chars: usize, chars_max: usize, is_between_words: bool) -> String {
    if chars == chars_max {
        line.pop();
    }
    let is_cut = !is_between_words || chars == chars_max;
    if let Some(word) = line.rfind(' ').filter(|at| is_cut && *at > line.len() / 2) {
        line.truncate(word);
    }
    line.truncate(line.trim_end().len());
    line.extend((chars_max > 0).then_some('…'));
    line
}

fn steers_lines(c: char) -> bool {
    c != '\n' && (steers(c) || matches!(c, '\u{2028}' | '\u{2029}'))
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Of Unicode's general category Cf, those that leave no mark of their own.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_steers_is_seen_and_moves_nothing() {
        for (text, shown) in [
            ("a\u{202e}gpj.exe\u{2066}", "a\u{fffd}gpj.exe\u{fffd}"),
            ("\u{1b}[31mred\u{7}", "\u{fffd}[31mred\u{fffd}"),
            ("a\u{9b}2J\u{0}\u{7f}b", "a\u{fffd}2J\u{fffd}\u{fffd}b"),
            ("\u{feff}a\u{200b}b\u{ad}c\u{e0041}", "\u{fffd}a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("\u{61c}\u{200e}\u{200f}\u{202a}\u{2069}", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(line(text, 100), shown, "{text:?}");
        }
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["Größe 北京 Ω", "می\u{200c}خواهم", "👩\u{200d}👧", "שלום", "a\u{fffd}b"] {
            assert_eq!(line(text, 100), text);
        }
    }

    #[test]
    fn it_is_one_line_with_single_spaces() {
        assert_eq!(line(" a\r\n\tb \u{a0}\u{2028}\u{85} c \n", 100), "a b c");
        assert_eq!(line("\n \t", 100), "");
    }

    #[test]
    fn lines_stay_lines_and_json_stays_what_it_is() {
        assert_eq!(lines("a\nb\r\u{202e}c\td"), "a\nb\u{fffd}\u{fffd}c\u{fffd}d");
        assert!(matches!(lines("Größe\nok"), Cow::Borrowed(_)));
        let written = "{\n  \"ü\": \"x\u{202e}\u{9b}\u{7f}\u{2028}\u{e0041}y\"\n}\n";
        assert_eq!(json(written), "{\n  \"ü\": \"x\\u202e\\u009b\\u007f\\u2028\\udb40\\udc41y\"\n}\n");
        assert!(matches!(json("{}\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_cut_keeps_the_bound_and_is_seen() {
        assert_eq!(line("abcd", 4), "abcd");
        assert_eq!(line("abcd \n", 4), "abcd", "nothing is left out");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abc def", 4), "abc…");
        assert_eq!(line("ab cd", 4), "ab…");
        assert_eq!(line("check the url under it", 12), "check the…", "a word is left out whole");
        assert_eq!(line("check the url under it", 10), "check the…");
        assert_eq!(line("check-the-url", 12), "check-the-u…");
        assert_eq!(line("ü".repeat(9).as_str(), 2), "ü…");
        assert_eq!((line("ab", 1), line("ab", 0)), ("…".into(), String::new()));
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_safe_line_and_stays_it(text in "(\\PC|\\pC|\\pM|[ \n\u{200b}-\u{2070}]){0,80}", chars_max in 0_usize..60) {
            let once = line(&text, chars_max);
            prop_assert!(once.chars().count() <= chars_max, "{once:?}");
            prop_assert!(!once.chars().any(|c| steers(c) || (c.is_whitespace() && c != ' ')), "{once:?}");
            prop_assert!(!once.contains("  ") && once.trim() == once, "{once:?}");
            prop_assert_eq!(line(&once, chars_max), once);
        }

        #[test]
        fn a_line_has_so_many_bytes_at_most_and_a_short_one_stays(text in "(\\PC| ){0,40}", bytes_max in 0_usize..60) {
            let short = within(text.clone(), bytes_max);
            prop_assert!(short.len() <= bytes_max, "{short:?}");
            prop_assert_eq!(text.len() <= bytes_max, short == text);
        }
    }
}
