//! Hides the secrets of a row in what its server says: many a server echoes what it was sent.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::api::ApiConfig;
use crate::secret::Secret;

/// Stands for each secret.
const MASK: &[u8] = b"***";

/// The shortest value that is hidden: a shorter one occurs everywhere by chance.
const VALUE_BYTES_MIN: usize = 4;

/// The shortest part of a value (the token behind `Bearer`, a password in a body) that is hidden by itself.
const PART_BYTES_MIN: usize = 6;

/// The shortest text behind a `?` or `#` that is taken for a token by itself.
const TOKEN_BYTES_MIN: usize = 8;

/// Headers whose parts are words that every client sends. Their whole value is hidden all the same.
const PLAIN: [&str; 6] = ["accept", "accept-encoding", "accept-language", "content-type", "host", "user-agent"];

/// What a row has that must not be shown: the values of its headers, its body, and those in the query of its URL.
#[derive(Default)]
pub struct Masking<'a> {
    /// By their first bytes.
    secrets: HashMap<[u8; VALUE_BYTES_MIN], Vec<Cow<'a, [u8]>>>,
}

impl<'a> Masking<'a> {
    pub fn of(api: &'a ApiConfig) -> Self {
        Self::with_token(api, None)
    }

    /// The same with the token that was sent along, which stands in no row.
    pub fn with_token(api: &'a ApiConfig, token: Option<&'a Secret>) -> Self {
        let mut masking = Self::default();
        if let Some(token) = token {
            masking.add(token.reveal(), false);
        }
        for (name, value) in &api.headers {
            masking.add(value.reveal(), !PLAIN.iter().any(|plain| name.eq_ignore_ascii_case(plain)));
        }
        if let Some(body) = &api.body {
            masking.add(body.reveal(), true);
        }
        for secret in api.asking.iter().flat_map(|asking| &asking.url_secrets) {
            masking.add(secret.reveal(), false);
        }
        if let Some(oauth) = api.asking.as_ref().and_then(|asking| asking.oauth.as_ref()) {
            masking.add(oauth.client_secret.reveal(), false);
        }
        let query = api.url.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split(['&', ';', '#']) {
            masking.add(pair.split_once('=').map_or(pair, |(_, value)| value), false);
        }
        for same in masking.secrets.values_mut() {
            same.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
        masking
    }

    /// A value, and where it `has_parts` each of them, in each form in which a server may write it.
    fn add(&mut self, value: &'a str, has_parts: bool) {
        let is_between = |c: char| c.is_whitespace() || "\"'=;,:&?{}[]()<>|\\".contains(c);
        let parts = value.split(is_between).filter(|part| has_parts && part.len() >= PART_BYTES_MIN);
        for secret in std::iter::once(value.trim()).chain(parts) {
            self.insert(secret.as_bytes().into());
            for form in forms(secret) {
                self.insert(form.into());
            }
        }
    }

    fn insert(&mut self, secret: Cow<'a, [u8]>) {
        let Some(begin) = secret.first_chunk() else { return };
        let same = self.secrets.entry(*begin).or_default();
        if !same.contains(&secret) {
            same.push(secret);
        }
    }

    /// `text` without any of them. Where it `is_cut`, one that begins before its end is hidden as well.
    pub fn hide<'t>(&self, text: &'t [u8], is_cut: bool) -> Cow<'t, [u8]> {
        let (mut shown, mut at, mut copied) = (Vec::new(), 0, 0);
        while let Some(begin) = text[at..].first_chunk::<VALUE_BYTES_MIN>() {
            let rest = &text[at..];
            let is_here = |secret: &&Cow<'_, [u8]>| rest.starts_with(secret) || (is_cut && secret.starts_with(rest));
            match self.secrets.get(begin).and_then(|same| same.iter().find(is_here)) {
                Some(secret) => {
                    shown.extend_from_slice(&text[copied..at]);
                    shown.extend_from_slice(MASK);
                    at = text.len().min(at + secret.len());
                    copied = at;
                }
                None => at += 1,
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        shown.extend_from_slice(&text[copied..]);
        Cow::Owned(shown)
    }

    /// The same of a text that may have been cut, as its `…` says, perhaps in quotes.
    pub fn hide_in_short(&self, text: &str) -> String {
        let ends = ["…\"", "…\\\"", "…"].into_iter().find_map(|end| Some((text.strip_suffix(end)?, end)));
        let Some((shown, end)) = ends else { return self.hide_in(text) };
        format!("{}{end}", String::from_utf8_lossy(&self.hide(shown.as_bytes(), true)))
    }

    /// The same of text.
    pub fn hide_in(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.hide(text.as_bytes(), false)).into_owned()
    }
}

