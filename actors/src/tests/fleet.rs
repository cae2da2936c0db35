//! Several workers over one store: each API has one owner at a time, and what was owed is told by the next one.

use std::collections::HashSet;
use std::time::Duration;

use api_health_core::own::notices::Notice;
use api_health_core::own::records::{Assignment, LeaseRecord};
use api_health_core::{AlertKind, ApiId, Status};

use super::{options, seconds, world};
use crate::child::ExitReason;
use crate::leases::Leases as _;
use crate::ports::StateStore as _;
use crate::supervisor::LeaseParts;
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::leases::{LineFault, MemoryLeases};
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, in_virtual_time};

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("api-{n}")).collect()
}

fn world_of(count: usize) -> FakeWorld {
    let ids = names(count);
    world(&ids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Each alert once, and no incident begun twice.
fn assert_told_once(world: &FakeWorld) {
    let ids: Vec<String> = world.channels[0].delivered().into_iter().map(|(_, alert)| alert.alert_id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
}

/// Probes of each API in the next so many seconds.
async fn probes_in(world: &FakeWorld, count: usize, span: u64) -> Vec<usize> {
    let before: Vec<usize> = names(count).iter().map(|id| world.targets.probed(id).len()).collect();
    seconds(span).await;
    names(count).iter().zip(before).map(|(id, before)| world.targets.probed(id).len() - before).collect()
}

#[test]
fn two_workers_share_the_apis_and_probe_each_once_a_tick() {
    in_virtual_time(async {
        let (world, leases) = (world_of(40), MemoryLeases::default());
        let first = world.start_worker("first", &leases.line(), options()).await;
        seconds(20).await;
        assert_eq!(first.probers(), 40, "alone it owns all");
        let second = world.start_worker("second", &leases.line(), options()).await;
        seconds(90).await;
        assert_eq!(first.probers() + second.probers(), 40);
        assert!(first.probers() >= 12 && second.probers() >= 12, "{} and {}", first.probers(), second.probers());
        assert!(probes_in(&world, 40, 100).await.into_iter().all(|probes| (10..=11).contains(&probes)));
        assert_eq!(world.channels[0].lines(), [""; 0]);
    });
}

#[test]
fn what_is_given_to_a_new_worker_does_not_wait_for_an_alert_that_is_under_way_elsewhere() {
    in_virtual_time(async {
        let (world, leases) = (world_of(40), MemoryLeases::default());
        let first = world.start_worker("first", &leases.line(), options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Hangs);
        names(4).iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
        seconds(30).await;
        let second = world.start_worker("second", &leases.line(), options()).await;
        while first.probers() == 40 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let given = 40 - first.probers();
        seconds(3).await;
        let now = second.probers();
        assert!((given / 2..given).contains(&now), "{now} of {given} after 3 s");
        seconds(25).await;
        assert_eq!(first.probers() + second.probers(), 40, "the others go when the attempts are over");
    });
}

#[test]
fn what_a_killed_worker_owned_is_probed_again_within_fifteen_seconds_and_what_it_owed_is_told_once() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let first = world.start_worker("first", &leases.line(), options()).await;
        let second = world.start_worker("second", &leases.line(), options()).await;
        seconds(120).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
        seconds(40).await;
        assert!(names(20).iter().all(|id| world.store.record(id).unwrap().status == Status::Down));
        let before: Vec<usize> = names(20).iter().map(|id| world.targets.probed(id).len()).collect();
        first.crash();
        world.channels[0].set_fault(ChannelFault::None);
        seconds(15).await;
        let probed = names(20).iter().zip(before).all(|(id, before)| world.targets.probed(id).len() > before);
        assert!(probed, "each API is probed again");
        assert_eq!(second.probers(), 20);
        seconds(70).await;
        let mut lines = world.channels[0].lines();
        lines.sort();
        let mut expected: Vec<String> = names(20).iter().map(|id| format!("{id} down")).collect();
        expected.sort();
        assert_eq!(lines, expected);
        assert_told_once(&world);
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Answers(200)));
        seconds(60).await;
        assert_eq!(world.channels[0].lines().len(), 40);
        assert_told_once(&world);
        let records: Vec<u64> = names(20).iter().map(|id| world.store.record(id).unwrap().epoch).collect();
        assert!(records.iter().all(|epoch| *epoch >= 1), "{records:?}");
    });
}

