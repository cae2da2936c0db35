//! Numbers and moments as the pages write them, and the first sentence, which carries its own proof.

use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::view::Condition;
pub(crate) use api_health_core::words::{count, millis, number, span};

use super::zone::Look;

/// How many are left out where so many are shown at most; `None`: all are shown.
pub(crate) fn more(all: usize, shown_max: usize) -> Option<String> {
    (all > shown_max).then(|| number(all - shown_max))
}

/// `3 s ago`, `just now`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.since(then) {
        since if since < Duration::from_secs(1) => "just now".into(),
        since => format!("{} ago", span(since)),
    }
}

/// A moment for people and for machines.
#[derive(Clone, Debug)]
pub(crate) struct When {
    pub(crate) exact: String,
    pub(crate) words: String,
}

impl When {
    pub(crate) fn of(at: Timestamp, look: &Look) -> Self {
        Self { exact: at.to_string(), words: look.moment(at) }
    }
}

/// What a page says first.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) first: String,
    /// Why the first sentence may be believed.
    pub(crate) proof: String,
}

impl Said {
    pub(crate) fn of(everything: &Look) -> Self {
        let (now, counts) = (everything.now, &everything.counts);
        let latest = || everything.views.iter().filter_map(|view| Some(view.last_probe.as_ref()?.at)).max();
        if everything.is_stale() {
            return Self::stale(everything);
        }
        let of = |condition| counts.get(condition);
        let (total, off) = (counts.total(), of(Condition::Off));
        if total == 0 {
            return Self { first: "No API is watched yet.".into(), proof: String::new() };
        }
        let down = of(Condition::Down);
        let is = if down == 1 || total == 1 { "is" } else { "are" };
        let first = format!("{} of {} {is} down.", number(down), count(total, "API"));
        let (unwatched, unknown) = (of(Condition::Unwatched), of(Condition::Unknown));
        let lacking: Vec<String> = [(unwatched, "not watched"), (unknown, "not probed yet"), (off, "switched off")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{} {} {what}", number(n), if n == 1 { "is" } else { "are" }))
            .collect();
        let on_time = latest().map(|at| format!("was probed on time, the latest {}", ago(at, now)));
        let proof = match (lacking.is_empty(), on_time) {
            _ if unwatched + unknown + off == total => format!("{}.", lacking.join(", ")),
            (true, Some(on_time)) => format!("Every API {on_time}."),
            (false, Some(on_time)) => format!("{}; every other API {on_time}.", lacking.join(", ")),
            (_, None) => format!(
                "The state is as it was stored; no probe has ended since this program began, {}.",
                ago(everything.snapshot.at, now)
            ),
        };
        Self { first, proof }
    }

    fn stale(everything: &Look) -> Self {
        let (now, at) = (everything.now, everything.snapshot.at);
        Self {
            first: format!("It is not known how things are: nothing was heard for {}.", span(now.since(at))),
            proof: format!(
                "The part that keeps the states last spoke at {}. What follows is as of then. Alerts do not depend on this page.",
                everything.moment(at)
            ),
        }
    }
}
