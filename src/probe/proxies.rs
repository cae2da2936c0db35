//! Which proxy a request goes by: the setting or the environment, and which hosts are asked without one, as curl has it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use api_health_core::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::place;

/// What is written where a proxy stands and none is wanted.
pub const NONE: &str = "none";

/// One HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Without user name and password.
    url: Url,
    user: Option<(String, Secret)>,
}

impl Proxy {
    /// Reads `http://user:password@host:port`; without a scheme it is http, without a port 80.
    ///
    /// # Errors
    /// Says why it is none, and nothing of what was written: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&whole).map_err(|_| "is not the URL of a proxy")?;
        match url.scheme() {
            "http" => {}
            "https" => return Err("is a proxy that speaks TLS itself, and api-health speaks to those of http alone"),
            _ => return Err("is neither the URL of an http proxy nor \"none\""),
        }
        if url.host().is_none() || !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some()
        {
            return Err("is more, or less, than a host and a port");
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = (decoded(url.username()), Secret::new(decoded(url.password().unwrap_or_default())));
        let user = Some(user).filter(|(name, password)| !name.is_empty() || !password.reveal().is_empty());
        // Neither can fail on the URL of a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { url, user })
    }

    /// `http://host:port`, without user name and password.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The user name and the password.
    pub fn user(&self) -> Option<&(String, Secret)> {
        self.user.as_ref()
    }

    /// `host:port`, for people.
    pub fn shown(&self) -> String {
        place::shown(&self.url)
    }

    /// The value of Proxy-Authorization.
    pub(super) fn authorization(&self) -> Option<Secret> {
        let (name, password) = self.user.as_ref()?;
        Some(Secret::new(format!("Basic {}", STANDARD.encode(format!("{name}:{}", password.reveal())))))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.shown())
    }
}

/// The proxies in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http`.
    pub http: Option<Arc<Proxy>>,
    /// For `https`.
    pub https: Option<Arc<Proxy>>,
    /// Who is asked directly: the value of `no_proxy`.
    pub except: String,
    /// A setting says so, and no variable: the AWS SDK, which reads the variables itself, has to be told.
    pub by_setting: bool,
    /// Which proxy is used for what, and where that is written; empty if there is none.
    pub ways: String,
    /// What is set and cannot be used, in words.
    pub unusable: Vec<String>,
}

impl Proxies {
    /// The proxy for `url`, if it is to be asked by one.
    pub fn of(&self, url: &Url) -> Option<&Arc<Proxy>> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.excepts(url))
    }

    fn excepts(&self, url: &Url) -> bool {
        let entries = self.except.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
        entries.into_iter().any(|entry| {
            let (host, port) = with_port(entry);
            port.is_none_or(|port| url.port_or_known_default() == Some(port)) && names(host, url)
        })
    }
}

/// `host:port` taken apart; an IPv6 address has colons of its own.
fn with_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

/// Whether an entry of `no_proxy` means the host of `url`: `*`, a name and all that ends in it, an address or a range of them.
fn names(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let address = match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain(host)) => {
            let host = host.trim_end_matches('.');
            let entry =
                entry.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.').to_ascii_lowercase();
            let before = host.strip_suffix(&entry);
            return !entry.is_empty() && before.is_some_and(|before| before.is_empty() || before.ends_with('.'));
        }
        None => return false,
    };
    let (range, bits) = match entry.split_once('/') {
        Some((range, bits)) => (range, bits.parse().ok()),
        None => (entry, Some(u32::from(u8::MAX))),
    };
    match (range.trim_start_matches('[').trim_end_matches(']').parse(), address, bits) {
        (Ok(IpAddr::V4(range)), IpAddr::V4(ip), Some(bits)) => {
            same_bits(u32::from(range).into(), u32::from(ip).into(), 32, bits)
        }
        (Ok(IpAddr::V6(range)), IpAddr::V6(ip), Some(bits)) => same_bits(range.into(), ip.into(), 128, bits),
        _ => false,
    }
}

/// Whether two addresses of `width` bits agree in the first `bits`.
fn same_bits(a: u128, b: u128, width: u32, bits: u32) -> bool {
    (a ^ b).checked_shr(width - bits.min(width)).unwrap_or(0) == 0
}

/// What one API says of it, over the proxies in force.
#[derive(Clone, Debug, Default)]
pub enum ProxyChoice {
    /// Nothing.
    #[default]
    AsSet,
    /// It is asked directly.
    Direct,
    /// It is asked by this one.
    By(Arc<Proxy>),
}

impl ProxyChoice {
    /// Reads the field of a row.
    ///
    /// # Errors
    /// As [`Proxy::parse`].
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match text.trim() {
            NONE => Ok(Self::Direct),
            proxy => Proxy::parse(proxy).map(|proxy| Self::By(Arc::new(proxy))),
        }
    }

    pub(super) fn choose<'a>(&'a self, set: &'a Proxies, url: &Url) -> Option<&'a Arc<Proxy>> {
        match self {
            Self::AsSet => set.of(url),
            Self::Direct => None,
            Self::By(proxy) => Some(proxy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_in_each_form_and_its_password_shown_in_none() {
        for (text, shown, authorization) in [
            ("http://10.0.0.1:3128", "10.0.0.1:3128", None),
            ("10.0.0.1:3128/", "10.0.0.1:3128", None),
            ("proxy.test", "proxy.test:80", None),
            ("http://[::1]:81", "[::1]:81", None),
            // base64 of `me:p@ss:w`, made with Python
            ("http://me:p%40ss:w@proxy.test:8080", "proxy.test:8080", Some("Basic bWU6cEBzczp3")),
            ("me@proxy.test:8080", "proxy.test:8080", Some("Basic bWU6")),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.shown(), shown, "{text}");
            assert_eq!(proxy.authorization().as_ref().map(Secret::reveal), authorization, "{text}");
            assert!(!format!("{proxy:?}{}", proxy.url()).contains("me"), "{proxy:?}");
        }
        for text in ["socks5://a:1", "https://a:1", "http://", "", "http://a/x", "http://a:99999", "http://a b"] {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whoever_no_proxy_names_is_asked_directly() {
        let excepts = |except: &str, url: &str| {
            let all = Proxies { except: except.into(), ..Proxies::default() };
            all.excepts(&Url::parse(url).unwrap())
        };
        for (except, url) in [
            ("*", "http://a.test/"),
            ("a.test", "http://a.test:81/"),
            ("b.test, a.test", "https://x.a.test/"),
            (".a.test", "http://a.test/"),
            ("*.A.test", "http://x.a.test./"),
            ("a.test:81", "http://a.test:81/"),
            ("10.0.0.1", "http://10.0.0.1/"),
            ("10.0.0.0/8", "http://10.9.9.9/"),
            ("0.0.0.0/0", "http://1.2.3.4/"),
            ("[::1]", "http://[::1]/"),
            ("[::1]:81", "http://[::1]:81/"),
            ("fd00::/8", "http://[fd12::1]/"),
        ] {
            assert!(excepts(except, url), "{except} and {url}");
        }
        for (except, url) in [
            ("", "http://a.test/"),
            ("a.test", "http://ba.test/"),
            ("a.test:81", "http://a.test/"),
            ("10.0.0.1", "http://10.0.0.11/"),
            ("10.0.0.0/8", "http://11.0.0.1/"),
            ("10.0.0.0/x", "http://10.0.0.1/"),
            ("::/0", "http://10.0.0.1/"),
            (".", "http://a.test/"),
        ] {
            assert!(!excepts(except, url), "{except} and {url}");
        }
    }
}
