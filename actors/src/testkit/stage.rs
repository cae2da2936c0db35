//! What all fakes of one world share: the time, the chance, a journal of what really happened, and the crash gate.
//!
//! The fakes are all that the program sees of the world. So a crash between any two of their steps is a crash between
//! any two steps that matter: what the program did in memory in between is lost either way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::own::records::LeaseRecord;
use api_health_core::{Alert, ApiConfig, ApiId, ApiState, Heartbeat, Timestamp};
use tokio::sync::Notify;

use super::target::Behaviour;
use super::{VirtualClock, lock};
use crate::ports::Clock;

/// Chance that is the same for the same seed: splitmix64.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `0` to `bound - 1`; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.bits()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    /// When there are none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap_or(0)]
    }

    /// A number of milliseconds from `low` to `high`, both included.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }
}

/// A step of a fake, between two of which the program may be crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Any of them.
    Any,
    /// A write is about to be done.
    BeforeWrite,
    /// A write is durable, and the program does not know yet.
    AfterWrite,
    /// An alert is about to be taken over.
    BeforeTakingOver,
    /// An alert was taken over, and the program does not know yet.
    AfterTakingOver,
    /// A probe is over, and the program does not know yet.
    ProbeOver,
    /// Configs were read, and the program does not know yet.
    ConfigsRead,
}

/// How an attempt to deliver ended, as the program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It was told that the channel has the alert.
    Ok,
    /// It was told to try again.
    Retryable,
    /// It was told to try again no sooner than this.
    AskedForPatience(Duration),
    /// It was told that a person must act.
    Permanent,
    /// It saw a panic.
    Panicked,
    /// It did not wait for an answer.
    Cut,
}

#[derive(Clone, Debug)]
pub enum Event {
    /// The program began to run.
    LifeBegan,
    /// The program ended.
    LifeEnded {
        how: &'static str,
    },
    /// The wall clock was set.
    ClockSet {
        by_ms: i64,
    },
    /// Something in the script of the world, in words.
    Scripted(String),
    ProbeBegan {
        probe: u64,
        /// The config that it was asked to go by.
        api: Arc<ApiConfig>,
    },
    /// A probe was over, and its observation was handed to the program.
    ProbeEnded {
        probe: u64,
        behaviour: Behaviour,
        /// The beginning, as the observation says.
        started_at: Timestamp,
        /// The end, as the observation says.
        finished_at: Timestamp,
    },
    /// A probe was dropped, or panicked, before it was over.
    ProbeCut {
        probe: u64,
        panicked: bool,
    },
    /// The store was asked to write.
    CommitBegan {
        call: u64,
        writes: usize,
    },
    /// A record of the program's is durable.
    Written {
        record: Arc<ApiState>,
        /// The answer is not lost.
        said: bool,
    },
    /// A heartbeat is durable.
    Heartbeat {
        heartbeat: Box<Heartbeat>,
    },
    /// A record was not written.
    NotWritten {
        api_id: ApiId,
        /// It expected another version; else it was a fault.
        conflict: bool,
    },
    /// The store answered, or reading it did.
    CommitEnded {
        call: u64,
        /// Each write went through, and each answer said so.
        all_well: bool,
    },
    /// All records were read, for the program or for whoever starts it.
    AllRead,
    /// A lease record was written.
    Leased {
        record: Box<LeaseRecord>,
    },
    /// One record was read: what the program goes on from after a conflict.
    Read {
        api_id: ApiId,
        record: Option<Arc<ApiState>>,
    },
    /// Somebody else wrote a record.
    Overwritten {
        record: Arc<ApiState>,
    },
    /// Somebody else deleted a record.
    Deleted {
        api_id: ApiId,
    },
    /// A channel was asked to deliver.
    DeliverBegan {
        call: u64,
        channel: &'static str,
        alert: Arc<Alert>,
    },
    /// The next ones to be delivered, one of each of these, come in one message.
    DigestBegan {
        channel: &'static str,
        apis: Vec<ApiId>,
    },
    /// The channel has it; whether the program learns of that is another matter.
    TookOver {
        call: u64,
    },
    DeliverEnded {
        call: u64,
        answered: Answered,
    },
    /// The configs were read.
    ConfigsRead {
        /// The good rows and the ids of the refused ones; `None` for an unreachable source.
        rows: Option<(Vec<Arc<ApiConfig>>, Vec<ApiId>)>,
    },
}

