//! Lines that are wider than the terminal, broken between words: a terminal itself would break them anywhere.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a continued line is set in by, beyond the line that it continues.
const HANG: usize = 2;

/// `text` with each of its lines in at most `columns`. A word that is wider stays whole: a path or a URL is copied.
pub(super) fn lines(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |body| (body, "\n"));
        if width(body) <= columns {
            wrapped.push_str(body);
        } else {
            let indent = Some(body.len() - body.trim_start_matches(' ').len()).filter(|indent| indent * 3 <= columns);
            let indent = indent.unwrap_or(HANG);
            let hang = indent + HANG;
            wrapped.push_str(&words(body.trim_start_matches(' '), " ".repeat(indent), &" ".repeat(hang), columns));
        }
        wrapped.push_str(end);
    }
    wrapped
}

/// `text` in lines of at most `columns`, the first of which begins with `first` and the others with `hang`.
fn words(text: &str, first: String, hang: &str, columns: usize) -> String {
    let (mut wrapped, mut line, mut is_begun) = (String::new(), first, false);
    for (before, word) in text.split(' ').flat_map(parts) {
        if is_begun && width(&line) + before.len() + width(word) > columns {
            wrapped.push_str(line.trim_end());
            wrapped.push('\n');
            line = format!("{hang}{word}");
            is_begun = !word.is_empty();
            continue;
        }
        if is_begun {
            line.push_str(before);
        }
        line.push_str(word);
        is_begun = true;
    }
    wrapped + line.trim_end()
}

/// The parts of a word, each with what stands before it: Chinese and its like have no spaces, and break behind each wide character.
fn parts(word: &str) -> impl Iterator<Item = (&'static str, &str)> {
    let mut parts = word.split_inclusive(|c: char| c.width() == Some(2));
    let first = parts.next().unwrap_or_default();
    std::iter::once((" ", first)).chain(parts.map(|part| ("", part)))
}

/// The columns that `text` takes; colours take none.
pub(super) fn width(text: &str) -> usize {
    let (mut columns, mut rest) = (0, text);
    while let Some(at) = rest.find('\u{1b}') {
        columns += rest[..at].width();
        rest = &rest[at + colour_at(&rest[at..]).unwrap_or(1)..];
    }
    columns + rest.width()
}

/// How many bytes the colour takes that `text` begins with, if it does.
pub(super) fn colour_at(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("\u{1b}[")?;
    let end = inside.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    inside[end..].starts_with('m').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_break_between_words_and_hang_below_their_beginning() {
        assert_eq!(lines("note: a b c\nshort\n", 8), "note: a\n  b c\nshort\n");
        assert_eq!(lines("  hook: one two", 10), "  hook:\n    one\n    two");
        assert_eq!(lines("        -> one two", 12), "  -> one two", "no room for so much of a margin");
        assert_eq!(lines("a https://long.example.com/ b", 10), "a\n  https://long.example.com/\n  b");
        assert_eq!(lines("\u{1b}[1mabc\u{1b}[0m def", 7), "\u{1b}[1mabc\u{1b}[0m def", "colours take no room");
        assert_eq!(lines("北京 北京", 5), "北京\n  北\n  京");
        assert_eq!(lines("北京北京上海x 上海", 10), "北京北京上\n  海x 上海");
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_too_wide(text in "([a-z]{1,6} {1,2}){0,12}", columns in 12_usize..40) {
            let wrapped = lines(&text, columns);
            prop_assert!(wrapped.lines().all(|line| width(line) <= columns), "{wrapped:?}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&wrapped), words(&text));
        }
    }
}
