//! The first words of a receiver's answer, as they may be shown: one safe line, in which nothing of the receiver's URL or
//! secrets stands, for a receiver may repeat what it was sent. Pure.

use api_health_core::{Secret, text};
use url::Url;

/// The most characters that are told of what a receiver said.
const WORDS_CHARS_MAX: usize = 120;
/// How much of the body those words are looked for in: some may be white space, or hidden.
const LOOKED_AT_BYTES: usize = 1_024;
/// So many characters of a secret in a row give it away. One with fewer is looked for whole.
const SECRET_FRAGMENT_CHARS: usize = 8;
/// What is shorter is found in any text, and is no secret.
const SECRET_CHARS_MIN: usize = 4;
/// Stands for what is hidden.
const HIDDEN: &str = "***";

/// What is never shown: what of the URL comes after its host, and the secrets.
pub(in crate::notify) struct Redactor(Vec<Vec<char>>);

impl Redactor {
    pub(super) fn new<'a>(url: &Url, secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let sent = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        // As a receiver reads them, without their percent signs.
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let secrets = secrets.into_iter().map(|secret| secret.reveal().to_owned());
        Self::hiding(std::iter::once(sent).chain(values).chain(secrets))
    }

    /// Hides these texts.
    pub(in crate::notify) fn hiding(texts: impl Iterator<Item = String>) -> Self {
        let all = texts.map(|text| text.chars().collect::<Vec<_>>());
        Self(all.filter(|text| text.len() >= SECRET_CHARS_MIN).collect())
    }

    /// The first words of `body`; empty if it has none, or is a page of HTML, which begins with no words.
    pub(in crate::notify) fn first_words(&self, body: &[u8]) -> String {
        let begin = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT_BYTES)]);
        if begin.trim_start().starts_with('<') {
            return String::new();
        }
        let mut shown = self.hide(&begin);
        if body.len() > LOOKED_AT_BYTES {
            // At the cut there may be the beginning of a secret, too short to be known for one.
            let last = shown.char_indices().rev().nth(SECRET_FRAGMENT_CHARS - 2);
            shown.truncate(last.map_or(0, |(at, _)| at));
        }
        text::line(&shown, WORDS_CHARS_MAX)
    }

    fn hide(&self, text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mut hidden = vec![false; chars.len()];
        for fragment in self.0.iter().flat_map(|secret| secret.windows(secret.len().min(SECRET_FRAGMENT_CHARS))) {
            for at in (0..chars.len()).filter(|at| chars[*at..].starts_with(fragment)) {
                hidden[at..at + fragment.len()].fill(true);
            }
        }
        let mut shown = String::new();
        for (at, c) in chars.into_iter().enumerate() {
            match (hidden[at], at > 0 && hidden[at - 1]) {
                (false, _) => shown.push(c),
                (true, false) => shown.push_str(HIDDEN),
                (true, true) => {}
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(body: &str) -> String {
        let url = "https://hooks.test/services/T0/token-of-the-path?sig=a%2Fb%2Bc%3Dd%20e".parse().unwrap();
        Redactor::new(&url, [&Secret::new("secret-key")]).first_words(body.as_bytes())
    }

    #[test]
    fn the_first_words_are_one_safe_bounded_line() {
        assert_eq!(words("no_text"), "no_text");
        assert_eq!(words(" not\r\nthis\u{202e}\u{1b}[2J way "), "not this\u{fffd}\u{fffd}[2J way");
        assert_eq!(words(&"ü".repeat(4_000)).chars().count(), WORDS_CHARS_MAX);
        assert_eq!(words(&format!("{}late", " ".repeat(2_000))), "");
        assert_eq!(words("\n<!DOCTYPE html><title>no"), "");
        let url = "http://hooks.test/".parse().unwrap();
        assert_eq!(Redactor::new(&url, None).first_words(b"a/b\xff"), "a/b\u{fffd}", "a path of one sign hides none");
    }

    #[test]
    fn what_a_receiver_repeats_of_the_url_or_the_secret_is_hidden() {
        for (body, shown) in [
            ("no POST /services/T0/token-of-the-path?sig=a%2Fb%2Bc%3Dd%20e here", "no POST *** here"),
            ("bad token-of-the-pa", "bad ***"),
            (r"no \/services\/T0\/token-of-the-path", r"no \***\/T0\***"),
            ("sig a/b+c=d e is old", "sig *** is old"),
            ("key=secret-key", "key=***"),
            ("secretary of hooks.test", "secretary of hooks.test"),
        ] {
            assert_eq!(words(body), shown);
        }
        for before in 0..20 {
            let cut = words(&format!("{}{}", "-".repeat(before), "token-of-the-path".repeat(100)));
            assert!(!cut.contains("to"), "{cut}");
        }
        let short = Redactor::new(&"http://a.test/hook".parse().unwrap(), [&Secret::new("k3y!")]);
        assert_eq!(short.first_words(b"/hook? k3y! webhook"), "***? *** webhook");
    }
}
