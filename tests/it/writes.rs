//! What the daemon writes and reads is what `cost` reckons with: counted in virtual time over days, and at DynamoDB's door.

use std::time::{Duration, Instant};

use api_health::cost::bill::{Bill, OUTAGES_PER_API, Workload, bill};
use api_health::cost::formula::{
    FLEET_RENEWAL, checkpoint_period, lease_calls, outage_writes, scan_calls, scan_half_units, steady_writes, times,
};
use api_health::cost::formula::{MONTH, write_units};
use api_health::cost::history::{INCIDENT_ITEM_BYTES, MONTH_ITEM_BYTES, history_writes};
use api_health::cost::prices;
use api_health_actors::system::Options;
use api_health_actors::testkit::target::Behaviour;
use api_health_actors::testkit::{FakeWorld, MemoryHistory, api, in_virtual_time};
use api_health_core::history::{HistoryItem, HistorySlot};
use api_health_core::keep::FIRST_HEARTBEAT_AFTER;

use crate::cloud::Cloud;
use crate::daemon::{Home, SOON, wait_for};
use crate::support::dynamodb;
use crate::support::dynamodb_local;
use crate::support::http::Server;
use crate::support::http_proxy::HttpProxy;
use crate::support::moto::Moto;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world of so many APIs, each in each interval, with these settings, and heartbeats each minute.
fn world(apis: usize, interval: u64) -> FakeWorld {
    FakeWorld::new((0..apis).map(|n| api(&format!("api-{n}"), interval)).collect())
}

fn options(checkpoint: u64) -> Options {
    Options { prober_threads: 0, checkpoint: secs(checkpoint), heartbeat: Some(secs(60)), ..Options::default() }
}

/// Heartbeats in `span`: the first comes early.
fn heartbeats(span: Duration) -> u64 {
    1 + times(span - FIRST_HEARTBEAT_AFTER, secs(60))
}

#[test]
fn in_virtual_time_steady_apis_are_written_exactly_as_often_as_the_formula_says() {
    // The spans end in the middle of a period, so that where in its second an API begins decides nothing.
    for (apis, interval, checkpoint, hours) in
        [(10, 60, 3_600, 24), (10, 60, 60, 1), (10, 300, 900, 4), (5, 30, 7_200, 5)]
    {
        in_virtual_time(async {
            let world = world(apis, interval);
            let _running = world.start(options(checkpoint)).await;
            let span = secs(hours * 3_600) + secs(interval) / 2;
            tokio::time::sleep(span).await;
            let expected = apis as u64 * steady_writes(span, secs(interval), secs(checkpoint));
            let (writes, asked) = (world.store.writes() as u64, world.store.asked() as u64);
            assert_eq!((writes, asked), (expected, expected), "each {interval} s, {checkpoint} s, {hours} h");
            assert_eq!(world.store.heartbeats() as u64, heartbeats(span), "heartbeats");
        });
    }
}

#[test]
fn in_virtual_time_an_outage_costs_what_the_formula_says_and_no_more() {
    in_virtual_time(async {
        const APIS: u64 = 5;
        let world = world(APIS as usize, 60);
        let _running = world.start(options(3_600)).await;
        let (before, during, after) = (secs(9_000), secs(1_800), secs(9_000));
        tokio::time::sleep(before).await;
        let all = |behaviour| (0..APIS).for_each(|n| world.targets.set(&format!("api-{n}"), behaviour));
        all(Behaviour::Answers(503));
        tokio::time::sleep(during).await;
        all(Behaviour::Answers(200));
        tokio::time::sleep(after).await;
        let period = checkpoint_period(secs(60), secs(3_600));
        // A write of an outage is as good as a checkpoint: the next one is a period later.
        let each = steady_writes(before, secs(60), secs(3_600)) + outage_writes(2, 2, 1) + times(after, period);
        assert_eq!(world.channels[0].delivered().len() as u64, 2 * APIS, "down and up");
        assert_eq!(world.store.writes() as u64, APIS * each);
    });
}

/// A world that keeps history.
fn recorded(apis: usize, interval: u64) -> (FakeWorld, MemoryHistory) {
    let history = MemoryHistory::default();
    (FakeWorld { history: Some(history.clone()), ..world(apis, interval) }, history)
}

