//! The lives of a daemon: each begins with a start and ends with kill -9, at a random moment or just after something
//! happened that makes it interesting.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::alerts::Receiver;
use crate::daemon::{Daemon, Ended, let_pass, wait_for};
use crate::oracle::{self, Figures, Heard};
use crate::store::Place;
use crate::support::chance::Chance;
use crate::support::http::Server;
use crate::world::{APIS, ApiPlan, World};

/// After the last kill everything is told within this: retries are at most a minute apart.
const SETTLED: Duration = Duration::from_secs(180);

/// The longest life that ends by a kill, in milliseconds.
const LIFE_MAX: u64 = 1_500;

/// The longest that one write takes, in milliseconds.
const STORE_MAX: u64 = 700;

/// Words of the log that mean that a record was damaged.
const DAMAGE: [&str; 3] = ["a stored state", "the stored record", "set aside"];

/// When a life ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// So long after the start.
    After(Duration),
    /// So long after the next probe of an API that has just changed.
    AfterProbe(usize, Duration),
    /// So long after the webhook got something.
    AfterAlert(Duration),
    /// It is asked to stop, and killed so long after that.
    WhileStopping(Duration, Duration),
}

/// Something that happens in a life.
#[derive(Clone, Copy, Debug)]
enum Event {
    Flip(usize),
    Blink(usize),
    Channel,
    /// Writes take so long from now on, or for once.
    Store(Duration),
}

/// The one who kills.
pub(crate) struct Killer<P> {
    seed: u64,
    chance: Chance,
    world: World,
    place: P,
    /// What the store owed when each life had ended.
    owed_at_death: Vec<BTreeSet<String>>,
    kills: usize,
}

impl<P: Place> Killer<P> {
    pub(crate) fn new(seed: u64, place: impl FnOnce(&Server, &Receiver, &[ApiPlan]) -> P) -> Self {
        eprintln!("API_HEALTH_KILL_SEED={seed}");
        let mut chance = Chance::new(seed);
        let world = World::new(&mut chance, &APIS);
        let place = place(&world.target, &world.webhook, &APIS);
        Self { seed, chance, world, place, owed_at_death: Vec::new(), kills: 0 }
    }

    /// So many kills; then everything settles, and is judged.
    #[allow(clippy::disallowed_methods, reason = "told, and nothing hangs on it")]
    pub(crate) fn run(mut self, kills: usize) {
        let began = Instant::now();
        while self.kills < kills {
            self.live_and_die();
        }
        let lived = began.elapsed();
        self.calm_down();
        let settled = began.elapsed() - lived;
        self.rest();
        let figures = self.judge(self.world.heard());
        if let Some(heard) = self.place.taken_elsewhere() {
            eprintln!("the other channel: {:?}", self.judge(&heard));
        }
        let lives = self.owed_at_death.len();
        eprintln!("{} kills, {lives} lives in {lived:.0?}, settled after {settled:.0?}: {figures:?}", self.kills);
        // Kills so soon that nothing ever happens between them would prove nothing.
        assert!(figures.alerts >= kills / 4, "too little happened: {figures:?} in {kills} kills");
        self.place.check_whole();
    }

    fn judge(&self, heard: &[Heard]) -> Figures {
        oracle::check(&self.world.truth(), heard, &self.owed_at_death).unwrap_or_else(|why| {
            panic!("API_HEALTH_KILL_SEED={}: {why}\n{}", self.seed, self.world.story());
        })
    }

    fn start(&self) -> Daemon {
        let life = format!("life-{}", self.owed_at_death.len());
        self.place.home().start_with(&["run"], &[("APP_ENVIRONMENT", &life)])
    }

