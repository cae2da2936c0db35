//! The way to the state-keeper for those who stand outside the chain: it follows the keeper from life to life. A bare
//! address would be closed for ever after the first death.

use actix::dev::ToEnvelope;
use actix::{Addr, Handler, Message};
use tokio::sync::watch;

use crate::state_keeper::StateKeeper;

/// Where the keeper is.
#[derive(Clone, Debug, Default)]
pub enum Presence {
    /// There.
    Up(Addr<StateKeeper>),
    /// Not there just now; the next life comes.
    #[default]
    Restarting,
    /// There is none any more, and there will be none.
    Gone,
}

/// The keeper, whichever life it is in.
#[derive(Clone, Debug)]
pub struct KeeperHandle(watch::Receiver<Presence>);

impl KeeperHandle {
    /// Follows what is sent there.
    pub fn new(presence: watch::Receiver<Presence>) -> Self {
        Self(presence)
    }

    /// Asks, and asks the next life again if there was no answer or not one that is `good`. `None`: there will be none.
    /// The caller bounds the wait.
    pub async fn ask<M>(&self, message: impl Fn() -> M, good: impl Fn(&M::Result) -> bool) -> Option<M::Result>
    where
        StateKeeper: Handler<M>,
        M: Message + Send + 'static,
        M::Result: Send,
        actix::Context<StateKeeper>: ToEnvelope<StateKeeper, M>,
    {
        let mut presence = self.0.clone();
        loop {
            let now = presence.borrow_and_update().clone();
            match now {
                Presence::Up(keeper) => {
                    if let Ok(answer) = keeper.send(message()).await
                        && good(&answer)
                    {
                        return Some(answer);
                    }
                }
                Presence::Restarting => {}
                Presence::Gone => return None,
            }
            presence.changed().await.ok()?;
        }
    }
}