/// All APIs are down for half an hour.
async fn outage(world: &FakeWorld, apis: usize) {
    let all = |behaviour| (0..apis).for_each(|n| world.targets.set(&format!("api-{n}"), behaviour));
    all(Behaviour::Answers(503));
    tokio::time::sleep(secs(1_800)).await;
    all(Behaviour::Answers(200));
}

#[test]
fn in_virtual_time_history_is_written_exactly_as_often_as_the_formula_says() {
    // The world begins with a month. Each span is a whole number of flushes and ends in the middle of a day, so that where in a period
    // the turn of an API is decides nothing; the month that is over is written on the second of the next one.
    for (apis, interval, flush, hours, outages) in [
        (10, 60, 3_600, 30, 0),
        (3, 60, 3_600, 9, 1),
        (4, 600, 6 * 3_600, 33 * 24 + 12, 2),
        (4, 900, 12 * 3_600, 84, 0),
    ] {
        in_virtual_time(async {
            let (world, history) = recorded(apis, interval);
            let _running = world.start(Options { history_flush: secs(flush), ..options(3_600) }).await;
            let span = secs(hours * 3_600);
            let began = tokio::time::Instant::now();
            for _ in 0..outages {
                tokio::time::sleep(secs(7_200)).await;
                outage(&world, apis).await;
            }
            tokio::time::sleep_until(began + span).await;
            let each = history_writes(span, secs(flush), outages);
            let what = format!("each {interval} s, {flush} s, {hours} h, {outages} outages");
            // One more at the start: what an earlier process stored of the day is gone on from, and the present day is written at once.
            assert_eq!(
                history.writes() as u64,
                apis as u64 * (1 + each.days + each.incidents + each.months),
                "{what}: {each:?}"
            );
            // To go on from, and two to see that nothing is known of the month before the first.
            let most = 3 + 3 * each.months;
            assert!(history.reads() as u64 <= apis as u64 * most, "{what}: {} readings", history.reads());
        });
    }
}

#[test]
fn in_virtual_time_a_month_of_a_thousand_apis_a_minute_is_below_a_dollar_with_history() {
    const APIS: usize = 1;
    let workload = Workload::of(1_000, secs(60));
    in_virtual_time(async {
        let (world, history) = recorded(APIS, 60);
        let flush = workload.history.unwrap();
        let options = Options { history_flush: flush, ..options(workload.checkpoint.as_secs()) };
        let _running = world.start(options).await;
        // Into the next month, so that the one that is over is written as well, and to the middle of a day.
        let (began, span) = (tokio::time::Instant::now(), secs((33 * 24 + 12) * 3_600));
        for _ in 0..OUTAGES_PER_API {
            tokio::time::sleep(span / 4).await;
            outage(&world, APIS).await;
        }
        tokio::time::sleep_until(began + span).await;
        // No item is larger than the formula has it, so that each write takes its units at most.
        let key = |item: &HistoryItem| item.series.to_string().len() + item.slot.to_string().len();
        let names = "api_id slot bytes epoch expires_at".len() + 2 * "1795332600".len();
        for item in history.items() {
            let most = match item.slot {
                HistorySlot::Day(_) => 1_024,
                HistorySlot::Month(_) => MONTH_ITEM_BYTES,
                HistorySlot::Incident { .. } => INCIDENT_ITEM_BYTES,
                HistorySlot::Note { .. } => panic!("nobody writes notes here"),
            };
            let bytes = (item.bytes.len() + key(&item) + names) as u64;
            assert!(write_units(bytes) <= write_units(most), "{}: {bytes}", item.slot);
        }
        let each = history_writes(span, flush, OUTAGES_PER_API);
        assert_eq!(history.writes() as u64, APIS as u64 * (1 + each.days + each.incidents + each.months));
        let of_a_month = MONTH.as_secs_f64() / span.as_secs_f64() * 1_000.0 / APIS as f64;
        let states = world.store.writes() as f64 * of_a_month;
        let past = each.units() as f64 * APIS as f64 * of_a_month;
        let reckoned = bill(&workload);
        let of = |item: &str| reckoned.lines.iter().find(|line| line.item == item).unwrap();
        let agrees = |counted: f64, item: &str| (0.97..1.005).contains(&(counted / of(item).quantity));
        assert!(agrees(states, "dynamodb_state_writes"), "{states} of {:?}", of("dynamodb_state_writes"));
        assert!(agrees(past, "dynamodb_history_writes"), "{past} of {:?}", of("dynamodb_history_writes"));
        let writes = ["dynamodb_state_writes", "dynamodb_history_writes"];
        let rest = Bill { lines: reckoned.lines.into_iter().filter(|line| !writes.contains(&line.item)).collect() };
        let usd = rest.dynamodb_usd() + prices::WRITES.of((states + past) / 1e6);
        println!(
            "1,000 APIs each minute, a month: {states:.0} writes of states and {past:.0} of history, {usd:.3} USD"
        );
        assert!(usd < 1.0, "{usd}");
    });
}

