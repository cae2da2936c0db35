//! How a channel takes what it is owed: how many attempts may be under way, until when it asked to be left alone, and how long
//! what waits will take.

use std::time::Duration;

use super::delivery_queue::DELIVERIES_IN_FLIGHT_MAX;
use crate::time::Monotonic;

#[derive(Clone, Debug)]
pub(super) struct FlowControl {
    /// The channel asked for patience.
    paused_until: Option<Monotonic>,
    /// Attempts that may be under way at once: one after it asked for patience, and one more with each that ends otherwise.
    room: usize,
    /// Since when something has been under way or waiting, and how many alerts were taken since.
    busy_since: Option<Monotonic>,
    taken: usize,
}

impl Default for FlowControl {
    fn default() -> Self {
        Self { paused_until: None, room: DELIVERIES_IN_FLIGHT_MAX, busy_since: None, taken: 0 }
    }
}

impl FlowControl {
    /// Attempts that may be under way now.
    pub(super) fn room(&self, now: Monotonic) -> usize {
        if self.paused_until.is_some_and(|until| now < until) { 0 } else { self.room }
    }

    /// A message goes out.
    pub(super) fn on_sent(&mut self, now: Monotonic) {
        self.busy_since.get_or_insert(now);
    }

    /// A message with so many alerts was taken.
    pub(super) fn on_taken(&mut self, alerts: usize) {
        self.taken = self.taken.saturating_add(alerts);
        self.has_room_for_more();
    }

    /// A message failed, and the channel asked for nothing: alerts that it cannot take hold up none that it can.
    pub(super) fn on_failed(&mut self) {
        self.has_room_for_more();
    }

    fn has_room_for_more(&mut self) {
        self.room = (self.room + 1).min(DELIVERIES_IN_FLIGHT_MAX);
    }

    /// The channel asked to be left alone for so long.
    pub(super) fn on_patience_asked(&mut self, wait: Duration, now: Monotonic) {
        let until = now.saturating_add(wait);
        self.paused_until = Some(self.paused_until.map_or(until, |before| before.max(until)));
        self.room = 1;
    }

    /// A person wants to see now whether it takes something.
    pub(super) fn try_now(&mut self) {
        self.paused_until = None;
    }

    /// Nothing is owed to it.
    pub(super) fn on_idle(&mut self) {
        (self.busy_since, self.taken) = (None, 0);
    }

    /// How long so many alerts will take, at the pace since it has been busy; `None`: it has taken too few to tell.
    pub(super) fn time_left(&self, alerts: usize, now: Monotonic) -> Option<Duration> {
        let busy = now.saturating_sub(self.busy_since?);
        time_left(alerts, self.taken, busy)
    }
}

/// How long `waiting` alerts will take if `taken` of them took `span`; `None`: none was taken.
pub fn time_left(waiting: usize, taken: usize, span: Duration) -> Option<Duration> {
    let millis = span.as_millis().saturating_mul(waiting as u128).checked_div(taken as u128)?;
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Monotonic {
        Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn a_channel_that_asks_for_patience_gets_it_and_then_one_alert_and_more_with_each_that_it_takes() {
        let mut flow = FlowControl::default();
        assert_eq!(flow.room(at(0)), DELIVERIES_IN_FLIGHT_MAX);
        flow.on_patience_asked(Duration::from_secs(30), at(0));
        flow.on_patience_asked(Duration::from_secs(10), at(5));
        assert_eq!((flow.room(at(29)), flow.room(at(30))), (0, 1), "the longer wait counts");
        flow.on_taken(1);
        assert_eq!(flow.room(at(31)), 2);
        for _ in 0..2 * DELIVERIES_IN_FLIGHT_MAX {
            flow.on_taken(1);
        }
        assert_eq!(flow.room(at(31)), DELIVERIES_IN_FLIGHT_MAX);
        flow.on_patience_asked(Duration::from_secs(3_600), at(31));
        assert_eq!(flow.room(at(32)), 0);
        flow.try_now();
        assert_eq!(flow.room(at(32)), 1);
    }

    #[test]
    fn how_long_it_takes_is_reckoned_from_what_was_seen() {
        let mut flow = FlowControl::default();
        assert_eq!(flow.time_left(1_000, at(0)), None);
        flow.on_sent(at(0));
        assert_eq!(flow.time_left(1_000, at(3)), None, "none was taken");
        flow.on_taken(16);
        flow.on_sent(at(3));
        assert_eq!(flow.time_left(984, at(3)), Some(Duration::from_millis(184_500)));
        flow.on_idle();
        flow.on_sent(at(9));
        assert_eq!(flow.time_left(1, at(12)), None, "the next storm is another one");
        assert_eq!(time_left(usize::MAX, 1, Duration::MAX), Some(Duration::from_millis(u64::MAX)));
    }
}
