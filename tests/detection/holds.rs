//! Alerts that are held: maintenance over each part of an outage, an API that flaps, and those that need one that is lost.

use std::time::Duration;

use crate::daemon::SOON;
use crate::far::Switch;
use crate::play::{Play, well};
use crate::scenario::{Scenario, Stage, Story, down, row, up};
use crate::scorer::Due;
use crate::sink::now;
use crate::world::{FAR, World};

const REFUSED: &[&str] = &["refused"];

/// How long a window lasts: an outage comes and goes in it, and is confirmed both times.
const WINDOW: &str = "8s";

pub fn world() -> World {
    let mut world = World::new("holds");
    one(&mut world, "maintenance over a whole outage", "", |api_id, switch| {
        Box::new(move |stage| {
            maintenance(stage, &["start", "--for", WINDOW, "--api", &api_id]);
            switch(true);
            stage.pass(Duration::from_secs(4));
            switch(false);
            stage.pass(Duration::from_secs(8));
            Vec::new()
        })
    });
    one(&mut world, "maintenance over the end of an outage", "tags = [\"ending\"]", |api_id, switch| {
        Box::new(move |stage| {
            let began = now();
            switch(true);
            stage.until_told(&api_id, "down", began);
            maintenance(stage, &["start", "--for", WINDOW, "--tag", "ending", "--note", "new disks"]);
            let ended = now();
            switch(false);
            stage.pass(Duration::from_secs(5));
            told_nothing_since(stage, &api_id, ended);
            stage.until_told(&api_id, "up", ended);
            vec![down(&api_id, REFUSED, began, ended), up(&api_id, REFUSED, ended)]
        })
    });
    one(&mut world, "maintenance over the beginning of an outage", "", |api_id, switch| {
        Box::new(move |stage| {
            maintenance(stage, &["start", "--for", WINDOW, "--api", &api_id]);
            let began = now();
            switch(true);
            stage.pass(Duration::from_secs(5));
            told_nothing_since(stage, &api_id, began);
            stage.until_told(&api_id, "down", began);
            let ended = now();
            switch(false);
            stage.until_told(&api_id, "up", ended);
            vec![down(&api_id, &["held until now: maintenance"], began, ended), up(&api_id, REFUSED, ended)]
        })
    });
    one(&mut world, "maintenance inside an outage", "", |api_id, switch| {
        Box::new(move |stage| {
            let began = now();
            switch(true);
            stage.until_told(&api_id, "down", began);
            maintenance(stage, &["start", "--for", "2s", "--api", &api_id]);
            stage.pass(Duration::from_secs(5));
            let ended = now();
            switch(false);
            stage.until_told(&api_id, "up", ended);
            vec![down(&api_id, REFUSED, began, ended), up(&api_id, REFUSED, ended)]
        })
    });
    one(&mut world, "maintenance that is ended early", "", |api_id, switch| {
        Box::new(move |stage| {
            maintenance(stage, &["start", "--for", "1h", "--api", &api_id]);
            let began = now();
            switch(true);
            stage.pass(Duration::from_secs(4));
            told_nothing_since(stage, &api_id, began);
            maintenance(stage, &["end", "--api", &api_id]);
            stage.until_told(&api_id, "down", began);
            let ended = now();
            switch(false);
            stage.until_told(&api_id, "up", ended);
            vec![down(&api_id, &["held until now: maintenance"], began, ended), up(&api_id, REFUSED, ended)]
        })
    });
    let flaps = "flap_changes = 3\nflap_window_seconds = 15\nfailure_threshold = 1\nsuccess_threshold = 1\n";
    one(&mut world, "flapping", flaps, flapping);
    lost_parent(&mut world);
    world
}

fn maintenance(stage: &Stage<'_>, words: &[&str]) {
    let command: Vec<&str> = std::iter::once("maintenance").chain(words.iter().copied()).collect();
    let ended = stage.world.home.start(&command).wait(SOON);
    assert_eq!(ended.code, Some(0), "{command:?}: {}", ended.log);
}

fn told_nothing_since(stage: &Stage<'_>, about: &str, since: i64) {
    let told: Vec<_> =
        stage.world.sink.alerts().into_iter().filter(|seen| seen.about == about && seen.at >= since).collect();
    assert!(told.is_empty(), "{about} was told while it was held: {told:?}");
}

fn one(world: &mut World, name: &str, fields: &str, story: impl FnOnce(String, Switch) -> Story) {
    let target = world.far.target(well().serve());
    let switch = target.switch(well().serve(), Play::Refuse);
    let url = format!("http://{FAR}:{}/", target.port);
    world.add(Scenario { is_bound: false, ..Scenario::of_one(name, &url, fields, |api_id| story(api_id, switch)) });
}

/// It is told as flapping with its fourth change, and as up when it has been steady for long enough.
fn flapping(api_id: String, switch: Switch) -> Story {
    Box::new(move |stage| {
        let mut dues = Vec::new();
        for is_on in [true, false, true] {
            let at = now();
            switch(is_on);
            let kind = if is_on { "down" } else { "up" };
            stage.until_told(&api_id, kind, at);
            dues.push(Due { about: api_id.clone(), kind, words: REFUSED, since: at, until: None });
        }
        let at = now();
        switch(false);
        stage.until_told(&api_id, "flapping", at);
        dues.push(Due {
            about: api_id.clone(),
            kind: "flapping",
            words: &["more than 3 changes"],
            since: at,
            until: None,
        });
        for is_on in [true, false] {
            switch(is_on);
            stage.pass(Duration::from_secs(2));
        }
        let steady = now();
        stage.until_told(&api_id, "up", steady);
        dues.push(up(&api_id, &["held until now: it is flapping"], steady));
        dues
    })
}

/// Of two that need one that is lost, one comes back with it and one does not.
fn lost_parent(world: &mut World) {
    let [parent, with_it, without] = [0; 3].map(|_| world.far.target(well().serve()));
    let switches = [&parent, &with_it, &without].map(|target| target.switch(well().serve(), Play::Refuse));
    let url = |port| format!("http://{FAR}:{port}/");
    let needs = "depends_on = [\"lost-parent\"]\n";
    let rows = [
        row("lost-parent", &url(parent.port), ""),
        row("lost-with-it", &url(with_it.port), needs),
        row("lost-without", &url(without.port), needs),
    ];
    let story: Story = Box::new(move |stage| {
        let began = now();
        switches.iter().rev().for_each(|switch| switch(true));
        stage.until_told("lost-parent", "down", began);
        stage.pass(Duration::from_secs(4));
        let back = now();
        switches[..2].iter().for_each(|switch| switch(false));
        stage.until_told("lost-parent", "up", back);
        stage.until_told("lost-without", "down", back);
        let ended = now();
        switches[2](false);
        stage.until_told("lost-without", "up", ended);
        vec![
            down("lost-parent", &["alerts of 2 that depend on it are held: lost-with-it, lost-without"], began, back),
            up("lost-parent", REFUSED, back),
            down("lost-without", &["held until now: lost-parent"], began, ended),
            up("lost-without", REFUSED, ended),
        ]
    });
    let apis = ["lost-parent", "lost-with-it", "lost-without"].map(str::to_owned).into();
    let name = "those that need an API that is lost".into();
    world.add(Scenario { name, apis, rows: rows.concat(), is_bound: false, story, ..Scenario::empty() });
}
