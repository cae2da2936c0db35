//! How a child is started, and how its death is noticed: exactly one notice for each life, whatever ended it.
//!
//! actix restarts an actor that stops itself and nothing else: after a panic its mailbox is closed for ever and nobody
//! is told. So each child here is driven by a loop of ours, which catches the unwinding, can be aborted from outside,
//! and reports the exit reason. A child starts from a factory, with a fresh value for each life.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use actix::dev::ContextFut;
use actix::dev::channel::channel;
use actix::{Actor, ActorContext, Addr, Context, Message, Recipient};
use api_health_core::text;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};

use crate::threads::Place;

/// Why a child is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It stopped by itself, as it was asked to.
    Normal,
    /// It panicked, with this text.
    Panic(String),
    /// It was aborted through its handle.
    Killed,
    /// It lived and no longer moved: it, or its whole thread, was not heard of when it should have been.
    Hung,
    /// Its arbiter is gone, and it with it.
    ArbiterGone,
    /// It could not be started again, for this reason.
    Unstartable(String),
}

/// In words, after the name of the child.
impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("it stopped by itself"),
            Self::Panic(text) => write!(f, "it panicked: {text}"),
            Self::Killed => f.write_str("it was killed"),
            Self::Hung => f.write_str("it hung: it was not heard of when it should have been"),
            Self::ArbiterGone => f.write_str("its thread is gone"),
            Self::Unstartable(why) => write!(f, "it could not be started again: {why}"),
        }
    }
}

/// The notice of a child's death.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ChildExit<I: 'static> {
    /// Which child.
    pub child: I,
    /// Which of its lives, so that a late notice is not taken for the death of the next one.
    pub life: u32,
    /// Why.
    pub reason: ExitReason,
}

/// A running child.
pub struct Child<A: Actor> {
    /// Its mailbox.
    pub addr: Addr<A>,
    /// Ends it at once, even if it never looks into its mailbox again.
    pub kill: AbortHandle,
}

/// Starts a child at `place`, with a mailbox of `mailbox_capacity` messages. `supervisor` gets exactly one
/// [`ChildExit`] when this life ends.
pub fn start<A, I, F>(
    place: &Place,
    mailbox_capacity: usize,
    supervisor: Recipient<ChildExit<I>>,
    child: I,
    life: u32,
    factory: F,
) -> Child<A>
where
    A: Actor<Context = Context<A>>,
    I: Send + Clone + 'static,
    F: FnOnce() -> A + Send + 'static,
{
    let (sender, receiver) = channel(mailbox_capacity);
    let (kill, registration) = AbortHandle::new_pair();
    let guard = ExitGuard { supervisor, child, life, fired: false };
    place.spawn(move || {
        // The context comes first: it keeps the mailbox open while the factory runs.
        let context = Context::with_receiver(receiver);
        match std::panic::catch_unwind(AssertUnwindSafe(factory)) {
            Ok(actor) => {
                actix_rt::spawn(live(context.into_future(actor), registration, guard));
            }
            Err(panic) => guard.fire(ExitReason::Panic(panic_text(&*panic))),
        }
    });
    Child { addr: Addr::new(sender), kill }
}

async fn live<A, I>(mut life: ContextFut<A, Context<A>>, registration: AbortRegistration, guard: ExitGuard<I>)
where
    A: Actor<Context = Context<A>>,
    I: Send + Clone + 'static,
{
    let ended = Abortable::new(AssertUnwindSafe(&mut life).catch_unwind(), registration).await;
    let reason = match ended {
        Ok(Ok(())) => ExitReason::Normal,
        Ok(Err(panic)) => ExitReason::Panic(panic_text(&*panic)),
        Err(_aborted) => ExitReason::Killed,
    };
    if reason != ExitReason::Normal {
        // stopping() and stopped() must not run on an actor that broke off in the middle of something.
        life.ctx().terminate();
    }
    // A panic in a destructor must not eat the notice.
    let _ = std::panic::catch_unwind(AssertUnwindSafe(move || drop(life)));
    guard.fire(reason);
}

/// Reports the end of one life, also when it is dropped unfired because its arbiter is gone.
struct ExitGuard<I: Send + Clone + 'static> {
    supervisor: Recipient<ChildExit<I>>,
    child: I,
    life: u32,
    fired: bool,
}

impl<I: Send + Clone + 'static> ExitGuard<I> {
    fn fire(mut self, reason: ExitReason) {
        self.report(reason);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a notice must never be refused; there is one for each life, which is its bound"
    )]
    fn report(&mut self, reason: ExitReason) {
        self.fired = true;
        self.supervisor.do_send(ChildExit { child: self.child.clone(), life: self.life, reason });
    }
}

impl<I: Send + Clone + 'static> Drop for ExitGuard<I> {
    fn drop(&mut self) {
        if !self.fired {
            self.report(ExitReason::ArbiterGone);
        }
    }
}

/// What a panic said, as one bounded line.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    const CHARS_MAX: usize = 300;
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    text::line(text, CHARS_MAX)
}
