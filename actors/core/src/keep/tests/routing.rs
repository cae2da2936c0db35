//! Which channels an alert is owed to, by the tags of its API.

use super::*;
use crate::routes::Route;

fn routes(of: &[(&str, &[&str])]) -> KeeperConfig {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let route = |(channel, tags): &(&str, &[&str])| Route { channel: (*channel).to_owned(), tags: owned(tags) };
    KeeperConfig { routes: Routes::new(of.iter().map(route).collect()), ..setup() }
}

/// Mail takes everything, the pager what is tagged `shop`, the desk what is tagged `etl`.
fn three() -> KeeperConfig {
    routes(&[("mail", &[]), ("pager", &["shop"]), ("desk", &["etl"])])
}

fn tagged(desk: &mut Desk, name: &str, tag: &str) {
    let row = Arc::new(ApiConfig { tags: vec![tag.into()], ..row(name) });
    desk.rows.insert(row.api_id.clone(), Arc::clone(&row));
    let diff = ConfigDiff { started: vec![row], ..ConfigDiff::default() };
    desk.keeper.apply_configs(&diff, moment(desk.now));
    desk.take();
}

fn owed<'a>(desk: &'a Desk, api_id: &ApiId) -> &'a [delivery::OwedAlert] {
    &desk.keeper.state(api_id).unwrap().owed
}

#[test]
fn an_alert_is_owed_to_the_channels_that_ask_for_one_of_its_tags_and_the_record_names_them() {
    let mut desk = Desk::with(three(), &["other"]);
    tagged(&mut desk, "cart", "shop");
    for (name, owed_to) in [("cart", vec!["mail", "pager"]), ("other", vec!["mail"])] {
        desk.goes_down(name);
        desk.store_answers();
        assert_eq!(desk.stored(name).owed[0].owed_to, owed_to);
        assert_eq!(desk.stored(name).incident.as_ref().unwrap().owed_to, owed_to);
    }
    desk.keeper.on_capacity_status(Some("too slow".into()), moment(desk.now));
    desk.keeper.on_prober_given_up(&desk.rows["cart"].clone(), "it died".into(), moment(desk.now));
    desk.take();
    for system in [ApiId::monitor_capacity(), ApiId::monitor_prober(&id("cart"))] {
        assert_eq!(owed(&desk, &system)[0].owed_to, ["mail"], "{system}");
    }
}

#[test]
fn whoever_heard_of_an_outage_hears_of_its_end_wherever_its_alerts_go_by_then() {
    let mut desk = Desk::with(three(), &[]);
    tagged(&mut desk, "cart", "shop");
    desk.goes_down("cart");
    desk.all_goes_well();
    tagged(&mut desk, "cart", "etl");
    desk.comes_back("cart");
    desk.store_answers();
    assert_eq!(desk.stored("cart").owed[0].owed_to, ["mail", "desk", "pager"]);
    desk.all_goes_well();
    desk.goes_down("cart");
    assert_eq!(desk.known("cart").owed[0].owed_to, ["mail", "desk"], "the next outage is none of the pager's");
}

#[test]
fn an_api_that_no_channel_asks_for_is_said_and_its_alerts_go_to_all() {
    let mut desk = Desk::with(routes(&[("pager", &["shop"]), ("desk", &["etl"])]), &["other", "another"]);
    tagged(&mut desk, "cart", "shop");
    assert_eq!(desk.said(|line| *line == LogEvent::Unserved { api_id: id("other"), others: 1 }), 1);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::Unserved { .. })), 1);
    desk.goes_down("other");
    desk.goes_down("cart");
    desk.keeper.on_capacity_status(Some("too slow".into()), moment(desk.now));
    assert_eq!(desk.known("other").owed[0].owed_to, ["pager", "desk"]);
    assert_eq!(desk.known("cart").owed[0].owed_to, ["pager"]);
    assert_eq!(owed(&desk, &ApiId::monitor_capacity())[0].owed_to, ["pager", "desk"]);
}

/// The cart, which is tagged `shop`, is told as unclear.
fn unclear_cart() -> (Desk, ApiId) {
    let mut desk = Desk::with(three(), &[]);
    tagged(&mut desk, "cart", "shop");
    desk.wait(1);
    desk.finds("cart", Verdict::Inconclusive);
    let span = desk.rows["cart"].unclear_after(moment(desk.now)).as_secs();
    (0..=span).for_each(|_| desk.wait(1));
    (desk, ApiId::monitor_unclear(&id("cart")))
}

#[test]
fn what_is_told_beside_the_status_of_an_api_goes_where_its_outages_go() {
    let (mut desk, unclear) = unclear_cart();
    assert_eq!(owed(&desk, &unclear)[0].owed_to, ["mail", "pager"]);
    desk.keeper.apply_configs(
        &ConfigDiff { stopped: vec![(id("cart"), "its row was removed")], ..ConfigDiff::default() },
        moment(desk.now),
    );
    let closed = &owed(&desk, &unclear)[1];
    assert_eq!((closed.alert.kind, &closed.owed_to[..]), (AlertKind::Closed, &["mail".into(), "pager".into()][..]));
}

#[test]
fn what_was_told_of_an_api_whose_row_is_not_read_yet_is_withdrawn_from_every_channel() {
    let (told, unclear) = unclear_cart();
    let alert = Arc::new(owed(&told, &unclear)[0].alert.clone());
    let mut next = Desk::with(three(), &[]);
    next.keeper.withdraw(&alert, moment(next.now));
    next.take();
    let withdrawal = &owed(&next, &unclear)[0];
    assert!(withdrawal.alert.is_withdrawal());
    assert_eq!(withdrawal.owed_to, three().routes.channels());
}
