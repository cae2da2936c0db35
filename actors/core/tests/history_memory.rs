//! What history takes in memory: the keeper over a day of some hundred APIs, with history and without, beside an allocator that counts.

#![allow(unsafe_code, reason = "an allocator that counts is one call more around the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api_health_core::keep::{CompletedProbe, ConfigDiff, Effect, Grant, HistorySetup, Keeper, KeeperConfig};
use api_health_core::own::shards::Shard;
use api_health_core::routes::Routes;
use api_health_core::schedule::Moment;
use api_health_core::store::CommitLimits;
use api_health_core::{ApiConfig, ApiId, Outcome, ProbeFigures, Schedule, Timestamp, Verdict};

/// What history may add to each API at any moment of its day.
const BYTES_MAX: usize = 1_024;

const APIS: usize = 300;

/// Where a day begins.
const MIDNIGHT_MS: i64 = 1_795_305_600_000;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// As the C library's allocator has it: eight bytes beside each piece, in steps of 16.
fn taken(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16).max(32)
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(taken(layout), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(taken(layout), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn api(number: usize) -> Arc<ApiConfig> {
    let id = ApiId::parse(&format!("api-{number:06}")).unwrap();
    let url = format!("https://{}.test/", id.as_str());
    Arc::new(ApiConfig::plain(id, url, Arc::new(Schedule::every(Duration::from_secs(60)))))
}

fn keeper(history: Option<HistorySetup>, now: Moment) -> Keeper {
    let setup = KeeperConfig {
        checkpoint: Duration::from_secs(3_600),
        routes: Routes::to_all(["pager"]),
        digest_above: HashMap::new(),
        limits: CommitLimits { batch_max: 1_000, batches_in_flight_max: 1 },
        instance: "this one".into(),
        store_name: "the store".into(),
        version: "1",
        resumes_backoff: true,
        heartbeat: None,
        once: false,
        spread: true,
        fail_open: true,
        history,
        shards: 1,
    };
    let mut keeper = Keeper::new(setup, now);
    let grant = Grant { shard: Shard::all(1).next().unwrap(), epoch: 1, clean: true, fresh: true };
    keeper.gain_shards(&[grant], Vec::new(), now);
    keeper
}

/// Does what the keeper asks for, until it asks for nothing more.
fn obey(keeper: &mut Keeper, now: Moment) {
    loop {
        let (_, effects) = keeper.drain();
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            match effect {
                Effect::Commit { call, writes } => {
                    let results = writes.into_iter().map(|write| (write.state.api_id.clone(), Ok(()))).collect();
                    keeper.on_commit_results(call, results, now);
                }
                Effect::ReadHistory { call, .. } => keeper.on_history_read(call, Ok(Vec::new()), now),
                Effect::WriteHistory { call, items } => {
                    keeper.on_history_written(call, items.iter().map(|_| Ok(())).collect(), now);
                }
                other => panic!("{other:?} was not to come"),
            }
        }
    }
}

/// What the keeper holds at the end of each hour of a day, in bytes for each API.
fn hours(history: Option<HistorySetup>) -> Vec<usize> {
    let apis: Vec<Arc<ApiConfig>> = (0..APIS).map(api).collect();
    let at = |seconds: u64| Moment {
        monotonic: Duration::from_secs(1_000 + seconds),
        wall: Timestamp::from_millis(MIDNIGHT_MS).plus(Duration::from_secs(seconds)),
    };
    let before = HELD.load(Ordering::Relaxed);
    let mut keeper = keeper(history, at(0));
    keeper.apply_configs(&ConfigDiff { started: apis.clone(), ..ConfigDiff::default() }, at(0));
    let mut held = Vec::new();
    // A target that scatters: a long tail beside what is usual, the same for both runs.
    let mut chance = 1_u32;
    for minute in 0..24 * 60 {
        let now = at(minute * 60);
        for api in &apis {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let spread = chance >> 24;
            let outcome = Outcome {
                started_at: now.wall,
                finished_at: now.wall,
                verdict: Verdict::Pass,
                latency_ms: Some(70 + spread * spread / 512),
                status_code: Some(200),
                reasons: Vec::new(),
                evidence: None,
                certificate: None,
                figures: ProbeFigures::default(),
            };
            let next_tick_in = Some(Duration::from_secs(60));
            let api = Arc::clone(api);
            let completed = CompletedProbe { api, outcome, missed_ticks: 0, next_tick_in, patience: None };
            keeper.on_probes_completed(std::iter::once(completed), now);
        }
        for second in [1, 15, 30, 45] {
            keeper.tick(at(minute * 60 + second));
            obey(&mut keeper, at(minute * 60 + second));
        }
        if minute % 60 == 59 {
            held.push((HELD.load(Ordering::Relaxed) - before) / APIS);
        }
    }
    held
}

#[test]
fn history_adds_at_most_a_kilobyte_to_each_api() {
    let without = hours(None);
    for flush_seconds in [300, 6 * 3_600] {
        let with = hours(Some(HistorySetup { flush: Duration::from_secs(flush_seconds), batch_max: 100 }));
        let added: Vec<usize> = with.iter().zip(&without).map(|(with, without)| with - without).collect();
        println!("bytes of history for each API at the end of each hour, written each {flush_seconds} s: {added:?}");
        assert!(added[0] > 100 && added[23] > added[0], "it is recorded: {added:?}");
        assert!(added.iter().all(|bytes| *bytes <= BYTES_MAX), "{added:?}");
    }
}
