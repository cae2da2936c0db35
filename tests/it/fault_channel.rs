//! Every fault between the monitor and a channel, for the alerts of one API: it is told in order afterwards, with the
//! times at which it happened and how late it is, and no other alert waits.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::alerts::{Received, Receiver, settings_for};
use crate::apis::rows;
use crate::cloud::Cloud;
use crate::daemon::{Daemon, Home, SOON, let_pass, wait_for};
use crate::support::http::{Answer, Server};
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::support::moto::Moto;

/// The next try comes within a minute, and a busy machine.
const BACK: Duration = Duration::from_secs(90);

/// How far a time in an alert may be from the true one: a tick, and a busy machine.
const NEAR: Duration = Duration::from_secs(15);

/// A change is dated to the start of the probe that saw it, which may lie before the change by as long as that took.
const PROBE: Duration = Duration::from_secs(3);

/// The faults that have nothing to do with what HTTP says.
fn of_the_network() -> Vec<Fault> {
    let slow = Fault::Trickle(Duration::from_millis(400));
    vec![Fault::Hang, Fault::Reset, Fault::Close, Fault::LoseAnswer, slow, Fault::CutHead, Fault::garbage()]
}

/// A daemon with an SQLite file, a target, and a channel whose alerts of `shop` are struck.
struct Struck<'a> {
    home: &'a Home,
    target: &'a Server,
    fault: &'a Fault,
    proxy: &'a HttpProxy,
}

/// When `shop` really went down, and came back.
struct Happened {
    down: SystemTime,
    up: SystemTime,
}

impl Struck<'_> {
    /// `shop` goes down and comes back while its alerts are struck; `other` goes down, and `told` sees to it that it is
    /// told at once.
    fn outage(&self, daemon: &Daemon, told: impl Fn()) -> Happened {
        let Self { home, target, fault, proxy } = self;
        for api_id in ["shop", "other"] {
            home.wait_for_state(api_id, "up", |state| state["status"] == "up");
        }
        match fault {
            Fault::Refuse => proxy.strike(Fault::Refuse),
            _ => proxy.strike_only((*fault).clone(), "shop"),
        }
        let down = target.set("/shop", Answer::Status(503));
        home.wait_for_state("shop", "down", |state| state["status"] == "down");
        daemon.wait_for_log("alert not delivered yet");
        if **fault != Fault::Refuse {
            target.set("/other", Answer::Status(503));
            told();
        }
        let up = target.set("/shop", Answer::Status(200));
        let state = home.wait_for_state("shop", "up again", |state| state["status"] == "up");
        assert_eq!(state["owed"].as_array().unwrap().len(), 2, "{fault:?}: {state}");
        Happened { down, up }
    }

    fn mended(&self) {
        self.proxy.mend();
        let owed = || self.home.states()["shop"]["owed"] != json!([]);
        wait_for(&format!("{:?}: nothing is owed", self.fault), BACK, || (!owed()).then_some(()));
        let_pass(Duration::from_secs(1));
    }
}

/// Down and up of `shop`, each told once under an id of its own, or again where no answer came.
fn check_told(fault: &Fault, told: &[Received], happened: &Happened) {
    let mut once: Vec<&Received> = Vec::new();
    for received in told {
        match once.iter().find(|first| first.text("alert_id") == received.text("alert_id")) {
            None => once.push(received),
            Some(_) => assert!(fault.takes_effect(), "{fault:?}: told twice: {received:?}"),
        }
    }
    let kinds: Vec<&str> = once.iter().map(|received| received.text("kind")).collect();
    assert_eq!(kinds, ["down", "up"], "{fault:?}: {told:?}");
    let ups = told.iter().filter(|received| received.text("kind") == "up").count();
    assert_eq!((told[told.len() - 1].text("kind"), ups), ("up", 1), "{fault:?}: {told:?}");
    assert_eq!(once[0].text("incident_id"), once[1].text("incident_id"));
    for (received, truly) in once.iter().zip([happened.down, happened.up]) {
        let told = received.time("happened_at");
        assert!(told + PROBE >= truly && told < truly + NEAR, "{fault:?}: {received:?}, {truly:?}");
    }
}

/// How late an alert says it is, against when it came.
fn check_late(fault: &Fault, received: &Received) {
    let waited = received.at.duration_since(received.time("detected_at")).unwrap().as_secs();
    let says = received.alert["late_seconds"].as_u64().unwrap();
    assert!(says <= waited && waited <= says + NEAR.as_secs(), "{fault:?}: {says} s late, and came after {waited} s");
}

