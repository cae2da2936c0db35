//! The outcome batcher: one on each thread of probers. It carries outcomes to the state-keeper, many in one message.
//!
//! The keeper lives on another thread, and waking a thread costs more than deciding: with a message for each outcome
//! and another for each answer, a tenth or more of a probe's CPU time goes into it. So a pass that follows a pass,
//! which changes nothing that anybody waits for, stays here for [`BATCH_DELAY`] at most, in company; whatever may change a
//! status goes at once, and takes along what came before it. One message is under way at a time, so that the outcomes
//! of one API reach the keeper in order.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::dev::{MessageResponse, OneshotSender};
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture, fut};

use crate::handle::Handle;
use crate::state_keeper::{OutcomeBatch, SubmitOutcome};

/// Messages in the outcome batcher's mailbox. It answers none before the keeper does, and takes each in well under a
/// microsecond; the rest wait in their prober, beside its clock.
pub const MAILBOX_CAPACITY: usize = 1_024;

/// How long an outcome that is not urgent waits for others. At 100 probes a second, waking up three threads for a
/// few outcomes 20 times a second costs more than all the rest of the actors; its record may wait for far longer.
pub const BATCH_DELAY: Duration = Duration::from_millis(250);

/// Outcomes in one message: it keeps the keeper busy for a millisecond, and what is urgent does not wait longer.
const BATCH_MAX: usize = 256;

/// Where the keeper's answer to one outcome goes: back to its prober.
type ReplySender = Option<OneshotSender<Option<Duration>>>;

pub struct OutcomeBatcher {
    keeper: Handle<Recipient<OutcomeBatch>>,
    /// Not sent yet, oldest first. Each prober has a few at most (`OUTCOMES_IN_FLIGHT_MAX` in `prober.rs`).
    gathered: Vec<SubmitOutcome>,
    /// The reply senders for `gathered`, in the same order.
    answers: Rc<RefCell<Vec<ReplySender>>>,
    gathering: bool,
    /// Something in `gathered` is urgent.
    urgent: bool,
    under_way: bool,
}

impl OutcomeBatcher {
    /// An outcome batcher to `keeper`.
    pub fn new(keeper: Handle<Recipient<OutcomeBatch>>) -> Self {
        Self { keeper, gathered: Vec::new(), answers: Rc::default(), gathering: false, urgent: false, under_way: false }
    }

    fn send(&mut self, ctx: &mut Context<Self>) {
        let count = self.gathered.len().min(BATCH_MAX);
        if self.under_way || count == 0 {
            return;
        }
        self.under_way = true;
        let batch: Vec<SubmitOutcome> = self.gathered.drain(..count).collect();
        let waiting: Vec<ReplySender> = self.answers.borrow_mut().drain(..count).collect();
        self.urgent = !self.gathered.is_empty();
        if !self.urgent {
            self.gathered.shrink_to(BATCH_MAX); // a burst is over, and its room would stay for ever
        }
        ctx.spawn(self.keeper.send(OutcomeBatch(batch)).into_actor(self).map(move |rechecks, batcher, ctx| {
            // Without an answer the keeper is gone: the reply senders are dropped, and the probers notice.
            for (answer, recheck) in waiting.into_iter().zip(rechecks.unwrap_or_default()) {
                if let Some(answer) = answer {
                    let _ = answer.send(recheck); // a prober that was killed waits for nothing
                }
            }
            batcher.under_way = false;
            if batcher.urgent || batcher.gathered.len() >= BATCH_MAX {
                batcher.send(ctx);
            }
        }));
    }
}

impl Actor for OutcomeBatcher {
    type Context = Context<Self>;
}

impl Handler<SubmitOutcome> for OutcomeBatcher {
    type Result = DeferredReply;

    fn handle(&mut self, submitted: SubmitOutcome, ctx: &mut Self::Context) -> Self::Result {
        self.urgent |= submitted.urgent;
        self.gathered.push(submitted);
        let send_now = self.urgent || self.gathered.len() >= BATCH_MAX;
        if !send_now && !self.gathering {
            self.gathering = true;
            ctx.run_later(BATCH_DELAY, |batcher, ctx| {
                batcher.gathering = false;
                batcher.urgent = !batcher.gathered.is_empty();
                batcher.send(ctx);
            });
        }
        DeferredReply { answers: Rc::clone(&self.answers), send_now }
    }
}

/// The reply to a prober comes when the keeper's does.
pub struct DeferredReply {
    answers: Rc<RefCell<Vec<ReplySender>>>,
    send_now: bool,
}

