//! One API as people see it: the same words and figures on the page, in `status`, in the JSON API and in metrics.
//!
//! [`ApiView`] is made from the record of an API and from what is configured of it, by whoever has both: the state-keeper for those that
//! look at the running program, a command for those that look at the store.

use std::sync::Arc;

use crate::api::{ApiConfig, ApiId};
use crate::figures::ProbeFigures;
use crate::incident::Incident;
use crate::maintenance::Window;
use crate::outcome::Verdict;
use crate::state::{ApiState, LastProbe, Streak};
use crate::status::Status;
use crate::time::Timestamp;

/// What is to be said of an API in one word. In the order in which people want to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    Down,
    /// It is not probed although it should be: its prober was given up, or no outcome came in time.
    Unwatched,
    /// Outcomes contradict its status, and it is asked again.
    Suspect,
    /// The last probe could tell nothing of it.
    Unclear,
    /// A maintenance window is open: it is probed, and its alerts wait.
    Maintenance,
    /// It was not probed yet.
    Unknown,
    Up,
    /// It is configured, and switched off.
    Off,
}

impl Condition {
    pub const ALL: [Self; 8] = [
        Self::Down,
        Self::Unwatched,
        Self::Suspect,
        Self::Unclear,
        Self::Maintenance,
        Self::Unknown,
        Self::Up,
        Self::Off,
    ];

    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "Down",
            Self::Unwatched => "Not watched",
            Self::Suspect => "Checking again",
            Self::Unclear => "Cannot tell",
            Self::Maintenance => "Maintenance",
            Self::Unknown => "Not probed yet",
            Self::Up => "Up",
            Self::Off => "Off",
        }
    }

    /// The word in JSON, in query strings and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Unwatched => "unwatched",
            Self::Suspect => "suspect",
            Self::Unclear => "unclear",
            Self::Maintenance => "maintenance",
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Off => "off",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|condition| condition.as_str() == text)
    }

    /// A sign that tells them apart without colour.
    pub const fn glyph(self) -> char {
        match self {
            Self::Down => '✕',
            Self::Unwatched | Self::Unknown => '–',
            Self::Suspect => '~',
            Self::Unclear => '?',
            Self::Maintenance => '‖',
            Self::Up => '✓',
            Self::Off => '○',
        }
    }

    /// Whether somebody should look at it.
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Down | Self::Unwatched | Self::Suspect | Self::Unclear)
    }
}

/// Something that is alerted of an API, or of the monitor, beside a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub since: Timestamp,
    pub reason: String,
}

impl Trouble {
    pub fn of(incident: &Incident) -> Self {
        Self { since: incident.started_at, reason: incident.reason.clone() }
    }
}

/// What the monitor tells of an API in records beside that of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Why it is not probed, where its prober was given up.
    pub not_probed: Option<Trouble>,
    /// Since when and why it cannot be judged, where that is alerted.
    pub unclear: Option<Trouble>,
    /// Since when and why it is alerted that its certificate ends soon.
    pub certificate: Option<Trouble>,
}

#[derive(Clone, Debug)]
pub struct ApiView {
    pub api_id: ApiId,
    /// `None` for one that has a record and no row.
    pub config: Option<Arc<ApiConfig>>,
    /// The confirmed status.
    pub status: Status,
    pub since: Option<Timestamp>,
    pub streak: Option<Streak>,
    /// The one that is open.
    pub incident: Option<Box<Incident>>,
    pub last_probe: Option<LastProbe>,
    /// What that measured; `None` where it was before this process began, or in another one.
    pub figures: Option<ProbeFigures>,
    pub beside: Beside,
    /// Its maintenance window ends then, if one is open.
    pub maintenance_until: Option<Timestamp>,
    /// Why an alert of it is held, if one is.
    pub held: Option<String>,
    pub is_flapping: bool,
    /// The next outcome is late after this; `None`: none is expected, or that is not known.
    pub late_after: Option<Timestamp>,
    /// Alerts that some channel does not have yet.
    pub owed: usize,
    pub missed_ticks: u64,
    /// When this was so.
    pub at: Timestamp,
}

impl ApiView {
    /// How an API is, by its record, at `now`.
    pub fn of(state: &ApiState, config: Option<&Arc<ApiConfig>>, beside: Beside, now: Timestamp) -> Self {
        let windows = config.map_or(&[][..], |config| &config.alerting.maintenance);
        let by_hand = state.maintenance.as_ref().filter(|window| now < window.until).map(|window| window.until);
        Self {
            api_id: state.api_id.clone(),
            config: config.cloned(),
            status: state.status,
            since: state.since,
            streak: state.streak.clone(),
            incident: state.incident.clone(),
            last_probe: state.last_probe.clone(),
            figures: None,
            beside,
            maintenance_until: windows.iter().filter_map(|w: &Window| w.open_until(now)).chain(by_hand).max(),
            held: state.held.as_ref().map(|held| held.why.clone()),
            is_flapping: state.is_flapping(),
            late_after: None,
            owed: state.owed.len(),
            missed_ticks: state.missed_ticks,
            at: now,
        }
    }

