//! What other monitors get wrong, as tests with the real actors; those that need the built binary are in `tests/it`. The list
//! of all of them is in docs/semantics.md.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::{ApiId, Status};

use super::{options, seconds, world};
use crate::ports::Clock as _;
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::stage::Step;
use crate::testkit::store::StoreFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

/// An outage and a recovery, and the program killed at the `nth` of `step`; then everything goes on until all is told.
async fn killed_at(step: Step, nth: u64) -> FakeWorld {
    let world = world(&["a"]);
    let running = world.start(options()).await;
    seconds(20).await;
    world.targets.set("a", Behaviour::Refuses);
    world.stage.trap(step, nth);
    let crashed = tokio::time::timeout(Duration::from_secs(60), world.stage.crashed()).await.is_ok();
    running.crash();
    world.stage.thaw();
    assert!(crashed, "{step:?} {nth} was reached");
    seconds(5).await;
    let _again = world.start(options()).await;
    seconds(60).await;
    world.targets.set("a", Behaviour::Answers(200));
    seconds(60).await;
    world
}

#[test]
fn a_kill_between_decide_store_publish_and_settle_at_each_step_loses_nothing_and_a_repeat_has_the_same_id() {
    // One outage: the first fail is written, the second with its alert; the alert is taken over; that is written.
    let steps = [
        (Step::ProbeOver, 1),
        (Step::BeforeWrite, 1),
        (Step::AfterWrite, 1),
        (Step::ProbeOver, 2),
        (Step::BeforeWrite, 2),
        (Step::AfterWrite, 2),
        (Step::BeforeTakingOver, 1),
        (Step::AfterTakingOver, 1),
        (Step::BeforeWrite, 3),
        (Step::AfterWrite, 3),
    ];
    for (step, nth) in steps {
        in_virtual_time(async {
            let world = killed_at(step, nth).await;
            let mut lines = world.channels[0].lines();
            let told = world.channels[0].delivered();
            let ids: HashSet<&str> = told.iter().map(|(_, alert)| alert.alert_id.as_str()).collect();
            assert_eq!(ids.len(), 2, "{step:?} {nth}: one outage, one recovery: {ids:?}");
            lines.dedup();
            assert_eq!(lines, ["a down", "a up"], "{step:?} {nth}");
            let may_repeat = matches!((step, nth), (Step::AfterTakingOver, 1) | (Step::BeforeWrite, 3));
            assert_eq!(told.len() > 2, may_repeat, "{step:?} {nth}: a repeat exactly where nobody can know");
            let record = world.store.record("a").unwrap();
            assert_eq!((record.status, record.owed.len()), (Status::Up, 0));
        });
    }
}

#[test]
fn what_goes_down_while_the_program_is_off_is_told_at_the_start() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        running.stop(Duration::from_secs(5)).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(600).await;
        let _again = world.start(options()).await;
        seconds(10).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
    });
}

#[test]
fn what_comes_back_while_the_program_is_off_is_told_at_the_start() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        running.crash();
        world.targets.set("a", Behaviour::Answers(200));
        seconds(600).await;
        let _again = world.start(options()).await;
        seconds(10).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
    });
}

#[test]
fn an_inconclusive_probe_between_down_and_up_does_not_eat_the_recovery() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        world.targets.set("a", Behaviour::CannotBeAsked);
        seconds(300).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a down"], "what cannot be told is no recovery");
        assert_eq!(
            world.channels[0].lines(),
            ["a down", "api-health:network down"],
            "nothing else can be asked either"
        );
        world.targets.set("a", Behaviour::Answers(200));
        seconds(30).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a down", "a up"]);
    });
}

#[test]
fn an_outage_that_ends_in_a_maintenance_window_is_one_recovery_after_it_and_one_that_goes_on_is_nothing() {
    for comes_back in [true, false] {
        in_virtual_time(async {
            let world = world(&["a"]);
            let running = world.start(options()).await;
            seconds(20).await;
            world.targets.set("a", Behaviour::Refuses);
            seconds(30).await;
            let since = world.clock.now();
            let window = Maintenance { since, until: since.plus(Duration::from_secs(120)), note: String::new() };
            let all = Selection { all: true, ..Selection::default() };
            assert_eq!(running.gauges().set_maintenance(all, Some(window)).await, Some(1));
            for well in [true, false, comes_back] {
                world.targets.set("a", if well { Behaviour::Answers(200) } else { Behaviour::Refuses });
                seconds(30).await;
            }
            assert_eq!(world.channels[0].lines(), ["a down"], "nothing is told while it is open");
            seconds(120).await;
            let expected: &[&str] = if comes_back { &["a down", "a up"] } else { &["a down"] };
            assert_eq!(world.channels[0].lines(), expected);
        });
    }
}

#[test]
fn two_hundred_that_fail_behind_one_parent_are_told_as_that_parent_and_who_stays_down_when_it_is_back() {
    in_virtual_time(async {
        let ids: Vec<String> = std::iter::once("router".into()).chain((0..200).map(|n| format!("a{n}"))).collect();
        let row = |id: &String| {
            let mut row = api(id, 10);
            let router = ApiId::parse("router").unwrap();
            Arc::make_mut(&mut row.alerting).depends_on.extend((row.api_id != router).then_some(router));
            row
        };
        let world = FakeWorld::new(ids.iter().map(row).collect());
        let _running = world.start(options()).await;
        seconds(20).await;
        ids.iter().for_each(|id| world.targets.set(id, Behaviour::Refuses));
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), ["router down"]);
        let words = world.channels[0].delivered()[0].1.reason.clone();
        assert!(
            words.contains("alerts of 200 that depend on it are held: a0, a1, a10, a100, a101 and 195 more"),
            "{words}"
        );
        ids.iter().filter(|id| *id != "a7").for_each(|id| world.targets.set(id, Behaviour::Answers(200)));
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), ["router down", "router up", "a7 down"]);
    });
}

#[test]
fn one_that_comes_back_in_the_tick_in_which_another_goes_down_is_told_as_well() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        // No slots: both are probed at the same moment.
        let _running = world.start(Options { spread: false, ..options() }).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(35).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        world.targets.set("a", Behaviour::Answers(200));
        world.targets.set("b", Behaviour::Refuses);
        seconds(35).await;
        let mut lines = world.channels[0].lines();
        assert_eq!(lines.remove(0), "a down");
        lines.sort();
        assert_eq!(lines, ["a up", "b down"]);
    });
}

#[test]
fn five_minutes_of_failing_writes_storm_nobody_stop_no_probe_and_are_told_once() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        world.store.set_fault(StoreFault::Unavailable);
        let (asked, probed) = (world.store.asked(), world.targets.probed("b").len());
        seconds(300).await;
        assert!((29..=31).contains(&(world.targets.probed("b").len() - probed)), "probing goes on");
        assert!(world.store.asked() - asked < 300, "the store is not stormed");
        world.store.set_fault(StoreFault::None);
        seconds(60).await;
        let lines = world.channels[0].lines();
        assert_eq!(lines, ["a down", "api-health:store down", "api-health:store up"], "and nothing is repeated");
    });
}

#[test]
fn an_alert_that_fails_for_ever_holds_up_no_other() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::RefusesOne(crate::testkit::api("a", 1).api_id));
        world.targets.set("a", Behaviour::Refuses);
        world.targets.set("b", Behaviour::Refuses);
        seconds(3_600).await;
        assert_eq!(world.channels[0].lines(), ["b down"]);
        let failures = world.store.record("a").unwrap().owed[0].deliveries[0].failures;
        assert!((50..200).contains(&failures), "tried again and again, and not without end: {failures}");
    });
}
