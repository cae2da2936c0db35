//! The engine boundary: one HTTP exchange over a connection of its own, with one timeout around all of it.
//!
//! Nothing outside this folder knows which HTTP client is underneath.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use api_health_core::assertion::TlsVersion;
use api_health_core::certificate::Validity;
use api_health_core::figures::HttpVersion;
use api_health_core::observation::LocalFault;
use api_health_core::{Failure, Method, PhaseTimes, ProbeFigures, Secret};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::client::Client;
use super::engine::PartialResponse;
use super::hop::Way;
use super::identity::Own;
use super::request::Prepared;
use super::seen::Raw;
use super::trace::Trace;
use super::wire::Headers;
use super::{dial, redirect, stream};

/// What to ask.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// `http` or `https`. A user name, password or fragment in it is not sent.
    pub url: Url,
    /// Sent as written, in order, in place of our own of the same name; only `content-length` and `transfer-encoding`
    /// are always ours.
    pub headers: Vec<(String, Secret)>,
    pub body: Option<Bytes>,
    /// Bound on the whole exchange, redirects included.
    pub timeout: Duration,
    /// How much of the answer's body is read; the rest is left unread.
    pub body_bytes_max: usize,
    /// Whether the body is kept, or only its bytes counted: thousands of probes under way would hold theirs all at once.
    pub keep_body: bool,
    /// In which codings the body may be sent (`accept-encoding`); with none the header is left out.
    pub accept_encoding: Option<&'static str>,
    /// How many redirects are followed; with 0 a redirect is an answer like any other.
    pub max_redirects: u8,
}

/// What came of a request.
#[derive(Debug)]
pub struct Exchange {
    /// How long each phase took; with redirects, of the last hop.
    pub phases: PhaseTimes,
    /// The address that was connected to; with redirects, by the last hop.
    pub address: Option<SocketAddr>,
    /// That is the address of a proxy.
    pub by_proxy: bool,
    /// From start to end.
    pub took: Duration,
    /// The answer, or why there is none.
    pub result: Result<Reply, Failure>,
    /// What may be wanted as evidence.
    pub(super) raw: Raw,
    /// What may be shown in metrics.
    pub figures: ProbeFigures,
}

/// An answer as it was on the wire.
#[derive(Debug)]
pub struct Reply {
    /// The final status code.
    pub status: u16,
    /// Every header of the final response, in order.
    pub headers: Headers,
    /// Bytes of the body that were read, after its framing was taken off, never decompressed.
    pub body_bytes: u64,
    /// How long the body is, as its head says; `None`: it does not.
    pub content_length: Option<u64>,
    /// Those bytes, if the request asked to keep them; at most `body_bytes_max`.
    pub body: Vec<u8>,
    /// The body was longer than `body_bytes_max`.
    pub body_cut_at_bound: bool,
    /// Redirects that were followed to get here.
    pub redirects: u8,
    /// What was configured and not sent to the last hop, if that answers with a 4xx.
    pub left_behind: Vec<String>,
    /// The server asked for a client certificate, and got none.
    pub client_certificate_wanted: bool,
    /// The proxy that it came by.
    pub proxy: Option<String>,
    /// Where redirects led to; `None` without any.
    pub url: Option<Url>,
    /// Of the last hop, if it was by TLS.
    pub tls: Option<TlsVersion>,
    /// How long the certificate of the last hop is good.
    pub certificate: Option<Validity>,
}

impl Exchange {
    /// One that came to nothing before it was under way.
    pub(super) fn failed(failure: Failure, took: Duration) -> Self {
        Self {
            phases: PhaseTimes::default(),
            address: None,
            by_proxy: false,
            took,
            result: Err(failure),
            raw: Raw::default(),
            figures: ProbeFigures::default().with_took(took),
        }
    }
}

impl Client {
    /// Makes `request` ready to be asked again and again.
    ///
    /// # Errors
    /// Returns an internal failure if part of the request cannot be sent: rows are validated when they are read.
    pub fn prepare(&self, request: Request) -> Result<Prepared, Failure> {
        Prepared::new(request, &self.user_agent)
    }

    /// Makes one exchange. It ends within the timeout of its request, but for a look at the trusted roots before it; dropping the future closes the connection.
    ///
    /// The future stays on the thread that polls it, and needs tokio's network and time drivers there.
    pub async fn exchange(&self, request: &Request) -> Exchange {
        match self.prepare(request.clone()) {
            Ok(prepared) => self.exchange_prepared(&prepared).await,
            Err(failure) => Exchange::failed(failure, Duration::ZERO),
        }
    }

    /// The same with a request that is asked again and again.
    pub async fn exchange_prepared(&self, prepared: &Prepared) -> Exchange {
        self.look_at_roots().await;
        self.exchange_by(prepared, Instant::now() + prepared.request.timeout).await
    }

