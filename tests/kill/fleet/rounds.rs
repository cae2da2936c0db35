//! The rounds: in each, something is done to one worker or to all, while APIs go down and come back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use super::line::Break;
use super::oracle::{self, What};
use super::tables::Tables;
use super::workers::{LEASE_SECONDS, WORKERS, Workers, now};
use crate::alerts::settings_for;
use crate::daemon::let_pass;
use crate::support::chance::Chance;
use crate::support::http_proxy::{Fault, HttpProxy};
use crate::world::{ApiPlan, World};

/// How many APIs are watched.
const APIS: usize = 60;

/// Of a hundred APIs that may change, so many do in each step.
const FLIPS_PERCENT: u64 = 1;

/// One step of a round.
const STEP: Duration = Duration::from_millis(250);

/// After a round all is well again within this.
const WELL: Duration = Duration::from_secs(120);

/// A change is in the store within this while anybody reaches it: several times what a takeover and two probes take. Whoever
/// holds an API and does not watch it is found by this.
const NOTICED: Duration = Duration::from_secs(60);

/// Longer than what is not stored may wait for being told.
const LONG: Duration = Duration::from_secs(37);

/// What is done in a round.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// kill -9, and a start after so long.
    Kill(Duration),
    /// SIGTERM, and a start after so long.
    Stop(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Freeze(Duration),
    /// One line is broken for so long.
    CutOne(Break, Duration),
    /// All lines are.
    CutAll(Break, Duration),
}

/// A run.
pub(crate) struct Rounds {
    seed: u64,
    chance: Chance,
    world: World,
    tables: Tables,
    workers: Workers,
    /// The way to the webhook, which takes a while at times.
    webhook: HttpProxy,
    all_are_cut: bool,
}

impl Rounds {
    pub(crate) fn new(seed: u64, tables: impl FnOnce(&[ApiPlan], &dyn Fn(&ApiPlan) -> String) -> Tables) -> Self {
        eprintln!("API_HEALTH_KILL_SEED={seed}");
        let mut chance = Chance::new(seed);
        let plan = |n: usize| {
            let id: &'static str = format!("api-{n}").leak(); // as long as the test runs
            ApiPlan::flapping(id, if n.is_multiple_of(6) { 1 } else { 2 })
        };
        let plans: Vec<ApiPlan> = (0..APIS).map(plan).collect();
        let world = World::new(&mut chance, &plans);
        let tables = tables(&plans, &|api| world.target.url(&api.path()));
        let webhook = HttpProxy::to(world.webhook.server.port);
        let workers = Workers::new(&tables, &settings_for(&webhook.url("/hook"), 5));
        Self { seed, chance, world, tables, workers, webhook, all_are_cut: false }
    }

    /// So many rounds; then everything settles, and is judged.
    #[allow(clippy::disallowed_methods, reason = "told, and nothing hangs on it")]
    pub(crate) fn run(mut self, rounds: usize) {
        let began = Instant::now();
        for at in 0..WORKERS {
            self.workers.start(at);
        }
        self.until("each worker owns its share", |rounds| rounds.is_whole());
        let mut deeds = Vec::new();
        for round in 1..=rounds {
            if deeds.is_empty() {
                deeds = self.deeds();
            }
            let deed = deeds.pop().expect("there are some");
            eprintln!("{:.0?}: round {round}: {deed:?}", began.elapsed());
            self.webhook.strike(Fault::Delay(self.chance.millis(400)));
            let pause = self.chance.millis(2_000);
            self.go_on(pause);
            self.carry_out(deed);
            self.until("each worker owns its share again", |rounds| rounds.is_whole());
        }
        let lived = began.elapsed();
        self.until_quiet("everything is noticed and told", |rounds| rounds.world.is_settled());
        let_pass(Duration::from_secs(3));
        for at in 0..WORKERS {
            self.workers.stop(at);
        }
        self.look();
        let figures = self.judge();
        eprintln!("{rounds} rounds in {lived:.0?}, settled after {:.0?}: {figures:?}", began.elapsed() - lived);
        // Deeds so soon that nothing ever happens between them would prove nothing.
        assert!(figures.alerts >= 5 * rounds, "too little happened: {figures:?} in {rounds} rounds");
    }

    /// One of each kind, in any order, the first last.
    fn deeds(&mut self) -> Vec<Deed> {
        let chance = &mut self.chance;
        let longer_than_the_lease = |chance: &mut Chance| Duration::from_secs(LEASE_SECONDS + 3) + chance.millis(3_000);
        let mut how = || *chance.pick(&[Break::Refused, Break::Silent]);
        let (short, long, all) = (how(), how(), how());
        let mut left = vec![
            Deed::Kill(chance.millis(10_000)),
            Deed::Stop(chance.millis(4_000)),
            Deed::Freeze(longer_than_the_lease(chance)),
            Deed::CutOne(short, longer_than_the_lease(chance)),
            Deed::CutOne(long, LONG),
            Deed::CutAll(all, LONG),
        ];
        let mut deeds = Vec::new();
        while !left.is_empty() {
            deeds.push(left.swap_remove(usize::try_from(chance.below(left.len() as u64)).unwrap()));
        }
        deeds
    }

