//! What happens in the world of one seed in which several workers share the APIs.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::channel::ChannelFault;
use api_health_actors::testkit::stage::Chance;
use api_health_actors::testkit::store::StoreFault;
use api_health_actors::testkit::target::Behaviour;
use api_health_core::ApiConfig;
use api_health_core::maintenance::Selection;

use crate::fleet_holds;
use crate::script::{api, sickness, truth};

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// This API does this from now on.
    Behave(usize, Behaviour),
    /// The store, leases included, fails so for all.
    Store(StoreFault),
    Channel(usize, ChannelFault),
    /// This worker suffers this.
    Worker(usize, Deed),
    /// A person opens a maintenance window that lasts so long, or closes it.
    Maintenance(Selection, Option<Duration>),
    /// No more faults, and every worker is started that is not there.
    Quiet,
    End,
}

/// What befalls one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Start,
    /// It is killed, and started again after so many milliseconds.
    Kill(u64),
    /// It leaves in order, and is started again after so many milliseconds.
    Leave(u64),
    /// Nothing in it moves; or it moves again.
    Pause(bool),
    /// One of its lines fails; or it works again.
    Cut(Cut, bool),
    /// Its wall clock is set.
    SetClock(i64),
}

/// What a worker may be cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// From states and leases, and it hears so at once.
    Store,
    /// From both, without a word.
    StoreSilent,
    /// Both refuse it.
    StoreRefuses,
    /// From the leases alone.
    Leases,
    /// What it sends to either arrives, and no answer comes back.
    Answers,
    /// Answers of either come late.
    Slow,
    /// What it writes to either is delayed on its way, and arrives when this is over, whether or not it still lives.
    Delayed,
    /// From every channel.
    Channels,
    /// From every API.
    Targets,
    /// Its probes never end.
    Probing,
}

/// One worker, for all of its lives.
pub(crate) struct Worker {
    /// Indices of its channels.
    pub(crate) channels: Vec<usize>,
    /// How far its wall clock is ahead, and what that gains.
    pub(crate) ahead_ms: i64,
    pub(crate) gains_ppm: i64,
    pub(crate) fail_open: bool,
    pub(crate) is_standby: bool,
    /// A new life of it knows that the one before is dead.
    pub(crate) knows_dead: bool,
    pub(crate) checkpoint: Duration,
}

/// The world of one seed.
pub(crate) struct FleetScript {
    pub(crate) apis: Vec<Arc<ApiConfig>>,
    pub(crate) channels: usize,
    /// More alerts than this within seconds go out as digests; 0: never.
    pub(crate) digest_above: usize,
    pub(crate) workers: Vec<Worker>,
    /// In order of time.
    pub(crate) actions: Vec<(Duration, Action)>,
    pub(crate) well_at_end: Vec<bool>,
    pub(crate) quiet_at: Duration,
}

/// After the last fault.
pub(crate) const QUIET: Duration = Duration::from_secs(1_800);

pub(crate) const MINUTE: u64 = 60_000;

impl FleetScript {
    pub(crate) fn new(seed: u64) -> Self {
        let chance = &mut Chance::new(seed ^ 0x0f1e_e700);
        let count = usize::try_from(chance.between(30, 70)).unwrap_or(30);
        let apis: Vec<Arc<ApiConfig>> = (0..count).map(|n| Arc::new(api(n, chance))).collect();
        let quiet_ms = chance.between(40, 90) * MINUTE;
        let channels = if chance.percent(50) { 2 } else { 1 };
        let clocks_differ = chance.percent(50);
        let workers =
            (0..*chance.pick(&[1_usize, 2, 2, 3, 3, 4, 5])).map(|n| worker(n, channels, clocks_differ, chance));
        let mut script = Self {
            workers: workers.collect(),
            channels,
            digest_above: 0,
            actions: vec![],
            well_at_end: (0..count).map(|_| chance.percent(60)).collect(),
            quiet_at: Duration::from_millis(quiet_ms),
            apis,
        };
        for n in 0..count {
            let does = truth(quiet_ms, chance).into_iter().filter(|(_, behaviour)| *behaviour != Behaviour::Panics);
            script.actions.extend(does.map(|(at, behaviour)| (at, Action::Behave(n, behaviour))));
        }
        for n in 0..script.workers.len() {
            let joins_at = if n == 0 || chance.percent(60) { chance.below(2_000) } else { chance.below(quiet_ms / 2) };
            script.add(joins_at, Action::Worker(n, Deed::Start));
            script.fate(n, quiet_ms, chance);
        }
        script.faults_of_all(quiet_ms, chance);
        if seed.is_multiple_of(3) {
            fleet_holds::add(&mut script, quiet_ms, &mut Chance::new(!seed));
        }
        script.actions.retain(|(at, _)| *at < Duration::from_millis(quiet_ms));
        script.add(quiet_ms, Action::Quiet);
        for n in 0..count {
            let behaviour = if script.well_at_end[n] { Behaviour::Answers(200) } else { sickness(chance) };
            script.add(quiet_ms, Action::Behave(n, behaviour));
        }
        script.actions.sort_by_key(|(at, _)| *at);
        script.actions.push((script.quiet_at + QUIET, Action::End));
        script
    }

