//! The channel is out of reach, or the monitor itself stands still: what happened meanwhile is told afterwards, and nothing else.

use std::time::Duration;

use rustix::process::Signal;

use crate::play::{http, well};
use crate::scenario::{Scenario, Story, down, id, row, up};
use crate::sink::now;
use crate::world::{FAR, World};

const STATUS: &[&str] = &["status 503"];

/// Long enough for an outage or a recovery to be decided, with nobody there to be told.
const DECIDED: Duration = Duration::from_secs(8);

pub fn dead() -> World {
    let mut world = World::new("channel");
    let bad = http("503 No", "").serve();
    let names = ["comes and goes while the channel is dead", "goes while the channel is dead, and stays"];
    let apis: Vec<String> = names.iter().map(|name| id(name)).collect();
    let targets: Vec<_> = names.iter().map(|_| world.far.target(well().serve())).collect();
    let switches: Vec<_> = targets.iter().map(|target| target.switch(well().serve(), bad.clone())).collect();
    let url = |n: usize| format!("http://{FAR}:{}/", targets[n].port);
    let rows = row(&apis[0], &url(0), "") + &row(&apis[1], &url(1), "");
    let (first, second) = (apis[0].clone(), apis[1].clone());
    let story: Story = Box::new(move |stage| {
        stage.world.sink.refuse(true);
        let began = now();
        switches[0](true);
        stage.pass(DECIDED);
        let back = now();
        switches[0](false);
        let began_too = now();
        switches[1](true);
        stage.pass(DECIDED);
        stage.world.sink.refuse(false);
        stage.until_told(&first, "up", back);
        stage.until_told(&second, "down", began_too);
        let ended = now();
        switches[1](false);
        stage.until_told(&second, "up", ended);
        vec![
            down(&first, STATUS, began, back),
            up(&first, STATUS, back),
            down(&second, STATUS, began_too, ended),
            up(&second, STATUS, ended),
        ]
    });
    let name = "the channel is dead for 16 s".into();
    world.add(Scenario { name, apis, rows, is_bound: false, story, ..Scenario::empty() });
    world
}

/// The daemon is stopped, and goes on.
pub fn frozen() -> World {
    let mut world = World::new("frozen");
    let bad = http("503 No", "").serve();
    let targets: Vec<_> = (0..3).map(|_| world.far.target(well().serve())).collect();
    let apis: Vec<String> = ["well", "over", "lasting"].map(str::to_owned).to_vec();
    let rows = (0..3).map(|n| row(&apis[n], &format!("http://{FAR}:{}/", targets[n].port), "")).collect();
    let switches: Vec<_> = targets.iter().map(|target| target.switch(well().serve(), bad.clone())).collect();
    let story: Story = Box::new(move |stage| {
        stage.signal(Signal::STOP);
        switches[1](true);
        stage.pass(Duration::from_secs(4));
        let began = now();
        switches[2](true);
        stage.pass(Duration::from_secs(4));
        switches[1](false);
        stage.signal(Signal::CONT);
        stage.until_told("lasting", "down", began);
        let ended = now();
        switches[2](false);
        stage.until_told("lasting", "up", ended);
        vec![down("lasting", STATUS, began, ended), up("lasting", STATUS, ended)]
    });
    let name = "the daemon is frozen for 8 s".into();
    world.add(Scenario { name, apis, rows, is_bound: false, story, ..Scenario::empty() });
    world
}
