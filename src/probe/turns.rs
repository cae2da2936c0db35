//! Turns: so many at once in all, and of them a share for each party (a host, a domain), so that one whose work hangs keeps no other
//! waiting. Whoever asks first comes first.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::in_use::InUse;

pub(super) struct Turns {
    all: Arc<Semaphore>,
    share: usize,
    shares: Mutex<InUse<Party, Semaphore>>,
}

/// Whose share it is, as a hash of its name: in the rare case that two have one, they share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Party(u64);

impl Party {
    fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        Self(hasher.finish())
    }
}

/// The turns of one party. Whoever asks again and again keeps it.
pub(super) struct Share(Arc<Semaphore>);

/// A turn of its party. It holds up nobody else.
pub(super) struct OfParty(OwnedSemaphorePermit);

/// A turn, until it is dropped.
pub(super) struct Turn(#[expect(dead_code, reason = "held")] (OwnedSemaphorePermit, OwnedSemaphorePermit));

impl Turns {
    /// So many turns in all, and for each party.
    pub(super) fn new(all: usize, share: usize) -> Self {
        let [all, share] = [all, share].map(|turns| turns.min(Semaphore::MAX_PERMITS));
        Self { all: Arc::new(Semaphore::new(all)), share, shares: Mutex::default() }
    }

    /// The share of the party of this name.
    pub(super) fn share(&self, name: &str) -> Share {
        let party = Party::of(name);
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        Share(shares.get(&party).unwrap_or_else(|| shares.put(party, Semaphore::new(self.share))))
    }

    /// Waits for a turn of all, once there is one of the party: so nobody waits for that and holds a turn of all.
    pub(super) async fn of_all(&self, OfParty(of_party): OfParty, deadline: Instant) -> Option<Turn> {
        Some(Turn((of_party, take(&self.all, deadline).await?)))
    }
}

impl Share {
    /// Waits for a turn of the party. `None`: there was none until then.
    pub(super) async fn turn(&self, deadline: Instant) -> Option<OfParty> {
        take(&self.0, deadline).await.map(OfParty)
    }
}

/// Nothing closes a semaphore of turns. One that is free needs no timer.
async fn take(turns: &Arc<Semaphore>, deadline: Instant) -> Option<OwnedSemaphorePermit> {
    match Arc::clone(turns).try_acquire_owned() {
        Ok(permit) => Some(permit),
        Err(_) => timeout_at(deadline, Arc::clone(turns).acquire_owned()).await.ok()?.ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    async fn take_one(turns: &Turns, name: &str) -> Option<Turn> {
        turns.of_all(turns.share(name).turn(soon()).await?, soon()).await
    }

    #[test]
    fn a_party_is_its_name_in_any_case() {
        assert!(Party::of("a.test") == Party::of("A.Test") && Party::of("a.test") != Party::of("b.test"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_its_own_party_holds_no_turn_of_all() {
        let turns = Turns::new(2, 1);
        let hangs = take_one(&turns, "slow.test").await;
        let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(take_one(&turns, "SLOW.test"))).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()), "they are one party");
        assert!(take_one(&turns, "well.test").await.is_some());
        drop(hangs);
        assert!(waiting.remove(0).now_or_never().is_some_and(|turn| turn.is_some()), "it comes next");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_first_comes_first_and_who_gives_up_is_passed_over() {
        let turns = Turns::new(9, 1);
        let held = take_one(&turns, "a.test").await;
        let far = Instant::now() + Duration::from_secs(60);
        let (order, mut waiting) = (std::cell::RefCell::new(Vec::new()), Vec::new());
        for n in 0..4 {
            let deadline = if n == 1 { soon() } else { far };
            let (turns, order) = (&turns, &order);
            waiting.push(async move {
                let turn = turns.share("a.test").turn(deadline).await;
                order.borrow_mut().push((n, turn.is_some()));
                tokio::time::sleep(Duration::from_secs(1)).await;
            });
        }
        let frees = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(held);
        };
        tokio::join!(futures_util::future::join_all(waiting), frees);
        assert_eq!(order.into_inner(), [(1, false), (0, true), (2, true), (3, true)]);
    }

    #[test]
    fn a_share_is_one_for_all_who_hold_it_and_is_forgotten_after_the_last() {
        let turns = Turns::new(9, 1);
        let (one, other) = (turns.share("a.test"), turns.share("A.test"));
        assert!(Arc::ptr_eq(&one.0, &other.0));
        let before = Arc::downgrade(&one.0);
        drop((one, other));
        assert!(before.upgrade().is_none());
    }
}