    pub fn is_enabled(&self) -> bool {
        self.config.as_ref().is_none_or(|config| config.enabled)
    }

    /// The name that a person gave it, else its id.
    pub fn name(&self) -> &str {
        self.config.as_ref().map_or(self.api_id.as_str(), |config| &config.name)
    }

    /// What is to be said of it at `now`.
    pub fn condition(&self, now: Timestamp) -> Condition {
        let is_late = self.late_after.is_some_and(|after| after < now);
        let could_not_tell = self.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Inconclusive);
        match self.status {
            _ if !self.is_enabled() => Condition::Off,
            _ if self.beside.not_probed.is_some() || is_late => Condition::Unwatched,
            _ if self.maintenance_until.is_some_and(|until| now < until) => Condition::Maintenance,
            Status::Down => Condition::Down,
            _ if self.beside.unclear.is_some() || could_not_tell => Condition::Unclear,
            _ if self.streak.is_some() => Condition::Suspect,
            Status::Unknown => Condition::Unknown,
            Status::Up => Condition::Up,
        }
    }

    /// Why it is not simply up, the most pressing first; `None`: there is nothing to say.
    pub fn why(&self, now: Timestamp) -> Option<String> {
        if let Some(trouble) = &self.beside.not_probed {
            return Some(format!("not probed: {}", trouble.reason));
        }
        if self.condition(now) == Condition::Unwatched {
            return Some("no outcome came when one was due".into());
        }
        if let Some(incident) = &self.incident {
            return Some(incident.reason.clone());
        }
        if let Some(trouble) = &self.beside.unclear {
            return Some(trouble.reason.clone());
        }
        let last = self.last_probe.as_ref().filter(|probe| probe.verdict != Verdict::Pass);
        last.and_then(|probe| probe.error.clone())
            .or_else(|| self.held.as_ref().map(|why| format!("alert held: {why}")))
            .or_else(|| self.is_flapping.then(|| "it is flapping".into()))
            .or_else(|| self.beside.certificate.as_ref().map(|trouble| trouble.reason.clone()))
    }
}

/// How many APIs are in each condition, by the order of [`Condition::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([usize; Condition::ALL.len()]);

impl Counts {
    pub fn of<'a>(views: impl IntoIterator<Item = &'a ApiView>, now: Timestamp) -> Self {
        let mut counts = Self::default();
        for view in views {
            counts.add(view.condition(now));
        }
        counts
    }

    pub fn add(&mut self, condition: Condition) {
        self.0[condition as usize] += 1;
    }

    pub const fn get(&self, condition: Condition) -> usize {
        self.0[condition as usize]
    }

    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Toward;
    use crate::state::tests_support::config;

    const NOW: Timestamp = Timestamp::from_millis(1_795_332_600_000);

    fn view(change: impl FnOnce(&mut ApiView)) -> ApiView {
        let config = Arc::new(config());
        let state = ApiState { status: Status::Up, ..ApiState::unknown(config.api_id.clone()) };
        let mut view = ApiView::of(&state, Some(&config), Beside::default(), NOW);
        change(&mut view);
        view
    }

    fn condition(change: impl FnOnce(&mut ApiView)) -> Condition {
        view(change).condition(NOW)
    }

    #[test]
    fn each_condition_has_its_cause() {
        let trouble = || Some(Trouble { since: NOW, reason: "x".into() });
        let streak = Streak { toward: Toward::Down, request_fingerprint: 0, count: 1, first_at: NOW };
        let soon = NOW.plus(std::time::Duration::from_secs(9));
        assert_eq!(condition(|_| ()), Condition::Up);
        assert_eq!(condition(|view| view.status = Status::Down), Condition::Down);
        assert_eq!(condition(|view| view.status = Status::Unknown), Condition::Unknown);
        assert_eq!(condition(|view| view.streak = Some(streak)), Condition::Suspect);
        assert_eq!(condition(|view| view.beside.unclear = trouble()), Condition::Unclear);
        assert_eq!(condition(|view| view.beside.not_probed = trouble()), Condition::Unwatched);
        assert_eq!(condition(|view| view.late_after = Some(Timestamp::default())), Condition::Unwatched);
        assert_eq!(condition(|view| view.late_after = Some(soon)), Condition::Up);
        assert_eq!(condition(|view| view.maintenance_until = Some(soon)), Condition::Maintenance);
        assert_eq!(condition(|view| view.maintenance_until = Some(NOW)), Condition::Up);
        let off = |view: &mut ApiView| view.config = Some(Arc::new(ApiConfig { enabled: false, ..config() }));
        assert_eq!(condition(off), Condition::Off);
    }

    #[test]
    fn words_and_signs_tell_conditions_apart() {
        for (index, condition) in Condition::ALL.into_iter().enumerate() {
            assert_eq!(condition as usize, index, "counts go by this order");
            assert_eq!(Condition::parse(condition.as_str()), Some(condition));
        }
        let up = view(|_| ());
        let counts = Counts::of([&up, &up], NOW);
        assert_eq!((counts.get(Condition::Up), counts.get(Condition::Down), counts.total()), (2, 0, 2));
    }
}
