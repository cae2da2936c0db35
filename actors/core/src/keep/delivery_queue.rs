//! The queue of each channel: of each API one alert at a time, the oldest that the channel does not have yet, and a bounded number
//! of attempts at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::api::ApiId;
use crate::time::{Monotonic, Timestamp};

/// Attempts in flight at once through one channel. An alert that waits for its next try takes no place.
pub const DELIVERIES_IN_FLIGHT_MAX: usize = 16;

/// The name of a channel.
pub type Channel = Arc<str>;

/// Where the next alert of one API for one channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeliveryState {
    /// It is sent as soon as there is room.
    Queued,
    /// An attempt is under way.
    InFlight,
    /// The last attempt failed; it is tried again then.
    Waiting(Monotonic),
}

#[derive(Clone, Debug, Default)]
pub(super) struct DeliveryQueue {
    states: HashMap<(ApiId, Channel), DeliveryState>,
    /// Those that are queued, by when their alert was decided.
    due: HashMap<Channel, BTreeSet<(Timestamp, ApiId)>>,
    in_flight: HashMap<Channel, usize>,
}

impl DeliveryQueue {
    /// Queues an API, unless it is queued already, or an attempt is in flight or waits.
    pub(super) fn queue(&mut self, api_id: &ApiId, channel: &Channel, decided_at: Timestamp, now: Monotonic) {
        let key = (api_id.clone(), Arc::clone(channel));
        let is_busy = match self.states.get(&key) {
            Some(DeliveryState::Queued | DeliveryState::InFlight) => true,
            Some(DeliveryState::Waiting(until)) => *until > now,
            None => false,
        };
        if !is_busy {
            self.states.insert(key, DeliveryState::Queued);
            self.due.entry(Arc::clone(channel)).or_default().insert((decided_at, api_id.clone()));
        }
    }

    /// How many wait to be sent: at most so many, as some may have been removed meanwhile. None while as many attempts are under way
    /// as there is room for.
    pub(super) fn waiting(&self, channel: &Channel, room: usize) -> usize {
        let is_full = self.in_flight.get(channel).copied().unwrap_or_default() >= room;
        if is_full { 0 } else { self.due.get(channel).map_or(0, BTreeSet::len) }
    }

    /// Removes and returns the next one, the oldest. Call [`on_attempt_began`](Self::on_attempt_began) when its attempt begins.
    pub(super) fn take(&mut self, channel: &Channel) -> Option<ApiId> {
        let due = self.due.get_mut(channel)?;
        while let Some((_, api_id)) = due.pop_first() {
            let key = (api_id, Arc::clone(channel));
            // It may have been removed meanwhile.
            if self.states.get(&key) == Some(&DeliveryState::Queued) {
                self.states.remove(&key);
                return Some(key.0);
            }
        }
        None
    }

