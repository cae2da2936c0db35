//! The store dies, in every way in which stores die: probing goes on, nothing is lost, and it is told once.

use std::time::Duration;

use api_health_core::incident::Incident;
use api_health_core::{ApiId, ApiState, Status};

use super::{options, seconds, world};
use crate::system::{Options, Running};
use crate::testkit::channel::ChannelFault;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, in_virtual_time};
use api_health_core::keep::{STORE_GONE_AFTER, UNSTORED_MAX};

/// What was told of the store.
fn told_of_the_store(world: &FakeWorld) -> Vec<String> {
    world.channels[0].lines().into_iter().filter(|line| line.starts_with("api-health:store")).collect()
}

/// Fails unless `id` was probed every ten seconds all the time since the last `span`.
async fn assert_cadence_over(world: &FakeWorld, id: &str, span: u64) {
    let before = world.targets.probed(id).len();
    seconds(span).await;
    let probed = world.targets.probed(id).len() - before;
    let expected = usize::try_from(span / 10).unwrap();
    assert!(probed.abs_diff(expected) <= 1, "{id}: {probed} probes in {span} s");
}

async fn store_is_gone(running: &Running) -> bool {
    running.report().await.unwrap().store_is_gone
}

#[test]
fn a_store_that_is_gone_is_told_once_and_that_it_is_back_once() {
    for fault in [StoreFault::Unavailable, StoreFault::Hangs] {
        in_virtual_time(async move {
            let world = world(&["a", "steady"]);
            let running = world.start(options()).await;
            seconds(20).await;
            assert!(!store_is_gone(&running).await);
            world.store.set_fault(fault);
            world.targets.set("a", Behaviour::Refuses);
            let began = world.channels[0].delivered().len();
            assert_cadence_over(&world, "steady", 600).await;
            let told = world.channels[0].delivered();
            if fault == StoreFault::Unavailable {
                assert!(store_is_gone(&running).await);
                let mut lines = world.channels[0].lines();
                lines.sort();
                assert_eq!(lines, ["a down", "api-health:store down"]);
                let (at, alert) = told.iter().find(|(_, alert)| alert.api_id == ApiId::monitor_store()).unwrap();
                let after = at.since(alert.happened_at);
                assert!(after >= STORE_GONE_AFTER && after < STORE_GONE_AFTER + Duration::from_secs(2), "{after:?}");
                assert!(alert.reason.contains("planted") && alert.name.contains("memory"), "{alert:?}");
            } else {
                // A store that never answers is one that adapters do not have: they bound each call. P5 holds anyway.
                assert_eq!(world.channels[0].lines_of_apis(), ["a down"]);
                return;
            }
            assert_eq!(told.len() - began, 2);
            world.store.set_fault(StoreFault::None);
            seconds(60).await;
            assert!(!store_is_gone(&running).await);
            assert_eq!(told_of_the_store(&world), ["api-health:store down", "api-health:store up"]);
            assert_eq!(world.channels[0].lines_of_apis(), ["a down"], "nothing twice");
            let own = world.store.record("api-health:store").unwrap();
            assert_eq!((own.status, own.owed.len()), (Status::Up, 0));
            assert!(running.flush(false, Duration::from_secs(60)).await, "all is stored");
        });
    }
}

#[test]
fn a_blip_of_the_store_and_throttling_tell_nothing_and_lose_nothing() {
    in_virtual_time(async {
        let world = world(&["a", "b", "c"]);
        let running = world.start(options()).await;
        seconds(20).await;
        for _ in 0..5 {
            world.targets.set("a", Behaviour::Refuses);
            world.store.set_fault(StoreFault::Unavailable);
            // The keeper notices that it is over at its next try, by chance up to 10 s later: within 30 s in all.
            seconds(18).await;
            world.store.set_fault(StoreFault::None);
            seconds(34).await;
            world.targets.set("a", Behaviour::Answers(200));
            world.store.set_fault(StoreFault::Throttled);
            seconds(100).await;
            world.store.set_fault(StoreFault::None);
            seconds(5).await;
        }
        assert_eq!(world.channels[0].lines(), ["a down", "a up"].repeat(5));
        let record = world.store.record("a").unwrap();
        assert_eq!((record.status, record.owed.len()), (Status::Up, 0));
        assert!(running.flush(false, Duration::from_secs(60)).await, "all is stored");
    });
}

