//! Other ways to ask than a plain request: certificates and tokens of ours, HTTP/2, streams, HEAD, connections, and name servers.

use std::sync::Arc;
use std::time::Duration;

use crate::certificates::Authority;
use crate::far::Switch;
use crate::name_server::Said;
use crate::play::{Act, End, Play, Step, by_request, http, steps, well};
use crate::scenario::{Scenario, id, outage, unclear, untold};
use crate::world::{FAR, NAME_SERVER, World, replace};

use super::{down_with, fine};

pub(super) fn add(world: &mut World) {
    client_certificates(world);
    a_renewed_certificate(world);
    http_2(world);
    streams(world);
    heads(world);
    tokens(world);
    connections(world);
    name_servers(world);
    one_backend(world);
}

/// The URL of a server of this name with a good certificate, what it is when it is well, and its port's switch.
fn by_tls(world: &mut World, name: &str, scheme: &str, bad: impl FnOnce(&Authority, &str) -> Act) -> (String, Switch) {
    let host = world.name(&id(name), &[FAR.into()]);
    let good = well().over(&world.authority.server(&[&host])).serve();
    let target = world.far.target(good.clone());
    let switch = target.switch(good, bad(&world.authority, &host).serve());
    (format!("{scheme}://{host}:{}", target.port), switch)
}

fn client_certificates(world: &mut World) {
    let (certificate, key) = world.authority.client();
    world.home.write("client.pem", &certificate);
    world.home.write("client.key", &key);
    let file = |world: &World, name: &str| world.home.path().join(name).display().to_string();
    let fields = format!(
        "client_certificate = \"${{file:{}}}\"\nclient_key = \"{}\"",
        file(world, "client.pem"),
        file(world, "client.key")
    );
    let name = "a certificate wanted of us that we have";
    let (url, switch) =
        by_tls(world, name, "https", |authority, host| well().over(&authority.server_that_wants_one(&[host])));
    world.add(Scenario::of_one(name, &url, &fields, untold(switch)));
    let name = "our certificate is taken no more";
    let (url, switch) = by_tls(world, name, "https", |authority, host| {
        well().over(&Authority::new("other people").server_that_wants_one_by(authority, &[host]))
    });
    world.add(Scenario::of_one(name, &url, &fields, outage(switch, &["refused the client certificate"])));
}

/// The server lets other people in from now on; all is well when the files hold a certificate of theirs.
fn a_renewed_certificate(world: &mut World) {
    let name = "our certificate is renewed";
    let (host, others) = (world.name(&id(name), &[FAR.into()]), Authority::new("people of tomorrow"));
    let good = well().over(&world.authority.server_that_wants_one(&[&host])).serve();
    let bad = well().over(&others.server_that_wants_one_by(&world.authority, &[&host])).serve();
    let target = world.far.target(good.clone());
    let (certificate, key) = world.authority.client();
    let files = ["renewed.pem", "renewed.key"].map(|name| world.home.path().join(name));
    std::fs::write(&files[0], certificate).unwrap();
    std::fs::write(&files[1], key).unwrap();
    let fields =
        format!("client_certificate = \"${{file:{}}}\"\nclient_key = \"{}\"", files[0].display(), files[1].display());
    let (server, renewed) = (target.switch(good, bad), others.client());
    let switch: Switch = Arc::new(move |on| {
        if on {
            server(true);
        } else {
            replace(&files[0], &renewed.0);
            replace(&files[1], &renewed.1);
        }
    });
    let url = format!("https://{host}:{}/", target.port);
    world.add(Scenario::of_one(name, &url, &fields, outage(switch, &["refused the client certificate"])));
}

fn http_2(world: &mut World) {
    let name = "HTTP/2 alone";
    let (url, switch) =
        by_tls(world, name, "https", |authority, host| well().over_http_2(&authority.server(&[host]), 200));
    world.add(Scenario::of_one(name, &url, "", untold(switch)));
    let name = "bad over HTTP/2 alone";
    let host = world.name(&id(name), &[FAR.into()]);
    let tls = world.authority.server(&[&host]);
    let [good, bad] = [200, 503].map(|status| well().over_http_2(&tls, status).serve());
    let target = world.far.target(good.clone());
    let url = format!("https://{host}:{}/", target.port);
    world.add(Scenario::of_one(name, &url, "", outage(target.switch(good, bad), &["status 503"])));
}

