//! Turns: so many at once in all, and of them a share for each party (a host, a domain), so that one whose work hangs keeps no other
//! waiting. Whoever asks first comes first.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Shares that are kept for the next party, so that a probe of a host that has no other under way allocates none.
const SPARES_MAX: usize = 64;

pub(super) struct Turns {
    all: Arc<Semaphore>,
    share: usize,
    parties: Mutex<Parties>,
}

#[derive(Default)]
struct Parties {
    /// Those alone of which something is under way, or waits.
    asked: HashMap<Party, Asked>,
    /// With all their turns.
    spare: Vec<Arc<Semaphore>>,
}

/// Whose share it is, as a hash of its name: in the rare case that two have one, they share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Party(u64);

impl Party {
    pub(super) fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        Self(hasher.finish())
    }
}

struct Asked {
    turns: Arc<Semaphore>,
    users: usize,
}

/// A turn of its party. It holds up nobody else.
pub(super) struct OfParty {
    permit: OwnedSemaphorePermit,
    user: User,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _user: User,
}

struct User {
    turns: Arc<Turns>,
    party: Party,
}

impl Turns {
    /// So many turns in all, and for each party.
    pub(super) fn new(all: usize, share: usize) -> Arc<Self> {
        let [all, share] = [all, share].map(|turns| turns.min(Semaphore::MAX_PERMITS));
        Arc::new(Self { all: Arc::new(Semaphore::new(all)), share, parties: Mutex::default() })
    }

    /// Waits for a turn of `party`: first that, so that nobody waits for it and holds a turn of all. `None`: there was none until then.
    pub(super) async fn of(self: &Arc<Self>, party: Party, deadline: Instant) -> Option<OfParty> {
        let (turns, user) = self.enter(party);
        let permit = take(turns, deadline).await?;
        Some(OfParty { permit, user })
    }

    fn enter(self: &Arc<Self>, party: Party) -> (Arc<Semaphore>, User) {
        let mut parties = self.parties();
        let Parties { asked, spare } = &mut *parties;
        let asked = asked.entry(party).or_insert_with(|| {
            let turns = spare.pop().unwrap_or_else(|| Arc::new(Semaphore::new(self.share)));
            Asked { turns, users: 0 }
        });
        asked.users += 1;
        (Arc::clone(&asked.turns), User { turns: Arc::clone(self), party })
    }

    fn parties(&self) -> MutexGuard<'_, Parties> {
        self.parties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfParty {
    /// Waits for a turn of all.
    pub(super) async fn of_all(self, deadline: Instant) -> Option<Turn> {
        let all = take(Arc::clone(&self.user.turns.all), deadline).await?;
        Some(Turn { _permits: (self.permit, all), _user: self.user })
    }
}

/// Nothing closes a semaphore of turns. One that is free needs no timer.
async fn take(turns: Arc<Semaphore>, deadline: Instant) -> Option<OwnedSemaphorePermit> {
    match Arc::clone(&turns).try_acquire_owned() {
        Ok(permit) => Some(permit),
        Err(_) => timeout_at(deadline, turns.acquire_owned()).await.ok()?.ok(),
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut parties = self.turns.parties();
        let Some(asked) = parties.asked.get_mut(&self.party) else { return };
        asked.users -= 1;
        // The last one has given its turn back, as its permit is dropped first.
        if asked.users == 0
            && let Some(asked) = parties.asked.remove(&self.party)
            && parties.spare.len() < SPARES_MAX
        {
            parties.spare.push(asked.turns);
        }
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

    async fn take_one(turns: &Arc<Turns>, name: &str) -> Option<Turn> {
        turns.of(Party::of(name), soon()).await?.of_all(soon()).await
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
                let turn = turns.of(Party::of("a.test"), deadline).await;
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

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_a_party_of_which_nothing_is_under_way() {
        let turns = Turns::new(9, 1);
        let turn = take_one(&turns, "a.test").await;
        let gave_up = take_one(&turns, "a.test").await;
        assert!(turn.is_some() && gave_up.is_none() && turns.parties().asked.len() == 1);
        drop(turn);
        assert!(turns.parties().asked.is_empty());
        assert_eq!(turns.parties().spare[0].available_permits(), 1, "the next party has its whole share");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_spare_shares_are_kept() {
        let turns = Turns::new(100, 1);
        let mut held = Vec::new();
        for n in 0..100 {
            held.push(take_one(&turns, &format!("{n}.test")).await.unwrap());
        }
        drop(held);
        assert_eq!(turns.parties().spare.len(), SPARES_MAX);
    }
}