#[test]
fn writes_catch_up_with_everything_that_was_decided_and_in_order() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        world.channels[0].set_fault(ChannelFault::Unavailable);
        let running = world.start(options()).await;
        seconds(20).await;
        let before = world.store.record("a").unwrap().version;
        world.store.set_fault(StoreFault::Unavailable);
        for _ in 0..3 {
            world.targets.set("a", Behaviour::Refuses);
            seconds(30).await;
            world.targets.set("a", Behaviour::Answers(200));
            seconds(30).await;
        }
        let asked = world.store.asked();
        seconds(600).await;
        assert_eq!(world.store.asked(), asked, "an unavailable store is not asked by the record");
        world.store.set_fault(StoreFault::None);
        seconds(15).await;
        let record = world.store.record("a").unwrap();
        assert!(record.version > before);
        let owed: Vec<&str> = record.owed.iter().map(|owed| owed.alert.kind.as_str()).collect();
        assert_eq!(owed, ["down", "up", "down", "up", "down", "up"]);
        assert!(record.owed.windows(2).all(|two| two[0].alert.happened_at < two[1].alert.happened_at));
        assert!(running.flush(false, Duration::from_secs(60)).await, "all is stored");
        world.channels[0].set_fault(ChannelFault::None);
        seconds(120).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a down", "a up"].repeat(3));
    });
}

#[test]
fn one_record_that_can_never_be_written_is_not_a_dead_store_and_holds_up_no_other() {
    in_virtual_time(async {
        // All were written at their first checkpoint just now, so that the next may be a minute away.
        let world = world(&["bad", "b", "c"]);
        let running = world.start(options()).await;
        seconds(75).await;
        world.store.refuse(ApiId::parse("bad").unwrap());
        world.targets.set("bad", Behaviour::Refuses);
        // Nothing else has to be written before the next checkpoint, and that is longer than a store may be gone.
        seconds(50).await;
        assert_eq!(told_of_the_store(&world), [""; 0]);
        world.targets.set("b", Behaviour::Refuses);
        seconds(16).await;
        let down_of_b =
            world.channels[0].delivered().into_iter().find(|(_, alert)| alert.api_id.as_str() == "b").unwrap();
        let after = down_of_b.0.since(down_of_b.1.happened_at);
        assert!(after < Duration::from_secs(6), "b waits for nobody: {after:?}");
        assert_eq!(world.store.record("b").unwrap().status, Status::Down);
        seconds(600).await;
        assert_eq!(told_of_the_store(&world), [""; 0]);
        assert!(!store_is_gone(&running).await);
        let mut lines = world.channels[0].lines();
        lines.sort();
        assert_eq!(lines, ["b down", "bad down"], "the one that cannot be stored is told by P5, once");
        // Its recovery comes at once: it has waited for long enough.
        world.targets.set("bad", Behaviour::Answers(200));
        seconds(30).await;
        assert_eq!(world.channels[0].lines().last().unwrap(), "bad up");
        assert!(!running.flush(false, Duration::from_secs(60)).await);
        assert_eq!(running.report().await.unwrap().unsaved, 1, "that one alone");
    });
}

#[test]
fn when_the_only_record_cannot_be_written_that_is_told_as_a_store_that_is_gone() {
    in_virtual_time(async {
        let world = world(&["bad"]);
        world.store.refuse(ApiId::parse("bad").unwrap());
        let running = world.start(options()).await;
        seconds(25).await;
        assert!(store_is_gone(&running).await);
    });
}

