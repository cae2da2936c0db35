//! Listens in on the ports: each passes everything on to the real adapter and says what came of it.

use std::io::Write;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::ports::{
    CommitError, CommitLimits, ConfigSource, LoadedConfigs, LoadedStates, Notifier, NotifyError, PreparedProbe, Probe,
    SourceError, StateStore, StateWrite, StoreError, StoredHeartbeat, StoredState, UnreadableState,
};
use api_health_core::assertion::judge;
use api_health_core::outcome::Outcome;
use api_health_core::{Alert, AlertKind, ApiConfig, ApiId, ApiState, Heartbeat};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::notify::terminal::TerminalNotifier;
use crate::probe::HttpProbe;
use crate::store::sqlite::SqliteStateStore;

/// Where the listeners speak to.
pub(super) type Events = mpsc::Sender<(Instant, Event)>;

/// Something that was seen.
pub(super) enum Event {
    /// A probe is over.
    Probed { outcome: Outcome, took: Duration },
    /// A state is in the store.
    Stored(Arc<ApiState>),
    /// A channel took an alert over; what it wrote.
    Told { kind: AlertKind, text: String },
}

fn say(events: &Events, event: Event) {
    // There is room for everything in so short a story; were there none, the real work must not wait for the telling.
    let _ = events.try_send((Instant::now(), event));
}

pub(super) struct SeenProbe {
    pub(super) inner: HttpProbe,
    pub(super) events: Events,
}

impl Probe for SeenProbe {
    fn prepare(&self, api: Arc<ApiConfig>) -> Rc<dyn PreparedProbe> {
        let (inner, events) = (self.inner.prepare(Arc::clone(&api)), self.events.clone());
        Rc::new(move || {
            let (probing, events, api) = (Rc::clone(&inner).run(), events.clone(), Arc::clone(&api));
            async move {
                let observation = probing.await;
                say(&events, Event::Probed { outcome: judge(&api, &observation), took: observation.took });
                observation
            }
            .boxed_local()
        })
    }
}

pub(super) struct SeenStore {
    pub(super) inner: SqliteStateStore,
    pub(super) events: Events,
}

impl StateStore for SeenStore {
    fn load_all(&self) -> BoxFuture<'_, Result<LoadedStates, StoreError>> {
        self.inner.load_all()
    }

    fn load(&self, api_id: ApiId) -> BoxFuture<'_, Result<Option<StoredState>, StoreError>> {
        self.inner.load(api_id)
    }

    fn quarantine(&self, record: UnreadableState) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.quarantine(record)
    }

    fn commit(&self, writes: Vec<StateWrite>) -> BoxFuture<'_, Vec<Result<(), CommitError>>> {
        async move {
            let results = self.inner.commit(writes.clone()).await;
            for (write, result) in writes.into_iter().zip(&results) {
                if result.is_ok() {
                    say(&self.events, Event::Stored(write.state));
                }
            }
            results
        }
        .boxed()
    }

    fn write_heartbeat(&self, heartbeat: Heartbeat) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.write_heartbeat(heartbeat)
    }

    fn read_heartbeats(&self) -> BoxFuture<'_, Result<Vec<StoredHeartbeat>, StoreError>> {
        self.inner.read_heartbeats()
    }

    fn limits(&self) -> CommitLimits {
        self.inner.limits()
    }
}

/// What the terminal notifier writes, kept for the story instead of standard output.
#[derive(Clone, Default)]
pub(super) struct Text(Arc<Mutex<Vec<u8>>>);

impl Text {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) struct SeenNotifier {
    pub(super) inner: TerminalNotifier,
    pub(super) text: Text,
    pub(super) events: Events,
}

impl Notifier for SeenNotifier {
    fn channel(&self) -> &str {
        self.inner.channel()
    }

    fn deliver(&self, alert: Arc<Alert>) -> LocalBoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(async move {
            let kind = alert.kind;
            let taken = self.inner.deliver(alert).await;
            if taken.is_ok() {
                say(&self.events, Event::Told { kind, text: self.text.take() });
            }
            taken
        })
    }
}

/// A source of one row, which never changes.
pub(super) struct OneRow(pub(super) Arc<ApiConfig>);

impl ConfigSource for OneRow {
    fn name(&self) -> String {
        "demo".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        let loaded = LoadedConfigs { good: vec![Arc::clone(&self.0)], ..LoadedConfigs::default() };
        std::future::ready(Ok(loaded)).boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        std::future::ready(Some(0)).boxed()
    }
}
