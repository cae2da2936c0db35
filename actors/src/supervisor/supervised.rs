//! What the supervisor knows of the prober of one API.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::ApiConfig;
use api_health_core::restart::{Deaths, RestartPolicy};

use crate::child::{Child, ExitReason};
use crate::liveness::{Liveness, ResumePoint};
use crate::prober::Prober;
use crate::round::RoundTicket;

/// A prober that hangs so many times in a row, and finds no outcome in between, is given up. Each time takes it its slack and
/// twice its timeout, so that never enough of these deaths fall into the period of the restart policy.
const HANGS_MAX: u32 = 3;

/// The prober of one API that is watched.
pub(crate) struct SupervisedProber {
    /// Its row, as it is now.
    pub(super) api: Arc<ApiConfig>,
    /// `None` for one that is well, as nearly all are.
    pub(super) faults: Option<Box<Faults>>,
    pub(super) state: State,
}

pub(super) enum State {
    Runs(LiveProber),
    /// It is started at this monotonic time; `None`: as soon as somebody takes its outcomes.
    Waits {
        until: Option<Duration>,
        resume: ResumePoint,
    },
    /// Not started any more.
    Over,
}

pub(super) struct LiveProber {
    pub(super) child: Child<Prober>,
    pub(super) began: Duration,
    pub(super) liveness: Arc<Liveness>,
    pub(super) _life: RoundTicket,
}

/// What went wrong with a prober, until a life lasts.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) deaths: Deaths,
    /// Why it is given up, in words, while it is.
    pub(super) given_up: Option<String>,
    /// When a life of it was killed last because it hung, in monotonic time.
    hung_at: Option<Duration>,
    /// Lives in a row that were killed because they hung, with no outcome in between.
    hangs: u32,
}

impl SupervisedProber {
    pub(super) fn running(&self) -> Option<&LiveProber> {
        if let State::Runs(running) = &self.state { Some(running) } else { None }
    }

    pub(super) fn probed_at(&self) -> Option<Duration> {
        match &self.state {
            State::Runs(running) => running.liveness.with(|resume| resume.probed_at),
            State::Waits { resume, .. } => resume.probed_at,
            State::Over => None,
        }
    }

    /// It was killed for hanging, and has found no outcome since.
    pub(super) fn has_hung(&self) -> bool {
        let hung_at = self.faults.as_ref().and_then(|faults| faults.hung_at);
        hung_at.is_some() && self.probed_at() < hung_at
    }

    pub(super) fn why_given_up(&self) -> Option<&String> {
        self.faults.as_ref()?.given_up.as_ref()
    }

    /// A life that has lasted for a period makes up for the deaths before it; after one that hung, it has to find an outcome,
    /// too.
    pub(super) fn forgive(&mut self, now: Duration, period: Duration) {
        let has_lasted = self.running().is_some_and(|running| now.saturating_sub(running.began) >= period);
        if has_lasted && !self.has_hung() {
            self.faults = None;
        }
    }

    /// Counts a death that the prober is charged with, and sets when its next life begins. Whether it is given up by this very
    /// death.
    pub(super) fn died(&mut self, now: Duration, policy: &RestartPolicy, reason: &ExitReason) -> bool {
        let has_hung_before = self.has_hung();
        let spread = self.api.api_id.stable_hash();
        let faults = self.faults.get_or_insert_default();
        let after = faults.deaths.count(now, policy, spread);
        let mut how_often = format!("it died {} times within {} s", faults.deaths.recent(), policy.period.as_secs());
        if *reason == ExitReason::Hung {
            faults.hangs = if has_hung_before { faults.hangs.saturating_add(1) } else { 1 };
            faults.hung_at = Some(now);
            if faults.hangs >= HANGS_MAX {
                how_often = format!("it hung {} times in a row without an outcome", faults.hangs);
            }
        }
        let was_given_up = faults.given_up.is_some();
        let after = after.filter(|_| faults.hangs < HANGS_MAX && !was_given_up);
        if after.is_none() && !was_given_up {
            let slow = policy.slow.as_secs();
            let why = format!("{how_often} and is tried again every {slow} s from now on; the last time {reason}");
            faults.given_up = Some(why);
        }
        if let State::Waits { until, .. } = &mut self.state {
            *until = Some(now.saturating_add(after.unwrap_or_else(|| policy.slow_wait(spread))));
        }
        after.is_none() && !was_given_up
    }
}
