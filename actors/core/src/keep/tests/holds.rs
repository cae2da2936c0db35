//! Whose alerts are held, by windows and by parents, and what is done when that is over.

use super::*;
use crate::Alerting;
use crate::alert::AlertKind;
use crate::maintenance::{Maintenance, Selection, Window};

/// A desk with these rows, which are up.
pub(super) fn desk(rows: &[ApiConfig]) -> Desk {
    let mut desk = Desk::empty(setup());
    desk.gain(&grants(1, true));
    watch(&mut desk, rows);
    for row in rows {
        desk.finds(row.api_id.as_str(), Verdict::Pass);
    }
    desk.store_answers();
    desk
}

pub(super) fn watch(desk: &mut Desk, rows: &[ApiConfig]) {
    let started: Vec<Arc<ApiConfig>> = rows.iter().cloned().map(Arc::new).collect();
    desk.rows.extend(started.iter().map(|row| (row.api_id.clone(), Arc::clone(row))));
    let roster = desk.rows.iter().map(|(id, row)| (id.clone(), Arc::clone(row))).collect();
    let dependents = Some(crate::roster::dependents(&roster));
    desk.keeper.apply_configs(&ConfigDiff { started, dependents, ..ConfigDiff::default() }, moment(desk.now));
    desk.take();
}

pub(super) fn dependent(name: &str, parents: &[&str]) -> ApiConfig {
    let depends_on = parents.iter().map(|parent| id(parent)).collect();
    ApiConfig { alerting: Alerting { depends_on, ..Alerting::default() }.into(), ..row(name) }
}

/// How often this API was asked to be probed at once, since the last time that was looked.
pub(super) fn probed_again(desk: &mut Desk, name: &str) -> usize {
    let asked =
        desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(api_id)) if *api_id == id(name)));
    desk.others.clear();
    asked
}

fn window(desk: &Desk, seconds: u64) -> Maintenance {
    let now = moment(desk.now).wall;
    Maintenance { since: now, until: now.plus(Duration::from_secs(seconds)), note: "disks".into() }
}

fn tagged(name: &str, tag: &str) -> ApiConfig {
    ApiConfig { tags: vec![tag.into()], ..row(name) }
}

#[test]
fn a_window_of_a_tag_holds_what_has_it_and_what_differs_at_its_end_is_told_after_one_more_probe() {
    let mut desk = desk(&[tagged("shop", "eu"), tagged("cart", "eu"), row("mail")]);
    let of = Selection { tags: vec!["eu".into()], ..Selection::default() };
    let until = window(&desk, 60);
    assert_eq!(desk.keeper.set_maintenance(&of, Some(&until), moment(desk.now)), 2);
    desk.take();
    ["shop", "cart", "mail"].iter().for_each(|name| desk.goes_down(name));
    desk.comes_back("cart");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["mail down"]);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::Held { .. })), 2);
    desk.wait(30);
    assert_eq!(probed_again(&mut desk, "shop"), 0);
    desk.wait(31);
    assert_eq!(probed_again(&mut desk, "shop"), 1, "as soon as it is over");
    desk.wait(5);
    assert_eq!(probed_again(&mut desk, "shop"), 0, "once");
    desk.finds("shop", Verdict::Fail);
    desk.finds("cart", Verdict::Pass);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["mail down", "shop down"]);
    assert_eq!((&desk.stored("shop").maintenance, &desk.stored("cart").held), (&None, &None));
}

#[test]
fn a_window_that_is_closed_early_is_over_at_once_and_one_in_the_config_needs_nobody() {
    let mut desk = desk(&[row("shop")]);
    let all = Selection { all: true, ..Selection::default() };
    let until = window(&desk, 3_600);
    desk.keeper.set_maintenance(&all, Some(&until), moment(desk.now));
    desk.goes_down("shop");
    assert_eq!(desk.keeper.set_maintenance(&all, None, moment(desk.now)), 1);
    assert_eq!(desk.keeper.set_maintenance(&all, None, moment(desk.now)), 0, "nothing is open");
    desk.wait(1);
    assert_eq!(probed_again(&mut desk, "shop"), 1);
    desk.finds("shop", Verdict::Fail);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down"]);
    let now = moment(desk.now).wall;
    let maintenance = vec![Window::Once { from: now, until: now.plus(Duration::from_secs(60)) }];
    watch(&mut desk, &[ApiConfig { alerting: Alerting { maintenance, ..Alerting::default() }.into(), ..row("cart") }]);
    desk.finds("cart", Verdict::Pass);
    desk.goes_down("cart");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down"]);
}

