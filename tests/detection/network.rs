//! Our own network is lost: whatever cannot be reached is not accused, and one alert says whose fault it is.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::far::Switch;
use crate::name_server::Health;
use crate::play::well;
use crate::scenario::{Needs, Scenario, Story, down, row, up};
use crate::sink::now;
use crate::world::{FAR, FAR_TOO, World, resolv_conf};

const NETWORK: &str = "api-health:network";
const WORDS: &[&str] = &["network"];
const WITNESSES: &[Needs] = &[Needs::Witnesses];

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

/// Nobody can be asked but the APIs themselves.
pub fn five_alone() -> World {
    let world = lost("alone", "the cable is pulled, five APIs, no name server", 5, cable);
    std::fs::write(world.etc.path().join("resolv.conf"), resolv_conf(&[])).unwrap();
    world.name_server.set(Health::Gone);
    world
}

/// The machine lives and its network comes and goes, too fast for anybody to act upon.
pub fn flapping() -> World {
    let mut world = World::new("flapping");
    let (apis, rows) = apis(&world, 5);
    let switch = cable(&world);
    let story: Story = Box::new(move |stage| {
        for _ in 0..6 {
            switch(true);
            stage.pass(Duration::from_secs(1));
            switch(false);
            stage.pass(Duration::from_secs(4));
        }
        Vec::new()
    });
    let name = "the network is gone for a second, six times".into();
    world.add(Scenario { name, needs: WITNESSES, apis, rows, story, ..Scenario::empty() });
    world
}

fn lost(world: &'static str, name: &str, count: usize, fault: fn(&World) -> Switch) -> World {
    let mut world = World::new(world);
    let (apis, rows) = apis(&world, count);
    let story = told_as_ours(NETWORK, fault(&world), WORDS);
    world.add(Scenario { name: name.into(), needs: WITNESSES, apis, rows, story, ..Scenario::empty() });
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
