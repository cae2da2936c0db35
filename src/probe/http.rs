//! The `Probe` port: takes an API's config, returns an observation.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use api_health_actors::ports::{Clock, PreparedProbe, Probe};
use api_health_core::masking::Masking;
use api_health_core::observation::LocalFault;
use api_health_core::{
    Answer, ApiConfig, Failure, IpFamily, Observation, Response, Secret, Timestamp, Verdict, assertion,
};
use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;
use url::Url;

use super::client::Client;
use super::exchange::{Exchange, Reply};
use super::kinds::{self, Ask, Asked, Prepare, Seen};
use super::oauth::Sources;
use super::request::Prepared;
use super::turns::{Share, Turns};
use super::{content, redirect};
use crate::retry_after::retry_after;

/// What a probe may use of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Exchanges under way at once, over all threads. More wait their turn before their clock starts, so that our own
    /// crowd is never taken for a slow API. They wait as long as their API's timeout, and then say so: with the exchange
    /// itself, no probe takes longer than twice its timeout.
    pub max_in_flight: usize,
    /// Of them, to one host.
    pub max_in_flight_per_host: usize,
    /// Bytes of a body that are read; the rest is left unread.
    pub body_bytes_max: usize,
}

/// Probes each API in its way, each on a connection of its own.
pub struct HttpProbe(Arc<Shared>);

struct Shared {
    /// One for each family of addresses, in the order of [`IpFamily::ALL`].
    clients: [Client; IpFamily::ALL.len()],
    clock: Arc<dyn Clock>,
    /// Those of one party go to one host.
    turns: Turns,
    body_bytes_max: usize,
    sources: Sources,
}

impl HttpProbe {
    /// A probe for all APIs and all threads. Limits of probes under way are taken as at least 1.
    pub fn new(client: Client, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let turns = Turns::new(limits.max_in_flight.max(1), limits.max_in_flight_per_host.max(1));
        let clients = IpFamily::ALL.map(move |family| client.clone().with_family(family));
        let (body_bytes_max, sources) = (limits.body_bytes_max, Sources::default());
        Self(Arc::new(Shared { clients, clock, turns, body_bytes_max, sources }))
    }
}

impl Probe for HttpProbe {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let shared = Arc::clone(&self.0);
        let asked = Prepare { api: &api, sources: &shared.sources, body_bytes_max: shared.body_bytes_max }
            .by(&shared.clients[IpFamily::Any as usize]);
        let (asked, client) = match asked {
            Ok((ask, client)) => (Ok(ask), client),
            Err(failure) => (Err(Box::new(failure)), None),
        };
        let host = shared.turns.share(&host(&api));
        Rc::new(One { shared, asked, client, host, passes: Cell::new(0), api })
    }
}

/// One API, ready to be asked.
struct One {
    shared: Arc<Shared>,
    api: Arc<ApiConfig>,
    /// A config is validated when it is read; if it cannot be asked anyway, the fault is ours. It is large, and hardly ever there.
    asked: Result<Ask, Box<Failure>>,
    /// Where it trusts others than the rest do.
    client: Option<Box<Client>>,
    host: Share,
    /// Passes since the last fail, as far as they may confirm a recovery.
    passes: Cell<u32>,
}

impl PreparedProbe for One {
    fn run(self: Rc<Self>) -> LocalBoxFuture<'static, Observation> {
        Box::pin(async move {
            // Waiting is cheap: what an exchange needs is allocated when it has its turn.
            let asked_at = Instant::now();
            let deadline = asked_at + self.api.timeout;
            let of_host = self.host.turn(deadline).await;
            let waited_for_host = asked_at.elapsed();
            let seen = match of_host {
                None => self.shared.not_asked(Failure::Local(LocalFault::HostShareFull { host: host(&self.api) })),
                Some(of_host) => match (self.shared.turns.of_all(of_host, deadline).await, &self.asked) {
                    (None, _) => self.shared.not_asked(Failure::Local(LocalFault::TooManyProbes)),
                    (Some(_), Err(failure)) => self.shared.not_asked(Failure::clone(failure)),
                    (Some(_turn), Ok(Ask::Http(prepared))) => Box::pin(self.observe(prepared)).await,
                    (Some(_turn), Ok(other)) => Box::pin(self.observe_otherwise(other)).await,
                },
            };
            let waited_for_host = waited_for_host.saturating_add(seen.waited_for_host);
            Observation { waited_for_host, ..seen }
        })
    }
}

impl One {
    fn client(&self) -> &Client {
        self.client.as_deref().unwrap_or(&self.shared.clients[self.api.ip_family as usize])
    }

    async fn observe(&self, prepared: &Prepared) -> Observation {
        let started_at = self.shared.clock.now();
        let exchange = self.client().exchange_prepared(prepared).await;
        self.observation(started_at, exchange, None)
    }

