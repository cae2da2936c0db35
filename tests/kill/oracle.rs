//! Judges what was told by what was true. It knows the target's script, every request that a channel got, and what
//! the store owed at each death; nothing of it was decided by the daemon, but for what it stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::alerts::Received;

/// A change that is certain to have been confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// `down` or `up`.
    pub(crate) kind: &'static str,
    /// The first answer of the target that spoke for it came no earlier.
    pub(crate) not_before: SystemTime,
    /// By then it was seen in the store.
    pub(crate) not_after: SystemTime,
}

/// A request that a channel got, whatever it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// When it came.
    pub(crate) at: SystemTime,
    /// Which life of the daemon sent it.
    pub(crate) life: usize,
    /// The status that it was answered with; 0 for none.
    pub(crate) answered: u16,
    pub(crate) api_id: String,
    pub(crate) kind: String,
    pub(crate) alert_id: String,
    pub(crate) incident_id: String,
    pub(crate) happened_at: SystemTime,
}

impl Heard {
    /// An alert as it came. The environment of the daemon names its life.
    pub(crate) fn of(received: &Received, answered: u16) -> Self {
        let text = |field: &str| received.text(field).to_owned();
        Self {
            at: received.at,
            life: received.text("environment").strip_prefix("life-").unwrap().parse().unwrap(),
            answered,
            api_id: text("api_id"),
            kind: text("kind"),
            alert_id: text("alert_id"),
            incident_id: text("incident_id"),
            happened_at: received.time("happened_at"),
        }
    }
}

/// What was found, to show that the run was worth something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Alerts told.
    pub(crate) alerts: usize,
    /// Requests for an alert that was taken over already, each of them owed at the death before it.
    pub(crate) repeats: usize,
    /// Requests that were not taken over.
    pub(crate) refused: usize,
}

/// A change is dated to the start of the probe that saw it first, which may lie before the change by as long as a probe
/// takes on a busy machine.
pub(crate) const PROBE: Duration = Duration::from_secs(3);

/// Checks everything that was heard.
///
/// `truth` is the history of every API, in order. `owed_at_death[life]` is what the store owed when that life had ended.
///
/// # Errors
/// What was told that should not be, or not told, or out of turn.
pub(crate) fn check(
    truth: &BTreeMap<String, Vec<Change>>,
    heard: &[Heard],
    owed_at_death: &[BTreeSet<String>],
) -> Result<Figures, String> {
    let mut figures = Figures::default();
    let mut by_api: BTreeMap<&str, Vec<&Heard>> = BTreeMap::new();
    for one in heard.iter().filter(|one| !one.api_id.contains(':')) {
        by_api.entry(&one.api_id).or_default().push(one);
    }
    for api_id in by_api.keys() {
        if !truth.contains_key(*api_id) {
            return Err(format!("{api_id}: there is no such API"));
        }
    }
    for (api_id, changes) in truth {
        let heard = by_api.remove(api_id.as_str()).unwrap_or_default();
        check_one(changes, &heard, owed_at_death, &mut figures).map_err(|why| format!("{api_id}: {why}"))?;
    }
    Ok(figures)
}

fn check_one(
    changes: &[Change],
    heard: &[&Heard],
    owed_at_death: &[BTreeSet<String>],
    figures: &mut Figures,
) -> Result<(), String> {
    // The told history: each alert once, where it came first.
    let mut told: Vec<&Heard> = Vec::new();
    // For each of them, the last life in which it was taken over with an answer.
    let mut taken: Vec<Option<usize>> = Vec::new();
    let mut last: Option<&Heard> = None;
    for one in heard {
        let at = match told.iter().position(|first| first.alert_id == one.alert_id) {
            Some(at) => at,
            None => {
                if taken.last().is_some_and(Option::is_none) {
                    return Err(format!(
                        "{} came before {} was taken over",
                        one.alert_id,
                        told[told.len() - 1].alert_id
                    ));
                }
                told.push(one);
                taken.push(None);
                told.len() - 1
            }
        };
        if (&told[at].kind, &told[at].incident_id) != (&one.kind, &one.incident_id) {
            return Err(format!("{one:?} has the alert id of {:?}", told[at]));
        }
        if let Some(last) = last.filter(|last| last.life == one.life)
            && told.iter().position(|first| first.alert_id == last.alert_id) > Some(at)
        {
            return Err(format!("{} came after {} in one life", one.alert_id, last.alert_id));
        }
        if let Some(life) = taken[at] {
            let owed = |life: usize| owed_at_death.get(life).is_some_and(|owed| owed.contains(&one.alert_id));
            if one.life == life {
                return Err(format!("{} was repeated in life {life}, which had its answer", one.alert_id));
            }
            if let Some(settled) = (life..one.life).find(|life| !owed(*life)) {
                return Err(format!(
                    "{} was repeated in life {}, and life {settled} left it settled",
                    one.alert_id, one.life
                ));
            }
            figures.repeats += 1;
        }
        if one.answered == 200 {
            taken[at] = Some(one.life);
        } else {
            figures.refused += 1;
        }
        last = Some(one);
    }
    figures.alerts += told.len();
    compare(changes, &told, &taken)
}

fn compare(changes: &[Change], told: &[&Heard], taken: &[Option<usize>]) -> Result<(), String> {
    let kinds = |of: &mut dyn Iterator<Item = &str>| of.collect::<Vec<_>>().join(" ");
    let (true_kinds, told_kinds) =
        (kinds(&mut changes.iter().map(|c| c.kind)), kinds(&mut told.iter().map(|t| t.kind.as_str())));
    if true_kinds != told_kinds {
        return Err(format!("happened: {true_kinds}; told: {told_kinds}"));
    }
    for (at, (change, alert)) in changes.iter().zip(told).enumerate() {
        if taken[at].is_none() {
            return Err(format!("{} was never taken over", alert.alert_id));
        }
        if alert.happened_at + PROBE < change.not_before || alert.happened_at > change.not_after {
            return Err(format!("{} says it happened at {:?}; it was {change:?}", alert.alert_id, alert.happened_at));
        }
        let same_incident = at > 0 && told[at - 1].incident_id == alert.incident_id;
        if at > 0 && same_incident != (alert.kind == "up") {
            return Err(format!("{}: incident {}", alert.alert_id, alert.incident_id));
        }
    }
    Ok(())
}
