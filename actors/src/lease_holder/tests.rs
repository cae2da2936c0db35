//! Holders that share leases in memory, in virtual time.

mod worker;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

use api_health_core::own::member::LeaseState;
use api_health_core::own::records::{WorkerId, WorkerState};
use api_health_core::own::shards::SHARDS;
use api_health_core::own::terms::Terms;
use tokio::time::Instant;

use super::*;
use crate::testkit::in_virtual_time;
use crate::testkit::leases::{LeaseLine, LineFault, MemoryLeases};
use worker::{FAILOVER_SECONDS_MAX, Worker, counts, pass, settled, until_all_owned};

fn named(name: &str) -> WorkerId {
    WorkerId::parse(name).unwrap()
}

fn record(name: &str) -> WorkerRecord {
    WorkerRecord::new(named(name), &Terms::DEFAULT, 2)
}

/// A holder whose clock begins now.
fn holder(
    leases: Arc<dyn Leases>,
    ask: impl Fn() -> LocalBoxFuture<'static, Report> + 'static,
) -> (LeaseHolder, LeaseHandle, mpsc::Receiver<LeaseChange>) {
    let started = Instant::now();
    let member = Member::new(record("a"), true, Terms::DEFAULT, SHARDS, 2);
    LeaseHolder::new(member, leases, Arc::new(move || started.elapsed()), Box::new(ask))
}

fn makes_progress() -> LocalBoxFuture<'static, Report> {
    async { Report { is_made: true, heartbeat: None } }.boxed_local()
}

#[test]
fn three_workers_share_evenly_and_then_nothing_is_moved() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a", "b", "c"]).await;
        let mut shares = counts(&workers);
        shares.sort_unstable();
        assert_eq!(shares, [21, 21, 22]);
        let (takings, version) = (world.takings(), world.assignment().unwrap().version);
        pass(&workers, 600).await;
        assert_eq!((world.takings(), world.assignment().unwrap().version), (takings, version));
        assert!(!world.epoch_fell());
    });
}

#[test]
fn what_a_dead_worker_had_is_owned_again_within_lease_and_renewal() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let mut workers = settled(&world, &["a", "b", "c"]).await;
        workers.remove(1).task.abort();
        assert!(until_all_owned(&workers).await <= FAILOVER_SECONDS_MAX);
        pass(&workers, 60).await;
        assert_eq!(counts(&workers), [32, 32]);
    });
}

#[test]
fn one_that_was_stopped_for_longer_than_its_lease_acts_for_nothing_when_it_wakes() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a", "b", "c"]).await;
        workers[0].is_stopped.set(true);
        pass(&workers, 15).await;
        assert_eq!(counts(&workers), [0, 32, 32]);
        workers[0].is_stopped.set(false);
        assert!(workers[0].acts_for().is_empty(), "before anything in it has moved");
        pass(&workers, 60).await;
        let mut shares = counts(&workers);
        shares.sort_unstable();
        assert_eq!(shares, [21, 21, 22]);
    });
}

#[test]
fn one_that_leaves_is_replaced_within_a_renewal_and_clean() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let mut workers = settled(&world, &["a", "b", "c"]).await;
        let leaver = workers.remove(1);
        let clean = |workers: &[Worker]| workers.iter().map(|worker| worker.gained_clean.get()).sum::<usize>();
        let clean_before = clean(&workers);
        let moved = leaver.acts_for().len();
        leaver.handle.leave();
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(leaver.has_left.get() && leaver.acts_for().is_empty());
        assert!(until_all_owned(&workers).await <= Terms::DEFAULT.renew.as_secs_f64() + 0.1);
        assert_eq!(clean(&workers) - clean_before, moved, "none of them needs a seal");
        assert_eq!(world.worker(&named("b")).map(|record| record.state), Some(WorkerState::Left));
    });
}

#[test]
fn what_is_granted_anew_while_it_is_let_go_of_is_let_go_of_all_the_same() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let mut workers = settled(&world, &["a"]).await;
        workers.push(Worker::start(&world, "b", Instant::now()));
        let sees_b = |sight: &Sight| sight.fleet.as_ref().is_some_and(|fleet| fleet.others.contains_key(&named("b")));
        while !sees_b(&workers[0].handle.sight().borrow()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // A hand in the table, before the keeper has let go of anything.
        let mut anew = world.assignment().unwrap();
        anew.version += 1;
        for own in anew.owners.iter_mut().filter(|own| own.owner.is_some()) {
            own.epoch += 5;
        }
        world.overwrite(LeaseRecord::Assignment(Box::new(anew)));
        pass(&workers, 120).await;
        assert_eq!(counts(&workers), [32, 32]);
    });
}

