//! The steps of the model of [`sealing`](super::sealing): what either owner may do next, and what is wrong where nothing follows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api_health_core::own::fleet::{View, plan};
use api_health_core::own::records::{Assignment, Ownership};
use api_health_core::own::shards::ShardSet;

use super::sealing::Budget;
use super::{named, record, session};

/// A rule that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    Nothing,
    /// A new owner trusts what it read.
    NoSeal,
    /// A write is not conditional on the epoch.
    NoCondition,
    /// Whoever came second does not look at the epoch.
    NoLook,
    NoEpoch,
    /// A write is not conditional on the version.
    NoVersion,
    /// A shard is let go of while a write of it is under way.
    ReleasesTooSoon,
    /// A shard is taken from a session that lives.
    Steals,
    /// An alert is told as soon as it is decided.
    TellsUnstored,
    /// The first epoch after a release is 1.
    EpochBeginsAnew,
}

/// An alert: the version and the epoch at which it was decided, and whether it tells of an outage.
type Alert = (u8, u8, bool);

/// What a write says: down or up, and what is owed.
type Content = (bool, Vec<Alert>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Sent,
    Taken,
    Conflict,
}

/// One worker: out, or the owner at an epoch, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Owner {
    is_in: bool,
    has_loaded: bool,
    needs_no_seal: bool,
    epoch: u8,
    version: u8,
    knows: Content,
    is_unstored: bool,
    write: Option<(u8, Content, Stage)>,
    telling: Option<Alert>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    owner: Option<usize>,
    epoch: u8,
    /// The session of either worker lives.
    lives: [bool; 2],
    /// Version, epoch and content of the stored record.
    stored: (u8, u8, Content),
    told: BTreeMap<Alert, u8>,
    /// In the order in which they were told first.
    told_first: Vec<Alert>,
    ever_stored: BTreeSet<Alert>,
    is_down: bool,
    flips: u8,
    expiries: u8,
    deaths: u8,
    releases: u8,
    workers: [Owner; 2],
    /// Writes of those that are gone: epoch, expected version, content.
    ghosts: BTreeSet<(u8, u8, Content)>,
}

impl State {
    pub(super) fn new(budget: Budget) -> Self {
        Self {
            owner: None,
            epoch: 0,
            lives: [false; 2],
            stored: (1, 0, (false, vec![])),
            told: BTreeMap::new(),
            told_first: vec![],
            ever_stored: BTreeSet::new(),
            is_down: false,
            flips: budget.flips,
            expiries: budget.expiries,
            deaths: budget.deaths,
            releases: budget.releases,
            workers: [Owner::default(), Owner::default()],
            ghosts: BTreeSet::new(),
        }
    }

    /// A write arrives at the store: whether it is taken, and whether it should not have been.
    fn arrives(&mut self, planted: Planted, epoch: u8, expected: u8, content: &Content) -> (bool, bool) {
        let has_condition = !matches!(planted, Planted::NoCondition | Planted::NoEpoch);
        let (version, stored_epoch, _) = self.stored;
        if (planted != Planted::NoVersion && version != expected) || (has_condition && stored_epoch > epoch) {
            return (false, false);
        }
        self.stored = (version + 1, epoch, content.clone());
        self.ever_stored.extend(content.1.iter().copied());
        (true, stored_epoch > epoch)
    }

    /// It is out; what it sent may still arrive.
    fn drop_out(&mut self, who: usize) {
        let gone = std::mem::take(&mut self.workers[who]);
        if let Some((expected, content, Stage::Sent)) = gone.write {
            self.ghosts.insert((gone.epoch, expected, content));
        }
    }
}

pub(super) struct Step {
    pub(super) label: &'static str,
    pub(super) state: State,
    /// It need not happen.
    pub(super) is_trouble: bool,
    pub(super) wrong: Option<&'static str>,
}

/// What the plan says, by who owns the shard, whether that one lives, and who asks.
pub(super) type Plans = HashMap<(Option<usize>, bool, usize), bool>;

