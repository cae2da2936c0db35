//! The promises of `RowTable` and, in [`sources`], of `ConfigSource`, kept by every adapter. Each is written once and
//! named after what it promises.
//!
//! What rows *mean* is not asked of a table: any JSON object with an `api_id` is a row.

mod dynamodb_rows;
mod sources;
mod sqlite_rows;
mod worlds;

use api_health::configs::raw::RowChange;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use worlds::World;

promises! { sqlite:
    a_new_table_holds_nothing
    a_row_comes_back_as_it_was_put
    rows_come_in_the_order_of_their_ids
    put_replaces_the_whole_row
    a_deleted_row_is_gone_and_whether_there_was_one_is_told
    a_row_that_makes_no_sense_is_given_as_it_is_and_hides_no_other
    a_row_without_a_key_is_refused
    a_change_is_made_to_the_very_row_that_it_was_thought_up_for
    of_many_who_change_a_row_at_once_one_does
    whoever_opens_the_table_next_sees_what_was_put
    a_revision_where_there_is_one_differs_after_every_change_by_anybody
    hundreds_of_rows_are_all_read
    what_is_read_again_is_what_is_read
}

fn row(fields: Value) -> Map<String, Value> {
    let Value::Object(fields) = fields else { panic!("{fields} is no row") };
    fields
}

async fn a_new_table_holds_nothing(world: World) {
    let table = world.open();
    assert_eq!(table.rows().await, Ok(vec![]));
    assert_eq!(table.get("shop".into()).await, Ok(None));
    assert_eq!(table.delete("shop".into()).await, Ok(false));
}

async fn a_row_comes_back_as_it_was_put(world: World) {
    let table = world.open();
    let fields = row(json!({
        "api_id": "shop",
        "name": "Käse – 商店 🦀",
        "url": "https://shop.test/health?a=1&b=%20",
        "headers": { "Authorization": "${env:TOKEN}", "X": "a\nb" },
        "expected_status": "2xx",
        "assert": ["json $['a b'][?@.x == \"ü\"] exists", "body matches \\d+\\s"],
        "certificate_days": [30, 7, 1],
        "timeout_seconds": 10,
        "interval_seconds": 2.5,
        "failure_threshold": -1,
        "big": u64::MAX,
        "enabled": false,
        "body": null,
        "tags": ["a", "b", 1, [], {}],
    }));
    table.put(fields.clone()).await.unwrap();
    let got = table.get("shop".into()).await.unwrap().unwrap();
    assert_eq!(got.fields, fields);
    assert_eq!(*got.location, *table.name(), "a person finds it there");
    assert_eq!(table.rows().await.unwrap(), [got]);
}

async fn rows_come_in_the_order_of_their_ids(world: World) {
    let table = world.open();
    for api_id in ["b", "a-1", "C", "a", "a.b", "10", "9"] {
        table.put(row(json!({ "api_id": api_id }))).await.unwrap();
    }
    let ids: Vec<Value> = table.rows().await.unwrap().into_iter().map(|r| r.fields["api_id"].clone()).collect();
    assert_eq!(ids, ["10", "9", "C", "a", "a-1", "a.b", "b"]);
}

async fn put_replaces_the_whole_row(world: World) {
    let table = world.open();
    table.put(row(json!({ "api_id": "a", "name": "A", "tags": ["x"] }))).await.unwrap();
    table.put(row(json!({ "api_id": "a", "url": "http://a.test/" }))).await.unwrap();
    let rows = table.rows().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].fields, row(json!({ "api_id": "a", "url": "http://a.test/" })));
}

async fn a_deleted_row_is_gone_and_whether_there_was_one_is_told(world: World) {
    let table = world.open();
    for api_id in ["a", "b"] {
        table.put(row(json!({ "api_id": api_id }))).await.unwrap();
    }
    assert_eq!(table.delete("a".into()).await, Ok(true));
    assert_eq!(table.delete("a".into()).await, Ok(false));
    assert_eq!(table.get("a".into()).await, Ok(None));
    assert_eq!(table.rows().await.unwrap().len(), 1);
}

async fn a_row_that_makes_no_sense_is_given_as_it_is_and_hides_no_other(world: World) {
    let table = world.open();
    table.put(row(json!({ "api_id": "good", "url": "http://a.test/" }))).await.unwrap();
    let odd = row(json!({ "api_id": "ü b", "url": [1, 2], "timeout_seconds": { "no": true }, "": 5 }));
    // DynamoDB has no attribute without a name, so that part is SQLite's alone.
    let odd: Map<_, _> = odd.into_iter().filter(|(name, _)| !name.is_empty() || world.is_sqlite()).collect();
    table.put(odd.clone()).await.unwrap();
    let rows = table.rows().await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].fields, odd);
    assert_eq!(table.get("ü b".into()).await.unwrap().unwrap().fields, odd);
}

async fn a_row_without_a_key_is_refused(world: World) {
    let table = world.open();
    for fields in [json!({ "name": "A" }), json!({ "api_id": 5 })] {
        let error = table.put(row(fields)).await.unwrap_err().to_string();
        assert!(error.contains(&table.name()) && error.contains("write an api_id"), "{error}");
    }
    assert_eq!(table.rows().await, Ok(vec![]));
}