impl MessageResponse<OutcomeBatcher, SubmitOutcome> for DeferredReply {
    fn handle(self, ctx: &mut Context<OutcomeBatcher>, answer: ReplySender) {
        self.answers.borrow_mut().push(answer);
        if self.send_now {
            // The actor itself is not at hand here.
            ctx.spawn(fut::ready(()).map(|(), batcher: &mut OutcomeBatcher, ctx| batcher.send(ctx)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use actix::Addr;
    use api_health_core::keep::CompletedProbe;
    use api_health_core::{Outcome, Timestamp, Verdict};
    use tokio::time::Instant;

    use super::*;
    use crate::handle::AddrPublisher;
    use crate::testkit::{api, in_virtual_time};

    /// What came, and when: the ids of each message.
    type Seen = Arc<Mutex<Vec<(Duration, Vec<String>)>>>;

    /// Answers each outcome with as many seconds as its id says.
    struct Keeper {
        began: Instant,
        seen: Seen,
    }

    impl Actor for Keeper {
        type Context = Context<Self>;
    }

    impl Handler<OutcomeBatch> for Keeper {
        type Result = Vec<Option<Duration>>;

        fn handle(&mut self, OutcomeBatch(batch): OutcomeBatch, _: &mut Self::Context) -> Self::Result {
            let ids: Vec<String> = batch.iter().map(|submitted| submitted.probe.api.api_id.to_string()).collect();
            let answers = ids.iter().map(|id| id.parse().ok().map(Duration::from_secs)).collect();
            self.seen.lock().unwrap().push((self.began.elapsed(), ids));
            answers
        }
    }

    fn handle_of(keeper: Option<Addr<Keeper>>) -> Handle<Recipient<OutcomeBatch>> {
        let whereabouts = AddrPublisher::default();
        whereabouts.set(keeper.map(Addr::recipient));
        whereabouts.handle()
    }

    fn start() -> (Recipient<SubmitOutcome>, Seen) {
        let seen = Seen::default();
        let keeper = Keeper { began: Instant::now(), seen: Arc::clone(&seen) }.start();
        (OutcomeBatcher::new(handle_of(Some(keeper))).start().recipient(), seen)
    }

    fn submitted(id: &str, urgent: bool) -> SubmitOutcome {
        let outcome = Outcome {
            started_at: Timestamp::default(),
            finished_at: Timestamp::default(),
            verdict: Verdict::Pass,
            latency_ms: None,
            status_code: None,
            reasons: vec![],
            evidence: None,
            certificate: None,
            figures: api_health_core::ProbeFigures::default(),
        };
        let probe =
            CompletedProbe { api: Arc::new(api(id, 10)), outcome, missed_ticks: 0, next_tick_in: None, patience: None };
        SubmitOutcome { probe, urgent }
    }

    #[test]
    fn what_nobody_waits_for_travels_in_company_and_each_gets_its_own_answer() {
        in_virtual_time(async {
            let (batcher, seen) = start();
            let sent = ["1", "x", "3"].map(|id| batcher.send(submitted(id, false)));
            let answers = futures_util::future::join_all(sent).await;
            let answers: Vec<Option<Duration>> = answers.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers, [Some(Duration::from_secs(1)), None, Some(Duration::from_secs(3))]);
            let seen = seen.lock().unwrap().clone();
            assert_eq!(seen.len(), 1, "{seen:?}");
            assert_eq!(seen[0].1, ["1", "x", "3"]);
            assert!(seen[0].0.as_millis().abs_diff(BATCH_DELAY.as_millis()) <= 1, "{seen:?}");
        });
    }

    #[test]
    fn what_is_urgent_goes_at_once_after_what_came_before_it() {
        in_virtual_time(async {
            let (batcher, seen) = start();
            let before = batcher.send(submitted("1", false));
            let urgent = batcher.send(submitted("2", true));
            let (before, urgent) = futures_util::future::join(before, urgent).await;
            assert_eq!(before.unwrap(), Some(Duration::from_secs(1)));
            assert_eq!(urgent.unwrap(), Some(Duration::from_secs(2)));
            assert_eq!(*seen.lock().unwrap(), [(Duration::ZERO, vec!["1".to_owned(), "2".to_owned()])]);
            assert_eq!(batcher.send(submitted("3", false)).await.unwrap(), Some(Duration::from_secs(3)), "and goes on");
        });
    }

    #[test]
    fn more_than_one_message_holds_goes_in_order_and_none_is_lost() {
        in_virtual_time(async {
            let (batcher, seen) = start();
            let ids: Vec<String> = (0..3 * BATCH_MAX).map(|n| n.to_string()).collect();
            let sent = ids.iter().map(|id| batcher.send(submitted(id, id == "0")));
            let answers = futures_util::future::join_all(sent).await;
            assert!(
                answers
                    .into_iter()
                    .enumerate()
                    .all(|(n, answer)| answer.unwrap() == Some(Duration::from_secs(n as u64)))
            );
            let seen: Vec<Vec<String>> = seen.lock().unwrap().iter().map(|(_, ids)| ids.clone()).collect();
            assert!(seen.iter().all(|batch| batch.len() <= BATCH_MAX), "bounded");
            assert_eq!(seen.concat(), ids);
        });
    }

    #[test]
    fn without_a_keeper_nobody_waits_for_ever() {
        in_virtual_time(async {
            let (to_gone, receiver) = actix::dev::channel::channel::<Keeper>(1);
            drop(receiver);
            for keeper in [Some(Addr::new(to_gone)), None] {
                let batcher = OutcomeBatcher::new(handle_of(keeper)).start().recipient();
                let answer = tokio::time::timeout(Duration::from_secs(1), batcher.send(submitted("1", true))).await;
                assert!(answer.expect("an answer in time").is_err());
            }
        });
    }
}