fn webhook(fault: &Fault) {
    let (target, receiver) = (Server::start(), Receiver::start());
    let proxy = HttpProxy::to(receiver.server.port);
    let home = Home::new(&settings_for(&proxy.url("/hook"), 2), &rows(&target, &["shop", "other"]));
    let daemon = home.run();
    let struck = Struck { home: &home, target: &target, fault, proxy: &proxy };
    let happened = struck.outage(&daemon, || drop(receiver.wait_for("other", "down", SOON)));
    struck.mended();
    let told: Vec<Received> = receiver.received().into_iter().filter(|r| r.text("api_id") == "shop").collect();
    check_told(fault, &told, &happened);
    told.iter().for_each(|received| check_late(fault, received));
    if matches!(fault, Fault::Answer(bytes) if bytes.starts_with(b"HTTP/1.1 429")) {
        let waits =
            |line: &Value| line["message"] == "alert not delivered yet" && line["retry_seconds"].as_f64() < Some(3.0);
        assert!(!daemon.lines().iter().any(waits), "it asked for 3 s: {}", daemon.log());
    }
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn each_fault_of_a_webhook_delays_the_alerts_that_it_strikes_and_no_others() {
    let mut faults = of_the_network();
    faults.push(Fault::answer("503 Service Unavailable", "", "<h1>503</h1>"));
    faults.push(Fault::answer("429 Too Many Requests", "retry-after: 3\r\n", "slow down"));
    std::thread::scope(|scope| faults.iter().for_each(|fault| drop(scope.spawn(move || webhook(fault)))));
}

/// A webhook says yes by its status; what follows that is nobody's.
#[test]
fn a_webhook_whose_answer_is_nonsense_behind_a_status_of_200_has_taken_the_alert_over() {
    let (target, receiver) = (Server::start(), Receiver::start());
    let proxy = HttpProxy::to(receiver.server.port);
    let home = Home::new(&settings_for(&proxy.url("/hook"), 5), &rows(&target, &["shop", "other"]));
    let daemon = home.run();
    for (api_id, fault) in [("shop", Fault::CutBody), ("other", Fault::html_page())] {
        home.wait_for_state(api_id, "up", |state| state["status"] == "up");
        proxy.strike(fault);
        let struck = proxy.struck();
        target.set(&format!("/{api_id}"), Answer::Status(500));
        wait_for("the alert", SOON, || (proxy.struck() > struck).then_some(()));
        home.wait_for_state(api_id, "told", |state| state["status"] == "down" && state["owed"] == json!([]));
    }
    let_pass(Duration::from_secs(2));
    assert_eq!(proxy.struck(), 2);
    assert_eq!(daemon.stop().code, Some(0));
}

fn sns(fault: &Fault) {
    let cloud = Cloud::new();
    let target = Server::start();
    let proxy = HttpProxy::to(Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap());
    let mut home = Home::new("", &rows(&target, &["shop", "other"]));
    for (name, value) in Moto::shared().environment() {
        home.env(name, value);
    }
    home.env("AWS_ENDPOINT_URL_SNS", proxy.url("")).env("SNS_TOPIC_ARN", &cloud.topic_arn);
    let daemon = home.run();
    let struck = Struck { home: &home, target: &target, fault, proxy: &proxy };
    let other = || {
        let told = |state: &Value| state["status"] == "down" && state["owed"] == json!([]);
        home.wait_for_state("other", "told", told);
        cloud.wait_for("other", "down", SOON);
    };
    let happened = struck.outage(&daemon, other);
    struck.mended();
    let told = cloud.received().into_iter().filter(|alert| alert["api_id"] == "shop");
    let told: Vec<Received> = told.map(|alert| Received { at: happened.up, alert }).collect();
    check_told(fault, &told, &happened);
    assert_eq!(daemon.stop().code, Some(0));
}

#[test]
fn each_fault_of_sns_delays_the_alerts_that_it_strikes_and_no_others() {
    let error = |status: &str, code: &str| {
        let body = format!(
            "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}\
             </Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        Fault::answer(status, "content-type: text/xml\r\n", &body)
    };
    let mut faults = of_the_network();
    faults.extend([
        Fault::Refuse,
        Fault::CutBody,
        error("400 Bad Request", "Throttling"),
        error("500 Internal Server Error", "InternalFailure"),
        Fault::answer("503 Service Unavailable", "content-type: text/html\r\n", "<h1>503</h1>"),
        Fault::html_page(),
        Fault::answer("200 OK", "content-type: text/xml\r\n", "<Wrong><Answer/></Wrong>"),
        Fault::answer("200 OK", "content-type: application/json\r\n", "{\"ok\": true}"),
        Fault::answer("200 OK", "", ""),
    ]);
    std::thread::scope(|scope| faults.iter().for_each(|fault| drop(scope.spawn(move || sns(fault)))));
}
