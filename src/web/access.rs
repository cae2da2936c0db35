//! Who may look: on this machine whoever comes by a name of loopback; from elsewhere whoever has a token, is let through by a proxy
//! that is trusted, or anybody where the settings say so.

use std::fmt;
use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Who may look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Names by which it may be called beside those of loopback and addresses, in small letters, without a port.
    pub hosts: Vec<String>,
    pub tokens: Vec<TokenHash>,
    /// The header in which a proxy says who looks, in small letters.
    pub trusted_header: Option<String>,
    /// The addresses of proxies whose word counts.
    pub trusted_proxies: Vec<Prefix>,
    /// Anybody may look.
    pub is_open: bool,
}

/// Headers by which a proxy says that it passes a request on: its sender is not on this machine, whatever the address says.
const PASSED_ON: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// And each header whose name begins so.
const PASSED_ON_PREFIX: &str = "x-forwarded-";

/// The name in a `Host`, without its port.
fn name_of(host: &str) -> &str {
    match host.rfind(':') {
        Some(at) if host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) && !host[at + 1..].is_empty() => {
            &host[..at]
        }
        _ => host,
    }
}

/// The address in such a name, if it is one.
fn address_of(name: &str) -> Option<IpAddr> {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

impl Access {
    /// Whether it may be called by this `Host`. A page on loopback that took any name could be read by a foreign page whose name leads
    /// there (DNS rebinding). An address is no such name.
    pub fn takes_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = name_of(&host);
        let is_address = address_of(name).is_some();
        name == "localhost" || is_address || self.hosts.iter().any(|known| known == name)
    }

    /// Who sends this request, from that address.
    pub fn looker(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Looker {
        let is_known = self.is_open || self.is_let_through(peer, headers) || self.has_token(headers);
        if is_known || self.is_here(peer, headers) { Looker::Known } else { Looker::Stranger }
    }

    /// A trusted proxy says who it is.
    fn is_let_through(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let says = self.trusted_header.as_ref().and_then(|name| headers.get(name.as_str()));
        self.is_trusted_proxy(peer) && says.is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
    }

    fn is_trusted_proxy(&self, peer: Option<IpAddr>) -> bool {
        peer.is_some_and(|peer| self.trusted_proxies.iter().any(|prefix| prefix.holds(peer)))
    }

    /// As `Authorization: Bearer TOKEN`, or as the password of `Basic`, where the name does not matter.
    fn has_token(&self, headers: &HeaderMap) -> bool {
        let Some(written) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, rest)) = written.split_once(' ') else { return false };
        let token = if scheme.eq_ignore_ascii_case("bearer") {
            rest.trim().to_owned()
        } else if scheme.eq_ignore_ascii_case("basic") {
            let Some(pair) = STANDARD.decode(rest.trim()).ok().and_then(|pair| String::from_utf8(pair).ok()) else {
                return false;
            };
            let Some((_, password)) = pair.split_once(':') else { return false };
            password.to_owned()
        } else {
            return false;
        };
        let hash = TokenHash::of(&token);
        self.tokens.iter().any(|known| verify_slices_are_equal(&known.0, &hash.0).is_ok())
    }

    /// It comes from this machine, and from nobody beyond it. A trusted proxy speaks for others, also from here.
    fn is_here(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
        let is_loopback = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
        let is_passed_on = headers
            .keys()
            .any(|name| PASSED_ON.contains(&name.as_str()) || name.as_str().starts_with(PASSED_ON_PREFIX));
        // A proxy on this machine that says nothing of itself often keeps the name that it was called by.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = name_of(host).to_ascii_lowercase();
        let is_called_here = name == "localhost" || address_of(&name).is_some_and(|address| address.is_loopback());
        is_loopback && is_called_here && !is_passed_on && !self.is_trusted_proxy(peer)
    }
}

/// Who looks. A route that is for everybody (`for_everybody` in `server.rs`) can take it as an argument, and show a
/// stranger less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looker {
    Known,
    Stranger,
}

impl FromRequest for Looker {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request.extensions().get().copied().unwrap_or(Self::Stranger)))
    }
}

/// What is kept of a token. A token is 256 random bits, so nobody finds one by trying, and a fast hash is enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

const HASH_PREFIX: &str = "sha256:";

impl TokenHash {
    pub fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    /// Reads what [`fmt::Display`] writes: `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH_PREFIX)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::try_from(16 * hex(pair[0])? + hex(pair[1])?).ok()?;
        }
        Some(Self(hash))
    }

    /// As much of it as tells tokens apart.
    pub fn in_short(&self) -> String {
        format!("{}…", &self.to_string()[..HASH_PREFIX.len() + 8])
    }
}

fn hex(digit: u8) -> Option<u32> {
    char::from(digit).to_digit(16)
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HASH_PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_short())
    }
}

