//! Our own network, resolver and clock are at fault: no API is told for it, and what is so is told once.

use std::time::Duration;

use api_health_core::Status;

use super::{options, seconds};
use crate::system::Running;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, api, in_virtual_time};

/// A world of so many APIs that are probed each 10 s, up and running.
async fn running(count: usize) -> (FakeWorld, Running) {
    let world = FakeWorld::new((0..count).map(|n| api(&format!("a{n}"), 10)).collect());
    let running = world.start(options()).await;
    seconds(30).await;
    assert_eq!(world.channels[0].lines(), [""; 0]);
    (world, running)
}

fn lose(world: &FakeWorld) {
    world.targets.set_line(Some(Behaviour::Hangs));
    world.witnesses.set_well(false);
}

fn recover(world: &FakeWorld) {
    world.targets.set_line(None);
    world.witnesses.set_well(true);
}

fn status(world: &FakeWorld, id: &str) -> Status {
    world.store.record(id).map_or(Status::Unknown, |state| state.status)
}

#[test]
fn a_lost_network_is_told_once_and_no_api_for_it() {
    for count in [1, 5, 1_000] {
        in_virtual_time(async {
            let (world, running) = running(count).await;
            lose(&world);
            seconds(60).await;
            assert_eq!(world.channels[0].lines(), ["api-health:network down"]);
            let words = world.channels[0].delivered()[0].1.reason.clone();
            assert!(
                words.starts_with("the IPv4 network of this machine is at fault, by all signs: no answer from"),
                "{words}"
            );
            assert!(words.ends_with(&format!("of {count} APIs cannot be judged so far")), "{words}");
            recover(&world);
            seconds(60).await;
            assert_eq!(world.channels[0].lines(), ["api-health:network down", "api-health:network up"]);
            running.flush(false, Duration::from_secs(60)).await;
            assert_eq!(status(&world, "a0"), Status::Up);
        });
    }
}

#[test]
fn what_began_while_the_network_was_gone_and_ends_when_it_is_back_accuses_nobody() {
    in_virtual_time(async {
        let hasty = |n| api_health_core::ApiConfig { failure_threshold: 1, ..api(&format!("a{n}"), 10) };
        let world = FakeWorld::new((0..50).map(hasty).collect());
        let _running = world.start(options()).await;
        seconds(30).await;
        for lasts in [7_000, 20_300, 31_700] {
            lose(&world);
            tokio::time::sleep(Duration::from_millis(lasts)).await;
            recover(&world);
            seconds(60).await;
        }
        assert_eq!(world.channels[0].lines_of_apis(), [""; 0]);
    });
}

#[test]
fn a_witness_that_is_well_makes_it_the_apis_own() {
    in_virtual_time(async {
        let (world, _running) = running(1).await;
        world.targets.set("a0", Behaviour::Hangs);
        world.witnesses.set(&[("name server", false), ("server", true)]);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a0 down"]);
    });
}

/// By a witness that is well, and where none votes by another API that is reached.
#[test]
fn that_there_is_no_way_to_one_api_hides_no_outage_of_another() {
    for witnesses in [&[("server", true)][..], &[]] {
        in_virtual_time(async {
            let world = FakeWorld::new(vec![api("a0", 1), api("a1", 10), api("a2", 10)]);
            world.witnesses.set(witnesses);
            let _running = world.start(options()).await;
            seconds(30).await;
            world.targets.set("a0", Behaviour::NoRoute);
            world.targets.set("a1", Behaviour::Hangs);
            seconds(120).await;
            assert_eq!(world.channels[0].lines(), ["a1 down"], "{witnesses:?}");
        });
    }
}

#[test]
fn while_all_is_well_nobody_is_asked_and_of_many_that_wait_one_asks() {
    in_virtual_time(async {
        let (world, _running) = running(100).await;
        assert!(world.witnesses.take_asked().len() <= 3, "once, soon after the start");
        seconds(600).await;
        assert_eq!(world.witnesses.take_asked(), []);
        lose(&world);
        seconds(60).await;
        let asked = world.witnesses.take_asked().len();
        assert!((5..100).contains(&asked), "{asked} times for hundreds of failures");
    });
}