#[test]
fn an_alert_is_never_later_than_its_thirty_seconds_through_a_store_that_is_slow() {
    in_virtual_time(async {
        let world = world(&["a", "steady"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        for span in [5, 20, 29, 45] {
            world.store.set_fault(StoreFault::Slow(Duration::from_secs(span)));
            world.targets.set("a", Behaviour::Refuses);
            assert_cadence_over(&world, "steady", 200).await;
            world.targets.set("a", Behaviour::Answers(200));
            seconds(200).await;
            world.store.set_fault(StoreFault::None);
            seconds(60).await;
        }
        let told = world.channels[0].delivered();
        assert_eq!(world.channels[0].lines_of_apis(), ["a down", "a up"].repeat(4));
        for (at, alert) in told.iter().filter(|(_, alert)| !alert.api_id.is_self_monitoring()) {
            let waited = at.since(alert.detected_at);
            assert!(waited < UNSTORED_MAX + Duration::from_secs(1), "{} {:?}: {waited:?}", alert.alert_id, alert.kind);
        }
        assert_eq!(world.store.record("a").unwrap().owed.len(), 0);
    });
}

#[test]
fn what_is_kept_for_a_dead_store_is_bounded_and_ends_on_the_truth() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.store.set_fault(StoreFault::Unavailable);
        // Each turn is a fail and a pass that clears it: two changes, and nothing to tell.
        for _ in 0..300 {
            world.targets.set("a", Behaviour::Refuses);
            seconds(10).await;
            world.targets.set("a", Behaviour::Answers(200));
            seconds(20).await;
        }
        world.targets.set("a", Behaviour::Refuses);
        seconds(40).await;
        let lines = world.channels[0].lines_of_apis();
        assert_eq!(lines.last().unwrap(), "a down");
        assert!(lines.windows(2).all(|two| two[0] != two[1]), "{lines:?}");
        world.store.set_fault(StoreFault::None);
        seconds(20).await;
        let record = world.store.record("a").unwrap();
        assert_eq!((record.status, record.owed.len()), (Status::Down, 0));
        assert_eq!(world.channels[0].lines_of_apis(), lines, "nothing twice");
        assert!(running.flush(false, Duration::from_secs(60)).await, "all is stored");
    });
}

#[test]
fn a_record_that_was_deleted_is_written_again_and_tells_nothing_anew() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        world.store.delete(&ApiId::parse("a").unwrap());
        world.store.delete(&ApiId::parse("b").unwrap());
        seconds(120).await;
        let record = world.store.record("a").unwrap();
        assert_eq!((record.status, record.owed.len()), (Status::Down, 0));
        assert!(world.store.record("b").is_some(), "the checkpoint found out");
        world.store.delete(&ApiId::parse("a").unwrap());
        world.targets.set("a", Behaviour::Answers(200));
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        assert_eq!(world.store.record("a").unwrap().status, Status::Up);
        assert!(running.flush(false, Duration::from_secs(60)).await, "all is stored");
    });
}

fn downs_and_records(world: &FakeWorld, ids: &[String]) -> (usize, usize) {
    let records: Vec<ApiState> = ids.iter().filter_map(|id| world.store.record(id)).collect();
    (records.iter().filter(|record| record.status == Status::Down).count(), records.len())
}

