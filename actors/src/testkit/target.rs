//! APIs that do as they are told.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::observation::{CertificateFault, LocalFault};
use api_health_core::{Answer, ApiConfig, Failure, Observation, Phase, PhaseTimes, Response, Timestamp};
use futures_util::future::LocalBoxFuture;

use super::lock;
use super::stage::{Event, Stage, Step};
use crate::ports::{Clock, PreparedProbe, Probe};

/// What an API does when it is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this status.
    Answers(u16),
    Refuses,
    /// Accepts and never answers.
    Hangs,
    /// Cannot be reached, says the network after a while.
    Unreachable,
    /// This machine has no way to it.
    NoRoute,
    /// Its name cannot be looked up for now.
    LookupFails,
    /// Shows a certificate that is over.
    CertificateOver,
    /// Makes the prober itself panic, in its probe.
    Panics,
    /// The same, before there is a probe.
    PanicsAtOnce,
    /// The same, when the probe is over and the answer is looked at.
    PanicsAfterwards,
    /// Never comes back, whatever the timeout: a fault of the probe.
    NeverEnds,
    /// Cannot be asked: this machine has no file descriptors left.
    CannotBeAsked,
    /// Answers 200 by way of a proxy.
    AnswersByProxy,
    /// Cannot be asked: the proxy on the way to it is dead.
    ProxyIsDead,
    /// Answers 200, after three seconds in which it waited for its turn here.
    WaitsForItsTurn,
    /// The same, for a turn of its host.
    WaitsForItsHost,
}

/// How long a probe waits that has no turn.
const TURN: Duration = Duration::from_secs(3);

/// All fake APIs, by id; one that was never mentioned answers 200.
#[derive(Clone)]
pub struct FakeTargets {
    stage: Stage,
    inner: Arc<Mutex<Inner>>,
    /// What one process alone meets, whomever it asks.
    line: Arc<Mutex<Option<Behaviour>>>,
}

#[derive(Default)]
struct Inner {
    behaviour: HashMap<String, Behaviour>,
    probed: HashMap<String, Vec<Timestamp>>,
    latency_ms_max: u64,
}

/// Notes a probe that is dropped before it is over.
struct Noted {
    stage: Stage,
    probe: u64,
    over: bool,
}

impl Drop for Noted {
    fn drop(&mut self) {
        if !self.over {
            self.stage.note(Event::ProbeCut { probe: self.probe, panicked: std::thread::panicking() });
        }
    }
}

impl FakeTargets {
    pub(super) fn on(stage: Stage) -> Self {
        Self { stage, inner: Arc::default(), line: Arc::default() }
    }

    /// The same APIs as another process reaches them.
    #[must_use]
    pub fn line(&self, stage: Stage) -> Self {
        Self { stage, inner: Arc::clone(&self.inner), line: Arc::default() }
    }

    /// This process alone meets that from now on, whomever it asks; `None`: what is there.
    pub fn set_line(&self, behaviour: Option<Behaviour>) {
        *lock(&self.line) = behaviour;
    }

    pub fn set(&self, id: &str, behaviour: Behaviour) {
        lock(&self.inner).behaviour.insert(id.to_owned(), behaviour);
    }

    /// Each answer takes up to this long from now on, and 20 ms for 0.
    pub fn set_latency(&self, millis_max: u64) {
        lock(&self.inner).latency_ms_max = millis_max;
    }

    /// When an API was probed.
    pub fn probed(&self, id: &str) -> Vec<Timestamp> {
        lock(&self.inner).probed.get(id).cloned().unwrap_or_default()
    }
}

/// An address in the internet, another one for nearly each API.
fn address_of(api: &ApiConfig) -> SocketAddr {
    let [.., a, b, c] = api.api_id.stable_hash().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(9, a, b, c), 443))
}

impl Probe for FakeTargets {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let targets = self.clone();
        Rc::new(move || targets.exchange(Arc::clone(&api)))
    }
}

