//! Judges what a fleet told by what was true. It knows the target's script, every request that the webhook got, and what was
//! done to each daemon and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::oracle::{Change, Heard, PROBE};

/// What was done to one life of a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// kill -9.
    Killed,
    /// SIGSTOP, and SIGCONT at the end.
    Frozen,
    /// It alone did not reach the store.
    CutAlone,
    /// Nobody reached the store.
    AllCut,
}

/// Something that was done to one life of a daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    /// To which.
    pub(crate) life: usize,
    pub(crate) what: What,
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

/// What was found, to show that the run was worth something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Alerts told, those of withdrawn outages and of the monitor itself among them.
    pub(crate) alerts: usize,
    /// Requests for an alert that the webhook had already, each with a cause.
    pub(crate) repeats: usize,
    /// Outages that were told a second time under another id by a worker that was cut off, and taken back.
    pub(crate) withdrawn: usize,
}

/// What a worker tells is noted in the store within this, unless something hinders it.
const SETTLED: Duration = Duration::from_secs(5);

/// A request comes no later than this after it was sent.
pub(crate) const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// Who has been cut off for less tells nothing that is not stored.
const UNSTORED_MIN: Duration = Duration::from_secs(29);

/// Checks everything that was heard, in the order in which it came. What the monitor told of itself has an end in every case,
/// since all is well at the end.
///
/// # Errors
/// What was told that should not be, or not told, or out of turn.
pub(crate) fn check(
    truth: &BTreeMap<String, Vec<Change>>,
    heard: &[Heard],
    troubles: &[Trouble],
) -> Result<Figures, String> {
    let mut by_api: BTreeMap<&str, Vec<&Heard>> = truth.keys().map(|api_id| (api_id.as_str(), Vec::new())).collect();
    for one in heard {
        if !one.api_id.contains(':') && !by_api.contains_key(one.api_id.as_str()) {
            return Err(format!("{}: there is no such API", one.api_id));
        }
        by_api.entry(&one.api_id).or_default().push(one);
    }
    let mut figures = Figures::default();
    for (api_id, changes) in truth {
        let incidents = incidents(&by_api[api_id.as_str()], troubles, &mut figures);
        let judged = incidents.and_then(|incidents| compare(changes, &incidents, troubles, &mut figures));
        judged.map_err(|why| format!("{api_id}: {why}"))?;
    }
    for (api_id, heard) in by_api.iter().filter(|(api_id, _)| api_id.contains(':')) {
        let all_ended = |incidents: Vec<Incident<'_>>| match incidents.iter().find(|incident| !incident.is_over()) {
            Some(open) => Err(format!("{:?} was never ended, and all is well", open.down)),
            None => Ok(()),
        };
        let judged = incidents(heard, troubles, &mut figures).and_then(all_ended);
        judged.map_err(|why| format!("{api_id}: {why}"))?;
    }
    Ok(figures)
}

/// What was told of one outage, each alert where it came first.
#[derive(Default)]
struct Incident<'a> {
    down: Option<&'a Heard>,
    up: Option<&'a Heard>,
    closed: Option<&'a Heard>,
}

impl Incident<'_> {
    fn is_over(&self) -> bool {
        self.up.is_some() || self.closed.is_some()
    }

    fn words(&self) -> String {
        let word = |alert: Option<&Heard>, word| if alert.is_some() { word } else { "" };
        [word(self.down, "down"), word(self.up, "up"), word(self.closed, "closed")].join(" ").trim().to_owned()
    }
}

/// Everything that was told of one API, by outage.
fn incidents<'a>(
    heard: &[&'a Heard],
    troubles: &[Trouble],
    figures: &mut Figures,
) -> Result<Vec<Incident<'a>>, String> {
    let first_of_each = explain_repeats(heard, troubles, figures)?;
    figures.alerts += first_of_each.len();
    let mut incidents: Vec<Incident<'_>> = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    for one in first_of_each {
        let at = ids.iter().position(|id| *id == one.incident_id).unwrap_or_else(|| {
            ids.push(&one.incident_id);
            incidents.push(Incident::default());
            ids.len() - 1
        });
        let incident = &mut incidents[at];
        let (slot, begins) = match one.kind.as_str() {
            "down" => (&mut incident.down, true),
            "up" => (&mut incident.up, false),
            "closed" => (&mut incident.closed, false),
            other => return Err(format!("{other} is no kind")),
        };
        if slot.replace(one).is_some() {
            return Err(format!("{} of one incident under two ids", one.kind));
        }
        if !begins && incident.down.is_none() {
            return Err(format!("{} came before the outage that it ends", one.alert_id));
        }
    }
    Ok(incidents)
}

