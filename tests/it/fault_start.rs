//! A start while the store is faulty: it waits, and then goes on where the last life ended.

use std::time::Duration;

use crate::alerts::Receiver;
use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::support::moto::Moto;

fn a_start_through(fault: &Fault) {
    let cloud = Cloud::new();
    let (target, receiver) = (Server::start(), Receiver::start());
    let proxy = HttpProxy::to(Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap());
    cloud.put_row("shop", &target.url("/shop"), &[]);
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    home.env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url(""));
    home.write("api-health.toml", &receiver.settings());
    target.set("/shop", Answer::Status(500));
    let daemon = home.run();
    receiver.wait_for("shop", "down", SOON);
    cloud.wait_for_status("shop", "down", 0);
    assert_eq!(daemon.kill().code, None);

    proxy.strike(fault.clone());
    let hits = target.hits("/shop");
    let daemon = home.run();
    daemon.wait_for_log("the store does not answer; waiting for it");
    let_pass(Duration::from_secs(2));
    assert_eq!(target.hits("/shop"), hits, "{fault:?}: probed without knowing what was told");
    proxy.mend();
    wait_for("probes", SOON, || (target.hits("/shop") >= hits + 3).then_some(()));
    target.set("/shop", Answer::Status(200));
    receiver.wait_for("shop", "up", SOON);
    assert_eq!(receiver.told_of("shop"), ["down", "up"], "{fault:?}");
    let ended = daemon.stop();
    assert_eq!(ended.code, Some(0), "{fault:?}: {}", ended.log);
}

#[test]
fn a_start_while_dynamodb_is_faulty_waits_for_it_and_tells_no_second_down() {
    let throttled = "{\"__type\":\"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException\"}";
    let faults = [
        Fault::Refuse,
        Fault::Hang,
        Fault::Reset,
        Fault::Close,
        Fault::LoseAnswer,
        Fault::CutHead,
        Fault::CutBody,
        Fault::garbage(),
        Fault::html_page(),
        Fault::answer("200 OK", "", ""),
        Fault::answer("200 OK", "content-type: application/x-amz-json-1.0\r\n", "{}"),
        Fault::answer("503 Service Unavailable", "", "<h1>503</h1>"),
        Fault::answer("400 Bad Request", "content-type: application/x-amz-json-1.0\r\n", throttled),
    ];
    std::thread::scope(|scope| faults.iter().for_each(|fault| drop(scope.spawn(move || a_start_through(fault)))));
}
