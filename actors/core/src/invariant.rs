//! What always holds of a state, named once: used by assertions, properties and the simulation alike.

use crate::alert::AlertKind;
use crate::delivery::OWED_MAX;
use crate::state::{ApiState, Status};

/// One invariant: its name, and whether a state keeps it.
pub struct Invariant {
    /// What it says, for the message of whoever finds it broken.
    pub name: &'static str,
    /// Whether `state` keeps it.
    pub holds: fn(&ApiState) -> bool,
}

/// All of them.
pub const ALL: [Invariant; 7] = [
    Invariant {
        name: "there is an open incident exactly while the status is down",
        holds: |s| s.incident.is_some() == (s.status == Status::Down),
    },
    Invariant {
        name: "a status other than unknown has a beginning",
        holds: |s| s.since.is_some() == (s.status != Status::Unknown),
    },
    Invariant {
        name: "a streak speaks against the status and is not empty",
        holds: |s| {
            s.streak.as_ref().is_none_or(|streak| {
                streak.count > 0
                    && match streak.toward {
                        AlertKind::Down => s.status != Status::Down,
                        AlertKind::Up => s.status == Status::Down,
                        AlertKind::Closed => false,
                    }
            })
        },
    },
    Invariant {
        name: "an outage is told or owed",
        holds: |s| (s.last_told == Status::Down) == (s.status == Status::Down),
    },
    Invariant {
        name: "owed alerts tell beginnings and ends of incidents in turn",
        holds: |s| s.owed.windows(2).all(|pair| pair[0].alert.kind.opens() != pair[1].alert.kind.opens()),
    },
    Invariant {
        name: "the last alert owed tells the status that was told last",
        holds: |s| s.owed.last().is_none_or(|owed| owed.alert.kind.status() == s.last_told),
    },
    Invariant { name: "the outbox keeps its bound", holds: |s| s.owed.len() <= OWED_MAX },
];

/// The name of the first invariant that `state` breaks.
pub fn first_broken(state: &ApiState) -> Option<&'static str> {
    ALL.iter().find(|invariant| !(invariant.holds)(state)).map(|invariant| invariant.name)
}
