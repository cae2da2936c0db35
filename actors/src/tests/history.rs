//! History beside the real actors: what it gets, that an incident outlives whatever happens to it, and that nothing waits for it.

use std::time::Duration;

use api_health_core::Timestamp;
use api_health_core::history::Past;

use super::{options, seconds, world};
use crate::ports::Clock as _;
use crate::system::Options;
use crate::testkit::history::HistoryFault;
use crate::testkit::target::Behaviour;
use crate::testkit::{FakeWorld, MemoryHistory, in_virtual_time};

fn world_with_history() -> (FakeWorld, MemoryHistory) {
    let history = MemoryHistory::default();
    (FakeWorld { history: Some(history.clone()), ..world(&["a", "b"]) }, history)
}

fn past(history: &MemoryHistory) -> Past {
    Past::of(&history.of("a"))
}

/// `a` is down for a minute. When it began to be, and when it was over.
async fn outage(world: &FakeWorld) -> (Timestamp, Timestamp) {
    world.targets.set("a", Behaviour::Refuses);
    let began = world.clock.now();
    seconds(60).await;
    world.targets.set("a", Behaviour::Answers(200));
    let over = world.clock.now();
    seconds(30).await;
    (began, over)
}

#[test]
fn days_and_incidents_come_to_where_history_is_kept() {
    in_virtual_time(async {
        let (world, history) = world_with_history();
        let running = world.start(options()).await;
        seconds(100).await;
        let began = world.clock.now();
        let (down, over) = outage(&world).await;
        seconds(600).await;
        let past_now = past(&history);
        let story = &past_now.stories[0];
        assert!(story.began_at >= down && story.began_at.since(down) <= Duration::from_secs(10));
        assert!(story.ended_at >= over && story.ended_at.since(over) <= Duration::from_secs(10));
        assert_eq!(story.incident.delivered.len(), 2, "{story:?}");
        assert_eq!(world.store.record("a").unwrap().awaiting_history, [], "and its record is small again");
        running.stop(Duration::from_secs(10)).await;
        let end = past(&history).reach().unwrap().end;
        assert!(world.clock.now().since(end) <= Duration::from_secs(1), "a clean stop writes the present day");
        let times = past(&history).times(&(began..end));
        assert_eq!(times.watched_ms, times.window_ms);
        assert_eq!(u128::from(times.down_ms), story.ended_at.since(story.began_at).as_millis());
    });
}

#[test]
fn an_incident_outlives_a_kill_before_history_has_it_and_the_hours_off_are_not_charged() {
    in_virtual_time(async {
        let (world, history) = world_with_history();
        let running = world.start(options()).await;
        seconds(400).await;
        history.set_fault(HistoryFault::Unavailable);
        outage(&world).await;
        seconds(600).await;
        assert_eq!(world.store.record("a").unwrap().awaiting_history.len(), 1);
        let heartbeat = world.store.heartbeat().unwrap().at;
        running.crash();
        history.set_fault(HistoryFault::None);
        seconds(3 * 3_600).await;
        let back = world.clock.now();
        let running = world.start(options()).await;
        seconds(600).await;
        let past = past(&history);
        assert_eq!(past.stories.len(), 1);
        let off = past.times(&(heartbeat..back));
        assert_eq!((off.watched_ms, off.down_ms), (0, 0), "nobody watched");
        let before = past.times(&(past.reach().unwrap().start..heartbeat));
        assert_eq!(before.watched_ms, before.window_ms, "what was not written is known from the heartbeat");
        let story = &past.stories[0];
        assert_eq!(u128::from(before.down_ms), story.ended_at.since(story.began_at).as_millis());
        drop(running);
    });
}

#[test]
fn history_that_hangs_delays_no_alert_no_state_and_no_stop() {
    in_virtual_time(async {
        let (world, history) = world_with_history();
        history.set_fault(HistoryFault::Hangs);
        let running = world.start(Options { history_flush: Duration::from_secs(60), ..options() }).await;
        seconds(200).await;
        let (down, _) = outage(&world).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        let told_at = world.channels[0].delivered()[0].0;
        assert!(told_at.since(down) <= Duration::from_secs(20), "{told_at}");
        let began = tokio::time::Instant::now();
        let report = running.stop(Duration::from_secs(10)).await;
        assert_eq!(report.keeper.unwrap().unsaved, 0);
        assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(world.store.record("a").unwrap().awaiting_history.len(), 1, "its record has it");
    });
}

#[test]
fn a_history_that_takes_every_other_item_gets_all_in_the_end() {
    in_virtual_time(async {
        let (world, history) = world_with_history();
        let _running = world.start(Options { history_flush: Duration::from_secs(60), ..options() }).await;
        history.set_fault(HistoryFault::Half);
        seconds(100).await;
        outage(&world).await;
        seconds(900).await;
        history.set_fault(HistoryFault::AnswerLost);
        seconds(300).await;
        history.set_fault(HistoryFault::None);
        seconds(300).await;
        assert_eq!(past(&history).stories.len(), 1);
        assert_eq!(world.store.record("a").unwrap().awaiting_history, []);
        let reach = past(&history).reach().unwrap();
        assert_eq!(past(&history).times(&reach).watched_ms, past(&history).times(&reach).window_ms);
        assert!(world.clock.now().since(reach.end) <= Duration::from_secs(61));
    });
}
