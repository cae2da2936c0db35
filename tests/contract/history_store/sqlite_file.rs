//! What is of the SQLite file alone: that items expire there, that states go on beside it, and that files of other releases are taken.

use std::sync::Arc;

use api_health::sqlite::SqliteFile;
use api_health::store::SqliteStateStore;
use api_health::store::history::{BATCH_MAX, SqliteHistoryStore};
use api_health_actors::ports::StateStore;
use api_health_core::Timestamp;
use api_health_core::history::{HistoryItem, HistorySlot};

use super::worlds::World;
use super::{all_days, at, day, item, month, of_day, shop, write};
use crate::state_store::worlds::{over_the_one_before, rich};
use crate::worlds::{World as _, block_on};

const DAY_MILLIS: i64 = 24 * 3_600 * 1_000;

fn items_in(file: &SqliteFile) -> i64 {
    let connection = rusqlite::Connection::open(file.path()).unwrap();
    connection.query_row("SELECT count(*) FROM api_health_history", [], |row| row.get(0)).unwrap()
}

#[test]
fn what_expired_goes_in_small_steps_and_what_is_kept_for_ever_stays() {
    let world = World::here();
    let World::Sqlite { file, clock, .. } = &world else { unreachable!() };
    let first = day("2026-01-01"); // when the clock begins
    let kept_for = |n: i32, millis: i64| HistoryItem {
        kept_until: Some(Timestamp::from_millis(first.starts_at().as_millis() + millis)),
        ..item(shop(), HistorySlot::Day(first.plus_days(n)), b"x")
    };
    block_on(async {
        let store = world.open();
        let batch = i32::try_from(BATCH_MAX).unwrap();
        for begin in [0, batch, 2 * batch] {
            let items: Vec<HistoryItem> = (begin..begin + batch).map(|n| kept_for(n, DAY_MILLIS)).collect();
            write(&*store, &items).await;
        }
        let for_ever = HistoryItem { kept_until: None, ..item(shop(), HistorySlot::Month(month("2025-12")), b"m") };
        write(&*store, &[for_ever, kept_for(9_999, 3 * DAY_MILLIS)]).await;
        assert_eq!(items_in(file), 302, "nothing has expired");
        clock.step(2 * DAY_MILLIS);
        let mut left = vec![];
        for _ in 0..3 {
            write(&*store, &[kept_for(10_000, 3 * DAY_MILLIS)]).await;
            left.push(items_in(file));
        }
        assert_eq!(left, [103, 3, 3], "200 with each batch");
    });
}

#[test]
fn states_are_written_beside_it_and_an_earlier_file_gets_its_table_when_it_is_needed() {
    let world = World::here();
    let World::Sqlite { file, clock, .. } = &world else { unreachable!() };
    let has_table = || {
        let connection = rusqlite::Connection::open(file.path()).unwrap();
        let read = "SELECT count(*) FROM sqlite_schema WHERE name = 'api_health_history'";
        connection.query_row(read, [], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    block_on(async {
        let (states, history) = (SqliteStateStore::open(file).unwrap(), world.open());
        assert_eq!(all_days(&*history).await, []);
        assert!(!has_table(), "reading makes none");
        // All at once, as a daemon has it.
        let write_states = async {
            for version in 1..=30 {
                assert_eq!(states.commit(vec![over_the_one_before(rich("shop", version))]).await, [Ok(())]);
            }
        };
        let write_days = async {
            for n in 0..30_u8 {
                write(&*history, &[of_day("2026-11-26", &[n])]).await;
            }
        };
        futures_util::future::join(write_states, write_days).await;
        assert!(has_table());
        // Somebody who only looks, while the daemon has the file open.
        let reader = SqliteFile::open_to_read(file.path()).unwrap();
        let reader = SqliteHistoryStore::open(&reader, Arc::new(clock.clone())).unwrap();
        assert_eq!(all_days(&reader).await, [of_day("2026-11-26", &[29])]);
        assert!(states.load_all().await.unwrap().unreadable.is_empty());
    });
}

#[test]
fn nothing_expires_before_its_time() {
    let world = World::here();
    block_on(async {
        let store = world.open();
        let until = HistoryItem { kept_until: Some(at("2026-01-02T00:00:00.000Z")), ..of_day("2025-11-01", b"x") };
        write(&*store, std::slice::from_ref(&until)).await;
        write(&*store, &[of_day("2026-01-01", b"y")]).await;
        assert_eq!(all_days(&*store).await, [until, of_day("2026-01-01", b"y")]);
    });
}
