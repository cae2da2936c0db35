//! The promises of `HistoryStore`, kept by every adapter. Each is written once, below, and named after what it promises.

mod durability;
mod faults;
mod sqlite_file;
mod worlds;

use api_health_actors::ports::{HistoryStore, StoreError};
use api_health_core::history::item::ITEM_BYTES_MAX;
use api_health_core::history::{HistoryItem, HistorySlot, Series, UtcDay, UtcMonth};
use api_health_core::{ApiId, Timestamp};
use worlds::World;

promises! { sqlite:
    a_new_store_holds_nothing
    what_was_written_is_read_back_equal_and_in_order_by_whoever_opens_it_next
    an_item_replaces_the_one_before_but_none_of_a_higher_epoch
    only_the_slots_that_were_asked_for_are_read
    of_more_than_the_limit_the_newest_are_read
    a_failed_write_hurts_no_other_of_its_batch
    an_item_that_cannot_be_read_hides_no_other
    a_full_batch_is_taken
}

fn shop() -> Series {
    Series::Api(ApiId::parse("shop").unwrap())
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn day(text: &str) -> UtcDay {
    UtcDay::parse(text).unwrap()
}

fn month(text: &str) -> UtcMonth {
    UtcMonth::parse(text).unwrap()
}

fn incident(began: &str, api_id: &str) -> HistorySlot {
    HistorySlot::Incident { started_at: at(began), api_id: ApiId::parse(api_id).unwrap() }
}

/// Of epoch 7, and kept until long after all tests.
fn item(series: Series, slot: HistorySlot, bytes: &[u8]) -> HistoryItem {
    let kept_until = Some(at("2099-01-01T00:00:00.000Z"));
    HistoryItem { series, slot, epoch: 7, kept_until, bytes: bytes.to_vec() }
}

fn of_day(text: &str, bytes: &[u8]) -> HistoryItem {
    item(shop(), HistorySlot::Day(day(text)), bytes)
}

async fn write(store: &dyn HistoryStore, items: &[HistoryItem]) {
    let results = store.write(items.to_vec()).await;
    assert!(results.len() == items.len() && results.iter().all(Result::is_ok), "{results:?}");
}

async fn days(store: &dyn HistoryStore, first: &str, last: &str, limit: usize) -> Vec<HistoryItem> {
    store.read(shop(), HistorySlot::Day(day(first))..=HistorySlot::Day(day(last)), limit).await.unwrap()
}

/// Every day of [`shop`].
async fn all_days(store: &dyn HistoryStore) -> Vec<HistoryItem> {
    days(store, "0001-01-01", "9999-12-31", 100).await
}

async fn a_new_store_holds_nothing(world: World) {
    let store = world.open();
    assert_eq!(all_days(&*store).await, []);
    assert_eq!(store.write(vec![]).await, []);
}

async fn what_was_written_is_read_back_equal_and_in_order_by_whoever_opens_it_next(world: World) {
    let bytes: Vec<u8> = (0..=255).collect();
    let longest = Series::Api(ApiId::parse(&"x".repeat(ApiId::CHARS_MAX)).unwrap());
    let for_ever = HistoryItem {
        kept_until: None,
        epoch: 0,
        ..item(longest.clone(), HistorySlot::Month(month("2026-11")), &vec![0xff; ITEM_BYTES_MAX])
    };
    let list = Series::Incidents(month("2026-11"));
    let incidents = [
        item(list.clone(), incident("2026-11-26T07:30:00.000Z", "api"), b"\xff"),
        item(list.clone(), incident("2026-11-26T07:30:00.000Z", "shop"), &bytes),
        item(list.clone(), incident("2026-11-26T07:30:00.001Z", "api"), &bytes),
    ];
    let items = [of_day("2026-11-25", &bytes), of_day("2026-11-26", b"\0")];
    let mut all: Vec<HistoryItem> = items.iter().chain(&incidents).cloned().chain([for_ever.clone()]).collect();
    all.reverse();
    let store = world.open();
    write(&*store, &all).await;
    drop(store);
    let store = world.open();
    assert_eq!(all_days(&*store).await, items);
    let slots = incident("2026-11-01T00:00:00.000Z", "a")..=incident("2026-12-01T00:00:00.000Z", "a");
    assert_eq!(store.read(list, slots, 10).await.unwrap(), incidents);
    let slots = HistorySlot::Month(month("2026-11"))..=HistorySlot::Month(month("2026-11"));
    assert_eq!(store.read(longest, slots, 1).await.unwrap(), [for_ever]);
}

async fn an_item_replaces_the_one_before_but_none_of_a_higher_epoch(world: World) {
    let (store, other) = (world.open(), world.open());
    let of = |epoch, bytes: &[u8]| HistoryItem { epoch, ..of_day("2026-11-26", bytes) };
    for (epoch, bytes, stands) in [(7, b"1", b"1"), (7, b"2", b"2"), (9, b"3", b"3"), (8, b"4", b"3"), (9, b"5", b"5")]
    {
        write(&*store, &[of_day("2026-11-25", bytes), of(epoch, bytes)]).await;
        let found = all_days(&*other).await;
        assert_eq!(found[0], of_day("2026-11-25", bytes), "another one of the batch is not held up");
        assert_eq!(found[1].bytes, stands, "epoch {epoch}");
    }
    assert_eq!(all_days(&*store).await[1].epoch, 9);
}

async fn only_the_slots_that_were_asked_for_are_read(world: World) {
    let store = world.open();
    let items = ["2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01"].map(|text| of_day(text, text.as_bytes()));
    write(&*store, &items).await;
    let next_to = [
        item(shop(), HistorySlot::Month(month("2026-11")), b"month"),
        item(shop(), incident("2026-11-10T00:00:00.000Z", "shop"), b"incident"),
        item(Series::Api(ApiId::parse("shop2").unwrap()), HistorySlot::Day(day("2026-11-10")), b"another API"),
    ];
    write(&*store, &next_to).await;
    assert_eq!(days(&*store, "2026-11-01", "2026-11-30", 100).await, items[1..3], "both ends are included");
    assert_eq!(days(&*store, "2026-11-02", "2026-11-29", 100).await, []);
    assert_eq!(days(&*store, "2026-11-30", "2026-11-01", 100).await, [], "a range that is none");
    assert_eq!(all_days(&*store).await, items);
    let months = HistorySlot::Month(month("0001-01"))..=HistorySlot::Month(month("9999-12"));
    assert_eq!(store.read(shop(), months, 100).await.unwrap(), next_to[..1]);
}

async fn of_more_than_the_limit_the_newest_are_read(world: World) {
    let store = world.open();
    let items: Vec<HistoryItem> = (10..=30).map(|n| of_day(&format!("2026-11-{n}"), &[n])).collect();
    write(&*store, &items).await;
    for limit in [0, 1, 5, 21, 22] {
        let found = days(&*store, "2026-11-01", "2026-11-30", limit).await;
        assert_eq!(found, items[items.len().saturating_sub(limit)..], "limit {limit}");
    }
}

async fn a_failed_write_hurts_no_other_of_its_batch(world: World) {
    let store = world.open();
    let good = [of_day("2026-11-25", b"a"), of_day("2026-11-27", b"b")];
    let too_long = of_day("2026-11-26", &vec![0; ITEM_BYTES_MAX + 1]);
    let results = store.write(vec![good[0].clone(), too_long, good[1].clone()]).await;
    let [Ok(()), Err(StoreError::Misconfigured { what, .. }), Ok(())] = &results[..] else { panic!("{results:?}") };
    assert!(what.ends_with("takes no item of more than 16384 bytes: d#2026-11-26 of shop has 16385"), "{what}");
    assert_eq!(all_days(&*store).await, good);
}

async fn an_item_that_cannot_be_read_hides_no_other(world: World) {
    let store = world.open();
    let good = [of_day("2026-11-25", b"a"), of_day("2026-11-28", b"b")];
    write(&*store, &good).await;
    world.write_raw("d#2026-11-26x", 7, b"no day").await;
    world.write_raw("d#2026-11-27", 7, &vec![0; ITEM_BYTES_MAX + 1]).await;
    assert_eq!(all_days(&*store).await, good);
    assert_eq!(days(&*store, "2026-11-01", "2026-11-30", 2).await, good, "it takes nobody's place");
    write(&*store, &[of_day("2026-11-27", b"c")]).await;
    assert_eq!(all_days(&*store).await.len(), 3, "it is replaced like any other");
}

async fn a_full_batch_is_taken(world: World) {
    let store = world.open();
    let first = day("2026-01-01");
    let of = |n| item(shop(), HistorySlot::Day(first.plus_days(n)), &[0x5a; 900]);
    let count = store.batch_max();
    let items: Vec<HistoryItem> = (0..i32::try_from(count).unwrap()).map(of).collect();
    write(&*store, &items).await;
    assert_eq!(days(&*store, "2026-01-01", "2027-01-01", count).await, items);
}
