//! The judge of fleets is judged: each history that breaks a promise is found.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::oracle::{Figures, Trouble, What, check};
use crate::oracle::{Change, Heard};

fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

/// `shop` was down from 100 to 200, and from 300 on.
fn truth() -> BTreeMap<String, Vec<Change>> {
    let change = |kind, second| Change { kind, not_before: at(second), not_after: at(second + 10) };
    BTreeMap::from([
        ("shop".into(), vec![change("down", 100), change("up", 200), change("down", 300)]),
        ("steady".into(), vec![]),
    ])
}

/// Told by `life` at that second, the outage `incident`.
fn told(life: usize, second: u64, incident: &str, kind: &str) -> Heard {
    Heard {
        at: at(second),
        life,
        answered: 200,
        api_id: "shop".into(),
        kind: kind.into(),
        alert_id: format!("{incident}.{kind}"),
        incident_id: incident.into(),
        happened_at: at(second - 3),
    }
}

fn good() -> Vec<Heard> {
    vec![told(0, 105, "a", "down"), told(0, 205, "a", "up"), told(1, 305, "b", "down")]
}

/// Life 0 was killed at 306, life 1 frozen from 206 to 215, life 2 cut off alone from 90 to 150.
fn troubles() -> Vec<Trouble> {
    let trouble = |life, what, from, until| Trouble { life, what, from: at(from), until: at(until) };
    vec![
        trouble(0, What::Killed, 306, 306),
        trouble(1, What::Frozen, 206, 215),
        trouble(2, What::CutAlone, 90, 150),
        trouble(3, What::AllCut, 90, 150),
    ]
}

fn judge(mut heard: Vec<Heard>) -> Result<Figures, String> {
    heard.sort_by_key(|one| one.at);
    check(&truth(), &heard, &troubles())
}

fn with(more: impl IntoIterator<Item = Heard>) -> Vec<Heard> {
    good().into_iter().chain(more).collect()
}

/// The first outage, told beside the true one after 30 s by `life`.
fn beside(life: usize) -> Heard {
    Heard { happened_at: at(101), ..told(life, 131, "z", "down") }
}

#[test]
fn a_good_history_passes_and_so_does_what_a_kill_a_freeze_or_a_cut_explains() {
    assert_eq!(judge(good()), Ok(Figures { alerts: 3, repeats: 0, withdrawn: 0 }));
    let killed = vec![told(0, 105, "a", "down"), told(0, 205, "a", "up"), told(0, 305, "b", "down")];
    let repeated = killed.into_iter().chain([told(2, 312, "b", "down")]).collect();
    assert_eq!(judge(repeated), Ok(Figures { alerts: 3, repeats: 1, withdrawn: 0 }));
    // The one that was frozen says it as it wakes up.
    assert_eq!(judge(with([told(1, 215, "a", "up")])), Ok(Figures { alerts: 3, repeats: 1, withdrawn: 0 }));
    let taken_back = with([beside(2), told(0, 155, "z", "closed")]);
    assert_eq!(judge(taken_back), Ok(Figures { alerts: 5, repeats: 0, withdrawn: 1 }));
    // One that was cut off told all of it, and sooner than the one that had the store.
    let sooner = [Heard { happened_at: at(101), ..told(2, 121, "z", "down") }, told(2, 204, "z", "up")];
    let true_one = Heard { happened_at: at(101), ..told(0, 125, "a", "down") };
    let both = sooner.into_iter().chain([true_one, told(0, 205, "a", "up"), told(1, 305, "b", "down")]).collect();
    assert_eq!(judge(both), Ok(Figures { alerts: 5, repeats: 0, withdrawn: 1 }));
    let store = |heard| Heard { api_id: "api-health:store".into(), ..heard };
    assert!(judge(with([store(told(0, 90, "s", "down")), store(told(0, 151, "s", "up"))])).is_ok());
}

#[test]
fn what_breaks_a_promise_is_found() {
    for (what, heard, why) in [
        ("lost", vec![told(0, 105, "a", "down"), told(1, 305, "b", "down")], "nothing tells"),
        ("lost at the end", good()[..2].to_vec(), "nothing tells"),
        ("never told at all", vec![], "nothing tells"),
        ("repeated without a cause", with([told(1, 108, "a", "down")]), "without a cause"),
        (
            "repeated twice for one kill",
            vec![
                told(0, 105, "a", "down"),
                told(0, 205, "a", "up"),
                told(0, 305, "b", "down"),
                told(2, 312, "b", "down"),
                told(2, 313, "b", "down"),
            ],
            "without a cause",
        ),
        ("repeated long after it was noted", with([told(1, 290, "a", "up")]), "without a cause"),
        (
            "another id by one that had the store",
            with([beside(0), told(0, 155, "z", "closed")]),
            "its teller had the store",
        ),
        (
            "another id where all were cut off: exactly one tells",
            with([beside(3), told(0, 155, "z", "closed")]),
            "its teller had the store",
        ),
        (
            "another id too soon",
            with([Heard { at: at(111), ..beside(2) }, told(0, 155, "z", "closed")]),
            "its teller had the store",
        ),
        ("never taken back", with([beside(2)]), "never taken back"),
        ("taken back though it was true", with([told(0, 155, "a", "closed")]), "nothing tells"),
        (
            "out of turn",
            vec![
                told(0, 105, "a", "down"),
                told(0, 205, "a", "up"),
                Heard { at: at(204), ..told(1, 305, "b", "down") },
            ],
            "came before",
        ),
        ("up before down", vec![told(0, 205, "a", "down"), told(0, 105, "a", "up")], "came before the outage"),
        (
            "of another time",
            vec![told(0, 105, "a", "down"), Heard { happened_at: at(190), ..good()[1].clone() }, good()[2].clone()],
            "nothing tells",
        ),
        ("false", with([told(0, 50, "f", "down")]), "told: "),
        (
            "of an API that was up all the time",
            with([Heard { api_id: "steady".into(), ..told(0, 105, "f", "down") }]),
            "steady: ",
        ),
        (
            "the store is gone, and never back",
            with([Heard { api_id: "api-health:store".into(), ..told(0, 95, "s", "down") }]),
            "never ended",
        ),
        ("of nobody", with([Heard { api_id: "ghost".into(), ..told(0, 105, "g", "down") }]), "no such API"),
        (
            "one id for two alerts",
            with([Heard { alert_id: "a.down".into(), ..told(1, 306, "c", "down") }]),
            "has the alert id of",
        ),
        ("refused", with([Heard { answered: 503, ..told(1, 308, "c", "down") }]), "answered with 503"),
    ] {
        let found = judge(heard).expect_err(what);
        assert!(found.contains(why), "{what}: {found}");
    }
}