fn streams(world: &mut World) {
    let stream = |kind: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\n").into_bytes();
        steps(vec![Step::Send(head), Step::Forever(b": hello\n\n".to_vec(), Duration::from_secs(1))], End::Hold)
    };
    fine(world, "an event stream", "", stream("text/event-stream"));
    fine(world, "a camera", "", stream("multipart/x-mixed-replace; boundary=x"));
    fine(world, "a stream of another type, by its row", "head_only = true", stream("application/json"));
    let broken = http("503 Service Unavailable", "content-type: text/event-stream\r\n");
    down_with(world, "an event stream that is refused", "", broken, &["status 503"]);
}

/// What HEAD leads to that GET does not.
fn heads(world: &mut World) {
    let head = "method = \"HEAD\"";
    let by_method = |answer: &'static str| {
        by_request(
            move |request| vec![Step::Send(if request.starts_with("HEAD ") { answer } else { WELL }.into())],
            End::Hold,
        )
    };
    const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    fine(world, "HEAD with the length of a body", head, by_method("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n"));
    fine(
        world,
        "HEAD with chunks that do not come",
        head,
        by_method("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
    );
    let refused = by_method("HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n");
    down_with(world, "HEAD that is refused", head, refused.clone(), &["status 405"]);
    fine(world, "GET where HEAD is refused", "", refused);
}

fn tokens(world: &mut World) {
    let token = "{\"access_token\":\"t1\", \"expires_in\": 1}";
    let token = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{token}", token.len());
    let good = crate::play::bytes(token, End::Hold).serve();
    let api = world.far.target(
        by_request(
            |request| {
                let status =
                    if request.contains("Authorization: Bearer t1\r\n") { "200 OK" } else { "401 Unauthorized" };
                vec![Step::Send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes())]
            },
            End::Hold,
        )
        .serve(),
    );
    for (name, bad) in [
        ("the token server is gone", Play::Refuse),
        ("the token server is broken", http("500 Internal Server Error", "").serve()),
        ("the token server knows us no more", http("401 Unauthorized", "").serve()),
    ] {
        let target = world.far.target(good.clone());
        let fields = format!(
            "unclear_after_seconds = 5\noauth2 = {{ token_url = \"http://{FAR}:{}/token\", client_id = \"me\", client_secret = \"s\" }}",
            target.port
        );
        let story = unclear(target.switch(good.clone(), bad), &["token server"]);
        world.add(Scenario::of_one(name, &format!("http://{FAR}:{}/", api.port), &fields, story));
    }
}

fn connections(world: &mut World) {
    let target = world.far.target(well().serve());
    let switch = target.switch(well().serve(), Play::Refuse);
    let url = format!("tcp://{FAR}:{}", target.port);
    world.add(Scenario::of_one("a port that is closed", &url, "", outage(switch, &["refused"])));
    let name = "a certificate expired where nothing is asked";
    let (url, switch) = by_tls(world, name, "tls", |authority, host| {
        well().over(&authority.server_with(&[host], |params| {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }))
    });
    world.add(Scenario::of_one(name, &url, "", outage(switch, &["expired"])));
}

/// A name server that is watched, by what it says of one name.
fn name_servers(world: &mut World) {
    for (name, bad, words) in [
        ("a record that is changed", Said::Addresses(vec![[10, 9, 9, 9].into()]), &["lacks 10.77.0.1"][..]),
        ("a name that is gone", Said::Code(crate::name_server::NXDOMAIN), &["not found"]),
        ("a name server that refuses a name", Said::Code(crate::name_server::REFUSED), &["REFUSED"]),
    ] {
        let host = world.name(&id(name), &[FAR.into()]);
        let (names, good) = (world.names.clone(), Said::Addresses(vec![FAR.into()]));
        let url = format!("dns://{NAME_SERVER}/{host}");
        let switch = Arc::new(move |on| names.set(&host, if on { bad.clone() } else { good.clone() }));
        world.add(Scenario::of_one(name, &url, &format!("expected_answers = \"{FAR}\""), outage(switch, words)));
    }
}

fn one_backend(world: &mut World) {
    let name = "one backend of a site";
    let tls = world.authority.server(&["site.example"]);
    let good = well().over(&tls).serve();
    let target = world.far.target(good.clone());
    let switch = target.switch(good, http("502 Bad Gateway", "").over(&tls).serve());
    let fields = format!("connect_to = \"{FAR}:{}\"", target.port);
    world.add(Scenario::of_one(name, "https://site.example/", &fields, outage(switch, &["status 502"])));
}