impl FakeTargets {
    fn exchange(&self, api: Arc<ApiConfig>) -> LocalBoxFuture<'static, Observation> {
        let stage = self.stage.clone();
        let started_at = stage.clock.now();
        let began = stage.clock.elapsed();
        let (behaviour, latency_ms_max) = {
            let mut inner = lock(&self.inner);
            inner.probed.entry(api.api_id.to_string()).or_default().push(started_at);
            let behaviour = inner.behaviour.get(api.api_id.as_str()).copied().unwrap_or(Behaviour::Answers(200));
            let line = *lock(&self.line);
            (line.unwrap_or(behaviour), inner.latency_ms_max)
        };
        assert!(behaviour != Behaviour::PanicsAtOnce, "planted");
        let address = address_of(&api);
        let mut noted = Noted { probe: stage.number(), stage, over: false };
        noted.stage.note(Event::ProbeBegan { probe: noted.probe, api: Arc::clone(&api) });
        Box::pin(async move {
            let took = match latency_ms_max {
                0 => Duration::from_millis(20),
                max => noted.stage.draw(|chance| chance.millis(1, max)),
            };
            let answer = match behaviour {
                Behaviour::Answers(status) => {
                    tokio::time::sleep(took).await;
                    Answer::Response(Response { status, ..Response::default() })
                }
                Behaviour::PanicsAfterwards | Behaviour::AnswersByProxy => {
                    Answer::Response(Response { status: 200, ..Response::default() })
                }
                Behaviour::Refuses => {
                    Answer::Failure(Failure::Refused { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)) })
                }
                Behaviour::Hangs => {
                    tokio::time::sleep(api.timeout).await;
                    Answer::Failure(Failure::TimedOut { phase: Phase::FirstByte, after: api.timeout })
                }
                Behaviour::Unreachable => {
                    tokio::time::sleep(api.timeout / 2).await;
                    Answer::Failure(Failure::HostUnreachable { address })
                }
                Behaviour::NoRoute => Answer::Failure(Failure::Local(LocalFault::NoRoute)),
                Behaviour::LookupFails => {
                    tokio::time::sleep(took).await;
                    Answer::Failure(Failure::LookupFailed { host: "it".into(), detail: "for now".into() })
                }
                Behaviour::CertificateOver => {
                    tokio::time::sleep(took).await;
                    Answer::Failure(Failure::Certificate(CertificateFault::Expired { not_after: None }))
                }
                Behaviour::Panics | Behaviour::PanicsAtOnce => panic!("planted"),
                Behaviour::NeverEnds => std::future::pending().await,
                Behaviour::WaitsForItsTurn | Behaviour::WaitsForItsHost => {
                    tokio::time::sleep(TURN).await;
                    Answer::Response(Response { status: 200, ..Response::default() })
                }
                Behaviour::ProxyIsDead => {
                    let proxy = LocalFault::Proxy { proxy: "proxy:3128".into(), did: "refused the connection".into() };
                    Answer::Failure(Failure::Local(proxy))
                }
                Behaviour::CannotBeAsked => Answer::Failure(Failure::Local(LocalFault::TooManyOpenFiles)),
            };
            let finished_at = noted.stage.clock.now();
            let waited = |waits| if behaviour == waits { TURN } else { Duration::ZERO };
            let waited_for_host = waited(Behaviour::WaitsForItsHost);
            let took = noted.stage.clock.elapsed();
            let took = took.saturating_sub(began + waited(Behaviour::WaitsForItsTurn) + waited_for_host);
            noted.stage.note(Event::ProbeEnded { probe: noted.probe, behaviour, started_at, finished_at });
            noted.over = true;
            noted.stage.pass(Step::ProbeOver).await;
            if behaviour == Behaviour::PanicsAfterwards {
                noted.stage.clock.panic_next();
            }
            let is_looked_up = behaviour != Behaviour::LookupFails && behaviour != Behaviour::CannotBeAsked;
            let is_connected =
                matches!(behaviour, Behaviour::Answers(_) | Behaviour::Hangs | Behaviour::CertificateOver);
            let phase = |is_over: bool| is_over.then_some(Duration::from_millis(1));
            let tls = phase(matches!(behaviour, Behaviour::Answers(_)));
            let phases = PhaseTimes { resolve: phase(is_looked_up), tls, ..PhaseTimes::default() };
            let address = is_connected.then_some(address);
            let by_proxy = matches!(behaviour, Behaviour::ProxyIsDead | Behaviour::AnswersByProxy);
            let known = Observation::new(answer, started_at);
            Observation { finished_at, took, waited_for_host, phases, address, by_proxy, ..known }
        })
    }
}