/// A request to DynamoDB as the proxy saw it.
struct Asked {
    at: Instant,
    text: String,
}

impl Asked {
    fn is(&self, action: &str, table: &str) -> bool {
        self.text.contains(&format!("DynamoDB_20120810.{action}")) && self.text.contains(&format!("\"{table}\""))
    }
}

/// How often `of` was asked for, and in what span from the first to the last.
fn count<'a>(of: impl Iterator<Item = &'a Asked>) -> (u64, Duration) {
    let at: Vec<Instant> = of.map(|asked| asked.at).collect();
    let span = at.last().zip(at.first()).map_or(Duration::ZERO, |(last, first)| *last - *first);
    (at.len() as u64, span)
}

/// In the span that so many really took, no more than the formula has, but for one; and a busy machine makes them no more than
/// half as many.
fn assert_agrees(what: &str, (count, span): (u64, Duration), period: Duration) {
    let most = times(span, period) + 2;
    let least = times(span, period * 2 + secs(1));
    assert!((least..=most).contains(&count), "{what}: {count} in {span:?}, not {least} to {most}");
}

#[test]
fn on_an_emulator_the_daemon_writes_and_reads_as_often_as_the_formula_says() {
    const APIS: [&str; 4] = ["a", "b", "c", "d"];
    let cloud = Cloud::new();
    let target = Server::start();
    for api_id in APIS {
        cloud.put_row(api_id, &target.url(&format!("/{api_id}")), &[]);
    }
    let proxy = HttpProxy::to(Moto::shared().endpoint.rsplit(':').next().unwrap().parse().unwrap());
    proxy.record();
    let mut home = Home::empty();
    cloud.be_known_to(&mut home);
    home.env("AWS_ENDPOINT_URL_DYNAMODB", proxy.url(""));
    home.write(
        "api-health.toml",
        "[store]\ncheckpoint_seconds = 5\nheartbeat_seconds = 2\n[apis]\nreload_seconds = 5\n[notify.terminal]\n",
    );
    let daemon = home.run();
    let asked = || -> Vec<Asked> { proxy.recorded().into_iter().map(|(at, text)| Asked { at, text }).collect() };
    // The renewal of a lone worker's lease is its heartbeat.
    let is_heartbeat = |asked: &&Asked| asked.text.contains("api-health:worker:");
    let looks = |all: &[Asked], key: &str| {
        count(all.iter().filter(|a| a.is("GetItem", &cloud.state_table) && a.text.contains(key)))
    };
    let heartbeats =
        |all: &[Asked]| count(all.iter().filter(|a| a.is("PutItem", &cloud.state_table)).filter(is_heartbeat));
    let puts = |all: &[Asked], id: &str| {
        let id = format!("\"api_id\":{{\"S\":\"{id}\"}}");
        count(all.iter().filter(|a| a.is("PutItem", &cloud.state_table) && a.text.contains(&id)))
    };
    let reads = |all: &[Asked], consistent: bool| {
        let how = format!("\"ConsistentRead\":{consistent}");
        count(all.iter().filter(|a| a.is("Scan", &cloud.config_table) && a.text.contains(&how)))
    };
    wait_for("a few of each", SOON, || {
        let all = asked();
        let each = APIS.iter().all(|id| puts(&all, id).0 >= 5);
        (each && heartbeats(&all).0 >= 8 && reads(&all, false).0 >= 5).then_some(())
    });
    let all = asked();
    for id in APIS {
        assert_agrees(&format!("writes of {id}"), puts(&all, id), checkpoint_period(secs(1), secs(5)));
    }
    assert_agrees("heartbeats", heartbeats(&all), secs(2));
    let (scans, span) = reads(&all, false);
    assert_eq!(scan_calls(APIS.len() as u64), 1, "one call for each reading");
    assert_agrees("readings of the configs", (scans, span), secs(5));
    assert_eq!(reads(&all, true).0, 4, "the first reading sees everything, in four segments");
    assert!(
        all.iter()
            .filter(|a| a.is("Scan", &cloud.config_table))
            .skip(4)
            .all(|a| a.text.contains("\"TotalSegments\":1"))
    );
    // A lone worker looks for others each half minute; at its start it takes what there is.
    let ran = all.last().unwrap().at - all[0].at;
    let lease_reads = lease_calls(1, FLEET_RENEWAL, ran).reads;
    let looked = looks(&all, "api-health:").0;
    assert!(looked <= lease_reads + 8, "{looked} looks in {ran:?}, not {lease_reads} and those of a start");
    let is_assignment = |asked: &&Asked| asked.text.contains("\"S\":\"api-health:assignment\"");
    let assigned = all.iter().filter(|a| a.is("PutItem", &cloud.state_table)).filter(is_assignment).count();
    assert_eq!(assigned, 1, "it takes all shards at once");
    // And nothing else is written.
    let others = all.iter().filter(|a| {
        !is_heartbeat(a) && !is_assignment(a) && !APIS.iter().any(|id| a.text.contains(&format!("\"S\":\"{id}\"")))
    });
    let others: Vec<&str> =
        others.filter(|a| a.text.contains("0810.Put") || a.text.contains("0810.Delete")).map(|a| &*a.text).collect();
    assert_eq!(others, Vec::<&str>::new());

    // What it wrote is read by the same formula's sizes: no row of a steady API is above one write unit.
    let states = cloud.states();
    let (_, item) = states.iter().find(|(key, _)| key.starts_with("api-health:worker:")).unwrap();
    let heartbeat = item["heartbeat"].as_m().unwrap();
    assert_eq!(heartbeat["apis"].as_n().unwrap(), "4");
    assert_eq!(heartbeat["late"].as_n().unwrap(), "0");
    assert!(heartbeat["at"].as_s().unwrap().ends_with('Z'));
    let hangup = proxy.recorded().len();
    daemon.signal(rustix::process::Signal::HUP);
    wait_for("a consistent reading after SIGHUP", SOON, || {
        let all = asked();
        let after: Vec<&Asked> = all[hangup..].iter().filter(|a| a.is("Scan", &cloud.config_table)).collect();
        after.iter().any(|a| a.text.contains("\"ConsistentRead\":true")).then_some(())
    });
    assert_eq!(daemon.stop().code, Some(0));
}