async fn a_change_is_made_to_the_very_row_that_it_was_thought_up_for(world: World) {
    let table = world.open();
    let old = row(json!({ "api_id": "a", "url": "http://a.test/", "timeout_seconds": 10.0, "body": null,
                          "headers": { "X": "1" }, "tags": [], "odd": [1, { "b": false }] }));
    let new = row(json!({ "api_id": "a", "url": "http://b.test/", "name": "A" }));
    let replace = || RowChange::Replace { old: old.clone(), new: new.clone() };
    assert_eq!(table.apply(replace()).await, Ok(false), "there is none");
    assert_eq!(table.apply(RowChange::Add(old.clone())).await, Ok(true));
    assert_eq!(table.apply(RowChange::Add(old.clone())).await, Ok(true), "it is as wanted already");
    assert_eq!(table.apply(RowChange::Add(new.clone())).await, Ok(false), "there is another");
    assert_eq!(table.get("a".into()).await.unwrap().unwrap().fields["url"], "http://a.test/");
    assert_eq!(table.apply(replace()).await, Ok(true));
    assert_eq!(table.get("a".into()).await.unwrap().unwrap().fields, new, "the whole row");
    assert_eq!(table.apply(RowChange::Remove(old.clone())).await, Ok(false), "it is another by now");
    for theirs in [json!({ "tags": ["x"] }), json!({ "name": "B" }), json!({ "unknown": 1 }), json!({ "name": null })] {
        let mut other = new.clone();
        other.extend(row(theirs));
        table.put(other.clone()).await.unwrap();
        assert_eq!(
            table.apply(RowChange::Replace { old: new.clone(), new: old.clone() }).await,
            Ok(false),
            "{other:?}"
        );
        assert_eq!(table.apply(RowChange::Remove(new.clone())).await, Ok(false), "{other:?}");
        assert_eq!(table.get("a".into()).await.unwrap().unwrap().fields, other);
    }
    table.put(new.clone()).await.unwrap();
    assert_eq!(table.apply(RowChange::Remove(new.clone())).await, Ok(true));
    assert_eq!(table.apply(RowChange::Remove(new.clone())).await, Ok(true), "it is gone already");
    assert_eq!(table.rows().await, Ok(vec![]));
    assert!(table.apply(RowChange::Add(row(json!({ "api_id": 5 })))).await.is_err());
}

async fn of_many_who_change_a_row_at_once_one_does(world: World) {
    let table = world.open();
    let old = row(json!({ "api_id": "a", "url": "http://a.test/" }));
    table.put(old.clone()).await.unwrap();
    let changes = (0..16).map(|n| {
        let (old, new) = (old.clone(), row(json!({ "api_id": "a", "url": format!("http://{n}.test/") })));
        table.apply(RowChange::Replace { old, new })
    });
    let done = futures_util::future::join_all(changes).await;
    assert_eq!(done.iter().filter(|done| **done == Ok(true)).count(), 1, "{done:?}");
}

async fn whoever_opens_the_table_next_sees_what_was_put(world: World) {
    let (first, second) = (world.open(), world.open());
    first.put(row(json!({ "api_id": "a", "name": "A" }))).await.unwrap();
    drop(first);
    assert_eq!(second.rows().await.unwrap().len(), 1);
    assert_eq!(world.open().get("a".into()).await.unwrap().unwrap().fields["name"], "A");
}

async fn a_revision_where_there_is_one_differs_after_every_change_by_anybody(world: World) {
    let (ours, theirs) = (world.open(), world.open());
    let Some(mut before) = ours.revision().await else {
        assert!(!world.is_sqlite(), "a file can tell");
        return;
    };
    assert_eq!(ours.revision().await, Some(before), "nothing changed");
    for step in 0..4 {
        match step {
            0 | 1 => theirs.put(row(json!({ "api_id": "a", "step": step }))).await.unwrap(),
            2 => assert_eq!(theirs.delete("a".into()).await, Ok(true)),
            _ => ours.put(row(json!({ "api_id": "b" }))).await.unwrap(),
        }
        let after = ours.revision().await.unwrap();
        assert_ne!(before, after, "step {step}");
        before = after;
    }
}

async fn hundreds_of_rows_are_all_read(world: World) {
    const COUNT: usize = 300;
    let table = world.open();
    let puts = (0..COUNT).map(|n| table.put(row(json!({ "api_id": format!("api-{n:04}"), "url": "http://a.test/" }))));
    let results: Vec<_> = futures_util::stream::iter(puts).buffered(16).collect().await;
    assert!(results.iter().all(Result::is_ok));
    let rows = table.rows().await.unwrap();
    assert_eq!(rows.len(), COUNT);
    assert!(rows.iter().enumerate().all(|(n, row)| row.fields["api_id"] == format!("api-{n:04}")));
}

/// Emulators know no eventual consistency, so that this sees at once what was put; the real one may be a second behind.
async fn what_is_read_again_is_what_is_read(world: World) {
    let table = world.open();
    assert_eq!(table.rows_again().await, Ok(vec![]));
    for n in 0..3 {
        table.put(row(json!({ "api_id": format!("a{n}"), "url": "https://a.test/" }))).await.unwrap();
    }
    let rows = table.rows().await.unwrap();
    assert_eq!(rows.len(), 3);
    for _ in 0..2 {
        assert_eq!(table.rows_again().await.unwrap(), rows);
    }
}
