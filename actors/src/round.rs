//! The first probe of each of many APIs: who is still missing, for a progress bar and for `run --once`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts probers that have had their turn.
#[derive(Debug, Default)]
pub struct Round {
    begun: AtomicUsize,
    done: AtomicUsize,
    changed: Notify,
}

impl Round {
    /// A ticket in the round; it is done when the last handle to it is dropped, also by a prober that died. A prober that
    /// is moved takes its ticket along.
    pub fn ticket(self: &Arc<Self>) -> Arc<RoundTicket> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Arc::new(RoundTicket(Arc::clone(self)))
    }

    /// How many are done, and of how many.
    pub fn progress(&self) -> (usize, usize) {
        (self.done.load(Ordering::SeqCst), self.begun.load(Ordering::SeqCst))
    }

    /// Waits until all places that were taken are done.
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

/// A ticket in a [`Round`].
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
    async fn a_round_is_over_when_every_place_is_dropped() {
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