/// `text` without what stands behind the path of an address, and before its `@`: there often is a signature or a token that opens a door
/// to whoever reads it, as where the body of a redirect repeats where it leads. An address that is written in another way, as in the
/// query of another one or in JSON, is no other.
pub fn without_queries(text: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || c.is_control() || "\"<>".contains(c);
    text.split_inclusive(is_between)
        .map(|word| {
            let (word, sign) = match word.chars().next_back().filter(|c| is_between(*c)) {
                Some(sign) => word.split_at(word.len() - sign.len_utf8()),
                None => (word, ""),
            };
            let shown = without_query(word);
            let plain = unescaped(&shown);
            let shown_plain = without_query(&plain);
            format!("{}{sign}", if shown_plain == plain { shown } else { shown_plain })
        })
        .collect()
}

fn without_query(word: &str) -> String {
    let word = without_passwords(word);
    match word.match_indices(['?', '#']).find(|(at, _)| is_query(&word[..*at], &word[at + 1..])) {
        Some((at, _)) => format!("{}***", &word[..=at]),
        None => word,
    }
}

/// `word` with percent-encoding and the escapes of JSON undone, once and within each other.
fn unescaped(word: &str) -> String {
    let once = |word: &str| percent_decoded(&word.replace(r"\u00", "%"));
    let twice = once(&String::from_utf8_lossy(&once(word)));
    String::from_utf8_lossy(&twice).into_owned()
}

/// Whether what stands before a `?` or `#` looks like an address, or what stands behind it like a query or a token.
fn is_query(before: &str, behind: &str) -> bool {
    let is_token = behind.len() >= TOKEN_BYTES_MIN && behind.bytes().all(is_unreserved);
    !behind.is_empty() && (before.contains('/') || behind.contains('=') || (is_token && !before.is_empty()))
}

/// `word` without who signs in, in each address in it; a password may hold what ends a host.
fn without_passwords(word: &str) -> String {
    let (mut shown, mut rest) = (String::new(), word);
    let begin = |rest: &str| {
        let slashes = ["//", r"\/\/"].into_iter().filter_map(|slashes| Some(rest.find(slashes)? + slashes.len()));
        slashes.min()
    };
    while let Some(host) = begin(rest) {
        let (before, address) = rest.split_at(host);
        let host_end = address.find(['/', '\\', '?', '#', ',']).unwrap_or(address.len());
        let is_port = |text: &str| {
            let number = text.trim_end_matches(|c: char| c.is_ascii_punctuation()); // `(https://h:80)`
            number.bytes().all(|b| b.is_ascii_digit())
        };
        let host = &address[..host_end];
        let no_port = host.split_once(':').filter(|(name, port)| !name.starts_with('[') && !is_port(port));
        let hidden = match (host.rfind('@'), no_port) {
            (Some(at), _) => at,
            (None, Some(_)) => address.rfind('@').unwrap_or(address.len()),
            (None, None) => 0,
        };
        shown.push_str(before);
        shown.push_str(if hidden > 0 { "***" } else { "" });
        rest = &address[hidden..];
    }
    shown + rest
}

