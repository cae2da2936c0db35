//! The `Probe` port: takes an API's config, returns an observation.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{Clock, PreparedProbe, Probe};
use api_health_core::observation::LocalFault;
use api_health_core::{Answer, ApiConfig, Failure, Observation, PhaseTimes, Response, Timestamp};
use futures_util::future::LocalBoxFuture;
use tokio::sync::Semaphore;

use super::exchange::{Client, Exchange, Reply};
use super::kinds::{self, Ask, Seen};
use super::oauth::Sources;
use super::redirect;
use super::request::Prepared;

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

/// Probes, each on a connection of its own.
pub struct HttpProbe(Arc<Shared>);

struct Shared {
    client: Client,
    clock: Arc<dyn Clock>,
    turns: Semaphore,
    body_bytes_max: usize,
    /// Of tokens.
    sources: Sources,
}

impl HttpProbe {
    /// A probe for all APIs and all threads. `limits.max_in_flight` is taken as at least 1.
    pub fn new(client: Client, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let turns = Semaphore::new(limits.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let (body_bytes_max, sources) = (limits.body_bytes_max, Sources::default());
        Self(Arc::new(Shared { client, clock, turns, body_bytes_max, sources }))
    }
}

impl Probe for HttpProbe {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let shared = Arc::clone(&self.0);
        let asked = kinds::prepare(&api, &shared.client, &shared.sources, shared.body_bytes_max);
        let timeout = api.timeout;
        Rc::new(One { shared, asked, timeout, asking: Some(api).filter(|api| api.asking.is_some()) })
    }
}

/// One API, ready to be asked.
struct One {
    shared: Arc<Shared>,
    /// A config is validated when it is read; if it cannot be asked anyway, the fault is ours.
    asked: Result<(Client, Ask), Failure>,
    timeout: Duration,
    /// The API, where it has more than a plain request: a server may echo the secrets of its URL.
    asking: Option<Arc<ApiConfig>>,
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
            match &self.asked {
                Ok((client, Ask::Http(prepared))) => Box::pin(self.observe(client, prepared)).await,
                Ok((client, other)) => Box::pin(self.observe_otherwise(client, other)).await,
                Err(failure) => self.shared.not_asked(failure.clone()),
            }
        })
    }
}

impl One {
    async fn observe(&self, client: &Client, prepared: &Prepared) -> Observation {
        let started_at = self.shared.clock.now();
        let exchange = client.exchange_prepared(prepared).await;
        self.observation(started_at, exchange)
    }

    /// By other ways than a plain request.
    async fn observe_otherwise(&self, client: &Client, ask: &Ask) -> Observation {
        let started_at = self.shared.clock.now();
        let seen = match ask {
            Ask::Http(prepared) => return self.observe(client, prepared).await,
            Ask::WithToken(with_token) => {
                let exchange = with_token.ask(client).await;
                return self.observation(started_at, exchange);
            }
            Ask::Connect(connect) => connect.ask(client).await,
            Ask::NameServer(query) => kinds::ask_name_server(client, query, self.timeout).await,
        };
        let finished_at = self.shared.clock.now();
        let Seen { phases, address, took, answer } = seen;
        Observation { started_at, finished_at, took, phases, address, answer }
    }

    fn observation(&self, started_at: Timestamp, exchange: Exchange) -> Observation {
        Observation {
            started_at,
            finished_at: self.shared.clock.now(),
            took: exchange.took,
            phases: exchange.phases,
            address: exchange.address,
            answer: match exchange.result {
                Ok(reply) => Answer::Response(response(&reply, self.asking.as_deref())),
                Err(failure) => Answer::Failure(failure),
            },
        }
    }
}

impl Shared {
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

fn response(reply: &Reply, api: Option<&ApiConfig>) -> Response {
    let location = if (300..400).contains(&reply.status) { reply.headers.get("location") } else { None };
    Response {
        status: reply.status,
        body_bytes: reply.body_bytes,
        body_cut_at_bound: reply.body_cut_at_bound,
        location: location.map(redirect::shown).map(|location| masked(location, api)),
        redirects: reply.redirects,
        left_behind: reply.left_behind.clone(),
        client_certificate_wanted: reply.client_certificate_wanted,
        proxy: reply.proxy.clone(),
    }
}

/// A server may echo what stands in the URL.
fn masked(text: String, api: Option<&ApiConfig>) -> String {
    match api.and_then(|api| api.asking.as_deref()) {
        Some(asking) => asking.masked(&text),
        None => text,
    }
}
