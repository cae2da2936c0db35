//! The outbox of one API: which alerts are still owed to which channel, and in which order.
//!
//! The record is the truth. An alert is struck from it only when every channel has it; until then it is offered again,
//! across restarts. Each channel is served on its own, so that a dead one holds up no other, and in order, so that a
//! recovery never overtakes its outage.

use crate::alert::Alert;
use crate::state::ApiState;

/// The most alerts that one API's outbox holds.
///
/// 50 are 25 outages that came and went while no channel could be reached. At about 1 KB each they stay far below
/// DynamoDB's bound of 400 KB for an item. What comes on top is folded away in pairs (see [`owe`]).
pub const OWED_MAX: usize = 50;

/// An alert that is not delivered everywhere yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedAlert {
    /// What to tell.
    pub alert: Alert,
    /// The channels that have it already.
    pub delivered_to: Vec<String>,
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
    state.owed.push(OwedAlert { alert, delivered_to: Vec::new() });
}

/// The index of a neighbouring pair that the same channels have, as they have the alert before it. So it is the next one
/// for no channel, and may be left out even while deliveries are under way.
///
/// Channels take alerts in order, so with `n` channels there are at most `n + 1` stretches of alerts that the same
/// channels have: with [`OWED_MAX`] alerts and fewer than 16 channels there always is such a pair.
fn newest_pair_that_nobody_waits_for(owed: &[OwedAlert]) -> Option<usize> {
    let same = |a: &OwedAlert, b: &OwedAlert| {
        a.delivered_to.len() == b.delivered_to.len() && a.delivered_to.iter().all(|c| b.delivered_to.contains(c))
    };
    let found = owed.windows(3).rposition(|three| same(&three[0], &three[1]) && same(&three[1], &three[2]));
    found.map(|before| before + 1)
}

/// The alert that `channel` should be offered now: the oldest that it does not have.
pub fn next_for<'a>(state: &'a ApiState, channel: &str) -> Option<&'a Alert> {
    state.owed.iter().find(|owed| !owed.delivered_to.iter().any(|c| c == channel)).map(|owed| &owed.alert)
}

/// Notes that `channel` has the alert, and strikes it once each of `channels` has it. Returns whether anything changed:
/// settling twice, or settling what is not owed, changes nothing.
pub fn settle(state: &mut ApiState, alert_id: &str, channel: &str, channels: &[String]) -> bool {
    let Some(index) = state.owed.iter().position(|owed| owed.alert.alert_id == alert_id) else {
        return false;
    };
    let owed = &mut state.owed[index];
    if owed.delivered_to.iter().any(|c| c == channel) {
        return false;
    }
    owed.delivered_to.push(channel.to_owned());
    if channels.iter().all(|c| owed.delivered_to.contains(c)) {
        state.owed.remove(index);
    }
    true
}

/// Strikes what every one of `channels` has: after a restart with fewer channels, some alerts may be owed to nobody.
/// Returns whether anything changed.
pub fn strike_delivered(state: &mut ApiState, channels: &[String]) -> bool {
    let before = state.owed.len();
    state.owed.retain(|owed| !channels.iter().all(|c| owed.delivered_to.contains(c)));
    state.owed.len() != before
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
        assert_eq!(next_for(&state, "webhook").unwrap().alert_id, "a1");
        assert_eq!(next_for(&state, "sns").unwrap().alert_id, "a0");
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
            let next = next_for(&state, "well").expect("each one is offered").alert_id.clone();
            assert_eq!(next, format!("a{n}"));
            assert!(settle(&mut state, &next, "well", &channels));
            assert!(state.owed.len() <= OWED_MAX);
            assert_eq!(next_for(&state, "dead").unwrap().alert_id, "a0", "what may be under way stays");
        }
    }
}
