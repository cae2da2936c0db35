//! What becomes of an open incident, a streak and owed alerts when the row of the API changes: one test for each line of the
//! table in docs/semantics.md.

use api_health_core::{AlertKind, ApiConfig, Status};

use super::{options, seconds, world};
use crate::system::Options;
use crate::testkit::channel::ChannelFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

/// A world with `a` down and told, and `b` well.
async fn in_an_outage() -> (FakeWorld, crate::system::Running) {
    let world = world(&["a", "b"]);
    let running = world.start(options()).await;
    seconds(20).await;
    world.targets.set("a", Behaviour::Refuses);
    seconds(30).await;
    assert_eq!(world.channels[0].lines(), ["a down"]);
    (world, running)
}

#[test]
fn an_api_that_is_removed_in_an_outage_is_closed_in_so_many_words() {
    in_virtual_time(async {
        let (world, _running) = in_an_outage().await;
        world.configs.set(vec![api("b", 10)]);
        seconds(5).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"]);
        let told = world.channels[0].delivered();
        let (down, closed) = (&told[0].1, &told[1].1);
        assert_eq!((closed.kind, &closed.incident_id), (AlertKind::Closed, &down.incident_id));
        assert!(closed.reason.starts_with("no longer watched: its row was removed; it was down: "), "{closed:?}");
        let record = world.store.record("a").unwrap();
        assert_eq!((record.status, record.incident, record.owed.len()), (Status::Unknown, None, 0));
        world.targets.set("a", Behaviour::Answers(200));
        seconds(300).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"], "and nothing more");
        world.configs.set(vec![api("a", 10), api("b", 10)]);
        seconds(30).await;
        assert_eq!(
            world.channels[0].lines(),
            ["a down", "a closed"],
            "it comes back as unknown, and up is nothing to tell"
        );
        assert_eq!(world.store.record("a").unwrap().status, Status::Up);
    });
}

#[test]
fn an_api_that_is_disabled_in_an_outage_is_closed_and_an_outage_after_it_is_a_new_one() {
    in_virtual_time(async {
        let (world, _running) = in_an_outage().await;
        let off = ApiConfig { enabled: false, ..api("a", 10) };
        world.configs.set(vec![off, api("b", 10)]);
        seconds(5).await;
        world.configs.set(vec![api("a", 10), api("b", 10)]);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed", "a down"]);
        let told = world.channels[0].delivered();
        assert!(told[1].1.reason.contains("it was disabled"), "{:?}", told[1]);
        assert_ne!(told[0].1.incident_id, told[2].1.incident_id);
    });
}

#[test]
fn an_api_that_was_removed_while_the_program_was_off_is_closed_at_the_next_start() {
    in_virtual_time(async {
        let (world, running) = in_an_outage().await;
        running.crash();
        world.configs.set(vec![api("b", 10)]);
        let running = world.start(options()).await;
        seconds(10).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"]);
        running.crash();
        let _again = world.start(options()).await;
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"], "once");
    });
}

#[test]
fn an_empty_an_unreachable_and_a_half_readable_source_close_nothing_at_a_start() {
    in_virtual_time(async {
        let (world, running) = in_an_outage().await;
        running.crash();
        world.configs.set(vec![]);
        let running = world.start(options()).await;
        seconds(30).await;
        world.configs.set_unavailable(true);
        seconds(30).await;
        running.crash();
        let running = world.start(options()).await;
        seconds(90).await;
        world.configs.set_unavailable(false);
        world.configs.set(vec![api("b", 10)]);
        world.configs.refuse("a");
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"], "a row that is refused is a row");
        running.crash();
        world.configs.set(vec![api("b", 10)]);
        let only_some = Options { closes_unconfigured: false, ..options() };
        let _running = world.start(only_some).await;
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down"], "where only some APIs are asked for");
    });
}

#[test]
fn another_url_keeps_the_incident_and_forgets_a_streak() {
    in_virtual_time(async {
        let (world, _running) = in_an_outage().await;
        let moved = |id: &str| ApiConfig { url: format!("http://{id}.moved.test/"), ..api(id, 10) };
        world.targets.set("a", Behaviour::Answers(200));
        while world.store.record("a").unwrap().streak.is_none() {
            seconds(1).await;
        }
        world.configs.set(vec![moved("a"), api("b", 10)]);
        let asked_before = world.store.record("a").unwrap().streak.unwrap().request_fingerprint;
        while world.store.record("a").unwrap().streak.is_some_and(|streak| streak.request_fingerprint == asked_before) {
            seconds(1).await;
        }
        assert_eq!(world.store.record("a").unwrap().streak.unwrap().count, 1, "one pass was of another URL");
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        let told = world.channels[0].delivered();
        assert_eq!(told[0].1.incident_id, told[1].1.incident_id);
        assert_eq!(told[1].1.url, "http://a.moved.test/", "the recovery names the URL that came back");
    });
}

#[test]
fn what_a_closed_api_owes_is_told_in_order_all_the_same() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(options()).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Unavailable);
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        world.configs.set(vec![api("renamed", 10), api("b", 10)]);
        seconds(30).await;
        running.crash();
        world.channels[0].set_fault(ChannelFault::None);
        let _again = world.start(options()).await;
        seconds(120).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"]);
        assert_eq!(world.store.record("renamed").unwrap().status, Status::Up, "another id is another API");
    });
}

#[test]
fn a_failed_delivery_is_in_the_record_and_goes_on_from_there_after_a_restart() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(Options { checkpoint: std::time::Duration::from_secs(5), ..options() }).await;
        seconds(20).await;
        world.channels[0].set_fault(ChannelFault::Permanent);
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        let delivery = world.store.record("a").unwrap().owed[0].deliveries[0].clone();
        assert_eq!((delivery.channel.as_str(), delivery.delivered, delivery.failures), ("pager", false, 1));
        assert_eq!(delivery.last_error.as_deref(), Some("planted; mend it"));
        assert!(delivery.next_try_at.is_some());
        running.crash();
        world.channels[0].set_fault(ChannelFault::None);
        let _again = world.start(options()).await;
        seconds(50).await;
        assert!(world.channels[0].lines().is_empty(), "the noted wait is heeded");
        seconds(15).await;
        assert_eq!(world.channels[0].lines(), ["a down"], "and no longer than a minute");
    });
}

#[test]
fn rows_that_are_all_disabled_while_the_program_is_off_are_closed() {
    in_virtual_time(async {
        let (world, running) = in_an_outage().await;
        running.crash();
        let off = |id: &str| ApiConfig { enabled: false, ..api(id, 10) };
        world.configs.set(vec![off("a"), off("b")]);
        let _again = world.start(options()).await;
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"]);
    });
}