/// Whether the real plan has `who` take the shard.
fn takes(state: &State, who: usize, plans: &mut Plans) -> bool {
    let owner_lives = state.owner.is_some_and(|owner| state.lives[owner]);
    *plans.entry((state.owner, owner_lives, who)).or_insert_with(|| {
        let mut assignment = Assignment::none(1, 2);
        // A worker that takes begins a new session.
        let number = |worker: usize| if worker == who { 2 } else { 1 };
        let lived = |worker: usize| session(worker, 1);
        assignment.owners = vec![Ownership { owner: state.owner.map(lived), epoch: u64::from(state.epoch) }];
        assignment.workers = [named(0), named(1)].into();
        let there = |worker: &usize| *worker == who || (state.owner == Some(*worker) && owner_lives);
        let live = [0, 1].into_iter().filter(there).map(|worker| (named(worker), record(worker, number(worker))));
        let view = View { assignment: &assignment, live: &live.collect() };
        !plan(view, &session(who, number(who)), &ShardSet::new()).take.is_empty()
    })
}

fn take(state: &State, planted: Planted, who: usize) -> State {
    let mut next = state.clone();
    let needs_no_seal = state.owner.is_none() && state.epoch > 0;
    let begins_anew = planted == Planted::EpochBeginsAnew && needs_no_seal;
    next.epoch = if begins_anew { 1 } else { state.epoch + 1 };
    next.owner = Some(who);
    next.lives[who] = true;
    next.workers[who] = Owner { is_in: true, needs_no_seal, epoch: next.epoch, ..Owner::default() };
    next
}

/// All that may follow at once.
pub(super) fn steps(state: &State, planted: Planted, budget: Budget, plans: &mut Plans) -> Vec<Step> {
    let mut found = vec![];
    for who in 0..2 {
        worker_steps(state, planted, who, plans, &mut found);
    }
    for (epoch, expected, content) in &state.ghosts {
        let mut next = state.clone();
        next.ghosts.remove(&(*epoch, *expected, content.clone()));
        let (_, stale) = next.arrives(planted, *epoch, *expected, content);
        add(&mut found, "a write of the dead arrives", next, stale);
    }
    if state.flips > 0 {
        let next = State { flips: state.flips - 1, is_down: !state.is_down, ..state.clone() };
        found.push(Step { label: "the truth flips", state: next, is_trouble: true, wrong: None });
    }
    for step in &mut found {
        if step.state.epoch < state.epoch || (step.state.epoch == state.epoch && step.label == "takes") {
            step.wrong = Some("an epoch does not grow");
        }
    }
    debug_assert!(state.flips <= budget.flips);
    found
}

fn add(found: &mut Vec<Step>, label: &'static str, state: State, stale: bool) {
    let wrong = stale.then_some("a write of a former owner is taken");
    found.push(Step { label, state, is_trouble: false, wrong });
}

fn trouble(found: &mut Vec<Step>, label: &'static str, state: State) {
    found.push(Step { label, state, is_trouble: true, wrong: None });
}

