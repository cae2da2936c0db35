//! The records of workers: lossless, small, kept where they are not understood, and left alone by the first release.

use std::collections::BTreeSet;
use std::time::Duration;

use api_health_core::heartbeat::{INCONCLUSIVE_NAMED_MAX, LATE_NAMED_MAX};
use api_health_core::own::notices::{ASK_ALERTS_MAX, ASKS_MAX, Ask, AskFor, CHANGED_IDS_MAX, Notice};
use api_health_core::own::records::{
    Assignment, Ownership, Role, Session, Speaks, WORKERS_MAX, WorkerId, WorkerRecord, WorkerState,
};
use api_health_core::own::shards::SHARDS;
use api_health_core::{AlertKind, ApiId, Heartbeat, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::store::item_bytes;

fn golden(name: &str) -> Map<String, Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata/store/v3").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn worker_id(text: &str) -> WorkerId {
    WorkerId::parse(text).unwrap()
}

fn id(text: &str) -> ApiId {
    ApiId::parse_stored(text).unwrap()
}

/// A name as it is drawn: 32 characters.
fn drawn(n: usize) -> WorkerId {
    worker_id(&format!("{n:0>32}"))
}

fn quiet_beat() -> Heartbeat {
    Heartbeat {
        at: at("2026-11-22T07:30:00.250Z"),
        instance: "ip-10-0-1-7.eu-central-1.compute.internal:12345:1795332600250".into(),
        version: "0.2.0".into(),
        period: Some(Duration::from_secs(60)),
        checkpoint: Duration::from_secs(3_600),
        apis: 1_000,
        up: 998,
        down: 2,
        unknown: 0,
        owed: 0,
        probes: 1_003,
        probes_since: at("2026-11-22T07:29:00.250Z"),
        late: 0,
        late_api_ids: vec![],
        inconclusive: 0,
        inconclusive_api_ids: vec![],
    }
}

