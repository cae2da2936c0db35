//! The outbox of one API: which alerts are still owed to which channel, in which order.
//!
//! The record is the truth. Each owed alert names the channels that it is owed to, and is removed only when all of those have
//! it; until then it is offered again, across restarts and across owners. Each channel is served on its own, so that one that
//! fails delays no other, and in order, so that a recovery never overtakes its outage.

use std::time::Duration;

use crate::alert::Alert;
use crate::text;
use crate::time::Timestamp;

/// The most alerts that one API's outbox holds.
///
/// 50 are 25 outages that came and went while no channel could be reached. At about 1 KB each they stay far below
/// DynamoDB's bound of 400 KB for an item. Beyond that, pairs are left out (see [`enqueue`]).
pub const OWED_MAX: usize = 50;

/// So many owed alerts carry what was seen. Where more are owed no channel was reached for long, and their bytes would count.
pub const WITH_EVIDENCE_MAX: usize = 8;

/// The timeout of one attempt to deliver an alert.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(20);

/// Characters of the last error that the record keeps. With three channels and characters of four bytes, an outbox of
/// [`OWED_MAX`] stays below DynamoDB's bound.
pub const LAST_ERROR_CHARS_MAX: usize = 200;

/// An alert that is not delivered everywhere yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedAlert {
    pub alert: Alert,
    /// The channels that must get it: those of the owner that decided it. Empty in a record of an old version, until its owner has
    /// [assigned](assign_channels) them.
    pub owed_to: Vec<String>,
    /// The state of the delivery, for each channel that has it or was tried.
    pub deliveries: Vec<Delivery>,
}

/// The state of the delivery of one alert through one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    pub channel: String,
    /// The channel has it.
    pub delivered: bool,
    /// Failed attempts.
    pub failures: u32,
    /// Why the last of them failed.
    pub last_error: Option<String>,
    /// When it is tried again.
    pub next_try_at: Option<Timestamp>,
}

impl OwedAlert {
    /// An alert that none of these channels has yet.
    pub fn new(alert: Alert, owed_to: &[String]) -> Self {
        Self { alert, owed_to: owed_to.to_vec(), deliveries: Vec::new() }
    }

    /// The state of its delivery through `channel`.
    pub fn delivery(&self, channel: &str) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.channel == channel)
    }

    /// Whether `channel` has it.
    pub fn is_delivered(&self, channel: &str) -> bool {
        self.delivery(channel).is_some_and(|delivery| delivery.delivered)
    }

    /// Whether `channel` must get it, and does not have it.
    pub fn is_pending_for(&self, channel: &str) -> bool {
        self.owed_to.iter().any(|owed_to| owed_to == channel) && !self.is_delivered(channel)
    }

    /// The channels that must get it, and do not have it.
    pub fn pending_channels(&self) -> impl Iterator<Item = &str> {
        self.owed_to.iter().map(String::as_str).filter(|channel| !self.is_delivered(channel))
    }

    /// Whether every channel that it is owed to has it.
    pub fn is_done(&self) -> bool {
        !self.owed_to.is_empty() && self.pending_channels().next().is_none()
    }

    fn delivery_mut(&mut self, channel: &str) -> &mut Delivery {
        let index = self.deliveries.iter().position(|delivery| delivery.channel == channel).unwrap_or_else(|| {
            self.deliveries.push(Delivery { channel: channel.to_owned(), ..Delivery::default() });
            self.deliveries.len() - 1
        });
        &mut self.deliveries[index]
    }

    fn has_same_pending_channels(&self, other: &Self) -> bool {
        let covers = |a: &Self, b: &Self| a.pending_channels().all(|channel| b.is_pending_for(channel));
        covers(self, other) && covers(other, self)
    }
}

