//! What history says in the end, against what really happened: worlds of outages, maintenance, faults of our own, kills, hours off and a
//! history that fails. Each stretch between two moments at which anything changed is looked at by itself, and the sums are equal.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use api_health_actors::ports::Clock as _;
use api_health_actors::system::Options;
use api_health_actors::testkit::history::HistoryFault;
use api_health_actors::testkit::stage::{Chance, Event};
use api_health_actors::testkit::target::Behaviour;
use api_health_actors::testkit::{FakeWorld, MemoryHistory, VirtualClock, api};
use api_health_core::history::series::UNWRITTEN_MAX;
use api_health_core::history::uptime::Times;
use api_health_core::history::{Past, UtcDay};
use api_health_core::maintenance::{Maintenance, Selection, Window};
use api_health_core::{ApiConfig, Status, Timestamp, Verdict};

use crate::{determinism, number, world};

/// Worlds that CI plays.
const SEEDS: u64 = 12;

const APIS: [&str; 2] = ["shop", "bank"];

#[derive(Clone, Debug)]
enum Do {
    Behave(usize, Behaviour),
    /// This machine can ask nobody, or can again.
    OwnFault(bool),
    /// A person opens a window, or closes it.
    Window(usize, Option<Duration>),
    History(HistoryFault),
    /// kill -9, or a stop in order, and how long nothing runs after it.
    End {
        is_killed: bool,
        off: Duration,
    },
}

/// What is known of the end of one life.
struct Death {
    at: Timestamp,
    /// Until when each API was watched as far as anybody can know, and until when that is in history.
    known: Vec<Option<(Timestamp, Timestamp)>>,
}

struct Play {
    /// When the first life begins, in the time of the world.
    begins_after: Duration,
    world: FakeWorld,
    history: MemoryHistory,
    script: Vec<(Duration, Do)>,
    next: usize,
    deaths: Vec<Death>,
    /// Windows that were open, of each API.
    windows: Vec<Vec<Range<Timestamp>>>,
}