    pub(crate) fn add(&mut self, at_ms: u64, action: Action) {
        self.actions.push((Duration::from_millis(at_ms), action));
    }

    /// What befalls one worker over time, one after the other.
    fn fate(&mut self, n: usize, until_ms: u64, chance: &mut Chance) {
        let calm = if chance.percent(30) { 4 * MINUTE } else { 20 * MINUTE };
        let mut at = chance.between(MINUTE / 2, calm);
        while at < until_ms {
            let down = if chance.percent(70) { chance.between(200, 20_000) } else { chance.between(1_000, 6 * MINUTE) };
            let lasts =
                if chance.percent(50) { chance.between(500, 25_000) } else { chance.between(12_000, 3 * MINUTE) };
            let of = |cut| (Deed::Cut(cut, true), Deed::Cut(cut, false));
            let (begins, ends) = match chance.below(20) {
                0..=2 => (Deed::Kill(down), None),
                3..=4 => (Deed::Leave(down), None),
                5..=8 => (Deed::Pause(true), Some(Deed::Pause(false))),
                9 => (Deed::SetClock(i64::try_from(chance.below(120 * MINUTE)).unwrap_or(0) - 3_600_000), None),
                _ => {
                    let (begins, ends) = of(*chance.pick(&[
                        Cut::Store,
                        Cut::StoreSilent,
                        Cut::StoreRefuses,
                        Cut::Leases,
                        Cut::Answers,
                        Cut::Slow,
                        Cut::Delayed,
                        Cut::Delayed,
                        Cut::Channels,
                        Cut::Targets,
                        Cut::Probing,
                    ]));
                    (begins, Some(ends))
                }
            };
            self.add(at, Action::Worker(n, begins));
            if let Some(ends) = ends {
                // Some die of it.
                if chance.percent(20) {
                    self.add(at + chance.below(lasts), Action::Worker(n, Deed::Kill(down)));
                }
                at += lasts;
                self.add(at, Action::Worker(n, ends));
            }
            at += chance.between(1_000, calm);
        }
    }

    /// Faults of the store and of the channels that all workers meet.
    fn faults_of_all(&mut self, until_ms: u64, chance: &mut Chance) {
        for _ in 0..chance.below(4) {
            let fault = *chance.pick(&[
                StoreFault::Unavailable,
                StoreFault::Dawdles,
                StoreFault::AnswerLost,
                StoreFault::Flaky,
            ]);
            let lasts =
                if chance.percent(50) { chance.between(1_000, 25_000) } else { chance.between(MINUTE / 2, 5 * MINUTE) };
            let at = chance.below(until_ms);
            self.add(at, Action::Store(fault));
            self.add(at + lasts, Action::Store(StoreFault::None));
        }
        for _ in 0..chance.below(4) {
            let fault = chance
                .pick(&[
                    ChannelFault::Unavailable,
                    ChannelFault::Hangs,
                    ChannelFault::HangsWithIt,
                    ChannelFault::AnswerLost,
                    ChannelFault::Flaky,
                ])
                .clone();
            let channel = usize::try_from(chance.below(self.channels as u64)).unwrap_or(0);
            let at = chance.below(until_ms);
            self.add(at, Action::Channel(channel, fault));
            self.add(at + chance.between(1_000, 10 * MINUTE), Action::Channel(channel, ChannelFault::None));
        }
    }
}

fn worker(n: usize, channels: usize, clocks_differ: bool, chance: &mut Chance) -> Worker {
    let all: Vec<usize> = (0..channels).collect();
    let hour = 60 * MINUTE;
    let ahead_ms = i64::try_from(chance.below(2 * hour)).unwrap_or(0) - i64::try_from(hour).unwrap_or(0);
    let gains_ppm = *chance.pick(&[0, 0, 200, -200, 5_000, -5_000]);
    Worker {
        // The first one has them all, so that everything can be told.
        channels: if n > 0 && channels == 2 && chance.percent(30) { vec![1] } else { all },
        ahead_ms: if clocks_differ { ahead_ms } else { 0 },
        gains_ppm: if clocks_differ { gains_ppm } else { 0 },
        fail_open: chance.percent(80),
        is_standby: n > 0 && chance.percent(15),
        knows_dead: chance.percent(50),
        checkpoint: Duration::from_secs(*chance.pick(&[10, 60])),
    }
}
