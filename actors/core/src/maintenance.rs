//! Maintenance windows: while one is open, an API is probed as usual and its alerts are held.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::api::{ApiConfig, ApiId};
use crate::hold::Hold;
use crate::schedule::{Moment, Schedule};
use crate::time::Timestamp;

/// The longest window.
pub const WINDOW_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The longest note about one.
pub const NOTE_CHARS_MAX: usize = 100;

/// One window of a config.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// It opens at each tick of a cron expression.
    Again { opens: Schedule, lasts: Duration },
    /// It is open once.
    Once { from: Timestamp, until: Timestamp },
}

impl Window {
    /// Until when it is open, if it is.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (from, until) = match self {
            Self::Once { from, until } => (*from, *until),
            Self::Again { opens, lasts } => {
                let from = opens.last_tick(Moment { wall: now, monotonic: Duration::ZERO })?;
                (from, from.plus(*lasts))
            }
        };
        (from <= now && now < until).then_some(until)
    }
}

/// One window that a person opened by hand; it is kept in the record of each API that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Maintenance {
    pub since: Timestamp,
    pub until: Timestamp,
    /// What the person wrote about it; empty: nothing.
    pub note: String,
}

/// The APIs that a window is opened or closed for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// Every API, whatever else is said.
    pub all: bool,
    pub api_ids: Vec<String>,
    pub tags: Vec<String>,
}

impl Selection {
    /// The most ids, and tags, of one.
    pub const NAMES_MAX: usize = 50;

    pub fn has(&self, api: &ApiConfig) -> bool {
        self.has_id(&api.api_id) || self.tags.iter().any(|tag| api.tags.contains(tag))
    }

    /// The same where the tags of the API are not known.
    pub fn has_id(&self, api_id: &ApiId) -> bool {
        self.all && !api_id.is_self_monitoring() || self.api_ids.iter().any(|id| id == api_id.as_str())
    }
}

/// `every API`, `a, b and what is tagged c`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all {
            return f.write_str("every API");
        }
        f.write_str(&self.api_ids.join(", "))?;
        if !self.tags.is_empty() {
            let and = if self.api_ids.is_empty() { "" } else { " and " };
            write!(f, "{and}what is tagged {}", self.tags.join(", "))?;
        }
        Ok(())
    }
}

/// Until when one of these is open, if one is.
pub fn open_until(windows: &[Window], now: Timestamp) -> Option<Timestamp> {
    windows.iter().filter_map(|window| window.open_until(now)).max()
}

/// When each window was open last, before or at `until`, from its beginning to its end.
pub fn last_open(windows: &[Window], by_hand: Option<&Maintenance>, until: Timestamp) -> Vec<Range<Timestamp>> {
    let configured = windows.iter().filter_map(|window| match window {
        Window::Once { from, until } => Some(*from..*until),
        Window::Again { opens, lasts } => {
            let from = opens.last_tick(Moment { wall: until, monotonic: Duration::ZERO })?;
            Some(from..from.plus(*lasts))
        }
    });
    configured.chain(by_hand.map(|window| window.since..window.until)).collect()
}

/// What holds the alerts of an API now, of these windows: the one that is open longest.
pub fn hold(windows: &[Window], by_hand: Option<&Maintenance>, now: Timestamp) -> Option<Hold> {
    let configured = open_until(windows, now).map(|until| (until, ""));
    let by_hand = by_hand.filter(|window| now < window.until).map(|window| (window.until, window.note.as_str()));
    let (until, note) = configured.into_iter().chain(by_hand).max_by_key(|(until, _)| *until)?;
    Some(Hold::Maintenance { until, note: note.to_owned() })
}

/// `0 2 * * SUN UTC for 7200 s`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again { opens, lasts } => write!(f, "{opens} for {} s", lasts.as_secs()),
            Self::Once { from, until } => write!(f, "{from} to {until}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_beginning_and_no_longer_at_its_end() {
        let opens = Schedule::cron("0 2 * * SUN", "Europe/Berlin", at("2026-01-01T00:00:00Z")).unwrap();
        let again = Window::Again { opens, lasts: Duration::from_secs(2 * 3_600) };
        let open = |text| again.open_until(at(text)).map(|until| until.to_string());
        assert_eq!(open("2026-05-03T00:00:00Z").as_deref(), Some("2026-05-03T02:00:00.000Z"), "2:00 in Berlin");
        assert_eq!(open("2026-05-03T01:59:59Z").as_deref(), Some("2026-05-03T02:00:00.000Z"));
        assert_eq!((open("2026-05-02T23:59:59Z"), open("2026-05-03T02:00:00Z")), (None, None));
        let (from, until) = (at("2026-05-01T00:00:00Z"), at("2026-05-02T00:00:00Z"));
        let once = Window::Once { from, until };
        assert_eq!((once.open_until(from), once.open_until(until)), (Some(until), None));
    }

    #[test]
    fn the_window_that_is_open_longest_counts() {
        let (from, until) = (at("2026-05-01T00:00:00Z"), at("2026-05-02T00:00:00Z"));
        let windows = [Window::Once { from, until }];
        let by_hand = Maintenance { since: from, until: until.plus(Duration::from_secs(60)), note: "disks".into() };
        let hold = |by_hand, now| super::hold(&windows, by_hand, now).map(|hold| hold.to_string());
        assert_eq!(hold(None, from).as_deref(), Some("maintenance until 2026-05-02T00:00:00.000Z"));
        assert_eq!(hold(Some(&by_hand), from).as_deref(), Some("maintenance until 2026-05-02T00:01:00.000Z: disks"));
        assert_eq!((hold(None, until), hold(Some(&by_hand), by_hand.until)), (None, None));
    }
}
