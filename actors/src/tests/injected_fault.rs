//! Faults for the real actors: ways to die that no fake of a port can bring about. The product knows nothing of them.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use actix_rt::Arbiter;
use api_health_core::ApiId;

use crate::alerter::Alerter;
use crate::child::Child;
use crate::outcome_batcher::OutcomeBatcher;
use crate::prober::Prober;
use crate::state_keeper::StateKeeper;
use crate::supervisor::{ChildId, Supervisor};
use crate::system::Running;

/// What it does to whoever takes it.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(super) enum InjectedFault {
    /// It panics in the handler of a message.
    Panic,
    /// It panics in the callback of a timer.
    PanicInTimer,
    /// It panics, and its destructor panics too.
    PanicInDestructor,
    /// It waits for ever, and takes no message meanwhile.
    Hang,
    /// Its thread ends.
    EndThread,
    /// Its thread blocks until this is set.
    BlockThread(Arc<AtomicBool>),
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("planted in a destructor");
    }
}

impl InjectedFault {
    fn take<A: Actor<Context = Context<A>>>(self, actor: &A, ctx: &mut Context<A>) {
        match self {
            Self::Panic => panic!("planted in a message"),
            Self::PanicInTimer => {
                ctx.run_later(Duration::ZERO, |_, _| panic!("planted in a timer"));
            }
            Self::PanicInDestructor => {
                let bomb = Bomb;
                let waits = async move {
                    let _bomb = bomb;
                    pending::<()>().await;
                };
                ctx.spawn(waits.into_actor(actor));
                panic!("planted before a destructor");
            }
            Self::Hang => ctx.wait(pending::<()>().into_actor(actor)),
            Self::EndThread => {
                Arbiter::current().stop();
            }
            #[allow(clippy::disallowed_methods)]
            Self::BlockThread(released) => {
                while !released.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

macro_rules! takes_injected_faults {
    ($($actor:ty),*) => {$(
        impl Handler<InjectedFault> for $actor {
            type Result = ();

            fn handle(&mut self, fault: InjectedFault, ctx: &mut Self::Context) {
                fault.take(self, ctx);
            }
        }
    )*};
}

takes_injected_faults!(Alerter, StateKeeper, OutcomeBatcher, Prober, Supervisor);

/// Who is to take it.
#[derive(Clone, Debug)]
pub(super) enum Whom {
    Child(ChildId),
    Supervisor,
}

impl Whom {
    pub(super) fn prober(id: &str) -> Self {
        Self::Child(ChildId::Prober(ApiId::parse(id).unwrap()))
    }
}

/// The reply says whether they were there to take it.
#[derive(Message)]
#[rtype(result = "bool")]
struct PassOn(Whom, InjectedFault);

impl Handler<PassOn> for Supervisor {
    type Result = bool;

    fn handle(&mut self, PassOn(whom, fault): PassOn, ctx: &mut Self::Context) -> bool {
        fn to<A>(child: Option<&Child<A>>, fault: InjectedFault) -> bool
        where
            A: Actor<Context = Context<A>> + Handler<InjectedFault>,
        {
            child.is_some_and(|child| child.addr.try_send(fault).is_ok())
        }
        match whom {
            Whom::Child(ChildId::Alerter) => to(self.chain.alerter.as_ref(), fault),
            Whom::Child(ChildId::Keeper) => to(self.chain.keeper.as_ref(), fault),
            Whom::Child(ChildId::Batcher(index)) => to(self.chain.batchers[index].child.as_ref(), fault),
            Whom::Child(ChildId::Prober(api_id)) => to(self.probers.child(&api_id), fault),
            Whom::Supervisor => {
                fault.take(self, ctx);
                true
            }
        }
    }
}

/// Whether somebody was there to take it.
pub(super) async fn inject(running: &Running, whom: Whom, fault: InjectedFault) -> bool {
    running.supervisor.addr.send(PassOn(whom, fault)).await.unwrap_or(false)
}
