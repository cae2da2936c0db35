//! What is sent: the head of one request as it goes onto the wire, and how a redirect changes the next one.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use api_health_core::{Failure, Method, Secret, text};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::cookies::Cookies;
use super::dial::internal;
use super::exchange::Request;
use super::identity::Own;
use super::proxies::ProxyChoice;
use super::wire::Head;

/// What we call ourselves, where the request does not say otherwise.
pub(super) const USER_AGENT: &str = concat!("api-health/", env!("CARGO_PKG_VERSION"));

/// The same with whom to turn to: `api-health/0.1.0 (+https://status.example.com)`.
pub(super) fn user_agent(contact: Option<&str>) -> Arc<str> {
    contact.map_or_else(|| USER_AGENT.into(), |contact| format!("{USER_AGENT} (+{contact})").into())
}

/// A request that is ready to be sent, any number of times: its first head is written, and what TLS asks for is known.
pub struct Prepared {
    pub(super) request: Request,
    head: Bytes,
    server_name: Named,
    pub(super) proxy_choice: ProxyChoice,
    own: Option<Box<Own>>,
    /// The server speaks nothing but HTTP/2, by what it said last.
    speaks_http2: AtomicBool,
}

/// Whom a certificate must be for; nobody, where none is shown; or why such a name cannot be asked for over TLS. That counts once
/// the name has been looked up: it may not even exist. The failure is large and hardly ever there, and each API has one of these.
pub(super) type Named = Result<Option<ServerName<'static>>, Box<Failure>>;

impl Prepared {
    /// See [`Client::prepare`](super::Client::prepare).
    pub(super) fn new(request: Request, user_agent: &str) -> Result<Self, Failure> {
        let Request { method, url, headers, body, accept_encoding, .. } = &request;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(internal(format!("{} is not a scheme that can be probed", url.scheme())));
        }
        let ours = Ours { user_agent, accept_encoding: *accept_encoding };
        let head = head(*method, url, headers.iter(), body.as_ref(), false, None, ours)?;
        let server_name = server_name(url);
        Ok(Self {
            request,
            head,
            server_name,
            proxy_choice: ProxyChoice::AsSet,
            own: None,
            speaks_http2: AtomicBool::new(false),
        })
    }

    /// The same by another way than is set for all.
    #[must_use]
    pub fn with_proxy_choice(self, proxy_choice: ProxyChoice) -> Self {
        Self { proxy_choice, ..self }
    }

    #[must_use]
    pub(super) fn with_own(self, own: Option<Box<Own>>) -> Self {
        Self { own, ..self }
    }

    /// What holds for the connection to where `url` is.
    pub(super) fn own(&self, url: &Url) -> Option<&Own> {
        self.own.as_deref().filter(|_| self.request.url.origin() == url.origin())
    }

    /// Whether the answer is judged by its head alone.
    pub(super) fn is_head_only(&self) -> bool {
        self.own.as_deref().is_some_and(|own| own.head_only)
    }

    pub(super) fn speaks_http2(&self) -> &AtomicBool {
        &self.speaks_http2
    }

    /// The first hop.
    pub(super) fn first<'a>(&'a self, user_agent: &'a str) -> Hop<'a> {
        Hop {
            user_agent,
            method: self.request.method,
            url: Cow::Borrowed(&self.request.url),
            configured: &self.request,
            along: Along::All,
            body: self.request.body.as_ref(),
            bodiless: false,
            cookies: Cookies::default(),
            head: self.head.clone(),
            server_name: Cow::Borrowed(&self.server_name),
        }
    }
}

/// What is sent to one place.
pub(super) struct Hop<'a> {
    user_agent: &'a str,
    pub(super) method: Method,
    pub(super) url: Cow<'a, Url>,
    configured: &'a Request,
    along: Along,
    pub(super) body: Option<&'a Bytes>,
    /// A redirect took the body away, and with it the headers that speak of it.
    bodiless: bool,
    cookies: Cookies,
    /// With its closing blank line.
    pub(super) head: Bytes,
    pub(super) server_name: Cow<'a, Named>,
}

/// Which of the configured headers go along.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Along {
    Nothing,
    /// What every client tells every server, and is no secret.
    Harmless,
    All,
}

/// Headers of [`Along::Harmless`].
const HARMLESS: [&str; 3] = ["user-agent", "accept", "accept-language"];

impl Along {
    /// What a redirect between two URLs may take along. Within one origin (scheme, host, port) that is everything, and also from port
    /// 80 to 443 of one host, with credentials: the host has had them already, in plain text, and who can answer on 443 with a good
    /// certificate of its name is the host. Anywhere else, headers and body may hold keys that were meant for the first origin alone.
    /// Nothing that was sent under TLS is sent without it.
    fn between(from: &Url, to: &Url) -> Self {
        let ports = (from.port_or_known_default(), to.port_or_known_default());
        let is_upgrade = (from.scheme(), to.scheme()) == ("http", "https");
        match from.host() == to.host() {
            true if from.origin() == to.origin() || (is_upgrade && ports == (Some(80), Some(443))) => Self::All,
            true if is_upgrade || from.scheme() == to.scheme() => Self::Harmless,
            _ => Self::Nothing,
        }
    }

    fn takes(self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Harmless => HARMLESS.iter().any(|harmless| name.eq_ignore_ascii_case(harmless)),
            Self::All => true,
        }
    }
}

/// Names that are told of what was left behind.
const LEFT_BEHIND_MAX: usize = 5;

