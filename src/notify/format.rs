//! Formats values for people: spans and moments as everywhere, and ASCII where a channel takes nothing else.

use std::fmt::Write as _;

use api_health_core::text;
pub(crate) use api_health_core::words::{moment, span};
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