#[test]
fn where_the_store_is_gone_for_all_nothing_is_moved() {
    in_virtual_time(async {
        for fault in [LineFault::Cut, LineFault::Hangs] {
            for seconds in [4, 8, 12, 31] {
                let world = MemoryLeases::default();
                let workers = settled(&world, &["a", "b", "c"]).await;
                let (before, version) = (counts(&workers), world.assignment().unwrap().version);
                workers.iter().for_each(|worker| worker.line.set_fault(fault));
                pass(&workers, seconds).await;
                if seconds > 10 {
                    assert_eq!(counts(&workers), [0, 0, 0]);
                    assert!(workers[0].handle.clock().lapsed_for().is_some());
                    assert!(workers[0].handle.clock().has_met_others());
                }
                workers.iter().for_each(|worker| worker.line.set_fault(LineFault::None));
                pass(&workers, 30).await;
                assert_eq!((counts(&workers), world.assignment().unwrap().version), (before, version));
            }
        }
    });
}

#[test]
fn one_that_is_cut_off_loses_all_and_comes_back() {
    in_virtual_time(async {
        for fault in [LineFault::Cut, LineFault::Hangs, LineFault::HoldsWrites] {
            let world = MemoryLeases::default();
            let workers = settled(&world, &["a", "b", "c"]).await;
            workers[2].line.set_fault(fault);
            pass(&workers, 15).await;
            assert_eq!(counts(&workers), [32, 32, 0], "{fault:?}");
            workers[2].line.set_fault(LineFault::None);
            workers[2].line.deliver();
            pass(&workers, 60).await;
            assert_eq!(counts(&workers).iter().sum::<usize>(), 64);
            assert!(workers[2].acts_for().len() >= 21 && !world.epoch_fell());
        }
    });
}

#[test]
fn one_whom_the_store_refuses_knows_that_others_are_not() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a", "b"]).await;
        workers[0].line.set_fault(LineFault::Refused);
        pass(&workers, 15).await;
        let lease_state = workers[0].handle.clock().lease_state();
        assert!(matches!(lease_state, LeaseState::Lapsed { is_refused: true, .. }), "{lease_state:?}");
    });
}

#[test]
fn lost_and_slow_answers_cost_nobody_a_shard() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a", "b", "c"]).await;
        let (before, takings) = (counts(&workers), world.takings());
        for _ in 0..20 {
            workers[0].line.set_fault(LineFault::AnswersLost);
            workers[1].line.set_fault(LineFault::Slow(Duration::from_millis(900)));
            pass(&workers, 3).await;
            workers[0].line.set_fault(LineFault::None);
            pass(&workers, 5).await;
        }
        assert_eq!((counts(&workers), world.takings()), (before, takings));
    });
}

#[test]
fn one_that_makes_no_progress_loses_its_shards() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a", "b"]).await;
        workers[0].makes_progress.set(false);
        pass(&workers, 14).await;
        assert_eq!(counts(&workers), [0, 64]);
        workers[0].makes_progress.set(true);
        pass(&workers, 60).await;
        assert_eq!(counts(&workers), [32, 32]);
    });
}

#[test]
fn one_that_is_alone_writes_one_renewal_a_minute_and_nothing_else() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a"]).await;
        let (reads, writes) = workers[0].line.calls();
        pass(&workers, 3_600).await;
        let (reads_then, writes_then) = workers[0].line.calls();
        assert_eq!((reads_then - reads, writes_then - writes), (120, 60));
        assert!(!workers[0].handle.clock().has_met_others());
    });
}

