//! Our own network is lost: whatever cannot be reached is not accused, and one alert says whose fault it is.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::far::Switch;
use crate::name_server::Health;
use crate::play::well;
use crate::scenario::{Scenario, Story, down, outage, row, up};
use crate::sink::now;
use crate::space::Net;
use crate::world::{FAR, FAR_TOO, FAR_V6, World, resolv_conf};

const NETWORK: &str = "api-health:network";
const WORDS: &[&str] = &["network"];
/// So long the loss lasts after it is told: whoever is accused all the same is accused within this.
const GOES_ON: Duration = Duration::from_secs(8);

pub fn interface_down() -> World {
    lost("interface", "the interface is taken down, one API", 1, interface)
}

pub fn one() -> World {
    lost("one", "the cable is pulled, one API", 1, cable)
}

pub fn five() -> World {
    lost("five", "the cable is pulled, five APIs", 5, cable)
}

pub fn thousand() -> World {
    let mut world = lost("thousand", "the cable is pulled, a thousand APIs", 1_000, cable);
    world.probe = "interval_seconds = 10\ntimeout_seconds = 2\n".into();
    world
}

/// While the loss is told it explains why nothing can be told of any API: that is not told of each.
pub fn explained() -> World {
    let mut world = World::new("explained");
    world.probe = "unclear_after_seconds = 15\n".into();
    let (apis, rows) = apis(&world, 5);
    let switch = cable(&world);
    let story: Story = Box::new(move |stage| {
        let began = now();
        switch(true);
        stage.until_told(NETWORK, "down", began);
        stage.pass(Duration::from_secs(20));
        let ended = now();
        switch(false);
        stage.until_told(NETWORK, "up", ended);
        vec![down(NETWORK, WORDS, began, ended), up(NETWORK, WORDS, ended)]
    });
    let name = "the cable is pulled for longer than an API may be unclear".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

/// A route of our own leads nowhere, for one API alone and for long: that hides no outage of another.
pub fn beside() -> World {
    let mut world = World::new("beside");
    world.far.net.ip("addr add 10.88.0.1/32 dev lo");
    let target = world.far.target(well().serve());
    let url = |host: &str| format!("http://{host}:{}/", target.port);
    let rows = row("no-route", &url("10.88.0.1"), "")
        + &row("swallowed", &url(&FAR_TOO[0].to_string()), "")
        + &row("well", &url(&FAR.to_string()), "");
    let (near, far) = (Arc::clone(&world.near), Arc::clone(&world.far.net));
    let story: Story = Box::new(move |stage| {
        near.ip("route add unreachable 10.88.0.1");
        stage.pass(Duration::from_secs(5));
        let began = now();
        far.ip(&format!("addr del {}/24 dev far", FAR_TOO[0]));
        stage.until_told("swallowed", "down", began);
        let ended = now();
        far.ip(&format!("addr add {}/24 dev far", FAR_TOO[0]));
        stage.until_told("swallowed", "up", ended);
        near.ip("route del unreachable 10.88.0.1");
        let words = &["while connecting", "unreachable"];
        vec![down("swallowed", words, began, ended), up("swallowed", words, ended)]
    });
    let name = "no route to one API, and another is swallowed".into();
    let apis = ["no-route", "swallowed", "well"].map(str::to_owned).to_vec();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

/// One API is swallowed on the way, and there is nobody to ask: it is told.
pub fn few() -> World {
    let mut world = World::new("few");
    std::fs::write(world.etc.path().join("resolv.conf"), resolv_conf(&[])).unwrap();
    world.name_server.set(Health::Gone);
    let target = world.far.target(well().serve());
    let net = Arc::clone(&world.far.net);
    let switch: Switch = Arc::new(move |on| {
        let change = if on { "del" } else { "add" };
        net.ip(&format!("addr {change} {}/24 dev far", FAR_TOO[0]));
    });
    let (name, url) = ("one API is swallowed, and nobody to ask", format!("http://{}:{}/", FAR_TOO[0], target.port));
    world.add(Scenario::of_one(name, &url, "", outage(switch, &["while connecting", "unreachable"])));
    world
}

/// Addresses in the internet, behind the router at [`FAR`].
const INTERNET: [Ipv4Addr; 3] =
    [Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 1, 1), Ipv4Addr::new(198, 18, 2, 1)];

/// The cable behind the router is pulled: nothing in the internet is reached any more, and the name server beside us answers as ever.
pub fn behind_router() -> World {
    let mut world = World::new("router");
    let (rows, switch) = in_the_internet(&world, 6);
    let apis = (0..6).map(|n| format!("internet-{n}")).collect();
    let name = "the cable behind the router is pulled, the name server is near".into();
    world.add(Scenario { name, apis, rows, story: told_as_ours(NETWORK, switch, WORDS), ..Scenario::empty() });
    world
}

/// The same of one API: that the name server is near accuses nobody, and excuses nobody.
pub fn one_behind_router() -> World {
    let mut world = World::new("behind");
    let (rows, switch) = in_the_internet(&world, 1);
    let (apis, story) = (vec!["internet-0".to_owned()], outage(switch, &["while connecting"])("internet-0".into()));
    let name = "one API in the internet, the name server is near".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

/// So many APIs there, `internet-0` and so on, and the cable that leads to them.
fn in_the_internet(world: &World, count: usize) -> (String, Switch) {
    let change =
        |net: &Net, change: &str| INTERNET.iter().for_each(|ip| net.ip(&format!("addr {change} {ip}/32 dev lo")));
    change(&world.far.net, "add");
    let target = world.far.target(well().serve());
    let url = |n: usize| format!("http://{}:{}/", INTERNET[n % INTERNET.len()], target.port);
    let rows = (0..count).map(|n| row(&format!("internet-{n}"), &url(n), "")).collect();
    let net = Arc::clone(&world.far.net);
    (rows, Arc::new(move |on| change(&net, if on { "del" } else { "add" })))
}

/// Nobody can be asked but the APIs themselves.
pub fn five_alone() -> World {
    let world = lost("alone", "the cable is pulled, five APIs, no name server", 5, cable);
    std::fs::write(world.etc.path().join("resolv.conf"), resolv_conf(&[])).unwrap();
    world.name_server.set(Health::Gone);
    world
}

/// The daemon is killed while its network is lost, and the next one tells the end.
pub fn killed() -> World {
    let mut world = World::new("killed");
    let (apis, rows) = apis(&world, 5);
    let switch = cable(&world);
    let story: Story = Box::new(move |stage| {
        let began = now();
        switch(true);
        stage.until_told(NETWORK, "down", began);
        stage.pass(Duration::from_secs(2)); // that it is told is stored by then
        stage.kill_and_start();
        stage.pass(GOES_ON);
        let ended = now();
        switch(false);
        stage.until_told(NETWORK, "up", ended);
        vec![down(NETWORK, WORDS, began, ended), up(NETWORK, WORDS, ended)]
    });
    let name = "a kill while the network is lost".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

/// The machine lives and its network comes and goes, too fast for anybody to act upon.
pub fn flapping() -> World {
    let mut world = World::new("flapping");
    let (apis, rows) = apis(&world, 5);
    // Without its interface a probe fails at once; what the cable swallows is sent again when it is back.
    let switches = [interface(&world), cable(&world)];
    let story: Story = Box::new(move |stage| {
        for switch in switches.iter().cycle().take(6) {
            switch(true);
            stage.pass(Duration::from_secs(1));
            switch(false);
            stage.pass(Duration::from_secs(4));
        }
        Vec::new()
    });
    let name = "the network is gone for a second, six times".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

/// IPv6 alone is lost, with nobody to ask over it: whoever is reached over IPv4 goes on.
pub fn ipv6_alone() -> World {
    let mut world = World::new("ipv6");
    let all = [FAR_V6, Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x11), Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x12)];
    all[1..].iter().for_each(|address| world.far.net.ip(&format!("addr add {address}/64 dev far nodad")));
    let target = world.far.target(well().serve());
    let mut apis: Vec<String> = (0..5).map(|n| format!("v6-{n}")).collect();
    let url = |n: usize| format!("http://[{}]:{}/", all[n % all.len()], target.port);
    let mut rows: String = apis.iter().enumerate().map(|(n, api_id)| row(api_id, &url(n), "")).collect();
    apis.push("v4".into());
    rows += &row("v4", &format!("http://{FAR}:{}/", target.port), "");
    let net = Arc::clone(&world.far.net);
    let switch: Switch = Arc::new(move |on| {
        for address in all {
            let (change, more) = if on { ("del", "") } else { ("add", " nodad") };
            net.ip(&format!("addr {change} {address}/64 dev far{more}"));
        }
    });
    let story = told_as_ours(NETWORK, switch, &["IPv6 network"]);
    world.add(Scenario { name: "IPv6 is lost alone".into(), apis, rows, story, ..Scenario::empty() });
    world
}

/// Many APIs are swallowed on the way while one is answered: it is not our network.
pub fn theirs() -> World {
    let mut world = World::new("theirs");
    let remote: Vec<String> = (1..=6).map(|n| format!("10.88.{n}.1")).collect();
    for address in &remote {
        world.far.net.ip(&format!("addr add {address}/32 dev lo"));
    }
    world.far.net.set("ipv4/ip_forward", "1");
    let target = world.far.target(well().serve());
    let apis: Vec<String> = (1..=6).map(|n| format!("behind-{n}")).collect();
    let rows = |(id, address): (&String, &String)| row(id, &format!("http://{address}:{}/", target.port), "");
    let rows = apis.iter().zip(&remote).map(rows).collect::<String>()
        + &row("well", &format!("http://{FAR}:{}/", target.port), "");
    let (net, ids) = (Arc::clone(&world.far.net), apis.clone());
    let story: Story = Box::new(move |stage| {
        let began = now();
        for address in &remote {
            net.ip(&format!("addr del {address}/32 dev lo"));
            net.ip(&format!("route add blackhole {address}"));
        }
        ids.iter().for_each(|id| stage.until_told(id, "down", began));
        let ended = now();
        for address in &remote {
            net.ip(&format!("route del blackhole {address}"));
            net.ip(&format!("addr add {address}/32 dev lo"));
        }
        ids.iter().for_each(|id| stage.until_told(id, "up", ended));
        let words = &["while connecting"];
        ids.iter().flat_map(|id| [down(id, words, began, ended), up(id, words, ended)]).collect()
    });
    let name = "six networks are swallowed, and one API is well".into();
    let apis = [apis, vec!["well".into()]].concat();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

/// An API goes down while our network is lost: that is told when it can be known.
pub fn both() -> World {
    let mut world = World::new("both");
    let (mut apis, mut rows) = apis(&world, 5);
    let server = world.far.target(well().serve());
    let bad = server.switch(well().serve(), crate::play::http("503 No", "").serve());
    apis.push("goes".into());
    rows += &row("goes", &format!("http://{FAR}:{}/", server.port), "");
    let cable = cable(&world);
    let story: Story = Box::new(move |stage| {
        let began = now();
        cable(true);
        stage.until_told(NETWORK, "down", began);
        bad(true);
        stage.pass(GOES_ON);
        let back = now();
        cable(false);
        stage.until_told(NETWORK, "up", back);
        stage.until_told("goes", "down", back);
        let ended = now();
        bad(false);
        stage.until_told("goes", "up", ended);
        let status = &["status 503"];
        vec![
            down(NETWORK, WORDS, began, back),
            up(NETWORK, WORDS, back),
            down("goes", status, back, ended),
            up("goes", status, ended),
        ]
    });
    let name = "the network is lost, and meanwhile an API".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}

fn lost(world: &'static str, name: &str, count: usize, fault: fn(&World) -> Switch) -> World {
    let mut world = World::new(world);
    let (apis, rows) = apis(&world, count);
    let story = told_as_ours(NETWORK, fault(&world), WORDS);
    world.add(Scenario { name: name.into(), apis, rows, story, ..Scenario::empty() });
    world
}

/// So many APIs, by address, on three addresses if there are as many.
fn apis(world: &World, count: usize) -> (Vec<String>, String) {
    let target = world.far.target(well().serve());
    let addresses: [Ipv4Addr; 3] = [FAR, FAR_TOO[0], FAR_TOO[1]];
    let apis: Vec<String> = (0..count).map(|n| format!("api-{n}")).collect();
    let url = |n: usize| format!("http://{}:{}/{n}", addresses[n % addresses.len()], target.port);
    let rows = apis.iter().enumerate().map(|(n, api_id)| row(api_id, &url(n), "")).collect();
    (apis, rows)
}

/// The fault is turned on until it is told as our own, and for a while longer; then off until that is told.
pub fn told_as_ours(about: &'static str, switch: Switch, words: &'static [&'static str]) -> Story {
    Box::new(move |stage| {
        let began = now();
        switch(true);
        stage.until_told(about, "down", began);
        stage.pass(GOES_ON);
        let ended = now();
        switch(false);
        stage.until_told(about, "up", ended);
        vec![down(about, words, began, ended), up(about, words, ended)]
    })
}

/// Nothing comes through any more, and nobody says so.
fn cable(world: &World) -> Switch {
    let far = Arc::clone(&world.far.net);
    Arc::new(move |on| far.ip(if on { "link set far down" } else { "link set far up" }))
}

/// Our own end is down, and with it our routes.
fn interface(world: &World) -> Switch {
    let near = Arc::clone(&world.near);
    Arc::new(move |on| {
        if on {
            near.ip("link set near down");
        } else {
            near.ip("link set near up");
            near.ip(&format!("route add default via {FAR}"));
        }
    })
}
