//! Stored records: valid ones with something wrong, through a real SQLite file. A record that is read keeps every invariant
//! and can be written back equal; any other is reported in one clear line and hides none.

use std::sync::Arc;
use std::time::Duration;

use api_health::configs::raw::RawRow;
use api_health::sqlite::SqliteFile;
use api_health::store::SqliteStateStore;
use api_health_actors::ports::{LoadedStates, StateStore, StateWrite};
use api_health_core::{ApiConfig, ApiId, ApiState, Outcome, Verdict, decide, invariant};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use rusqlite::Connection;
use serde_json::Value;

use crate::bytes::{json as any_json, mutated, text};
use crate::{NOW, config, is_clear, rows, rules, soon};

/// Records of one file.
const RECORDS: usize = 8;

pub fn api(id: &str) -> ApiConfig {
    let mut fields = rows::good();
    fields.insert("api_id".into(), id.into());
    rules().check(&RawRow { location: "t".into(), fields }).unwrap()
}

/// The state that these outcomes lead to, one every ten seconds.
pub fn after(id: &str, outcomes: &[(Verdict, String)]) -> ApiState {
    let api = api(id);
    let mut state = ApiState { version: 1, ..ApiState::unknown(api.api_id.clone()) };
    let mut now = NOW;
    for (verdict, reason) in outcomes {
        let outcome = Outcome {
            started_at: now,
            finished_at: now.plus(Duration::from_millis(70)),
            verdict: *verdict,
            latency_ms: Some(70),
            status_code: Some(503),
            reasons: if *verdict == Verdict::Pass { vec![] } else { vec![reason.clone()] },
            evidence: None,
            certificate: None,
            figures: api_health_core::ProbeFigures::default(),
        };
        state = decide(&state, &outcome, &api.policy(), &["pager".to_owned()], outcome.finished_at).next;
        now = now.plus(Duration::from_secs(10));
    }
    state
}

/// What may happen to an API, and what is then stored of it.
pub fn states(count: usize) -> impl Strategy<Value = Vec<ApiState>> {
    let verdict = select(vec![Verdict::Pass, Verdict::Fail, Verdict::Fail, Verdict::Inconclusive]);
    // Runs of the same verdict confirm something; thresholds are 3 and 1.
    let run = (verdict, text(), 1..6_usize).prop_map(|(verdict, reason, count)| vec![(verdict, reason); count]);
    vec(vec(run, 0..8), count).prop_map(|all| {
        all.into_iter().enumerate().map(|(n, runs)| after(&format!("api-{n}"), &runs.concat())).collect()
    })
}

/// What happens to the stored text of one record.
#[derive(Clone, Debug)]
pub enum Damage {
    None,
    /// One value anywhere in it is another, or gone.
    Value(Index, Option<Value>),
    /// Its bytes.
    Bytes(u64),
    Text(String),
}

pub fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        1 => Just(Damage::None),
        6 => (any::<Index>(), proptest::option::of(any_json())).prop_map(|(at, new)| Damage::Value(at, new)),
        4 => any::<u64>().prop_map(Damage::Bytes),
        1 => text().prop_map(Damage::Text),
    ]
}

/// The places of all values in `value`, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                pointers(inner, &at, found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push(at.clone());
                pointers(inner, &at, found);
            }
        }
        _ => {}
    }
}

/// `record` with the value at one of its places replaced or taken away.
pub fn with_value(record: &mut Value, at: &Index, new: Option<&Value>) {
    let mut places = Vec::new();
    pointers(record, "", &mut places);
    let place = at.get(&places);
    if let Some(new) = new {
        *record.pointer_mut(place).unwrap() = new.clone();
    } else {
        let (parent, key) = place.rsplit_once('/').unwrap();
        match record.pointer_mut(parent).unwrap() {
            Value::Object(map) => drop(map.remove(key)),
            Value::Array(list) => drop(list.remove(key.parse().unwrap())),
            _ => unreachable!(),
        }
    }
}

