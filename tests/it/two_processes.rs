//! Two processes on one pair of DynamoDB tables, as after a careless deployment: nothing is told twice and no state is lost.

use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use api_health_core::Timestamp;

use crate::alerts::Receiver;
use crate::cloud::Cloud;
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};

/// A claim of a process that died lapses after 30 s; and a busy machine.
const AFTER_THE_CLAIM: Duration = Duration::from_secs(90);

fn home(cloud: &Cloud, receiver: &Receiver) -> Home {
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    home.write("api-health.toml", &format!("[apis]\nreload_seconds = 5\n{}", receiver.settings()));
    home
}

fn version(cloud: &Cloud, api_id: &str) -> u64 {
    cloud.states()[api_id]["version"].as_n().unwrap().parse().unwrap()
}

/// The lines that warn of another process, which must not come with every conflict.
fn warnings(log: &str) -> usize {
    log.matches("somebody else wrote this record").count()
}

#[test]
fn two_processes_tell_every_change_once_and_lose_no_state() {
    const FLAPS: usize = 6;
    let cloud = Cloud::new();
    let (target, receiver) = (Server::start(), Receiver::start());
    let apis = ["shop", "till", "steady"];
    for api_id in apis {
        cloud.put_row(api_id, &target.url(&format!("/{api_id}")), &[]);
    }
    let homes = [home(&cloud, &receiver), home(&cloud, &receiver)];
    let daemons: Vec<Daemon> = homes.iter().map(Home::run).collect();
    for api_id in apis {
        cloud.wait_for_status(api_id, "up", 0);
    }
    for daemon in &daemons {
        daemon.wait_for_log("configs applied");
    }
    let mut versions = vec![version(&cloud, "shop")];
    let told = |api_id: &str| receiver.told_of(api_id).len();
    for flap in 0..FLAPS {
        for (answer, status) in [(Answer::Status(500), "down"), (Answer::Status(200), "up")] {
            let expected = told("shop") + 1;
            target.set("/shop", answer.clone());
            target.set("/till", answer);
            for api_id in ["shop", "till"] {
                wait_for(&format!("{status} of {api_id}, flap {flap}"), SOON, || {
                    (told(api_id) >= expected).then_some(())
                });
                cloud.wait_for_status(api_id, status, 0);
            }
            versions.push(version(&cloud, "shop"));
        }
    }
    let_pass(Duration::from_secs(3));
    for api_id in ["shop", "till"] {
        assert_eq!(receiver.told_of(api_id), ["down", "up"].repeat(FLAPS), "{api_id}");
    }
    assert_eq!(told("steady"), 0);
    let ids: Vec<String> = receiver.received().iter().map(|r| r.text("alert_id").to_owned()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "each alert once: {ids:?}");
    assert!(versions.windows(2).all(|two| two[0] < two[1]), "{versions:?}");
    let mut warned = 0;
    for daemon in daemons {
        let ended = daemon.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        let count = warnings(&ended.log);
        assert!(count <= 3, "a line a minute at most, and not one for each conflict: {count}");
        warned += count;
        assert!(!ended.log.contains("does not take writes"), "{}", ended.log);
    }
    assert!(warned > 0, "it is said that another one runs");
    for api_id in apis {
        let state = cloud.states().remove(api_id).unwrap();
        assert_eq!(state["status"].as_s().unwrap(), "up");
        assert!(state["owed"].as_l().unwrap().is_empty());
    }
}

#[test]
fn what_a_killed_process_had_claimed_is_told_by_the_other_once_under_the_same_id() {
    let cloud = Cloud::new();
    let (target, receiver) = (Server::start(), Receiver::start());
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let homes = [home(&cloud, &receiver), home(&cloud, &receiver)];
    let mut daemons: Vec<Daemon> = homes.iter().map(Home::run).collect();
    cloud.wait_for_status("shop", "up", 0);
    for daemon in &daemons {
        daemon.wait_for_log("configs applied");
    }
    receiver.answer(Answer::Hang);
    target.set("/shop", Answer::Status(500));
    let (holder, until) = wait_for("a claim", SOON, || {
        let state = cloud.states().remove("shop")?;
        let claim = state.get("claim")?.as_m().unwrap();
        let pid: u32 = claim["by"].as_s().unwrap().rsplit(':').nth(1)?.parse().unwrap();
        Some((pid, Timestamp::parse(claim["until"].as_s().unwrap()).unwrap()))
    });
    let index = daemons.iter().position(|daemon| daemon.pid() == holder).expect("one of the two");
    assert_eq!(daemons.remove(index).kill().code, None);
    receiver.answer(Answer::Status(200));
    let owed = cloud.states()["shop"]["owed"].as_l().unwrap()[0].as_m().unwrap()["alert_id"].as_s().unwrap().clone();
    let down = receiver.wait_for("shop", "down", AFTER_THE_CLAIM);
    assert_eq!(down.text("alert_id"), owed);
    let until = UNIX_EPOCH + Duration::from_millis(u64::try_from(until.as_millis()).unwrap());
    assert!(down.at >= until, "not before the claim lapsed");
    cloud.wait_for_status("shop", "down", 0);
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    cloud.wait_for_status("shop", "up", 0);
    let_pass(Duration::from_secs(3));
    assert_eq!(receiver.told_of("shop"), ["down", "up"]);
    let ended = daemons.remove(0).stop();
    assert_eq!(ended.code, Some(0), "{}", ended.log);
}
