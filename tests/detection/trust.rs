//! Whom and when we trust: authorities that are gone or renewed, and a clock that is far off.

use std::sync::Arc;

use crate::certificates::Authority;
use crate::far::Switch;
use crate::network::told_as_ours;
use crate::play::well;
use crate::scenario::{Scenario, Story, outage, row};
use crate::scorer::Due;
use crate::sink::now;
use crate::world::{FAR, FAR_TOO, World, replace};

/// The authority is replaced by another one, first at the server and then here.
pub fn renewed() -> World {
    let mut world = World::new("renewed");
    let host = world.name("renewed", &[FAR.into()]);
    let new = Authority::new("the new authority");
    let good = well().over(&world.authority.server(&[&host])).serve();
    let moved = well().over(&new.server(&[&host])).serve();
    let target = world.far.target(good);
    let (path, both) = (world.home.path().join("roots.pem"), format!("{}{}", world.authority.pem(), new.pem()));
    let url = format!("https://{host}:{}/", target.port);
    // It is not the server that ends this.
    let switch: Switch = Arc::new(move |on| if on { target.set(moved.clone()) } else { replace(&path, &both) });
    let scenario = Scenario::of_one("a new authority, and our roots renewed", &url, "", outage(switch, &["issuer"]));
    world.add(scenario);
    world
}

/// This machine trusts nobody: of an API by https nothing can be told, and that is told.
pub fn rootless() -> World {
    const CERTIFICATES: &str = "ssl/certs/ca-certificates.crt";
    let mut world = World::new("rootless");
    world.probe = "unclear_after_seconds = 5\n".into();
    world.trusts_nobody = true;
    let host = world.name("rootless", &[FAR.into()]);
    let tls = world.far.target(well().over(&world.authority.server(&[&host])).serve());
    let plain = world.far.target(well().serve());
    let (path, pem) = (world.etc.path().join(CERTIFICATES), world.authority.pem());
    let rows = row("by-https", &format!("https://{host}:{}/", tls.port), "")
        + &row("by-http", &format!("http://{FAR}:{}/", plain.port), "");
    let story: Story = Box::new(move |stage| {
        stage.until_told("by-https", "unclear", 0);
        let ended = now();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, &pem);
        stage.until_told("by-https", "clear", ended);
        let of = |kind, since, until| Due { about: "by-https".into(), kind, words: &["root"], since, until };
        vec![of("unclear", stage.started_at, Some(ended)), of("clear", ended, None)]
    });
    let (name, apis) = ("no roots at the start".into(), vec!["by-https".into(), "by-http".into()]);
    world.add(Scenario { name, apis, rows, starts_up: false, story, ..Scenario::empty() });
    world
}

/// All certificates are not yet valid at once: it is our clock.
pub fn clock() -> World {
    let mut world = World::new("clock");
    let addresses = [FAR, FAR_TOO[0], FAR_TOO[1]];
    let (mut apis, mut rows, mut switches) = (Vec::new(), String::new(), Vec::<Switch>::new());
    for n in 0..6 {
        let api_id = format!("clock-{n}");
        let host = world.name(&api_id, &[addresses[n % addresses.len()].into()]);
        let good = well().over(&world.authority.server(&[&host])).serve();
        let early = world.authority.server_with(&[&host], |params| {
            params.not_before = rcgen::date_time_ymd(2090, 1, 1);
            params.not_after = rcgen::date_time_ymd(2091, 1, 1);
        });
        let target = world.far.target(good.clone());
        rows += &row(&api_id, &format!("https://{host}:{}/", target.port), "");
        switches.push(target.switch(good, well().over(&early).serve()));
        apis.push(api_id);
    }
    let switch: Switch = Arc::new(move |on| switches.iter().for_each(|switch| switch(on)));
    let story = told_as_ours("api-health:clock", switch, &["clock"]);
    let name = "no certificate is valid yet: our clock".into();
    world.add(Scenario { name, apis, rows, story, ..Scenario::empty() });
    world
}