fn script(chance: &mut Chance, length: u64, begins: Duration) -> Vec<(Duration, Do)> {
    let mut all = Vec::new();
    let mut put = |chance: &mut Chance, longest: u64, begin: Do, end: Do| {
        let from = chance.millis(30_000, length * 1_000);
        all.push((from, begin));
        all.push((from + chance.millis(1_000, longest * 1_000), end));
    };
    for _ in 0..chance.between(4, 16) {
        let n = chance.below(2) as usize;
        match chance.below(6) {
            0..=2 => put(chance, 2_400, Do::Behave(n, Behaviour::Refuses), Do::Behave(n, Behaviour::Answers(200))),
            3 => put(chance, 1_800, Do::OwnFault(true), Do::OwnFault(false)),
            4 => {
                let lasts = chance.millis(60_000, 7_200_000);
                put(chance, 5_400, Do::Window(n, Some(lasts)), Do::Window(n, None));
            }
            _ => {
                let fault = *chance.pick(&[HistoryFault::Unavailable, HistoryFault::Hangs, HistoryFault::AnswerLost]);
                put(chance, 5_400, Do::History(fault), Do::History(HistoryFault::None));
            }
        }
    }
    for _ in 0..chance.below(5) {
        let is_killed = chance.percent(60);
        let off = if chance.percent(40) { chance.millis(600_000, 18_000_000) } else { chance.millis(1, 20_000) };
        all.push((chance.millis(120_000, length * 1_000), Do::End { is_killed, off }));
    }
    all.sort_by_key(|(at, _)| *at);
    let end = Duration::from_secs(length + 5_500);
    all.retain(|(at, _)| *at < end);
    // In the end all is well for a while, and it is stopped in order.
    for n in 0..APIS.len() {
        all.push((end, Do::Behave(n, Behaviour::Answers(200))));
    }
    all.push((end, Do::OwnFault(false)));
    all.push((end, Do::History(HistoryFault::None)));
    all.push((end, Do::End { is_killed: false, off: Duration::ZERO }));
    all.into_iter().map(|(at, what)| (begins + at, what)).collect()
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let length = chance.between(2, 9) * 3_600;
        // In the evening, so that most go on over midnight, into the second of a month.
        let begins_after = chance.millis(40 * 3_600_000, 47 * 3_600_000);
        let clock = VirtualClock::suspended();
        let begins = clock.now().plus(begins_after);
        let once = |chance: &mut Chance| {
            let from = begins.plus(chance.millis(0, length * 1_000));
            from..from.plus(chance.millis(1_000, 5_000_000))
        };
        let windows: Vec<Vec<Range<Timestamp>>> =
            APIS.iter().map(|_| (0..chance.below(2)).map(|_| once(&mut chance)).collect()).collect();
        let rows = APIS.iter().zip(&windows).map(|(name, windows)| {
            let mut api: ApiConfig = api(name, *chance.pick(&[20, 60, 120]));
            let windows = windows.iter().map(|window| Window::Once { from: window.start, until: window.end });
            std::sync::Arc::make_mut(&mut api.alerting).maintenance = windows.collect();
            api
        });
        let rows: Vec<ApiConfig> = rows.collect();
        let history = MemoryHistory::default();
        let world = FakeWorld { history: Some(history.clone()), ..FakeWorld::seeded(rows, clock, !seed) };
        world.targets.set_latency(300);
        let script = script(&mut chance, length, begins_after);
        Self { begins_after, world, history, script, next: 0, deaths: Vec::new(), windows }
    }

    async fn live(&mut self, off: Duration) -> Option<Duration> {
        self.world.clock.resume(off);
        let running = self.world.start(Options { history_flush: Duration::from_secs(300), ..Options::default() }).await;
        let ended = loop {
            let (at, what) = self.script[self.next].clone();
            self.next += 1;
            tokio::time::sleep(at.saturating_sub(self.world.clock.elapsed())).await;
            match what {
                Do::Behave(n, behaviour) => self.world.targets.set(APIS[n], behaviour),
                Do::OwnFault(is_ours) => self.world.targets.set_line(is_ours.then_some(Behaviour::CannotBeAsked)),
                Do::History(fault) => self.history.set_fault(fault),
                Do::Window(n, lasts) => {
                    let now = self.world.clock.now();
                    let of = Selection { api_ids: vec![APIS[n].into()], ..Selection::default() };
                    let window =
                        lasts.map(|lasts| Maintenance { since: now, until: now.plus(lasts), note: String::new() });
                    // It takes the place of one that is open.
                    let by_hand = self.world.store.record(APIS[n]).and_then(|record| record.maintenance);
                    let open = self.windows[n]
                        .iter_mut()
                        .find(|open| by_hand.as_ref().is_some_and(|hand| hand.since == open.start));
                    if let Some(open) = open {
                        open.end = open.end.min(now);
                    }
                    self.windows[n].extend(window.iter().map(|window| window.since..window.until));
                    running.set_maintenance(of, window).await;
                }
                Do::End { is_killed, off } => break (is_killed, off),
            }
        };
        let (is_killed, off) = ended;
        if self.next == self.script.len() {
            tokio::time::sleep(Duration::from_secs(1_200)).await;
        }
        // What a probe found a moment ago is on its way: this is not about that.
        let last = |name: &&str| self.world.targets.probed(name).last().copied();
        while APIS.iter().filter_map(last).any(|at| self.world.clock.now().since(at) < Duration::from_secs(3)) {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let at = self.world.clock.now();
        if is_killed {
            running.crash();
        } else {
            running.stop(Duration::from_secs(10)).await;
        }
        let known = APIS.iter().map(|name| self.known(name)).collect();
        self.deaths.push(Death { at, known });
        self.world.clock.suspend();
        (self.next < self.script.len()).then_some(off)
    }

    /// Until when an API was watched as its record and the heartbeat say, and until when history does.
    fn known(&self, name: &str) -> Option<(Timestamp, Timestamp)> {
        let stored = Past::of(&self.history.of(name)).reach()?.end;
        let record = self.world.store.record(name)?;
        let heartbeat =
            self.world.store.heartbeat().map(|heartbeat| heartbeat.at).filter(|_| record.status != Status::Unknown);
        let alive = record.last_probe?.at.max(heartbeat.unwrap_or_default());
        let is_bridged = alive.since(stored) <= UNWRITTEN_MAX;
        Some((if is_bridged { alive.max(stored) } else { stored }, stored))
    }
}

