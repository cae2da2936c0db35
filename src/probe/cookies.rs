//! The cookies that servers set on the way of one exchange: they go along from hop to hop, as in a browser that was opened for it, and
//! are gone with it.
//!
//! RFC 6265 in small: domain, path and `Secure` say where a cookie goes, and a cookie that is over is forgotten. No list of public
//! suffixes is kept: within one exchange, a cookie holds nothing but what a server on its way said, and could have written into the
//! location as well.

use std::time::UNIX_EPOCH;

use api_health_actors::ports::Clock as _;
use url::{Host, Url};

use super::wire::Headers;
use crate::clock::SystemClock;

/// The most cookies that one exchange keeps; more are passed over.
const COOKIES_MAX: usize = 50;
/// The longest cookie, name and value together, and the longest header that is made of them.
const COOKIE_BYTES_MAX: usize = 4096;
/// A longer path is passed over, as browsers do.
const PATH_BYTES_MAX: usize = 1024;
const HEADER_BYTES_MAX: usize = 8190;

#[derive(Default)]
pub(super) struct Cookies(Vec<Cookie>);

struct Cookie {
    /// `name=value`, and how much of it is the name.
    pair: Vec<u8>,
    name_bytes: usize,
    domain: String,
    /// Only the host that set it gets it.
    host_only: bool,
    path: String,
    secure: bool,
}

impl Cookies {
    /// Keeps what an answer from `url` sets.
    pub(super) fn take(&mut self, headers: &Headers, url: &Url) {
        for value in headers.all("set-cookie") {
            let Some((cookie, is_over)) = Cookie::read(value, url) else { continue };
            self.0.retain(|other| !cookie.replaces(other));
            if !is_over && self.0.len() < COOKIES_MAX {
                self.0.push(cookie);
            }
        }
    }

    /// What is sent to `url`, if anything.
    pub(super) fn header(&self, url: &Url) -> Option<Vec<u8>> {
        let mut header = Vec::new();
        for cookie in self.0.iter().filter(|cookie| cookie.goes_to(url)) {
            if header.len() + cookie.pair.len() + 2 > HEADER_BYTES_MAX {
                break;
            }
            if !header.is_empty() {
                header.extend_from_slice(b"; ");
            }
            header.extend_from_slice(&cookie.pair);
        }
        (!header.is_empty()).then_some(header)
    }
}

impl Cookie {
    /// One cookie, and whether it is over; `None` if it cannot be sent back, or is not the server's to set.
    fn read(header: &[u8], url: &Url) -> Option<(Self, bool)> {
        let mut parts = header.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let pair = parts.next()?;
        let name_bytes = pair.iter().position(|&b| b == b'=')?;
        // A control character in it could smuggle a header; clients drop such cookies.
        if name_bytes == 0 || pair.len() > COOKIE_BYTES_MAX || pair.iter().any(u8::is_ascii_control) {
            return None;
        }
        let host = url.host_str()?.to_owned();
        let mut cookie = Self {
            pair: pair.to_vec(),
            name_bytes,
            domain: host,
            host_only: true,
            path: default_path(url),
            secure: false,
        };
        let (mut by_age, mut by_date) = (None, None);
        for part in parts {
            let (name, value) = part.split_at(part.iter().position(|&b| b == b'=').unwrap_or(part.len()));
            let value = str::from_utf8(value).unwrap_or_default().trim_start_matches('=').trim();
            match &name.trim_ascii().to_ascii_lowercase()[..] {
                b"domain" if !value.is_empty() => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    if !is_within(url, &domain) {
                        return None;
                    }
                    (cookie.domain, cookie.host_only) = (domain, false);
                }
                b"path" if value.starts_with('/') && value.len() <= PATH_BYTES_MAX => cookie.path = value.to_owned(),
                b"secure" => cookie.secure = true,
                b"max-age" => by_age = value.parse::<i64>().ok().map(|seconds| seconds <= 0),
                b"expires" => by_date = is_past(value),
                _ => {}
            }
        }
        Some((cookie, by_age.or(by_date).unwrap_or(false)))
    }

    fn replaces(&self, other: &Self) -> bool {
        self.pair[..self.name_bytes] == other.pair[..other.name_bytes]
            && (&self.domain, self.host_only, &self.path) == (&other.domain, other.host_only, &other.path)
    }

    fn goes_to(&self, url: &Url) -> bool {
        let is_host = url.host_str() == Some(&self.domain);
        let is_path = url
            .path()
            .strip_prefix(&self.path)
            .is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'));
        (is_host || (!self.host_only && is_within(url, &self.domain)))
            && is_path
            && (!self.secure || url.scheme() == "https")
    }
}

