//! The queue of a channel: of each API one alert at a time, the oldest that the channel does not have yet, and a bounded number of
//! attempts at once.

use std::collections::{BTreeSet, HashMap};

use crate::api::ApiId;
use crate::time::{Monotonic, Timestamp};

/// Attempts in flight at once through one channel. An alert that waits for its next try takes no place.
pub const DELIVERIES_IN_FLIGHT_MAX: usize = 16;

/// Where the next alert of one API stands.
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
    states: HashMap<ApiId, DeliveryState>,
    /// Those that are queued, by when their alert was decided.
    due: BTreeSet<(Timestamp, ApiId)>,
    in_flight: usize,
}

impl DeliveryQueue {
    /// Queues an API, unless it is queued already, or an attempt is in flight or waits.
    pub(super) fn queue(&mut self, api_id: &ApiId, decided_at: Timestamp, now: Monotonic) {
        let is_busy = match self.states.get(api_id) {
            Some(DeliveryState::Queued | DeliveryState::InFlight) => true,
            Some(DeliveryState::Waiting(until)) => *until > now,
            None => false,
        };
        if !is_busy {
            self.states.insert(api_id.clone(), DeliveryState::Queued);
            self.due.insert((decided_at, api_id.clone()));
        }
    }

    /// How many wait to be sent: at most so many, as some may have been removed meanwhile. None while as many attempts are under way
    /// as there is room for.
    pub(super) fn waiting(&self, room: usize) -> usize {
        if self.in_flight >= room { 0 } else { self.due.len() }
    }

    /// Removes and returns the next one, the oldest. Call [`on_attempt_began`](Self::on_attempt_began) when its attempt begins.
    pub(super) fn take(&mut self) -> Option<ApiId> {
        while let Some((_, api_id)) = self.due.pop_first() {
            // It may have been removed meanwhile.
            if self.states.get(&api_id) == Some(&DeliveryState::Queued) {
                self.states.remove(&api_id);
                return Some(api_id);
            }
        }
        None
    }

    /// One attempt for all of these begins.
    pub(super) fn on_attempt_began<'a>(&mut self, api_ids: impl Iterator<Item = &'a ApiId>) {
        self.states.extend(api_ids.map(|api_id| (api_id.clone(), DeliveryState::InFlight)));
        self.in_flight += 1;
    }

    /// An attempt has ended. Say for each of its APIs when the [next](Self::next_try) one comes.
    pub(super) fn on_attempt_ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The next attempt for this API, whose last one has ended, comes at `next`; `None`: when it is queued again.
    pub(super) fn next_try(&mut self, api_id: &ApiId, next: Option<Monotonic>) {
        if self.states.get(api_id) == Some(&DeliveryState::InFlight) {
            match next {
                Some(until) => self.states.insert(api_id.clone(), DeliveryState::Waiting(until)),
                None => self.states.remove(api_id),
            };
        }
    }

    /// The next try waits until then, unless one is in flight.
    pub(super) fn wait(&mut self, api_id: &ApiId, until: Monotonic) {
        let state = self.states.entry(api_id.clone()).or_insert(DeliveryState::Waiting(until));
        if *state != DeliveryState::InFlight {
            *state = DeliveryState::Waiting(until);
        }
    }

    /// Ends the waits of these. Returns how many waited.
    pub(super) fn forget_waits(&mut self, of: impl Fn(&ApiId) -> bool) -> usize {
        let before = self.states.len();
        self.states.retain(|api_id, state| !matches!(state, DeliveryState::Waiting(_)) || !of(api_id));
        before - self.states.len()
    }

    /// Removes an API. An attempt in flight keeps its place until it ends, so that nothing is sent beside it if the API comes back
    /// meanwhile.
    pub(super) fn forget(&mut self, api_id: &ApiId) {
        if self.states.get(api_id) != Some(&DeliveryState::InFlight) {
            self.states.remove(api_id);
        }
    }

    /// The APIs with an attempt in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &ApiId> {
        self.states.iter().filter(|(_, state)| **state == DeliveryState::InFlight).map(|(api_id, _)| api_id)
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
        let (mut queue, now) = (DeliveryQueue::default(), Duration::from_secs(9));
        for number in 0..2 * DELIVERIES_IN_FLIGHT_MAX {
            queue.queue(&id(number), at(number), now);
            queue.queue(&id(number), at(number), now);
        }
        for number in 0..DELIVERIES_IN_FLIGHT_MAX {
            assert_eq!(queue.waiting(DELIVERIES_IN_FLIGHT_MAX), 2 * DELIVERIES_IN_FLIGHT_MAX - number);
            assert_eq!(queue.take(), Some(id(number)), "in order, each once");
            queue.on_attempt_began(std::iter::once(&id(number)));
        }
        assert_eq!(queue.waiting(DELIVERIES_IN_FLIGHT_MAX), 0, "full");
        queue.queue(&id(0), at(99), now);
        queue.on_attempt_ended();
        queue.next_try(&id(0), Some(now + Duration::from_secs(5)));
        assert_eq!(queue.take(), Some(id(DELIVERIES_IN_FLIGHT_MAX)), "one that waits holds no place");
        queue.queue(&id(0), at(99), now);
        let is_in_flight = |queue: &DeliveryQueue, of: ApiId| queue.in_flight().any(|api_id| *api_id == of);
        assert!(!is_in_flight(&queue, id(0)) && is_in_flight(&queue, id(1)));
        queue.wait(&id(1), now);
        assert!(is_in_flight(&queue, id(1)), "it waits for no try while one is under way");
        assert_eq!(queue.forget_waits(|api_id| *api_id == id(1)), 0);
        assert_eq!(queue.forget_waits(|api_id| *api_id == id(0)), 1);
        queue.forget(&id(DELIVERIES_IN_FLIGHT_MAX + 1));
        queue.queue(&id(0), at(99), now);
        let left: Vec<ApiId> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(
            left.len(),
            DELIVERIES_IN_FLIGHT_MAX - 1,
            "without the one that was forgotten, and with the one that waits no longer"
        );
        assert_eq!(left.last(), Some(&id(0)));
    }
}