    /// One attempt for all of these begins.
    pub(super) fn on_attempt_began<'a>(&mut self, api_ids: impl Iterator<Item = &'a ApiId>, channel: &Channel) {
        self.states.extend(api_ids.map(|api_id| ((api_id.clone(), Arc::clone(channel)), DeliveryState::InFlight)));
        *self.in_flight.entry(Arc::clone(channel)).or_default() += 1;
    }

    /// An attempt has ended. Say for each of its APIs when the [next](Self::next_try) one comes.
    pub(super) fn on_attempt_ended(&mut self, channel: &Channel) {
        if let Some(count) = self.in_flight.get_mut(channel) {
            *count = count.saturating_sub(1);
        }
    }

    /// The next attempt for this API, whose last one has ended, comes at `next`; `None`: when it is queued again.
    pub(super) fn next_try(&mut self, api_id: &ApiId, channel: &Channel, next: Option<Monotonic>) {
        let key = (api_id.clone(), Arc::clone(channel));
        if self.states.get(&key) == Some(&DeliveryState::InFlight) {
            match next {
                Some(until) => self.states.insert(key, DeliveryState::Waiting(until)),
                None => self.states.remove(&key),
            };
        }
    }

    /// The next try waits until then, unless one is in flight.
    pub(super) fn wait(&mut self, api_id: &ApiId, channel: &Channel, until: Monotonic) {
        let state = self.states.entry((api_id.clone(), Arc::clone(channel))).or_insert(DeliveryState::Waiting(until));
        if *state != DeliveryState::InFlight {
            *state = DeliveryState::Waiting(until);
        }
    }

    /// Ends the waits of these. Returns how many waited.
    pub(super) fn forget_waits(&mut self, of: impl Fn(&ApiId, &Channel) -> bool) -> usize {
        let before = self.states.len();
        self.states
            .retain(|(api_id, channel), state| !matches!(state, DeliveryState::Waiting(_)) || !of(api_id, channel));
        before - self.states.len()
    }

    /// Removes an API. Attempts in flight keep their place until they end, so that nothing is sent beside them if the API comes
    /// back meanwhile.
    pub(super) fn forget(&mut self, api_id: &ApiId, channels: &[Channel]) {
        for channel in channels {
            let key = (api_id.clone(), Arc::clone(channel));
            if self.states.get(&key) != Some(&DeliveryState::InFlight) {
                self.states.remove(&key);
            }
        }
    }

    /// The APIs with an attempt in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &ApiId> {
        self.states.iter().filter(|(_, state)| **state == DeliveryState::InFlight).map(|((api_id, _), _)| api_id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn id(number: usize) -> ApiId {
        ApiId::parse(&format!("a{number}")).unwrap()
    }

    fn at(second: usize) -> Timestamp {
        Timestamp::from_millis(1_000 * second as i64)
    }

    #[test]
    fn a_channel_has_room_for_so_many_attempts_and_each_api_for_one() {
        let (mut queue, pager, now) = (DeliveryQueue::default(), Channel::from("pager"), Duration::from_secs(9));
        for number in 0..2 * DELIVERIES_IN_FLIGHT_MAX {
            queue.queue(&id(number), &pager, at(number), now);
            queue.queue(&id(number), &pager, at(number), now);
        }
        for number in 0..DELIVERIES_IN_FLIGHT_MAX {
            assert_eq!(queue.waiting(&pager, DELIVERIES_IN_FLIGHT_MAX), 2 * DELIVERIES_IN_FLIGHT_MAX - number);
            assert_eq!(queue.take(&pager), Some(id(number)), "in order, each once");
            queue.on_attempt_began(std::iter::once(&id(number)), &pager);
        }
        assert_eq!(queue.waiting(&pager, DELIVERIES_IN_FLIGHT_MAX), 0, "full");
        queue.queue(&id(0), &pager, at(99), now);
        queue.on_attempt_ended(&pager);
        queue.next_try(&id(0), &pager, Some(now + Duration::from_secs(5)));
        assert_eq!(queue.take(&pager), Some(id(DELIVERIES_IN_FLIGHT_MAX)), "one that waits holds no place");
        queue.queue(&id(0), &pager, at(99), now);
        let is_in_flight = |queue: &DeliveryQueue, of: ApiId| queue.in_flight().any(|api_id| *api_id == of);
        assert!(!is_in_flight(&queue, id(0)) && is_in_flight(&queue, id(1)));
        queue.wait(&id(1), &pager, now);
        assert!(is_in_flight(&queue, id(1)), "it waits for no try while one is under way");
        assert_eq!(queue.forget_waits(|_, channel| **channel == *"sns"), 0);
        assert_eq!(queue.forget_waits(|api_id, _| *api_id == id(0)), 1);
        queue.forget(&id(DELIVERIES_IN_FLIGHT_MAX + 1), std::slice::from_ref(&pager));
        queue.queue(&id(0), &pager, at(99), now);
        let left: Vec<ApiId> = std::iter::from_fn(|| queue.take(&pager)).collect();
        assert_eq!(
            left.len(),
            DELIVERIES_IN_FLIGHT_MAX - 1,
            "without the one that was forgotten, and with the one that waits no longer"
        );
        assert_eq!(left.last(), Some(&id(0)));
    }
}