/// An event, and when it happened.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Of which process: 0 where there is one.
    pub process: usize,
    /// Since the beginning of the world.
    pub at: Duration,
    pub wall: Timestamp,
    pub event: Event,
}

#[derive(Default)]
struct Gate {
    trap: Option<(Step, u64)>,
    frozen: bool,
}

/// What the fakes of one world share, as one process sees it.
#[derive(Clone)]
pub struct Stage {
    pub clock: VirtualClock,
    process: usize,
    inner: Arc<Inner>,
    own: Arc<Own>,
}

/// What is shared by all processes.
struct Inner {
    journal: Mutex<Vec<Entry>>,
    chance: Mutex<Chance>,
    /// Numbers of probes and calls.
    next: AtomicU64,
}

/// What is each process's own.
#[derive(Default)]
struct Own {
    gate: Mutex<Gate>,
    crashed: Notify,
}

impl Stage {
    /// An empty journal, and chance from that seed.
    pub fn new(clock: VirtualClock, seed: u64) -> Self {
        let chance = Mutex::new(Chance::new(seed));
        let inner = Inner { journal: Mutex::default(), chance, next: AtomicU64::new(0) };
        Self { clock, process: 0, inner: Arc::new(inner), own: Arc::default() }
    }

    /// The same world as another process sees it, by its own clock. It is crashed on its own.
    pub fn of_process(&self, process: usize, clock: VirtualClock) -> Self {
        Self { clock, process, inner: Arc::clone(&self.inner), own: Arc::default() }
    }

    /// Writes an event into the journal. What a crashed program does on its way out did not happen.
    pub fn note(&self, event: Event) {
        if !self.is_frozen() {
            self.record(event);
        }
    }

    /// The same of what happened without the program, or after its end.
    pub fn record(&self, event: Event) {
        let entry = Entry { process: self.process, at: self.clock.elapsed(), wall: self.clock.now(), event };
        lock(&self.inner.journal).push(entry);
    }

    /// Takes the journal out.
    pub fn take_journal(&self) -> Vec<Entry> {
        std::mem::take(&mut lock(&self.inner.journal))
    }

    /// Draws from the chance that all fakes share.
    pub fn draw<T>(&self, from: impl FnOnce(&mut Chance) -> T) -> T {
        from(&mut lock(&self.inner.chance))
    }

    /// A number that was not used before in this world.
    pub fn number(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Crashes the program when it takes this step for the `countdown`-th time from now on.
    pub fn trap(&self, step: Step, countdown: u64) {
        lock(&self.own.gate).trap = Some((step, countdown.max(1)));
    }

    /// Whether the program is crashed.
    pub fn is_frozen(&self) -> bool {
        lock(&self.own.gate).frozen
    }

    /// Crashes the program: from now on nothing that it does reaches the world.
    pub fn freeze(&self) {
        lock(&self.own.gate).frozen = true;
        self.own.crashed.notify_one();
    }

    /// A new life may begin, without a trap.
    pub fn thaw(&self) {
        let mut gate = lock(&self.own.gate);
        gate.frozen = false;
        gate.trap = None;
    }

    /// Comes back when the program is crashed.
    pub async fn crashed(&self) {
        while !self.is_frozen() {
            self.own.crashed.notified().await;
        }
    }

    /// A step of a fake: it never comes back in a program that is crashed, or just now crashes here.
    pub async fn pass(&self, step: Step) {
        let springs = {
            let mut gate = lock(&self.own.gate);
            match &mut gate.trap {
                Some((at, countdown)) if *at == step || *at == Step::Any => {
                    *countdown -= 1;
                    *countdown == 0
                }
                _ => false,
            }
        };
        if springs {
            self.note(Event::Scripted(format!("crashes at {step:?}")));
            lock(&self.own.gate).trap = None;
            self.freeze();
        }
        if self.is_frozen() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for as long as chance says, up to that many milliseconds; not at all for 0.
    pub async fn dawdle(&self, millis_max: u64) {
        if millis_max > 0 {
            tokio::time::sleep(self.draw(|chance| chance.millis(1, millis_max))).await;
        }
    }
}