/// RFC 6265, 5.1.4: the folder of what was asked for.
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        Some(last) if last > 0 => url.path()[..last].to_owned(),
        _ => "/".to_owned(),
    }
}

/// RFC 6265, 5.1.3: `domain` is the host of `url`, or what it is part of.
fn is_within(url: &Url, domain: &str) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => {
            host == domain || (domain.contains('.') && host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')))
        }
        Some(_) => url.host_str() == Some(domain),
        None => false,
    }
}

fn is_past(date: &str) -> Option<bool> {
    // Old servers write hyphens into the date.
    let date = httpdate::parse_http_date(&date.replace('-', " ")).ok()?;
    let millis = date.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Some(i64::try_from(millis).unwrap_or(i64::MAX) <= SystemClock.now().as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set: &[&str], from: &str, to: &str) -> String {
        let mut cookies = Cookies::default();
        let head = set.iter().map(|value| format!("set-cookie: {value}\r\n")).collect::<String>();
        let headers = Headers::of(format!("HTTP/1.1 302 X\r\n{head}\r\n").into_bytes());
        cookies.take(&headers, &Url::parse(from).unwrap());
        let header = cookies.header(&Url::parse(to).unwrap());
        header.map(|header| String::from_utf8(header).unwrap()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_where_its_host_path_and_scheme_say() {
        let here = "http://shop.test/a/b";
        for (set, to, goes) in [
            ("k=v", "http://shop.test/a/c", true),
            ("k=v", "http://shop.test:81/a", true),
            ("k=v", "http://shop.test/b", false),
            ("k=v", "http://shop.test/ab", false),
            ("k=v; Path=/", "http://shop.test/b", true),
            ("k=v; Path=/", "http://other.test/", false),
            ("k=v; Path=/", "http://www.shop.test/", false),
            ("k=v; Path=/; Domain=shop.test", "http://www.shop.test/", true),
            ("k=v; Path=/; Domain=.shop.test", "http://badshop.test/", false),
            ("k=v; Path=/; Domain=www.shop.test", "http://www.shop.test/", false),
            ("k=v; Path=/; Domain=test", "http://other.test/", false),
            ("k=v; Path=/; Secure", "http://shop.test/", false),
            ("k=v; Path=/; Secure", "https://shop.test/", true),
            ("k=v; Path=/; Max-Age=0", "http://shop.test/", false),
            ("k=v; Path=/; Max-Age=9; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://shop.test/", true),
            ("k=v; Path=/; Expires=Thu, 01-Jan-1970 00:00:01 GMT", "http://shop.test/", false),
            ("k=v; Path=/; expires=Fri, 31 Dec 9999 23:59:59 GMT", "http://shop.test/", true),
            ("k=\u{1}v; Path=/", "http://shop.test/", false),
            ("=v; Path=/", "http://shop.test/", false),
            ("v; Path=/", "http://shop.test/", false),
        ] {
            assert_eq!(sent(&[set], here, to), if goes { "k=v" } else { "" }, "{set} to {to}");
        }
        assert_eq!(sent(&["k=v; Domain=127.0.0.1; Path=/"], "http://127.0.0.1/", "http://127.0.0.1/"), "k=v");
        assert_eq!(sent(&["k=v; Domain=0.0.1; Path=/"], "http://127.0.0.1/", "http://127.0.0.1/"), "");
    }

    #[test]
    fn a_later_cookie_of_a_name_replaces_the_earlier_one_or_takes_it_back() {
        let (from, to) = ("http://a.test/", "http://a.test/");
        assert_eq!(sent(&["a=1", "b=2", "a=3"], from, to), "b=2; a=3");
        assert_eq!(sent(&["a=1", "b=2", "a=; Max-Age=-1"], from, to), "b=2");
    }

    #[test]
    fn there_are_so_many_cookies_of_so_many_bytes() {
        let (from, to) = ("http://a.test/", "http://a.test/");
        let many: Vec<String> = (0..=COOKIES_MAX).map(|i| format!("k{i}=v")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(sent(&many, from, to).split("; ").count(), COOKIES_MAX);
        let far_off = |bytes: usize| format!("k=v; Path=/{}", "p".repeat(bytes - 1));
        assert_eq!(sent(&[&far_off(PATH_BYTES_MAX)], from, to), "", "it is for another path");
        assert_eq!(sent(&[&far_off(PATH_BYTES_MAX + 1)], from, to), "k=v", "such a path is passed over");
        let longest = format!("k={}", "v".repeat(COOKIE_BYTES_MAX - 2));
        assert_eq!(sent(&[&longest], from, to), longest);
        assert_eq!(sent(&[&format!("{longest}v")], from, to), "");
        let second = longest.replace("k=", "l=");
        assert_eq!(sent(&[&longest, &second], from, to), longest, "two of them are longer than servers take");
    }
}