fn worker_steps(state: &State, planted: Planted, who: usize, plans: &mut Plans, found: &mut Vec<Step>) {
    let me = &state.workers[who];
    let owns = state.owner == Some(who);
    if !me.is_in {
        // Its own former life is dead for certain: a new one needs not wait.
        let mut next = state.clone();
        let mut may_take = takes(state, who, plans);
        if owns && state.lives[who] {
            next.lives[who] = false;
            add(found, "ends a dead session", next, false);
            may_take = true;
        }
        if may_take {
            add(found, "takes", take(state, planted, who), false);
        } else if planted == Planted::Steals && state.expiries > 0 && !owns {
            let next = State { expiries: state.expiries - 1, ..take(state, planted, who) };
            // Nobody's session was ended, so nothing counts as trouble that excuses a repeat.
            trouble(found, "steals", State { expiries: state.expiries, ..next });
        }
        return;
    }
    let lost = !owns || state.epoch != me.epoch || !state.lives[who];
    let change = |label, change: &dyn Fn(&mut Owner), found: &mut Vec<Step>| {
        let mut next = state.clone();
        change(&mut next.workers[who]);
        add(found, label, next, false);
    };
    let drop_out = |label, found: &mut Vec<Step>| {
        let mut next = state.clone();
        next.drop_out(who);
        add(found, label, next, false);
    };
    if lost {
        drop_out("notices its loss", found);
    }
    if !me.has_loaded {
        let (version, _, content) = &state.stored;
        let needs_seal = planted != Planted::NoSeal && !me.needs_no_seal;
        let load = |me: &mut Owner| {
            (me.has_loaded, me.version, me.is_unstored) = (true, *version, needs_seal);
            me.knows = content.clone();
        };
        change("loads", &load, found);
        return;
    }
    let is_idle = me.write.is_none() && me.telling.is_none();
    if is_idle && state.is_down != me.knows.0 && me.knows.1.len() < 2 {
        let decide = |me: &mut Owner| {
            me.knows.0 = state.is_down;
            me.knows.1.push((me.version, me.epoch, state.is_down));
            me.is_unstored = true;
        };
        change("decides", &decide, found);
    }
    if me.is_unstored && me.write.is_none() {
        let send = |me: &mut Owner| {
            me.is_unstored = false;
            me.write = Some((me.version, me.knows.clone(), Stage::Sent));
        };
        change("sends", &send, found);
    }
    match &me.write {
        Some((expected, content, Stage::Sent)) => {
            let mut next = state.clone();
            let (taken, stale) = next.arrives(planted, me.epoch, *expected, content);
            let stage = if taken { Stage::Taken } else { Stage::Conflict };
            next.workers[who].write = Some((*expected, content.clone(), stage));
            add(found, "its write arrives", next, stale);
        }
        Some((expected, _, Stage::Taken)) => {
            let confirm = |me: &mut Owner| (me.version, me.write) = (expected + 1, None);
            change("hears of its write", &confirm, found);
        }
        Some((expected, content, Stage::Conflict)) => {
            let looks = !matches!(planted, Planted::NoLook | Planted::NoEpoch);
            let (version, epoch, stored) = &state.stored;
            if looks && *epoch > me.epoch {
                drop_out("meets a higher epoch", found);
            } else if (*version, *epoch, stored) == (expected + 1, me.epoch, content) {
                let own = |me: &mut Owner| (me.version, me.write) = (expected + 1, None);
                change("finds its own write", &own, found);
            } else {
                let adopt = |me: &mut Owner| {
                    (me.version, me.write, me.is_unstored) = (*version, None, true);
                    me.knows = stored.clone();
                };
                change("adopts", &adopt, found);
            }
        }
        None => {}
    }
    let may_send = planted == Planted::TellsUnstored || (!me.is_unstored && me.write.is_none());
    if let Some(alert) = me.knows.1.first().filter(|_| may_send && me.telling.is_none()) {
        change("will tell", &|me| me.telling = Some(*alert), found);
    }
    if let Some(alert) = me.telling {
        let mut next = state.clone();
        let times = next.told.entry(alert).or_default();
        *times = (*times + 1).min(3);
        if *times == 1 {
            next.told_first.push(alert);
        }
        let teller = &mut next.workers[who];
        teller.knows.1.retain(|owed| *owed != alert);
        (teller.telling, teller.is_unstored) = (None, true);
        add(found, "tells", next, false);
    }
    if state.deaths > 0 {
        let mut next = State { deaths: state.deaths - 1, ..state.clone() };
        next.drop_out(who);
        trouble(found, "dies", next);
    }
    if state.expiries > 0 && owns && state.lives[who] {
        let mut next = State { expiries: state.expiries - 1, ..state.clone() };
        next.lives[who] = false;
        trouble(found, "is fenced alive", next);
    }
    let is_settled = planted == Planted::ReleasesTooSoon || (!me.is_unstored && is_idle && me.knows.1.is_empty());
    if state.releases > 0 && !lost && is_settled {
        let mut next = State { releases: state.releases - 1, owner: None, ..state.clone() };
        next.drop_out(who);
        trouble(found, "lets go", next);
    }
}

/// What is wrong where nothing follows but trouble.
pub(super) fn wrong_at_rest(state: &State, budget: Budget) -> Option<&'static str> {
    let (_, _, (is_down, owed)) = &state.stored;
    let kinds: Vec<bool> = state.told_first.iter().map(|(_, _, kind)| *kind).collect();
    let had_no_trouble = (state.expiries, state.deaths) == (budget.expiries, budget.deaths);
    if state.ever_stored.iter().any(|alert| !state.told.contains_key(alert)) {
        Some("a stored alert is never told")
    } else if !owed.is_empty() {
        Some("an alert stays owed")
    } else if *is_down != state.is_down {
        Some("the stored status is not the truth")
    } else if kinds.windows(2).any(|pair| pair[0] == pair[1]) {
        Some("the same is told under two ids")
    } else if kinds.last().is_some_and(|last| *last != state.is_down) {
        Some("what was told last is not the truth")
    } else if had_no_trouble && state.told.values().any(|times| *times > 1) {
        Some("a repeat without a cause")
    } else {
        None
    }
}