impl Hop<'_> {
    /// Turns into the request that a redirect asks for. What a redirect left behind ([`Along`]) is gone for good.
    pub(super) fn redirect(&mut self, answer: &Head, target: Url) -> Result<(), Failure> {
        self.cookies.take(&answer.headers, &self.url);
        let becomes_get = match answer.status {
            301 | 302 => self.method == Method::Post, // RFC 9110, 15.4.2 and 15.4.3: what every client does
            303 => self.method != Method::Head,
            _ => false,
        };
        if becomes_get {
            self.method = Method::Get;
        }
        self.along = self.along.min(Along::between(&self.url, &target));
        if becomes_get || self.along != Along::All {
            self.body = None;
            self.bodiless = true;
        }
        let headers = self.configured.headers.iter().filter(|(name, _)| self.along.takes(name));
        let cookies = self.cookies.header(&target);
        let cookies = cookies.as_deref();
        let ours = Ours { user_agent: self.user_agent, accept_encoding: self.configured.accept_encoding };
        self.head = head(self.method, &target, headers, self.body, self.bodiless, cookies, ours)?;
        self.server_name = Cow::Owned(server_name(&target));
        self.url = Cow::Owned(target);
        Ok(())
    }

    /// What was configured and is not sent here, for the words of a refusal that may be due to it.
    pub(super) fn left_behind(&self) -> Vec<String> {
        if self.along == Along::All {
            return Vec::new();
        }
        let headers = self.configured.headers.iter().map(|(name, _)| name).filter(|name| !self.along.takes(name));
        let mut names: Vec<String> = headers.map(|name| text::line(name, 64)).collect();
        names.extend(self.configured.body.as_ref().map(|_| "the body".to_owned()));
        if names.len() > LEFT_BEHIND_MAX {
            let more = names.len() - LEFT_BEHIND_MAX;
            names.truncate(LEFT_BEHIND_MAX);
            names.push(format!("{more} more"));
        }
        names
    }
}

/// Whom the certificate of `url` must be for; nobody, where none is shown.
pub(super) fn server_name(url: &Url) -> Named {
    match (url.scheme(), url.host()) {
        ("https", None) => Err(Box::new(internal("the URL names no host".into()))),
        // The dot that ends a fully qualified name is no part of the name in a certificate or in SNI (RFC 6066).
        ("https", Some(Host::Domain(name))) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map(Some)
            .map_err(|_| Box::new(internal(format!("{name} cannot be asked for over TLS")))),
        ("https", Some(Host::Ipv4(ip))) => Ok(Some(ServerName::from(IpAddr::V4(ip)))),
        ("https", Some(Host::Ipv6(ip))) => Ok(Some(ServerName::from(IpAddr::V6(ip)))),
        _ => Ok(None),
    }
}

/// What we send of our own, where the row says nothing else.
#[derive(Clone, Copy)]
struct Ours<'a> {
    user_agent: &'a str,
    accept_encoding: Option<&'a str>,
}

/// The head of a request, with its closing blank line. `cookies` go into one header with those that are configured (RFC 6265, 5.4).
fn head<'a>(
    method: Method,
    url: &Url,
    headers: impl Iterator<Item = &'a (String, Secret)> + Clone,
    body: Option<&Bytes>,
    bodiless: bool,
    mut cookies: Option<&[u8]>,
    ours: Ours<'_>,
) -> Result<Bytes, Failure> {
    let names = |name: &str| headers.clone().any(|(n, _)| n.eq_ignore_ascii_case(name));
    let mut head = Vec::with_capacity(512);
    put(&mut head, &[method.as_str(), " ", url.path()]);
    if let Some(query) = url.query() {
        put(&mut head, &["?", query]);
    }
    put(&mut head, &[" HTTP/1.1\r\n"]);
    if !names("host") {
        put(&mut head, &["host: ", url.host_str().unwrap_or_default()]);
        if let Some(port) = url.port() {
            put(&mut head, &[":", &port.to_string()]);
        }
        put(&mut head, &["\r\n"]);
    }
    let ours = [("user-agent", ours.user_agent), ("accept", "*/*"), ("connection", "close")]
        .into_iter()
        .chain(ours.accept_encoding.map(|codings| ("accept-encoding", codings)));
    for (name, value) in ours {
        if !names(name) {
            put(&mut head, &[name, ": ", value, "\r\n"]);
        }
    }
    for (name, value) in headers {
        let value = value.reveal();
        if !is_header(name, value) {
            return Err(internal(format!("the request header {name:?} has a character that HTTP forbids")));
        }
        let dropped = is_framing(name) || (bodiless && is_content(name));
        if !dropped {
            put(&mut head, &[name, ": ", value]);
            if let Some(more) = cookies.take_if(|_| name.eq_ignore_ascii_case("cookie")) {
                put(&mut head, &["; "]);
                head.extend_from_slice(more);
            }
            put(&mut head, &["\r\n"]);
        }
    }
    if let Some(cookies) = cookies {
        put(&mut head, &["cookie: "]);
        head.extend_from_slice(cookies);
        put(&mut head, &["\r\n"]);
    }
    let expects_body = matches!(method, Method::Post | Method::Put | Method::Patch);
    match body {
        Some(body) => put(&mut head, &["content-length: ", &body.len().to_string(), "\r\n"]),
        None if expects_body => put(&mut head, &["content-length: 0\r\n"]), // RFC 9110, 8.6
        None => {}
    }
    put(&mut head, &["\r\n"]);
    head.shrink_to_fit();
    Ok(head.into())
}

fn put(head: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        head.extend_from_slice(part.as_bytes());
    }
}

/// Where the body ends is told by us alone.
fn is_framing(name: &str) -> bool {
    name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
}

fn is_content(name: &str) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// RFC 9110, 5.1 and 5.5: a token, and no control character but the tab in the value. What slips through here could
/// smuggle a header or a whole request.
fn is_header(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f))
}

#[cfg(test)]
mod tests;
