//! InjectedFault for the real actors, in tests: ways to die that no fake of a port can bring about.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use actix_rt::Arbiter;
use api_health_core::ApiId;

use super::Supervisor;
use super::chain::Member;
use crate::alerter::Alerter;
use crate::outcome_batcher::OutcomeBatcher;
use crate::prober::Prober;
use crate::state_keeper::StateKeeper;

/// What it does to whoever takes it.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub(crate) enum InjectedFault {
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
pub(crate) enum Whom {
    Chain(Member),
    Prober(ApiId),
    Supervisor,
}

/// Give it. The reply says whether they were there to take it.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct Give {
    pub(crate) whom: Whom,
    pub(crate) fault: InjectedFault,
}

impl Handler<Give> for Supervisor {
    type Result = bool;

    fn handle(&mut self, Give { whom, fault }: Give, ctx: &mut Self::Context) -> bool {
        match whom {
            Whom::Chain(Member::Alerter) => {
                self.chain.alerter.as_ref().is_some_and(|alerter| alerter.child.addr.try_send(fault).is_ok())
            }
            Whom::Chain(Member::Keeper) => {
                self.chain.keeper.as_ref().is_some_and(|keeper| keeper.child.addr.try_send(fault).is_ok())
            }
            Whom::Chain(Member::OutcomeBatcher(index)) => {
                let batcher =
                    self.chain.prober_threads.get(index).and_then(|prober_thread| prober_thread.batcher.as_ref());
                batcher.is_some_and(|batcher| batcher.child.addr.try_send(fault).is_ok())
            }
            Whom::Prober(api_id) => self.probers.address(&api_id).is_some_and(|prober| prober.try_send(fault).is_ok()),
            Whom::Supervisor => {
                fault.take(self, ctx);
                true
            }
        }
    }
}
