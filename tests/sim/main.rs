//! The simulation: the real actors in virtual time on one thread, in worlds in which everything fails.
//!
//! Each seed makes a small world of its own: who is watched, what the APIs really do over time, and what fails when, from
//! the probe to the clock ([`script`]). The program runs in it, is crashed between any two steps and started again on
//! what the store kept ([`world`]). An oracle then goes through what really happened, which the fakes wrote down and not
//! the program, and compares it with a plain reference model ([`oracle`], [`model`], [`cadence`]).
//!
//! | to do | run |
//! |---|---|
//! | what CI does | `cargo test --test sim` |
//! | one seed again, with its log | `API_HEALTH_SIM_SEED=123 cargo test --test sim` |
//! | what history says of uptime alone | `cargo test --test sim of_history` |
//! | worlds of several workers alone | `cargo test --test sim several_workers` |
//! | more seeds than CI | `API_HEALTH_SIM_SEEDS=20000 cargo test --test sim` |
//! | all seeds that fail, not only the first | `API_HEALTH_SIM_KEEP_GOING=1 cargo test --test sim` |
//! | other seeds | `API_HEALTH_SIM_FIRST=1000000 API_HEALTH_SIM_SEEDS=20000 cargo test --test sim` |
//! | try the oracle on bugs that are planted | `tests/sim/check-the-checker` |

mod cadence;
mod determinism;
mod fleet_history;
mod fleet_holds;
mod fleet_process;
mod fleet_script;
mod fleet_world;
mod log;
mod model;
mod oracle;
mod pinned;
mod schedules;
mod script;
mod trouble;
mod uptime;
mod world;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use api_health_actors::testkit::stage::Entry;
use fleet_script::FleetScript;
use oracle::{Counts, Violation};
use script::Script;

/// What CI runs at least, and how many API-days that has to be. A world with several workers takes three times as long as one with one
/// process, and each planted bug that it is for is found within fewer.
const ONE: (u64, f64) = (300, 1_000.0);
const SEVERAL: (u64, f64) = (150, 400.0);

/// What must have happened in all of CI's seeds: a fault that never comes is no fault.
const MUST_HAPPEN: &[&str] = &[
    "channel: a person must act",
    "channel: did not answer",
    "channel: panicked",
    "channel: refused",
    "channel: took over",
    "clock set back",
    "clock set forward",
    "configs: a row refused",
    "configs: empty",
    "configs: unreachable",
    "life: could not start",
    "life: crashed",
    "life: stopped in order",
    "probe: another status",
    "probe: cut",
    "probe: inconclusive",
    "probe: panicked",
    "probe: passed",
    "probe: refused",
    "probe: timed out",
    "script: Channel(, AnswerLost)",
    "script: Channel(, Flaky)",
    "script: Channel(, Hangs)",
    "script: Channel(, HangsWithIt)",
    "script: Channel(, Permanent)",
    "script: Channel(, RefusesOne(",
    "script: Channel(, RetryAfter(.s))",
    "script: Channel(, Unavailable)",
    "script: Crash",
    "script: Source(Hangs)",
    "script: Store(AnswerLost)",
    "script: Store(Flaky)",
    "script: Store(HangsForAWhile)",
    "script: Store(Misconfigured)",
    "script: Store(Dawdles)",
    "script: Store(Unavailable)",
    "script: crashes at AfterTakingOver",
    "script: crashes at AfterWrite",
    "script: crashes at Any",
    "script: crashes at BeforeTakingOver",
    "script: crashes at BeforeWrite",
    "script: crashes at ConfigsRead",
    "script: crashes at ProbeOver",
    "script: a hand in the table",
    "script: the row of api- is removed",
    "store: a call failed",
    "store: conflict",
    "store: one write failed",
    "met a hand: adopted",
    "met a hand: adopted, and forgot",
    "met a hand: an old copy",
    "met a hand: the record is gone",
    "met its own write: the answer was lost",
    "probe: of another question",
    "store: somebody else brought a copy back",
    "store: somebody else deleted",
    "store: somebody else wrote",
    "ticks missed",
    "told in a digest",
    "an outage is taken back",
    "told again: a crash before that was stored",
    "told again: no answer to the time before",
    "told of an API: closed",
    "told of an API: down",
    "told of an API: up",
    "told of itself: down",
    "told of itself: up",
];

/// The same for worlds with several workers.
const MUST_HAPPEN_TO_SEVERAL: &[&str] = &[
    "fleet: held by a parent that is asked, then cancelled",
    "fleet: held by a parent that is asked, then down",
    "fleet: held by a parent that is down, then cancelled",
    "fleet: held by a parent that is down, then down",
    "fleet: held by a parent that is down, then up",
    "fleet: held by a window, then cancelled",
    "fleet: held by a window, then down",
    "fleet: held by a window, then up",
    "fleet: held by flapping, then cancelled",
    "fleet: held by flapping, then down",
    "fleet: held by flapping, then up",
    "fleet: held over a change of owner",
    "fleet: life killed",
    "fleet: life stopped in order",
    "fleet: records sealed",
    "fleet: script Store(AnswerLost)",
    "fleet: script Store(Unavailable)",
    "fleet: script Worker(, Cut(Delayed, true))",
    "fleet: script Worker(, Cut(Leases, true))",
    "fleet: script Worker(, Cut(Probing, true))",
    "fleet: script Worker(, Cut(StoreRefuses, true))",
    "fleet: script Worker(, Cut(StoreSilent, true))",
    "fleet: script Worker(, Pause(true))",
    "fleet: script Worker(, SetClock())",
    "fleet: sessions Fenced",
    "fleet: sessions Left",
    "fleet: shards taken from the dead",
    "fleet: shards taken that were free",
    "fleet: told again",
    "fleet: told in a digest",
    "fleet: told while one is down that needs it as it needs that",
    "fleet: told closed",
    "fleet: told down",
    "fleet: told flapping",
    "fleet: told reminder",
    "fleet: told up",
    "fleet: worlds of 1",
    "fleet: worlds of 5",
];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Which worlds are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Of one process, one life after another.
    One,
    /// Of several workers.
    Several,
}