    #[allow(clippy::disallowed_methods, reason = "real time, by which a real process is killed")]
    fn live_and_die(&mut self) {
        // Some APIs change while nobody looks.
        for at in self.world.ready() {
            if self.chance.percent(20) {
                self.world.flip(at, &mut self.chance);
            }
        }
        let mut events = self.events();
        let end = self.end(&events);
        let (daemon, began) = (self.start(), Instant::now());
        let mut moment = None;
        let (mut alerts, mut probes) = (self.world.webhook.server.hits("/hook"), None);
        let mut stopping = false;
        loop {
            let age = began.elapsed();
            while let Some((at, event)) = events.last().copied()
                && at <= age
            {
                events.pop();
                self.happen(event);
                if let (Event::Flip(changed), End::AfterProbe(wanted, _)) = (event, end)
                    && changed == wanted
                {
                    probes = Some(self.world.hits(changed));
                }
                if matches!(event, Event::Flip(_)) {
                    alerts = self.world.webhook.server.hits("/hook");
                }
            }
            if moment.is_none() {
                moment = match end {
                    End::After(span) => Some(span),
                    End::WhileStopping(span, and_then) if age >= span => {
                        daemon.signal(Signal::TERM);
                        stopping = true;
                        Some(age + and_then)
                    }
                    End::AfterProbe(at, span) if probes.is_some_and(|before| self.world.hits(at) > before) => {
                        Some(age + span)
                    }
                    End::AfterAlert(span) if self.world.webhook.server.hits("/hook") > alerts => Some(age + span),
                    _ => None,
                };
            }
            if age >= moment.unwrap_or(Duration::from_millis(LIFE_MAX * 3 / 2)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let ended = daemon.kill();
        for (_, event) in events {
            if !matches!(event, Event::Blink(_) | Event::Store(_)) {
                self.happen(event);
            }
        }
        match ended.code {
            None => self.kills += 1,
            code => assert!(stopping && code == Some(0), "{code:?}: {}", ended.log),
        }
        self.bury(&ended);
    }

    /// What happens in the next life, the first last.
    fn events(&mut self) -> Vec<(Duration, Event)> {
        let mut events = Vec::new();
        for at in self.world.ready() {
            if self.chance.percent(40) {
                events.push((self.chance.millis(LIFE_MAX), Event::Flip(at)));
            }
        }
        for at in 0..self.world.apis() {
            if self.chance.percent(15) {
                events.push((self.chance.millis(LIFE_MAX), Event::Blink(at)));
            }
        }
        if self.chance.percent(40) {
            events.push((self.chance.millis(LIFE_MAX), Event::Channel));
        }
        if self.chance.percent(40) {
            let span = if self.chance.percent(30) { Duration::ZERO } else { self.chance.millis(STORE_MAX) };
            events.push((self.chance.millis(LIFE_MAX), Event::Store(span)));
        }
        events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        events
    }

    fn end(&mut self, events: &[(Duration, Event)]) -> End {
        let flipped = events.iter().rev().find_map(|(_, event)| match event {
            Event::Flip(at) => Some(*at),
            _ => None,
        });
        match (self.chance.below(100), flipped) {
            (0..35, _) => End::After(self.chance.millis(LIFE_MAX)),
            (35..45, _) => End::After(self.chance.millis(200)),
            (45..55, _) => End::WhileStopping(self.chance.millis(LIFE_MAX), self.chance.millis(30)),
            (55..75, Some(at)) => End::AfterProbe(at, self.chance.millis(60)),
            _ => End::AfterAlert(self.chance.millis(20)),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Flip(at) => self.world.flip(at, &mut self.chance),
            Event::Blink(at) => self.world.blink(at, &mut self.chance),
            Event::Store(span) => self.place.slow_down(span),
            Event::Channel => self.world.change_channel(&mut self.chance),
        }
    }

    /// Looks at what a dead daemon leaves.
    fn bury(&mut self, ended: &Ended) {
        let mut unsound: Vec<&str> = DAMAGE.into();
        if !self.place.writes_outlive_the_writer() {
            unsound.push("somebody else wrote this record");
        }
        for word in unsound {
            assert!(!ended.log.contains(word), "API_HEALTH_KILL_SEED={}: {}", self.seed, ended.log);
        }
        self.look();
        self.world.listen();
        let records = self.place.records();
        self.owed_at_death.push(records.into_values().flat_map(|record| record.owed).collect());
    }

    fn look(&mut self) {
        let records = self.place.records();
        self.world.examine(&records);
    }

    /// Lets everything recover, and stops as one should.
    fn calm_down(&mut self) {
        self.world.mend_channel();
        self.place.slow_down(Duration::ZERO);
        let daemon = self.start();
        self.wait_for_probes();
        wait_for("everything is noticed and told", SETTLED, || {
            self.look();
            self.world.is_settled().then_some(())
        });
        let ended = daemon.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert!(ended.log.contains("everything is stored"), "{}", ended.log);
        self.bury(&ended);
    }

    /// One more life, in which nothing happens, and nothing is told.
    fn rest(&mut self) {
        let heard = self.world.heard().len();
        let daemon = self.start();
        self.wait_for_probes();
        let_pass(Duration::from_millis(500));
        let ended = daemon.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        self.bury(&ended);
        assert_eq!(self.world.heard().len(), heard, "told after all was told:\n{}", self.world.story());
    }

    fn wait_for_probes(&self) {
        let hits: Vec<usize> = (0..self.world.apis()).map(|at| self.world.hits(at)).collect();
        wait_for("three probes of each", SETTLED, || {
            (0..hits.len()).all(|at| self.world.hits(at) >= hits[at] + 3).then_some(())
        });
    }
}
