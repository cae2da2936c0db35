//! What happens in the world of one seed: who is watched and how, what the APIs do, and what fails when.

use std::sync::Arc;
use std::time::Duration;

use api_health_actors::testkit::channel::ChannelFault;
use api_health_actors::testkit::configs::SourceFault;
use api_health_actors::testkit::stage::{Chance, Step};
use api_health_actors::testkit::store::StoreFault;
use api_health_actors::testkit::target::Behaviour;
use api_health_core::ApiConfig;

use crate::schedules;

/// Something that happens.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// This API does this from now on.
    Behave(usize, Behaviour),
    Store(StoreFault),
    Channel(usize, ChannelFault),
    Source(SourceFault),
    /// The row of an API is replaced; `None` removes it.
    Row(usize, Option<Arc<ApiConfig>>),
    /// The row of an API is broken, until it is replaced.
    Break(usize),
    SetClock(i64),
    /// Our own resolver looks names up, or not; and the name server says that it does, or not.
    Resolver {
        finds: bool,
        says_well: bool,
    },
    /// The program crashes at this step, counted from now.
    Trap(Step, u64),
    Crash,
    Restart,
    /// Somebody else does this to a record in the table.
    Hand(Whose, Hand),
    /// No more faults.
    Quiet,
    End,
}

/// Whose record a hand in the table goes for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    /// That of this API.
    Api(usize),
    /// The first one that owes something.
    Owing,
    /// The first one of which an outage was told that is not in it.
    ToldUnstored,
}

/// What a hand in the table does to a record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hand {
    /// Writes it again as it is, under the next version.
    Bump,
    /// The same, with another figure in it: nothing that is decided hangs on it.
    Figure,
    Delete,
    /// Keeps a copy of it, as a backup does.
    Copy,
    /// Brings the copy back.
    Restore,
}

/// The world of one seed.
pub(crate) struct Script {
    pub(crate) apis: Vec<Arc<ApiConfig>>,
    pub(crate) channels: usize,
    /// The second channel takes but the APIs with its tag.
    pub(crate) is_routed: bool,
    pub(crate) checkpoint: Duration,
    /// More alerts than this within seconds go out as digests; 0: never.
    pub(crate) digest_above: usize,
    /// In order of time.
    pub(crate) actions: Vec<(Duration, Action)>,
    /// How long the program stays away after each of its ends.
    pub(crate) downtimes: Vec<Duration>,
    /// Whether each API is well at the end.
    pub(crate) well_at_end: Vec<bool>,
}

/// By which alerts go to the second channel, where it does not take all.
pub(crate) const TAG: &str = "mailed";

/// After the last fault. The longest wait is that after a permanent error, 5 minutes, for one alert after another; and
/// the longest time to an alert is that of an interval of 10 minutes.
pub(crate) const QUIET: Duration = Duration::from_secs(1_800);

const MINUTE: u64 = 60_000;

impl Script {
    pub(crate) fn new(seed: u64) -> Self {
        let chance = &mut Chance::new(seed);
        let count = usize::try_from(chance.between(30, 100)).unwrap_or(20);
        let is_routed = seed.is_multiple_of(3);
        let tagged = |n: usize, api: ApiConfig| match is_routed && n.is_multiple_of(2) {
            true => ApiConfig { tags: vec![TAG.into()], ..api },
            false => api,
        };
        let apis: Vec<Arc<ApiConfig>> = (0..count).map(|n| Arc::new(tagged(n, api(n, chance)))).collect();
        let quiet_at = chance.between(40, 90) * MINUTE;
        let mut script = Self {
            channels: if chance.percent(40) { 2 } else { 1 },
            is_routed,
            checkpoint: Duration::from_secs(*chance.pick(&[1, 10, 60])),
            digest_above: if seed.is_multiple_of(4) { 2 } else { 0 },
            actions: vec![],
            downtimes: (0..40)
                .map(|_| {
                    let longest = if chance.percent(20) { 15 * MINUTE } else { MINUTE };
                    chance.millis(100, longest)
                })
                .collect(),
            well_at_end: (0..count).map(|_| chance.percent(60)).collect(),
            apis,
        };
        for n in 0..count {
            script.truth(n, quiet_at, chance);
        }
        script.faults(quiet_at, chance);
        script.resolver(quiet_at, &mut Chance::new(!seed));
        script.edits(quiet_at, chance);
        script.ends(quiet_at, chance);
        script.actions.retain(|(at, _)| *at < Duration::from_millis(quiet_at));
        script.add(quiet_at, Action::Quiet);
        for n in 0..count {
            let behaviour = if script.well_at_end[n] { Behaviour::Answers(200) } else { sickness(chance) };
            script.add(quiet_at, Action::Behave(n, behaviour));
        }
        script.actions.sort_by_key(|(at, _)| *at);
        script.actions.push((Duration::from_millis(quiet_at) + QUIET, Action::End));
        script
    }

    fn add(&mut self, at_ms: u64, action: Action) {
        self.actions.push((Duration::from_millis(at_ms), action));
    }

