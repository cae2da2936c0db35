//! Anything in any order: outcomes, answers of the store that come, fail or are lost, attempts that fail, a lease that lapses,
//! backups that are restored, hands in the table, deaths of the alerter and new owners. After a quiet while everything is stored and told.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::Status;
use crate::invariant;
use crate::maintenance::{Maintenance, Selection};

const NAMES: [&str; 3] = ["shop", "cart", "mail"];

const CHANNELS: [&str; 2] = ["pager", "mail"];

/// The pager is sent digests above so many alerts; 0: never.
fn play_setup(digest_above: usize) -> KeeperConfig {
    let digest_above = HashMap::from_iter((digest_above > 0).then(|| ("pager".into(), digest_above)));
    KeeperConfig { routes: Routes::to_all(CHANNELS), digest_above, ..setup() }
}

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    Finds(&'static str, Verdict),
    /// The oldest call of the store that has no answer is answered so.
    Answer(Answer),
    /// One of the attempts that are under way comes to that.
    Ends(Index, DeliveryResult),
    Wait(u64),
    Lapse {
        met_others: bool,
    },
    Renew,
    /// A copy of a record as it once was is put back.
    Restore(Index),
    /// The alerter dies. What was under way has been told or not, and nobody says so.
    AlerterDies(u8),
    /// Somebody changes a record by hand.
    Hand(&'static str),
    /// Another worker becomes the owner; writes of the one before may land later.
    NewOwner,
    /// One of those lands, or is refused.
    Lands,
    /// A maintenance window of a minute is opened by hand, or ended.
    Window(&'static str, bool),
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Done,
    DoneUnsaid,
    Failed,
    Refused,
}

/// What any keeper meets.
fn usual() -> impl Strategy<Value = Event> {
    let verdict = select(vec![Verdict::Pass, Verdict::Fail, Verdict::Pass, Verdict::Fail, Verdict::Inconclusive]);
    let answer =
        select(vec![Answer::Done, Answer::Done, Answer::Done, Answer::DoneUnsaid, Answer::Failed, Answer::Refused]);
    let why = || DeliveryResult::Failed { why: "refused".into(), wait: Duration::from_secs(5), patience: None };
    let refused = || DeliveryResult::DigestRefused { why: "refused".into() };
    let well = DeliveryResult::Delivered;
    let result = select(vec![well.clone(), well.clone(), well, why(), DeliveryResult::Cancelled, refused()]);
    prop_oneof![
        8 => (select(NAMES.to_vec()), verdict).prop_map(|(name, verdict)| Event::Finds(name, verdict)),
        8 => answer.prop_map(Event::Answer),
        4 => (any::<Index>(), result).prop_map(|(which, result)| Event::Ends(which, result)),
        3 => (1..20_u64).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(|met_others| Event::Lapse { met_others }),
        1 => Just(Event::Renew),
        1 => any::<u8>().prop_map(Event::AlerterDies),
    ]
}

/// And what it overwrites.
fn with_backups() -> impl Strategy<Value = Event> {
    prop_oneof![15 => usual(), 1 => any::<Index>().prop_map(Event::Restore)]
}

/// And what costs it what it has decided and not stored.
fn unusual() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => usual(),
        1 => select(NAMES.to_vec()).prop_map(Event::Hand),
        1 => Just(Event::NewOwner),
        1 => Just(Event::Lands),
    ]
}

/// And whose alerts are held meanwhile.
fn with_windows() -> impl Strategy<Value = Event> {
    let window = (select(NAMES.to_vec()), any::<bool>()).prop_map(|(name, opens)| Event::Window(name, opens));
    prop_oneof![10 => usual(), 1 => window]
}

/// What every API is found to be at the end.
fn at_last() -> impl Strategy<Value = Verdict> {
    select(vec![Verdict::Pass, Verdict::Fail])
}

/// A desk at which anything may happen.
struct Play {
    desk: Desk,
    digest_above: usize,
    epoch: u64,
    /// Every record that was ever stored.
    copies: Vec<ApiState>,
    /// Writes of earlier owners that may still land.
    late: VecDeque<StateWrite>,
}

