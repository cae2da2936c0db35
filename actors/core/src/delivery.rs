//! The outbox of one API: which alerts are still owed to which channel, in which order, and who hands them over.
//!
//! The record is the truth. An alert is struck from it only when every channel has it; until then it is offered again,
//! across restarts. Each channel is served on its own, so that a dead one holds up no other, and in order, so that a
//! recovery never overtakes its outage.

use std::time::Duration;

use crate::alert::Alert;
use crate::state::ApiState;
use crate::text;
use crate::time::Timestamp;

/// The most alerts that one API's outbox holds.
///
/// 50 are 25 outages that came and went while no channel could be reached. At about 1 KB each they stay far below
/// DynamoDB's bound of 400 KB for an item. What comes on top is folded away in pairs (see [`owe`]).
pub const OWED_MAX: usize = 50;

/// How long a claim holds: as long as an alert may have to wait, at most, after the process that claimed it died.
///
/// It is longer than [`ATTEMPT_MAX`] by what a claim may age before the attempt that it is for begins.
pub const CLAIM_LASTS: Duration = Duration::from_secs(30);

/// How far the clocks of two machines that share a store may be apart, with a good margin: those of machines that are kept
/// on time differ by milliseconds. What is later than this was written before a clock was set back.
pub const CLOCKS_APART_MAX: Duration = Duration::from_secs(30);

/// The longest that one attempt to hand an alert over may take. A channel that takes longer has not taken it.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(20);

/// Characters of the reason why an attempt failed that the record keeps. With three channels and letters of four bytes, an
/// outbox of [`OWED_MAX`] stays below DynamoDB's bound.
pub const LAST_ERROR_CHARS_MAX: usize = 120;

/// An alert that is not delivered everywhere yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedAlert {
    /// What to tell.
    pub alert: Alert,
    /// What came of it so far, for each channel that has it or was tried.
    pub deliveries: Vec<Delivery>,
}

/// What came so far of telling one alert through one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The name of the channel.
    pub channel: String,
    /// The channel has it.
    pub delivered: bool,
    /// Attempts that failed.
    pub failures: u32,
    /// Why the last of them failed.
    pub last_error: Option<String>,
    /// When it is tried again.
    pub next_try_at: Option<Timestamp>,
}

/// Who hands over what one API owes. Whoever does it has written its claim into the record before, so that two processes
/// on one store tell nothing twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The process.
    pub by: String,
    /// Until when it holds, on the wall clock.
    pub until: Timestamp,
}

impl Claim {
    /// What the name of a process begins with that hands alerts over because a person asked it to, and watches nothing. It may
    /// be at work beside the one process that watches by a store.
    pub const BY_HAND: &'static str = "by hand: ";

    /// Whether such a process claimed.
    pub fn is_by_hand(&self) -> bool {
        self.by.starts_with(Self::BY_HAND)
    }
}

/// What a claim means for one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may hand alerts over.
    Ours,
    /// It has to claim first, and may.
    Free,
    /// Another process does it just now.
    Theirs,
}

impl OwedAlert {
    /// An alert that no channel has.
    pub fn new(alert: Alert) -> Self {
        Self { alert, deliveries: Vec::new() }
    }

    /// What came so far of telling it through `channel`.
    pub fn delivery(&self, channel: &str) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.channel == channel)
    }

    /// Whether `channel` has it.
    pub fn is_delivered(&self, channel: &str) -> bool {
        self.delivery(channel).is_some_and(|delivery| delivery.delivered)
    }

    fn delivery_mut(&mut self, channel: &str) -> &mut Delivery {
        let index = self.deliveries.iter().position(|delivery| delivery.channel == channel).unwrap_or_else(|| {
            self.deliveries.push(Delivery { channel: channel.to_owned(), ..Delivery::default() });
            self.deliveries.len() - 1
        });
        &mut self.deliveries[index]
    }

    fn has_same_channels(&self, other: &Self) -> bool {
        let covers = |a: &Self, b: &Self| a.deliveries.iter().all(|d| !d.delivered || b.is_delivered(&d.channel));
        covers(self, other) && covers(other, self)
    }
}

/// What the claim in `state` means for the process `instance`.
///
/// A claim that lasts longer than any claim can, on clocks that differ by [`CLOCKS_APART_MAX`], was written before the clock
/// was set back: it does not count. One of ours that would lapse during an attempt has to be written anew.
pub fn standing(state: &ApiState, instance: &str, now: Timestamp) -> Standing {
    match &state.claim {
        Some(claim) if claim.until > now && claim.until <= now.plus(CLAIM_LASTS + CLOCKS_APART_MAX) => {
            if claim.by != instance {
                Standing::Theirs
            } else if claim.until >= now.plus(ATTEMPT_MAX) {
                Standing::Ours
            } else {
                Standing::Free
            }
        }
        _ => Standing::Free,
    }
}

/// Writes the claim of `instance` into `state`.
pub fn claim(state: &mut ApiState, instance: &str, now: Timestamp) {
    state.claim = Some(Claim { by: instance.to_owned(), until: now.plus(CLAIM_LASTS) });
}

