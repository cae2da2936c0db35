//! Whose turn it is in which channel: of each API the oldest alert that the channel must have and has not, one at a time, and so
//! many attempts of all APIs at once as the channel has room for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::api::ApiId;

/// Attempts under way at once through one channel. An alert that waits for its next try holds no place.
pub const ATTEMPTS_MAX: usize = 16;

/// The name of a channel.
pub type Channel = Arc<str>;

/// Where the next alert of one API through one channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It is its turn as soon as there is room.
    Queued,
    /// An attempt is under way.
    InFlight,
    /// The last attempt failed; it is tried again then.
    Waiting(Duration),
}

/// The turns of all APIs, and the room in each channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    turns: HashMap<(ApiId, Channel), Turn>,
    /// Whose turn it is, by channel.
    due: HashMap<Channel, VecDeque<ApiId>>,
    in_flight: HashMap<Channel, usize>,
}

impl Turns {
    /// Puts an API into the queue of a channel, unless it is there, or an attempt is under way or waits.
    pub(super) fn queue(&mut self, api_id: &ApiId, channel: &Channel, now: Duration) {
        let key = (api_id.clone(), Arc::clone(channel));
        let is_busy = match self.turns.get(&key) {
            Some(Turn::Queued | Turn::InFlight) => true,
            Some(Turn::Waiting(until)) => *until > now,
            None => false,
        };
        if !is_busy {
            self.turns.insert(key, Turn::Queued);
            self.due.entry(Arc::clone(channel)).or_default().push_back(api_id.clone());
        }
    }

    /// The next one whose turn it is, if there is room; it has none after that, until its attempt [began](Self::began).
    pub(super) fn take(&mut self, channel: &Channel) -> Option<ApiId> {
        if self.in_flight.get(channel).is_some_and(|count| *count >= ATTEMPTS_MAX) {
            return None;
        }
        let due = self.due.get_mut(channel)?;
        while let Some(api_id) = due.pop_front() {
            let key = (api_id, Arc::clone(channel));
            // It may have been forgotten meanwhile.
            if self.turns.get(&key) == Some(&Turn::Queued) {
                self.turns.remove(&key);
                return Some(key.0);
            }
        }
        None
    }

    pub(super) fn began(&mut self, api_id: &ApiId, channel: &Channel) {
        self.turns.insert((api_id.clone(), Arc::clone(channel)), Turn::InFlight);
        *self.in_flight.entry(Arc::clone(channel)).or_default() += 1;
    }

    /// An attempt is over; the next one comes then, or as soon as there is room.
    pub(super) fn ended(&mut self, api_id: &ApiId, channel: &Channel, next: Option<Duration>) {
        if let Some(count) = self.in_flight.get_mut(channel) {
            *count = count.saturating_sub(1);
        }
        let key = (api_id.clone(), Arc::clone(channel));
        if self.turns.get(&key) == Some(&Turn::InFlight) {
            match next {
                Some(until) => self.turns.insert(key, Turn::Waiting(until)),
                None => self.turns.remove(&key),
            };
        }
    }

    /// The next try waits until then, unless one is under way.
    pub(super) fn wait(&mut self, api_id: &ApiId, channel: &Channel, until: Duration) {
        let turn = self.turns.entry((api_id.clone(), Arc::clone(channel))).or_insert(Turn::Waiting(until));
        if *turn != Turn::InFlight {
            *turn = Turn::Waiting(until);
        }
    }

    /// Nothing of these waits for its next try any more. How many did.
    pub(super) fn forget_waits(&mut self, of: impl Fn(&ApiId, &Channel) -> bool) -> usize {
        let before = self.turns.len();
        self.turns.retain(|(api_id, channel), turn| !matches!(turn, Turn::Waiting(_)) || !of(api_id, channel));
        before - self.turns.len()
    }

    /// Nothing of an API is handed over any more. Attempts under way keep their room and their turn until they are over: should
    /// the API come back meanwhile, nothing is told beside them.
    pub(super) fn forget(&mut self, api_id: &ApiId, channels: &[Channel]) {
        for channel in channels {
            let key = (api_id.clone(), Arc::clone(channel));
            if self.turns.get(&key) != Some(&Turn::InFlight) {
                self.turns.remove(&key);
            }
        }
    }

    /// The APIs of which an attempt is under way.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &ApiId> {
        self.turns.iter().filter(|(_, turn)| **turn == Turn::InFlight).map(|((api_id, _), _)| api_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ApiId {
        ApiId::parse(&format!("a{number}")).unwrap()
    }

    #[test]
    fn a_channel_has_room_for_so_many_attempts_and_each_api_for_one() {
        let (mut turns, pager, now) = (Turns::default(), Channel::from("pager"), Duration::from_secs(9));
        for number in 0..2 * ATTEMPTS_MAX {
            turns.queue(&id(number), &pager, now);
            turns.queue(&id(number), &pager, now);
        }
        for number in 0..ATTEMPTS_MAX {
            assert_eq!(turns.take(&pager), Some(id(number)), "in order, each once");
            turns.began(&id(number), &pager);
        }
        assert_eq!(turns.take(&pager), None, "full");
        turns.queue(&id(0), &pager, now);
        turns.ended(&id(0), &pager, Some(now + Duration::from_secs(5)));
        assert_eq!(turns.take(&pager), Some(id(ATTEMPTS_MAX)), "one that waits holds no place");
        turns.queue(&id(0), &pager, now);
        let is_in_flight = |turns: &Turns, of: ApiId| turns.in_flight().any(|api_id| *api_id == of);
        assert!(!is_in_flight(&turns, id(0)) && is_in_flight(&turns, id(1)));
        turns.wait(&id(1), &pager, now);
        assert!(is_in_flight(&turns, id(1)), "it waits for no try while one is under way");
        assert_eq!(turns.forget_waits(|_, channel| **channel == *"sns"), 0);
        assert_eq!(turns.forget_waits(|api_id, _| *api_id == id(0)), 1);
        turns.forget(&id(ATTEMPTS_MAX + 1), std::slice::from_ref(&pager));
        turns.queue(&id(0), &pager, now);
        let left: Vec<ApiId> = std::iter::from_fn(|| turns.take(&pager)).collect();
        assert_eq!(
            left.len(),
            ATTEMPTS_MAX - 1,
            "without the one that was forgotten, and with the one that waits no longer"
        );
        assert_eq!(left.last(), Some(&id(0)));
    }
}
