//! What people are shown of the running program. Nothing is gathered while nobody looks.

use super::entry::Entry;
use super::{ChannelOwed, Effect, Keeper};
use crate::api::ApiId;
use crate::schedule::Moment;
use crate::time::Timestamp;
use crate::view::{ApiView, Beside, Trouble};

/// What has changed since it was shown last.
#[derive(Debug)]
pub struct Shown {
    pub at: Timestamp,
    /// These are all APIs, and not only those that have changed.
    pub is_all: bool,
    pub views: Vec<ApiView>,
    /// APIs that are no longer watched here.
    pub gone: Vec<ApiId>,
    /// What the monitor tells of itself, if that has changed: the id of each part, and its trouble.
    pub own: Option<Vec<(ApiId, Trouble)>>,
    /// What each channel is owed.
    pub owed: Vec<ChannelOwed>,
}

impl Keeper {
    /// Shows what has changed since the last call, everything if `from_start`. With `is_looked_at` false nothing is shown, nor noted.
    pub fn show(&mut self, is_looked_at: bool, from_start: bool, now: Moment) {
        if !is_looked_at {
            self.ledger.note_touched(false);
            return;
        }
        if !self.is_configured {
            return;
        }
        let touched = self.ledger.note_touched(true).filter(|_| !from_start);
        let is_all = touched.is_none();
        let mut ids = touched.unwrap_or_else(|| self.ledger.entries.keys().cloned().collect());
        let has_own = ids.iter().any(|id| id.is_self_monitoring() && id.about_api().is_none());
        for id in &mut ids {
            if let Some(about) = id.about_api() {
                *id = about;
            }
        }
        ids.retain(|id| !id.is_self_monitoring());
        ids.sort_unstable();
        ids.dedup();
        let mut shown = Shown {
            at: now.wall,
            is_all,
            views: Vec::new(),
            gone: Vec::new(),
            own: None,
            owed: self.owed.of_channels.clone(),
        };
        for id in ids {
            match self.ledger.get(&id).filter(|entry| entry.is_watched()) {
                Some(entry) => shown.views.push(self.view(entry, now)),
                None => shown.gone.push(id),
            }
        }
        if has_own || is_all {
            let own = self.ledger.entries.iter().filter(|(id, _)| id.is_self_monitoring() && id.about_api().is_none());
            let troubles = own.filter_map(|(id, entry)| {
                entry.state.incident.as_ref().map(|incident| (id.clone(), Trouble::of(incident)))
            });
            let mut troubles: Vec<_> = troubles.collect();
            troubles.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            shown.own = Some(troubles);
        }
        // Also where nothing has changed: that the keeper lives is shown by when it was heard of last.
        self.effects.push(Effect::Show(Box::new(shown)));
    }

    fn view(&self, entry: &Entry, now: Moment) -> ApiView {
        let api_id = &entry.state.api_id;
        let trouble = |id: &ApiId| self.ledger.get(id)?.state.incident.as_ref().map(|incident| Trouble::of(incident));
        let trouble_if = |is_alerted: bool, id: fn(&ApiId) -> ApiId| is_alerted.then(|| trouble(&id(api_id))).flatten();
        let beside = Beside {
            not_probed: trouble_if(self.given_up.contains(api_id), ApiId::monitor_prober),
            unclear: trouble(&ApiId::monitor_unclear(api_id)),
            certificate: trouble_if(self.certificates.contains(api_id), ApiId::monitor_certificate),
        };
        let late_after = entry.late_after.map(|after| now.wall.plus(after.saturating_sub(now.monotonic)));
        ApiView {
            late_after,
            figures: entry.figures,
            ..ApiView::of(&entry.state, entry.api.as_ref(), beside, now.wall)
        }
    }
}