#[test]
fn without_a_vote_five_that_fail_at_once_are_our_network_and_four_are_not() {
    for (count, told) in [(4, vec!["a0 down", "a1 down", "a2 down", "a3 down"]), (20, vec!["api-health:network down"])]
    {
        in_virtual_time(async {
            let world = FakeWorld::new((0..count).map(|n| api(&format!("a{n}"), 10)).collect());
            world.witnesses.set(&[]);
            let _running = world.start(options()).await;
            seconds(30).await;
            world.targets.set_line(Some(Behaviour::Hangs));
            seconds(60).await;
            let mut lines = world.channels[0].lines();
            lines.sort();
            assert_eq!(lines, told);
        });
    }
}

#[test]
fn a_dead_resolver_is_ours_and_a_name_that_fails_alone_is_its_own() {
    in_virtual_time(async {
        let (world, _running) = running(3).await;
        world.targets.set_line(Some(Behaviour::LookupFails));
        world.witnesses.set(&[("name server", false)]);
        seconds(40).await;
        assert_eq!(world.channels[0].lines(), ["api-health:network down"]);
        world.targets.set_line(None);
        world.targets.set("a1", Behaviour::LookupFails);
        world.witnesses.set(&[("name server", true)]);
        seconds(60).await;
        let mut lines = world.channels[0].lines();
        lines.sort();
        assert_eq!(lines, ["a1 down", "api-health:network down", "api-health:network up"]);
    });
}

#[test]
fn a_network_that_comes_and_goes_is_no_storm() {
    in_virtual_time(async {
        let (world, _running) = running(10).await;
        for _ in 0..60 {
            lose(&world);
            seconds(20).await;
            recover(&world);
            seconds(20).await;
        }
        seconds(600).await;
        let lines = world.channels[0].lines();
        assert!((2..=16).contains(&lines.len()), "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("api-health:network")), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("api-health:network up"));
    });
}

#[test]
fn a_restart_tells_the_end_of_what_a_process_before_it_told() {
    in_virtual_time(async {
        let (world, first) = running(3).await;
        lose(&world);
        seconds(60).await;
        first.flush(true, Duration::from_secs(60)).await;
        first.crash();
        recover(&world);
        let _second = world.start(options()).await;
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:network down", "api-health:network up"]);
    });
}

#[test]
fn certificates_that_are_over_for_all_at_once_are_our_clock_and_one_is_its_own() {
    in_virtual_time(async {
        let (world, _running) = running(8).await;
        world.targets.set("a3", Behaviour::CertificateOver);
        seconds(40).await;
        assert_eq!(world.channels[0].lines(), ["a3 down"]);
    });
    in_virtual_time(async {
        let (world, _running) = running(8).await;
        world.targets.set_line(Some(Behaviour::CertificateOver));
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:clock down"]);
        world.targets.set_line(None);
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:clock down", "api-health:clock up"]);
    });
}

#[test]
fn a_clock_that_is_days_behind_our_own_store_is_said() {
    in_virtual_time(async {
        let (world, first) = running(1).await;
        first.flush(false, Duration::from_secs(60)).await;
        drop(first);
        world.targets.set_line(Some(Behaviour::CertificateOver));
        world.clock.step(-3 * 86_400_000);
        let _second = world.start(options()).await;
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:clock down"], "and not the API");
        world.targets.set_line(None);
        world.clock.step(3 * 86_400_000);
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["api-health:clock down", "api-health:clock up"]);
    });
}

#[test]
fn of_whom_nothing_can_be_told_is_told_once_and_once_when_it_can() {
    in_virtual_time(async {
        let (world, _running) = running(2).await;
        world.targets.set("a0", Behaviour::CannotBeAsked);
        seconds(290).await;
        assert_eq!(world.channels[0].lines(), [""; 0]);
        seconds(3_000).await;
        assert_eq!(world.channels[0].lines(), ["api-health:unclear:a0 down"]);
        world.targets.set("a0", Behaviour::Answers(200));
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["api-health:unclear:a0 down", "api-health:unclear:a0 up"]);
        let told = world.channels[0].delivered();
        assert_eq!(told[1].1.previous_status, Status::Up, "the status that the API has by itself");
    });
}

#[test]
fn while_the_network_is_told_nobody_is_told_as_unclear_and_who_still_is_so_after_it_is() {
    in_virtual_time(async {
        let (world, _running) = running(50).await;
        lose(&world);
        seconds(1_800).await;
        assert_eq!(world.channels[0].lines(), ["api-health:network down"]);
        world.targets.set("a7", Behaviour::CannotBeAsked);
        recover(&world);
        seconds(120).await;
        let lines = world.channels[0].lines();
        assert_eq!(lines, ["api-health:network down", "api-health:network up", "api-health:unclear:a7 down"]);
    });
}