/// DynamoDB Local reckons with units as the documentation says, but for a page with nothing on it, which it gives away; moto does
/// not go by bytes at all.
#[test]
fn the_units_of_a_reading_are_those_that_dynamodb_local_charges() {
    use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, ReturnConsumedCapacity, WriteRequest};
    const ITEM_BYTES: usize = 512;
    let Some(server) = dynamodb_local::shared() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = dynamodb::client(&server.endpoint);
        for items in [20, 520] {
            let table = dynamodb::create_table(&client, "api_id").await;
            let put = |n: usize| {
                let key = format!("{n:0>16}");
                let text = "x".repeat(ITEM_BYTES - "api_id".len() - key.len() - "url".len());
                let put =
                    PutRequest::builder().item("api_id", AttributeValue::S(key)).item("url", AttributeValue::S(text));
                WriteRequest::builder().put_request(put.build().unwrap()).build()
            };
            for chunk in (0..items).collect::<Vec<usize>>().chunks(25) {
                let writes = chunk.iter().map(|n| put(*n)).collect();
                client.batch_write_item().request_items(&table, writes).send().await.unwrap();
            }
            let (mut units, mut calls, mut start) = (0.0, 0, None);
            loop {
                let scan = client.scan().table_name(&table).limit(500).set_exclusive_start_key(start);
                let page = scan.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
                units += page.consumed_capacity.unwrap().capacity_units.unwrap();
                calls += 1;
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
            let expected = scan_half_units(items as u64, ITEM_BYTES as u64) as f64 / 2.0;
            assert_eq!((calls, units), (scan_calls(items as u64), expected), "{items} items");
        }
    });
}
