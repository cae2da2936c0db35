//! Configs that change while the program runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::ApiConfig;
use api_health_core::schedule::Slot;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::injected_fault::{InjectedFault, Whom, inject};
use super::{options, seconds, world};
use crate::ports::{ConfigSource, LoadedConfigs, SourceError};
use crate::supervisor::ChildId;
use crate::system::Options;
use crate::testkit::target::Behaviour;
use crate::testkit::{WORLD_BEGINS, api, in_virtual_time};

#[test]
fn rows_are_added_changed_and_removed_and_the_unchanged_keep_their_phase() {
    in_virtual_time(async {
        let world = world(&["same", "changed", "gone", "off"]);
        let running = world.start(options()).await;
        seconds(62).await;
        let off = api_health_core::ApiConfig { enabled: false, ..api("off", 10) };
        world.configs.set(vec![api("same", 10), api("changed", 2), off, api("new", 10)]);
        seconds(3).await;
        let [gone, off_before] = ["gone", "off"].map(|id| world.targets.probed(id).len());
        assert_eq!(running.probers(), 3);
        assert_eq!(world.targets.probed("new").len(), 1, "a new row is probed at once");
        let changed = world.targets.probed("changed").len();
        seconds(60).await;
        assert_eq!(world.targets.probed("gone").len(), gone);
        assert_eq!(world.targets.probed("off").len(), off_before);
        assert!(world.targets.probed("changed").len() - changed >= 29);
        let slot = Slot::of(&api("same", 10).api_id).within(Duration::from_secs(10)).as_millis();
        for at in &world.targets.probed("same")[1..] {
            assert!((at.since(WORLD_BEGINS).as_millis() % 10_000).abs_diff(slot) <= 2);
        }
    });
}

#[test]
fn a_broken_row_an_empty_source_and_an_unreachable_one_stop_nothing() {
    in_virtual_time(async {
        let world = world(&["a", "b"]);
        let running = world.start(Options { reload_every: Duration::from_secs(20), ..options() }).await;
        seconds(15).await;
        let last_reload = || running.gauges().stats().measured.last_reload();
        assert_eq!(last_reload(), Some(true));
        world.configs.refuse("a");
        seconds(60).await;
        assert_eq!(last_reload(), Some(false));
        assert!(world.targets.probed("a").len() >= 6, "the last good version of a refused row runs on");
        world.configs.set(vec![]);
        seconds(60).await;
        assert_eq!((running.probers(), last_reload()), (2, Some(true)));
        world.configs.set_unavailable(true);
        seconds(60).await;
        assert_eq!((running.reload().await.unwrap().unreadable.len(), last_reload()), (1, Some(false)));
        assert_eq!(running.probers(), 2);
        world.configs.set_unavailable(false);
        world.configs.set(vec![api("b", 10)]);
        seconds(3).await;
        assert_eq!(running.probers(), 1);
    });
}

#[test]
fn a_config_edited_in_an_outage_still_tells_exactly_one_recovery() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Refuses);
        seconds(30).await;
        let edited = api_health_core::ApiConfig { name: "New name".into(), ..api("a", 5) };
        world.configs.set(vec![edited]);
        seconds(30).await;
        world.targets.set("a", Behaviour::Answers(200));
        seconds(60).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a up"]);
        assert_eq!(world.channels[0].delivered()[1].1.name, "New name");
    });
}

