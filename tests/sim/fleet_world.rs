//! Runs the script of one seed with several workers, each a process of its own, in one virtual time.
//!
//! A process is a set of tasks that is polled as one: so it can be stopped in the middle of anything, as SIGSTOP does, while
//! its clocks go on; and when it is killed, all of it is dropped at once. It reaches the world by lines of its own, which fail
//! for it alone.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use api_health_actors::leases::Leases as _;
use api_health_actors::ports::Clock as _;
use api_health_actors::system::Options;
use api_health_actors::testkit::channel::ChannelFault;
use api_health_actors::testkit::leases::{LeaseLine, LineFault, MemoryLeases};
use api_health_actors::testkit::stage::Event;
use api_health_actors::testkit::store::StoreFault;
use api_health_actors::testkit::target::Behaviour;
use api_health_actors::testkit::{FakeChannel, FakeWorld, VirtualClock};
use api_health_core::ApiConfig;
use api_health_core::maintenance::{Maintenance, Selection};
use api_health_core::own::notices::{Ask, AskFor, Notice};
use api_health_core::own::records::LeaseRecord;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, LocalSet};

use crate::fleet_history::{FleetHistory, Process, Trouble, What};
use crate::fleet_process::{Pause, Tasks, lease_parts, live};
use crate::fleet_script::{Action, Cut, Deed, FleetScript};
use crate::world::take_panics;

/// A life that runs.
struct Running {
    number: usize,
    world: FakeWorld,
    leases: LeaseLine,
    pause: Rc<Pause>,
    tasks: JoinHandle<()>,
    leave: Rc<Notify>,
    how: Rc<Cell<Option<&'static str>>>,
}

struct Slot {
    running: Option<Running>,
    /// Cuts that are on, whichever life it is.
    cuts: BTreeSet<Cut>,
    /// After a leave it is started again after this.
    down: Duration,
    /// Wall clock.
    clock: VirtualClock,
    /// Lines with writes that are delayed.
    delayed: Vec<(FakeWorld, LeaseLine)>,
}

struct Fleet<'a> {
    script: &'a FleetScript,
    world: FakeWorld,
    leases: MemoryLeases,
    slots: Vec<Slot>,
    /// When workers are started again.
    starts: BTreeMap<(Duration, usize), ()>,
    ended: Rc<Notify>,
    store: StoreFault,
    history: FleetHistory,
    open: BTreeMap<(Option<usize>, What), Duration>,
}

/// Plays the script of a seed, in the present thread.
pub(crate) fn play(seed: u64, script: &FleetScript) -> FleetHistory {
    take_panics();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a current-thread runtime needs nothing but memory")
    };
    let mut history = actix_rt::System::with_tokio_rt(runtime).block_on(async { Fleet::new(seed, script).run().await });
    history.panics = take_panics();
    history
}

impl<'a> Fleet<'a> {
    fn new(seed: u64, script: &'a FleetScript) -> Self {
        let clock = VirtualClock::new();
        let rows: Vec<ApiConfig> = script.apis.iter().map(|api| (**api).clone()).collect();
        let mut world = FakeWorld::seeded(rows, clock.clone(), !seed);
        if script.channels == 2 {
            world.channels.push(FakeChannel::on("mail", world.stage.clone()));
        }
        world.store.set_latency(15);
        world.targets.set_latency(700);
        world.channels.iter().for_each(|channel| channel.set_latency(400));
        let slot = |worker: &crate::fleet_script::Worker| Slot {
            running: None,
            cuts: BTreeSet::new(),
            down: Duration::ZERO,
            clock: clock.beside(worker.ahead_ms, worker.gains_ppm),
            delayed: vec![],
        };
        let nobody =
            Process { worker: 0, began: Duration::ZERO, ended: Some((Duration::ZERO, "")), asked_to_leave: None };
        Self {
            script,
            slots: script.workers.iter().map(slot).collect(),
            world,
            leases: MemoryLeases::default(),
            starts: BTreeMap::new(),
            ended: Rc::default(),
            store: StoreFault::None,
            history: FleetHistory { journal: vec![], panics: vec![], processes: vec![nobody], troubles: vec![] },
            open: BTreeMap::new(),
        }
    }

    fn now(&self) -> Duration {
        self.world.clock.elapsed()
    }

    async fn run(mut self) -> FleetHistory {
        let mut actions = self.script.actions.iter().peekable();
        while let Some((at, _)) = actions.peek() {
            let next = self.starts.keys().next().map_or(*at, |(start, _)| *at.min(start));
            let ended = Rc::clone(&self.ended);
            tokio::select! {
                biased;
                () = ended.notified() => {}
                () = tokio::time::sleep(next.saturating_sub(self.now())) => {}
            }
            self.bury();
            while let Some(((_, worker), ())) = self.starts.first_key_value().filter(|((at, _), ())| *at <= self.now())
            {
                let worker = *worker;
                self.starts.pop_first();
                self.start(worker);
            }
            while let Some((_, action)) = actions.next_if(|(at, _)| *at <= self.now()) {
                self.act(action);
            }
        }
        for slot in 0..self.slots.len() {
            self.end(slot, "the script is over");
        }
        let now = self.now();
        let left = std::mem::take(&mut self.open);
        self.history.troubles.extend(left.into_iter().map(|((process, what), from)| Trouble {
            process,
            what,
            from,
            to: now,
        }));
        self.history.journal = self.world.stage.take_journal();
        self.history
    }

