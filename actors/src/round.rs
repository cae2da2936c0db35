//! Counts those who have something to do, and waits for the last of them: the first probe of each of many APIs, for a progress bar and
//! for `run --once`; the lives of all probers, for an end in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts those that have had their turn.
#[derive(Debug, Default)]
pub struct Round {
    begun: AtomicUsize,
    done: AtomicUsize,
    died: AtomicUsize,
    changed: Notify,
}

impl Round {
    /// A ticket for the round; the turn is over when it is dropped, also by a prober that died.
    pub fn ticket(self: &Arc<Self>) -> RoundTicket {
        self.begun.fetch_add(1, Ordering::SeqCst);
        RoundTicket(Arc::clone(self))
    }

    /// How many are done, and of how many.
    pub fn progress(&self) -> (usize, usize) {
        (self.done.load(Ordering::SeqCst), self.begun.load(Ordering::SeqCst))
    }

    /// A prober died of something else than being asked to, where there is a single round.
    pub fn died(&self) {
        self.died.fetch_add(1, Ordering::SeqCst);
    }

    pub fn deaths(&self) -> usize {
        self.died.load(Ordering::SeqCst)
    }

    /// Waits until all tickets that were given out are dropped.
    pub async fn finished(&self) {
        loop {
            let changed = self.changed.notified();
            let (done, begun) = self.progress();
            if done >= begun {
                return;
            }
            changed.await;
        }
    }
}

/// For one turn in a [`Round`].
#[derive(Debug)]
pub struct RoundTicket(Arc<Round>);

impl Drop for RoundTicket {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_round_is_over_when_every_ticket_is_dropped() {
        let round = Arc::new(Round::default());
        let (a, b) = (round.ticket(), round.ticket());
        drop(a);
        assert_eq!(round.progress(), (1, 2));
        let waiting = tokio::spawn({
            let round = Arc::clone(&round);
            async move { round.finished().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(b);
        waiting.await.unwrap();
    }
}