#[test]
fn a_row_that_is_disabled_and_enabled_within_one_probe_has_one_prober() {
    in_virtual_time(async {
        let world = world(&["a"]);
        let running = world.start(options()).await;
        seconds(21).await;
        world.targets.set("a", Behaviour::Hangs);
        let probes = world.targets.probed("a").len();
        while world.targets.probed("a").len() == probes {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let off = api_health_core::ApiConfig { enabled: false, ..api("a", 10) };
        world.configs.set(vec![off]);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        world.configs.set(vec![api("a", 10)]);
        world.targets.set("a", Behaviour::Answers(200));
        seconds(20).await;
        let before = world.targets.probed("a").len();
        seconds(100).await;
        assert_eq!(world.targets.probed("a").len() - before, 10, "one probe each 10 s");
        assert_eq!((running.probers(), running.stats().counts().restarts), (1, 0));
    });
}

#[test]
fn a_probe_of_what_was_asked_before_confirms_nothing_and_a_removed_row_is_told_nothing_of() {
    in_virtual_time(async {
        let mut old = api("a", 10);
        old.failure_threshold = 1;
        let world = crate::testkit::FakeWorld::new(vec![old.clone(), api("b", 10)]);
        let _running = world.start(options()).await;
        seconds(20).await;
        world.targets.set("a", Behaviour::Hangs);
        let probes = world.targets.probed("a").len();
        while world.targets.probed("a").len() == probes {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let edited = api_health_core::ApiConfig { url: "http://new.test/".into(), ..old.clone() };
        world.configs.set(vec![edited, api("b", 10)]);
        seconds(4).await;
        assert!(world.channels[0].lines().is_empty(), "one fail would be enough, and was of another URL");
        seconds(15).await;
        assert_eq!(world.channels[0].delivered()[0].1.url, "http://new.test/");

        world.targets.set("b", Behaviour::Hangs);
        let probes = world.targets.probed("b").len();
        while world.targets.probed("b").len() <= probes + 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        world.configs.set(vec![old]);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["a down"], "b is no longer watched");
    });
}

/// A table that says nothing of its changes, and may be read in a cheaper way that is behind.
#[derive(Clone, Default)]
struct Table {
    rows: Arc<Mutex<Vec<Arc<ApiConfig>>>>,
    /// What is read instead when it is read again, once.
    stale: Arc<Mutex<Option<Vec<Arc<ApiConfig>>>>>,
    /// Rows are read at the begin of a load, which goes on until this is no longer so.
    is_slow: Arc<AtomicBool>,
    loads: Arc<AtomicUsize>,
    loads_again: Arc<AtomicUsize>,
}

impl Table {
    fn of(ids: &[&str]) -> Self {
        let table = Self::default();
        table.set(ids);
        table
    }

    fn rows(ids: &[&str]) -> Vec<Arc<ApiConfig>> {
        ids.iter().map(|id| Arc::new(api(id, 10))).collect()
    }

    fn set(&self, ids: &[&str]) {
        *self.rows.lock().unwrap() = Self::rows(ids);
    }

    async fn give(&self, good: Vec<Arc<ApiConfig>>) -> Result<LoadedConfigs, SourceError> {
        while self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(LoadedConfigs { good, ..LoadedConfigs::default() })
    }
}

impl ConfigSource for Table {
    fn name(&self) -> String {
        "table".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let rows = self.rows.lock().unwrap().clone();
        self.give(rows).boxed()
    }

    fn load_relaxed(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        self.loads_again.fetch_add(1, Ordering::SeqCst);
        let stale = self.stale.lock().unwrap().take();
        self.give(stale.unwrap_or_else(|| self.rows.lock().unwrap().clone())).boxed()
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        std::future::ready(None).boxed()
    }
}

#[test]
fn a_reload_waits_for_a_reading_that_began_after_it_was_asked_for() {
    in_virtual_time(async {
        let (world, table) = (world(&[]), Table::of(&["a"]));
        let running = world.start_with(options(), vec![Arc::new(table.clone())]).await;
        table.is_slow.store(true, Ordering::SeqCst);
        while table.loads_again.load(Ordering::SeqCst) == 0 {
            seconds(1).await;
        }
        table.set(&["a", "new"]); // the periodic reading is under way, and is older
        let asked = running.reload();
        let goes_on = async {
            seconds(1).await;
            table.is_slow.store(false, Ordering::SeqCst);
        };
        let (report, ()) = futures_util::future::join(asked, goes_on).await;
        assert_eq!((report.unwrap().apis, running.probers()), (2, 2));
    });
}

#[test]
fn a_reading_that_goes_back_in_time_stops_nothing_and_one_that_does_not_costs_no_second_one() {
    in_virtual_time(async {
        let (world, table) = (world(&[]), Table::of(&["a", "b"]));
        world.targets.set("a", Behaviour::Refuses);
        let running = world.start_with(options(), vec![Arc::new(table.clone())]).await;
        seconds(300).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        assert_eq!(table.loads.load(Ordering::SeqCst), 1, "only the first one");
        assert!(table.loads_again.load(Ordering::SeqCst) >= 4);
        *table.stale.lock().unwrap() = Some(Table::rows(&["b"]));
        seconds(130).await;
        assert!(table.stale.lock().unwrap().is_none(), "it was read");
        assert_eq!((running.probers(), table.loads.load(Ordering::SeqCst)), (2, 2));
        assert_eq!(world.channels[0].lines(), ["a down"], "neither closed nor told again");
        table.set(&["b"]);
        seconds(130).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"], "what is really gone is");
        assert_eq!((running.probers(), table.loads.load(Ordering::SeqCst)), (1, 3));
    });
}

#[test]
fn a_reload_while_the_process_has_to_end_has_no_report() {
    in_virtual_time(async {
        let (world, table) = (world(&["b"]), Table::of(&["a"]));
        let mut running = world.start_with(options(), vec![Arc::new(table.clone())]).await;
        table.is_slow.store(true, Ordering::SeqCst);
        let dies = async {
            seconds(1).await;
            for _ in 0..4 {
                while !inject(&running, Whom::Child(ChildId::Alerter), InjectedFault::Panic).await {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                seconds(3).await;
            }
        };
        let (report, ()) = futures_util::future::join(running.reload(), dies).await;
        assert_eq!(report, None);
        assert_eq!(running.reload().await, None, "nor later");
        running.fatal().await;
        running.crash();
        seconds(1).await;
    });
}

#[test]
fn what_cannot_be_read_any_more_is_known_without_asking_for_a_reload() {
    in_virtual_time(async {
        let (world, table) = (world(&["b"]), Table::of(&["a"]));
        let running = world.start_with(options(), vec![Arc::new(table)]).await;
        assert_eq!(running.gauges().unreadable(), Vec::<String>::new());
        world.configs.set_unavailable(true);
        seconds(5).await;
        assert_eq!((running.gauges().unreadable(), running.probers()), (vec!["fake: planted".to_owned()], 2));
        world.configs.set_unavailable(false);
        seconds(5).await;
        assert_eq!(running.gauges().unreadable(), Vec::<String>::new());
    });
}
