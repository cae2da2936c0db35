//! The checker is checked: each history that breaks a promise is found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::oracle::{Change, Heard, check};

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

fn truth() -> BTreeMap<String, Vec<Change>> {
    let change = |kind, second| Change { kind, not_before: at(second), not_after: at(second + 5) };
    BTreeMap::from([
        ("shop".into(), vec![change("down", 10), change("up", 20), change("down", 30)]),
        ("steady".into(), vec![]),
    ])
}

/// The `n`th change of `shop`, told in `life`.
fn shop(n: u64, life: usize, answered: u16) -> Heard {
    let kind = if n.is_multiple_of(2) { "down" } else { "up" };
    Heard {
        at: at(10 + 10 * n),
        life,
        answered,
        api_id: "shop".into(),
        kind: kind.into(),
        alert_id: format!("a{n}"),
        incident_id: format!("i{}", n / 2),
        happened_at: at(10 + 10 * n),
    }
}

/// Life 0 left `a0` owed, life 1 left nothing.
fn judge(heard: &[Heard]) -> Result<usize, String> {
    let owed = [BTreeSet::from(["a0".to_owned()]), BTreeSet::new(), BTreeSet::new()];
    check(&truth(), heard, &owed).map(|figures| figures.repeats)
}

#[test]
fn a_good_history_passes_with_the_repeats_that_are_allowed() {
    assert_eq!(judge(&[shop(0, 0, 200), shop(1, 1, 200), shop(2, 1, 200)]), Ok(0));
    // Not taken over, so said again; and taken over by a life that died before it was settled.
    assert_eq!(
        judge(&[shop(0, 0, 0), shop(0, 0, 503), shop(0, 0, 200), shop(0, 1, 200), shop(1, 1, 200), shop(2, 2, 200)]),
        Ok(1)
    );
    // The monitor's own state is none of this.
    let mut own = shop(0, 0, 200);
    own.api_id = "api-health:store".into();
    assert_eq!(judge(&[own, shop(0, 0, 200), shop(1, 1, 200), shop(2, 1, 200)]), Ok(0));
}

#[test]
fn what_breaks_a_promise_is_found() {
    let renamed = |heard: Heard, alert_id: &str| Heard { alert_id: alert_id.into(), ..heard };
    let good = || vec![shop(0, 0, 200), shop(1, 1, 200), shop(2, 1, 200)];
    let with = |extra: Heard| good().into_iter().chain([extra]).collect::<Vec<_>>();
    for (what, heard, why) in [
        ("lost", vec![shop(0, 0, 200), shop(2, 1, 200)], "happened: down up down; told: down down"),
        ("never told at all", vec![], "told: "),
        ("lost at the end", vec![shop(0, 0, 200), shop(1, 1, 200)], "happened: down up down; told: down up"),
        ("told twice under another id", with(renamed(shop(2, 2, 200), "b2")), "told: down up down down"),
        ("said and never taken over", vec![shop(0, 0, 200), shop(1, 1, 200), shop(2, 1, 503)], "never taken over"),
        ("repeated within a life", with(shop(2, 1, 200)), "repeated in life 1"),
        ("repeated after it was settled", with(shop(2, 2, 200)), "life 1 left it settled"),
        (
            "out of turn",
            vec![shop(0, 0, 503), shop(1, 0, 200), shop(0, 0, 200), shop(2, 1, 200)],
            "before a0 was taken",
        ),
        ("backwards", vec![shop(0, 0, 200), shop(1, 1, 200), shop(0, 1, 200), shop(2, 1, 200)], "after a1 in one life"),
        (
            "of another time",
            vec![shop(0, 0, 200), Heard { happened_at: at(3), ..shop(1, 1, 200) }, shop(2, 1, 200)],
            "says it happened",
        ),
        (
            "of another incident",
            vec![shop(0, 0, 200), Heard { incident_id: "i7".into(), ..shop(1, 1, 200) }, shop(2, 1, 200)],
            "incident i7",
        ),
        ("one id for two alerts", with(renamed(shop(1, 2, 200), "a2")), "has the alert id of"),
        ("false", with(Heard { api_id: "steady".into(), ..shop(0, 1, 200) }), "steady: happened: ; told: down"),
        ("of nobody", with(Heard { api_id: "ghost".into(), ..shop(0, 1, 200) }), "no such API"),
    ] {
        let found = judge(&heard).expect_err(what);
        assert!(found.contains(why), "{what}: {found}");
    }
}