    /// Processes that ended by themselves.
    fn bury(&mut self) {
        for n in 0..self.slots.len() {
            if let Some(how) = self.slots[n].running.as_ref().and_then(|running| running.how.get()) {
                let down = if how == "stopped in order" { self.slots[n].down } else { Duration::from_secs(3) };
                self.end(n, how);
                self.starts.insert((self.now() + down, n), ());
            }
        }
    }

    fn begins(&mut self, process: Option<usize>, what: What) {
        let now = self.now();
        self.open.entry((process, what)).or_insert(now);
    }

    fn is_over(&mut self, process: Option<usize>, what: What) {
        let to = self.now();
        if let Some(from) = self.open.remove(&(process, what)) {
            self.history.troubles.push(Trouble { process, what, from, to });
        }
    }

    fn act(&mut self, action: &Action) {
        if !matches!(action, Action::Behave(..)) {
            self.world.stage.note(Event::Scripted(format!("{action:?}")));
        }
        match action {
            Action::Behave(n, behaviour) => self.world.targets.set(self.script.apis[*n].api_id.as_str(), *behaviour),
            Action::Store(fault) => {
                let was = std::mem::replace(&mut self.store, *fault);
                self.world.store.set_fault(*fault);
                (0..self.slots.len()).for_each(|n| self.set_lines(n));
                let what = |fault| if fault == StoreFault::Flaky { What::FlakyStore } else { What::Store };
                if was != StoreFault::None {
                    self.is_over(None, what(was));
                }
                if *fault != StoreFault::None {
                    self.begins(None, what(*fault));
                }
            }
            Action::Channel(n, fault) => {
                self.world.channels[*n].set_fault(fault.clone());
                let what = What::Channel(*n);
                if *fault == ChannelFault::None { self.is_over(None, what) } else { self.begins(None, what) }
            }
            Action::Worker(n, deed) => self.befalls(*n, *deed),
            Action::Maintenance(of, lasts) => self.ask_for_maintenance(of, *lasts),
            Action::Quiet => {
                self.act(&Action::Store(StoreFault::None));
                (0..self.script.channels).for_each(|n| self.act(&Action::Channel(n, ChannelFault::None)));
                for n in 0..self.slots.len() {
                    for cut in std::mem::take(&mut self.slots[n].cuts) {
                        self.befalls(n, Deed::Cut(cut, false));
                    }
                    self.befalls(n, Deed::Pause(false));
                    self.befalls(n, Deed::Start);
                }
            }
            Action::End => {}
        }
    }

    /// As the command line does: what is asked of all workers stands in the assignment.
    fn ask_for_maintenance(&self, of: &Selection, lasts: Option<Duration>) {
        let at = self.world.clock.now();
        let window = lasts.map(|lasts| Maintenance { since: at, until: at.plus(lasts), note: String::new() });
        let Some(mut assignment) = self.leases.assignment() else { return };
        let version = assignment.version;
        assignment.version += 1;
        let what = AskFor::Maintenance { of: of.clone(), window };
        assignment.apply(Notice::Ask(Ask { id: self.world.stage.number().to_string(), at, what }));
        let line = self.leases.line_of(self.world.stage.clone());
        let written = line.put(LeaseRecord::Assignment(Box::new(assignment)), version).now_or_never();
        assert!(matches!(written, Some(Ok(()))), "nothing fails a person's line, and nothing comes between");
    }

    fn befalls(&mut self, n: usize, deed: Deed) {
        let process = self.slots[n].running.as_ref().map(|running| running.number);
        match deed {
            Deed::Start => self.start(n),
            Deed::Kill(down) => {
                if process.is_some() {
                    self.end(n, "killed");
                    self.starts.insert((self.now() + Duration::from_millis(down), n), ());
                }
            }
            Deed::Leave(down) => {
                self.slots[n].down = Duration::from_millis(down);
                if let Some(running) = &self.slots[n].running {
                    running.leave.notify_one();
                    let now = self.now();
                    self.history.processes[running.number].asked_to_leave.get_or_insert(now);
                }
            }
            Deed::Pause(is_on) => {
                let Some(running) = &self.slots[n].running else { return };
                running.pause.set(is_on);
                if is_on { self.begins(process, What::Paused) } else { self.is_over(process, What::Paused) }
            }
            Deed::Cut(cut, is_on) => {
                if is_on {
                    self.slots[n].cuts.insert(cut)
                } else {
                    self.slots[n].cuts.remove(&cut)
                };
                self.set_lines(n);
                if cut == Cut::Delayed && !is_on {
                    for (world, leases) in std::mem::take(&mut self.slots[n].delayed) {
                        world.store.deliver();
                        leases.deliver();
                    }
                }
                if process.is_some() {
                    if is_on { self.begins(process, What::Cut(cut)) } else { self.is_over(process, What::Cut(cut)) }
                }
            }
            Deed::SetClock(by_ms) => self.slots[n].clock.step(by_ms),
        }
    }

