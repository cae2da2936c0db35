//! Cron expressions, zones and moments of any kind: what is due is in the future, and found in bounded time.

use std::time::Duration;

use api_health_core::schedule::{CronFault, Due, Moment, Slot};
use api_health_core::{ApiId, Schedule, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::bytes::text;
use crate::{NOW, config, soon};

fn expression() -> impl Strategy<Value = String> {
    let field = select(vec![
        "*",
        "*",
        "*",
        "*/2",
        "*/7",
        "*/0",
        "0",
        "59",
        "60",
        "24",
        "1-5",
        "5-1",
        "1,15,30",
        "L",
        "W",
        "15W",
        "31W",
        "LW",
        "MON",
        "mon-fri",
        "7#5",
        "+MON",
        "5L",
        "#",
        "?",
        "1/5",
        "*/99999999999",
        "JAN-DEC",
        "31",
        "29",
        "30",
        "2",
        "2,4,6,9,11",
        "0-0",
        "-",
        ",",
        "1-",
        "99999999999999999999",
        "@daily",
        "+",
        "1-5/2",
        "0/1",
        "SUN#1,MON#2",
        "1#6",
        "ü",
        "*,*",
        "1*",
        "**",
    ]);
    // Mostly what is good anywhere, so that something is left to be due.
    let good = select(vec!["*", "*", "*", "*/2", "1", "2", "1-5", "1,3", "*/3"]);
    let field = prop_oneof![7 => good, 1 => field];
    prop_oneof![
        6 => vec(field, 5..7).prop_map(|fields| fields.join(" ")),
        1 => text(),
        1 => "[-*/,0-9LW#?+@A-Z ]{0,40}",
    ]
    // What a row may hold: the bound on its length is the row's.
    .prop_map(|text| text.chars().take(200).collect())
}

fn zone() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "America/Nuuk"])
            .prop_map(str::to_owned),
        1 => text().prop_map(|text| text.chars().take(64).collect()),
    ]
}

/// Mostly of our days; at times the ends of time, where calendars end.
fn wall() -> impl Strategy<Value = Timestamp> {
    let ends = select(vec![
        i64::MIN,
        i64::MIN + 1,
        i64::MAX - 1,
        i64::MAX,
        0,
        -1,
        -62_135_596_800_001,
        253_402_300_799_999,
        253_402_207_200_000,
        -377_705_023_201_000,
    ]);
    let year = 366 * 86_400_000_i64;
    prop_oneof![
        6 => (0..10 * year).prop_map(|after| NOW.as_millis() + after),
        1 => ends,
        1 => any::<i64>(),
        1 => -3_000 * year..3_000 * year,
    ]
    .prop_map(Timestamp::from_millis)
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn a_schedule_of_any_text_is_due_in_the_future_or_is_refused(
        expression in expression(), zone in zone(), born in wall(), moments in vec(wall(), 1..4), id in "[a-z]{1,4}",
    ) {
        let schedule = match soon(|| Schedule::cron(&expression, &zone, born)) {
            Ok(schedule) => schedule,
            Err(CronFault::Expression(why) | CronFault::Step { why, .. }) => {
                prop_assert!(!why.is_empty() && why.chars().count() <= 1_000, "{why}");
                return Ok(());
            }
            Err(CronFault::Zone | CronFault::Never) => return Ok(()),
        };
        let slot = Slot::of(&ApiId::parse(&id).unwrap());
        for wall in moments {
            let now = Moment { wall, monotonic: Duration::ZERO };
            let due = soon(|| schedule.next_due(slot, now));
            if let Some(due) = due {
                prop_assert!(matches!(due, Due::Wall(at) if at > wall), "{due:?} at {wall:?}");
                prop_assert_eq!(schedule.next_due(slot, now), Some(due), "asked twice");
                let then = due.moment(now);
                let next = schedule.next_due(slot, then);
                prop_assert!(next.is_none_or(|next| next.wait(then) > Duration::ZERO), "{next:?} at {due:?}");
                prop_assert!(due.wait(now) > Duration::ZERO && due.lateness(now) == Duration::ZERO);
            }
            let later = Moment { wall: wall.plus(Duration::from_secs(3_600)), ..now };
            prop_assert!(soon(|| schedule.missed(slot, now, later)) <= 3_600);
            soon(|| (schedule.tick_is_open(now), schedule.shortest_gap_from(now)));
        }
        prop_assert!(soon(|| schedule.longest_gap()) <= Duration::from_secs(3_000 * 366 * 86_400));
    }
}
