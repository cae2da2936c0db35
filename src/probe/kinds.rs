//! What is prepared of an API, by its protocol and by what it has of its own, and how it is asked.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::asking::Asking;
use api_health_core::assertion::content::JUDGED_BYTES_MAX;
use api_health_core::observation::LocalFault;
use api_health_core::{Answer, ApiConfig, Failure, Phase, PhaseTimes, ProbeFigures, Protocol, Secret};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::client::Client;
use super::dial::internal;
use super::dns::Query;
use super::exchange::{Exchange, Request};
use super::identity::{self, Own, Shown};
use super::line::name_of;
use super::oauth::{Source, Sources};
use super::place;
use super::proxies::ProxyChoice;
use super::request::{Named, Prepared};
use super::seen::{BodyStart, Raw};
use super::trace::Trace;
use super::unpack;

/// What is asked of an API.
pub(super) enum Ask {
    Http(Box<Prepared>),
    WithToken(Box<WithToken>),
    Connect(Box<Connect>),
    NameServer(Box<Query>),
}

/// A request that carries a token, which changes now and then.
pub(super) struct WithToken {
    source: Arc<Source>,
    api: Arc<ApiConfig>,
    body_bytes_max: usize,
    /// The request with the token that was good last.
    ready: RefCell<Option<(Secret, Rc<Prepared>)>>,
}

/// A connection that is opened, and closed again.
pub(super) struct Connect {
    place: Url,
    server_name: Named,
    shown: Option<Arc<Shown>>,
    timeout: Duration,
}

/// What came of it, but for the answer of HTTP.
pub(super) struct Seen {
    pub(super) phases: PhaseTimes,
    pub(super) address: Option<std::net::SocketAddr>,
    pub(super) took: Duration,
    pub(super) answer: Answer,
    /// What may be wanted as evidence.
    pub(super) raw: Raw,
    pub(super) figures: ProbeFigures,
}

/// What came of a request with a token.
pub(super) struct Asked {
    pub(super) exchange: Exchange,
    /// What went along.
    pub(super) token: Option<Secret>,
    /// Before it began: how long it took to have a token that the API takes.
    pub(super) waited: Duration,
}

/// What is needed to make an API ready.
pub(super) struct Prepare<'a> {
    pub(super) api: &'a Arc<ApiConfig>,
    pub(super) sources: &'a Sources,
    pub(super) body_bytes_max: usize,
}

impl Prepare<'_> {
    /// What is asked, and by which client, where it cannot be `shared`, which asks for any family of addresses.
    pub(super) fn by(self, shared: &Client) -> Result<(Ask, Option<Box<Client>>), Failure> {
        let Self { api, sources, body_bytes_max } = self;
        let plain = || Ok(Ask::Http(Box::new(request(api, shared, body_bytes_max, None)?)));
        let Some(asking) = api.asking.as_deref() else { return Ok((plain()?, None)) };
        let own = match &asking.ca_certificates {
            Some(pem) => {
                let said = |why| internal(format!("ca_certificates {why}"));
                Some(shared.clone().with_authorities(pem).map_err(said)?)
            }
            None => None,
        };
        let ask = match asking.protocol {
            Protocol::Http => match &asking.oauth {
                None => plain()?,
                Some(oauth) => {
                    let client = own.as_ref().unwrap_or(shared);
                    let source = sources.of(oauth, asking.ca_certificates.as_ref(), client).map_err(internal)?;
                    let (api, ready) = (Arc::clone(api), RefCell::default());
                    Ask::WithToken(Box::new(WithToken { source, api, body_bytes_max, ready }))
                }
            },
            Protocol::Tcp | Protocol::Tls => Ask::Connect(Box::new(connect(api, asking)?)),
            Protocol::Dns => {
                let query = api.url.strip_prefix("dns://").unwrap_or(&api.url);
                Ask::NameServer(Box::new(Query::parse(query).map_err(internal)?))
            }
        };
        Ok((ask, own.map(|client| Box::new(client.with_family(api.ip_family)))))
    }
}

fn request(
    api: &ApiConfig,
    client: &Client,
    body_bytes_max: usize,
    token: Option<&Secret>,
) -> Result<Prepared, Failure> {
    // A config is validated when it is read; if it cannot be asked anyway, the fault is ours.
    let url = Url::parse(api.whole_url()).map_err(|error| internal(format!("the URL cannot be read: {error}")))?;
    let route = match &api.proxy {
        Some(text) => ProxyChoice::parse(text.reveal())
            .map_err(|why| Failure::Local(LocalFault::Internal(format!("the proxy of this API {why}"))))?,
        None => ProxyChoice::AsSet,
    };
    let mut headers = api.headers.clone();
    headers.extend(token.map(|token| ("Authorization".into(), Secret::new(format!("Bearer {}", token.reveal())))));
    let own = match api.asking.as_deref() {
        Some(asking) => own(asking, &url)?,
        None => None,
    };
    let judges_body = api.assertions.iter().any(|assertion| assertion.needs_body());
    let prepared = client.prepare(Request {
        method: api.method,
        url,
        headers,
        body: api.body.as_ref().map(|body| Bytes::copy_from_slice(body.reveal().as_bytes())),
        timeout: api.timeout,
        body_bytes_max: if judges_body { body_bytes_max.min(JUDGED_BYTES_MAX) } else { body_bytes_max },
        keep_body: judges_body, // else nothing is asked of it but that it is whole
        accept_encoding: judges_body.then_some(unpack::CODINGS),
        max_redirects: api.max_redirects,
    })?;
    Ok(prepared.with_proxy_choice(route).with_own(own))
}