/// What really happened to one API.
#[derive(Default)]
struct Truth {
    outcomes: Vec<(Timestamp, Verdict)>,
    down: Vec<Range<Timestamp>>,
    alive: Vec<Range<Timestamp>>,
    unsure: Vec<Range<Timestamp>>,
    windows: Vec<Range<Timestamp>>,
}

impl Truth {
    fn of(play: &Play, n: usize, outcomes: Vec<(Timestamp, Verdict)>) -> Self {
        let mut truth = Self { outcomes, ..Self::default() };
        truth.note_outages();
        let mut began = Timestamp::default();
        for (number, death) in play.deaths.iter().enumerate() {
            let is_of_life = |(at, _): &&(Timestamp, Verdict)| (began..death.at).contains(at);
            let of_life: Vec<_> = truth.outcomes.iter().filter(is_of_life).copied().collect();
            began = death.at;
            let Some((until, stored)) = death.known[n] else { continue };
            // Of time that nobody wrote down it is known that somebody watched, and no more; once somebody can write again.
            let next = play.deaths.get(number + 1).and_then(|next| next.known[n]);
            if next.is_none_or(|(_, later)| later != stored) {
                truth.alive.push(stored..until);
            }
            let Some((first, _)) = of_life.first().filter(|(first, _)| *first < stored) else { continue };
            truth.alive.push(*first..stored);
            let within = |range: Range<Timestamp>| range.start.max(*first)..range.end.min(stored);
            let mut unsure_since = None;
            for (at, verdict) in &of_life {
                match (verdict, unsure_since) {
                    (Verdict::Inconclusive, None) => unsure_since = Some(*at),
                    (Verdict::Pass | Verdict::Fail, Some(since)) => {
                        truth.unsure.push(within(since..*at));
                        unsure_since = None;
                    }
                    _ => {}
                }
            }
            truth.unsure.extend(unsure_since.map(|since| within(since..until)));
            truth.windows.extend(play.windows[n].iter().cloned().map(within));
        }
        truth
    }

    /// Two fails in a row are an outage, from the first of them, and two passes its end.
    fn note_outages(&mut self) {
        let (mut down_since, mut against): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        for (at, verdict) in self.outcomes.iter().filter(|(_, verdict)| *verdict != Verdict::Inconclusive) {
            let speaks_against = (*verdict == Verdict::Fail) == down_since.is_none();
            against = match (speaks_against, against, down_since) {
                (false, ..) => None,
                (true, None, _) => Some(*at),
                (true, Some(first), None) => {
                    down_since = Some(first);
                    None
                }
                (true, Some(first), Some(since)) => {
                    self.down.push(since..first);
                    down_since = None;
                    None
                }
            };
        }
        assert_eq!(down_since, None, "all is well in the end");
    }

    fn times(&self, window: &Range<Timestamp>) -> Times {
        let all = [&self.down, &self.alive, &self.unsure, &self.windows];
        let mut edges: Vec<Timestamp> =
            all.iter().flat_map(|ranges| ranges.iter().flat_map(|range| [range.start, range.end])).collect();
        edges.extend([window.start, window.end]);
        edges.retain(|edge| (window.start..=window.end).contains(edge));
        edges.sort_unstable();
        let mut times = Times::default();
        for pair in edges.windows(2) {
            let ms = u64::try_from(pair[1].since(pair[0]).as_millis()).unwrap();
            let is_in = |ranges: &[Range<Timestamp>]| ranges.iter().any(|range| range.contains(&pair[0]));
            times.window_ms += ms;
            match () {
                () if !is_in(&self.alive) => {}
                () if is_in(&self.windows) => times.maintenance_ms += ms,
                () if is_in(&self.unsure) => times.inconclusive_ms += ms,
                () => {
                    times.watched_ms += ms;
                    times.down_ms += if is_in(&self.down) { ms } else { 0 };
                }
            }
        }
        times
    }
}

