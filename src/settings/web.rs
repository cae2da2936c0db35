//! `[web]`: the page, who may look at it, and the parsers of what is written there.

use std::net::SocketAddr;

use api_health_web::access::{Access, Prefix, TokenHash};
use serde_json::{Value, json};
use url::{Host, Origin, Url};

use super::WebSettings;
use super::keys;
use super::parsers::{each_text, show_texts};
use super::reader::SettingsReader;
use crate::configs::field::{About, Context, Parsed, ValueKind};
use crate::configs::kinds::parse_text;
use crate::configs::values::{ValueFault, quote};

/// The most addresses, names, tokens, proxies and origins.
const LIST_MAX: usize = 16;
/// The longest of them; a name of the DNS has no more.
const CHARS_MAX: usize = 253;

pub(super) const OF_ADDRESSES: ValueKind =
    list("ADDRESS:PORT, or a list of at most 16; an IPv6 address stands in brackets");
pub(super) const OF_HOSTS: ValueKind = list("names without a port, one or a list of at most 16");
pub(super) const OF_TOKENS: ValueKind =
    list("sha256: and 64 hexadecimal digits, or a list of at most 16; `api-health web token` makes one");
pub(super) const OF_PROXIES: ValueKind = list("addresses or prefixes such as 10.0.0.0/8, or a list of at most 16");
pub(super) const OF_ORIGINS: ValueKind = list("https://HOST, or a list of at most 16");
pub(super) const HEADER_WORDS: &str = "the name of a header, at most 64 characters";
pub(super) const HEADER_CHARS_MAX: usize = 64;

const fn list(words: &'static str) -> ValueKind {
    ValueKind::TextOrTexts { most: LIST_MAX, chars_max: CHARS_MAX, words }
}

pub(super) fn read(reader: &mut SettingsReader<'_>) -> WebSettings {
    let enabled = reader.get(&keys::WEB_ENABLED);
    let listen = reader.get(&keys::WEB_LISTEN);
    let access = Access {
        hosts: reader.get(&keys::WEB_HOSTS),
        tokens: reader.get(&keys::WEB_TOKENS),
        trusted_header: reader.optional(&keys::WEB_TRUSTED_HEADER),
        trusted_proxies: reader.get(&keys::WEB_TRUSTED_PROXIES),
        is_open: reader.get(&keys::WEB_OPEN),
    };
    let far = listen.iter().find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = far.filter(|_| enabled && !says_who(reader)) {
        let why = "can be reached from other machines, and nothing says who may look";
        let remedy = "127.0.0.1:PORT, or tokens (api-health web token makes one), or trusted_header with trusted_proxies, or \
                      open = true for everybody, below [web]";
        let fault = ValueFault::new(quote(&address.to_string()), why, remedy);
        reader.fault(keys::WEB_LISTEN.name, &reader.origin(&keys::WEB_LISTEN), fault);
    }
    needs(reader, &keys::WEB_TRUSTED_HEADER, &keys::WEB_TRUSTED_PROXIES, "anybody could send it");
    needs(reader, &keys::WEB_TRUSTED_PROXIES, &keys::WEB_TRUSTED_HEADER, "they would let nobody in");
    WebSettings {
        enabled,
        listen,
        access,
        embed_origins: reader.get(&keys::WEB_EMBED_ORIGINS),
        timezone: reader.get(&keys::WEB_TIMEZONE),
        metrics_per_api: reader.get(&keys::WEB_METRICS_PER_API),
    }
}

/// Whether something is written that says who may look from elsewhere. What is written badly is a fault of its own.
fn says_who(reader: &SettingsReader<'_>) -> bool {
    let is_written = |key: &About| reader.written(key).is_some();
    let is_open = reader.written(&keys::WEB_OPEN).is_some_and(|(value, _)| value != Value::Bool(false));
    is_open || is_written(&keys::WEB_TOKENS) || is_written(&keys::WEB_TRUSTED_HEADER)
}

/// A key that does nothing, or harm, without another one.
fn needs(reader: &mut SettingsReader<'_>, key: &About, other: &About, why: &str) {
    if let (Some((_, origin)), None) = (reader.written(key), reader.written(other)) {
        let other = format!("{} = {} below [web]", other.name.trim_start_matches("web."), other.example);
        let fault = ValueFault::new("it", format!("stands there alone, and {why}"), format!("also {other}"));
        reader.fault(key.name, &origin, fault);
    }
}

pub(super) fn addresses(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<SocketAddr>> {
    let addresses = each_text(value, about, |text| {
        text.parse().map_err(|_| ValueFault::new(quote(text), "is not an address and a port", about.wanted()))
    })?;
    if addresses.is_empty() {
        let fault = ValueFault::new("an empty list", "leaves nothing to listen on", "an address, or enabled = false");
        return Err(fault.into());
    }
    Ok(addresses)
}

pub(super) fn hosts(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<String>> {
    each_text(value, about, |text| match Host::parse(text) {
        Ok(Host::Domain(name)) => Ok(name),
        _ => Err(ValueFault::new(quote(text), "is not the name of a host", about.wanted())),
    })
}

/// What was found is not shown: it may be the token itself.
pub(super) fn tokens(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<TokenHash>> {
    each_text(value, about, |text| {
        let why = "is not the SHA-256 of a token; if it is the token itself, it is known to whoever reads this file";
        TokenHash::parse(text).ok_or_else(|| ValueFault::new("the text", why, about.wanted()))
    })
}

pub(super) fn proxies(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<Prefix>> {
    each_text(value, about, |text| {
        Prefix::parse(text)
            .ok_or_else(|| ValueFault::new(quote(text), "is neither an address nor a prefix", about.wanted()))
    })
}

pub(super) fn header(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<String> {
    let text = parse_text(value, about)?;
    // Whoever asks sends these by right, so they tell nothing.
    const OF_CLIENTS: [&str; 5] = ["host", "authorization", "cookie", "user-agent", "accept"];
    let name = http::HeaderName::from_bytes(text.as_bytes()).ok();
    let why = match &name {
        Some(name) if OF_CLIENTS.contains(&name.as_str()) => "is a header that every client sends",
        Some(name) => return Ok(name.as_str().to_owned()),
        None => "is not the name of a header",
    };
    Err(ValueFault::new(quote(text), why, about.wanted()).into())
}

pub(super) fn origins(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<String>> {
    each_text(value, about, |text| {
        let origin = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let origin = origin.filter(|url| url.path() == "/" && url.query().is_none() && url.fragment().is_none());
        match origin.filter(|url| url.username().is_empty() && url.password().is_none()).map(|url| url.origin()) {
            Some(origin @ Origin::Tuple(..)) => Ok(origin.ascii_serialization()),
            // Before an @ may stand a password.
            _ => {
                let found = if text.contains('@') { "the text".to_owned() } else { quote(text) };
                Err(ValueFault::new(found, "is not an origin: scheme, host and perhaps port", about.wanted()))
            }
        }
    })
}

/// Shows a list as it may be written: one alone without the list.
pub(super) fn show<T: ToString>(list: &[T]) -> Value {
    match list {
        [one] => json!(one.to_string()),
        list => show_texts(&list.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

pub(super) fn show_tokens(tokens: &[TokenHash]) -> Value {
    show(&tokens.iter().map(TokenHash::in_short).collect::<Vec<_>>())
}
