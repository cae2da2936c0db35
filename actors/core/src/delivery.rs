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
/// A full outbox is kept within [`OWED_MAX`] by leaving out the newest alert in it and this one, which cancel each
/// other: what is told last still agrees with the status. The alert that stays newest counts what was left out.
pub fn owe(state: &mut ApiState, alert: Alert) {
    if state.owed.len() >= OWED_MAX && state.owed.last().is_some_and(|last| last.alert.kind != alert.kind) {
        let dropped = state.owed.pop().map_or(0, |last| last.alert.changes_left_out);
        if let Some(newest) = state.owed.last_mut() {
            newest.alert.changes_left_out = newest.alert.changes_left_out.saturating_add(dropped).saturating_add(2);
        }
    } else {
        state.owed.push(OwedAlert { alert, delivered_to: Vec::new() });
    }
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
}
