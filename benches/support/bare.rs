//! The bare loops that the actors are compared with: the same requests, and nothing else. No actor, no store, no verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use api_health::probe::HttpProbe;
use api_health_actors::ports::Probe;
use api_health_core::schedule::Slot;
use api_health_core::{Answer, ApiConfig};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Url;

use super::watched::{ARBITERS, MAX_IN_FLIGHT};

/// What asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// The product's own exchange.
    Ours,
    /// hyper on a socket, as little as can be.
    Hyper,
}

/// Asks one API; whether the answer was 200 with a body.
pub async fn ask(engine: Engine, probe: &HttpProbe, api: &Arc<ApiConfig>) -> bool {
    match engine {
        Engine::Ours => match probe.probe(Arc::clone(api)).await.answer {
            Answer::Response(response) => response.status == 200 && response.body_bytes == 2,
            Answer::Failure(_) => false,
        },
        Engine::Hyper => {
            let answer = tokio::time::timeout(api.timeout, ask_hyper(&api.url)).await;
            matches!(answer, Ok(Ok(true)))
        }
    }
}

async fn ask_hyper(url: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let url = Url::parse(url)?;
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let stream = TcpStream::connect(url.socket_addrs(|| None)?[0]).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(url.path())
        .header("host", authority)
        .header("connection", "close")
        .body(Empty::<bytes::Bytes>::new())?;
    let exchange = async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(status == 200 && body.len() == 2)
    };
    let (ok, _closed) = futures_util::future::join(exchange, connection).await;
    Ok(ok?)
}

/// Asks every API once, as fast as it goes, [`MAX_IN_FLIGHT`] at once over [`ARBITERS`] threads; how many answered.
pub async fn once_each(engine: Engine, probe: Arc<HttpProbe>, apis: Vec<Arc<ApiConfig>>) -> usize {
    let passes = Arc::new(AtomicUsize::new(0));
    let (done, mut finished) = tokio::sync::mpsc::channel::<()>(1);
    let apis = Arc::new(apis);
    for arbiter in 0..ARBITERS {
        let (probe, apis, passes, done) = (Arc::clone(&probe), Arc::clone(&apis), Arc::clone(&passes), done.clone());
        Arbiter::new().spawn_fn(move || {
            let workers = MAX_IN_FLIGHT / ARBITERS;
            for worker in 0..workers {
                let (probe, apis, passes, done) =
                    (Arc::clone(&probe), Arc::clone(&apis), Arc::clone(&passes), done.clone());
                actix_rt::spawn(async move {
                    for api in apis.iter().skip(worker * ARBITERS + arbiter).step_by(workers * ARBITERS) {
                        if ask(engine, &probe, api).await {
                            passes.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    drop(done);
                });
            }
        });
    }
    drop(done);
    finished.recv().await;
    passes.load(Ordering::Relaxed)
}

/// Asks every API each `interval` at its slot, from `began` on and for ever: one timer for each thread, which wakes once
/// for all that have the same slot. `passes` counts the good answers.
pub fn paced(
    engine: Engine,
    probe: &Arc<HttpProbe>,
    apis: &[Arc<ApiConfig>],
    interval: Duration,
    began: Instant,
    passes: &Arc<AtomicUsize>,
) {
    for arbiter in 0..ARBITERS {
        let mut mine: Vec<(Duration, Arc<ApiConfig>)> = apis
            .iter()
            .skip(arbiter)
            .step_by(ARBITERS)
            .map(|api| (Slot::of(&api.api_id).within(interval), Arc::clone(api)))
            .collect();
        mine.sort_by_key(|(offset, _)| *offset);
        let (probe, passes) = (Arc::clone(probe), Arc::clone(passes));
        Arbiter::new().spawn(async move {
            let mut round_began = began;
            loop {
                for same_slot in mine.chunk_by(|a, b| a.0 == b.0) {
                    tokio::time::sleep_until(round_began + same_slot[0].0).await;
                    for (_, api) in same_slot {
                        let (probe, api, passes) = (Arc::clone(&probe), Arc::clone(api), Arc::clone(&passes));
                        actix_rt::spawn(async move {
                            if ask(engine, &probe, &api).await {
                                passes.fetch_add(1, Ordering::Relaxed);
                            }
                        });
                    }
                }
                round_began += interval;
            }
        });
    }
}
