//! What always holds for a state: checked by assertions, property tests and the simulation.

use crate::alert::AlertKind;
use crate::delivery::{OWED_MAX, OwedAlert};
use crate::history::story::AWAITING_HISTORY_MAX;
use crate::state::ApiState;
use crate::status::Status;

/// One invariant: its name, and whether a state keeps it.
pub struct Invariant {
    /// For the message when it is broken.
    pub name: &'static str,
    /// Whether `state` keeps it.
    pub holds: fn(&ApiState) -> bool,
}

pub const ALL: [Invariant; 10] = [
    Invariant {
        name: "there is an open incident exactly while the status is down",
        holds: |s| s.incident.is_some() == (s.status == Status::Down),
    },
    Invariant {
        name: "a status other than unknown has a beginning",
        holds: |s| s.since.is_some() == (s.status != Status::Unknown),
    },
    Invariant {
        name: "a streak contradicts the status and is not empty",
        holds: |s| {
            let contradicts = |toward: Status| (toward == Status::Down) != (s.status == Status::Down);
            s.streak.as_ref().is_none_or(|streak| streak.count > 0 && contradicts(streak.toward.status()))
        },
    },
    Invariant {
        name: "an outage was told exactly while the status is down, unless changes are held",
        holds: |s| s.held.is_some() || (s.last_alerted == Status::Down) == (s.status == Status::Down),
    },
    Invariant {
        name: "an outage that was told is open, or its end is held",
        holds: |s| {
            let is_end_held = s.held.as_ref().is_some_and(|held| held.ended.is_some());
            is_end_held == (s.last_alerted == Status::Down && s.status != Status::Down)
        },
    },
    Invariant {
        name: "what is held is at least one change of a known status",
        holds: |s| s.held.as_ref().is_none_or(|held| held.changes > 0 && s.status != Status::Unknown),
    },
    Invariant {
        name: "owed alerts start and end incidents alternately",
        holds: |s| {
            let kinds: Vec<AlertKind> = alternating(s).map(|owed| owed.alert.kind).collect();
            kinds.windows(2).all(|pair| pair[0].starts_incident() != pair[1].starts_incident())
        },
    },
    Invariant {
        name: "the last owed alert agrees with the last alerted status",
        holds: |s| alternating(s).last().is_none_or(|owed| owed.alert.kind.status() == s.last_alerted),
    },
    Invariant { name: "the outbox keeps its bound", holds: |s| s.owed.len() <= OWED_MAX },
    Invariant {
        name: "no more incidents wait for history than may",
        holds: |s| s.awaiting_history.len() <= AWAITING_HISTORY_MAX,
    },
];

/// The name of the first invariant that `state` breaks.
pub fn first_broken(state: &ApiState) -> Option<&'static str> {
    ALL.iter().find(|invariant| !(invariant.holds)(state)).map(|invariant| invariant.name)
}

/// The owed alerts that alternate: all but withdrawals ([`withdraw`](crate::decide::withdraw)) and those that change nothing.
fn alternating(s: &ApiState) -> impl Iterator<Item = &OwedAlert> {
    s.owed.iter().filter(|owed| !owed.alert.is_withdrawal() && !owed.alert.kind.changes_no_status())
}