#[test]
fn what_is_held_survives_a_kill_and_a_change_of_owner() {
    let mut desk = desk(&[row("shop"), row("cart")]);
    desk.goes_down("cart");
    desk.all_goes_well();
    let all = Selection { all: true, ..Selection::default() };
    let until = window(&desk, 60);
    desk.keeper.set_maintenance(&all, Some(&until), moment(desk.now));
    desk.goes_down("shop");
    desk.comes_back("cart");
    desk.all_goes_well();
    desk.keeper = Keeper::new(setup(), moment(desk.now));
    desk.gain(&grants(2, false));
    desk.watch(&["shop", "cart"]);
    desk.all_goes_well();
    desk.wait(61);
    assert_eq!(desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(_)))), 2);
    desk.finds("shop", Verdict::Fail);
    desk.finds("cart", Verdict::Pass);
    desk.all_goes_well();
    assert_eq!(desk.heard, ["cart down", "cart up", "shop down"]);
}

#[test]
fn a_dependent_is_held_while_its_parent_is_down_whose_alert_names_it() {
    let mut desk = desk(&[row("db"), dependent("shop", &["db"]), dependent("cart", &["shop"])]);
    desk.goes_down("db");
    desk.goes_down("shop");
    desk.goes_down("cart");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["db down"]);
    assert_eq!(desk.alerts[0].1.reason, "refused; alerts of 1 that depend on it are held: shop");
    desk.comes_back("db");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["db down", "db up"]);
    desk.others.clear();
    desk.wait(1);
    assert_eq!(probed_again(&mut desk, "shop"), 1, "cart waits for it");
    desk.finds("shop", Verdict::Fail);
    desk.comes_back("cart");
    desk.all_goes_well();
    assert_eq!(desk.heard[2..], ["shop down"], "still down after its parent is back");
    desk.comes_back("shop");
    desk.wait(1);
    desk.finds("cart", Verdict::Pass);
    desk.all_goes_well();
    assert_eq!(desk.heard[2..], ["shop down", "shop up"]);
}

#[test]
fn a_recovery_waits_for_a_parent_that_is_down_whichever_other_one_was_not_asked_yet() {
    let mut desk = desk(&[row("cache"), row("db"), dependent("shop", &["cache", "db"])]);
    desk.goes_down("shop");
    desk.finds("cache", Verdict::Pass);
    desk.finds("db", Verdict::Pass);
    desk.wait(1);
    desk.finds("shop", Verdict::Fail);
    desk.goes_down("db");
    desk.wait(1);
    desk.comes_back("shop");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down", "db down"]);
    desk.comes_back("db");
    desk.all_goes_well();
    desk.wait(1);
    desk.finds("shop", Verdict::Pass);
    desk.all_goes_well();
    assert_eq!(desk.heard[2..], ["db up", "shop up"]);
}

#[test]
fn a_recovery_that_was_held_is_probed_as_soon_as_its_window_is_over_and_its_parents_are_left_alone() {
    let mut desk = desk(&[row("db"), dependent("shop", &["db"])]);
    desk.goes_down("shop");
    desk.finds("db", Verdict::Pass);
    desk.wait(1);
    desk.finds("shop", Verdict::Fail);
    let of = Selection { api_ids: vec!["shop".into()], ..Selection::default() };
    let until = window(&desk, 60);
    desk.keeper.set_maintenance(&of, Some(&until), moment(desk.now));
    desk.comes_back("shop");
    desk.others.clear();
    desk.wait(61);
    let asked =
        desk.did(|effect| matches!(effect, Effect::Request(Request::ProbeAgain(api_id)) if *api_id == id("db")));
    assert_eq!((asked, probed_again(&mut desk, "shop")), (0, 1));
}

#[test]
fn each_end_of_a_hold_is_followed_by_a_probe() {
    let mut desk = desk(&[row("db"), dependent("shop", &["db"])]);
    desk.goes_down("db");
    desk.goes_down("shop");
    for _ in 0..2 {
        desk.comes_back("db");
        desk.others.clear();
        desk.wait(1);
        assert_eq!(probed_again(&mut desk, "shop"), 1);
        // It is down once more before that probe is over.
        desk.goes_down("db");
        desk.finds("shop", Verdict::Fail);
        desk.wait(1);
    }
    desk.all_goes_well();
    assert!(!desk.heard.contains(&"shop down".to_owned()));
}

