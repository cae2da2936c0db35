//! The records of workers with something wrong in them: each is read whole, and can be written back and read equal, or is
//! refused in one clear line.

use api_health::store::dynamodb::leases::DynamoLeases;
use api_health_actors::leases::Leases;
use api_health_core::own::records::{Key, LeaseRecord, WorkerId};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use crate::bytes::json as any_json;
use crate::dynamodb::{client, damage, damages, item, serve};
use crate::records::with_value;
use crate::server::run;
use crate::{config, is_clear};

const WORKER: &str = include_str!("../testdata/store/v3/worker.json");
const ASSIGNMENT: &str = include_str!("../testdata/store/v3/assignment.json");

/// Texts that look like an owner.
fn owner() -> impl Strategy<Value = Value> {
    "-?[0-9]{0,21}[#/-][0-9]{0,21}/?[0-9]{0,21}".prop_map(Value::from)
}

/// The last digit of a fraction may be lost in a field that is not known, and a record of workers has none in the others.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => 17.into(),
        Value::Array(list) => list.into_iter().map(whole).collect(),
        Value::Object(map) => map.into_iter().map(|(name, value)| (name, whole(value))).collect(),
        other => other,
    }
}

fn next(record: &LeaseRecord) -> Option<LeaseRecord> {
    let mut next = record.clone();
    match &mut next {
        LeaseRecord::Worker(record) => record.version = record.version.checked_add(1)?,
        LeaseRecord::Assignment(record) => record.version = record.version.checked_add(1)?,
    }
    Some(next)
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn a_record_of_workers_is_read_whole_and_can_be_written_back_or_is_refused(
        text in select(vec![WORKER, ASSIGNMENT]),
        inner in proptest::collection::vec((any::<Index>(), proptest::option::of(prop_oneof![any_json().prop_map(whole), owner()])), 0..3),
        outer in damages(),
    ) {
        let good: Value = serde_json::from_str(text).unwrap();
        let mut stored = good.clone();
        for (at, new) in &inner {
            with_value(&mut stored, at, new.as_ref());
            stored["api_id"] = good["api_id"].clone(); // the table's key
        }
        let mut stored = item(stored.as_object().unwrap());
        damage(&mut stored, &outer);
        let key = match good["api_id"].as_str().unwrap().strip_prefix("api-health:worker:") {
            Some(name) => Key::Worker(WorkerId::parse(name).unwrap()),
            None => Key::Assignment,
        };
        let (read, again) = run(async {
            let leases = DynamoLeases::new(client(&serve(vec![stored]).await), "t");
            let read = leases.read(vec![key.clone()]).await;
            let Some(next) = read.as_ref().ok().and_then(|found| next(found.first()?)) else { return (read, None) };
            let expected_version = next.version() - 1;
            let written = leases.put(next.clone(), expected_version).await;
            (read, Some((written, next, leases.read(vec![key]).await)))
        });
        match read {
            Ok(found) => prop_assert!(found.len() == 1 && found[0].version() > 0, "{:?}", found),
            Err(error) => is_clear(&error.to_string(), 500).map_err(TestCaseError::fail)?,
        }
        if let Some((written, next, read)) = again {
            prop_assert_eq!(written, Ok(()));
            prop_assert_eq!(read, Ok(vec![next]));
        }
    }
}
