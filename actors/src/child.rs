//! The one loop that drives every actor here, and notices its death: exactly one notice for each life, whatever ended it.
//!
//! actix restarts an actor that stops itself and nothing else: after a panic its mailbox is closed for ever and nobody
//! is told. So each child is driven by a loop of ours, which catches the unwinding, can be cut from outside, and reports
//! why it ended. A child starts from a factory, with a fresh value for each life.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use actix::dev::ContextFut;
use actix::dev::channel::channel;
use actix::{Actor, ActorContext, Addr, Context};
use api_health_core::text;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, AbortRegistration, Abortable};

use crate::threads::Thread;

/// Why a child is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It stopped by itself, as it was asked to.
    Normal,
    /// It panicked, with this text.
    Panic(String),
    /// It was stopped from outside.
    Killed,
    /// It hung: it, or its whole thread, missed the deadline for a sign of life.
    Hung,
    /// Its thread is gone, and it with it.
    ThreadGone,
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
            Self::ThreadGone => f.write_str("its thread is gone"),
            Self::Unstartable(why) => write!(f, "it could not be started again: {why}"),
        }
    }
}

/// One life of a child. Dropping it ends that life at once, in the middle of whatever it does.
pub struct Child<A: Actor> {
    /// Which of the child's lives.
    pub life: u32,
    pub addr: Addr<A>,
    cut: AbortHandle,
}

impl<A: Actor> Drop for Child<A> {
    fn drop(&mut self) {
        self.cut.abort();
    }
}

/// Starts a child on `thread`, with a mailbox of `mailbox_capacity` messages. `ended` is called exactly once, on that
/// thread, when this life ends.
pub fn start<A, F, N>(thread: &Thread, life: u32, mailbox_capacity: usize, factory: F, ended: N) -> Child<A>
where
    A: Actor<Context = Context<A>>,
    F: FnOnce() -> A + Send + 'static,
    N: FnOnce(ExitReason) + Send + 'static,
{
    let (sender, receiver) = channel(mailbox_capacity);
    let (cut, registration) = AbortHandle::new_pair();
    let notice = Notice(Some(ended));
    thread.spawn(move || {
        // The context comes first: it keeps the mailbox open while the factory runs.
        let context = Context::with_receiver(receiver);
        match std::panic::catch_unwind(AssertUnwindSafe(factory)) {
            Ok(actor) => {
                actix_rt::spawn(live(context.into_future(actor), registration, notice));
            }
            Err(panic) => notice.give(ExitReason::Panic(panic_text(&*panic))),
        }
    });
    Child { life, addr: Addr::new(sender), cut }
}

/// Drives one life to its end. There is one for each API, and most of what a prober takes is in it: an `async fn` would keep its
/// arguments twice.
#[expect(clippy::manual_async_fn, reason = "what a block captures is kept once")]
fn live<A, N>(
    mut life: ContextFut<A, Context<A>>,
    registration: AbortRegistration,
    notice: Notice<N>,
) -> impl Future<Output = ()>
where
    A: Actor<Context = Context<A>>,
    N: FnOnce(ExitReason),
{
    async move {
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
        notice.give(reason);
    }
}

/// Is given at the end of one life, also when it is dropped because the thread is gone.
struct Notice<N: FnOnce(ExitReason)>(Option<N>);

impl<N: FnOnce(ExitReason)> Notice<N> {
    fn give(mut self, reason: ExitReason) {
        if let Some(ended) = self.0.take() {
            ended(reason);
        }
    }
}

impl<N: FnOnce(ExitReason)> Drop for Notice<N> {
    fn drop(&mut self) {
        if let Some(ended) = self.0.take() {
            ended(ExitReason::ThreadGone);
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