    /// By other ways than a plain request.
    async fn observe_otherwise(&self, ask: &Ask) -> Observation {
        let started_at = self.shared.clock.now();
        let seen = match ask {
            Ask::Http(prepared) => return self.observe(prepared).await,
            Ask::WithToken(with_token) => {
                let Asked { exchange, token, waited } = with_token.ask(self.client()).await;
                let observation = self.observation(started_at, exchange, token.as_ref());
                return Observation { waited_for_host: waited, ..observation };
            }
            Ask::Connect(connect) => connect.ask(self.client()).await,
            Ask::NameServer(query) => kinds::ask_name_server(self.client(), query, self.api.timeout).await,
        };
        let Seen { phases, address, took, answer, raw, figures } = seen;
        let finished_at = self.shared.clock.now();
        let known = Observation::new(answer, started_at);
        let mut observation = Observation { finished_at, took, phases, address, figures, ..known };
        if self.may_change_a_status(&observation) {
            observation.seen = Some(Box::new(raw.seen(None, &phases, address)));
        }
        observation
    }

    /// `token` is what went along beside what stands in the row.
    fn observation(&self, started_at: Timestamp, exchange: Exchange, token: Option<&Secret>) -> Observation {
        let finished_at = self.shared.clock.now();
        let Exchange { phases, address, by_proxy, took, result, raw, figures } = exchange;
        let (answer, reply) = match result {
            Ok(mut reply) => {
                let broken = content::broken(&self.api, token, &mut reply);
                (Answer::Response(Response { broken, ..self.response(&reply, token, finished_at) }), Some(reply))
            }
            Err(failure) => (Answer::Failure(failure), None),
        };
        let known = Observation::new(answer, started_at);
        let mut observation = Observation { finished_at, took, phases, address, by_proxy, figures, ..known };
        if self.may_change_a_status(&observation) {
            let head = reply.as_ref().map(|reply| &reply.headers);
            let mut seen = raw.seen(head, &phases, address);
            seen.status_line = self.without(token, &seen.status_line).into_owned();
            observation.seen = Some(Box::new(seen));
        }
        observation
    }

    /// What a server says, without the token that it was sent. What stands in the row is hidden by whoever shows it.
    fn without<'s>(&self, token: Option<&Secret>, said: &'s [u8]) -> Cow<'s, [u8]> {
        token.map_or(Cow::Borrowed(said), |_| Masking::with_token(&self.api, token).hide(said, false))
    }

    /// Whether it may be the exchange that confirms a change: any that is no pass, and the first passes in a row after one.
    fn may_change_a_status(&self, observation: &Observation) -> bool {
        let passes = self.passes.get();
        match assertion::judge(&self.api, observation).verdict {
            Verdict::Pass if passes >= self.api.success_threshold => false,
            Verdict::Pass => {
                self.passes.set(passes + 1);
                true
            }
            Verdict::Fail => {
                self.passes.set(0);
                true
            }
            Verdict::Inconclusive => true,
        }
    }

    fn response(&self, reply: &Reply, token: Option<&Secret>, now: Timestamp) -> Response {
        // A header is looked for where it may be wanted alone: for that, all of them are read once more.
        let location = if (300..400).contains(&reply.status) { reply.headers.get("location") } else { None };
        let asks_again_after =
            if Response::may_ask_for_patience(reply.status) { reply.headers.get("retry-after") } else { None };
        Response {
            status: reply.status,
            body_bytes: reply.body_bytes,
            body_cut_at_bound: reply.body_cut_at_bound,
            location: location.map(|location| redirect::shown(&self.without(token, location))).map(|location| {
                match &self.api.asking {
                    // A server may echo what stands in the URL.
                    Some(asking) => asking.masked(&location),
                    None => location,
                }
            }),
            redirects: reply.redirects,
            left_behind: reply.left_behind.clone(),
            client_certificate_wanted: reply.client_certificate_wanted,
            proxy: reply.proxy.clone(),
            retry_after: asks_again_after.and_then(|value| retry_after(value, now)),
            broken: Vec::new(),
            certificate: reply.certificate,
        }
    }
}

impl Shared {
    /// A probe that ended before its exchange began.
    fn not_asked(&self, failure: Failure) -> Observation {
        Observation::new(Answer::Failure(failure), self.clock.now())
    }
}

/// Whose turns its probes take: that of its URL, whatever the port and wherever redirects lead.
fn host(api: &ApiConfig) -> String {
    let url = Url::parse(&api.url).ok();
    url.and_then(|url| url.host_str().map(|host| host.trim_end_matches('.').to_owned())).unwrap_or_default()
}