    fn carry_out(&mut self, deed: Deed) {
        let at = usize::try_from(self.chance.below(WORKERS as u64)).unwrap();
        let from = now();
        match deed {
            Deed::Kill(pause) => {
                self.workers.kill(at);
                self.go_on(pause);
                self.workers.start(at);
                self.until("each API is probed again", |rounds| rounds.world.first_probes_since(from).is_some());
                self.say_when_probed(&format!("after a kill, with a start {pause:.1?} later"), from);
            }
            Deed::Stop(pause) => {
                self.workers.stop(at);
                self.go_on(pause);
                self.workers.start(at);
            }
            Deed::Freeze(span) => {
                self.workers.signal(at, Signal::STOP);
                self.go_on(span);
                self.workers.note(at, What::Frozen, from);
                self.workers.signal(at, Signal::CONT);
            }
            Deed::CutOne(how, span) => {
                self.workers.workers[at].line.cut(how);
                self.go_on(span);
                self.workers.workers[at].line.mend();
                self.workers.note(at, What::CutAlone, from);
            }
            Deed::CutAll(how, span) => {
                self.all_are_cut = true;
                self.workers.workers.iter().for_each(|worker| worker.line.cut(how));
                self.go_on(span);
                self.workers.workers.iter().for_each(|worker| worker.line.mend());
                (0..WORKERS).for_each(|at| self.workers.note(at, What::AllCut, from));
                self.all_are_cut = false;
                // Whoever is struck again before it has stored what it told is for others to take back: that is no longer a
                // store that was gone for all.
                self.until_quiet("what was told without the store is stored", |rounds| rounds.world.is_settled());
            }
        }
    }

    /// Not asserted: the machine may be busy.
    fn say_when_probed(&self, what: &str, since: SystemTime) {
        let Some(mut waits) = self.world.first_probes_since(since) else { return };
        waits.sort_unstable();
        let (min, median, max) = (waits[0], waits[waits.len() / 2], waits[waits.len() - 1]);
        eprintln!(
            "    {what}: next probe of each API within {min:.1?} / {median:.1?} / {max:.1?} (min / median / max)"
        );
    }

    /// Life goes on for so long.
    #[allow(clippy::disallowed_methods, reason = "real time, in which real processes run")]
    fn go_on(&mut self, span: Duration) {
        let began = Instant::now();
        while began.elapsed() < span {
            self.flap();
            self.look();
            std::thread::sleep(STEP.min(span.saturating_sub(began.elapsed())));
        }
    }

    /// Life goes on until all is well.
    fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        self.wait(what, true, is);
    }

    /// The same while no API changes.
    fn until_quiet(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        self.wait(what, false, is);
    }

    #[allow(clippy::disallowed_methods, reason = "real time, in which real processes run")]
    fn wait(&mut self, what: &str, flaps: bool, is: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is(self) {
            if flaps {
                self.flap();
            }
            self.look();
            let seed = self.seed;
            assert!(
                began.elapsed() < WELL,
                "API_HEALTH_KILL_SEED={seed}: not within {WELL:?}: {what}\n{}",
                self.story("")
            );
            std::thread::sleep(STEP);
        }
    }

    fn flap(&mut self) {
        for at in self.world.ready() {
            if self.chance.percent(FLIPS_PERCENT) {
                self.world.flip(at, &mut self.chance);
            } else if self.chance.percent(FLIPS_PERCENT) {
                self.world.blink(at, &mut self.chance);
            }
        }
    }

    fn look(&mut self) {
        self.world.examine(&self.tables.records());
        self.world.listen();
        let back_since = self.workers.troubles.iter().filter(|t| t.what == What::AllCut).map(|t| t.until).max();
        let since = back_since.unwrap_or(SystemTime::UNIX_EPOCH);
        if !self.all_are_cut
            && let Some(api_id) = self.world.unnoticed_for(NOTICED, since)
        {
            panic!("API_HEALTH_KILL_SEED={}: {api_id} is not noticed\n{}", self.seed, self.story(api_id));
        }
    }

    fn is_whole(&self) -> bool {
        let owners = self.tables.owners().unwrap_or_default();
        let workers: BTreeSet<_> = owners.keys().map(|session| &session.worker).collect();
        workers.len() == WORKERS && owners.values().all(|shards| (21..=22).contains(shards))
    }

    fn judge(&self) -> oracle::Figures {
        oracle::check(&self.world.truth(), self.world.heard(), &self.workers.troubles).unwrap_or_else(|why| {
            let api_id = why.split(':').next().unwrap_or_default();
            panic!("API_HEALTH_KILL_SEED={}: {why}\n{}", self.seed, self.story(api_id));
        })
    }

    fn story(&self, api_id: &str) -> String {
        format!("{}\n{}", self.world.story_of(api_id), self.workers.story(api_id))
    }
}
