//! What is looked for in a text: some words, or a regular expression. Either is compiled once, and searched in linear time.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// So much may a regular expression take when it is compiled: a Unicode `\w` takes 45 KB.
const COMPILED_BYTES_MAX: usize = 256 * 1024;

/// What a search may keep of what it has worked out.
const CACHE_BYTES_MAX: usize = 256 * 1024;

/// A regular expression is searched in so much of a body. At worst a search takes time for each part of the expression at each byte, half
/// a second of a core with these bounds, while the other probes of the thread wait.
pub const SEARCHED_BYTES_MAX: usize = 64 * 1024;

/// Some words or a regular expression, ready to be looked for.
#[derive(Clone)]
pub(super) struct Pattern {
    text: String,
    is_regex: bool,
    compiled: Regex,
}

impl Pattern {
    /// Looks for these very bytes.
    pub(super) fn words(text: &str) -> Result<Self, String> {
        Self::compile(text, &regex::escape(text), false)
    }

    /// Looks for what the regular expression matches.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn regex(text: &str) -> Result<Self, String> {
        Self::compile(text, text, true)
    }

    fn compile(text: &str, regex: &str, is_regex: bool) -> Result<Self, String> {
        let compiled = RegexBuilder::new(regex)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(CACHE_BYTES_MAX)
            .build()
            .map_err(|error| in_words(&error))?;
        Ok(Self { text: text.to_owned(), is_regex, compiled })
    }

    /// Where it is found first.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        let bytes = if self.is_regex { &bytes[..bytes.len().min(SEARCHED_BYTES_MAX)] } else { bytes };
        self.compiled.find(bytes).map(|found| found.start())
    }

    /// Of so many bytes, those that are searched.
    pub(super) fn searched(&self, bytes: usize) -> usize {
        if self.is_regex { bytes.min(SEARCHED_BYTES_MAX) } else { bytes }
    }
}

/// As it was written.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// The library draws a picture of several lines, with a caret below the place. One line says the same.
fn in_words(error: &regex::Error) -> String {
    let said = match error {
        regex::Error::CompiledTooBig(_) => {
            return format!("it takes more than {} KiB when it is compiled", COMPILED_BYTES_MAX / 1024);
        }
        other => other.to_string(),
    };
    let what = said.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be read");
    let caret = said.lines().find(|line| line.trim_start().starts_with('^')).and_then(|line| line.find('^'));
    // The picture is indented by four.
    match caret.and_then(|at| at.checked_sub(4)) {
        Some(at) => format!("{what}, at its character {}", at + 1),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_looked_for_as_they_are_and_expressions_as_they_mean() {
        assert_eq!(Pattern::words("a.c").unwrap().find(b"abc a.c"), Some(4));
        assert_eq!(Pattern::regex("a.c").unwrap().find(b"abc a.c"), Some(0));
        assert_eq!(Pattern::words("Größe").unwrap().find("die Größe".as_bytes()), Some(4));
        assert_eq!(Pattern::regex("(?i)größe").unwrap().find("die GRÖẞE".as_bytes()), Some(4));
        assert_eq!(Pattern::regex("^ok$").unwrap().find(b"\xff\xfe"), None, "bytes that are no text");
    }

    #[test]
    fn a_bad_expression_says_what_and_where() {
        let said = |text| Pattern::regex(text).unwrap_err();
        assert_eq!(said("ab(c"), "unclosed group, at its character 3");
        assert!(said("*").starts_with("repetition operator missing expression, at its"));
        assert!(said("a(?=b)").contains("look-around"), "{}", said("a(?=b)"));
        assert_eq!(said(r"\w{1000}"), "it takes more than 256 KiB when it is compiled");
    }

    #[test]
    fn an_expression_is_searched_up_to_a_bound() {
        let mut body = vec![b' '; SEARCHED_BYTES_MAX];
        body.extend_from_slice(b"late");
        assert_eq!(Pattern::regex("late").unwrap().find(&body), None);
        assert_eq!(Pattern::words("late").unwrap().find(&body), Some(SEARCHED_BYTES_MAX));
    }
}
