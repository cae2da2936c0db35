//! Workers in virtual time, each with a holder and a keeper that does as it is asked to.

use std::task::Poll;

use super::*;

/// A worker whose keeper lets go of whatever it is asked to within half a second.
pub(super) struct Worker {
    pub(super) handle: LeaseHandle,
    pub(super) line: LeaseLine,
    pub(super) owned: Rc<RefCell<BTreeMap<Shard, Gained>>>,
    pub(super) makes_progress: Rc<Cell<bool>>,
    /// Stopped as a process is: time goes by, and nothing moves.
    pub(super) is_stopped: Rc<Cell<bool>>,
    pub(super) gained_clean: Rc<Cell<usize>>,
    pub(super) has_left: Rc<Cell<bool>>,
    pub(super) task: tokio::task::JoinHandle<()>,
}

/// Polls `inner` only while nobody has stopped it.
async fn unless_stopped<F: Future>(is_stopped: Rc<Cell<bool>>, inner: F) -> F::Output {
    let mut inner = std::pin::pin!(inner);
    let mut looks_again = tokio::time::interval(Duration::from_millis(100));
    std::future::poll_fn(move |cx| {
        while looks_again.poll_tick(cx).is_ready() {}
        if is_stopped.get() { Poll::Pending } else { inner.as_mut().poll(cx) }
    })
    .await
}

impl Worker {
    pub(super) fn start(world: &MemoryLeases, name: &str, started: Instant) -> Self {
        let line = world.line();
        let makes_progress = Rc::new(Cell::new(true));
        let asked = Rc::clone(&makes_progress);
        let ask_report: AskReport = Box::new(move || {
            let report = Report { is_made: asked.get(), heartbeat: None };
            async move { report }.boxed_local()
        });
        let now: BootClock = Arc::new(move || started.elapsed());
        let member = Member::new(record(name), true, Terms::DEFAULT, SHARDS, 2);
        let (holder, handle, mut changes) = LeaseHolder::new(member, Arc::new(line.clone()), now, ask_report);
        let is_stopped = Rc::new(Cell::new(false));
        let task = actix_rt::spawn(unless_stopped(Rc::clone(&is_stopped), holder.run()));
        let worker = Self {
            handle,
            line,
            owned: Rc::default(),
            makes_progress,
            is_stopped,
            gained_clean: Rc::default(),
            has_left: Rc::default(),
            task,
        };
        let (owned, clean) = (Rc::clone(&worker.owned), Rc::clone(&worker.gained_clean));
        let (has_left, handle) = (Rc::clone(&worker.has_left), worker.handle.clone());
        let keeper = async move {
            while let Some(change) = changes.recv().await {
                match change {
                    LeaseChange::Gained(shards) => {
                        for gained in shards {
                            clean.set(clean.get() + usize::from(gained.is_clean));
                            owned.borrow_mut().insert(gained.shard, gained);
                            handle.stored_epoch(gained.shard, gained.epoch - 1);
                        }
                    }
                    LeaseChange::Release(shards) => {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        let mut owned = owned.borrow_mut();
                        let released = owned.extract_if(.., |shard, _| shards.contains(shard));
                        handle.released(released.map(|(shard, gained)| (shard, gained.epoch)).collect());
                    }
                    LeaseChange::Lost { shards, .. } => owned.borrow_mut().retain(|shard, _| !shards.contains(shard)),
                    LeaseChange::Left => has_left.set(true),
                }
            }
        };
        actix_rt::spawn(unless_stopped(Rc::clone(&worker.is_stopped), keeper));
        worker
    }

    /// What it acts for at this moment.
    pub(super) fn acts_for(&self) -> ShardSet {
        if self.is_stopped.get() {
            return ShardSet::new();
        }
        let clock = self.handle.clock();
        let owned = self.owned.borrow();
        owned.values().filter(|gained| clock.may_act(gained.session)).map(|gained| gained.shard).collect()
    }
}

/// Lets so many seconds pass, and sees at each tenth that no shard has two owners.
pub(super) async fn pass(workers: &[Worker], seconds: u64) {
    for _ in 0..seconds * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut all = ShardSet::new();
        for shard in workers.iter().flat_map(Worker::acts_for) {
            assert!(all.insert(shard), "shard {shard} has two owners");
        }
    }
}

pub(super) fn counts(workers: &[Worker]) -> Vec<usize> {
    workers.iter().map(|worker| worker.acts_for().len()).collect()
}

/// Workers that have shared the shards for two minutes.
pub(super) async fn settled(world: &MemoryLeases, names: &[&str]) -> Vec<Worker> {
    let started = Instant::now();
    let workers: Vec<Worker> = names.iter().map(|name| Worker::start(world, name, started)).collect();
    pass(&workers, 120).await;
    workers
}

/// Seconds until every shard has an owner again.
pub(super) async fn until_all_owned(workers: &[Worker]) -> f64 {
    let began = Instant::now();
    while counts(workers).iter().sum::<usize>() < usize::from(SHARDS) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", counts(workers));
    }
    began.elapsed().as_secs_f64()
}

pub(super) const FAILOVER_SECONDS_MAX: f64 = 13.5; // lease and renewal, and the calls
