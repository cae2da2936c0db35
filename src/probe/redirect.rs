//! Where a redirect leads, and whether it can be followed.

use api_health_core::{Failure, text};
use url::Url;

use super::wire::Head;

/// The longest location that is followed; as long as most servers take a request line.
const LOCATION_BYTES_MAX: usize = 8 * 1024;
/// Characters of a location that are reported.
const LOCATION_CHARS_SHOWN: usize = 200;

/// The URL to ask next, if `head` redirects. A redirect without a location is an answer like any other.
pub(super) fn target(head: &Head, from: &Url) -> Result<Option<Url>, Failure> {
    if !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = head.headers.get("location") else { return Ok(None) };
    if location.len() > LOCATION_BYTES_MAX {
        return Err(bad(format!("its location is longer than {LOCATION_BYTES_MAX} bytes")));
    }
    let mut target = from.join(&text_of(location)).map_err(|e| bad(format!("its location is not a URL: {e}")))?;
    if !matches!(target.scheme(), "http" | "https") {
        return Err(bad(format!("it leads to {}: which is neither http nor https", target.scheme())));
    }
    // A user name in a location is the server's idea, and is not sent. Both calls cannot fail on an http URL.
    let _ = target.set_username("");
    let _ = target.set_password(None);
    Ok(Some(target))
}

/// A location as text. Old servers write Latin-1, and browsers ask for those very bytes.
fn text_of(location: &[u8]) -> String {
    let percented = |byte: &u8| if byte.is_ascii() { char::from(*byte).into() } else { format!("%{byte:02X}") };
    str::from_utf8(location).map_or_else(|_| location.iter().map(percented).collect(), str::to_owned)
}

/// A location as it may be shown: short, and without what could fool a terminal or a log. Host and path say why a probe failed; behind
/// them, and before an `@`, there often is a signature or a token that opens a door to whoever reads it.
pub(super) fn shown(location: &[u8]) -> String {
    let secret = location.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(location.len());
    // Enough bytes for so many characters, and for one more that shows that it was cut.
    let begin = &location[..secret.min(4 * (LOCATION_CHARS_SHOWN + 1))];
    let mut open = String::from_utf8_lossy(begin).into_owned();
    // As browsers read it: a backslash is a slash, and any number of them may stand before the host.
    let is_slash = |c: char| matches!(c, '/' | '\\');
    let scheme =
        open.find(':').filter(|&at| open[..at].bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)));
    let rest = scheme.map_or(0, |at| at + 1);
    let slashes = open[rest..].find(|c| !is_slash(c)).unwrap_or(open.len() - rest);
    let host = rest + slashes;
    let is_path = scheme.is_none() && slashes < 2;
    let path = if is_path { host } else { open[host..].find(is_slash).map_or(open.len(), |at| host + at) };
    if let Some(user) = open[host..path].rfind('@') {
        open.replace_range(host..host + user, "***");
    }
    if secret < location.len() {
        open.push_str(if location[secret] == b'?' { "?***" } else { "#***" });
    }
    text::line(&open, LOCATION_CHARS_SHOWN)
}

fn bad(detail: String) -> Failure {
    Failure::BadRedirect { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_that_is_not_utf_8_is_asked_for_byte_by_byte() {
        assert_eq!(text_of(b"/caf\xe9?\xff=1"), "/caf%E9?%FF=1");
        assert_eq!(text_of("/café".as_bytes()), "/café", "a URL encodes it itself");
    }

    #[test]
    fn a_shown_location_has_no_signature_and_no_password() {
        for (location, told) in [
            ("https://store.test/x?X-Amz-Signature=d34db33f", "https://store.test/x?***"),
            ("/callback#access_token=d34db33f", "/callback#***"),
            ("https://me:d34db33f@store.test/x@y", "https://***@store.test/x@y"),
            ("https:///me:d34db33f@store.test/x", "https:///***@store.test/x"),
            ("///me:d34db33f@store.test", "///***@store.test"),
            ("https:\\\\me:d34db33f@store.test/a//b", "https:\\\\***@store.test/a//b"),
            ("//me@store.test?a", "//***@store.test?***"),
            ("/a@b", "/a@b"),
        ] {
            assert_eq!(shown(location.as_bytes()), told);
        }
    }

    #[test]
    fn a_shown_location_is_short_and_harmless() {
        assert_eq!(shown(b"/a\x1b[31m"), "/a\u{fffd}[31m");
        assert_eq!(shown("/\u{202e}gpj.exe".as_bytes()), "/\u{fffd}gpj.exe");
        assert_eq!(shown("ü".repeat(1_000).as_bytes()).chars().count(), 200);
    }
}