#[test]
fn a_kill_forgets_nobody_who_is_unclear_and_a_row_that_goes_closes_it() {
    in_virtual_time(async {
        let (world, first) = running(3).await;
        world.targets.set("a0", Behaviour::CannotBeAsked);
        world.targets.set("a1", Behaviour::CannotBeAsked);
        seconds(400).await;
        first.flush(true, Duration::from_secs(60)).await;
        first.crash();
        world.targets.set("a0", Behaviour::Answers(200));
        let second = world.start(options()).await;
        seconds(60).await;
        world.configs.set(vec![api("a0", 10), api("a2", 10)]);
        second.reload().await;
        seconds(30).await;
        let mut lines = world.channels[0].lines();
        lines.sort();
        let told = ["0 down", "0 up", "1 closed", "1 down"].map(|what| format!("api-health:unclear:a{what}"));
        assert_eq!(lines, told);
    });
}

#[test]
fn what_all_apis_lack_alike_is_told_as_one_thing_of_ours_and_what_one_lacks_is_unclear() {
    let dead_proxy =
        (Behaviour::ProxyIsDead, Behaviour::AnswersByProxy, "the proxy proxy:3128 refused the connection; ");
    let no_descriptors =
        (Behaviour::CannotBeAsked, Behaviour::Answers(200), "this machine has no file descriptors left");
    for (lacks, well, words) in [dead_proxy, no_descriptors] {
        for count in [2, 20] {
            in_virtual_time(async {
                let (world, _running) = running(count).await;
                world.targets.set_line(Some(lacks));
                seconds(1_800).await;
                assert_eq!(world.channels[0].lines(), ["api-health:network down"], "{count}");
                let told = world.channels[0].delivered()[0].1.reason.clone();
                assert!(told.starts_with(words), "{told}");
                world.targets.set_line(Some(well));
                seconds(60).await;
                let lines = world.channels[0].lines();
                assert_eq!(lines, ["api-health:network down", "api-health:network up"], "{count}");
            });
        }
        in_virtual_time(async {
            let (world, _running) = running(3).await;
            world.targets.set_line(Some(well));
            seconds(20).await;
            world.targets.set_line(None);
            world.targets.set("a0", lacks);
            world.targets.set("a1", well);
            seconds(1_800).await;
            assert_eq!(world.channels[0].lines(), ["api-health:unclear:a0 down"]);
        });
    }
}

/// The only witness is gone for good: an API that goes down is told as soon as others have shown that the network is well.
#[test]
fn a_witness_that_is_gone_for_good_hides_no_outage_for_long() {
    in_virtual_time(async {
        let world = FakeWorld::new(vec![api("a0", 60), api("a1", 60), api("a2", 60)]);
        world.witnesses.set(&[("server", true)]);
        let _running = world.start(options()).await;
        seconds(90).await;
        world.witnesses.set_well(false);
        world.targets.set("a0", Behaviour::Hangs);
        seconds(900).await;
        assert_eq!(world.channels[0].lines_of_apis(), ["a0 down"]);
        world.witnesses.set_well(true);
        seconds(120).await;
        let known = world.channels[0].lines();
        lose(&world);
        seconds(120).await;
        let lines = world.channels[0].lines();
        assert_eq!(lines[known.len()..], ["api-health:network down"], "it votes again when it has answered");
    });
}

#[test]
fn a_certificate_that_is_good_ends_the_fault_of_a_clock_that_a_record_of_the_store_accused() {
    in_virtual_time(async {
        let (world, first) = running(1).await;
        first.flush(false, Duration::from_secs(60)).await;
        drop(first);
        world.targets.set_line(Some(Behaviour::Hangs));
        world.witnesses.set(&[]);
        world.clock.step(-3 * 86_400_000);
        let _second = world.start(options()).await;
        seconds(30).await;
        assert!(world.channels[0].lines().contains(&"api-health:clock down".to_owned()));
        world.targets.set_line(None);
        seconds(60).await;
        let lines = world.channels[0].lines();
        assert_eq!(lines.iter().filter(|line| line.starts_with("api-health:clock")).count(), 2, "{lines:?}");
        assert!(lines.contains(&"api-health:clock up".to_owned()), "{lines:?}");
    });
}
