//! What is recorded, on its way to where it is kept: an incident waits in its record, figures do not wait for ever, and nobody waits for them.

use super::*;
use crate::history::story::AWAITING_HISTORY_MAX;
use crate::history::{Day, Past, Story, UtcDay, UtcMonth};

/// Where history is kept.
#[derive(Default)]
struct Archive {
    items: BTreeMap<(Series, HistorySlot), HistoryItem>,
    is_dead: bool,
    writes: usize,
}

impl Archive {
    /// Answers what it is asked, until it is asked nothing more. A dead one refuses what it is asked just now.
    fn answers(&mut self, desk: &mut Desk) {
        let is_ours = |effect: &Effect| matches!(effect, Effect::WriteHistory { .. } | Effect::ReadHistory { .. });
        while desk.did(is_ours) > 0 {
            let (ours, others): (Vec<Effect>, Vec<Effect>) =
                std::mem::take(&mut desk.others).into_iter().partition(is_ours);
            desk.others = others;
            for effect in ours {
                match effect {
                    Effect::WriteHistory { call, items } => {
                        let results = items.into_iter().map(|item| self.write(item)).collect();
                        desk.keeper.on_history_written(call, results, moment(desk.now));
                    }
                    Effect::ReadHistory { call, series, slots, limit } => {
                        let keys = (series.clone(), slots.start().clone())..=(series, slots.end().clone());
                        let found: Vec<HistoryItem> = self.items.range(keys).map(|(_, item)| item.clone()).collect();
                        let newest = found[found.len().saturating_sub(limit)..].to_vec();
                        let read = if self.is_dead { Err(unavailable()) } else { Ok(newest) };
                        desk.keeper.on_history_read(call, read, moment(desk.now));
                    }
                    _ => unreachable!("it is ours"),
                }
            }
            desk.take();
            if self.is_dead {
                return;
            }
        }
    }

    fn write(&mut self, item: HistoryItem) -> Result<(), StoreError> {
        if self.is_dead {
            return Err(unavailable());
        }
        self.writes += 1;
        self.items.insert((item.series.clone(), item.slot.clone()), item);
        Ok(())
    }

    fn past(&self, name: &str) -> Past {
        let is_of = |item: &&HistoryItem| item.series == Series::Api(id(name));
        Past::of(self.items.values().filter(is_of))
    }
}

fn setup_with_history() -> KeeperConfig {
    let history = Some(HistorySetup { flush: Duration::from_secs(300), batch_max: 4 });
    KeeperConfig { history, ..setup() }
}

/// So many seconds in which it is well each minute, and history answers.
fn well(desk: &mut Desk, archive: &mut Archive, name: &str, seconds: u64) {
    for _ in 0..seconds / 60 {
        desk.wait(60);
        desk.finds(name, Verdict::Pass);
        desk.all_goes_well();
        archive.answers(desk);
    }
}

fn outage(desk: &mut Desk) {
    desk.goes_down("shop");
    desk.all_goes_well();
    desk.wait(30);
    desk.comes_back("shop");
    desk.all_goes_well();
}

