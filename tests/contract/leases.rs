//! The promises of `Leases`, kept by every adapter. Each is written once, below, and named after what it promises.

mod beside_states;
mod heartbeats;

use std::sync::Arc;

use api_health::store::dynamodb::leases::DynamoLeases;
use api_health_actors::leases::Leases;
use api_health_actors::ports::CommitError;
use api_health_actors::testkit::leases::MemoryLeases;
use api_health_core::own::notices::{ASKS_MAX, Ask, AskFor, Notice};
use api_health_core::own::records::{
    Assignment, Extra, Key, LeaseRecord, Ownership, Role, Session, WORKERS_MAX, WorkerId, WorkerRecord,
};
use api_health_core::own::terms::Terms;
use api_health_core::{ApiId, Timestamp};
use aws_sdk_dynamodb::Client;
use futures_util::future::join_all;

use crate::support::dynamodb::create_table;
use crate::worlds;

/// Records of its own, that can be opened more than once.
pub(crate) enum World {
    /// As the simulations have them.
    Memory(MemoryLeases),
    /// In a table.
    Dynamo(Client, String),
}

impl World {
    /// One more worker's way to them.
    fn open(&self) -> Arc<dyn Leases> {
        match self {
            Self::Memory(leases) => Arc::new(leases.line()),
            Self::Dynamo(client, table) => Arc::new(DynamoLeases::new(client.clone(), table)),
        }
    }
}

impl worlds::World for World {
    fn here() -> Self {
        Self::Memory(MemoryLeases::default())
    }

    async fn on_dynamodb(client: Client) -> Self {
        let table = create_table(&client, "api_id").await;
        Self::Dynamo(client, table)
    }
}

promises! { memory:
    where_nothing_was_written_nothing_is_read
    a_write_succeeds_only_over_exactly_the_version_before_it
    of_several_writers_over_one_version_exactly_one_succeeds
    what_was_acknowledged_is_seen_by_every_read_that_begins_after_it
    what_was_written_is_read_back_equal_with_what_this_version_does_not_know
    the_largest_fleet_is_taken_and_read_at_once
}

fn name(text: &str) -> WorkerId {
    WorkerId::parse(text).unwrap()
}

fn worker(text: &str, version: u64) -> WorkerRecord {
    WorkerRecord {
        version,
        session: 3,
        role: Role::Standby,
        channels: ["sns", "webhook"].map(str::to_owned).into(),
        host: "Größe 🦀".into(),
        started_at: Timestamp::from_millis(1_795_332_600_250),
        program: "0.2.0".into(),
        ..WorkerRecord::new(name(text), &Terms::DEFAULT, 3)
    }
}

fn of_worker(record: WorkerRecord) -> LeaseRecord {
    LeaseRecord::Worker(Box::new(record))
}

/// The first two shards are of two workers.
fn assignment(version: u64) -> Assignment {
    let mut record = Assignment::none(64, 2);
    record.version = version;
    for (shard, worker) in ["a", "b"].into_iter().enumerate() {
        let owner = Some(Session { worker: name(worker), number: 7 });
        record.owners[shard] = Ownership { owner, epoch: version };
        record.workers.insert(name(worker));
    }
    record
}

fn of_all(record: Assignment) -> LeaseRecord {
    LeaseRecord::Assignment(Box::new(record))
}

async fn read_one(leases: &dyn Leases, key: Key) -> Option<LeaseRecord> {
    let mut found = leases.read(vec![key]).await.unwrap();
    assert!(found.len() < 2);
    found.pop()
}

async fn where_nothing_was_written_nothing_is_read(world: World) {
    let leases = world.open();
    assert_eq!(leases.read(vec![Key::Assignment, Key::Worker(name("a"))]).await, Ok(vec![]));
    assert_eq!(leases.read(vec![]).await, Ok(vec![]));
}

async fn a_write_succeeds_only_over_exactly_the_version_before_it(world: World) {
    let leases = world.open();
    let records: [fn(u64) -> LeaseRecord; 2] = [|v| of_worker(worker("a", v)), |v| of_all(assignment(v))];
    for record in records {
        let key = record(1).key();
        assert_eq!(leases.put(record(2), 1).await, Err(CommitError::Conflict), "there is nothing to replace");
        assert_eq!(read_one(&*leases, key.clone()).await, None, "and nothing came of it");
        assert_eq!(leases.put(record(1), 0).await, Ok(()));
        assert_eq!(leases.put(record(2), 1).await, Ok(()));
        for (version, expected_version) in
            [(1, 0), (2, 1), (4, 3), (3, 1), (4, 2), (u64::MAX, u64::MAX - 1), (0, u64::MAX)]
        {
            let written = leases.put(record(version), expected_version).await;
            assert_eq!(
                written,
                Err(CommitError::Conflict),
                "version {version} over {expected_version}, and 2 is there"
            );
            assert_eq!(read_one(&*leases, key.clone()).await, Some(record(2)), "nothing changed");
        }
        assert_eq!(leases.put(record(3), 2).await, Ok(()));
    }
}

