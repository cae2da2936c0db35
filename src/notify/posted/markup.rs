//! Texts as a service shows them as they are meant: its markup escaped, nobody called, cut to what it takes. Pure.

use serde_json::Value;

use crate::notify::channel::{Length, Markup};

/// Stands for what is cut off.
const CUT: &str = "…";
/// Room for the words of how many lines are left out.
const ROOM_FOR_REST: usize = 64;

impl Length {
    const fn most(self) -> usize {
        match self {
            Self::Chars(most) | Self::Bytes(most) => most,
        }
    }

    fn of(self, text: &str) -> usize {
        match self {
            Self::Chars(_) => text.encode_utf16().count(),
            Self::Bytes(_) => text.len(),
        }
    }

    const fn with(self, most: usize) -> Self {
        match self {
            Self::Chars(_) => Self::Chars(most),
            Self::Bytes(_) => Self::Bytes(most),
        }
    }
}

/// Escapes all texts in `value`.
pub(super) fn escape(markup: Markup, value: &mut Value) {
    match value {
        _ if markup == Markup::Plain => {}
        Value::String(text) => *text = pieces(text, markup).concat(),
        Value::Array(values) => values.iter_mut().for_each(|value| escape(markup, value)),
        Value::Object(fields) => fields.values_mut().for_each(|value| escape(markup, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` escaped, and cut so that it is no longer than `most`; an escape is never cut in two.
pub(super) fn fit(text: &str, markup: Markup, most: Length) -> String {
    let pieces = pieces(text, markup);
    if pieces.iter().map(|piece| most.of(piece)).sum::<usize>() <= most.most() {
        return pieces.concat();
    }
    let (mut fitted, mut used) = (String::new(), most.of(CUT));
    for piece in pieces {
        used += most.of(&piece);
        if used > most.most() {
            break;
        }
        fitted.push_str(&piece);
    }
    fitted + CUT
}

/// Those of `lines` that have room in `most` together, escaped, and how many have none.
pub(super) fn fit_lines(lines: &[String], markup: Markup, most: Length) -> (Vec<String>, usize) {
    let room = most.most().saturating_sub(ROOM_FOR_REST);
    let (mut fitted, mut used) = (Vec::new(), 0);
    for line in lines {
        // No line takes the room of all others.
        let line = fit(line, markup, most.with(room / 3));
        let needed = most.of(&line) + 1;
        if used + needed <= room {
            used += needed;
            fitted.push(line);
        }
    }
    let left_out = lines.len() - fitted.len();
    (fitted, left_out)
}

/// `text` in its smallest parts, each escaped.
fn pieces(text: &str, markup: Markup) -> Vec<String> {
    let mut pieces = Vec::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        // What stands in a link is no markup, and an escape would break it.
        let is_link = word.starts_with("http://") || word.starts_with("https://");
        pieces.extend(word.chars().map(|c| piece(c, markup, is_link)));
    }
    pieces
}

fn piece(c: char, markup: Markup, is_link: bool) -> String {
    match (markup, c) {
        (Markup::Slack, '&') => "&amp;".into(),
        (Markup::Slack, '<') => "&lt;".into(),
        (Markup::Slack, '>') => "&gt;".into(),
        (Markup::Calls | Markup::Markdown, '<') => "\u{2039}".into(),
        (Markup::Calls | Markup::Markdown, '>') => "\u{203a}".into(),
        (Markup::Calls | Markup::Markdown, '@') => "\u{ff20}".into(),
        (Markup::Markdown, '\\' | '*' | '_' | '~' | '`' | '|' | '#' | '[' | ']') if !is_link => format!("\\{c}"),
        _ => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nobody_is_called_and_no_markup_is_read() {
        let text = "<!channel> @here *a_b* & http://u.test/a_b?c=<d>";
        for (markup, expected) in [
            (Markup::Plain, text),
            (Markup::Calls, "‹!channel› ＠here *a_b* & http://u.test/a_b?c=‹d›"),
            (Markup::Markdown, "‹!channel› ＠here \\*a\\_b\\* & http://u.test/a_b?c=‹d›"),
            (Markup::Slack, "&lt;!channel&gt; @here *a_b* &amp; http://u.test/a_b?c=&lt;d&gt;"),
        ] {
            assert_eq!(fit(text, markup, Length::Chars(1_000)), expected);
        }
    }

    #[test]
    fn lines_that_have_no_room_are_counted() {
        let lines: Vec<String> = (0..40).map(|n| format!("{n} {}", "x".repeat(20))).collect();
        let (fitted, left_out) = fit_lines(&lines, Markup::Plain, Length::Bytes(300));
        assert!(fitted.len() > 3 && fitted.len() + left_out == 40, "{fitted:?}");
    }

    proptest! {
        #[test]
        fn what_fits_is_no_longer_than_it_may_be(text in "\\PC{0,60}|[&<>*_\\\\ ]{0,60}", most in 8_usize..80, bytes: bool) {
            let most = if bytes { Length::Bytes(most) } else { Length::Chars(most) };
            for markup in [Markup::Plain, Markup::Calls, Markup::Markdown, Markup::Slack] {
                let fitted = fit(&text, markup, most);
                prop_assert!(most.of(&fitted) <= most.most(), "{fitted:?}");
                let whole = pieces(&text, markup).concat();
                prop_assert!(fitted == whole || whole.starts_with(fitted.strip_suffix(CUT).unwrap()), "{fitted:?}");
            }
        }
    }
}
