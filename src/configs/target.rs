//! The URL of a row: what is asked, by which protocol, as its scheme says, with secrets that are shown nowhere.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::Path;

use api_health_core::{Protocol, Secret};
use serde_json::Value;
use url::{Host, Position, Url};

use super::field::{About, Context, Parsed};
use super::secrets::{SecretSource, has_reference, resolve};
use super::stand_in::Same;
use super::url::{CHARS_MAX, check_for, check_length, show};
use super::values::{self, ValueFault};
use crate::probe::dns::Query;
use crate::probe::guard::Allowed;
use crate::probe::place;

/// What a row asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub protocol: Protocol,
    /// As it is shown, with `***` for each secret.
    pub url: String,
    /// As it is sent, where that is something else, and the secrets in it.
    pub secret: Option<(Secret, Vec<Secret>)>,
    /// The address that stands in it.
    pub address: Option<IpAddr>,
    /// Whether TLS is spoken.
    pub has_tls: bool,
}

pub(super) fn parse(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Target> {
    let Value::String(text) = value else {
        return Err(ValueFault::new(values::show(value), "is not text", about.wanted()).into());
    };
    check_length(text)?;
    if !has_reference(text) {
        return Ok(of(text, context.allowed)?);
    }
    let filled = Filled { source: context.secrets, values: RefCell::default() };
    let whole = resolve(text, &filled, CHARS_MAX)?;
    let shown = of(&resolve(text, &Same("***"), CHARS_MAX)?, context.allowed)?;
    // What was found is not shown.
    let fault = |why: String, remedy: &str| ValueFault::new("the URL with its references filled in", why, remedy);
    if shown.protocol != Protocol::Http {
        return Err(fault(
            format!("is one of {}, which has no secret", shown.protocol.as_str()),
            "it without a reference",
        )
        .into());
    }
    let whole = check_for(&whole, context.allowed)
        .map_err(|of_whole| fault(of_whole.why, "a secret that may stand in a URL"))?;
    if !shown.url.starts_with(&whole[..Position::BeforePath]) {
        return Err(fault("has a reference before its path".into(), "scheme, host and port as they are").into());
    }
    let secrets = filled.values.into_inner().into_iter().map(Secret::new).collect();
    Ok(Target { secret: Some((Secret::new(whole), secrets)), ..shown })
}

/// A URL without references.
pub fn of(text: &str, allowed: &Allowed) -> Result<Target, ValueFault> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "tcp" | "tls" | "dns"))
    else {
        let url = check_for(text, allowed)?;
        let has_tls = url.scheme() == "https";
        return Ok(Target { protocol: Protocol::Http, address: address(&url), url: url.into(), secret: None, has_tls });
    };
    let fault = |why: String, remedy: &str| ValueFault::new(show(text), why, remedy);
    let (protocol, place, url) = if scheme == "dns" {
        let query = Query::parse(rest)
            .map_err(|why| fault(why, "a URL such as \"dns://10.0.0.2/shop.example.com?type=AAAA\""))?;
        (Protocol::Dns, query.server.clone(), query.to_string())
    } else {
        let (protocol, port) = if scheme == "tls" { (Protocol::Tls, Some(443)) } else { (Protocol::Tcp, None) };
        let place = place::parse(rest, port)
            .map_err(|why| fault(why.into(), "a host and a port, such as \"tcp://10.0.0.5:5432\""))?;
        let url = format!("{scheme}://{}", place::shown(&place));
        (protocol, Some(place), url)
    };
    let address = place.as_ref().and_then(address);
    if let Some(why) = address.and_then(|address| allowed.refuse(address)) {
        return Err(fault(format!("points at {why}, which is never probed"), "the address of a server"));
    }
    Ok(Target { protocol, url, secret: None, address, has_tls: protocol == Protocol::Tls })
}

pub(super) fn address(url: &Url) -> Option<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        _ => None,
    }
}

/// Notes what was filled in, to mask it where a server echoes it.
struct Filled<'a> {
    source: &'a dyn SecretSource,
    values: RefCell<Vec<String>>,
}

impl Filled<'_> {
    fn noted(&self, found: Result<String, String>) -> Result<String, String> {
        found.inspect(|value| self.values.borrow_mut().push(value.clone()))
    }
}

impl SecretSource for Filled<'_> {
    fn env(&self, name: &str) -> Result<String, String> {
        self.noted(self.source.env(name))
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        self.noted(self.source.file(path))
    }

    fn credential(&self, name: &str) -> Result<String, String> {
        self.noted(self.source.credential(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_was_read_can_be_written_again(
            text in r"(tcp|tls|dns|https?)://[a-z0-9.:@/#?\[\]_=& %-]{0,30}(/[a-z.]{1,9}\?type=[a-z]{1,5})?",
        ) {
            if let Ok(target) = of(&text, &Allowed::default()) {
                let again = of(&target.url, &Allowed::default());
                prop_assert_eq!(again.as_ref(), Ok(&target), "{}", text);
            }
        }
    }
}