#[test]
fn twelve_that_start_together_share_within_a_minute_and_three_dead_ones_are_replaced() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let names: Vec<String> = (0..12).map(|number| format!("w{number}")).collect();
        let started = Instant::now();
        let mut workers: Vec<Worker> = names.iter().map(|name| Worker::start(&world, name, started)).collect();
        for (number, worker) in workers.iter().enumerate() {
            worker.line.set_fault(LineFault::Slow(Duration::from_millis(3 + number as u64)));
        }
        pass(&workers, 60).await;
        assert!(counts(&workers).iter().all(|count| [5, 6].contains(count)), "{:?}", counts(&workers));
        workers.drain(..3).for_each(|worker| worker.task.abort());
        assert!(until_all_owned(&workers).await <= FAILOVER_SECONDS_MAX + 1.0);
    });
}

#[test]
fn a_notice_is_seen_by_the_others_with_their_next_look() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a", "b"]).await;
        workers[0].handle.notice(Notice::ConfigsChanged(None));
        pass(&workers, 4).await;
        let sight = workers[1].handle.sight();
        let seen = sight.borrow().fleet.as_ref().map(|fleet| fleet.assignment.configs.revision);
        assert_eq!(seen, Some(1));
        assert_eq!(sight.borrow().fleet.as_ref().map(|fleet| fleet.others.len()), Some(1));
    });
}

#[test]
fn a_holder_that_no_longer_moves_may_not_act() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let workers = settled(&world, &["a"]).await;
        let clock = workers[0].handle.clock();
        let session = world.worker(&named("a")).unwrap().session;
        workers[0].is_stopped.set(true);
        for _ in 0..WAITING_MAX {
            workers[0].handle.read_fleet();
        }
        assert!(clock.may_act(session));
        workers[0].handle.read_fleet();
        assert!(!clock.may_act(session), "one message more than may wait");
        workers[0].is_stopped.set(false);
        pass(&workers, 5).await;
        assert_eq!(
            (clock.lease_state(), workers[0].task.is_finished()),
            (LeaseState::NoSession, true),
            "nor does it go on later"
        );
    });
}

#[test]
fn a_holder_to_whom_nobody_listens_gives_the_lease_up() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let (holder, handle, changes) = holder(Arc::new(world.line()), makes_progress);
        drop(changes);
        holder.run().await;
        assert_eq!(handle.clock().lease_state(), LeaseState::NoSession);
    });
}

#[test]
fn one_whom_nobody_tells_how_probing_goes_makes_no_progress() {
    in_virtual_time(async {
        let world = MemoryLeases::default();
        let line = world.line();
        let nobody_answers = || std::future::pending().boxed_local();
        let (holder, handle, _changes) = holder(Arc::new(line.clone()), nobody_answers);
        let _ = tokio::time::timeout(Duration::from_secs(30), holder.run()).await;
        assert_eq!((handle.clock().lease_state(), line.calls().1), (LeaseState::NoSession, 0));
    });
}

/// A store that answers nothing, and counts who waits: now, at most, and ever.
#[derive(Clone, Default)]
struct Hanging(Arc<std::sync::Mutex<[usize; 3]>>);

struct Waiting(Hanging);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.lock().unwrap()[0] -= 1;
    }
}

impl Leases for Hanging {
    fn read(&self, _: Vec<Key>) -> futures_util::future::BoxFuture<'_, Result<Vec<LeaseRecord>, StoreError>> {
        let [now, most, ever] = &mut *self.0.lock().unwrap();
        *now += 1;
        *most = (*most).max(*now);
        *ever += 1;
        let waiting = Waiting(self.clone());
        Box::pin(async move {
            let _waiting = waiting;
            std::future::pending().await
        })
    }

    fn put(&self, _: LeaseRecord, _: u64) -> futures_util::future::BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(std::future::pending())
    }
}

#[test]
fn calls_that_hang_are_a_few_at_most() {
    in_virtual_time(async {
        let store = Hanging::default();
        let (holder, _handle, _changes) = holder(Arc::new(store.clone()), makes_progress);
        let _ = tokio::time::timeout(Duration::from_secs(120), holder.run()).await;
        tokio::task::yield_now().await;
        let [waiting, most, ever] = *store.0.lock().unwrap();
        // One that is given up ends with its task's next turn: beside as many as may wait there can be it.
        assert!((2..=LATE_MAX + 1).contains(&most) && ever > LATE_MAX + 1, "{most} at once, {ever} in all");
        assert_eq!(waiting, 0, "and they end with the holder");
    });
}