/// What is wrong with what history says, and of which API; or how much time was looked at.
fn check(play: &Play) -> Result<u64, (String, &'static str, String)> {
    let mut asked = BTreeMap::new();
    let mut outcomes: BTreeMap<String, Vec<(Timestamp, Verdict)>> = BTreeMap::new();
    for entry in play.world.stage.take_journal() {
        match entry.event {
            Event::ProbeBegan { probe, api } => drop(asked.insert(probe, api.api_id.to_string())),
            Event::ProbeEnded { probe, behaviour, started_at, .. } => {
                let verdict = match behaviour {
                    Behaviour::Answers(_) => Verdict::Pass,
                    Behaviour::Refuses => Verdict::Fail,
                    _ => Verdict::Inconclusive,
                };
                outcomes.entry(asked[&probe].clone()).or_default().push((started_at, verdict));
            }
            _ => {}
        }
    }
    let mut looked_at = 0;
    for (n, name) in APIS.iter().enumerate() {
        let truth = Truth::of(play, n, outcomes.remove(*name).unwrap_or_default());
        let past = Past::of(&play.history.of(name));
        let wrong = |check, what: String| Err(((*name).to_owned(), check, what));
        let told: Vec<_> = past.stories.iter().map(|story| story.began_at..story.ended_at).collect();
        if told != truth.down {
            return wrong("incidents in history", format!("{told:?} instead of {:?}", truth.down));
        }
        let (Some(first), Some(last)) = (truth.alive.first(), truth.alive.last()) else { continue };
        let whole = UtcDay::of(first.start).starts_at()..last.end;
        let hours = (0..40).map(|hour| {
            let from = whole.start.plus(Duration::from_secs(hour * 3_600));
            from..from.plus(Duration::from_secs(3_600))
        });
        for window in hours.chain([whole.clone()]) {
            let (is, ought) = (past.times(&window), truth.times(&window));
            if is != ought {
                return wrong("uptime is what happened", format!("{window:?}: {is:?} instead of {ought:?}"));
            }
            let share = ought.uptime().map(|_| (ought.watched_ms - ought.down_ms) * 1_000_000 / ought.watched_ms);
            if is.uptime().map(|share| u64::from(share.millionths())) != share {
                return wrong("uptime is rounded down", format!("{:?} instead of {share:?}", is.uptime()));
            }
        }
        looked_at += truth.times(&whole).watched_ms;
    }
    Ok(looked_at)
}

#[test]
fn every_seed_of_history_says_what_happened() {
    world::hear_panics();
    let first = number("API_HEALTH_SIM_FIRST").unwrap_or(1);
    let only = number("API_HEALTH_SIM_SEED");
    let seeds =
        only.map_or(first..first + number("API_HEALTH_SIM_SEEDS").unwrap_or(SEEDS).min(400), |seed| seed..seed + 1);
    let (mut looked_at, mut lives, mut outages) = (0, 0, 0);
    for seed in seeds {
        let played = determinism::with_seed(seed, move || {
            let play = || {
                let mut play = Play::new(seed);
                let mut off = Some(play.begins_after);
                while let Some(span) = off {
                    off = world::in_a_life(play.live(span));
                }
                let stories = APIS.iter().map(|name| Past::of(&play.history.of(name)).stories.len()).sum::<usize>();
                (check(&play), play.deaths.len(), stories)
            };
            world::take_panics();
            let played = std::panic::catch_unwind(play).ok();
            played.ok_or_else(|| format!("{:?}", world::take_panics()))
        });
        let (checked, deaths, down) =
            played.unwrap_or_else(|panics| panic!("seed {seed}, 0.000 s, : [nothing panics] {panics}"));
        match checked {
            Ok(ms) => looked_at += ms,
            Err((name, check, what)) => panic!("seed {seed}, 0.000 s, {name}: [{check}] {what}"),
        }
        (lives, outages) = (lives + deaths, outages + down);
    }
    println!("{lives} lives, {outages} outages, {} API-hours", looked_at / 3_600_000);
    assert!(
        only.is_some() || (lives > 20 && outages > 15 && looked_at > 60 * 3_600_000),
        "{lives} {outages} {looked_at}"
    );
}
