//! Names, as the built program looks them up on a machine whose files and name server are the test's own.

use std::process::Command;

use crate::alerts::Receiver;
use crate::apis::row_with;
use crate::cli::finish;
use crate::daemon::{Home, SOON, wait_for};
use crate::doctor::Found;
use crate::support::http::Server;
use crate::support::name_server::{NameServer, Reply};
use crate::support::own_network;

/// Its files are laid over those of the system, for this process and its children alone.
const FILES: &str = "
    mkdir /run/etc
    echo 'nameserver 127.0.0.1' >/run/etc/resolv.conf
    echo 'options timeout:1 attempts:1' >>/run/etc/resolv.conf
    echo 'hosts: files dns' >/run/etc/nsswitch.conf
    cp /etc/hosts /run/etc/hosts
    for file in resolv.conf nsswitch.conf hosts; do mount --bind /run/etc/$file /etc/$file; done
";

#[test]
fn a_dead_name_server_accuses_nobody_and_a_name_that_it_cannot_find_is_down() {
    let test = "names::a_dead_name_server_accuses_nobody_and_a_name_that_it_cannot_find_is_down";
    own_network::run(test, FILES, || {
        let target = Server::start();
        let receiver = Receiver::start();
        let at = |name: &str| target.url("/").replace("127.0.0.1", name);
        let apis = ["good", "bad", "by-hand"].map(|id| row_with(id, &at(&format!("{id}.test")), "timeout_seconds = 5"));
        let hook = receiver.settings().replace("127.0.0.1", "hook.test");
        let home = Home::new(&hook, &apis.concat());
        let probe = |id: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_api-health"));
            let ran = finish(command.args(["probe", id]).current_dir(home.path()));
            (ran.code, ran.out)
        };

        let (code, said) = probe("good");
        assert!(code == 2 && said.contains("no name server answers (asked: 127.0.0.1)"), "{said}");
        own_network::shell("echo >/run/etc/resolv.conf");
        let (code, said) = probe("good");
        assert!(code == 2 && said.contains("this machine has no name server"), "{said}");
        let daemon = home.run();
        daemon.wait_for_log("this machine has no name server");

        let server = NameServer::at(("127.0.0.1", 53), |name, _| match name {
            "good.test" | "hook.test" => Reply::Addresses(vec!["127.0.0.1".parse().unwrap()]),
            "bad.test" => Reply::Code(2),
            _ => Reply::Code(3),
        });
        own_network::shell("echo 'nameserver 127.0.0.1' >/run/etc/resolv.conf");
        let down = receiver.wait_for("bad", "down", SOON);
        let words = "name bad.test could not be looked up: name server 127.0.0.1 answered SERVFAIL";
        assert!(down.text("reason").starts_with(words), "{}", down.text("reason"));
        home.wait_for_state("good", "up", |state| state["status"] == "up");
        receiver.wait_for("by-hand", "down", SOON);
        own_network::shell("echo '127.0.0.1 by-hand.test' >>/run/etc/hosts");
        receiver.wait_for("by-hand", "up", SOON);
        wait_for("the webhook's name is asked for", SOON, || {
            server.asked().iter().any(|(name, _)| name == "hook.test").then_some(())
        });
        assert_eq!(receiver.told_of("good"), [""; 0]);
        assert_eq!(daemon.stop().code, Some(0));
    });
}

#[test]
fn doctor_says_where_nobody_could_tell_a_lost_way_out_from_outages() {
    let test = "names::doctor_says_where_nobody_could_tell_a_lost_way_out_from_outages";
    own_network::run(test, FILES, || {
        own_network::shell("echo 'nameserver 10.0.0.1' >/run/etc/resolv.conf");
        own_network::shell("echo '198.18.0.1 shop.test' >>/run/etc/hosts");
        let told = |settings: &str, urls: &[&str]| {
            let rows = urls.iter().enumerate().map(|(n, url)| row_with(&format!("a{n}"), url, ""));
            let ended = Home::new(settings, &rows.collect::<String>()).start(&["doctor", "--json"]).wait(SOON);
            let found = Found::new(ended.code.unwrap(), &ended.output);
            let warnings = found.all("api_hosts").into_iter().filter(|(result, ..)| *result == "warn");
            warnings.map(|(_, what, todo)| format!("{what} {todo}")).collect::<String>()
        };
        let few = ["http://shop.test/", "http://198.18.0.2/", "http://10.1.1.1/"];
        let words = told("", &few);
        assert!(
            words.contains("an outage of 2 APIs there: no witness") && words.contains("witnesses = \"1.1.1.1:443\""),
            "{words}"
        );
        assert!(told("[network]\nwitnesses = \"10.0.0.9:9\"\n", &few).contains("no witness is there"));
        assert_eq!(told("[network]\nwitnesses = \"198.18.0.9:9\"\n", &few), "");
        assert_eq!(told("", &["http://10.1.1.1/"]), "", "there is nothing in the internet");
        let many: Vec<String> = (1..6).map(|n| format!("http://198.18.0.{n}/")).collect();
        assert_eq!(told("", &many.iter().map(String::as_str).collect::<Vec<_>>()), "", "five on three tell");
    });
}