#[test]
fn an_orderly_leave_leaves_no_gap_of_more_than_a_renewal_and_repeats_nothing() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let first = world.start_worker("first", &leases.line(), options()).await;
        let second = world.start_worker("second", &leases.line(), options()).await;
        seconds(120).await;
        world.targets.set("api-0", Behaviour::Refuses);
        seconds(30).await;
        let began = tokio::time::Instant::now();
        first.stop(Duration::from_secs(5)).await;
        assert!(began.elapsed() <= Duration::from_secs(8), "{:?}", began.elapsed());
        let left = tokio::time::Instant::now();
        while second.probers() < 20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert!(left.elapsed() <= Duration::from_secs(4), "{}", second.probers());
        }
        world.targets.set("api-0", Behaviour::Answers(200));
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-0 down", "api-0 up"]);
    });
}

#[test]
fn whom_the_store_refuses_keeps_quiet_and_its_shards_move() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let line = leases.line();
        let first = world.start_worker("first", &line, options()).await;
        let second = world.start_worker("second", &leases.line(), options()).await;
        seconds(120).await;
        line.set_fault(LineFault::Refused);
        seconds(20).await;
        assert_eq!(second.probers(), 20);
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
        seconds(120).await;
        assert_eq!(world.channels[0].lines().len(), 20);
        assert_told_once(&world);
        line.set_fault(LineFault::None);
        seconds(90).await;
        assert_eq!(first.probers() + second.probers(), 20, "it is back, as a new session");
        assert!(first.probers() > 0);
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Answers(200)));
        seconds(60).await;
        assert_eq!(world.channels[0].lines().len(), 40);
        assert_told_once(&world);
    });
}

#[test]
fn what_a_worker_told_that_could_not_store_it_is_taken_back_by_the_owner() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let line = leases.line();
        let _first = world.start_worker("first", &line, options()).await;
        let second = world.start_worker("second", &leases.line(), options()).await;
        seconds(120).await;
        line.set_fault(LineFault::Hangs);
        seconds(20).await;
        assert_eq!(second.probers(), 20);
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
        seconds(120).await;
        let twice = world.channels[0].lines().len() - 20;
        assert!(twice > 0, "it hears nothing, and tells all the same (P5)");
        line.set_fault(LineFault::None);
        seconds(90).await;
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Answers(200)));
        seconds(90).await;
        let ended =
            |kind: AlertKind| world.channels[0].delivered().iter().filter(|(_, alert)| alert.kind == kind).count();
        assert_eq!((ended(AlertKind::Down), ended(AlertKind::Up), ended(AlertKind::Closed)), (20 + twice, 20, twice));
        let told = world.channels[0].delivered();
        let incidents = |opens: bool| -> HashSet<String> {
            told.iter().filter(|(_, a)| a.kind.starts_incident() == opens).map(|(_, a)| a.incident_id.clone()).collect()
        };
        assert_eq!(incidents(true), incidents(false), "each outage that was told has an end");
    });
}

#[test]
fn a_store_that_was_gone_for_all_moves_no_shard() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let lines = [leases.line(), leases.line()];
        let _first = world.start_worker("first", &lines[0], options()).await;
        let _second = world.start_worker("second", &lines[1], options()).await;
        seconds(120).await;
        let before = leases.assignment().unwrap();
        world.store.set_fault(crate::testkit::store::StoreFault::Unavailable);
        lines.iter().for_each(|line| line.set_fault(LineFault::Cut));
        seconds(15).await;
        world.targets.set("api-1", Behaviour::Refuses);
        seconds(60).await;
        let told = world.channels[0].lines();
        assert_eq!(told.iter().filter(|line| *line == "api-1 down").count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|line| *line == "api-health:store down").count(), 1, "{told:?}");
        world.store.set_fault(crate::testkit::store::StoreFault::None);
        lines.iter().for_each(|line| line.set_fault(LineFault::None));
        seconds(60).await;
        let after = leases.assignment().unwrap();
        assert_eq!(before.owners, after.owners);
        assert_told_once(&world);
        assert_eq!(world.store.record("api-1").unwrap().status, Status::Down);
        assert_eq!(world.channels[0].lines().last().unwrap(), "api-health:store up");
    });
}