/// Appends `alert` to the outbox: for `channels`, for the `incident_channels` that its outage was owed to, and for those that still
/// wait for an earlier alert. Returns all of them.
///
/// A full outbox stays within [`OWED_MAX`] by leaving out an outage and its recovery, which cancel each other: the last alert that a
/// channel gets still agrees with the status, and outages and recoveries still alternate. The alert before the pair counts
/// what was left out after it.
pub fn enqueue(
    owed: &mut Vec<OwedAlert>,
    mut alert: Alert,
    channels: &[String],
    incident_channels: &[String],
) -> Vec<String> {
    if owed.len() >= WITH_EVIDENCE_MAX {
        alert.evidence = None;
    }
    let is_full = owed.len() >= OWED_MAX;
    if let Some(first) = last_pair_that_cancels(owed).filter(|_| is_full) {
        let left_out: u32 = owed
            .drain(first..first + 2)
            .map(|owed| owed.alert.changes_left_out.saturating_add(1))
            .fold(0, u32::saturating_add);
        if let Some(before) = owed.get_mut(first - 1) {
            before.alert.changes_left_out = before.alert.changes_left_out.saturating_add(left_out);
        }
    } else if let Some(spare) = owed.iter().rposition(|owed| is_full && owed.alert.is_spare()) {
        owed.remove(spare); // there are so many that no pair cancels
    }
    let mut owed_to = channels.to_vec();
    if !channels.is_empty() {
        let incident_channels = incident_channels.iter().map(String::as_str);
        for channel in incident_channels.chain(owed.iter().flat_map(OwedAlert::pending_channels)) {
            if owed_to.iter().all(|known| known != channel) {
                owed_to.push(channel.to_owned());
            }
        }
    }
    owed.push(OwedAlert::new(alert, &owed_to));
    owed_to
}

/// The index of the last neighbouring pair of an outage and its end, if both and the alert before them are pending for the same
/// channels. So neither is the next alert for any channel, and the pair may be left out even while deliveries are in flight.
///
/// Channels take alerts in order, so with `n` channels there are at most `n + 1` runs of alerts that are pending for the same
/// channels: with [`OWED_MAX`] alerts and fewer than 16 channels there always is such a pair. A withdrawal
/// ([`withdraw`](crate::decide::withdraw)) may stand beside a recovery, and is kept.
fn last_pair_that_cancels(owed: &[OwedAlert]) -> Option<usize> {
    let same = OwedAlert::has_same_pending_channels;
    let changes_no_status = |owed: &OwedAlert| owed.alert.kind.changes_no_status();
    let cancel = |a: &OwedAlert, b: &OwedAlert| {
        !changes_no_status(a)
            && !changes_no_status(b)
            && a.alert.kind.starts_incident() != b.alert.kind.starts_incident()
    };
    let found = owed
        .windows(3)
        .rposition(|three| same(&three[0], &three[1]) && same(&three[1], &three[2]) && cancel(&three[1], &three[2]));
    found.map(|before| before + 1)
}

/// The next alert for `channel`: the oldest that is pending for it.
pub fn next_for<'a>(owed: &'a [OwedAlert], channel: &str) -> Option<&'a OwedAlert> {
    owed.iter().find(|owed| owed.is_pending_for(channel))
}

/// Notes that `channel` has the alert, and removes the alert once all its channels have it. Returns whether anything changed: a
/// second time, or for an alert that is not owed, nothing does.
pub fn mark_delivered(owed: &mut Vec<OwedAlert>, alert_id: &str, channel: &str) -> bool {
    match owed.iter_mut().find(|owed| owed.alert.alert_id == alert_id) {
        Some(found) if !found.is_delivered(channel) => {
            let delivery = found.delivery_mut(channel);
            delivery.delivered = true;
            delivery.last_error = None;
            delivery.next_try_at = None;
            prune_delivered(owed);
            true
        }
        _ => false,
    }
}

/// Notes that an attempt to deliver failed, why, and when the next one is.
pub fn note_failure(owed: &mut [OwedAlert], alert_id: &str, channel: &str, why: &str, next_try_at: Timestamp) {
    if let Some(owed) = owed.iter_mut().find(|owed| owed.alert.alert_id == alert_id)
        && !owed.is_delivered(channel)
    {
        let delivery = owed.delivery_mut(channel);
        delivery.failures = delivery.failures.saturating_add(1);
        delivery.last_error = Some(text::line(why, LAST_ERROR_CHARS_MAX));
        delivery.next_try_at = Some(next_try_at);
    }
}

/// Migration: alerts of an old version name no channels, and are owed to those of the present owner. Returns whether anything
/// changed.
pub fn assign_channels(owed: &mut Vec<OwedAlert>, channels: &[String]) -> bool {
    let mut changed = false;
    for owed in owed.iter_mut().filter(|owed| owed.owed_to.is_empty() && !channels.is_empty()) {
        owed.owed_to = channels.to_vec();
        changed = true;
    }
    prune_delivered(owed) || changed
}

