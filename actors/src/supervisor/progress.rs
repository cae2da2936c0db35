//! Whether probing makes progress, for whoever feeds the watchdog of the process (promise P9).
//!
//! The answer is given by the supervisor on its own thread, so that a stuck supervisor gives none. It says "no progress" when
//! more than half of the probers are stuck and no prober found an outcome since it was asked before. A prober is stuck while it
//! is overdue ([`crate::liveness`]), while its thread is silent for [`SILENT_AFTER`], and after it was killed for hanging, whenever a
//! probe is due or under way, until one of its lives finds an outcome: a prober that hangs again in each life stays stuck,
//! however often it is replaced. One that was replaced and waits for its next tick is not stuck.
//!
//! One prober that hangs costs itself alone, so a minority is no reason to end the process. Without APIs, and between two
//! probes, there is nothing that could be stuck, and that is progress.
//!
//! What the supervisor is about to mend within patience of its own is not held against it: while the chain is started again
//! (a minute or so, then it ends the process itself), and for a while after it was asleep, when nobody can be judged. A
//! thread of probers is silent for `Options::stuck_after` before it is replaced. So whoever feeds a watchdog by this asks three
//! times in its span, and the span is more than three times `stuck_after`: 30 s to its 5 s. A shorter one ends a process
//! that the supervisor would have mended.

use std::time::Duration;

use actix::{Handler, Message, MessageResult};
use api_health_core::ApiId;
use api_health_core::schedule::Moment;

use super::supervised::{State, SupervisedProber};
use super::{FIRST_OF_PROBERS, Supervisor};

/// A thread beats twice a second; after four beats that did not come, what lives on it is stuck for now.
pub const SILENT_AFTER: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Probers that should probe.
    pub apis: usize,
    /// Those that are stuck.
    pub stuck: usize,
    /// At least one outcome was found since this was asked before.
    pub moved: bool,
    /// Probing stands still for a reason that ends by itself: the chain is being started again, or the program is stopping.
    pub is_paused: bool,
    /// The process has to end: somebody cannot be kept alive that nothing works without.
    pub is_over: bool,
}

impl Progress {
    /// Whether the process may go on as it is.
    pub const fn is_made(self) -> bool {
        !self.is_over && (self.is_paused || self.moved || self.stuck.saturating_mul(2) <= self.apis)
    }
}

/// Who asks. Each is told of the time since it asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Whoever feeds the watchdog of the process.
    Watchdog,
    /// Whoever renews the lease: a worker that does not probe loses what it owns.
    Leases,
    /// Whoever tells somebody outside that this monitor lives.
    Outside,
}

#[derive(Message)]
#[rtype(result = "Progress")]
pub struct AskProgress(pub Asker);

impl Handler<AskProgress> for Supervisor {
    type Result = MessageResult<AskProgress>;

    fn handle(&mut self, AskProgress(asker): AskProgress, _: &mut Self::Context) -> Self::Result {
        let moment = self.time.moment();
        let now = moment.monotonic;
        let may_judge = self.watchdog.look(now);
        let asked_before = self.watchdog.asked(asker, now);
        let stuck = self.probers.supervised.iter().filter(|(api_id, prober)| {
            (prober.has_hung() && self.owes_a_probe(api_id, prober, moment))
                || (may_judge && self.does_not_move(api_id, prober, now))
        });
        let stuck = stuck.count();
        MessageResult(Progress {
            apis: self.probers.supervised.len(),
            stuck,
            // Nobody looks at each of them where it makes no difference.
            moved: stuck > 0 && self.probers.supervised.values().any(|prober| prober.probed_at() > Some(asked_before)),
            is_paused: !self.chain.is_up() || self.stopping,
            is_over: self.escalated,
        })
    }
}

impl Supervisor {
    /// Whether it runs, and is overdue, or its thread is silent.
    fn does_not_move(&self, api_id: &ApiId, prober: &SupervisedProber, now: Duration) -> bool {
        let Some(running) = prober.running() else { return false };
        let thread = &self.threads[FIRST_OF_PROBERS + self.chain.index_of(api_id)];
        running.liveness.is_overdue(now) || thread.as_ref().is_some_and(|thread| thread.silent_for(now) >= SILENT_AFTER)
    }

    /// Whether a probe of it is due or under way.
    fn owes_a_probe(&self, api_id: &ApiId, prober: &SupervisedProber, now: Moment) -> bool {
        let resume = match &prober.state {
            State::Runs(running) => return running.liveness.is_due(now.monotonic),
            State::Waits { resume, .. } => resume,
            State::Over => return false,
        };
        let is_lost = !resume.is_acknowledged && prober.api.schedule.tick_is_open(now);
        is_lost || prober.api.schedule.missed(self.slot(api_id), resume.counted_until, now) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_that_is_stuck_while_nobody_moves_is_no_progress() {
        let idle = Progress { apis: 2, stuck: 0, moved: false, is_paused: false, is_over: false };
        assert!(idle.is_made(), "between two probes");
        assert!(Progress { apis: 0, ..idle }.is_made(), "nothing to probe");
        assert!(Progress { stuck: 1, ..idle }.is_made(), "the other one moves");
        assert!(!Progress { stuck: 2, ..idle }.is_made());
        assert!(!Progress { apis: 1, stuck: 1, ..idle }.is_made());
        assert!(Progress { stuck: 2, moved: true, ..idle }.is_made());
        assert!(Progress { stuck: 2, is_paused: true, ..idle }.is_made());
        assert!(!Progress { is_over: true, is_paused: true, moved: true, ..idle }.is_made());
    }
}
