//! The page in the program, from outside: where it is, who may look, and that it costs the probing nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::alerts::Receiver;
use crate::apis::row_with;
use crate::cli::Place;
use crate::cloud::Cloud;
use crate::daemon::{Daemon, Home, SOON, wait_for};
use crate::fleet::machine;
use crate::support::http::{Answer, Server};

/// A port that is taken is tried again each minute, and the machine is busy.
const TRIED_AGAIN: Duration = Duration::from_secs(240);

/// Two that share the tables have found each other by then.
const SETTLED: Duration = Duration::from_secs(240);

/// Where the page of this daemon is.
pub(crate) fn page_of(daemon: &Daemon) -> String {
    wait_for("the page", SOON, || {
        let log = daemon.log();
        let (_, after) = log.split_once("the page is at http://")?;
        after.split_once('/').map(|(address, _)| address.to_owned())
    })
}

/// Status and text of what it answers.
pub(crate) fn get(address: &str, path: &str, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn run_says_where_the_page_is_and_it_shows_what_is_watched() {
    let target = Server::start();
    target.set("/down", Answer::Status(500));
    let rows = [
        row_with("up", &target.url("/up"), ""),
        row_with("down", &target.url("/down"), "failure_threshold = 1"),
        row_with("switched-off", &target.url("/off"), "enabled = false"),
    ];
    let home = Home::new("", &rows.concat());
    let daemon = home.run();
    let address = page_of(&daemon);
    wait_for("ready", SOON, || (get(&address, "/readyz", "") == (200, "ready\n".into())).then_some(()));
    wait_for("what is down", SOON, || get(&address, "/", "").1.contains("1 of ").then_some(()));
    assert!(get(&address, "/", "").1.contains("switched-off"), "what is configured and not watched is there, too");
    assert_eq!(daemon.stop().code, Some(0));
    assert!(TcpStream::connect(&address).is_err(), "it ends with the daemon");
    let once = home.once(&[]);
    assert!(once.code == Some(0) && !once.log.contains("the page is at"), "{once:?}");
}

#[test]
fn a_port_that_is_taken_costs_the_page_and_never_the_probing() {
    let target = Server::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut home = Home::new("", &row_with("shop", &target.url("/shop"), ""));
    home.env("API_HEALTH_LISTEN", &address);
    let daemon = home.run();
    daemon.wait_for_log("there is no page; probing goes on");
    home.wait_for_state("shop", "up", |state| state["status"] == "up");
    drop(taken);
    wait_for("the page", TRIED_AGAIN, || daemon.log().contains("the page is at").then_some(()));
    assert_eq!(get(&address, "/healthz", "").0, 200);
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.log.matches("there is no page").count(), 1, "{}", ended.log);
}

#[test]
fn from_other_machines_it_takes_a_token() {
    let place = Place::new();
    place.write("api-health.toml", "[web]\nlisten = \"0.0.0.0:0\"\n");
    let refused = place.run(&["run", "http://127.0.0.1:1/"]);
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.err.contains("web.listen: \"0.0.0.0:0\" can be reached from other machines"), "{refused:?}");

    let made = place.json(&["web", "token"]);
    let (token, hash) = (made["token"].as_str().unwrap(), made["sha256"].as_str().unwrap());
    assert!(token.len() == 43 && place.ok(&["web", "token"]).contains("tokens = [\"sha256:"), "{made}");
    let mut home = Home::new(&format!("[web]\ntokens = {hash:?}\n"), &row_with("a", "http://127.0.0.1:1/", ""));
    home.env("API_HEALTH_LISTEN", "0.0.0.0:0");
    let daemon = home.run();
    let address = page_of(&daemon);
    assert!(address.starts_with("127.0.0.1:"), "a link that a browser can follow: {address}");
    let elsewhere = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(get(&address, "/", elsewhere).0, 401);
    let with_token = format!("{elsewhere}Authorization: Bearer {token}\r\n");
    assert_ne!(get(&address, "/", &with_token).0, 401);
    assert!(!daemon.log().contains(token));
    let shown = home.start(&["settings", "show"]).wait(SOON);
    assert!(!shown.output.contains(hash) && shown.output.contains(&hash[..15]), "{}", shown.output);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn two_workers_show_each_the_whole_fleet() {
    let (cloud, target, receiver) = (Cloud::new(), Server::start(), Receiver::start());
    let ids: Vec<String> = (0..6).map(|n| format!("shop-{n}")).collect();
    for id in &ids {
        target.set(&format!("/{id}"), Answer::Status(503));
        cloud.put_row(id, &target.url(&format!("/{id}")), &[]);
    }
    let homes = [machine(&cloud, &receiver), machine(&cloud, &receiver)];
    let daemons = [homes[0].run(), homes[1].run()];
    wait_for("both have a part", SETTLED, || {
        let fleet = homes[0].start(&["fleet", "--json"]).wait(SETTLED).output;
        let fleet: serde_json::Value = serde_json::from_str(&fleet).unwrap_or_default();
        let workers = fleet["workers"].as_array()?;
        let have_some =
            |worker: &serde_json::Value| worker["shards"].as_array().is_some_and(|shards| shards.len() == 32);
        (workers.len() == 2 && workers.iter().all(have_some)).then_some(())
    });
    for daemon in &daemons {
        let address = page_of(daemon);
        wait_for("all that is down", SETTLED, || get(&address, "/", "").1.contains("6 of 6").then_some(()));
    }
    for daemon in daemons {
        assert_eq!(daemon.stop().code, Some(0));
    }
}