struct Played {
    checked: Result<(), Violation>,
    counts: Counts,
    api_time: Duration,
    journal: Vec<Entry>,
}

fn play(of: Of, seed: u64) -> Played {
    world::hear_panics();
    determinism::with_seed(seed, move || match of {
        Of::One => {
            let script = Script::new(seed);
            let history = world::play(seed, &script);
            let (checked, counts, api_time) = oracle::check(&script, &history);
            Played { checked, counts, api_time, journal: history.journal }
        }
        Of::Several => {
            let script = FleetScript::new(seed);
            let history = fleet_world::play(seed, &script);
            let (checked, counts, api_time) = oracle::fleet::check(&script, &history);
            Played { checked, counts, api_time, journal: history.journal }
        }
    })
}

/// What is printed of a seed that failed: the log of the API that it is about, with its whole log in a file.
fn report(of: Of, seed: u64, violation: &Violation, journal: &[Entry]) -> String {
    const LINES_MAX: usize = 400;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("sim-{of:?}-seed-{seed}.log"));
    let written = std::fs::write(&file, log::lines(journal, None));
    let log = log::lines(journal, violation.api_id.as_ref());
    let until = log.lines().take_while(|line| {
        line.trim()
            .split(' ')
            .next()
            .and_then(|at| at.parse::<f64>().ok())
            .is_some_and(|at| at <= violation.at.as_secs_f64() + 0.001)
    });
    let shown: Vec<&str> = until.collect();
    let mut text = shown[shown.len().saturating_sub(LINES_MAX)..].join("\n");
    let api_id = violation.api_id.as_ref().map_or("", |id| id.as_str());
    let _ = write!(
        text,
        "\n\nseed {seed}, {:.3} s, {api_id}: [{}] {}\nagain: API_HEALTH_SIM_SEED={seed} cargo test --test sim {}\nall of the log: {} ({written:?})\n",
        violation.at.as_secs_f64(),
        violation.check,
        violation.what,
        if of == Of::One { "every_seed_keeps" } else { "several_workers" },
        file.display()
    );
    text
}

/// Plays seeds on two threads, until one fails or all are done.
fn play_all(of: Of, seeds: &[u64]) -> (Counts, Duration) {
    let next = AtomicU64::new(0);
    let total = Mutex::new((Counts::new(), Duration::ZERO));
    let failed = Mutex::new(None);
    let keeps_going = number("API_HEALTH_SIM_KEEP_GOING").is_some();
    let player = || {
        while (keeps_going || failed.lock().unwrap_or_else(PoisonError::into_inner).is_none())
            && let Some(seed) = seeds.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX))
        {
            let played = play(of, *seed);
            if let Err(violation) = &played.checked {
                let report = report(of, *seed, violation, &played.journal);
                println!("{}", report.lines().find(|line| line.starts_with("seed ")).unwrap_or_default());
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(report);
                continue;
            }
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.1 += played.api_time;
            for (what, count) in played.counts {
                *total.0.entry(what).or_default() += count;
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(player);
        scope.spawn(player);
    });
    if let Some(report) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!("{report}");
    }
    total.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Plays the seeds that were asked for, or CI's, and sees that enough happened in them.
fn every_seed(of: Of, pinned: &[(u64, &str)], must_happen: &[&str]) {
    if let Some(seed) = number("API_HEALTH_SIM_SEED") {
        play_all(of, &[seed]);
        return;
    }
    let (seeds_min, api_days_min) = if of == Of::One { ONE } else { SEVERAL };
    let first = number("API_HEALTH_SIM_FIRST").unwrap_or(1);
    let seeds = number("API_HEALTH_SIM_SEEDS").unwrap_or(seeds_min);
    let all: Vec<u64> = pinned.iter().map(|(seed, _)| *seed).chain(first..first + seeds).collect();
    let (counts, api_time) = play_all(of, &all);
    let api_days = api_time.as_secs_f64() / 86_400.0;
    println!("{} seeds, {api_days:.0} API-days", all.len());
    for (what, count) in &counts {
        println!("{count:>10}  {what}");
    }
    if seeds >= seeds_min {
        assert!(api_days >= api_days_min, "{api_days} API-days are too few");
        let never: Vec<&&str> = must_happen.iter().filter(|what| !counts.contains_key(**what)).collect();
        assert!(never.is_empty(), "never happened: {never:?}");
    }
}

#[test]
fn every_seed_keeps_the_promises() {
    every_seed(Of::One, pinned::ONE, MUST_HAPPEN);
}

#[test]
fn every_seed_of_several_workers_keeps_the_promises() {
    every_seed(Of::Several, pinned::SEVERAL, MUST_HAPPEN_TO_SEVERAL);
}

#[test]
fn each_planted_bug_still_has_its_place() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/check-the-checker");
    let done = std::process::Command::new("python3").arg(script).arg("--dry").output().expect("Python 3.11");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_seed_replays_to_the_letter() {
    for (of, seed) in [(Of::One, 3), (Of::One, 4), (Of::Several, 1), (Of::Several, 3)] {
        let [once, again] = [seed, seed].map(|seed| log::lines(&play(of, seed).journal, None));
        let differs = once.lines().zip(again.lines()).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.len(), again.len(), "seed {seed}");
    }
}