fn own(asking: &Asking, url: &Url) -> Result<Option<Box<Own>>, Failure> {
    let port = url.port_or_known_default();
    let own = Own {
        place: asking
            .connect_to
            .as_ref()
            .map(|text| place::parse(text, port))
            .transpose()
            .map_err(|why| internal(why.into()))?,
        server_name: asking.server_name.as_ref().map(|name| Ok(identity::server_name(name))),
        shown: shown(asking)?,
        head_only: asking.head_only,
    };
    Ok(own.is_something().then(|| Box::new(own)))
}

fn shown(asking: &Asking) -> Result<Option<Arc<Shown>>, Failure> {
    asking.identity.as_ref().map(|identity| Shown::new(identity).map(Arc::new)).transpose().map_err(internal)
}

fn connect(api: &ApiConfig, asking: &Asking) -> Result<Connect, Failure> {
    let (_, written) = api.url.split_once("://").unwrap_or_default();
    let parse =
        |text: &str, port| place::parse(text, port).map_err(|why| internal(format!("the place to connect to {why}")));
    let named = parse(written, Some(443))?;
    let place = match &asking.connect_to {
        Some(text) => parse(text, named.port_or_known_default())?,
        None => named.clone(),
    };
    let server_name = match (asking.protocol, &asking.server_name) {
        (Protocol::Tls, Some(name)) => Ok(identity::server_name(name)),
        (Protocol::Tls, None) => name_of(&named),
        _ => Ok(None),
    };
    Ok(Connect { place, server_name, shown: shown(asking)?, timeout: api.timeout })
}

impl WithToken {
    /// Asks with a token, which may take half of the time: the rest is the API's. One that the API refuses may have been withdrawn: then
    /// it is asked once more, with a new one.
    pub(super) async fn ask(&self, client: &Client) -> Asked {
        let started = Instant::now();
        let deadline = started + self.api.timeout;
        let failed = |failure| {
            let exchange = Exchange::failed(failure, started.elapsed());
            Asked { exchange, token: None, waited: Duration::ZERO }
        };
        client.look_at_roots().await;
        let mut refused = None;
        loop {
            let half = deadline.saturating_duration_since(Instant::now()) / 2;
            let (token, is_new) = match self.source.token(refused.as_ref(), Instant::now() + half).await {
                Ok(token) => token,
                Err(failure) => return failed(failure),
            };
            let prepared = match self.ready(client, &token) {
                Ok(prepared) => prepared,
                Err(failure) => return failed(failure),
            };
            let exchange = client.exchange_by(&prepared, deadline).await;
            let is_refused = exchange.result.as_ref().is_ok_and(|reply| reply.status == 401);
            if !is_refused || is_new || refused.is_some() {
                // A server may echo the token, which stands in no row.
                let raw = Raw { body: BodyStart::default(), ..exchange.raw };
                let waited = started.elapsed().saturating_sub(exchange.took);
                return Asked { exchange: Exchange { raw, ..exchange }, token: Some(token), waited };
            }
            refused = Some(token);
        }
    }

    fn ready(&self, client: &Client, token: &Secret) -> Result<Rc<Prepared>, Failure> {
        let mut ready = self.ready.borrow_mut();
        match &*ready {
            Some((with, prepared)) if with == token => Ok(Rc::clone(prepared)),
            _ => {
                let prepared = Rc::new(request(&self.api, client, self.body_bytes_max, Some(token))?);
                *ready = Some((token.clone(), Rc::clone(&prepared)));
                Ok(prepared)
            }
        }
    }
}

impl Connect {
    pub(super) async fn ask(&self, client: &Client) -> Seen {
        if matches!(self.server_name, Ok(Some(_))) {
            client.look_at_roots().await;
        }
        let trace = Trace::new(Instant::now(), Instant::now() + self.timeout);
        let connected = client.connect(&self.place, &self.server_name, self.shown.as_ref(), &trace);
        seen(self.timeout, &trace, async {
            connected.await.map(|()| Answer::Connected { certificate: trace.validity() })
        })
        .await
    }
}

/// Asks a name server.
pub(super) async fn ask_name_server(client: &Client, query: &Query, bound: Duration) -> Seen {
    let trace = Trace::new(Instant::now(), Instant::now() + bound);
    seen(bound, &trace, async { client.ask_name_server(query, &trace).await.map(Answer::Records) }).await
}

async fn seen(bound: Duration, trace: &Trace, ask: impl Future<Output = Result<Answer, Failure>>) -> Seen {
    let started = Instant::now();
    let timed_out = |phase: Phase| Failure::TimedOut { phase, after: bound };
    let result = timeout_at(trace.deadline(), ask).await.unwrap_or_else(|_| Err(timed_out(trace.phase())));
    // A name server that is watched is given up a moment before.
    let result = result.map_err(|failure| match failure {
        Failure::TimedOut { phase, .. } => timed_out(phase),
        other => other,
    });
    let answer = result.unwrap_or_else(Answer::Failure);
    let (addresses, certificate) = (trace.take_addresses(), trace.take_certificate());
    let raw = Raw { addresses, certificate, ..Raw::default() };
    let (took, figures) = (started.elapsed(), trace.figures());
    Seen { phases: trace.times(), address: trace.address(), took, answer, raw, figures: figures.with_took(took) }
}
