//! Our own name servers: dead, gone, not named, or one of two.

use std::sync::Arc;
use std::time::Duration;

use crate::far::Switch;
use crate::name_server::{Health, NameServer, SERVFAIL, Said};
use crate::network::told_as_ours;
use crate::play::well;
use crate::scenario::{Scenario, Stage, Story, down, id, outage, row, up};
use crate::scorer::Due;
use crate::sink::now;
use crate::world::{FAR, FAR_V6, NAME_SERVER, NAME_SERVER_TOO, World, replace, resolv_conf};

const OURS: &str = "api-health:network";
const WORDS: &[&str] = &["name"];
pub fn silent() -> World {
    dead("silent", "our name server is silent", Health::Silent)
}

pub fn gone() -> World {
    dead("gone", "nothing listens where our name server was", Health::Gone)
}

pub fn failing() -> World {
    dead("failing", "our name server gets SERVFAIL for every name", Health::Failing)
}

pub fn empty() -> World {
    let mut world = World::new("empty");
    let path = world.etc.path().join("resolv.conf");
    let switch: Switch =
        Arc::new(move |on| replace(&path, &if on { String::new() } else { resolv_conf(&[NAME_SERVER]) }));
    ours(&mut world, "resolv.conf is empty", switch);
    world
}

pub fn missing() -> World {
    let mut world = World::new("missing");
    let path = world.etc.path().join("resolv.conf");
    let switch: Switch = Arc::new(move |on| {
        if on {
            std::fs::remove_file(&path).unwrap();
        } else {
            replace(&path, &resolv_conf(&[NAME_SERVER]));
        }
    });
    ours(&mut world, "resolv.conf is gone", switch);
    world
}

/// One of two name servers is dead; later the other one takes its place in resolv.conf, and the first is gone for good.
pub fn two() -> World {
    let mut world = World::new("two");
    let too = NameServer::start(&world.far, NAME_SERVER_TOO.into(), world.names.clone());
    let path = world.etc.path().join("resolv.conf");
    std::fs::write(&path, resolv_conf(&[NAME_SERVER, NAME_SERVER_TOO])).unwrap();
    let (apis, rows) = apis(&world, "two");
    let first = world.name_server.handle();
    let story: Story = Box::new(move |stage| {
        let _alive = too;
        first.send_replace(Health::Silent);
        // Longer than whoever looks for a missed alert is patient.
        stage.pass(Duration::from_secs(25));
        first.send_replace(Health::Alive);
        stage.pass(Duration::from_secs(3));
        replace(&path, &resolv_conf(&[NAME_SERVER_TOO]));
        stage.pass(Duration::from_secs(3));
        first.send_replace(Health::Gone);
        stage.pass(Duration::from_secs(8));
        Vec::new()
    });
    let name = "one of two name servers is dead".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    // Meanwhile one name fails alone: the other name server vouches for us.
    let name = "a name gets SERVFAIL, and one of two is dead";
    let target = world.far.target(well().serve());
    let host = world.name(&id(name), &[FAR.into()]);
    let url = format!("http://{host}:{}/", target.port);
    let names = world.names.clone();
    let switch: Switch = Arc::new(move |on| {
        names.set(&host, if on { Said::Code(SERVFAIL) } else { Said::Addresses(vec![FAR.into()]) });
    });
    let fails = outage(switch, &["looked up", "looking up"]);
    world.add(Scenario::of_one(name, &url, "", fails));
    world
}

/// A machine without IPv6, and a name that has nothing else any more.
pub fn ipv4_only() -> World {
    let mut world = World::new("ipv4");
    world.near.set("ipv6/conf/near/disable_ipv6", "1");
    let target = world.far.target(well().serve());
    let name = "AAAA alone";
    let host = world.name(&id(name), &[FAR.into()]);
    let url = format!("http://{host}:{}/", target.port);
    let names = world.names.clone();
    let switch: Switch = Arc::new(move |on| {
        names.set(&host, Said::Addresses(vec![if on { FAR_V6.into() } else { FAR.into() }]));
    });
    world.add(Scenario::of_one(name, &url, "", outage(switch, &["IPv6"])));
    world
}

/// Hundreds of names whose name servers are dead, beside a good one, and a webhook by name.
pub fn starved() -> World {
    const COUNT: usize = 300;
    let mut world = World::new("starved");
    world.hook = Some(world.name("hook", &[[127, 0, 0, 1].into()]));
    let target = world.far.target(well().serve());
    let hosts: Vec<String> = (0..COUNT).map(|n| world.name(&format!("h{n}.dead"), &[FAR.into()])).collect();
    let apis: Vec<String> = (0..COUNT).map(|n| format!("h{n}")).collect();
    let url = |host: &str| format!("http://{host}:{}/", target.port);
    let rows = apis.iter().zip(&hosts).map(|(id, host)| row(id, &url(host), "interval_seconds = 5")).collect();
    let names = world.names.clone();
    let hang = move |on: bool| {
        for host in &hosts {
            names.set(host, if on { Said::Silence } else { Said::Addresses(vec![FAR.into()]) });
        }
    };
    let ids = apis.clone();
    let story: Story = Box::new(move |stage: &Stage<'_>| {
        let began = now();
        hang(true);
        for id in &ids {
            stage.until_told(id, "down", began);
        }
        let ended = now();
        hang(false);
        for id in &ids {
            stage.until_told(id, "up", ended);
        }
        let words: &[&str] = &["looked up", "looking up"];
        let both = |id: &String| -> [Due; 2] { [down(id, words, began, ended), up(id, words, ended)] };
        ids.iter().flat_map(both).collect()
    });
    let name = "three hundred names of a dead zone".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });

    let good = world.name("good", &[FAR.into()]);
    let server = world.far.target(well().serve());
    let bad = crate::play::http("503 No", "").serve();
    let switch = server.switch(well().serve(), bad);
    let late = |api_id: String| -> Story {
        Box::new(move |stage| {
            stage.pass(Duration::from_secs(8)); // the others hang by then
            outage(switch, &["status 503"])(api_id)(stage)
        })
    };
    let url = format!("http://{good}:{}/", server.port);
    world.add(Scenario::of_one("a good name beside them", &url, "", late));
    world
}

fn dead(world: &'static str, name: &str, health: Health) -> World {
    let mut world = World::new(world);
    let server = world.name_server.handle();
    let switch: Switch = Arc::new(move |on| {
        server.send_replace(if on { health } else { Health::Alive });
    });
    ours(&mut world, name, switch);
    world
}

/// No name can be looked up any more: nobody is accused, and one alert says so.
fn ours(world: &mut World, name: &str, switch: Switch) {
    let (apis, rows) = apis(world, world.name);
    let story = told_as_ours(OURS, switch, WORDS);
    world.add(Scenario { name: name.into(), apis, rows, story, ..Scenario::empty() });
}

/// Three APIs by name and one by address.
fn apis(world: &World, of: &str) -> (Vec<String>, String) {
    let target = world.far.target(well().serve());
    let mut hosts: Vec<String> = (0..3).map(|n| world.name(&format!("{of}-{n}"), &[FAR.into()])).collect();
    hosts.push(FAR.to_string());
    let apis: Vec<String> = (0..hosts.len()).map(|n| format!("{of}-{n}")).collect();
    let rows = apis.iter().zip(&hosts).map(|(id, host)| row(id, &format!("http://{host}:{}/", target.port), ""));
    let rows = rows.collect();
    (apis, rows)
}