#[test]
fn a_table_that_was_made_anew_is_filled_again_soon_so_that_a_kill_forgets_nothing() {
    // With trouble while there is no table, and emptied between two writes.
    for is_noticed in [true, false] {
        in_virtual_time(async move {
            let ids: Vec<String> = (0..1_200).map(|n| format!("api-{n}")).collect();
            let world = FakeWorld::new(ids.iter().map(|id| crate::testkit::api(id, 60)).collect());
            ids[..40].iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
            let options = || Options { checkpoint: Duration::from_secs(86_400), ..options() };
            let running = world.start(options()).await;
            seconds(150).await;
            let told = world.channels[0].lines_of_apis().len();
            assert_eq!((told, downs_and_records(&world, &ids)), (40, (40, 1_200)));
            if is_noticed {
                world.store.set_fault(StoreFault::Misconfigured);
                seconds(200).await;
                assert!(store_is_gone(&running).await);
            }
            world.store.empty();
            world.store.set_fault(StoreFault::None);
            if !is_noticed {
                // The first write finds out.
                world.targets.set("api-1199", Behaviour::Refuses);
                while world.store.record("api-1199").is_none() {
                    seconds(1).await;
                }
                seconds(1).await;
                assert!(downs_and_records(&world, &ids).0 >= 40, "what is down comes first");
            }
            seconds(30).await;
            let (down, stored) = downs_and_records(&world, &ids);
            assert_eq!((down, stored), (40 + usize::from(!is_noticed), 1_200));
            let writes = world.store.writes();
            seconds(600).await;
            assert!(world.store.writes() - writes < 5, "it is done once");
            // A second time.
            world.store.empty();
            world.targets.set("api-1198", Behaviour::Refuses);
            seconds(120).await;
            assert_eq!(downs_and_records(&world, &ids), (down + 1, 1_200));
            let told = world.channels[0].lines_of_apis();
            running.crash();
            let _again = world.start(options()).await;
            seconds(150).await;
            assert_eq!(world.channels[0].lines_of_apis(), told, "nothing is told twice");
        });
    }
}

#[test]
fn a_record_that_is_damaged_in_use_is_set_aside_and_written_anew_and_a_newer_one_is_left_alone() {
    in_virtual_time(async {
        let world = world(&["torn", "newer", "other"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.store.damage(&ApiId::parse("torn").unwrap(), false);
        world.store.damage(&ApiId::parse("newer").unwrap(), true);
        for id in ["torn", "newer", "other"] {
            world.targets.set(id, Behaviour::Refuses);
        }
        seconds(20).await;
        let mut lines = world.channels[0].lines();
        lines.sort();
        assert_eq!(lines, ["other down", "torn down"]);
        assert_eq!(world.store.record("torn").unwrap().status, Status::Down);
        seconds(600).await;
        let loaded = crate::ports::StateStore::load_all(&world.store).await.unwrap();
        assert_eq!(loaded.unreadable.len(), 1, "the newer one is there");
        let mut lines = world.channels[0].lines();
        lines.sort();
        assert_eq!(lines, ["newer down", "other down", "torn down"], "what cannot be stored is told by P5, once");
        assert!(!running.flush(false, Duration::from_secs(60)).await);
        assert_eq!(running.report().await.unwrap().unsaved, 1, "the newer one");
    });
}

#[test]
fn that_the_store_is_back_is_told_after_a_restart_as_well() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(20).await;
        running.crash();
        // What a process leaves behind that told that the store was gone, and died before it could write that it is back.
        let began = world.store.record("a").unwrap().since.unwrap();
        let incident = Incident {
            incident_id: "api-health:store.1".into(),
            started_at: began,
            reason: "it takes no writes".into(),
            name: "api-health's store".into(),
            url: String::new(),
            owed_to: vec![],
            evidence: None,
            reminders: 0,
            confirmed_at: None,
            delivered: Vec::new(),
        };
        world.store.overwrite(ApiState {
            version: 1,
            status: Status::Down,
            since: Some(began),
            incident: Some(Box::new(incident)),
            last_alerted: Status::Down,
            ..ApiState::unknown(ApiId::monitor_store())
        });
        let _again = world.start(options()).await;
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), ["api-health:store up"]);
        let own = world.store.record("api-health:store").unwrap();
        assert_eq!((own.status, own.owed.len()), (Status::Up, 0));
    });
}

#[test]
fn a_store_that_never_answers_is_noticed_and_told() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.store.set_fault(StoreFault::Hangs);
        world.targets.set("a", Behaviour::Refuses);
        seconds(60).await;
        assert!(running.report().await.unwrap().store_is_gone);
        seconds(30).await;
        let mut lines = world.channels[0].lines();
        lines.sort();
        assert_eq!(lines, ["a down", "api-health:store down"]);
    });
}
