//! What is owed to each channel, and what is said of it: that it takes long, and that nobody has the channel.

use std::collections::BTreeMap;
use std::time::Duration;

use super::own_channel::OwnChannel;
use super::{Keeper, LogEvent};
use crate::schedule::Moment;
use crate::throttle::LogThrottle;
use crate::time::{Monotonic, Timestamp};

/// How often what is owed is counted.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// Where a channel is owed fewer alerts than this, nobody is told how long they take.
pub const BACKLOG_MIN: usize = 20;

/// So long a channel has to be at work before anybody is told how long it will be.
const BACKLOG_AFTER: Duration = Duration::from_secs(5);

/// What one channel is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelOwed {
    pub channel: String,
    /// Alerts that it does not have yet.
    pub alerts: usize,
    /// When the oldest of them was decided; `None`: there is none.
    pub oldest: Option<Timestamp>,
}

/// What was counted last.
#[derive(Clone, Debug, Default)]
pub(super) struct Owed {
    pub(super) of_channels: Vec<ChannelOwed>,
    counted_at: Option<Monotonic>,
    foreign: LogThrottle,
}

impl Keeper {
    /// Counts what is owed to each channel, and logs what somebody should know of it. Alerts that are owed to a channel that no worker
    /// has stay owed.
    pub(super) fn count_owed(&mut self, now: Moment) {
        // What was just read from the store is said before a single round ends.
        let is_first = !self.with_outbox.is_empty() && self.owed.of_channels.iter().all(|owed| owed.alerts == 0);
        if !is_first && self.owed.counted_at.is_some_and(|at| now.monotonic.saturating_sub(at) < COUNTED_EVERY) {
            return;
        }
        let mut owed: BTreeMap<&str, (usize, Option<Timestamp>)> =
            self.channels.iter().map(|channel| (&*channel.name, (0, None))).collect();
        for entry in self.with_outbox.iter().filter_map(|api_id| self.ledger.get(api_id)) {
            for one in &entry.state.owed {
                for channel in one.pending_channels() {
                    let (alerts, oldest) = owed.entry(channel).or_default();
                    *alerts += 1;
                    let at = one.alert.detected_at;
                    *oldest = Some(oldest.map_or(at, |before| before.min(at)));
                }
            }
        }
        let of_channel =
            |(channel, (alerts, oldest)): (&str, _)| ChannelOwed { channel: channel.to_owned(), alerts, oldest };
        self.owed.of_channels = owed.into_iter().map(of_channel).collect();
        self.owed.counted_at = Some(now.monotonic);
        self.log_foreign(now.monotonic);
        self.log_backlogs(now.monotonic);
    }

    fn log_foreign(&mut self, now: Monotonic) {
        if self.channels.is_empty() {
            return; // a command that delivers nothing knows of no channel
        }
        let is_had = |channel: &str| {
            self.channels.iter().any(|ours| *ours.name == *channel) || self.channels_elsewhere.contains(channel)
        };
        let foreign = self.owed.of_channels.iter().filter(|owed| owed.alerts > 0 && !is_had(&owed.channel));
        let foreign: Vec<LogEvent> = foreign
            .map(|owed| LogEvent::ForeignChannel { channel: owed.channel.clone(), alerts: owed.alerts as u64 })
            .collect();
        if !foreign.is_empty() && self.owed.foreign.allow(now).is_some() {
            self.log.extend(foreign);
        }
    }

    fn log_backlogs(&mut self, now: Monotonic) {
        for OwnChannel { name, flow_control, backlog, .. } in &mut self.channels {
            let alerts =
                self.owed.of_channels.iter().find(|owed| *owed.channel == **name).map_or(0, |owed| owed.alerts);
            if alerts == 0 {
                flow_control.on_idle();
            }
            if alerts < BACKLOG_MIN {
                *backlog = None;
                continue;
            }
            let (since, said) = backlog.get_or_insert_with(|| (now, LogThrottle::default()));
            if now.saturating_sub(*since) >= BACKLOG_AFTER && said.allow(now).is_some() {
                let left = flow_control.time_left(alerts, now);
                self.log.push(LogEvent::Backlog { channel: name.to_string(), alerts, left });
            }
        }
    }
}