/// How else a server may write `secret`: percent-encoded or not, as in a string of JSON, as in HTML.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    if secret.contains('%') {
        forms.push(percent_decoded(secret));
    }
    if secret.bytes().any(|b| !is_unreserved(b)) {
        let encoded = |b: u8| if is_unreserved(b) { vec![b] } else { format!("%{b:02X}").into_bytes() };
        forms.push(secret.bytes().flat_map(encoded).collect());
    }
    if secret.contains(['/', '"', '\\']) {
        let escaped = secret.replace('\\', "\\\\").replace('"', "\\\"");
        forms.push(escaped.replace('/', "\\/").into_bytes());
        forms.push(escaped.into_bytes());
    }
    if secret.contains(['&', '<', '>', '"', '\'']) {
        let escaped = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        forms.push(escaped.replace('\'', "&#39;").into_bytes());
    }
    forms
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| str::from_utf8(two).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn api(headers: &[(&str, &str)], body: Option<&str>, url: &str) -> ApiConfig {
        ApiConfig {
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect(),
            body: body.map(Secret::new),
            url: url.into(),
            ..crate::state::tests_support::config()
        }
    }

    #[test]
    fn what_stands_behind_an_address_in_a_text_is_hidden() {
        for (text, shown) in [
            ("<a href=\"https://s.test/x?Sig=1&amp;b=2\">here</a>", "<a href=\"https://s.test/x?***\">here</a>"),
            (r#"{"url":"https:\/\/s.test\/x?sig=1\u0026b=2"}"#, r#"{"url":"https:\/\/s.test\/x?***"}"#),
            ("Found. Redirecting to /cb?code=1#t=2 now", "Found. Redirecting to /cb?*** now"),
            ("/reset?0123456789", "/reset?***"),
            ("login?next=1 x#id_token=1", "login?*** x#***"),
            ("login?TOKENTOKEN done?next#access_token a?b:c/d?sig", "login?*** done?next#*** a?b:c/d?***"),
            ("/x?sig=ab'cd&t=hunter22", "/x?***"),
            ("cannot reach postgres://user:p@ss@db/x", "cannot reach postgres://***@db/x"),
            (r#"{"m":"mysql:\/\/root:hunter22@db\/x"}"#, r#"{"m":"mysql:\/\/***@db\/x"}"#),
            ("postgres://user:hun/ter22@db/x", "postgres://***@db/x"),
            (
                "postgres://user:hunter22?x@db/x postgres://user:hun#ter22@db/x",
                "postgres://***@db/x postgres://***@db/x",
            ),
            ("amqp://u:hunter22@a:5672,amqp://u:hunter23@b:5672", "amqp://***@a:5672,amqp://***@b:5672"),
            ("//user:hunter22@h/x", "//***@h/x"),
            ("postgres://user:hunter2", "postgres://***"),
            ("to https%3A%2F%2Fs.test%2Fx%3Ftoken%3Dabc%26b%3D2 now", "to https://s.test/x?*** now"),
            ("next=https%253a%252f%252fs.test%252f%253ftoken%253dabc", "next=https://s.test/?***"),
            (r#"{"url":"https:\/\/s.test\/\u003ftoken=abc\u0026b=2"}"#, r#"{"url":"https:\/\/s.test\/?***"}"#),
            (r"https:\u002F\u002Fs.test\u002Fx\u003Ftoken\u003Dabc", "https://s.test/x?***"),
            (r#""login%3Fnext%3D1%20x", "a\u0040b""#, r#""login?***", "a\u0040b""#),
            ("postgres%3A%2F%2Fuser%3Ahunter22%40db%2Fx", "postgres://***@db/x"),
        ] {
            assert_eq!(without_queries(text), shown);
        }
        for open in [
            "",
            "is it up? yes",
            "<?xml version=\"1.0\"?>",
            "color:#fff; it&#39;s",
            "a@b.test",
            "/docs?",
            "a/b@c",
            "https://[::1]:8080/x",
            "https://h:8080/@scope/pkg",
            "(see 'http://h:8080').",
            r"100%25 of a%20b up%3F \u003cp\u003e%0A",
            "/a%20b?***",
        ] {
            assert_eq!(without_queries(open), open);
        }
    }

    #[test]
    fn what_was_sent_is_hidden_in_each_form_in_which_it_comes_back() {
        let headers =
            [("Authorization", "Bearer abc/def+x="), ("X-Key", "k&\"y1"), ("Accept", "text/plain, text/html")];
        let api = api(&headers, Some(r#"{"user":"me","password":"hunter2"}"#), "http://a.test/x?token=t%2Fkn&page=2");
        let masking = Masking::of(&api);
        for (said, shown) in [
            ("you sent Bearer abc/def+x=!", "you sent ***!"),
            ("token abc/def+x, ab", "token ***, ab"),
            (r#"{"t":"abc\/def+x"}"#, r#"{"t":"***"}"#),
            ("?next=abc%2Fdef%2Bx", "?next=***"),
            ("k&\"y1 k&amp;&quot;y1 k%26%22y1", "*** *** ***"),
            ("password hunter2 of me", "*** *** of me"),
            ("Cannot GET /x?token=t%2Fkn&page=2", "Cannot GET /x?token=***&page=2"),
            ("t/kn", "***"),
            ("send text/plain", "send text/plain"),
            ("text/plain, text/html is not known", "*** is not known"),
            ("all is well", "all is well"),
        ] {
            assert_eq!(masking.hide_in(said), shown);
        }
    }

    #[test]
    fn a_secret_that_is_cut_off_at_the_end_is_hidden_too() {
        let api = api(&[("X-Key", "0123456789")], None, "http://a.test/");
        let masking = Masking::of(&api);
        assert_eq!(&*masking.hide(b"key 012345", true), b"key ***");
        assert_eq!(&*masking.hide(b"key 012345", false), b"key 012345", "it is whole, and another");
    }

    #[test]
    fn a_token_that_stands_in_no_row_is_hidden_whole() {
        let api = api(&[("X-Key", "0123456789")], None, "http://a.test/");
        let token = Secret::new("head.er/+body=.sign");
        let masking = Masking::with_token(&api, Some(&token));
        assert_eq!(masking.hide_in("Bearer head.er/+body=.sign of 0123456789"), "Bearer *** of ***");
        assert_eq!(masking.hide_in("?next=head.er%2F%2Bbody%3D.sign"), "?next=***");
        assert_eq!(masking.hide_in_short("\"Bearer head.er/+bo…\""), "\"Bearer ***…\"");
    }

    proptest! {
        #[test]
        fn no_value_of_a_header_is_ever_in_what_is_shown(
            value in "[ -~]{4,20}", before in "[ -~]{0,20}", after in "[ -~]{0,20}",
        ) {
            let value = value.trim();
            prop_assume!(value.len() >= VALUE_BYTES_MIN && !value.contains('*'));
            let api = api(&[("X-Key", value)], None, "http://a.test/");
            let shown = Masking::of(&api).hide_in(&format!("{before}{value}{after}"));
            prop_assert!(!shown.contains(value), "{shown:?}");
        }
    }
}