/// Puts `alert` into the outbox of `state`, at the end.
///
/// A full outbox is kept within [`OWED_MAX`] by leaving out a pair, an outage and its recovery, that cancel each other:
/// for every channel, what it is told last still agrees with the status, and outages and recoveries still come in turn.
/// The alert before the pair counts what was left out after it.
pub fn owe(state: &mut ApiState, alert: Alert) {
    if state.owed.len() >= OWED_MAX
        && let Some(first) = newest_pair_that_nobody_waits_for(&state.owed)
    {
        let left_out: u32 = state.owed.drain(first..first + 2).map(|owed| owed.alert.changes_left_out + 1).sum();
        if let Some(before) = state.owed.get_mut(first - 1) {
            before.alert.changes_left_out = before.alert.changes_left_out.saturating_add(left_out);
        }
    }
    state.owed.push(OwedAlert::new(alert));
}

/// The index of a neighbouring pair that the same channels have, as they have the alert before it. So it is the next one
/// for no channel, and may be left out even while deliveries are under way.
///
/// Channels take alerts in order, so with `n` channels there are at most `n + 1` stretches of alerts that the same
/// channels have: with [`OWED_MAX`] alerts and fewer than 16 channels there always is such a pair.
fn newest_pair_that_nobody_waits_for(owed: &[OwedAlert]) -> Option<usize> {
    let same = OwedAlert::has_same_channels;
    let found = owed.windows(3).rposition(|three| same(&three[0], &three[1]) && same(&three[1], &three[2]));
    found.map(|before| before + 1)
}

/// The alert that `channel` should be offered now: the oldest that it does not have.
pub fn next_for<'a>(state: &'a ApiState, channel: &str) -> Option<&'a OwedAlert> {
    state.owed.iter().find(|owed| !owed.is_delivered(channel))
}

/// Notes that `channel` has the alert, and strikes it once each of `channels` has it. Returns whether anything changed:
/// settling twice, or settling what is not owed, changes nothing.
pub fn settle(state: &mut ApiState, alert_id: &str, channel: &str, channels: &[String]) -> bool {
    let changed = note_delivered(state, alert_id, channel);
    if changed {
        strike_delivered(state, channels);
    }
    changed
}

/// Notes that `channel` has the alert, and strikes nothing: for whoever does not know all channels for certain. Returns
/// whether anything changed.
pub fn note_delivered(state: &mut ApiState, alert_id: &str, channel: &str) -> bool {
    match state.owed.iter_mut().find(|owed| owed.alert.alert_id == alert_id) {
        Some(owed) if !owed.is_delivered(channel) => {
            let delivery = owed.delivery_mut(channel);
            delivery.delivered = true;
            delivery.last_error = None;
            delivery.next_try_at = None;
            true
        }
        _ => false,
    }
}

/// Notes that `channel` did not take the alert, why, and when it is tried again.
pub fn note_failure(state: &mut ApiState, alert_id: &str, channel: &str, why: &str, next_try_at: Timestamp) {
    if let Some(owed) = state.owed.iter_mut().find(|owed| owed.alert.alert_id == alert_id)
        && !owed.is_delivered(channel)
    {
        let delivery = owed.delivery_mut(channel);
        delivery.failures = delivery.failures.saturating_add(1);
        delivery.last_error = Some(text::line(why, LAST_ERROR_CHARS_MAX));
        delivery.next_try_at = Some(next_try_at);
    }
}

/// Takes over into `state`, which somebody else wrote, what is known in `known` of failed attempts. Failures decide
/// nothing but when to try again, so the higher count wins.
pub fn keep_failures(state: &mut ApiState, known: &ApiState) {
    for theirs in &mut state.owed {
        let Some(ours) = known.owed.iter().find(|owed| owed.alert.alert_id == theirs.alert.alert_id) else { continue };
        for delivery in ours.deliveries.iter().filter(|delivery| !delivery.delivered) {
            let there = theirs.delivery(&delivery.channel);
            if there.is_none_or(|there| !there.delivered && there.failures < delivery.failures) {
                *theirs.delivery_mut(&delivery.channel) = delivery.clone();
            }
        }
    }
}

