//! A channel that remembers what it was told, and can be made to fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::{Alert, ApiId, Timestamp};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::stage::{Answered, Event, Stage, Step};
use super::{VirtualClock, lock};
use crate::ports::{Clock, Notifier, NotifierOfMany, NotifyError};

/// How the channel fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChannelFault {
    #[default]
    None,
    /// It refuses at once.
    Unavailable,
    /// It never answers within a minute.
    Hangs,
    /// A person must act.
    Permanent,
    Panics,
    /// It refuses the alerts of this API alone.
    RefusesOne(ApiId),
    /// It asks for patience.
    RetryAfter(Duration),
    /// It takes the alert over and says that it failed.
    AnswerLost,
    /// It takes the alert over, and says after a minute that it failed.
    HangsWithIt,
    /// Any of these (but for the panic), or none, from one attempt to the next.
    Flaky,
}

#[derive(Clone)]
pub struct FakeChannel {
    name: &'static str,
    stage: Stage,
    inner: Arc<Mutex<Inner>>,
    /// What one process alone meets.
    line: Arc<Mutex<ChannelFault>>,
}

#[derive(Default)]
struct Inner {
    fault: ChannelFault,
    latency_ms_max: u64,
    delivered: Vec<(Timestamp, Alert)>,
    attempts: usize,
}

/// Notes an attempt that ends without an answer.
struct Noted<'a> {
    stage: &'a Stage,
    call: u64,
    answered: Answered,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        let answered = if std::thread::panicking() { Answered::Panicked } else { self.answered };
        self.stage.note(Event::DeliverEnded { call: self.call, answered });
    }
}

impl FakeChannel {
    /// A channel that works, in a world of its own but for the clock.
    pub fn new(name: &'static str, clock: VirtualClock) -> Self {
        Self::on(name, Stage::new(clock, 0))
    }

    /// A channel that works.
    pub fn on(name: &'static str, stage: Stage) -> Self {
        Self { name, stage, inner: Arc::default(), line: Arc::default() }
    }

    /// The same channel as another process reaches it.
    #[must_use]
    pub fn line(&self, stage: Stage) -> Self {
        Self { name: self.name, stage, inner: Arc::clone(&self.inner), line: Arc::default() }
    }

    /// This process alone meets that from now on.
    pub fn set_line_fault(&self, fault: ChannelFault) {
        *lock(&self.line) = fault;
    }

    pub fn set_fault(&self, fault: ChannelFault) {
        lock(&self.inner).fault = fault;
    }

    /// Each attempt takes up to this long from now on.
    pub fn set_latency(&self, millis_max: u64) {
        lock(&self.inner).latency_ms_max = millis_max;
    }

    /// What was told: when, and what.
    pub fn delivered(&self) -> Vec<(Timestamp, Alert)> {
        lock(&self.inner).delivered.clone()
    }

    /// How many messages were sent to it, whatever came of them.
    pub fn attempts(&self) -> usize {
        lock(&self.inner).attempts
    }

    /// What was told, as `id kind`, in order.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.inner)
            .delivered
            .iter()
            .map(|(_, alert)| format!("{} {}", alert.api_id, alert.kind.as_str()))
            .collect()
    }

    /// The same without what the monitor tells of itself.
    pub fn lines_of_apis(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| !line.contains(':')).collect()
    }

    /// How this attempt fails.
    fn fault_now(&self) -> ChannelFault {
        let line = lock(&self.line).clone();
        match if line == ChannelFault::None { lock(&self.inner).fault.clone() } else { line } {
            ChannelFault::Flaky => self.stage.draw(|chance| match chance.below(8) {
                0 => ChannelFault::Unavailable,
                1 => ChannelFault::Hangs,
                2 => ChannelFault::HangsWithIt,
                3 => ChannelFault::RetryAfter(chance.millis(0, 90_000)),
                4 => ChannelFault::AnswerLost,
                5 if chance.percent(30) => ChannelFault::Permanent,
                _ => ChannelFault::None,
            }),
            fault => fault,
        }
    }

    async fn take_over(&self, calls: &[u64], alerts: &[Arc<Alert>]) {
        self.stage.pass(Step::BeforeTakingOver).await;
        let now = self.stage.clock.now();
        lock(&self.inner).delivered.extend(alerts.iter().map(|alert| (now, (**alert).clone())));
        calls.iter().for_each(|call| self.stage.note(Event::TookOver { call: *call }));
        self.stage.pass(Step::AfterTakingOver).await;
    }

    async fn attempt(&self, calls: &[u64], alerts: &[Arc<Alert>]) -> Result<(), NotifyError> {
        let latency_ms_max = {
            let mut inner = lock(&self.inner);
            inner.attempts += 1;
            inner.latency_ms_max
        };
        self.stage.dawdle(latency_ms_max).await;
        let refusal = |after| Err(NotifyError::Retryable { reason: "planted".into(), after });
        match self.fault_now() {
            ChannelFault::Unavailable => refusal(None),
            ChannelFault::Hangs => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                refusal(None)
            }
            ChannelFault::HangsWithIt => {
                self.take_over(calls, alerts).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
                refusal(None)
            }
            ChannelFault::AnswerLost => {
                self.take_over(calls, alerts).await;
                refusal(None)
            }
            ChannelFault::RetryAfter(after) => refusal(Some(after)),
            ChannelFault::Permanent => {
                Err(NotifyError::Permanent { reason: "planted".into(), remedy: "mend it".into() })
            }
            ChannelFault::Panics => panic!("planted"),
            ChannelFault::RefusesOne(api_id) if alerts.iter().any(|alert| alert.api_id == api_id) => refusal(None),
            ChannelFault::None | ChannelFault::RefusesOne(_) | ChannelFault::Flaky => {
                self.take_over(calls, alerts).await;
                Ok(())
            }
        }
    }
}

impl Notifier for FakeChannel {
    fn channel(&self) -> &str {
        self.name
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        self.deliver_digest(vec![alert])
    }

    fn digests(&self) -> Option<&dyn NotifierOfMany> {
        Some(self)
    }
}

impl NotifierOfMany for FakeChannel {
    fn deliver_digest(&self, alerts: Vec<Arc<Alert>>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        async move {
            self.stage.pass(Step::Any).await;
            if alerts.len() > 1 {
                let apis = alerts.iter().map(|alert| alert.api_id.clone()).collect();
                self.stage.note(Event::DigestBegan { channel: self.name, apis });
            }
            let mut calls = Vec::new();
            let mut noted = Vec::new();
            for alert in &alerts {
                let call = self.stage.number();
                self.stage.note(Event::DeliverBegan { call, channel: self.name, alert: Arc::clone(alert) });
                calls.push(call);
                noted.push(Noted { stage: &self.stage, call, answered: Answered::Cut });
            }
            let answer = self.attempt(&calls, &alerts).await;
            let answered = match &answer {
                Ok(()) => Answered::Ok,
                Err(NotifyError::Retryable { after: Some(wait), .. }) => Answered::AskedForPatience(*wait),
                Err(NotifyError::Retryable { .. }) => Answered::Retryable,
                Err(NotifyError::Permanent { .. }) => Answered::Permanent,
            };
            noted.iter_mut().for_each(|noted| noted.answered = answered);
            answer
        }
        .boxed_local()
    }
}
