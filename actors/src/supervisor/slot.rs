//! What the supervisor knows of the prober of one API.

use std::sync::Arc;
use std::time::Duration;

use api_health_core::restart::{Deaths, RestartDecision, RestartPolicy};

use crate::child::{Child, ExitReason};
use crate::liveness::{Liveness, ResumePoint};
use crate::prober::Prober;

/// A prober that hangs so many times in a row, and finds no outcome in between, is given up. Each time takes it its slack and
/// twice its timeout, so that never enough of these deaths fall into the period of the restart policy.
const HANGS_MAX: u32 = 3;

/// The prober of one API.
pub(crate) struct ProberSlot {
    /// `None` for one that is well, as nearly all are.
    pub(super) faults: Option<Box<Faults>>,
    pub(super) state: State,
}

pub(super) enum State {
    Runs(LiveProber),
    /// It is started at this uptime; `None`: as soon as its batcher is there.
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
}

/// What went wrong with a prober, until a life lasts.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) deaths: Deaths,
    /// Why it is given up, in words, while it is.
    pub(super) given_up: Option<String>,
    /// When a life of it was killed last because it hung, in uptime.
    hung_at: Option<Duration>,
    /// Lives in a row that were killed because they hung, with no outcome in between.
    hangs: u32,
}

impl ProberSlot {
    pub(super) fn running(&self) -> Option<&LiveProber> {
        if let State::Runs(running) = &self.state { Some(running) } else { None }
    }

    pub(super) fn probed_at(&self) -> Option<Duration> {
        match &self.state {
            State::Runs(running) => running.liveness.probed_at(),
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

    /// Counts a death that the prober is charged with. How long it waits for its next life, and whether it is given up by
    /// this very death.
    pub(super) fn died(
        &mut self,
        now: Duration,
        policy: &RestartPolicy,
        spread: u64,
        reason: &ExitReason,
    ) -> (Duration, bool) {
        let has_hung_before = self.has_hung();
        let faults = self.faults.get_or_insert_default();
        let mut decision = faults.deaths.count(now, policy, spread);
        let mut how_often = format!("it died {} times within {} s", faults.deaths.recent(), policy.period.as_secs());
        if *reason == ExitReason::Hung {
            faults.hangs = if has_hung_before { faults.hangs.saturating_add(1) } else { 1 };
            faults.hung_at = Some(now);
            if faults.hangs >= HANGS_MAX {
                decision = faults.deaths.give_up(policy, spread);
                how_often = format!("it hung {} times in a row without an outcome", faults.hangs);
            }
        }
        match decision {
            RestartDecision::Restart { after } => (after, false),
            // Later deaths are deaths of a prober that is given up already.
            RestartDecision::GiveUp { again_after } if faults.given_up.is_some() => (again_after, false),
            RestartDecision::GiveUp { again_after } => {
                let slow = policy.slow.as_secs();
                let why = format!("{how_often} and is tried again every {slow} s from now on; the last time {reason}");
                faults.given_up = Some(why);
                (again_after, true)
            }
        }
    }
}