    /// The same by a deadline, which comes no later than the request's own timeout.
    pub(super) async fn exchange_by(&self, prepared: &Prepared, deadline: Instant) -> Exchange {
        let started = Instant::now();
        let request = &prepared.request;
        let trace = Rc::new(Trace::new(started, deadline));
        // Out here it outlives a body that breaks off or comes too late.
        let mut answer = None;
        let whole = {
            // Pinned where it is: whoever it is handed to would copy all that an exchange takes, and hold it once more.
            let whole = pin!(async {
                let (partial, last_hop) = self.follow(prepared, &trace).await?;
                let partial = answer.insert(partial);
                if prepared.is_head_only() || stream::is_endless(&partial.head) {
                    partial.leave_body();
                } else {
                    partial.receive(request).await?;
                }
                Ok(last_hop)
            });
            in_time(deadline, request, &trace, whole).await
        };
        let mut raw =
            Raw { body: answer.as_mut().map(PartialResponse::take_start).unwrap_or_default(), ..Raw::default() };
        let result = match (whole, answer) {
            (Ok(last_hop), Some(answer)) => Ok(answer.end(last_hop)),
            (Err(failure), answer) => {
                raw.head = answer.map(PartialResponse::into_headers);
                Err(failure)
            }
            (Ok(_), None) => Err(dial::internal("an exchange that went well has no answer".into())), // cannot be
        };
        (raw.addresses, raw.certificate) = (trace.take_addresses(), trace.take_certificate());
        let (phases, address, by_proxy) = (trace.times(), trace.address(), trace.is_by_proxy());
        let took = started.elapsed();
        let figures = trace.figures().with_took(took);
        let figures = match &result {
            Ok(reply) => ProbeFigures {
                http_version: HttpVersion::of_status_line(reply.headers.status_line()),
                redirects: reply.redirects,
                ..figures.with_lengths(reply.content_length, reply.body_bytes)
            },
            Err(_) => figures,
        };
        Exchange { phases, address, by_proxy, took, result, raw, figures }
    }

    /// The same, but succeeds once the head has arrived: a body that breaks off or comes too late is no failure. What came of it is
    /// kept.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn status_first(&self, request: &Request) -> Result<Reply, Failure> {
        let prepared = self.prepare(request.clone())?;
        self.trust.look_if_due().await;
        let started = Instant::now();
        let deadline = started + request.timeout;
        let trace = Rc::new(Trace::new(started, deadline));
        let (mut answer, last_hop) = in_time(deadline, request, &trace, self.follow(&prepared, &trace)).await?;
        let _ = timeout_at(deadline, answer.receive(request)).await;
        Ok(answer.end(last_hop))
    }

    /// Asks, and asks again where the answer points to, as often as the request allows.
    async fn follow(&self, prepared: &Prepared, trace: &Rc<Trace>) -> Result<(PartialResponse, LastHop), Failure> {
        let max_redirects = prepared.request.max_redirects;
        let mut hop = prepared.first(&self.user_agent);
        let mut followed = 0;
        loop {
            let proxy = match prepared.own(&hop.url) {
                Some(Own { place: Some(_), .. }) => None,
                _ => prepared.proxy_choice.choose(&self.proxies, &hop.url),
            };
            let answer = self.ask(Way { prepared, hop: &hop, proxy, trace }).await?;
            if let (Some(proxy), 407, "http") = (proxy, answer.head.status, hop.url.scheme()) {
                return Err(proxy.wants_password());
            }
            if max_redirects > 0
                && let Some(target) = redirect::target(&answer.head, &hop.url)?
            {
                if followed == max_redirects {
                    return Err(Failure::TooManyRedirects { followed });
                }
                followed += 1;
                hop.redirect(&answer.head, target)?;
                trace.begin_hop();
                continue; // the connection and what it still holds is dropped with `answer`
            }
            let left_behind = if (400..500).contains(&answer.head.status) { hop.left_behind() } else { Vec::new() };
            let proxy = proxy.map(|proxy| proxy.shown());
            let url = if let Cow::Owned(url) = hop.url { Some(url) } else { None };
            return Ok((answer, LastHop { redirects: followed, left_behind, proxy, url }));
        }
    }
}

/// How the last hop was reached.
pub(super) struct LastHop {
    pub(super) redirects: u8,
    pub(super) left_behind: Vec<String>,
    pub(super) proxy: Option<String>,
    pub(super) url: Option<Url>,
}

/// What comes of `exchange`, unless `deadline` comes first.
async fn in_time<T>(
    deadline: Instant,
    request: &Request,
    trace: &Trace,
    exchange: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, exchange).await {
        Ok(result) => result,
        Err(_) if let Some(proxy) = trace.take_dialled_proxy() => {
            let did = format!("did not take a connection within {} s", request.timeout.as_secs());
            Err(Failure::Local(LocalFault::Proxy { proxy, did }))
        }
        Err(_) => Err(Failure::TimedOut { phase: trace.phase(), after: request.timeout }),
    }
}

/// The body may hold a secret, so its length alone is shown; and what comes behind the host may.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &&self.url[..Position::BeforePath])
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.as_ref().map(Bytes::len))
            .field("timeout", &self.timeout)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("max_redirects", &self.max_redirects)
            .finish()
    }
}