#[test]
fn a_lone_worker_renews_with_its_heartbeat_and_writes_nothing_beside() {
    in_virtual_time(async {
        let (world, leases) = (world_of(3), MemoryLeases::default());
        let line = leases.line();
        let _running = world.start_worker("only", &line, options()).await;
        seconds(100).await;
        let before = line.calls();
        seconds(600).await;
        let (reads, writes) = (line.calls().0 - before.0, line.calls().1 - before.1);
        assert!((10..=11).contains(&writes), "{writes} renewals in ten minutes");
        assert!((20..=21).contains(&reads), "{reads} looks in ten minutes");
        assert_eq!(world.store.heartbeats_asked(), 0, "the renewal is the heartbeat");
    });
}

#[test]
fn a_record_that_was_restored_from_a_backup_is_overwritten_by_what_its_owner_knows() {
    in_virtual_time(async {
        let (world, leases) = (world_of(2), MemoryLeases::default());
        let _running = world.start_worker("only", &leases.line(), options()).await;
        seconds(30).await;
        let old = world.store.record("api-0").unwrap();
        world.targets.set("api-0", Behaviour::Refuses);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["api-0 down"]);
        let known = world.store.record("api-0").unwrap();
        world.store.overwrite(old);
        seconds(90).await;
        let record = world.store.load(ApiId::parse("api-0").unwrap()).await.unwrap().unwrap().unwrap();
        assert_eq!(record.status, Status::Down);
        assert!(record.version > known.version && record.incident == known.incident);
        world.targets.set("api-0", Behaviour::Answers(200));
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["api-0 down", "api-0 up"]);
    });
}

async fn say_changed(leases: &MemoryLeases, ids: &[&str]) {
    let mut assignment = leases.assignment().unwrap();
    let over = assignment.version;
    assignment.version += 1;
    assignment.apply(Notice::ConfigsChanged(Some(ids.iter().map(|id| ApiId::parse(id).unwrap()).collect())));
    leases.line().put(LeaseRecord::Assignment(Box::new(assignment)), over).await.unwrap();
}

#[test]
fn the_rows_are_read_once_for_all_and_a_change_reaches_the_others_within_seconds() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        world.configs.share();
        let workers = [
            world.start_worker("a", &leases.line(), options()).await,
            world.start_worker("b", &leases.line(), options()).await,
        ];
        seconds(120).await;
        let before = world.configs.reads();
        seconds(600).await;
        let reads = world.configs.reads().0 - before.0;
        assert!((9..=11).contains(&reads), "one worker reads each minute: {reads} times in ten minutes");
        let mut rows: Vec<_> = names(21).iter().map(|id| crate::testkit::api(id, 10)).collect();
        rows.remove(3);
        world.configs.set(rows);
        say_changed(&leases, &["api-3", "api-20"]).await;
        let probed = world.targets.probed("api-3").len();
        seconds(5).await;
        assert_eq!(workers[0].probers() + workers[1].probers(), 20);
        assert!(!world.targets.probed("api-20").is_empty());
        seconds(30).await;
        assert!(world.targets.probed("api-3").len() <= probed + 1);
        assert!(world.configs.reads().1 >= 2, "each reads what changed");
    });
}

#[test]
fn the_last_row_of_all_is_given_up_by_each_worker_soon_after_it_is_removed() {
    in_virtual_time(async {
        let (world, leases) = (world_of(1), MemoryLeases::default());
        world.configs.share();
        let a = world.start_worker("a", &leases.line(), options()).await;
        let b = world.start_worker("b", &leases.line(), options()).await;
        seconds(120).await;
        world.configs.set(vec![]);
        say_changed(&leases, &["api-0"]).await;
        seconds(8).await;
        assert_eq!(a.probers() + b.probers(), 1, "it may come back");
        seconds(20).await;
        assert_eq!(a.probers() + b.probers(), 0);
    });
}