    /// Makes the lines of a worker's present life fail as they should.
    fn set_lines(&mut self, n: usize) {
        let slot = &mut self.slots[n];
        let Some(running) = &slot.running else { return };
        let is = |cut| slot.cuts.contains(&cut);
        let of_all = match self.store {
            StoreFault::Unavailable => LineFault::Cut,
            StoreFault::Dawdles => LineFault::Slow(Duration::from_secs(3)),
            StoreFault::AnswerLost | StoreFault::Flaky => LineFault::AnswersLost,
            _ => LineFault::None,
        };
        let (states, leases) = if is(Cut::StoreRefuses) {
            (StoreFault::Misconfigured, LineFault::Refused)
        } else if is(Cut::StoreSilent) {
            (StoreFault::HangsForAWhile, LineFault::Hangs)
        } else if is(Cut::Store) {
            (StoreFault::Unavailable, LineFault::Cut)
        } else if is(Cut::Leases) {
            (StoreFault::None, LineFault::Cut)
        } else if is(Cut::Delayed) {
            (StoreFault::None, LineFault::HoldsWrites)
        } else if is(Cut::Answers) {
            (StoreFault::AnswerLost, LineFault::AnswersLost)
        } else if is(Cut::Slow) {
            (StoreFault::Dawdles, LineFault::Slow(Duration::from_millis(1_500)))
        } else {
            (StoreFault::None, of_all)
        };
        running.world.store.set_line_fault(states);
        running.leases.set_fault(leases);
        running.world.store.delay_writes(is(Cut::Delayed));
        if is(Cut::Delayed) {
            slot.delayed.push((running.world.clone(), running.leases.clone()));
        }
        let channel = if is(Cut::Channels) { ChannelFault::Unavailable } else { ChannelFault::None };
        running.world.channels.iter().for_each(|line| line.set_line_fault(channel.clone()));
        let targets =
            if is(Cut::Probing) { Some(Behaviour::NeverEnds) } else { is(Cut::Targets).then_some(Behaviour::Refuses) };
        running.world.targets.set_line(targets);
    }

    /// The process of a worker is no more.
    fn end(&mut self, n: usize, how: &'static str) {
        let Some(running) = self.slots[n].running.take() else { return };
        running.world.stage.freeze();
        running.tasks.abort();
        running.world.stage.record(Event::LifeEnded { how });
        let now = self.now();
        self.history.processes[running.number].ended = Some((now, how));
        let mine: Vec<What> =
            self.open.keys().filter(|(of, _)| *of == Some(running.number)).map(|(_, what)| *what).collect();
        mine.into_iter().for_each(|what| self.is_over(Some(running.number), what));
    }

    fn start(&mut self, n: usize) {
        self.starts.retain(|(_, worker), ()| *worker != n);
        if self.slots[n].running.is_some() {
            return;
        }
        let plan = &self.script.workers[n];
        let number = self.history.processes.len();
        let began = self.now();
        self.history.processes.push(Process { worker: n, began, ended: None, asked_to_leave: None });
        let mut world = self.world.of_process(number, self.slots[n].clock.clone());
        world.channels = plan.channels.iter().map(|channel| world.channels[*channel].clone()).collect();
        let leases = self.leases.line_of(world.stage.clone());
        let (pause, leave) = (Rc::<Pause>::default(), Rc::<Notify>::default());
        let how = Rc::<Cell<Option<&'static str>>>::default();
        let set = LocalSet::new();
        let parts = lease_parts(n, plan, &world, &leases);
        let options = Options {
            checkpoint: plan.checkpoint,
            fail_open: plan.fail_open,
            digest_above: self.script.digest_above,
            ..Options::default()
        };
        let life = live(world.clone(), parts, options, Rc::clone(&leave));
        let (ended, end) = (Rc::clone(&self.ended), Rc::clone(&how));
        set.spawn_local(async move {
            end.set(Some(life.await));
            ended.notify_one();
            std::future::pending::<()>().await; // the process is there until it is buried
        });
        let tasks = tokio::task::spawn_local(Tasks::new(set, Rc::clone(&pause)));
        self.slots[n].running = Some(Running { number, world, leases, pause, tasks, leave, how });
        for cut in self.slots[n].cuts.clone() {
            self.begins(Some(number), What::Cut(cut));
        }
        self.set_lines(n);
    }
}
