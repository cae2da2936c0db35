//! An incident: from a confirmed outage to the recovery that ends it.

use std::sync::Arc;

use crate::alert::AlertKind;
use crate::api::ApiId;
use crate::evidence::Evidence;
use crate::text;
use crate::time::Timestamp;

/// An open incident of one API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incident {
    /// Names this incident, and no other of any API.
    pub incident_id: String,
    /// The start of the first failing probe of the streak that confirmed it.
    pub started_at: Timestamp,
    /// Why the probe that confirmed it failed.
    pub reason: String,
    /// The API's name when it began, for an alert that comes when there is no config any longer.
    pub name: String,
    /// The API's URL when it began, for the same alert.
    pub url: String,
    /// The channels that its outage was owed to: they must get its end as well.
    pub owed_to: Vec<String>,
    /// What was seen when it was confirmed.
    pub evidence: Option<Arc<Evidence>>,
    /// How often people were reminded of it.
    pub reminders: u32,
    /// When it was confirmed; `None` where an earlier version did not note that.
    pub confirmed_at: Option<Timestamp>,
    /// Which channels have its beginning, and its end, and since when; the first [`DELIVERED_MAX`](Incident::DELIVERED_MAX). Nothing is decided by it.
    pub delivered: Vec<DeliveredAlert>,
}

/// A channel has an alert of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveredAlert {
    pub channel: String,
    pub kind: AlertKind,
    pub at: Timestamp,
}

/// Incidents whose end is noted in a record.
pub const ENDED_MAX: usize = 2;

/// Which incidents of an API ended last, once their end was delivered: whoever sent one of them without the store, and asks later whether
/// the record knows it, has nothing to withdraw. They are kept as numbers made of their ids, so that a record in no incident stays small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended([u32; ENDED_MAX]);

impl Ended {
    /// From what was stored, the newest first; what is too much is left out.
    pub fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut numbers = numbers.into_iter().filter(|number| *number != 0);
        Self(std::array::from_fn(|_| numbers.next().unwrap_or(0)))
    }

    /// The newest first.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied().filter(|number| *number != 0)
    }

    /// The end of this incident was delivered.
    pub(crate) fn note(&mut self, incident_id: &str) {
        if !self.has(incident_id) {
            self.0.rotate_right(1);
            self.0[0] = number_of(incident_id);
        }
    }

    pub(crate) fn has(&self, incident_id: &str) -> bool {
        self.0.contains(&number_of(incident_id))
    }
}

/// The lower half of [`text::stable_hash`]; never 0, which stands for none.
fn number_of(incident_id: &str) -> u32 {
    u32::try_from(text::stable_hash(incident_id) & u64::from(u32::MAX)).unwrap_or(u32::MAX).max(1)
}

impl Incident {
    /// Beginning and end through eight channels.
    pub const DELIVERED_MAX: usize = 16;

    /// Notes that a channel has an alert of it. Reminders are counted elsewhere.
    pub(crate) fn note_delivered(&mut self, channel: &str, kind: AlertKind, at: Timestamp) {
        let is_known = self.delivered.iter().any(|alert| alert.kind == kind && alert.channel == channel);
        if !kind.changes_no_status() && !is_known && self.delivered.len() < Self::DELIVERED_MAX {
            self.delivered.push(DeliveredAlert { channel: channel.to_owned(), kind, at });
        }
    }

    /// Its end is no longer owed to this channel. Returns whether it was.
    pub(crate) fn drop_channel(&mut self, channel: &str) -> bool {
        let before = self.owed_to.len();
        self.owed_to.retain(|owed_to| owed_to != channel);
        self.owed_to.len() != before
    }

    /// Of which API it is; `None`: it is one of the monitor's own.
    pub fn of_api(&self) -> Option<(ApiId, Timestamp)> {
        Self::of_id(&self.incident_id)
    }

    /// Whose incident has this id, and when it began. Those of the monitor itself are none of an API.
    pub fn of_id(incident_id: &str) -> Option<(ApiId, Timestamp)> {
        let (rest, _version) = incident_id.rsplit_once('.')?;
        let (api_id, started_at) = rest.rsplit_once('.')?;
        Some((ApiId::parse(api_id).ok()?, Timestamp::from_millis(started_at.parse().ok()?)))
    }

    /// The id of the incident of `api_id` that the record of version `version` opens: the API, the start in
    /// milliseconds and the version, which grows with each write, so that not even a clock set back repeats one.
    pub fn id(api_id: &ApiId, started_at: Timestamp, version: u64) -> String {
        format!("{api_id}.{}.{version}", started_at.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_ends_are_remembered_the_newest_first_and_each_once() {
        let mut ended = Ended::default();
        assert!(!ended.has("shop.1.1"));
        for id in ["shop.1.1", "shop.2.2", "shop.2.2", "shop.2.3"] {
            ended.note(id);
        }
        assert_eq!(["shop.1.1", "shop.2.2", "shop.2.3"].map(|id| ended.has(id)), [false, true, true]);
        assert_eq!(Ended::of(ended.numbers()), ended);
        assert_eq!(Ended::of([0, 7, 8, 9]).numbers().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(ended.numbers().count(), ENDED_MAX);
    }
}