async fn of_several_writers_over_one_version_exactly_one_succeeds(world: World) {
    let lines: Vec<_> = (0..8).map(|_| world.open()).collect();
    for version in 1..=5 {
        let candidate = |writer: u32| of_all(Assignment { writes_schema: writer, ..assignment(version) });
        let results =
            join_all(lines.iter().zip(0..).map(|(line, writer)| line.put(candidate(writer), version - 1))).await;
        let winners: Vec<u32> = results.iter().zip(0..).filter(|(result, _)| result.is_ok()).map(|(_, n)| n).collect();
        let [winner] = winners[..] else { panic!("version {version} was won by {winners:?}") };
        assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(CommitError::Conflict))), "{results:?}");
        assert_eq!(read_one(&*lines[0], Key::Assignment).await, Some(candidate(winner)));
    }
}

async fn what_was_acknowledged_is_seen_by_every_read_that_begins_after_it(world: World) {
    let (one, other) = (world.open(), world.open());
    for version in 1..=20 {
        let (from, to) = if version % 2 == 0 { (&one, &other) } else { (&other, &one) };
        assert_eq!(from.put(of_worker(worker("a", version)), version - 1).await, Ok(()));
        assert_eq!(read_one(&**to, Key::Worker(name("a"))).await, Some(of_worker(worker("a", version))));
    }
}

async fn what_was_written_is_read_back_equal_with_what_this_version_does_not_know(world: World) {
    let leases = world.open();
    let extra: Extra =
        [("hue", r#""blue""#), ("mood", r#"{"a":[1,2.5,null,true]}"#)].map(|(k, v)| (k.into(), v.into())).into();
    let mut of_fleet = assignment(1);
    of_fleet.extra = extra.clone();
    let what = AskFor::Retry { alert_ids: Some(vec![]) };
    of_fleet.apply(Notice::Ask(Ask { id: "1".into(), at: Timestamp::from_millis(-1), what }));
    of_fleet.apply(Notice::ConfigsChanged(Some(vec![ApiId::parse("shop").unwrap()])));
    for record in [of_worker(WorkerRecord { extra, ..worker("0", 1) }), of_all(of_fleet)] {
        assert_eq!(leases.put(record.clone(), 0).await, Ok(()));
        assert_eq!(read_one(&*world.open(), record.key()).await, Some(record));
    }
}

async fn the_largest_fleet_is_taken_and_read_at_once(world: World) {
    let leases = world.open();
    let mut all = assignment(1);
    let names: Vec<String> = (0..WORKERS_MAX).map(|n| format!("{n:0>width$}", width = WorkerId::CHARS_MAX)).collect();
    all.workers = names.iter().map(|text| name(text)).collect();
    all.owners = vec![Ownership { owner: Some(Session { worker: name(&names[99]), number: 1 }), epoch: u64::MAX }; 64];
    for n in 0..ASKS_MAX {
        let what = AskFor::Retry { alert_ids: Some(vec!["x".repeat(150); 20]) };
        all.apply(Notice::Ask(Ask { id: n.to_string(), at: Timestamp::from_millis(0), what }));
    }
    assert_eq!(leases.put(of_all(all.clone()), 0).await, Ok(()));
    // Ten at once: an emulator on a busy machine answers a hundred later than a call is waited for.
    for some in names.chunks(10) {
        let written = join_all(some.iter().map(|text| leases.put(of_worker(worker(text, 1)), 0))).await;
        assert!(written.iter().all(Result::is_ok), "{written:?}");
    }
    let keys = names.iter().map(|text| Key::Worker(name(text))).chain([Key::Assignment, Key::Worker(name("gone"))]);
    let mut found = leases.read(keys.collect()).await.unwrap();
    found.sort_by_key(LeaseRecord::key);
    let mut expected: Vec<LeaseRecord> = names.iter().map(|text| of_worker(worker(text, 1))).collect();
    expected.push(of_all(all));
    assert_eq!(found, expected);
}
