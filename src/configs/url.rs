//! What a URL must be to be probed or posted to.
//!
//! Literal addresses are refused here already, so that the person who wrote one hears of it at once. The guard that
//! counts is the prober's own: it looks at the very addresses that a name resolves to.

use std::net::IpAddr;

use url::{Host, Url};

use super::values::{ValueFault, quote};
use crate::probe::guard::Allowed;

/// The longest URL, as it is written and as it is sent: in ASCII, where one character may become twelve (`%F0%9F%A6%80`).
/// It stands in each alert that is owed, and fifty of them must fit into one record.
pub const CHARS_MAX: usize = 2048;

const WANTED: &str = "an http or https URL, such as \"https://shop.example.com/health\"";

/// Checks a URL: http or https, a host, no user name, no fragment, no address that is never probed.
///
/// # Errors
/// The first thing that is wrong with it, without showing a password or a query.
pub fn check(text: &str) -> Result<Url, ValueFault> {
    if super::secrets::has_reference(text) {
        let why = "has a ${…} in it, and a URL stands in alerts and logs, where no secret may";
        return Err(ValueFault::new("the URL", why, "the secret into a header instead"));
    }
    check_for(text, &Allowed::default())
}

/// The same where these link-local networks may be probed.
pub(super) fn check_for(text: &str, allowed: &Allowed) -> Result<Url, ValueFault> {
    check_length(text)?;
    let fault = |why: String, remedy: &str| ValueFault::new(show(text), why, remedy);
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(fault("has a space or control character".into(), "the URL without it, or %20 for a space"));
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => fault("has no scheme".into(), WANTED),
        other => fault(format!("is not a URL ({other})"), WANTED),
    })?;
    if url.as_str().len() > CHARS_MAX {
        let why =
            format!("has {} characters in the form in which it is sent, more than {CHARS_MAX}", url.as_str().len());
        return Err(ValueFault::new("the URL", why, "a shorter one; put what is long into the body or a header"));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(fault("is neither http nor https".into(), WANTED));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let why = "has a user name or password before the host, and a URL stands in alerts and logs".into();
        return Err(fault(why, "it into a header: headers = { Authorization = \"Basic ${env:NAME}\" }"));
    }
    if url.fragment().is_some() {
        return Err(fault("has a fragment (#…), which is never sent".into(), "the URL without it"));
    }
    let address = match url.host() {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(Host::Domain(name)) if !name.is_empty() => None,
        _ => return Err(fault("has no host".into(), WANTED)),
    };
    match address.and_then(|address| allowed.refuse(address)) {
        Some(why) => Err(fault(format!("points at {why}, which is never probed"), "the address of an API")),
        None => Ok(url),
    }
}

pub(super) fn check_length(text: &str) -> Result<(), ValueFault> {
    let chars = text.chars().count();
    if chars <= CHARS_MAX {
        return Ok(());
    }
    Err(ValueFault::new(
        "the URL",
        format!("has {chars} characters, more than {CHARS_MAX}"),
        "a shorter one; put what is long into the body or a header",
    ))
}

/// The URL as far as it may be shown: without a user name and without the query. What stands behind a colon and is no port may be
/// a password whose `@` is missing.
pub(super) fn show(text: &str) -> String {
    let before_query = &text[..text.find(['?', '#']).unwrap_or(text.len())];
    let behind_scheme = before_query.split_once("://").map_or(before_query, |(_, rest)| rest);
    let authority = behind_scheme.split('/').next().unwrap_or_default();
    let host_and_port = authority.rsplit(']').next().unwrap_or_default();
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if before_query.contains('@') || !host_and_port.split(':').skip(1).all(is_port) {
        return "the URL".into();
    }
    quote(before_query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn why(text: &str) -> String {
        let fault = check(text).unwrap_err();
        format!("{} {}", fault.what, fault.why)
    }

    #[test]
    fn good_urls_are_written_in_their_plain_form() {
        for (written, read) in [
            ("https://Shop.example.com", "https://shop.example.com/"),
            ("http://127.0.0.1:8080/health?deep=1", "http://127.0.0.1:8080/health?deep=1"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
            ("http://10.0.0.1/", "http://10.0.0.1/"),
        ] {
            assert_eq!(check(written).unwrap().as_str(), read);
        }
    }

    #[test]
    fn addresses_in_every_spelling_are_refused() {
        for text in [
            "http://169.254.169.254/latest/meta-data",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://0251.0376.0251.0376/",
            "http://169.254.170.2/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[::]/",
            "http://224.0.0.1/",
            "http://[ff02::1]/",
            "http://255.255.255.255/",
        ] {
            assert!(why(text).ends_with(", which is never probed"), "{text}");
        }
    }

    #[test]
    fn each_fault_is_named_and_no_password_or_query_shown() {
        assert_eq!(why("ftp://shop.test/?key=hunter2"), "\"ftp://shop.test/\" is neither http nor https");
        assert!(why("https://me:hunter2@shop.test/").starts_with("the URL has a user name or password"));
        assert!(why("me:hunter2@shop.test").starts_with("the URL is neither"));
        assert!(why("https://me:hunter2shop.test/").starts_with("the URL is not a URL (invalid port"));
        assert!(why("https://me:hunter2:80/").starts_with("the URL is not a URL"));
        assert!(why("me:hunter2shop.test").starts_with("the URL is neither"));
        assert!(why("https://a.test:99999/").starts_with("\"https://a.test:99999/\" is not a URL (invalid port"));
        assert!(why("shop.test/health").ends_with("has no scheme"));
        assert!(why("https://").contains("is not a URL"));
        assert!(why("https://a b/").contains("has a space"));
        assert!(why("https://a/#hunter2").contains("\"https://a/\" has a fragment"));
        assert!(why("https://a/?k=${env:TOKEN}").contains("a URL stands in alerts"));
        assert!(why(&format!("https://a/{}", "x".repeat(2048))).contains("more than 2048"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r"(https?://)?[a-z0-9.:@/#?\[\]$ ü%]{0,40}") {
            if let Ok(url) = check(&text) {
                prop_assert!(check(url.as_str()).is_ok(), "what was read can be written again");
            }
        }
    }
}
