//! Items of history as somebody else may have left them: of any attribute in DynamoDB, of any text and bytes in SQLite. Each is read or
//! passed over, and hides no other.

use std::sync::Arc;

use api_health::clock::SystemClock;
use api_health::sqlite::SqliteFile;
use api_health::store::history::{DynamoHistoryStore, READ_MAX, SqliteHistoryStore};
use api_health_actors::ports::HistoryStore;
use api_health_core::history::item::ITEM_BYTES_MAX;
use api_health_core::history::{HistoryItem, HistorySlot, Series, UtcDay};
use api_health_core::{ApiId, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::bytes::text;
use crate::config;
use crate::dynamodb::{client, damage, damages, serve};
use crate::server::run;

const ITEMS: usize = 10;

fn series() -> Series {
    Series::Api(ApiId::parse("shop").unwrap())
}

fn day(n: usize) -> UtcDay {
    UtcDay::parse("2026-11-01").unwrap().plus_days(i32::try_from(n).unwrap())
}

fn good(n: usize) -> HistoryItem {
    let kept_until = Some(Timestamp::from_millis(4_000_000_000_000));
    HistoryItem { series: series(), slot: HistorySlot::Day(day(n)), epoch: 7, kept_until, bytes: b"hunter2".to_vec() }
}

async fn read(store: &dyn HistoryStore) -> Vec<HistoryItem> {
    let all =
        HistorySlot::Day(UtcDay::parse("0001-01-01").unwrap())..=HistorySlot::Day(UtcDay::parse("9999-12-31").unwrap());
    store.read(series(), all, READ_MAX).await.unwrap()
}

proptest! {
    #![proptest_config(config(30))]

    #[test]
    fn items_of_any_attributes_are_read_or_passed_over(all in vec(damages(), ITEMS)) {
        let items = all.iter().enumerate().rev().map(|(n, damages)| {
            let mut item = json!({
                "api_id": { "S": "shop" }, "slot": { "S": HistorySlot::Day(day(n)).to_string() }, "epoch": { "N": "7" },
                "expires_at": { "N": "4000000000" }, "bytes": { "B": "aHVudGVyMg==" },
            });
            damage(&mut item, damages);
            item
        });
        let found = run(async {
            read(&DynamoHistoryStore::new(client(&serve(items.collect()).await), "t")).await
        });
        for (n, damages) in all.iter().enumerate() {
            prop_assert!(!damages.is_empty() || found.contains(&good(n)), "an undamaged item comes back equal");
        }
        prop_assert!(found.len() <= ITEMS && found.iter().all(|item| item.bytes.len() <= ITEM_BYTES_MAX));
    }

    #[test]
    fn rows_of_any_text_and_bytes_are_read_or_passed_over(
        rows in vec((text(), any::<i64>(), any::<Option<i64>>(), vec(any::<u8>(), 0..40)), 0..20),
        long in 0..ITEM_BYTES_MAX * 2,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
        let store = SqliteHistoryStore::open(&file, Arc::new(SystemClock)).unwrap();
        let found = run(async {
            assert_eq!(store.write(vec![good(1), good(3)]).await, [Ok(()), Ok(())]);
            let connection = rusqlite::Connection::open(file.path()).unwrap();
            let put = "INSERT OR REPLACE INTO api_health_history VALUES ('shop', ?1, ?2, ?3, ?4)";
            for (slot, epoch, kept_until, bytes) in &rows {
                connection.execute(put, rusqlite::params![format!("d#{slot}"), epoch, kept_until, bytes]).unwrap();
            }
            let long = vec![0_u8; long];
            connection.execute(put, rusqlite::params!["d#2026-11-03", 7, None::<i64>, long]).unwrap();
            read(&store).await
        });
        prop_assert!(found.contains(&good(1)) && found.contains(&good(3)), "{found:?}");
        let is_read = found.iter().any(|item| item.slot == HistorySlot::Day(day(2)));
        prop_assert_eq!(is_read, long <= ITEM_BYTES_MAX);
    }
}