    fn truth(&mut self, n: usize, until_ms: u64, chance: &mut Chance) {
        self.actions.extend(truth(until_ms, chance).into_iter().map(|(at, does)| (at, Action::Behave(n, does))));
    }

    /// A fault that begins somewhere and is over after a while.
    fn window(&mut self, until_ms: u64, lasts_ms: u64, from: Action, to: Action, chance: &mut Chance) {
        let at = chance.below(until_ms);
        self.add(at, from);
        self.add(at + chance.between(500, lasts_ms), to);
    }

    fn faults(&mut self, until_ms: u64, chance: &mut Chance) {
        for _ in 0..chance.below(5) {
            let fault = *chance.pick(&[
                StoreFault::Unavailable,
                StoreFault::Misconfigured,
                StoreFault::Dawdles,
                StoreFault::HangsForAWhile,
                StoreFault::AnswerLost,
                StoreFault::Flaky,
                StoreFault::Flaky,
            ]);
            let lasts = if chance.percent(50) { 20_000 } else { 8 * MINUTE };
            self.window(until_ms, lasts, Action::Store(fault), Action::Store(StoreFault::None), chance);
            let (began, _) = self.actions[self.actions.len() - 2];
            if chance.percent(50) {
                // A hand while the store takes nothing from the program: what was told unstored meets another record.
                for _ in 0..8 {
                    let at = u64::try_from(began.as_millis()).unwrap_or(0) + chance.below(lasts);
                    self.add(at, Action::Hand(Whose::ToldUnstored, Hand::Bump));
                }
            }
        }
        for _ in 0..chance.below(6) {
            let channel = usize::try_from(chance.below(self.channels as u64)).unwrap_or(0);
            let one = chance.pick(&self.apis).api_id.clone();
            let retry_after = ChannelFault::RetryAfter(chance.millis(0, 90_000));
            let fault = chance
                .pick(&[
                    ChannelFault::Unavailable,
                    ChannelFault::Hangs,
                    ChannelFault::HangsWithIt,
                    ChannelFault::Permanent,
                    ChannelFault::Panics,
                    ChannelFault::RefusesOne(one),
                    retry_after,
                    ChannelFault::AnswerLost,
                    ChannelFault::Flaky,
                    ChannelFault::Flaky,
                ])
                .clone();
            let lasts = if fault == ChannelFault::Panics { 20_000 } else { 15 * MINUTE };
            let (from, to) = (Action::Channel(channel, fault), Action::Channel(channel, ChannelFault::None));
            self.window(until_ms, lasts, from, to, chance);
        }
        for _ in 0..chance.below(3) {
            let fault = *chance.pick(&[SourceFault::Unavailable, SourceFault::Empty, SourceFault::Hangs]);
            self.window(until_ms, 6 * MINUTE, Action::Source(fault), Action::Source(SourceFault::None), chance);
        }
        for _ in 0..chance.below(3) {
            let by = i64::try_from(chance.between(1_000, 60 * MINUTE)).unwrap_or(0);
            let by = if chance.percent(50) { by } else { -by };
            self.add(chance.below(until_ms), Action::SetClock(by));
        }
        self.hands(until_ms, chance);
    }

    /// Our own resolver dies, and comes back.
    fn resolver(&mut self, until_ms: u64, chance: &mut Chance) {
        for _ in 0..chance.below(3) {
            let began = chance.below(until_ms);
            let ends = began + chance.between(10_000, 8 * MINUTE);
            self.add(began, Action::Resolver { finds: false, says_well: false });
            self.add(ends, Action::Resolver { finds: true, says_well: false });
            // What failed before is asked about a little later.
            self.add(ends + 3_000, Action::Resolver { finds: true, says_well: true });
        }
    }

    /// Hands in the table: a few at any record, and in some worlds many at records that owe something.
    fn hands(&mut self, until_ms: u64, chance: &mut Chance) {
        for _ in 0..chance.below(8) {
            let whose = Whose::Api(usize::try_from(chance.below(self.apis.len() as u64)).unwrap_or(0));
            let at = chance.below(until_ms);
            let hand = match chance.below(6) {
                0 => Hand::Delete,
                1..=2 => {
                    self.add(at + chance.between(1_000, 15 * MINUTE), Action::Hand(whose, Hand::Restore));
                    Hand::Copy
                }
                3 => Hand::Figure,
                _ => Hand::Bump,
            };
            self.add(at, Action::Hand(whose, hand));
        }
        if chance.percent(40) {
            for _ in 0..chance.below(60) {
                self.add(chance.below(until_ms), Action::Hand(Whose::Owing, Hand::Bump));
            }
        }
    }

