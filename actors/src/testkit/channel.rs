//! A channel that remembers what it was told, and can be made to fail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_core::{Alert, ApiId, Timestamp};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::VirtualClock;
use crate::ports::{Clock, Notifier, NotifyError};

/// How the channel fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChannelFault {
    /// It works.
    #[default]
    None,
    /// It refuses at once.
    Unavailable,
    /// It never answers within a minute.
    Hangs,
    /// A person must act.
    Permanent,
    /// It panics.
    Panics,
    /// It refuses the alerts of this API alone.
    RefusesOne(ApiId),
}

/// The channel.
#[derive(Clone)]
pub struct FakeChannel {
    name: &'static str,
    clock: VirtualClock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    fault: ChannelFault,
    told: Vec<(Timestamp, Alert)>,
}

impl FakeChannel {
    /// A channel that works.
    pub fn new(name: &'static str, clock: VirtualClock) -> Self {
        Self { name, clock, inner: Arc::default() }
    }

    /// From now on.
    pub fn set_fault(&self, fault: ChannelFault) {
        self.lock().fault = fault;
    }

    /// What was told: when, and what.
    pub fn told(&self) -> Vec<(Timestamp, Alert)> {
        self.lock().told.clone()
    }

    /// What was told, as `id kind`, in order.
    pub fn lines(&self) -> Vec<String> {
        self.lock().told.iter().map(|(_, alert)| format!("{} {}", alert.api_id, alert.kind.as_str())).collect()
    }

    /// The same without what the monitor tells of itself.
    pub fn lines_of_apis(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| !line.contains(':')).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notifier for FakeChannel {
    fn channel(&self) -> &'static str {
        self.name
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        async move {
            let fault = self.lock().fault.clone();
            match fault {
                ChannelFault::Unavailable => Err(NotifyError::Retryable { reason: "planted".into(), after: None }),
                ChannelFault::Hangs => {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                    Err(NotifyError::Retryable { reason: "no answer within 60 s".into(), after: None })
                }
                ChannelFault::Permanent => {
                    Err(NotifyError::Permanent { reason: "planted".into(), instead: "mend it".into() })
                }
                ChannelFault::Panics => panic!("planted"),
                ChannelFault::RefusesOne(api_id) if api_id == alert.api_id => {
                    Err(NotifyError::Retryable { reason: "planted".into(), after: None })
                }
                ChannelFault::None | ChannelFault::RefusesOne(_) => {
                    let now = self.clock.now();
                    self.lock().told.push((now, (*alert).clone()));
                    Ok(())
                }
            }
        }
        .boxed_local()
    }
}