impl Play {
    fn new(digest_above: usize) -> Self {
        let desk = Desk::with(play_setup(digest_above), &NAMES);
        Self { desk, digest_above, epoch: 1, copies: Vec::new(), late: VecDeque::new() }
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Finds(name, verdict) => {
                self.desk.finds(name, *verdict);
            }
            Event::Answer(answer) => self.answer(*answer),
            Event::Ends(which, result) => self.ends(which, result),
            Event::Wait(seconds) => self.desk.wait(*seconds),
            Event::Lapse { met_others } => self.desk.lapse(*met_others),
            Event::Renew => self.desk.renew(),
            Event::Restore(which) => self.restore(which),
            Event::AlerterDies(luck) => self.alerter_dies(*luck),
            Event::Hand(name) => self.desk.somebody_writes(name, |state| {
                state.version += 1;
                state.missed_ticks += 1_000;
            }),
            Event::NewOwner => self.new_owner(),
            Event::Lands => self.lands(),
            Event::Window(name, opens) => self.window(name, *opens),
        }
        self.copies
            .extend(self.desk.store.values().filter(|state| !self.copies.contains(state)).cloned().collect::<Vec<_>>());
        for name in NAMES {
            if let Some(state) = self.desk.keeper.state(&id(name)) {
                assert_eq!(invariant::first_broken(state), None);
            }
        }
    }

    fn answer(&mut self, answer: Answer) {
        if let Some((call, api_id)) = self.desk.reads.pop_front() {
            let read = match (answer, self.desk.store.get(&api_id)) {
                (Answer::Done | Answer::DoneUnsaid, Some(state)) => RecordRead::Found(Box::new(state.clone())),
                (Answer::Done | Answer::DoneUnsaid, None) => RecordRead::Gone,
                (Answer::Failed, _) => RecordRead::Failed(unavailable()),
                (Answer::Refused, _) => RecordRead::Failed(refused()),
            };
            return self.desk.answer_read(call, &api_id, read);
        }
        let Some((call, writes)) = self.desk.commits.pop_front() else { return };
        let result = |desk: &mut Desk, write: &StateWrite| match answer {
            Answer::Done => desk.write(write),
            Answer::DoneUnsaid => desk.write(write).and(Err(CommitError::Store(unavailable()))),
            Answer::Failed => Err(CommitError::Store(unavailable())),
            Answer::Refused => Err(CommitError::Store(refused())),
        };
        let results = writes.iter().map(|write| result(&mut self.desk, write)).collect();
        self.desk.answer(call, &writes, results);
    }

    fn ends(&mut self, which: &Index, result: &DeliveryResult) {
        if !self.desk.attempts.is_empty() {
            let attempt = self.desk.attempts.remove(which.index(self.desk.attempts.len())).unwrap();
            self.desk.ends(&attempt, result);
        }
    }

    fn restore(&mut self, which: &Index) {
        if !self.copies.is_empty() {
            let copy = which.get(&self.copies).clone();
            self.desk.store.insert(copy.api_id.clone(), copy);
        }
    }

    fn alerter_dies(&mut self, mut luck: u8) {
        for attempt in std::mem::take(&mut self.desk.attempts) {
            luck = luck.rotate_right(1);
            // What is told without the store, while nobody knows that it is, cannot be taken back.
            if !attempt.unstored && luck.is_multiple_of(2) {
                self.desk.hear(&attempt);
            }
            self.desk.ends(&attempt, &DeliveryResult::Cancelled);
        }
    }

    fn new_owner(&mut self) {
        let desk = &mut self.desk;
        self.late.extend(std::mem::take(&mut desk.commits).into_iter().flat_map(|(_, writes)| writes));
        desk.reads.clear();
        desk.keeper.drop_shards(&all_shards());
        desk.take();
        // What it is told to end now ends: a lapsed lease cuts every attempt.
        desk.attempts_end(&DeliveryResult::Cancelled);
        let told = std::mem::take(&mut desk.others);
        self.epoch += 1;
        desk.keeper = Keeper::new(play_setup(self.digest_above), moment(desk.now));
        desk.renew();
        desk.gain(&grants(self.epoch, false));
        desk.watch(&NAMES);
        for effect in told {
            if let Effect::Request(Request::Withdraw(alert)) = effect {
                desk.keeper.withdraw(&alert, moment(desk.now));
                desk.take();
            }
        }
    }

    fn window(&mut self, name: &str, opens: bool) {
        let now = moment(self.desk.now);
        let until = now.wall.plus(Duration::from_secs(60));
        let window = opens.then(|| Maintenance { since: now.wall, until, note: String::new() });
        let of = Selection { api_ids: vec![name.to_owned()], ..Selection::default() };
        self.desk.keeper.set_maintenance(&of, window.as_ref(), now);
        self.desk.take();
    }

    fn lands(&mut self) {
        if let Some(write) = self.late.pop_front() {
            let _ = self.desk.write(&write);
        }
    }

    /// Everything works again, and all APIs are up for a while; and then down, if they are to be.
    fn quiet(&mut self, then: Verdict) {
        self.late.clear();
        let desk = &mut self.desk;
        desk.renew();
        for verdict in [Verdict::Pass, then] {
            for _ in 0..5 {
                for name in NAMES {
                    desk.finds(name, verdict);
                }
                for _ in 0..60 {
                    desk.all_goes_well();
                    desk.wait(1);
                }
            }
        }
        desk.all_goes_well();
    }

    /// What each channel was told of each API, in order, without repeats of what was told just before.
    fn told(&self) -> impl Iterator<Item = (&'static str, Vec<Arc<Alert>>)> {
        CHANNELS.into_iter().flat_map(|channel| NAMES.map(|name| (name, self.told_through(channel, name))))
    }

    fn told_through(&self, channel: &str, name: &str) -> Vec<Arc<Alert>> {
        let is_asked_for =
            |(through, alert): &&(Channel, Arc<Alert>)| **through == *channel && alert.api_id == id(name);
        let mut told: Vec<_> =
            self.desk.alerts.iter().filter(is_asked_for).map(|(_, alert)| Arc::clone(alert)).collect();
        told.dedup_by(|later, earlier| later.alert_id == earlier.alert_id);
        told
    }

    /// Everything is stored, and nothing is owed.
    fn check_stored(&self) {
        let report = self.desk.keeper.report();
        assert_eq!((report.unsaved, report.owed), (0, 0));
        for name in NAMES {
            assert_eq!(self.desk.stored(name), self.desk.known(name));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_change_is_told_once_and_in_order_under_one_id(
        events in vec(with_backups(), 0..120), then in at_last(), digest_above in 0..3_usize,
    ) {
        let mut play = Play::new(digest_above);
        events.iter().for_each(|event| play.happens(event));
        play.quiet(then);
        play.check_stored();
        for (name, told) in play.told() {
            let changes: Vec<Status> = play.desk.log.iter().filter_map(|line| match line {
                LogEvent::StatusChanged { api_id, from, to, .. } if *api_id == id(name) && *from != Status::Unknown => Some(*to),
                _ => None,
            }).collect();
            prop_assert_eq!(told.iter().map(|alert| alert.kind.status()).collect::<Vec<_>>(), changes);
            let ids: HashSet<&str> = told.iter().map(|alert| alert.alert_id.as_str()).collect();
            prop_assert_eq!(ids.len(), told.len(), "each under an id of its own");
        }
    }

    #[test]
    fn whatever_is_lost_each_outage_that_was_told_is_ended_or_still_open(
        events in vec(unusual(), 0..120), then in at_last(), digest_above in 0..3_usize,
    ) {
        let mut play = Play::new(digest_above);
        events.iter().for_each(|event| play.happens(event));
        play.quiet(then);
        play.check_stored();
        for (name, told) in play.told() {
            let mut open: Vec<&str> = Vec::new();
            for alert in &told {
                open.retain(|incident_id| *incident_id != alert.incident_id);
                if alert.kind.starts_incident() {
                    open.push(&alert.incident_id);
                }
            }
            let known: Vec<&str> = play.desk.known(name).incident.iter().map(|open| open.incident_id.as_str()).collect();
            prop_assert_eq!(open, known, "{}: {:?}", name, told);
        }
    }

    #[test]
    fn whatever_is_held_each_channel_is_told_in_turn_and_what_it_is_told_last_is_true(
        events in vec(with_windows(), 0..120), then in at_last(), digest_above in 0..3_usize,
    ) {
        let mut play = Play::new(digest_above);
        events.iter().for_each(|event| play.happens(event));
        play.quiet(then);
        play.check_stored();
        for (name, told) in play.told() {
            let believed = told.last().map_or(Status::Unknown, |alert| alert.kind.status());
            prop_assert_eq!(believed == Status::Down, then == Verdict::Fail, "{}: {:?}", name, told);
            for pair in told.windows(2) {
                prop_assert!(pair[0].kind.starts_incident() != pair[1].kind.starts_incident(), "{}: {:?}", name, told);
            }
            prop_assert!(play.desk.known(name).held.is_none());
        }
    }
}
