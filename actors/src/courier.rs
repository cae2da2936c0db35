//! The courier: one on each arbiter of probers. It carries outcomes to the state-keeper, many in one message.
//!
//! The keeper lives on another thread, and waking a thread costs more than deciding: with a message for each outcome
//! and another for each answer, a tenth or more of a probe's CPU time goes into it. So a pass that follows a pass,
//! which changes nothing that anybody waits for, stays here for [`GATHER`] at most, in company; whatever may change a
//! status goes at once, and takes along what came before it. One message is under way at a time, so that the outcomes
//! of one API reach the keeper in order.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture, fut};

use crate::state_keeper::{ProbeCompleted, ProbesCompleted};

/// Messages in the courier's mailbox. It answers none before the keeper does, and takes each in well under a
/// microsecond; the rest wait in their prober, beside its clock.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// How long an outcome waits for company, if nobody waits for it.
pub const GATHER: Duration = Duration::from_millis(10);

/// Outcomes in one message: it keeps the keeper busy for a millisecond, and what is urgent does not wait longer.
const BATCH_MAX: usize = 256;

/// Where the keeper's answer to one outcome goes: back to its prober.
type Answer = Option<OneshotSender<Option<Duration>>>;

/// The actor.
pub struct Courier {
    keeper: Recipient<ProbesCompleted>,
    /// Not handed over yet, oldest first. Each prober has a few at most (`HANDOVERS_MAX` in `prober.rs`).
    gathered: Vec<ProbeCompleted>,
    /// Who waits for the answers to `gathered`, in the same order.
    answers: Rc<RefCell<Vec<Answer>>>,
    gathering: bool,
    /// Something gathered waits no longer than it must.
    urgent: bool,
    under_way: bool,
}

impl Courier {
    /// A courier to `keeper`.
    pub fn new(keeper: Recipient<ProbesCompleted>) -> Self {
        Self { keeper, gathered: Vec::new(), answers: Rc::default(), gathering: false, urgent: false, under_way: false }
    }

    fn send(&mut self, ctx: &mut Context<Self>) {
        let count = self.gathered.len().min(BATCH_MAX);
        if self.under_way || count == 0 {
            return;
        }
        self.under_way = true;
        let batch: Vec<ProbeCompleted> = self.gathered.drain(..count).collect();
        let waiting: Vec<Answer> = self.answers.borrow_mut().drain(..count).collect();
        self.urgent = !self.gathered.is_empty();
        ctx.spawn(self.keeper.send(ProbesCompleted(batch)).into_actor(self).map(move |rechecks, courier, ctx| {
            // Without an answer the keeper is gone: the waiting are dropped, and their probers see that.
            for (answer, recheck) in waiting.into_iter().zip(rechecks.unwrap_or_default()) {
                if let Some(answer) = answer {
                    let _ = answer.send(recheck); // a prober that was killed waits for nothing
                }
            }
            courier.under_way = false;
            if courier.urgent || courier.gathered.len() >= BATCH_MAX {
                courier.send(ctx);
            }
        }));
    }
}

impl Actor for Courier {
    type Context = Context<Self>;
}

impl Handler<ProbeCompleted> for Courier {
    type Result = Later;

    fn handle(&mut self, completed: ProbeCompleted, ctx: &mut Self::Context) -> Self::Result {
        self.urgent |= completed.urgent;
        self.gathered.push(completed);
        let send_now = self.urgent || self.gathered.len() >= BATCH_MAX;
        if !send_now && !self.gathering {
            self.gathering = true;
            ctx.run_later(GATHER, |courier, ctx| {
                courier.gathering = false;
                courier.urgent = !courier.gathered.is_empty();
                courier.send(ctx);
            });
        }
        Later { answers: Rc::clone(&self.answers), send_now }
    }
}

/// The answer to a prober comes when the keeper's does.
pub struct Later {
    answers: Rc<RefCell<Vec<Answer>>>,
    send_now: bool,
}

impl MessageResponse<Courier, ProbeCompleted> for Later {
    fn handle(self, ctx: &mut Context<Courier>, answer: Answer) {
        self.answers.borrow_mut().push(answer);
        if self.send_now {
            // The actor itself is not at hand here.
            ctx.spawn(fut::ready(()).map(|(), courier: &mut Courier, ctx| courier.send(ctx)));
        }
    }
}