/// Strikes what every one of `channels` has: after a restart with fewer channels, some alerts may be owed to nobody.
/// Where nothing is owed any more, nothing is claimed. Returns whether anything changed.
pub fn strike_delivered(state: &mut ApiState, channels: &[String]) -> bool {
    let before = (state.owed.len(), state.claim.is_some());
    state.owed.retain(|owed| !channels.iter().all(|c| owed.is_delivered(c)));
    if state.owed.is_empty() {
        state.claim = None;
    }
    (state.owed.len(), state.claim.is_some()) != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::AlertKind;
    use crate::api::ApiId;
    use crate::state::Status;
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
        }
    }

    fn state() -> ApiState {
        ApiState::unknown(ApiId::parse("a").unwrap())
    }

    #[test]
    fn each_channel_is_served_in_order_and_on_its_own() {
        let channels = ["sns".to_owned(), "webhook".to_owned()];
        let mut state = state();
        owe(&mut state, alert(0));
        owe(&mut state, alert(1));
        assert!(settle(&mut state, "a0", "webhook", &channels));
        assert_eq!(next_for(&state, "webhook").unwrap().alert.alert_id, "a1");
        assert_eq!(next_for(&state, "sns").unwrap().alert.alert_id, "a0");
        assert!(settle(&mut state, "a1", "webhook", &channels));
        assert_eq!(next_for(&state, "webhook"), None);
        assert_eq!(state.owed.len(), 2, "sns has neither");
        assert!(settle(&mut state, "a0", "sns", &channels));
        assert_eq!(state.owed.len(), 1);
        assert!(!settle(&mut state, "a0", "sns", &channels), "settling twice changes nothing");
        assert!(settle(&mut state, "a1", "sns", &channels));
        assert!(state.owed.is_empty());
    }

    #[test]
    fn a_channel_that_is_gone_is_owed_nothing() {
        let both = ["sns".to_owned(), "webhook".to_owned()];
        let mut state = state();
        owe(&mut state, alert(0));
        settle(&mut state, "a0", "webhook", &both);
        assert!(strike_delivered(&mut state, &both[1..]));
        assert!(state.owed.is_empty());
    }

    #[test]
    fn a_full_outbox_folds_pairs_and_still_ends_on_the_truth() {
        let mut state = state();
        for n in 0..OWED_MAX + 7 {
            owe(&mut state, alert(n));
            assert!(state.owed.len() <= OWED_MAX);
            let told: Vec<AlertKind> = state.owed.iter().map(|o| o.alert.kind).collect();
            assert!(told.windows(2).all(|w| w[0] != w[1]), "still in turns");
            assert_eq!(told.last(), Some(&alert(n).kind), "the last one told is the last that happened");
        }
        let left_out: u32 = state.owed.iter().map(|o| o.alert.changes_left_out).sum();
        assert_eq!(left_out as usize + state.owed.len(), OWED_MAX + 7);
    }

    #[test]
    fn a_channel_that_is_dead_for_ever_takes_nothing_from_the_others() {
        let channels = ["dead".to_owned(), "well".to_owned()];
        let mut state = state();
        for n in 0..4 * OWED_MAX {
            owe(&mut state, alert(n));
            let next = next_for(&state, "well").expect("each one is offered").alert.alert_id.clone();
            assert_eq!(next, format!("a{n}"));
            assert!(settle(&mut state, &next, "well", &channels));
            assert!(state.owed.len() <= OWED_MAX);
            assert_eq!(next_for(&state, "dead").unwrap().alert.alert_id, "a0", "what may be under way stays");
        }
    }

    #[test]
    fn a_claim_holds_against_others_until_it_lapses_and_has_to_last_for_an_attempt() {
        let at = |millis: u128| {
            Timestamp::from_millis(1_000_000).plus(Duration::from_millis(u64::try_from(millis).unwrap()))
        };
        let mut state = state();
        assert_eq!(standing(&state, "a", at(0)), Standing::Free);
        claim(&mut state, "a", at(0));
        assert_eq!((standing(&state, "a", at(0)), standing(&state, "b", at(0))), (Standing::Ours, Standing::Theirs));
        let still = (CLAIM_LASTS - ATTEMPT_MAX).as_millis();
        assert_eq!(standing(&state, "a", at(still)), Standing::Ours);
        assert_eq!(standing(&state, "a", at(still + 1)), Standing::Free, "it would lapse during the attempt");
        assert_eq!(standing(&state, "b", at(still + 1)), Standing::Theirs);
        assert_eq!(standing(&state, "b", at(CLAIM_LASTS.as_millis())), Standing::Free);
        let slow = Timestamp::from_millis(999_900);
        assert_eq!(standing(&state, "b", slow), Standing::Theirs, "a clock that is a little late takes nothing away");
        let set_back = Timestamp::from_millis(969_999);
        assert_eq!(standing(&state, "b", set_back), Standing::Free, "no claim lasts that long: the clock was set back");
    }

    #[test]
    fn failures_are_kept_over_a_record_that_somebody_else_wrote_and_end_with_the_delivery() {
        let channels = ["sns".to_owned()];
        let mut ours = state();
        owe(&mut ours, alert(0));
        let theirs = ours.clone();
        note_failure(&mut ours, "a0", "sns", &"x".repeat(500), Timestamp::from_millis(7));
        note_failure(&mut ours, "a0", "sns", "no such topic", Timestamp::from_millis(9));
        note_failure(&mut ours, "gone", "sns", "nobody asked", Timestamp::from_millis(9));
        let mut merged = theirs;
        keep_failures(&mut merged, &ours);
        let expected = Delivery {
            channel: "sns".into(),
            delivered: false,
            failures: 2,
            last_error: Some("no such topic".into()),
            next_try_at: Some(Timestamp::from_millis(9)),
        };
        assert_eq!(merged.owed[0].deliveries, [expected]);
        claim(&mut merged, "a", Timestamp::from_millis(1));
        assert!(settle(&mut merged, "a0", "sns", &channels));
        assert_eq!((merged.owed.len(), merged.claim), (0, None), "nothing owed, nothing claimed");
    }
}
