//! What was told, held against what was true: false alarms, missed ones, repeats, and causes that were named wrong.
//!
//! A pure function over a script of truths and the alerts that came, so that it can be tried on wrong sequences.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// A probe that began a moment before the fault may already have met it, and dates it.
pub const BEGAN_EARLIER_MS: i64 = 5_000;

/// An alert that has to come. Those about one subject have to come in the order of the script.
#[derive(Clone, Debug)]
pub struct Due {
    /// The API, or the part of the monitor, that it is about.
    pub about: String,
    pub kind: &'static str,
    /// The reason has to have one of them in it; of none, any will do.
    pub words: &'static [&'static str],
    /// When it became true, in milliseconds since 1970.
    pub since: i64,
    /// When it was true no longer.
    pub until: Option<i64>,
}

/// An alert as the webhook got it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub about: String,
    pub kind: String,
    pub reason: String,
    pub alert_id: String,
    /// When it happened, as the alert says.
    pub happened_at: i64,
    /// When it came.
    pub at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Told, and not true, or not yet.
    FalseAlarm,
    /// True, and not told.
    Missed,
    /// The same told once more.
    Duplicate,
    /// Told, with a reason that names another cause or is no sentence for people.
    WrongCause,
    /// Told, with a time at which it was not true.
    WrongTime,
}

/// A fault of the telling, and of whom.
#[derive(Clone, Debug)]
pub struct Mark {
    pub about: String,
    pub fault: Fault,
    /// What was told, or was not.
    pub what: String,
}

/// A due alert that came.
#[derive(Clone, Debug)]
pub struct Told {
    pub about: String,
    pub kind: &'static str,
    /// From when it became true to when it came.
    pub after_ms: i64,
}

#[derive(Clone, Debug, Default)]
pub struct Score {
    pub marks: Vec<Mark>,
    pub told: Vec<Told>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FalseAlarm => "false alarm",
            Self::Missed => "missed",
            Self::Duplicate => "duplicate",
            Self::WrongCause => "wrong cause",
            Self::WrongTime => "wrong time",
        })
    }
}

/// Holds the alerts that came, in the order in which they came, against the script.
pub fn score(script: &[Due], seen: &[Seen]) -> Score {
    let mut score = Score::default();
    let mut dues: BTreeMap<&str, Vec<&Due>> = BTreeMap::new();
    for due in script {
        dues.entry(&due.about).or_default().push(due);
    }
    let mut came: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for alert in seen {
        came.entry(&alert.about).or_default().push(alert);
    }
    for about in came.keys().chain(dues.keys()).collect::<std::collections::BTreeSet<_>>() {
        let dues = dues.get(about).map_or(&[][..], Vec::as_slice);
        score_one(dues, came.get(about).map_or(&[][..], Vec::as_slice), &mut score);
    }
    score
}

/// The alerts about one subject.
fn score_one(dues: &[&Due], seen: &[&Seen], score: &mut Score) {
    let mut ids = HashSet::new();
    let mut waiting = dues.iter().peekable();
    let mut last: Option<&Due> = None;
    for alert in seen {
        let mut mark = |fault| {
            let what = format!("{}: {}", alert.kind, alert.reason);
            score.marks.push(Mark { about: alert.about.clone(), fault, what });
        };
        if !ids.insert(&alert.alert_id) {
            mark(Fault::Duplicate);
            continue;
        }
        let Some(due) = waiting.next_if(|due| due.kind == alert.kind && due.since <= alert.at) else {
            let again = last.is_some_and(|due| due.kind == alert.kind);
            mark(if again { Fault::Duplicate } else { Fault::FalseAlarm });
            continue;
        };
        last = Some(due);
        if !names(due.words, &alert.reason) {
            mark(Fault::WrongCause);
        }
        let begins = due.since - BEGAN_EARLIER_MS;
        if alert.happened_at < begins || due.until.is_some_and(|until| alert.happened_at > until) {
            mark(Fault::WrongTime);
        }
        score.told.push(Told { about: due.about.clone(), kind: due.kind, after_ms: alert.at - due.since });
    }
    for due in waiting {
        score.marks.push(Mark { about: due.about.clone(), fault: Fault::Missed, what: due.kind.to_owned() });
    }
}

/// Whether a reason names one of the causes, in words for people.
fn names(words: &[&str], reason: &str) -> bool {
    let named = words.is_empty() || words.iter().any(|word| reason.contains(word));
    named && !reason.is_empty() && !is_a_dump(reason)
}

/// Whether a reason shows the inside of a library.
fn is_a_dump(reason: &str) -> bool {
    ["Some(", "None", "Error(", "Error {", "Custom {", "[0x", "{ kind"].iter().any(|sign| reason.contains(sign))
}
