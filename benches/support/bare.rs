//! The bare loops that the actors are compared with: the same requests, and nothing else. No actor, no store, no verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::Arbiter;
use api_health::probe::HttpProbe;
use api_health_actors::ports::Probe;
use api_health_core::{Answer, ApiConfig};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::Url;

use super::figures::number;
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
            _ => false,
        },
        Engine::Hyper => {
            let Ok(url) = Url::parse(&api.url) else { return false };
            let answer = tokio::time::timeout(api.timeout, ask_hyper(&url)).await;
            matches!(answer, Ok(Ok(true)))
        }
    }
}

async fn ask_hyper(url: &Url) -> Result<bool, Box<dyn std::error::Error>> {
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
        Ok::<_, hyper::Error>(status == 200 && body.len() >= 2)
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

/// When in each interval the API with this number is asked by [`paced`]: all of them evenly.
pub fn offset(index: usize, n: usize, interval: Duration) -> Duration {
    interval.mul_f64(number(index) / number(n))
}

/// Asks every API each `interval`, from `began` on and for ever: a task for each, which sleeps to its next deadline.
/// `passes` counts the good answers.
pub fn paced(apis: &[Arc<ApiConfig>], interval: Duration, began: Instant, passes: &Arc<AtomicUsize>) {
    for arbiter in 0..ARBITERS {
        let n = apis.len();
        let mine: Vec<_> = apis.iter().cloned().enumerate().skip(arbiter).step_by(ARBITERS).collect();
        let passes = Arc::clone(passes);
        Arbiter::new().spawn_fn(move || {
            for (index, api) in mine {
                let passes = Arc::clone(&passes);
                actix_rt::spawn(async move {
                    let url = Url::parse(&api.url).expect("the bench wrote it");
                    let mut due = began + offset(index, n, interval);
                    loop {
                        tokio::time::sleep_until(due).await;
                        if let Ok(Ok(true)) = tokio::time::timeout(api.timeout, ask_hyper(&url)).await {
                            passes.fetch_add(1, Ordering::Relaxed);
                        }
                        due += interval;
                    }
                });
            }
        });
    }
}
