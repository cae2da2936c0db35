//! APIs that do as they are told.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_core::{Answer, ApiConfig, Failure, Observation, Phase, PhaseTimes, Response, Timestamp};
use futures_util::future::LocalBoxFuture;

use super::VirtualClock;
use crate::ports::{Clock, Probe};

/// What an API does when it is probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers with this status.
    Answers(u16),
    /// Refuses connections.
    Refuses,
    /// Accepts and never answers.
    Hangs,
    /// Makes the prober itself panic.
    Panics,
    /// Never comes back, whatever the timeout: a fault of the probe.
    NeverEnds,
}

/// All fake APIs, by id; one that was never mentioned answers 200.
#[derive(Clone)]
pub struct FakeTargets {
    clock: VirtualClock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    behaviour: HashMap<String, Behaviour>,
    probed: HashMap<String, Vec<Timestamp>>,
}

impl FakeTargets {
    pub(super) fn new(clock: VirtualClock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// From now on.
    pub fn set(&self, id: &str, behaviour: Behaviour) {
        self.lock().behaviour.insert(id.to_owned(), behaviour);
    }

    /// When an API was probed.
    pub fn probed(&self, id: &str) -> Vec<Timestamp> {
        self.lock().probed.get(id).cloned().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for FakeTargets {
    fn probe(&self, api: Arc<ApiConfig>) -> LocalBoxFuture<'static, Observation> {
        let started_at = self.clock.now();
        let behaviour = {
            let mut inner = self.lock();
            inner.probed.entry(api.api_id.to_string()).or_default().push(started_at);
            inner.behaviour.get(api.api_id.as_str()).copied().unwrap_or(Behaviour::Answers(200))
        };
        let clock = self.clock.clone();
        Box::pin(async move {
            let took = Duration::from_millis(20);
            let answer = match behaviour {
                Behaviour::Answers(status) => {
                    tokio::time::sleep(took).await;
                    Answer::Response(Response { status, ..Response::default() })
                }
                Behaviour::Refuses => {
                    Answer::Failure(Failure::Refused { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)) })
                }
                Behaviour::Hangs => {
                    tokio::time::sleep(api.timeout).await;
                    Answer::Failure(Failure::TimedOut { phase: Phase::FirstByte, after: api.timeout })
                }
                Behaviour::Panics => panic!("planted"),
                Behaviour::NeverEnds => std::future::pending().await,
            };
            let finished_at = clock.now();
            Observation {
                started_at,
                finished_at,
                took: finished_at.since(started_at),
                phases: PhaseTimes::default(),
                address: None,
                answer,
            }
        })
    }
}
