//! Whom the owner of an API may turn to about its probes. It becomes a comment in a header, so it is held to what may stand there.

use serde_json::Value;
use url::{Host, Url};

use crate::configs::field::{About, Context, Parsed};
use crate::configs::kinds::parse_text;
use crate::configs::values::{ValueFault, quote};

/// The longest contact.
pub(super) const CHARS_MAX: usize = 200;
pub(super) const WORDS: &str = "an e-mail address, or a URL with http or https; at most 200 characters";

pub(super) fn parse(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    fault(text).map_or_else(|| Ok(text.to_owned()), |why| Err(ValueFault::new(quote(text), why, about.wanted()).into()))
}

/// Why it is none.
fn fault(text: &str) -> Option<&'static str> {
    // RFC 9110, 5.6.5: the ends of a comment, and what hides them.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"()\\".contains(&byte)) {
        return Some("has a character that cannot stand in a User-Agent");
    }
    if let Some((_, host)) = text.split_once('@').filter(|(name, _)| is_local_part(name)) {
        let is_host = host.contains('.') && matches!(Host::parse(host), Ok(Host::Domain(_)));
        return (!is_host).then_some("is not an e-mail address");
    }
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Some("is not http or https"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Some("has a user name or password in it"),
        Ok(_) => None,
        Err(_) => Some("is neither an e-mail address nor a URL"),
    }
}

/// What stands before the `@`, in the form without quotes.
fn is_local_part(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_url_is_taken_and_what_could_break_a_header_is_not() {
        for good in
            ["ops@example.com", "o.p+s@mail.example.co.uk", "https://status.example.com", "http://10.0.0.1/x?y=z"]
        {
            assert_eq!(fault(good), None, "{good}");
        }
        for (bad, why) in [
            ("https://a.test/\r\nx: y", "cannot stand"),
            ("https://a.test/ b", "cannot stand"),
            ("https://a.test/(b)", "cannot stand"),
            ("https://a.test/\\", "cannot stand"),
            ("https://münchen.example", "cannot stand"),
            ("ops@localhost", "not an e-mail"),
            ("ops@10.0.0.1", "not an e-mail"),
            ("ops@a.test@b.test", "not an e-mail"),
            ("mailto:ops@example.com", "not http"),
            ("https://me:hunter2@a.test/", "user name or password"),
            ("the ops team", "cannot stand"),
            ("ops", "neither"),
        ] {
            assert!(fault(bad).is_some_and(|said| said.contains(why)), "{bad}: {:?}", fault(bad));
        }
    }
}
