//! What stands around each page: its title, which begins with the count, its icon, whose shape says the worst, and its age.

use api_health_core::history::UtcMonth;
use api_health_core::view::Condition;

use super::assets;
use super::words::{When, number};
use super::zone::Look;
use crate::model::About;

/// Where a page lies in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    List,
    Incidents,
    Report,
    /// In none of them.
    Elsewhere,
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) title: String,
    pub(crate) icon: &'static str,
    pub(crate) place: Place,
    pub(crate) made: When,
    pub(crate) is_stale: bool,
    /// It shows the present, and so is loaded again by itself.
    pub(crate) is_live: bool,
    pub(crate) month: String,
    pub(crate) about: About,
    /// Which style and script belong to it.
    pub(crate) assets: String,
}

impl Head {
    pub(crate) fn of(everything: &Look, about: &About, what: &str, place: Place) -> Self {
        let (counts, down) = (&everything.counts, everything.counts.get(Condition::Down));
        let is_stale = everything.is_stale();
        let trouble = Condition::ALL.into_iter().filter(|condition| condition.is_trouble()).map(|c| counts.get(c));
        let (icon, title) = match down {
            _ if is_stale => ("unknown", "? not known".into()),
            0 if counts.total() == 0 => ("unknown", "0 APIs".into()),
            0 if trouble.sum::<usize>() > 0 => ("trouble", "0 down".into()),
            0 => ("up", "0 down".into()),
            down => ("down", format!("{} down", number(down))),
        };
        Self {
            title: format!("{title} · {what}"),
            icon,
            place,
            made: When::of(everything.now, everything),
            is_stale,
            is_live: place != Place::Report,
            month: UtcMonth::of(everything.now).to_string(),
            about: about.clone(),
            assets: assets::version().into(),
        }
    }
}