fn damaged(text: &str, damage: &Damage) -> Vec<u8> {
    match damage {
        Damage::None => text.into(),
        Damage::Value(at, new) => {
            let mut record: Value = serde_json::from_str(text).unwrap();
            with_value(&mut record, at, new.as_ref());
            record.to_string().into_bytes()
        }
        Damage::Bytes(seed) => {
            // A strategy inside a strategy: what it gives depends on the seed alone.
            let seed: Vec<u8> = seed.to_le_bytes().repeat(4);
            let rng = proptest::test_runner::TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
            let mut runner = proptest::test_runner::TestRunner::new_with_rng(ProptestConfig::default(), rng);
            mutated(vec![text.into()], &["null", "\"down\"", "\"up\"", "{}", "[]", "1", ":", ",", "}"])
                .new_tree(&mut runner)
                .unwrap()
                .current()
        }
        Damage::Text(text) => text.clone().into_bytes(),
    }
}

pub fn check_loaded(loaded: &LoadedStates, count: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(loaded.states.len() + loaded.unreadable.len(), count, "none hidden");
    for state in &loaded.states {
        prop_assert_eq!(invariant::first_broken(state), None);
        prop_assert!(state.version > 0);
    }
    for unreadable in &loaded.unreadable {
        is_clear(&unreadable.why, 400).map_err(TestCaseError::fail)?;
    }
    Ok(())
}

fn over_the_one_before(state: ApiState) -> StateWrite {
    StateWrite { expected_version: state.version - 1, state: Arc::new(state) }
}

pub struct File {
    pub folder: tempfile::TempDir,
    pub store: SqliteStateStore,
    runtime: tokio::runtime::Runtime,
}

impl File {
    pub fn with(states: &[ApiState]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteFile::open(folder.path().join("a.db")).unwrap();
        let store = SqliteStateStore::open(&file).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let written = runtime.block_on(store.commit(states.iter().cloned().map(over_the_one_before).collect()));
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        Self { folder, store, runtime }
    }

    pub fn connection(&self) -> Connection {
        Connection::open(self.folder.path().join("a.db")).unwrap()
    }

    /// The stored text of each record.
    pub fn texts(&self) -> Vec<(String, String)> {
        let connection = self.connection();
        let mut all = connection.prepare("SELECT api_id, record FROM api_health_states ORDER BY api_id").unwrap();
        let texts = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        texts.collect::<rusqlite::Result<_>>().unwrap()
    }

    pub fn replace(&self, api_id: &str, record: &[u8]) {
        // The column is strict and takes text alone; text that is no UTF-8 comes in by a cast.
        let update = "UPDATE api_health_states SET record = CAST(?2 AS TEXT) WHERE api_id = ?1";
        self.connection().execute(update, rusqlite::params![api_id, record]).unwrap();
    }

    pub fn load_all(&self) -> LoadedStates {
        self.runtime.block_on(self.store.load_all()).unwrap()
    }

    /// Writes `state` as the next version, and reads it.
    pub fn write_back(&self, state: &ApiState) -> Result<(), TestCaseError> {
        let next = ApiState { version: state.version + 1, ..state.clone() };
        let written = self.runtime.block_on(self.store.commit(vec![over_the_one_before(next.clone())]));
        prop_assert_eq!(written, [Ok(())]);
        let read = self.runtime.block_on(self.store.load(ApiId::parse(next.api_id.as_str()).unwrap()));
        prop_assert_eq!(read, Ok(Some(Ok(next))));
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(80))]

    #[test]
    fn a_record_is_read_whole_or_reported_and_what_is_read_can_be_written_back(
        states in states(RECORDS), damages in vec(damage(), RECORDS),
    ) {
        let file = File::with(&states);
        prop_assert_eq!(&file.load_all().states, &states, "undamaged, they come back equal");
        for ((api_id, text), damage) in file.texts().iter().zip(&damages) {
            file.replace(api_id, &damaged(text, damage));
        }
        let loaded = soon(|| file.load_all());
        check_loaded(&loaded, RECORDS)?;
        for state in &loaded.states {
            file.write_back(state)?;
        }
    }
}