#[test]
fn an_incident_stays_in_its_record_until_history_has_it() {
    let mut desk = Desk::with(setup_with_history(), &["shop"]);
    let mut archive = Archive { is_dead: true, ..Archive::default() };
    outage(&mut desk);
    let waiting = desk.stored("shop").awaiting_history.clone();
    let [story] = &waiting[..] else { panic!("{waiting:?}") };
    assert_eq!(story.ended_at.since(story.began_at), Duration::from_millis(30_002));
    for _ in 0..50 {
        archive.answers(&mut desk);
        desk.wait(2);
        desk.all_goes_well();
    }
    assert_eq!((desk.stored("shop").awaiting_history.len(), archive.writes), (1, 0));
    assert!(desk.said(|line| matches!(line, LogEvent::HistoryFailed { .. })) > 0);
    // Another life has it from the record.
    let mut next = Desk::empty(setup_with_history());
    (next.store, next.now) = (desk.store.clone(), desk.now);
    next.gain(&grants(2, true));
    archive.is_dead = false;
    next.wait(1);
    archive.answers(&mut next);
    let stories = archive.past("shop").stories;
    let told: Vec<_> = stories[0].incident.delivered.iter().map(|told| (told.channel.as_str(), told.kind)).collect();
    assert_eq!(told, [("pager", AlertKind::Down), ("pager", AlertKind::Up)], "who was told of both ends");
    assert_eq!(
        (stories.len(), stories[0].began_at, stories[0].incident.confirmed_at),
        (1, story.began_at, story.incident.confirmed_at)
    );
    let list = Series::Incidents(UtcMonth::of(story.began_at));
    assert_eq!(archive.items.keys().filter(|(series, _)| *series == list).count(), 1, "and in the list of its month");
    next.wait(20);
    next.all_goes_well();
    assert_eq!(next.stored("shop").awaiting_history, []);
}

#[test]
fn a_story_waits_for_the_channels_to_take_its_end_and_not_for_ever() {
    let mut desk = Desk::with(setup_with_history(), &["shop"]);
    let mut archive = Archive::default();
    desk.goes_down("shop");
    desk.all_goes_well();
    desk.comes_back("shop");
    desk.store_answers();
    desk.wait(50);
    archive.answers(&mut desk);
    assert_eq!(archive.past("shop").stories.len(), 0);
    desk.wait(11);
    archive.answers(&mut desk);
    assert_eq!(archive.past("shop").stories.len(), 1);
}

#[test]
fn a_record_keeps_few_incidents_and_says_which_one_it_dropped() {
    let mut desk = Desk::with(setup_with_history(), &["shop"]);
    (0..=AWAITING_HISTORY_MAX).for_each(|_| outage(&mut desk));
    assert_eq!(desk.stored("shop").awaiting_history.len(), AWAITING_HISTORY_MAX);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::IncidentDropped { .. })), 1);
    let mut without = Desk::watching(&["shop"]);
    outage(&mut without);
    assert_eq!(without.stored("shop").awaiting_history, [], "nobody waits where no history is kept");
}

#[test]
fn a_day_is_written_once_in_each_period_and_says_what_was_watched() {
    let mut desk = Desk::with(setup_with_history(), &["shop"]);
    let mut archive = Archive::default();
    let began = moment(desk.now).wall;
    well(&mut desk, &mut archive, "shop", 3_600);
    assert!((11..=14).contains(&archive.writes), "{}", archive.writes);
    desk.keeper.flush(FlushUntil::Stopped, 1, moment(desk.now));
    desk.take();
    desk.all_goes_well();
    archive.answers(&mut desk);
    let end = moment(desk.now).wall;
    let times = archive.past("shop").times(&(began..end));
    assert_eq!((times.watched_ms, times.down_ms), (times.window_ms, 0));
    assert_eq!(desk.did(|effect| matches!(effect, Effect::Flushed(1))), 1);
}

#[test]
fn history_that_never_answers_holds_up_nothing_for_long() {
    let mut desk = Desk::with(setup_with_history(), &["shop", "bank"]);
    for _ in 0..30 {
        desk.wait(30);
        desk.finds("shop", Verdict::Pass);
        desk.all_goes_well();
    }
    desk.goes_down("shop");
    desk.all_goes_well();
    assert_eq!(desk.heard, ["shop down"]);
    desk.keeper.flush(FlushUntil::Stored, 1, moment(desk.now));
    desk.take();
    desk.store_answers();
    desk.wait(0);
    assert_eq!(desk.did(|effect| matches!(effect, Effect::Flushed(1))), 1, "states wait for nobody");
    desk.keeper.flush(FlushUntil::Stopped, 2, moment(desk.now));
    desk.take();
    desk.store_answers();
    let is_stopped = |desk: &Desk| desk.did(|effect| matches!(effect, Effect::Flushed(2)));
    assert_eq!(is_stopped(&desk), 0);
    desk.wait(4);
    assert_eq!(is_stopped(&desk), 1);
    assert_eq!(desk.said(|line| matches!(line, LogEvent::HistoryDropped { .. })), 1);
}

