//! What holds alerts in a world with several workers: maintenance windows, parents (two of which may need each other) and flapping;
//! reminders, which wait for all of those; and storms, which are told in digests.
//!
//! Every third world has them, and in those all clocks agree, so that the oracle can tell whether a window was open.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::WORLD_BEGINS;
use api_health_actors::testkit::stage::Chance;
use api_health_actors::testkit::target::Behaviour;
use api_health_core::flap::FlapPolicy;
use api_health_core::maintenance::{Selection, Window};
use api_health_core::{Alerting, ApiConfig, ApiId, Schedule};

use crate::fleet_script::{Action, Deed, FleetScript, MINUTE};
use crate::script::sickness;

/// The first so many are parents of others.
const PARENTS: usize = 4;

/// What those have that a person opens windows for.
const TAG: &str = "eu";

/// Adds what may hold alerts, before what happens is put in order.
pub(crate) fn add(script: &mut FleetScript, until_ms: u64, chance: &mut Chance) {
    for worker in &mut script.workers {
        (worker.ahead_ms, worker.gains_ppm) = (0, 0);
    }
    script.actions.retain(|(_, action)| !matches!(action, Action::Worker(_, Deed::SetClock(_))));
    for n in 0..script.apis.len() {
        let mut api = (*script.apis[n]).clone();
        set_alerting(n, &mut api, until_ms, chance);
        if n >= PARENTS && api.alerting.depends_on.len() == 1 && chance.percent(60) {
            let parent = api.alerting.depends_on[0].clone();
            let parent = script.apis.iter().position(|api| api.api_id == parent).unwrap_or(0);
            falls_with(script, n, parent, chance);
        }
        script.apis[n] = api.into();
    }
    by_hand(script, until_ms, chance);
    if chance.percent(50) {
        circle(script, chance);
    }
    script.digest_above = *chance.pick(&[0, 1, 2, 3]);
    storms(script, until_ms, chance);
}

/// The first one and another parent need each other, and fall and end together.
fn circle(script: &mut FleetScript, chance: &mut Chance) {
    let other = usize::try_from(chance.between(1, PARENTS as u64 - 1)).unwrap_or(1);
    for (n, needs) in [(0, other), (other, 0)] {
        let mut api = (*script.apis[n]).clone();
        let needs = &script.apis[needs].api_id;
        if !api.alerting.depends_on.contains(needs) {
            Arc::make_mut(&mut api.alerting).depends_on.push(needs.clone());
        }
        script.apis[n] = api.into();
    }
    falls_with(script, other, 0, chance);
    script.well_at_end[other] = script.well_at_end[0];
}

/// Most of them go down at once, and come back at once.
fn storms(script: &mut FleetScript, until_ms: u64, chance: &mut Chance) {
    for _ in 0..chance.below(3) {
        let at = chance.below(until_ms);
        let ends = at + chance.between(MINUTE, 15 * MINUTE);
        for n in 0..script.apis.len() {
            if chance.percent(70) {
                script.add(at, Action::Behave(n, sickness(chance)));
                script.add(ends, Action::Behave(n, Behaviour::Answers(200)));
            }
        }
    }
}

fn set_alerting(n: usize, api: &mut ApiConfig, until_ms: u64, chance: &mut Chance) {
    let Alerting { maintenance, depends_on, flap, remind_after } = Arc::make_mut(&mut api.alerting);
    let seconds = |chance: &mut Chance, low, high| Duration::from_secs(chance.between(low, high));
    if chance.percent(20) {
        let from = WORLD_BEGINS.plus(chance.millis(0, until_ms));
        maintenance.push(Window::Once { from, until: from.plus(seconds(chance, 30, 1_200)) });
    }
    if chance.percent(10) {
        let opens = Schedule::cron("*/20 * * * *", "UTC", WORLD_BEGINS).expect("a good expression");
        maintenance.push(Window::Again { opens, lasts: seconds(chance, 60, 400) });
    }
    let parents = if n == 0 { 0 } else { *chance.pick(&[0, 0, 1, 1, 2]) };
    for _ in 0..parents {
        let parent = usize::try_from(chance.below(n.min(PARENTS) as u64)).unwrap_or(0);
        let parent = ApiId::parse(&format!("api-{parent:02}")).expect("a plain id");
        if !depends_on.contains(&parent) {
            depends_on.push(parent);
        }
    }
    if chance.percent(40) {
        let changes = u32::try_from(chance.between(1, 3)).unwrap_or(2);
        *flap = Some(FlapPolicy { changes, window: seconds(chance, 200, 900) });
    }
    *remind_after = chance.percent(25).then(|| seconds(chance, 60, 400));
    if chance.percent(30) {
        api.tags.push(TAG.to_owned());
    }
}

/// It does what its parent does, a little before or after; some go on when the parent is back.
fn falls_with(script: &mut FleetScript, n: usize, parent: usize, chance: &mut Chance) {
    script.actions.retain(|(_, action)| !matches!(action, Action::Behave(of, _) if *of == n));
    let follows = |(at, action): &(Duration, Action)| match action {
        Action::Behave(of, behaviour) if *of == parent && chance.percent(90) => {
            let at = (*at + chance.millis(0, 9_000)).saturating_sub(Duration::from_secs(3));
            Some((at, Action::Behave(n, *behaviour)))
        }
        _ => None,
    };
    let own: Vec<_> = script.actions.iter().filter_map(follows).collect();
    script.actions.extend(own);
}

/// Windows that a person opens, and closes or leaves to end by themselves.
fn by_hand(script: &mut FleetScript, until_ms: u64, chance: &mut Chance) {
    for _ in 0..chance.below(6) {
        let of = match chance.below(4) {
            0 => Selection { all: true, ..Selection::default() },
            1 => {
                let some = (0..5).map(|_| chance.pick(&script.apis).api_id.as_str().to_owned()).collect();
                Selection { api_ids: some, ..Selection::default() }
            }
            _ => Selection { tags: vec![TAG.to_owned()], ..Selection::default() },
        };
        let at = chance.below(until_ms);
        let lasts = chance.between(10_000, 20 * MINUTE);
        script.add(at, Action::Maintenance(of.clone(), Some(Duration::from_millis(lasts))));
        if chance.percent(40) {
            script.add(at + chance.below(lasts), Action::Maintenance(of, None));
        }
    }
}