#[test]
fn a_dependent_that_fails_first_waits_until_its_parent_was_asked_and_no_longer() {
    let mut desk = desk(&[row("db"), dependent("shop", &["db"])]);
    desk.finds("shop", Verdict::Fail);
    assert_eq!(probed_again(&mut desk, "db"), 1, "asked with its first fail");
    desk.finds("shop", Verdict::Fail);
    desk.goes_down("db");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["db down"]);
    desk.comes_back("db");
    desk.comes_back("shop");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["db down", "db up"]);
    // A parent that is well, and one that nobody hears of.
    desk.goes_down("shop");
    desk.all_goes_well();
    assert_eq!(desk.heard.len(), 2);
    desk.finds("db", Verdict::Pass);
    desk.wait(1);
    assert_eq!(probed_again(&mut desk, "shop"), 1);
    desk.finds("shop", Verdict::Fail);
    desk.comes_back("shop");
    desk.all_goes_well();
    assert_eq!(desk.heard[2..], ["shop down", "shop up"]);
    desk.goes_down("shop");
    for _ in 0..61 {
        desk.wait(1);
        desk.all_goes_well();
    }
    assert!(probed_again(&mut desk, "shop") > 0);
    desk.finds("shop", Verdict::Fail);
    desk.all_goes_well();
    assert_eq!(desk.heard[4..], ["shop down"]);
}

#[test]
fn two_that_need_each_other_and_one_that_needs_nobody_who_is_watched_are_told_as_ever() {
    let mut desk = desk(&[dependent("a", &["b"]), dependent("b", &["a"]), dependent("c", &["nobody", "c"])]);
    ["a", "b", "c"].iter().for_each(|name| desk.goes_down(name));
    desk.all_goes_well();
    let mut heard = desk.heard.clone();
    heard.sort_unstable();
    assert_eq!(heard, ["a down", "b down", "c down"]);
}

#[test]
fn apis_that_need_each_other_in_a_circle_are_told_as_ever_whoever_else_needs_one_of_them() {
    let circle = [dependent("a", &["c"]), dependent("b", &["a"]), dependent("c", &["b"])];
    let others = ["a", "b", "c"].map(|parent| dependent(&format!("z-{parent}"), &[parent]));
    let mut desk = desk(&[circle, others].concat());
    ["a", "b", "c"].iter().for_each(|name| desk.goes_down(name));
    desk.all_goes_well();
    let mut heard = desk.heard.clone();
    heard.sort_unstable();
    assert_eq!(heard, ["a down", "b down", "c down"]);
}

#[test]
fn an_api_that_is_removed_while_its_alerts_are_held_is_closed_only_if_people_think_that_it_is_down() {
    let mut desk = desk(&[row("shop"), row("cart")]);
    desk.goes_down("cart");
    desk.all_goes_well();
    let until = window(&desk, 60);
    desk.keeper.set_maintenance(&Selection { all: true, ..Selection::default() }, Some(&until), moment(desk.now));
    desk.goes_down("shop");
    desk.comes_back("cart");
    let stopped = vec![(id("shop"), "it was disabled"), (id("cart"), "it was disabled")];
    desk.keeper.apply_configs(&ConfigDiff { stopped, ..ConfigDiff::default() }, moment(desk.now));
    desk.take();
    desk.all_goes_well();
    assert_eq!(desk.heard, ["cart down", "cart closed"]);
    let told = &desk.alerts[1].1;
    assert_eq!(told.kind, AlertKind::Closed);
    assert_eq!(told.reason, "no longer watched: it was disabled; it was told as down and is up again: refused");
}

#[test]
fn a_parent_names_five_of_its_dependents_and_counts_the_rest() {
    let long = |n: usize| format!("{n}{}", "x".repeat(40));
    for (names, words) in [
        (
            (0..7).map(|n| format!("shop-{n}")).collect::<Vec<_>>(),
            "held: shop-0, shop-1, shop-2, shop-3, shop-4 and 2 more",
        ),
        ((0..7).map(long).collect(), "… and 2 more"),
    ] {
        let rows: Vec<ApiConfig> =
            std::iter::once(row("db")).chain(names.iter().map(|name| dependent(name, &["db"]))).collect();
        let mut desk = desk(&rows);
        desk.goes_down("db");
        desk.all_goes_well();
        let reason = &desk.alerts[0].1.reason;
        assert!(reason.ends_with(words) && reason.chars().count() < 220, "{reason}");
    }
}