#[test]
fn a_shard_that_is_released_hands_its_days_over() {
    let mut desk = Desk::with(setup_with_history(), &["shop"]);
    let mut archive = Archive::default();
    well(&mut desk, &mut archive, "shop", 120);
    desk.wait(1);
    desk.finds("shop", Verdict::Pass);
    desk.keeper.release_shards(&all_shards(), moment(desk.now));
    desk.take();
    desk.all_goes_well();
    assert_eq!(desk.let_go_of("shop"), 0);
    archive.answers(&mut desk);
    desk.wait(0);
    assert_eq!(desk.let_go_of("shop"), 1);
    assert_eq!(archive.past("shop").reach().map(|reach| reach.end), Some(moment(desk.now).wall));
    // The next owner goes on from there, and writes nothing before it has read that.
    let mut next = Desk::empty(setup_with_history());
    (next.store, next.now) = (desk.store.clone(), desk.now + Duration::from_secs(600));
    next.gain(&grants(2, true));
    next.watch(&["shop"]);
    next.finds("shop", Verdict::Pass);
    next.wait(300);
    assert_eq!(next.did(|effect| matches!(effect, Effect::WriteHistory { .. })), 0);
    archive.answers(&mut next);
    next.finds("shop", Verdict::Pass);
    next.wait(300);
    archive.answers(&mut next);
    let past = archive.past("shop");
    let today = past.days().next().unwrap();
    let gap = today.times(&(moment(desk.now).wall..moment(desk.now + Duration::from_secs(600)).wall), &[]);
    assert_eq!((gap.watched_ms, gap.not_watched_ms()), (0, 600_000));
    assert_eq!(today.totals().0.passes, 6, "those of both");
}

#[test]
fn a_month_that_is_over_is_stored_in_short_from_its_days_and_incidents() {
    let mut desk = Desk::with(setup_with_history(), &["shop"]);
    let mut archive = Archive::default();
    let (first, month) = (UtcDay::parse("2026-11-20").unwrap(), UtcMonth::parse("2026-11").unwrap());
    for number in 0..3 {
        let day = first.plus_days(number);
        let day = Day { until: day.ends_at(), ..Day::new(day) };
        let (series, slot) = (Series::Api(id("shop")), HistorySlot::Day(day.day));
        archive.write(HistoryItem { series, slot, epoch: 1, kept_until: None, bytes: day.encode() }).unwrap();
    }
    outage(&mut desk);
    let story: Story = desk.stored("shop").awaiting_history[0].clone();
    // On the second of December.
    desk.now += UtcDay::parse("2026-12-02").unwrap().starts_at().since(moment(desk.now).wall);
    for _ in 0..20 {
        desk.finds("shop", Verdict::Pass);
        desk.wait(60);
        desk.all_goes_well();
        archive.answers(&mut desk);
    }
    let stored = &archive.items[&(Series::Api(id("shop")), HistorySlot::Month(month))];
    assert_eq!(stored.kept_until, None);
    let past = Past::of([stored]);
    let times = past.times(&(month.first_day().starts_at()..month.last_day().ends_at()));
    assert_eq!(times.down_ms, 30_002, "{story:?}");
    // Once: another life finds it.
    archive.items.retain(|(_, slot), _| !matches!(slot, HistorySlot::Day(_)));
    let mut next = Desk::empty(setup_with_history());
    (next.store, next.now) = (desk.store.clone(), desk.now);
    next.gain(&grants(2, true));
    next.watch(&["shop"]);
    for _ in 0..10 {
        next.finds("shop", Verdict::Pass);
        next.wait(60);
        archive.answers(&mut next);
    }
    assert_eq!(
        archive.past("shop").times(&(month.first_day().starts_at()..month.last_day().ends_at())).down_ms,
        30_002
    );
}