#[test]
fn shards_that_are_granted_anew_are_watched_all_the_while_and_their_outages_go_on() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let first = world.start_worker("first", &leases.line(), options()).await;
        seconds(60).await;
        let backup = leases.assignment().unwrap();
        let second = world.start_worker("second", &leases.line(), options()).await;
        seconds(90).await;
        second.crash();
        seconds(30).await;
        assert_eq!(first.probers(), 20, "half of them with a higher epoch than in the backup");
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
        seconds(40).await;
        assert_eq!(world.channels[0].lines().len(), 20);
        let epochs = || leases.assignment().unwrap().owners.iter().map(|own| own.epoch).collect::<Vec<_>>();
        let before = epochs();
        let expected_version = leases.assignment().unwrap().version;
        let restored = Assignment { version: expected_version + 1, ..backup };
        world.store.set_latency(4_000); // so that rows are applied between the grant and its reading
        leases.line().put(LeaseRecord::Assignment(Box::new(restored)), expected_version).await.unwrap();
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            first.reload().await;
            assert_eq!(first.probers(), 20);
        }
        world.store.set_latency(0);
        assert!(epochs().iter().zip(&before).any(|(now, before)| now > before), "some are granted anew");
        let granted = epochs();
        names(20).iter().for_each(|id| world.targets.set(id, Behaviour::Answers(200)));
        seconds(60).await;
        assert_eq!(epochs(), granted, "once");
        let kinds: Vec<AlertKind> = world.channels[0].delivered().into_iter().map(|(_, alert)| alert.kind).collect();
        assert_eq!(kinds, [[AlertKind::Down; 20], [AlertKind::Up; 20]].concat());
    });
}

#[test]
fn of_two_that_want_all_the_first_goes_on_and_the_second_does_nothing() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let alone = |name: &str| LeaseParts { alone: true, ..world.lease_parts(name, &leases.line()) };
        let mut first = world.begin_worker(alone("first"), options()).await.unwrap();
        assert_eq!(first.joined().await, Ok(()));
        first.reload().await;
        seconds(35).await; // between two of its looks
        let second = world.begin_worker(alone("second"), options()).await.unwrap();
        let why = second.joined().await.unwrap_err();
        assert_eq!(why, "another api-health shares this store: first on host first");
        assert_eq!((second.joined().await, second.probers()), (Err(why), 0));
        second.stop(Duration::ZERO).await;
        assert!(tokio::time::timeout(Duration::from_secs(200), first.fatal()).await.is_err(), "it goes on");
        assert_eq!((first.probers(), leases.takings()), (20, 64), "and nothing of it ever moved");
    });
}

#[test]
fn one_that_wants_all_and_had_to_give_some_away_does_not_end_as_if_it_had_had_all() {
    in_virtual_time(async {
        let (world, leases) = (world_of(20), MemoryLeases::default());
        let parts = LeaseParts { alone: true, ..world.lease_parts("round", &leases.line()) };
        let mut round = world.begin_worker(parts, options()).await.unwrap();
        assert_eq!(round.joined().await, Ok(()));
        round.reload().await;
        let _daemon = world.start_worker("daemon", &leases.line(), options()).await;
        let ended = tokio::time::timeout(Duration::from_secs(90), round.fatal()).await.expect("it ends");
        assert!(
            matches!(&ended.reason, ExitReason::Unstartable(why) if why.contains("shares this store")),
            "{ended:?}"
        );
    });
}

#[test]
fn a_round_that_cannot_read_what_is_stored_ends_the_process_instead_of_watching_nothing() {
    in_virtual_time(async {
        let (world, leases) = (world_of(1), MemoryLeases::default());
        let line = leases.line();
        let starts = world.start_worker("round", &line, Options { once: true, ..options() });
        let fails = async { world.store.set_fault(StoreFault::Misconfigured) }; // after it was seen to be there
        let began = tokio::time::Instant::now();
        let (mut round, ()) = futures_util::future::join(starts, fails).await;
        let fatal = round.fatal().await;
        assert!(matches!(fatal.reason, ExitReason::Unstartable(_)), "{}", fatal.reason);
        assert!(began.elapsed() <= Duration::from_secs(10), "{:?}", began.elapsed());
        assert!(world.targets.probed("api-0").is_empty());
    });
}
