//! The way to an actor that is started again when it dies. A bare address would be closed for ever after the first death;
//! a handle leads to whichever life there is.

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message, Recipient};
use tokio::sync::watch;

/// Leads to an actor: to its address, or to a recipient of one kind of message.
#[derive(Clone, Debug)]
pub struct Handle<T>(watch::Receiver<Option<T>>);

/// Says where the actor is. When it is dropped there is none any more, and will be none.
#[derive(Debug)]
pub struct AddrPublisher<T>(watch::Sender<Option<T>>);

impl<T> Default for AddrPublisher<T> {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl<T> AddrPublisher<T> {
    /// `None`: it is not there just now, and the next life comes.
    pub fn set(&self, there: Option<T>) {
        self.0.send_replace(there);
    }

    /// A handle that follows.
    pub fn handle(&self) -> Handle<T> {
        Handle(self.0.subscribe())
    }

    /// Whether somebody is there.
    pub fn is_there(&self) -> bool {
        self.0.borrow().is_some()
    }
}

impl<M> Handle<Recipient<M>>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    /// Hands it to the present life, if there is one. What was sent to one that died is lost, and its sender hears so.
    pub fn send(&self, message: M) -> impl Future<Output = Result<M::Result, MailboxError>> + use<M> {
        let sent = self.0.borrow().as_ref().map(|there| there.send(message));
        async move {
            match sent {
                Some(answer) => answer.await,
                None => Err(MailboxError::Closed),
            }
        }
    }
}

impl<A: Actor> Handle<Addr<A>> {
    /// Asks, and asks the next life again if there was no answer or not one that is `good`. `None`: there will be none.
    /// The caller bounds the wait.
    pub async fn ask<M>(&self, message: impl Fn() -> M, good: impl Fn(&M::Result) -> bool) -> Option<M::Result>
    where
        A: Actor<Context = Context<A>> + Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
        Context<A>: ToEnvelope<A, M>,
    {
        let mut whereabouts = self.0.clone();
        loop {
            let there = whereabouts.borrow_and_update().clone();
            if let Some(there) = there
                && let Ok(answer) = there.send(message()).await
                && good(&answer)
            {
                return Some(answer);
            }
            whereabouts.changed().await.ok()?;
        }
    }
}
