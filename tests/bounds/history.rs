//! The store of history at its bounds: calls under way, items that are read, and how large a file becomes.

use std::sync::Arc;

use api_health::sqlite::SqliteFile;
use api_health::store::history::{BATCH_MAX, DynamoHistoryStore, READ_MAX, SqliteHistoryStore};
use api_health_actors::ports::HistoryStore;
use api_health_actors::testkit::VirtualClock;
use api_health_core::history::{HistoryItem, HistorySlot, Series, UtcDay};
use api_health_core::{ApiId, Timestamp};

use crate::server::run;
use crate::store::{slow_client, slow_endpoint};

fn series(n: u32) -> Series {
    Series::Api(ApiId::parse(&format!("checkout-{n:04}.eu")).unwrap())
}

fn first_day() -> UtcDay {
    UtcDay::parse("2026-01-01").unwrap()
}

fn item(n: u32, slot: HistorySlot, kept_until: Option<Timestamp>, bytes: usize) -> HistoryItem {
    HistoryItem { series: series(n), slot, epoch: 12, kept_until, bytes: vec![0xa5; bytes] }
}

/// As the keeper does, within the store's limits.
async fn write(store: &dyn HistoryStore, items: &[HistoryItem]) {
    for batch in items.chunks(store.batch_max()) {
        let results = store.write(batch.to_vec()).await;
        assert!(results.len() == batch.len() && results.iter().all(Result::is_ok), "{results:?}");
    }
}

#[test]
fn so_many_writes_of_history_are_under_way_at_most() {
    run(async {
        let (endpoint, most) = slow_endpoint().await;
        let store = DynamoHistoryStore::new(slow_client(endpoint), "t");
        let batch: Vec<HistoryItem> = (0..100).map(|n| item(n, HistorySlot::Day(first_day()), None, 1)).collect();
        assert_eq!((store.batch_max(), batch.len()), (BATCH_MAX, BATCH_MAX));
        write(&store, &batch).await;
        assert_eq!(most.get(), 32);
    });
}

#[test]
fn of_a_long_series_so_many_items_are_read_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
    let store = SqliteHistoryStore::open(&file, Arc::new(VirtualClock::new())).unwrap();
    run(async {
        let days = (0..1_100).map(|n| item(1, HistorySlot::Day(first_day().plus_days(n)), None, 1));
        write(&store, &days.collect::<Vec<_>>()).await;
        let all = HistorySlot::Day(first_day())..=HistorySlot::Day(first_day().plus_days(9_999));
        let found = store.read(series(1), all, usize::MAX).await.unwrap();
        assert_eq!((found.len(), READ_MAX), (1_000, 1_000));
        assert_eq!(found[0].slot, HistorySlot::Day(first_day().plus_days(100)), "the newest");
    });
}

/// A day of an API whose answers vary, and a month of day summaries.
const DAY_BYTES: usize = 900;
const MONTH_BYTES: usize = 3_300;
/// How long a day is kept.
const DAYS_KEPT: i32 = 62;
/// How often a day is written while it grows. More often makes no difference: each write takes the place of the one before.
const WRITES_A_DAY: usize = 6;
/// A file with as many APIs is not larger.
const FILE_BYTES_PER_API: u64 = 120_000;

/// What a file of so many APIs grows by in a year, days, months and their ends included.
fn bytes_after_a_year(apis: u32) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let file = SqliteFile::open(&path).unwrap();
    let empty = std::fs::metadata(&path).unwrap().len();
    let clock = VirtualClock::new(); // it begins on the first day
    let store = SqliteHistoryStore::open(&file, Arc::new(clock.clone())).unwrap();
    run(async {
        // To the day on which the last month of the year is written.
        for day in (0..=366).map(|n| first_day().plus_days(n)) {
            let until = Some(day.plus_days(DAYS_KEPT).ends_at());
            for nth in 1..=WRITES_A_DAY {
                let days = (0..apis).map(|n| item(n, HistorySlot::Day(day), until, DAY_BYTES * nth / WRITES_A_DAY));
                write(&store, &days.collect::<Vec<_>>()).await;
            }
            if day.day_of_month() == 2 && day.month() != first_day().month() {
                let month = HistorySlot::Month(day.month().plus_months(-1));
                let months = (0..apis).map(|n| item(n, month.clone(), None, MONTH_BYTES));
                write(&store, &months.collect::<Vec<_>>()).await;
            }
            clock.step(24 * 3_600 * 1_000);
        }
        let all = HistorySlot::Day(first_day())..=HistorySlot::Day(first_day().plus_days(999));
        let days = store.read(series(0), all, READ_MAX).await.unwrap();
        assert!(
            (62..=64).contains(&days.len()) && days.iter().all(|day| day.bytes.len() == DAY_BYTES),
            "{}",
            days.len()
        );
        let months = HistorySlot::Month(first_day().month())..=HistorySlot::Month(first_day().month().plus_months(12));
        assert_eq!(store.read(series(0), months, READ_MAX).await.unwrap().len(), 12);
    });
    drop(store); // the write-ahead log goes into the file
    std::fs::metadata(&path).unwrap().len() - empty
}

#[test]
fn a_file_grows_by_so_much_in_a_year_at_most() {
    let bytes = bytes_after_a_year(100) / 100;
    println!("{bytes} bytes for each API");
    assert!((90_000..FILE_BYTES_PER_API).contains(&bytes), "{bytes} bytes for each API");
}