    /// Rows that are edited, disabled, removed, broken, and mended.
    fn edits(&mut self, until_ms: u64, chance: &mut Chance) {
        for _ in 0..chance.below(10) {
            let n = usize::try_from(chance.below(self.apis.len() as u64)).unwrap_or(0);
            let row = Arc::clone(&self.apis[n]);
            let at = chance.below(until_ms);
            let back = at + chance.between(500, 20 * MINUTE);
            let edited = |edit: &dyn Fn(&mut ApiConfig)| {
                let mut edited = (*row).clone();
                edit(&mut edited);
                Some(Arc::new(edited))
            };
            let (failures, successes) = (u32::try_from(chance.between(1, 4)), u32::try_from(chance.between(1, 4)));
            let schedule = chance.pick(&schedules::ALL).schedule();
            let first = match chance.below(7) {
                0 => Action::Row(n, None),
                1 => Action::Row(n, edited(&|row| row.enabled = false)),
                2 => Action::Break(n),
                3 => Action::Row(n, edited(&|row| row.name = format!("{} renamed", row.name).into())),
                6 => Action::Row(n, edited(&|row| row.url = format!("{}other", row.url))),
                4 => Action::Row(
                    n,
                    edited(&|row| {
                        row.failure_threshold = failures.unwrap_or(1);
                        row.success_threshold = successes.unwrap_or(1);
                    }),
                ),
                _ => Action::Row(n, edited(&|row| row.schedule = Arc::clone(&schedule))),
            };
            self.add(at, first);
            if chance.percent(85) {
                self.add(back, Action::Row(n, Some(row)));
            }
        }
    }

    /// Ends of the program: in order, at some moment, and between two steps.
    fn ends(&mut self, until_ms: u64, chance: &mut Chance) {
        for _ in 0..chance.below(9) {
            let action = match chance.below(10) {
                0..=1 => Action::Restart,
                2 => Action::Crash,
                3 => Action::Trap(Step::Any, chance.between(1, 400)),
                4 => Action::Trap(Step::BeforeWrite, chance.between(1, 30)),
                5 => Action::Trap(Step::AfterWrite, chance.between(1, 30)),
                6 => Action::Trap(Step::BeforeTakingOver, chance.between(1, 4)),
                7 => Action::Trap(Step::AfterTakingOver, chance.between(1, 4)),
                8 => Action::Trap(Step::ProbeOver, chance.between(1, 50)),
                _ => Action::Trap(Step::ConfigsRead, 1),
            };
            self.add(chance.below(until_ms), action);
        }
    }
}

/// What one API does: outages, blips, flapping, and faults of our own.
pub(crate) fn truth(until_ms: u64, chance: &mut Chance) -> Vec<(Duration, Behaviour)> {
    let mut all = vec![];
    let mut add = |at_ms: u64, behaviour: Behaviour| all.push((Duration::from_millis(at_ms), behaviour));
    // Most are quiet most of the time, as in life; a few are in trouble all along.
    let calm = if chance.percent(25) { 4 * MINUTE } else { 25 * MINUTE };
    let mut at = chance.below(calm);
    while at < until_ms {
        let (behaviour, lasts) = match chance.below(12) {
            0..=3 => (sickness(chance), chance.between(MINUTE / 2, 20 * MINUTE)),
            4..=6 => (sickness(chance), chance.between(200, 8_000)),
            7 => (Behaviour::CannotBeAsked, chance.between(1_000, 4 * MINUTE)),
            8 => (Behaviour::Panics, chance.between(1_000, 5 * MINUTE)),
            9 => (Behaviour::Answers(204), chance.between(1_000, MINUTE)),
            _ => {
                // Flapping: for a while it is well and sick in turn, faster than anybody can tell.
                let until = at + chance.between(MINUTE / 2, 6 * MINUTE);
                while at < until {
                    add(at, sickness(chance));
                    at += chance.between(500, 20_000);
                    add(at, Behaviour::Answers(200));
                    at += chance.between(500, 20_000);
                }
                continue;
            }
        };
        add(at, behaviour);
        at += lasts;
        if chance.percent(80) {
            add(at, Behaviour::Answers(200));
            at += chance.between(1_000, 2 * calm);
        }
    }
    all
}

pub(crate) fn api(n: usize, chance: &mut Chance) -> ApiConfig {
    let mut api = api_health_actors::testkit::api(&format!("api-{n:02}"), 60);
    // Two seldom ones for each that is often due.
    let often = chance.percent(8);
    let spec = loop {
        let spec = chance.pick(&schedules::ALL);
        if often == (spec.longest_gap_ms() < 60_000) {
            break spec;
        }
    };
    api.schedule = spec.schedule();
    api.failure_threshold = u32::try_from(*chance.pick(&[1, 2, 2, 2, 3, 4])).unwrap_or(2);
    api.success_threshold = u32::try_from(*chance.pick(&[1, 2, 2, 3])).unwrap_or(2);
    api.recheck = Duration::from_secs(*chance.pick(&[2, 5, 5, 5, 20, 90]));
    api.timeout = Duration::from_secs(*chance.pick(&[1, 3, 10, 30]));
    api
}

pub(crate) fn sickness(chance: &mut Chance) -> Behaviour {
    *chance.pick(&[
        Behaviour::Refuses,
        Behaviour::Refuses,
        Behaviour::Hangs,
        Behaviour::Answers(500),
        Behaviour::Answers(503),
        Behaviour::Answers(404),
    ])
}
