//! Bodies, with a status that is well: defaced, empty, injected, cut, packed; and certificates that end soon.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::read::GzEncoder;

use crate::play::{Act, End, bytes};
use crate::scenario::{Scenario, Story, id, outage, untold};
use crate::scorer::Due;
use crate::sink::now;
use crate::world::{FAR, World};

const PAGE: &str = "<html><h1>Welcome</h1><p>Add to cart</p></html>";
const JSON: &str = r#"{"status":"ok","db":{"lag":3}}"#;
const OF_PAGE: &str =
    "assert = ['body contains Welcome', 'body lacks casino', 'body size > 20', 'body lacks Fatal error']";
const OF_JSON: &str = "assert = ['content-type = application/json', 'json $.status = \"ok\"', 'json $.db.lag < 100']";

fn answer(headers: &str, body: &[u8]) -> Act {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    bytes([head.as_bytes(), body].concat(), End::Hold)
}

fn page(body: &str) -> Act {
    answer("content-type: text/html\r\n", body.as_bytes())
}

fn json(body: &str) -> Act {
    answer("content-type: application/json\r\n", body.as_bytes())
}

fn packed(coding: &str, body: &[u8]) -> Act {
    let mut packed = Vec::new();
    GzEncoder::new(body, Compression::best()).read_to_end(&mut packed).unwrap();
    answer(&format!("content-encoding: {coding}\r\n"), &packed)
}

/// An outage of a server that answers `good`, and `bad` while the fault is on.
fn down(world: &mut World, name: &str, fields: &str, good: Act, bad: Act, words: &'static [&'static str]) {
    let good = good.serve();
    let target = world.far.target(good.clone());
    let switch = target.switch(good, bad.serve());
    world.add(Scenario::of_one(name, &format!("http://{FAR}:{}/", target.port), fields, outage(switch, words)));
}

/// Nothing is told of one that answers `odd` meanwhile.
fn fine(world: &mut World, name: &str, fields: &str, good: Act, odd: Act) {
    let good = good.serve();
    let target = world.far.target(good.clone());
    let switch = target.switch(good, odd.serve());
    world.add(Scenario::of_one(name, &format!("http://{FAR}:{}/", target.port), fields, untold(switch)));
}

pub(super) fn add(world: &mut World) {
    pages(world);
    documents(world);
    packed_ones(world);
    let header = "assert = 'header x-served-by matches ^cache-'";
    let served = |by: &str| answer(&format!("x-served-by: {by}\r\n"), b"hi");
    down(world, "a header of another server", header, served("cache-1"), served("origin"), &["\"origin\""]);
    certificate_ends_soon(world);
}

fn pages(world: &mut World) {
    let spam = PAGE.replace("</p>", "</p><a href=//evil.test>best casino</a>");
    let mut of = |name, bad: &str, words| down(world, name, OF_PAGE, page(PAGE), page(bad), words);
    of("a page defaced", "<html><h1>hacked by nobody in particular</h1></html>", &["contains Welcome"]);
    of("an empty page", "", &["an empty body"]);
    of("an error page with 200", "<html>Welcome<br>Fatal error: Uncaught Error in index.php</html>", &["Fatal error"]);
    of("a keyword gone", "<html><h1>Wartung</h1> come back later</html>", &["nothing of it in"]);
    of("spam injected", &spam, &["lacks casino"]);
    of("a page that is just a frame", "<html>Welcome", &["body size"]);
    fine(world, "another page with the same words", OF_PAGE, page(PAGE), page(&PAGE.repeat(50)));
}

fn documents(world: &mut World) {
    let mut of = |name, bad, words| down(world, name, OF_JSON, json(JSON), bad, words);
    of("JSON cut in its middle", json(&JSON[..12]), &["no JSON"]);
    of("JSON of another kind", json("[]"), &["nothing there"]);
    of("JSON that says degraded", json(&JSON.replace("ok", "degraded")), &["\"degraded\""]);
    of("JSON with a figure too high", json(&JSON.replace('3', "3000")), &["found 3000"]);
    of("HTML in the place of JSON", page(PAGE), &["text/html"]);
}

fn packed_ones(world: &mut World) {
    let mut of = |name, bad, words| down(world, name, OF_PAGE, page(PAGE), bad, words);
    of("a bomb of gzip", packed("gzip", &vec![0; 200 << 20]), &["bomb"]);
    of("gzip that is none", answer("content-encoding: gzip\r\n", b"Welcome"), &["unpacked"]);
    of("a coding that nobody asked for", packed("zstd", PAGE.as_bytes()), &["zstd"]);
    of("a page packed, and defaced", packed("gzip", &[b'x'; 99]), &["Welcome"]);
    fine(world, "a page packed that was plain", OF_PAGE, page(PAGE), packed("gzip", PAGE.as_bytes()));
}

/// The certificate ends in five days from the beginning on, and is renewed.
fn certificate_ends_soon(world: &mut World) {
    let name = "a certificate that ends soon, and is renewed";
    let host = world.name(&id(name), &[FAR.into()]);
    let good_for = |days: u32| {
        let tls = world.authority.server_with(&[&host], |params| {
            let (now, day) = (SystemTime::now(), Duration::from_secs(24 * 3_600));
            (params.not_before, params.not_after) = ((now - day * 100).into(), (now + day * days).into());
        });
        page(PAGE).over(&tls).serve()
    };
    let (soon, renewed) = (good_for(5), good_for(100));
    let target = world.far.target(renewed.clone());
    let url = format!("https://{host}:{}/", target.port);
    let switch = target.switch(renewed, soon);
    let story = |api_id: String| -> Story {
        Box::new(move |stage| {
            let began = now();
            switch(true);
            stage.until_told(&api_id, "certificate_ends_soon", began);
            let ended = now();
            switch(false);
            stage.until_told(&api_id, "certificate_renewed", ended);
            let due = |kind, words, since, until| Due { about: api_id.clone(), kind, words, since, until };
            // It happened two days before this began.
            vec![
                due("certificate_ends_soon", &["in 4 days"][..], 0, Some(began)),
                due("certificate_renewed", &["good until"], ended, None),
            ]
        })
    };
    let scenario = Scenario::of_one(name, &url, "certificate_days = [30, 7]", story);
    world.add(Scenario { is_bound: false, ..scenario });
}
