//! The `Probe` port over HTTP: takes an API's config, returns an observation.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, PreparedProbe, Probe};
use api_health_core::assertion::Assertion;
use api_health_core::assertion::content::JUDGED_BYTES_MAX;
use api_health_core::observation::LocalFault;
use api_health_core::{Answer, ApiConfig, Failure, Observation, PhaseTimes, Response};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;
use url::Url;

use super::exchange::{Client, Reply, Request};
use super::proxies::Route;
use super::request::Prepared;
use super::{content, redirect, unpack};

/// What a probe may use of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Exchanges under way at once, over all threads. More wait their turn before their clock starts, so that our own
    /// crowd is never taken for a slow API. They wait as long as their API's timeout, and then say so: with the exchange
    /// itself, no probe takes longer than twice its timeout.
    pub max_in_flight: usize,
    /// Bytes of a body that are read; the rest is left unread.
    pub body_bytes_max: usize,
}

/// Probes over HTTP/1.1, each on a connection of its own.
pub struct HttpProbe(Arc<Shared>);

struct Shared {
    client: Client,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
    body_bytes_max: usize,
}

impl HttpProbe {
    /// A probe for all APIs and all threads. `limits.max_in_flight` is taken as at least 1.
    pub fn new(client: Client, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let turns = Semaphore::new(limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        Self(Arc::new(Shared { client, clock, turns, body_bytes_max: limits.body_bytes_max }))
    }
}

impl Probe for HttpProbe {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        Rc::new(One {
            shared: Arc::clone(&self.0),
            client: self.0.client.clone().with_family(api.ip_family),
            prepared: prepared(&api, self.0.body_bytes_max),
            timeout: api.timeout,
            judged: (!api.assertions.is_empty()).then_some(api),
        })
    }
}

/// One API, ready to be asked.
struct One {
    shared: Arc<Shared>,
    client: Client,
    /// A config is validated when it is read; if it cannot be asked anyway, the fault is ours.
    prepared: Result<Prepared, Failure>,
    timeout: Duration,
    /// The API, if it has assertions.
    judged: Option<Arc<ApiConfig>>,
}

impl PreparedProbe for One {
    fn run(self: Rc<Self>) -> LocalBoxFuture<'static, Observation> {
        Box::pin(async move {
            // Waiting is cheap: what an exchange needs is allocated when it has its turn. Nothing closes the semaphore,
            // so there always is one.
            let _turn = match self.shared.turns.try_acquire() {
                Ok(turn) => turn,
                Err(_) => match tokio::time::timeout(self.timeout, self.shared.turns.acquire()).await {
                    Ok(Ok(turn)) => turn,
                    _ => return self.shared.not_asked(Failure::Local(LocalFault::TooManyProbes)),
                },
            };
            match &self.prepared {
                Ok(prepared) => Box::pin(self.shared.observe(&self.client, prepared, self.judged.as_deref())).await,
                Err(failure) => self.shared.not_asked(failure.clone()),
            }
        })
    }
}

impl Shared {
    async fn observe(&self, client: &Client, prepared: &Prepared, judged: Option<&ApiConfig>) -> Observation {
        let started_at = self.clock.now();
        let exchange = client.exchange_prepared(prepared).await;
        Observation {
            started_at,
            finished_at: self.clock.now(),
            took: exchange.took,
            phases: exchange.phases,
            address: exchange.address,
            answer: match exchange.result {
                Ok(mut reply) => {
                    let content = judged.map(|api| Box::new(content::of(api, &mut reply)));
                    Answer::Response(Response { content, ..response(&reply) })
                }
                Err(failure) => Answer::Failure(failure),
            },
        }
    }

    /// A probe that ended before its exchange began.
    fn not_asked(&self, failure: Failure) -> Observation {
        let now = self.clock.now();
        Observation {
            started_at: now,
            finished_at: now,
            took: Duration::ZERO,
            phases: PhaseTimes::default(),
            address: None,
            answer: Answer::Failure(failure),
        }
    }
}

fn prepared(api: &ApiConfig, body_bytes_max: usize) -> Result<Prepared, Failure> {
    let url = Url::parse(&api.url)
        .map_err(|error| Failure::Local(LocalFault::Internal(format!("the URL cannot be read: {error}"))))?;
    let route = match &api.proxy {
        Some(text) => Route::parse(text.reveal())
            .map_err(|why| Failure::Local(LocalFault::Internal(format!("the proxy of this API {why}"))))?,
        None => Route::AsSet,
    };
    let judges_body = api.assertions.iter().any(Assertion::needs_body);
    let prepared = Prepared::new(Request {
        method: api.method,
        url,
        headers: api.headers.clone(),
        body: api.body.as_ref().map(|body| Bytes::copy_from_slice(body.reveal().as_bytes())),
        timeout: api.timeout,
        body_bytes_max: if judges_body { body_bytes_max.min(JUDGED_BYTES_MAX) } else { body_bytes_max },
        keep_body: judges_body, // else nothing is asked of it but that it is whole
        accept_encoding: judges_body.then_some(unpack::CODINGS),
        max_redirects: api.max_redirects,
    })?;
    Ok(prepared.with_route(route))
}

fn response(reply: &Reply) -> Response {
    let location = if (300..400).contains(&reply.status) { reply.headers.get("location") } else { None };
    Response {
        status: reply.status,
        body_bytes: reply.body_bytes,
        body_cut_at_bound: reply.body_cut_at_bound,
        location: location.map(redirect::shown),
        redirects: reply.redirects,
        left_behind: reply.left_behind.clone(),
        client_certificate_wanted: reply.client_certificate_wanted,
        proxy: reply.proxy.clone(),
        content: None,
        certificate: reply.certificate,
    }
}
