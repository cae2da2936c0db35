//! The board: what is shown of the running program to those who look at it.
//!
//! The state-keeper puts there what changed, once a second, while somebody looks, and waits for nobody: where a reader holds the board
//! just then, everything is put there a moment later. While nobody looks nothing is gathered, and what was there is let go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_health_core::keep::{ChannelOwed, Shown};
use api_health_core::view::{ApiView, Condition, Trouble};
use api_health_core::{ApiId, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

/// Whoever looked within this time still looks: longer than scrapers and pages that load themselves again are apart.
pub const LOOKS_FOR: Duration = Duration::from_secs(90);

/// Changes that are kept for those who lost their connection for a while.
pub const CHANGES_MAX: usize = 4_096;

/// What only time changes is looked for this often.
pub const TIME_STEP: Duration = Duration::from_secs(1);

/// The longest that a first look waits for the keeper. One that is being started again takes longer, and then there is nothing to show.
pub const FIRST_LOOK_MAX: Duration = Duration::from_secs(5);

/// An API is in another condition than it was, or came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Grows by one with each change.
    pub number: u64,
    pub at: Timestamp,
    pub api_id: ApiId,
    /// `None`: it is no longer watched here.
    pub condition: Option<Condition>,
    pub why: Option<String>,
}

/// All that is shown, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Grows with each change of anything.
    pub revision: u64,
    /// When the keeper was heard of last.
    pub at: Timestamp,
    /// By id.
    pub views: Vec<Arc<ApiView>>,
    /// What the monitor tells of itself: the id of each part that is in trouble.
    pub own: Vec<(ApiId, Trouble)>,
    /// What each channel is owed.
    pub owed: Vec<ChannelOwed>,
}

#[derive(Debug, Default)]
pub struct Board {
    inner: Mutex<Inner>,
    revision: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    looked_at: Option<Instant>,
    is_filled: bool,
    revision: u64,
    at: Timestamp,
    /// Each with the condition that was shown last.
    views: BTreeMap<ApiId, (Arc<ApiView>, Condition)>,
    /// What only time changes was looked for then.
    timed_at: Timestamp,
    own: Vec<(ApiId, Trouble)>,
    owed: Vec<ChannelOwed>,
    changes: VecDeque<Change>,
    last_change: u64,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody looks, also at what comes within [`LOOKS_FOR`].
    pub fn look(&self) {
        self.lock().looked_at = Some(Instant::now());
    }

    /// What is shown now. Where nobody has looked for a while, this waits until the keeper has filled the board; `None`: it has not within
    /// [`FIRST_LOOK_MAX`].
    pub async fn snapshot(&self) -> Option<Snapshot> {
        self.look();
        let mut revision = self.revision.subscribe();
        let filled = async {
            while !self.lock().is_filled {
                revision.changed().await.ok()?;
            }
            Some(())
        };
        tokio::time::timeout(FIRST_LOOK_MAX, filled).await.ok().flatten()?;
        let inner = self.lock();
        Some(Snapshot {
            revision: inner.revision,
            at: inner.at,
            views: inner.views.values().map(|(view, _)| Arc::clone(view)).collect(),
            own: inner.own.clone(),
            owed: inner.owed.clone(),
        })
    }

    /// One API, if it is watched here.
    pub fn get(&self, api_id: &ApiId) -> Option<Arc<ApiView>> {
        self.lock().views.get(api_id).map(|(view, _)| Arc::clone(view))
    }

    /// The revision of what is shown, and each that follows.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The number of the newest change.
    pub fn last_change(&self) -> u64 {
        self.lock().last_change
    }

    /// The changes after this one, the oldest first; `None`: not all of them are kept any more, or there never was such a one.
    pub fn changes_after(&self, number: u64) -> Option<Vec<Change>> {
        let inner = self.lock();
        let missed = usize::try_from(inner.last_change.checked_sub(number)?).unwrap_or(usize::MAX);
        let from = inner.changes.len().checked_sub(missed)?;
        Some(inner.changes.range(from..).cloned().collect())
    }

    /// Notes what only time has changed: that an outcome is late, or a window over. Whoever waits for changes calls it each second; the
    /// first one of a second looks.
    pub fn pass_time(&self, now: Timestamp) {
        let mut inner = self.lock();
        // A clock that was set back is no reason to wait until it is there again.
        if inner.timed_at <= now && now.since(inner.timed_at) < TIME_STEP {
            return;
        }
        inner.timed_at = now;
        let is_other = |(view, shown): &(Arc<ApiView>, Condition)| view.condition(now) != *shown;
        let other: Vec<Arc<ApiView>> =
            inner.views.values().filter(|shown| is_other(shown)).map(|(view, _)| Arc::clone(view)).collect();
        if other.is_empty() {
            return;
        }
        for view in other {
            let condition = view.condition(now);
            inner.note(now, view.api_id.clone(), Some(condition), view.why(now));
            inner.views.insert(view.api_id.clone(), (view, condition));
        }
        inner.revision += 1;
        let revision = inner.revision;
        drop(inner);
        self.revision.send_replace(revision);
    }

    /// How the keeper should fill it: whether somebody looks, and whether from the start.
    pub(crate) fn wants(&self) -> Wants {
        let Ok(mut inner) = self.inner.try_lock() else { return Wants::Changes };
        if inner.looked_at.is_none_or(|at| at.elapsed() >= LOOKS_FOR) {
            if inner.is_filled {
                let Inner { last_change, revision, .. } = *inner;
                // Numbers go on, so that whoever comes back is not given others for those it has seen.
                *inner = Inner { last_change: last_change + 1, revision, ..Inner::default() };
            }
            return Wants::Nothing;
        }
        if inner.is_filled { Wants::Changes } else { Wants::All }
    }

    /// Puts there what the keeper shows; `false` where a reader holds the board just now.
    pub(crate) fn put(&self, shown: Shown) -> bool {
        let Ok(mut inner) = self.inner.try_lock() else { return false };
        inner.put(shown);
        let revision = inner.revision;
        drop(inner);
        self.revision.send_if_modified(|before| std::mem::replace(before, revision) != revision);
        true
    }
}

/// What the keeper should put on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Nothing,
    Changes,
    All,
}

impl Inner {
    fn put(&mut self, shown: Shown) {
        let Shown { at, is_all, views, mut gone, own, owed } = shown;
        let has_changed = is_all || !views.is_empty() || !gone.is_empty() || own.is_some();
        if is_all {
            let here: std::collections::BTreeSet<&ApiId> = views.iter().map(|view| &view.api_id).collect();
            gone = self.views.keys().filter(|id| !here.contains(id)).cloned().collect();
        }
        for view in views {
            let condition = view.condition(at);
            let before = self.views.get(&view.api_id).map(|(_, shown)| *shown);
            if self.is_filled && before != Some(condition) {
                self.note(at, view.api_id.clone(), Some(condition), view.why(at));
            }
            self.views.insert(view.api_id.clone(), (Arc::new(view), condition));
        }
        for api_id in gone {
            if self.views.remove(&api_id).is_some() {
                self.note(at, api_id, None, None);
            }
        }
        if let Some(own) = own {
            self.own = own;
        }
        self.owed = owed;
        (self.at, self.is_filled, self.revision) = (at, true, self.revision + u64::from(has_changed));
    }

    fn note(&mut self, at: Timestamp, api_id: ApiId, condition: Option<Condition>, why: Option<String>) {
        self.last_change += 1;
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(Change { number: self.last_change, at, api_id, condition, why });
    }
}
