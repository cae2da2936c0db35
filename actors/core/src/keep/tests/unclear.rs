//! Of whom nothing can be told: nobody stays so and untold beyond its bound, and nobody is told too soon.

use proptest::prelude::*;

use super::*;

/// What comes of a minute of an API.
#[derive(Clone, Copy, Debug)]
enum Comes {
    Pass,
    Inconclusive,
    Nothing,
}

/// One outcome is missed so long after the one before: its interval, its timeout twice, and the slack.
const MISSED_AFTER: u64 = 60 + 2 * 10 + 15;
/// Those that are silent are looked for this often.
const SCAN: u64 = 10;
/// Three intervals, and five minutes at least.
const UNCLEAR_AFTER: u64 = 300;

fn comes() -> impl Strategy<Value = Comes> {
    prop_oneof![2 => Just(Comes::Pass), 4 => Just(Comes::Inconclusive), 2 => Just(Comes::Nothing)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_stays_unclear_and_untold_beyond_its_bound(
        minutes in prop::collection::vec((comes(), prop::bool::weighted(0.15)), 5..40),
    ) {
        let mut desk = Desk::watching(&["shop"]);
        let began = desk.now;
        let second = |desk: &Desk| (desk.now - began).as_secs();
        let (mut heard_at, mut blind_from, mut is_gone, mut over_at) = (0, None, false, None);
        let mut was_told = false;
        for (comes, toggles) in minutes {
            if toggles {
                is_gone = !is_gone;
                let fault = is_gone.then(|| "gone".to_owned());
                desk.keeper.on_own_side_status(OwnSideKind::Network, fault, moment(desk.now));
                desk.take();
                over_at = (!is_gone).then(|| second(&desk));
            }
            match comes {
                Comes::Pass => {
                    desk.finds("shop", Verdict::Pass);
                    (heard_at, blind_from) = (second(&desk), None);
                }
                Comes::Inconclusive => {
                    desk.finds("shop", Verdict::Inconclusive);
                    heard_at = second(&desk);
                    blind_from.get_or_insert((heard_at, heard_at));
                }
                Comes::Nothing => {}
            }
            for _ in 0..60 {
                desk.wait(1);
                desk.all_goes_well();
                let now = second(&desk);
                if now >= heard_at + MISSED_AFTER {
                    blind_from.get_or_insert((heard_at + MISSED_AFTER, heard_at + MISSED_AFTER + SCAN));
                }
                let state = desk.keeper.state(&ApiId::monitor_unclear(&id("shop")));
                let is_told = state.is_some_and(|state| state.incident.is_some());
                let Some((from, noticed)) = blind_from else {
                    prop_assert!(!is_told, "told at {now} s, and it can be judged");
                    was_told = false;
                    continue;
                };
                if is_told && !was_told {
                    prop_assert!(now + 1 >= from + UNCLEAR_AFTER, "told at {now} s, and blind since {from} s");
                    prop_assert!(!is_gone, "told at {now} s, and our network is told to be gone");
                }
                let bound = (noticed + UNCLEAR_AFTER).max(over_at.map_or(0, |at| at + 60)) + 2;
                prop_assert!(is_told || is_gone || now < bound, "not told at {now} s, and blind since {from} s");
                was_told = is_told;
            }
        }
        let kinds: Vec<&str> = desk.heard.iter().filter_map(|line| line.strip_prefix("api-health:unclear:shop ")).collect();
        prop_assert!(kinds.iter().enumerate().all(|(n, kind)| *kind == ["down", "up"][n % 2]), "{kinds:?}");
    }
}

#[test]
fn time_that_this_machine_slept_through_does_not_count() {
    let mut desk = Desk::watching(&["shop"]);
    desk.finds("shop", Verdict::Inconclusive);
    desk.wait(1);
    desk.wait(3_600);
    desk.finds("shop", Verdict::Pass);
    desk.all_goes_well();
    assert_eq!(desk.heard, [""; 0]);
}