/// What `worker.json` says.
fn worker() -> WorkerRecord {
    WorkerRecord {
        id: worker_id("0f9a3c51d2e84b76a1c0d9e8f7b6a543"),
        version: 4_711,
        session: 3,
        state: WorkerState::Live,
        role: Role::Worker,
        lease: Duration::from_secs(10),
        renew: Duration::from_secs(3),
        channels: ["sns", "webhook"].map(str::to_owned).into(),
        speaks: Speaks { protocol: 1, reads_schema: 3 },
        host: "ip-10-0-1-7.eu-central-1.compute.internal".into(),
        boot_id: "5f0b6c1e-8a57-4a5e-9d0f-3d1f4c2b7a90".into(),
        started_at: at("2026-11-22T07:30:00.250Z"),
        program: "0.2.0".into(),
        heartbeat: Some(quiet_beat()),
        extra: [("mood".to_owned(), r#"{"is":["of","tomorrow"]}"#.to_owned())].into(),
    }
}

fn owned(worker: &WorkerId, number: u64, epoch: u64) -> Ownership {
    Ownership { owner: Some(Session { worker: worker.clone(), number }), epoch }
}

fn ask(id: &str, second: &str, what: AskFor) -> Ask {
    Ask { id: id.into(), at: at(&format!("2026-11-22T07:30:{second}Z")), what }
}

/// What `assignment.json` says.
fn assignment() -> Assignment {
    let (a, b) = (worker_id("a-1"), worker_id("b-2"));
    let mut record = Assignment::none(4, 2);
    record.version = 8;
    record.owners = vec![owned(&a, 3, 17), owned(&b, 1, 4), Ownership { owner: None, epoch: 5 }, Ownership::default()];
    record.workers = [a, b].into();
    let alert_ids = Some(vec!["shop.1795332600250.8.down".to_owned()]);
    record.asks = vec![
        ask("r1", "00.250", AskFor::Retry { alert_ids: None }),
        ask("r2", "01", AskFor::Retry { alert_ids }),
        ask(
            "w1",
            "02",
            AskFor::Withdraw {
                api_id: id("api-health:prober:shop"),
                incident_id: "shop.1795332600250.8".into(),
                kind: AlertKind::Down,
            },
        ),
        ask("d1", "03", AskFor::DropChannel { channel: "webhook".into() }),
    ];
    record.configs.revision = 9;
    record.configs.changed = vec![(9, id("shop"))];
    record.configs.unnamed_until = 2;
    record.extra.insert("moon".into(), "2.5".into());
    let of_tomorrow = r#"[{"at":"2026-11-22T07:30:04.000Z","id":"t1","song":4,"what":"sing"}]"#;
    record.extra.insert("asks".into(), of_tomorrow.into());
    record
}

fn boxed(record: WorkerRecord) -> LeaseRecord {
    LeaseRecord::Worker(Box::new(record))
}

#[test]
fn both_are_read_and_written_as_they_stand_in_a_console() {
    for (name, record) in
        [("worker.json", boxed(worker())), ("assignment.json", LeaseRecord::Assignment(Box::new(assignment())))]
    {
        assert_eq!(read(golden(name)), Ok(record.clone()), "{name}");
        assert_eq!(fields(&record), Ok(golden(name)), "{name}");
        assert_eq!(golden(name)["api_id"], key_text(&record.key()), "{name}");
        assert!(is_key(&key_text(&record.key())));
    }
}

#[test]
fn what_this_version_does_not_know_is_written_back_by_whoever_changes_the_record() {
    let Ok(LeaseRecord::Assignment(mut record)) = read(golden("assignment.json")) else { panic!("it is one") };
    record.version += 1;
    record.asks.retain(|ask| ask.id == "d1");
    record.apply(Notice::Done("d1".into()));
    let written = fields(&LeaseRecord::Assignment(record)).unwrap();
    assert_eq!(written["moon"], 2.5);
    assert_eq!(written["asks"], json!([golden("assignment.json")["asks"][4]]));
    // A heartbeat of tomorrow takes nobody's lease away: nothing is decided by it.
    let mut stored = golden("worker.json");
    stored["heartbeat"]["at"] = json!(17);
    let Ok(LeaseRecord::Worker(mut record)) = read(stored.clone()) else { panic!("it is one") };
    assert_eq!(record.heartbeat, None);
    assert_eq!(fields(&LeaseRecord::Worker(record.clone())), Ok(stored));
    record.heartbeat = Some(quiet_beat());
    assert_eq!(fields(&LeaseRecord::Worker(record)), Ok(golden("worker.json")), "a newer one takes its place");
}

#[test]
fn what_cannot_be_read_is_told_with_the_field_and_the_reason() {
    let why = |file: &str, pointer: &str, new: Value| {
        let mut value = Value::Object(golden(file));
        *value.pointer_mut(pointer).unwrap() = new;
        let Value::Object(fields) = value else { unreachable!() };
        read(fields).unwrap_err().why
    };
    let (worker, assignment) = ("worker.json", "assignment.json");
    assert!(why(worker, "/state", json!("asleep")).starts_with("state: unknown variant `asleep`"));
    assert!(why(worker, "/lease_ms", json!(-1)).starts_with("lease_ms: "));
    assert_eq!(why(worker, "/version", json!(0)), "version: 0 is that of a record that was never stored");
    assert_eq!(why(worker, "/api_id", json!("api-health:worker:")), "the worker's name is empty");
    assert_eq!(why(assignment, "/api_id", json!("shop")), "api_id: \"shop\" is no record of workers");
    assert_eq!(why(assignment, "/shards", json!(5)), "owners: there are 4, and 5 shards");
    for owner in ["2#1/1", "a#1/1", "0/1", "0#1", "0#1/x", "-", ""] {
        let expected =
            format!("owners: {owner:?} is not one of the workers, its session and the epoch, such as 0#3/17");
        assert_eq!(why(assignment, "/owners/0", json!(owner)), expected);
    }
    assert!(why(assignment, "/workers/0", json!("a b")).starts_with("workers: a name has"));
    assert!(why(assignment, "/configs/changed/0/api_id", json!("a b")).starts_with("configs.changed: an id has"));
    let too_many: Vec<String> = (0..=WORKERS_MAX).map(|n| n.to_string()).collect();
    assert_eq!(why(assignment, "/workers", json!(too_many)), "workers: there are more than 100");
    let mut newer = golden(worker);
    newer.insert("schema".into(), json!(4));
    newer.insert("state".into(), json!(["of tomorrow"]));
    assert!(read(newer).unwrap_err().is_newer);
}

#[test]
fn an_owner_that_is_not_among_the_workers_is_not_written() {
    let mut record = assignment();
    record.workers.remove(&worker_id("b-2"));
    let refused = fields(&LeaseRecord::Assignment(Box::new(record))).unwrap_err();
    assert_eq!(refused, "b-2 owns a shard and is not among the workers");
}

#[test]
fn the_first_release_leaves_them_alone() {
    // It reads schemas 1 and 2, and takes what has a higher one for newer, whatever else is odd about it: this reader of
    // states has the same rule, two schemas further.
    for name in ["worker.json", "assignment.json"] {
        let mut stored = golden(name);
        assert_eq!(stored["schema"], 3);
        assert!(ApiId::parse_stored(stored["api_id"].as_str().unwrap()).is_err(), "it is no API's");
        stored.insert("schema".into(), (SCHEMA + 2).into());
        let refused = crate::store::record::read_value(&Value::Object(stored)).unwrap_err();
        assert!(refused.is_newer, "{refused:?}");
    }
}

#[test]
fn a_quiet_worker_is_one_write_unit() {
    let bytes = item_bytes(&fields(&boxed(worker())).unwrap());
    assert!((600..700).contains(&bytes), "{bytes} bytes of 1,024");
}

#[test]
fn the_assignment_of_three_workers_is_a_quarter_of_a_read_unit() {
    let mut record = Assignment::none(SHARDS, 2);
    record.version = 12_345;
    record.workers = (0..3).map(drawn).collect();
    record.owners = (0..usize::from(SHARDS)).map(|shard| owned(&drawn(shard % 3), 1_234, 5_678)).collect();
    let bytes = item_bytes(&fields(&LeaseRecord::Assignment(Box::new(record))).unwrap());
    assert!((900..1_000).contains(&bytes), "{bytes} bytes of 4,096");
}

#[test]
fn the_largest_records_are_far_below_what_dynamodb_takes() {
    let long_id = |n: usize| ApiId::monitor_prober(&id(&format!("{n:0>width$}", width = ApiId::CHARS_MAX)));
    let named = |n: usize| worker_id(&format!("{n:0>width$}", width = WorkerId::CHARS_MAX));
    let mut record = Assignment::none(SHARDS, u32::MAX);
    record.version = u64::MAX;
    record.workers = (0..WORKERS_MAX).map(named).collect();
    record.owners = (0..usize::from(SHARDS)).map(|shard| owned(&named(99 - shard % 9), u64::MAX, u64::MAX)).collect();
    for n in 0..ASKS_MAX {
        let alert_ids = (0..ASK_ALERTS_MAX).map(|m| format!("{}.1795332600250.{m}.closed", long_id(n))).collect();
        let what = AskFor::Retry { alert_ids: Some(alert_ids) };
        record.apply(Notice::Ask(Ask { id: format!("{n:0>64}"), at: at("9999-01-01T00:00:00.001Z"), what }));
    }
    record.apply(Notice::ConfigsChanged(Some((0..CHANGED_IDS_MAX).map(long_id).collect())));
    let bytes = item_bytes(&fields(&LeaseRecord::Assignment(Box::new(record))).unwrap());
    assert!((100_000..200_000).contains(&bytes), "{bytes} bytes");

    let late = |n| (0..n).map(|n| id(&format!("{n:0>width$}", width = ApiId::CHARS_MAX))).collect();
    let busy = Heartbeat {
        late_api_ids: late(LATE_NAMED_MAX),
        inconclusive_api_ids: late(INCONCLUSIVE_NAMED_MAX),
        ..quiet_beat()
    };
    let bytes = item_bytes(&fields(&boxed(WorkerRecord { heartbeat: Some(busy), ..worker() })).unwrap());
    assert!(bytes < 5_000, "{bytes} bytes");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), select(vec!["", " ", "\u{0}", "ü", "🦀", "null", "0#1/1"]).prop_map(str::to_owned)]
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn any_worker() -> impl Strategy<Value = WorkerRecord> {
    let words = (
        select(vec![WorkerState::Live, WorkerState::Left, WorkerState::Fenced]),
        select(vec![Role::Worker, Role::Standby]),
        proptest::option::of(Just(quiet_beat())),
    );
    let texts = (text(), text(), text(), proptest::collection::btree_set(text(), 0..4));
    ("[A-Za-z0-9._-]{1,64}", 1..=u64::MAX, any::<(u64, u32, u32)>(), any::<(u32, u32)>(), words, texts, time())
        .prop_map(|(name, version, (session, lease, renew), (protocol, reads_schema), words, texts, started_at)| {
            WorkerRecord {
                id: worker_id(&name),
                version,
                session,
                state: words.0,
                role: words.1,
                lease: Duration::from_millis(lease.into()),
                renew: Duration::from_millis(renew.into()),
                channels: texts.3,
                speaks: Speaks { protocol, reads_schema },
                host: texts.0,
                boot_id: texts.1,
                started_at,
                program: texts.2,
                heartbeat: words.2,
                extra: Extra::new(),
            }
        })
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let api_id = || {
        select(vec!["shop", "api-health:prober:a", "api-health:store", "api-health:fleet", "api-health:capacity"])
            .prop_map(id)
    };
    let what = prop_oneof![
        proptest::option::of(proptest::collection::vec(text(), 0..3)).prop_map(|alert_ids| AskFor::Retry { alert_ids }),
        (api_id(), text(), select(vec![AlertKind::Down, AlertKind::Up, AlertKind::Closed]))
            .prop_map(|(api_id, incident_id, kind)| AskFor::Withdraw { api_id, incident_id, kind }),
        text().prop_map(|channel| AskFor::DropChannel { channel }),
    ];
    (text(), time(), what).prop_map(|(id, at, what)| Ask { id, at, what })
}

fn any_assignment() -> impl Strategy<Value = Assignment> {
    let workers = proptest::collection::btree_set("[A-Za-z0-9._-]{1,64}", 0..6);
    let owners =
        proptest::collection::vec((proptest::option::of(any::<(prop::sample::Index, u64)>()), any::<u64>()), 1..80);
    let configs = (any::<u64>(), proptest::collection::vec(any::<u64>(), 0..4), any::<u64>());
    let asks = proptest::collection::vec(any_ask(), 0..5);
    (1..=u64::MAX, workers, owners, any::<u32>(), asks, configs).prop_map(
        |(version, workers, owners, writes_schema, asks, (revision, changed, unnamed_until))| {
            let workers: BTreeSet<WorkerId> = workers.iter().map(|name| worker_id(name)).collect();
            let listed: Vec<WorkerId> = workers.iter().cloned().collect();
            let owner = |(owner, epoch): (Option<(prop::sample::Index, u64)>, u64)| match owner {
                Some((at, number)) if !listed.is_empty() => owned(at.get(&listed), number, epoch),
                _ => Ownership { owner: None, epoch },
            };
            let mut record = Assignment::none(1, writes_schema);
            record.owners = owners.into_iter().map(owner).collect();
            record.version = version;
            record.asks = asks;
            record.configs.revision = revision;
            record.configs.changed = changed.into_iter().map(|at| (at, id("shop"))).collect();
            record.configs.unnamed_until = unnamed_until;
            record.workers = workers;
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_is_read_back_equal(record in any_worker()) {
        let record = boxed(record);
        prop_assert_eq!(read(fields(&record).unwrap()), Ok(record));
    }

    #[test]
    fn an_assignment_is_read_back_equal(record in any_assignment()) {
        let record = LeaseRecord::Assignment(Box::new(record));
        prop_assert_eq!(read(fields(&record).unwrap()), Ok(record));
    }
}