/// A person gave this channel up: what was decided until then is no longer owed to it. Returns how many alerts were still
/// pending for it.
pub fn drop_channel(owed: &mut Vec<OwedAlert>, channel: &str, until: Timestamp) -> usize {
    let mut dropped = 0;
    owed.retain_mut(|owed| {
        if owed.owed_to.is_empty() || owed.alert.detected_at > until {
            return true; // it has no channels yet, or came later
        }
        dropped += usize::from(owed.is_pending_for(channel));
        owed.owed_to.retain(|owed_to| owed_to != channel);
        !owed.owed_to.is_empty() && !owed.is_done()
    });
    dropped
}

/// Removes alerts that all their channels have. Returns whether anything changed.
fn prune_delivered(owed: &mut Vec<OwedAlert>) -> bool {
    let before = owed.len();
    owed.retain(|owed| !owed.is_done());
    owed.len() != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertKind;
    use crate::api::ApiId;
    use crate::status::Status;
    use crate::time::Timestamp;

    fn alert(n: usize) -> Alert {
        let kind = if n.is_multiple_of(2) { AlertKind::Down } else { AlertKind::Up };
        Alert {
            alert_id: format!("a{n}"),
            incident_id: format!("i{}", n / 2),
            kind,
            api_id: ApiId::parse("a").unwrap(),
            name: "A".into(),
            url: "http://a.test/".into(),
            previous_status: Status::Up,
            happened_at: Timestamp::default(),
            detected_at: Timestamp::default(),
            incident_started_at: Timestamp::default(),
            reason: "r".into(),
            changes_left_out: 0,
            evidence: None,
        }
    }

    fn channels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn next<'a>(owed: &'a [OwedAlert], channel: &str) -> Option<&'a str> {
        next_for(owed, channel).map(|owed| owed.alert.alert_id.as_str())
    }

    #[test]
    fn each_channel_is_served_in_order_and_on_its_own() {
        let both = channels(&["sns", "webhook"]);
        let mut owed = Vec::new();
        enqueue(&mut owed, alert(0), &both, &[]);
        enqueue(&mut owed, alert(1), &both, &[]);
        assert!(mark_delivered(&mut owed, "a0", "webhook"));
        assert_eq!((next(&owed, "webhook"), next(&owed, "sns")), (Some("a1"), Some("a0")));
        assert!(mark_delivered(&mut owed, "a1", "webhook"));
        assert_eq!((next(&owed, "webhook"), owed.len()), (None, 2), "sns has neither");
        assert!(mark_delivered(&mut owed, "a0", "sns"));
        assert_eq!(owed.len(), 1);
        assert!(!mark_delivered(&mut owed, "a0", "sns"), "a second time changes nothing");
        assert!(mark_delivered(&mut owed, "a1", "sns"));
        assert!(owed.is_empty());
    }

    #[test]
    fn an_owner_with_other_channels_removes_nothing_that_it_cannot_tell() {
        let mut owed = Vec::new();
        enqueue(&mut owed, alert(0), &channels(&["sns"]), &[]);
        assert_eq!(next(&owed, "webhook"), None, "it is not owed to whoever came later");
        assert!(mark_delivered(&mut owed, "a0", "webhook"), "that it has it all the same is a fact");
        assert_eq!((next(&owed, "sns"), owed.len()), (Some("a0"), 1));
        assert_eq!(drop_channel(&mut owed, "terminal", Timestamp::default()), 0);
        assert_eq!(
            (drop_channel(&mut owed, "sns", Timestamp::default()), owed.len()),
            (1, 0),
            "until a person gives that channel up"
        );
    }

    #[test]
    fn the_end_of_an_outage_is_owed_to_whoever_is_yet_to_hear_of_it() {
        let mut owed = Vec::new();
        enqueue(&mut owed, alert(0), &channels(&["sns", "webhook"]), &[]);
        mark_delivered(&mut owed, "a0", "webhook");
        let mut other = owed.clone();
        enqueue(&mut owed, alert(1), &channels(&["webhook"]), &[]); // decided by an owner without SNS
        mark_delivered(&mut owed, "a1", "webhook");
        mark_delivered(&mut owed, "a0", "sns");
        assert_eq!((next(&owed, "sns"), next(&owed, "webhook")), (Some("a1"), None));
        enqueue(&mut other, alert(1), &channels(&["sns"]), &channels(&["webhook"])); // and by one without the channel that was owed the outage
        assert_eq!(next(&other, "webhook"), Some("a1"));
    }

    #[test]
    fn what_was_stored_before_channels_were_named_is_owed_to_those_of_its_next_owner() {
        let mut owed = vec![OwedAlert::new(alert(0), &[]), OwedAlert::new(alert(1), &[])];
        assert!(mark_delivered(&mut owed, "a0", "webhook"));
        assert_eq!((owed.len(), drop_channel(&mut owed, "webhook", Timestamp::default()), owed.len()), (2, 0, 2));
        assert!(assign_channels(&mut owed, &channels(&["webhook", "sns"])));
        assert_eq!((next(&owed, "webhook"), next(&owed, "sns")), (Some("a1"), Some("a0")));
        assert!(!assign_channels(&mut owed, &channels(&["terminal"])), "once");
    }

    #[test]
    fn a_full_outbox_folds_pairs_and_still_ends_on_the_truth() {
        let mut owed = Vec::new();
        for n in 0..OWED_MAX + 7 {
            enqueue(&mut owed, alert(n), &channels(&["sns"]), &[]);
            assert!(owed.len() <= OWED_MAX);
            let told: Vec<AlertKind> = owed.iter().map(|o| o.alert.kind).collect();
            assert!(told.windows(2).all(|w| w[0] != w[1]), "still alternating");
            assert_eq!(told.last(), Some(&alert(n).kind), "the last one told is the last that happened");
        }
        let left_out: u32 = owed.iter().map(|o| o.alert.changes_left_out).sum();
        assert_eq!(left_out as usize + owed.len(), OWED_MAX + 7);
    }

    #[test]
    fn a_full_outbox_keeps_evidence_for_the_first_alone() {
        let mut owed = Vec::new();
        for n in 0..OWED_MAX + 4 {
            let seen = Alert { evidence: Some(std::sync::Arc::default()), ..alert(n) };
            enqueue(&mut owed, seen, &channels(&["sns"]), &[]);
        }
        let with_evidence: Vec<bool> = owed.iter().map(|owed| owed.alert.evidence.is_some()).collect();
        assert!(with_evidence.iter().enumerate().all(|(n, has)| *has == (n < WITH_EVIDENCE_MAX)), "{with_evidence:?}");
    }

    #[test]
    fn an_outbox_full_of_withdrawals_keeps_its_bound() {
        let mut owed = Vec::new();
        for n in 0..2 * OWED_MAX {
            let withdrawal = Alert { kind: AlertKind::Closed, previous_status: Status::Unknown, ..alert(2 * n) };
            enqueue(&mut owed, withdrawal, &channels(&["sns"]), &[]);
        }
        enqueue(&mut owed, alert(0), &channels(&["sns"]), &[]);
        assert_eq!((owed.len(), owed.last().unwrap().alert.kind), (OWED_MAX, AlertKind::Down));
    }

    #[test]
    fn a_channel_that_is_dead_for_ever_takes_nothing_from_the_others() {
        let both = channels(&["dead", "well"]);
        let mut owed = Vec::new();
        for n in 0..4 * OWED_MAX {
            enqueue(&mut owed, alert(n), &both, &[]);
            let well = next(&owed, "well").expect("each one is offered").to_owned();
            assert_eq!(well, format!("a{n}"));
            assert!(mark_delivered(&mut owed, &well, "well"));
            assert!(owed.len() <= OWED_MAX);
            assert_eq!(next(&owed, "dead"), Some("a0"), "what may be under way stays");
        }
    }

    #[test]
    fn failures_are_counted_and_end_with_the_delivery() {
        let mut owed = Vec::new();
        enqueue(&mut owed, alert(0), &channels(&["sns", "webhook"]), &[]);
        note_failure(&mut owed, "a0", "sns", &"x".repeat(500), Timestamp::from_millis(7));
        note_failure(&mut owed, "a0", "sns", "no such topic", Timestamp::from_millis(9));
        note_failure(&mut owed, "gone", "sns", "nobody asked", Timestamp::from_millis(9));
        let expected = Delivery {
            channel: "sns".into(),
            delivered: false,
            failures: 2,
            last_error: Some("no such topic".into()),
            next_try_at: Some(Timestamp::from_millis(9)),
        };
        assert_eq!(owed[0].deliveries, [expected]);
        assert!(mark_delivered(&mut owed, "a0", "sns"));
        let sns = owed[0].delivery("sns").unwrap();
        assert_eq!((sns.failures, &sns.last_error, sns.next_try_at), (2, &None, None));
    }
}