/// Each alert where it came first; a repeat needs a cause, and each cause explains one repeat of an alert.
fn explain_repeats<'a>(
    heard: &[&'a Heard],
    troubles: &[Trouble],
    figures: &mut Figures,
) -> Result<Vec<&'a Heard>, String> {
    let mut firsts: Vec<&Heard> = Vec::new();
    let mut before: BTreeMap<&str, &Heard> = BTreeMap::new();
    let mut used: BTreeSet<(&str, usize)> = BTreeSet::new();
    for &one in heard {
        if one.answered != 200 {
            return Err(format!("{} was answered with {}", one.alert_id, one.answered));
        }
        let Some(last) = before.insert(&one.alert_id, one) else {
            firsts.push(one);
            continue;
        };
        if (&last.kind, &last.incident_id) != (&one.kind, &one.incident_id) {
            return Err(format!("{one:?} has the alert id of {last:?}"));
        }
        let causes = |trouble: &Trouble| {
            // It could not note that the webhook has it, or it said late what another had said meanwhile.
            let hindered = trouble.life == last.life && touches(trouble, last.at - ON_ITS_WAY, last.at + SETTLED);
            let late = trouble.life == one.life
                && trouble.what != What::Killed
                && touches(trouble, one.at - ON_ITS_WAY, one.at);
            hindered || late
        };
        let cause =
            (0..troubles.len()).find(|&at| causes(&troubles[at]) && !used.contains(&(one.alert_id.as_str(), at)));
        let Some(cause) = cause else {
            return Err(format!(
                "{} was repeated by life {} after life {}, without a cause",
                one.alert_id, one.life, last.life
            ));
        };
        used.insert((&one.alert_id, cause));
        figures.repeats += 1;
    }
    Ok(firsts)
}

fn touches(trouble: &Trouble, from: SystemTime, until: SystemTime) -> bool {
    trouble.from <= until && trouble.until >= from
}

fn compare(
    changes: &[Change],
    incidents: &[Incident<'_>],
    troubles: &[Trouble],
    figures: &mut Figures,
) -> Result<(), String> {
    let happened = || changes.iter().map(|change| change.kind).collect::<Vec<_>>().join(" ");
    let told = || incidents.iter().map(Incident::words).collect::<Vec<_>>().join(", ");
    let mut last: Option<&Heard> = None;
    let mut matched = 0;
    for (at, down) in changes.iter().enumerate().filter(|(_, change)| change.kind == "down") {
        let (up, next_down) = (changes.get(at + 1), changes.get(at + 2));
        let is_of_this = |incident: &&Incident<'_>| {
            let dated = incident.down.map_or(SystemTime::UNIX_EPOCH, |down| down.happened_at);
            let soonest = |change: &Change| change.not_before - Duration::from_secs(1);
            dated >= soonest(down) && next_down.is_none_or(|next| dated < soonest(next))
        };
        let of_this: Vec<&Incident<'_>> = incidents.iter().filter(is_of_this).collect();
        matched += of_this.len();
        let agrees = |incident: &&Incident<'_>| {
            incident.closed.is_none()
                && dated_well(incident.down, Some(down))
                && incident.up.is_some() == up.is_some()
                && (up.is_none() || dated_well(incident.up, up))
        };
        let mut true_ones = of_this.iter().enumerate().filter(|(_, one)| agrees(one)).map(|(at, _)| at).peekable();
        let Some(&first) = true_ones.peek() else {
            return Err(format!("happened: {}; told: {}; nothing tells {down:?}, {up:?}", happened(), told()));
        };
        // Who was cut off may have seen all of it, and told it first: then the other one is the one without an excuse.
        let main = true_ones.find(|&main| all_others_may(&of_this, main, troubles).is_ok()).unwrap_or(first);
        for alert in [of_this[main].down, of_this[main].up].into_iter().flatten() {
            if let Some(last) = last.filter(|last| last.at > alert.at) {
                return Err(format!("{} came before {}", alert.alert_id, last.alert_id));
            }
            last = Some(alert);
        }
        figures.withdrawn += all_others_may(&of_this, main, troubles)?;
    }
    if matched < incidents.len() {
        return Err(format!("happened: {}; told: {}", happened(), told()));
    }
    Ok(())
}

/// Whether it was told with the time at which it happened.
fn dated_well(alert: Option<&Heard>, change: Option<&Change>) -> bool {
    alert.zip(change).is_some_and(|(alert, change)| {
        alert.happened_at + PROBE >= change.not_before && alert.happened_at <= change.not_after
    })
}

/// How many others tell the outage that `main` tells, each with an excuse.
fn all_others_may(of_this: &[&Incident<'_>], main: usize, troubles: &[Trouble]) -> Result<usize, String> {
    let mut others = of_this.iter().enumerate().filter(|(at, _)| *at != main).map(|(_, other)| other);
    others.try_for_each(|other| may_be_told_beside(other, troubles)).map(|()| of_this.len() - 1)
}

/// An outage may be told once more under another id by a worker that alone was cut off for long, and is then taken back.
fn may_be_told_beside(incident: &Incident<'_>, troubles: &[Trouble]) -> Result<(), String> {
    let Some(down) = incident.down else { return Err("an incident without an outage".into()) };
    let excuses = |trouble: &&Trouble| {
        trouble.life == down.life
            && trouble.what == What::CutAlone
            && down.at >= trouble.from + UNSTORED_MIN
            && down.at <= trouble.until + ON_ITS_WAY
    };
    if !troubles.iter().any(|trouble| excuses(&trouble)) {
        return Err(format!("{} tells an outage again under another id, and its teller had the store", down.alert_id));
    }
    if !incident.is_over() {
        return Err(format!("{} was told beside the true one, and never taken back", down.alert_id));
    }
    Ok(())
}