/// A new token; `None`: the system gives no random bytes.
pub fn new_token() -> Option<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// An address, or all that begin like it: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// Reads it; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let is_number = |length: &str| !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.map_or(Some(longest), |length| length.parse().ok().filter(|_| is_number(length)))?;
        (length <= longest).then_some(Self { address, length })
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let address = address.to_canonical();
        let differ = bits(address) ^ bits(self.address);
        address.is_ipv4() == self.address.is_ipv4() && differ.leading_zeros() >= u32::from(self.length)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_names_that_are_known_are_taken() {
        let access = Access { hosts: vec!["status.example.org".into()], ..Access::default() };
        for good in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:8080",
            "10.0.0.7:8462",
            "status.example.org:443",
        ] {
            assert!(access.takes_host(good), "{good}");
        }
        for bad in
            ["", ":", "evil.example", "localhost.evil.example", "127.0.0.1.evil", "::1", "localhost:80x", "[::1]evil"]
        {
            assert!(!access.takes_host(bad), "{bad}");
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn from_elsewhere_it_takes_a_token_a_trusted_proxy_or_an_open_page() {
        let token = new_token().unwrap();
        let closed = Access::default();
        let by_token = Access { tokens: vec![TokenHash::of("other"), TokenHash::of(&token)], ..Access::default() };
        let by_proxy = Access {
            trusted_header: Some("x-user".into()),
            trusted_proxies: vec![Prefix::parse("10.0.0.0/8").unwrap()],
            ..Access::default()
        };
        let open = Access { is_open: true, ..Access::default() };
        let (here, near, far) = ("127.0.0.1", "10.1.2.3", "192.0.2.1");
        let bearer = format!("Bearer {token}");
        let basic = format!("basic {}", STANDARD.encode(format!("anybody:{token}")));
        let wrong = format!("Bearer {token}x");
        for (access, peer, sent, is_known) in [
            (&closed, here, vec![], true),
            (&closed, here, vec![("host", "[::1]:8462")], true),
            (&closed, here, vec![("host", "status.example.org")], false),
            (&closed, here, vec![("host", "192.0.2.7")], false),
            (&closed, here, vec![("x-forwarded-host", "status.example.org")], false),
            (&closed, "::ffff:127.0.0.1", vec![], true),
            (&closed, here, vec![("x-forwarded-for", far)], false),
            (&closed, far, vec![], false),
            (&closed, far, vec![("authorization", &*bearer)], false),
            (&by_token, far, vec![("authorization", &*bearer)], true),
            (&by_token, far, vec![("authorization", &*basic)], true),
            (&by_token, here, vec![("via", "1.1 proxy"), ("authorization", &*bearer)], true),
            (&by_token, far, vec![("authorization", &*wrong)], false),
            (&by_token, far, vec![("authorization", "Bearer")], false),
            (&by_token, far, vec![("authorization", "Basic !")], false),
            (&by_token, far, vec![("authorization", "Digest x")], false),
            (&by_token, far, vec![], false),
            (&by_proxy, near, vec![("x-user", "anna")], true),
            (&by_proxy, near, vec![("x-user", " ")], false),
            (&by_proxy, near, vec![], false),
            (&by_proxy, far, vec![("x-user", "anna")], false),
            (&by_proxy, here, vec![], true),
            (&open, far, vec![], true),
        ] {
            let mut sent = sent;
            if !sent.iter().any(|(name, _)| *name == "host") {
                sent.push(("host", "localhost:8462"));
            }
            let known = access.looker(Some(peer.parse().unwrap()), &headers(&sent)) == Looker::Known;
            assert_eq!(known, is_known, "{access:?} {peer} {sent:?}");
        }
        assert_eq!(closed.looker(None, &headers(&[])), Looker::Stranger);
        // A trusted proxy on this machine speaks for others.
        let beside = Access { trusted_proxies: vec![Prefix::parse("127.0.0.1").unwrap()], ..by_proxy };
        assert_eq!(beside.looker(Some(here.parse().unwrap()), &headers(&[])), Looker::Stranger);
    }

    #[test]
    fn hashes_and_prefixes_are_read_as_they_are_written() {
        let hash = TokenHash::of("x");
        assert_eq!(TokenHash::parse(&hash.to_string()), Some(hash));
        let long = format!("{hash}0");
        for bad in ["", "sha256:", "sha256:00", &long, &hash.to_string().replace("2d", "+d"), "md5:00"] {
            assert_eq!(TokenHash::parse(bad), None, "{bad}");
        }
        assert_ne!(new_token(), new_token());
        let holds = |prefix: &str, address: &str| Prefix::parse(prefix).unwrap().holds(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1") && holds("fd00::/8", "fdff::1"));
        assert!(holds("192.0.2.7", "::ffff:192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        for bad in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::/129", "host"] {
            assert_eq!(Prefix::parse(bad), None, "{bad}");
        }
    }
}
