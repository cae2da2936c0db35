//! Where to connect to, written as `HOST:PORT`.

use std::net::IpAddr;

use url::{Host, Url};

/// Reads `HOST:PORT`, or `HOST` where there is a port that is meant then. What comes back can be dialled as any other URL.
///
/// # Errors
/// Why it is none.
pub fn parse(text: &str, default_port: Option<u16>) -> Result<Url, &'static str> {
    let written = Url::parse(&format!("tcp://{text}")).map_err(|_| "is not a host and a port")?;
    let is_bare = written.username().is_empty() && written.password().is_none() && written.query().is_none();
    if !is_bare || written.fragment().is_some() || !matches!(written.path(), "" | "/") {
        return Err("has more in it than a host and a port");
    }
    // What is no http URL is taken as it is: that a host is an address, or has a capital letter, is seen here alone.
    let host = Host::parse(written.host_str().unwrap_or_default()).map_err(|_| "has no host that there can be")?;
    let port = written.port().or(default_port).ok_or("names no port")?;
    Url::parse(&format!("http://{host}:{port}/")).map_err(|_| "is not a host and a port")
}

/// As it is written: `shop.test:8443`.
pub fn shown(place: &Url) -> String {
    format!("{}:{}", place.host_str().unwrap_or_default(), place.port_or_known_default().unwrap_or_default())
}

/// The address that stands in a URL, where that has no name in it.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_a_port_are_read_in_their_plain_form() {
        for (written, read) in [
            ("Shop.Test:8443", "shop.test:8443"),
            ("10.0.0.5:80", "10.0.0.5:80"),
            ("0x7f.1:80", "127.0.0.1:80"),
            ("[::1]:443", "[::1]:443"),
            ("bücher.example:1", "xn--bcher-kva.example:1"),
        ] {
            let place = parse(written, None).unwrap();
            assert_eq!(shown(&place), read);
            assert_eq!(parse(read, None).unwrap(), place);
        }
        assert_eq!(shown(&parse("shop.test", Some(443)).unwrap()), "shop.test:443");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "shop.test",
            "",
            ":80",
            "a b:80",
            "me@shop.test:80",
            "shop.test:80/x",
            "shop.test:80?x",
            "shop.test:99999",
            "::1:80",
        ] {
            assert!(parse(bad, None).is_err(), "{bad}");
        }
    }
}
