//! Configs in files: they are written while they are read, hang with their disks, and are read only when they changed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_health_core::ApiConfig;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{options, seconds, world};
use crate::ports::{ConfigSource, LoadedConfigs, SourceError};
use crate::testkit::target::Behaviour;
use crate::testkit::{api, in_virtual_time};

#[derive(Clone, Default)]
struct File {
    rows: Arc<Mutex<(u64, Vec<Arc<ApiConfig>>)>>,
    hangs: Arc<AtomicBool>,
    loads: Arc<AtomicUsize>,
}

impl File {
    fn of(ids: &[&str]) -> Self {
        let file = Self::default();
        file.write(ids);
        file
    }

    fn write(&self, ids: &[&str]) {
        let mut rows = self.rows.lock().unwrap();
        *rows = (rows.0 + 1, ids.iter().map(|id| Arc::new(api(id, 10))).collect());
    }

    async fn hang(&self) {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

impl ConfigSource for File {
    fn name(&self) -> String {
        "file".into()
    }

    fn load(&self) -> BoxFuture<'_, Result<LoadedConfigs, SourceError>> {
        async {
            self.hang().await;
            self.loads.fetch_add(1, Ordering::SeqCst);
            Ok(LoadedConfigs { good: self.rows.lock().unwrap().1.clone(), ..LoadedConfigs::default() })
        }
        .boxed()
    }

    fn may_be_partial(&self) -> bool {
        true
    }

    fn revision(&self) -> BoxFuture<'_, Option<u64>> {
        async {
            self.hang().await;
            Some(self.rows.lock().unwrap().0)
        }
        .boxed()
    }
}

#[test]
fn a_file_that_is_being_written_closes_nothing_and_a_row_that_is_removed_is_closed_within_20_s() {
    in_virtual_time(async {
        let (world, file) = (world(&[]), File::of(&["a", "b", "c"]));
        let running = world.start_with(options(), vec![Arc::new(file.clone())]).await;
        seconds(20).await;
        world.targets.set("c", Behaviour::Refuses);
        seconds(30).await;
        assert_eq!(world.channels[0].lines(), ["c down"]);
        file.write(&["a"]);
        seconds(8).await;
        file.write(&["a", "b"]); // it takes its time
        seconds(8).await;
        file.write(&["a", "b", "c"]);
        seconds(30).await;
        assert_eq!((running.probers(), world.channels[0].lines()), (3, vec!["c down".to_owned()]));
        file.write(&["a", "b"]);
        seconds(20).await;
        assert_eq!((running.probers(), world.channels[0].lines().pop().as_deref()), (2, Some("c closed")));
        // The last ones: several at once stay, and a single one goes.
        file.write(&[]);
        seconds(60).await;
        assert_eq!(running.probers(), 2);
        file.write(&["a"]);
        seconds(20).await;
        file.write(&[]);
        seconds(20).await;
        assert_eq!(running.probers(), 0);
    });
}

#[test]
fn a_file_that_is_being_written_at_the_start_closes_nothing_either() {
    in_virtual_time(async {
        let (world, file) = (world(&[]), File::of(&["a", "b"]));
        world.targets.set("a", Behaviour::Refuses);
        let running = world.start_with(options(), vec![Arc::new(file.clone())]).await;
        seconds(60).await;
        running.stop(Duration::from_secs(1)).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);

        file.write(&["b"]);
        let running = world.start_with(options(), vec![Arc::new(file.clone())]).await;
        seconds(9).await;
        file.write(&["b", "a"]);
        seconds(60).await;
        assert_eq!((running.probers(), world.channels[0].lines()), (2, vec!["a down".to_owned()]));
        running.stop(Duration::from_secs(1)).await;

        file.write(&["b"]);
        let _running = world.start_with(options(), vec![Arc::new(file.clone())]).await;
        seconds(9).await;
        assert_eq!(world.channels[0].lines(), ["a down"]);
        seconds(11).await;
        assert_eq!(world.channels[0].lines(), ["a down", "a closed"], "it is really gone");
    });
}

#[test]
fn a_source_that_did_not_change_is_not_read_again() {
    in_virtual_time(async {
        let (world, file) = (world(&["a"]), File::of(&["b"]));
        let running = world.start_with(options(), vec![Arc::new(file.clone())]).await;
        seconds(300).await;
        assert_eq!(running.reload().await.unwrap().apis, 2);
        assert_eq!((file.loads.load(Ordering::SeqCst), world.configs.reads().0), (1, 1));
        world.configs.set(vec![api("a", 10), api("c", 10)]);
        seconds(3).await;
        assert_eq!((file.loads.load(Ordering::SeqCst), world.configs.reads().0, running.probers()), (1, 2, 3));
    });
}

#[test]
fn a_file_on_a_disk_that_hangs_holds_up_no_other_source() {
    in_virtual_time(async {
        let (world, file) = (world(&["a"]), File::of(&["b"]));
        let running = world.start_with(options(), vec![Arc::new(file.clone())]).await;
        file.hangs.store(true, Ordering::SeqCst);
        seconds(100).await;
        world.configs.set(vec![api("a", 10), api("c", 10)]);
        seconds(15).await;
        assert_eq!(running.probers(), 3);
        let report = running.reload().await.unwrap();
        assert_eq!((report.unreadable, report.apis), (vec!["file: no answer within 5 s".to_owned()], 3));
        file.write(&["b", "d"]);
        file.hangs.store(false, Ordering::SeqCst);
        seconds(70).await;
        assert_eq!((running.probers(), running.gauges().unreadable()), (4, vec![]));
    });
}
