//! One process of a worker: tasks that are polled as one, so that it can be stopped in the middle of anything.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use api_health_actors::ports::{Clock as _, Notifier as _};
use api_health_actors::supervisor::LeaseParts;
use api_health_actors::system::Options;
use api_health_actors::testkit::FakeWorld;
use api_health_actors::testkit::leases::LeaseLine;
use api_health_core::own::member::Member;
use api_health_core::own::records::{Role, WorkerId, WorkerRecord};
use api_health_core::own::shards::SHARDS;
use api_health_core::own::terms::Terms;
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::fleet_script::Worker;

/// Tasks that are polled as one, unless they are paused.
pub(crate) struct Tasks {
    set: LocalSet,
    pause: Rc<Pause>,
}

/// Whether a process is paused.
#[derive(Default)]
pub(crate) struct Pause {
    is_on: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Pause {
    /// Nothing in it moves from now on; or it moves again.
    pub(crate) fn set(&self, is_on: bool) {
        self.is_on.set(is_on);
        if let Some(waker) = self.waker.take().filter(|_| !is_on) {
            waker.wake();
        }
    }
}

impl Tasks {
    pub(crate) fn new(set: LocalSet, pause: Rc<Pause>) -> Self {
        Self { set, pause }
    }
}

impl Future for Tasks {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.pause.is_on.get() {
            *self.pause.waker.borrow_mut() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.set).poll(cx)
    }
}

/// One life of a worker, from its start to its end; how it ended.
pub(crate) async fn live(world: FakeWorld, parts: LeaseParts, options: Options, leave: Rc<Notify>) -> &'static str {
    let Ok(mut running) = world.begin_worker(parts, options).await else { return "could not start" };
    let starts = async {
        running.joined().await.expect("nobody wants all");
        running.reload().await;
    };
    let asked = tokio::select! {
        biased;
        () = leave.notified() => true,
        () = starts => false,
    };
    if !asked {
        tokio::select! {
            biased;
            () = leave.notified() => {}
            _ = running.fatal() => return "ended itself",
        }
    }
    running.stop(Duration::from_secs(10)).await;
    "stopped in order"
}

/// How it holds leases.
pub(crate) fn lease_parts(n: usize, plan: &Worker, world: &FakeWorld, leases: &LeaseLine) -> LeaseParts {
    let id = WorkerId::parse(&format!("w{n}")).expect("a plain name");
    let record = WorkerRecord {
        role: if plan.is_standby { Role::Standby } else { Role::Worker },
        channels: world.channels.iter().map(|channel| channel.channel().to_owned()).collect(),
        host: format!("host-{n}"),
        started_at: world.clock.now(),
        ..WorkerRecord::new(id, &Terms::DEFAULT, 3)
    };
    // The clock of the machine, which counts suspension and is never set.
    let clock = world.clock.clone();
    LeaseParts {
        member: Member::new(record, plan.knows_dead, Terms::DEFAULT, SHARDS, 2),
        leases: Arc::new(leases.clone()),
        now: Arc::new(move || clock.elapsed() + Duration::from_secs(1)),
        expected: None,
        alone: false,
    }
}
