//! The bill: what the daemon does in a month, times what that costs.

use std::time::Duration;

use api_health_core::words;

use super::formula::{
    ASSIGNMENT_ITEM_BYTES, CONFIG_ITEM_BYTES, FLEET_RENEWAL, HEARTBEAT_ITEM_BYTES, ITEM_OVERHEAD_BYTES, MONTH,
    PROBE_BYTES_OUT, STATE_ITEM_BYTES, checkpoint_period, lease_calls, outage_writes, read_units, scan_half_units,
    write_units,
};
use super::history::{history_bytes, history_writes};
use super::prices::{self, Price};
use crate::settings::StoreKind;
use crate::settings::load::{default_checkpoint_seconds, default_history_flush_seconds};

/// Outages of one API in a month, each with its recovery.
pub const OUTAGES_PER_API: u64 = 2;

/// Who gets the e-mails of the topic.
pub const MAIL_SUBSCRIBERS: f64 = 1.0;

/// Workers of one fleet at most, as many as Terraform makes.
pub const WORKERS_MAX: u64 = 20;

/// The size of the root volume of an instance.
pub const DISK_GB: f64 = 8.0;

/// APIs that are probed equally often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub apis: u64,
    /// The time between two probes of one, or its mean.
    pub interval: Duration,
}

/// What is watched, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What is watched.
    pub groups: Vec<Group>,
    /// `store.checkpoint_seconds`.
    pub checkpoint: Duration,
    /// `store.heartbeat_seconds`; `None`: none are written.
    pub heartbeat: Option<Duration>,
    /// `history.flush_seconds`; `None`: no history is kept.
    pub history: Option<Duration>,
    /// `apis.reload_seconds`.
    pub reload: Duration,
    /// How many workers share the APIs, each on an instance of its own.
    pub workers: u64,
    /// The name of each instance, one of [`prices::INSTANCES`].
    pub instance: &'static str,
}

impl Workload {
    /// So many APIs, each once in each interval, with the defaults for DynamoDB, on one instance that should do for them.
    pub fn of(apis: u64, interval: Duration) -> Self {
        Self::shared(apis, interval, 1)
    }

    /// The same, shared by so many workers.
    pub fn shared(apis: u64, interval: Duration, workers: u64) -> Self {
        let mut workload = Self {
            groups: vec![Group { apis, interval }],
            checkpoint: Duration::from_secs(default_checkpoint_seconds(StoreKind::Dynamodb)),
            heartbeat: Some(Duration::from_secs(60)),
            history: Some(Duration::from_secs(default_history_flush_seconds(StoreKind::Dynamodb))),
            reload: Duration::from_secs(60),
            workers,
            instance: prices::INSTANCES[0].0,
        };
        workload.instance = workload.instance_that_should_do();
        workload
    }

    /// APIs in all.
    pub fn apis(&self) -> u64 {
        self.groups.iter().map(|group| group.apis).sum()
    }

    /// Probes in a month; rechecks come on top and are few.
    pub fn probes(&self) -> f64 {
        self.groups.iter().map(|group| number(group.apis) * per_month(group.interval)).sum()
    }

    /// By the probes a second of one worker while another one is lost, with room to spare. It is an estimate and no measurement on
    /// that instance: docs/performance.md has what a probe takes.
    pub fn instance_that_should_do(&self) -> &'static str {
        let workers_left = number(self.workers.saturating_sub(1).max(1));
        match self.probes() / MONTH.as_secs_f64() / workers_left {
            rate if rate <= 50.0 => "t4g.nano",
            rate if rate <= 300.0 => "t4g.small",
            _ => "c7g.large",
        }
    }
}

/// One line of the bill.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub item: &'static str,
    pub what: &'static str,
    /// How much of it in a month.
    pub quantity: f64,
    pub unit: &'static str,
    /// Dollars in a month.
    pub usd: f64,
    /// Whether its price was confirmed.
    pub confirmed: bool,
}

/// A month of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    /// Line by line.
    pub lines: Vec<Line>,
}

impl Bill {
    /// Of DynamoDB alone.
    pub fn dynamodb_usd(&self) -> f64 {
        self.lines.iter().filter(|line| line.item.starts_with("dynamodb_")).map(|line| line.usd).sum()
    }

    pub fn total_usd(&self) -> f64 {
        self.lines.iter().map(|line| line.usd).sum()
    }
}

/// A count as a number to reckon with.
fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a bill is not reckoned to 53 bits")]
    let number = count as f64;
    number
}

fn per_month(period: Duration) -> f64 {
    MONTH.as_secs_f64() / period.as_secs_f64().max(0.001)
}

/// The bill of a workload.
pub fn bill(workload: &Workload) -> Bill {
    const MILLION: f64 = 1e6;
    let apis = number(workload.apis());
    let state_units = number(write_units(STATE_ITEM_BYTES));
    let steady: f64 = workload
        .groups
        .iter()
        .map(|group| number(group.apis) * per_month(checkpoint_period(group.interval, workload.checkpoint)))
        .sum();
    let outages = apis * number(OUTAGES_PER_API);
    // By the default thresholds, through one channel.
    let states = (steady + outages * number(outage_writes(2, 2, 1))) * state_units;
    let is_alone = workload.workers <= 1;
    let heartbeat_units = number(write_units(HEARTBEAT_ITEM_BYTES));
    // The renewal of one of several has its heartbeat in it.
    let heartbeats = workload.heartbeat.filter(|_| is_alone).map_or(0.0, per_month) * heartbeat_units;
    let leases = lease_calls(workload.workers, FLEET_RENEWAL, MONTH);
    let renewals = number(leases.renewals) * heartbeat_units;
    let looks = number(leases.reads) * number(read_units(ASSIGNMENT_ITEM_BYTES));
    let reads = per_month(workload.reload) * number(scan_half_units(workload.apis(), CONFIG_ITEM_BYTES)) / 2.0;
    let history = workload.history.map(|flush| history_writes(MONTH, flush, OUTAGES_PER_API).units());
    let history = apis * number(history.unwrap_or(0));
    let past_bytes = workload.history.map_or(0, |_| history_bytes(OUTAGES_PER_API));
    let stored = apis * number(STATE_ITEM_BYTES + CONFIG_ITEM_BYTES + 2 * ITEM_OVERHEAD_BYTES + past_bytes) / 1e9;
    let alerts = outages * 2.0;
    let workers = number(workload.workers);
    let hours = MONTH.as_secs_f64() / 3_600.0 * workers;
    let out = workload.probes() * number(PROBE_BYTES_OUT) / 1e9;
    let instance = prices::INSTANCES.iter().find(|(name, _)| *name == workload.instance);
    let instance = instance.map_or(&prices::INSTANCES[0].1, |(_, price)| price);
    let line = |item, what, price: &Price, quantity: f64, unit, scale: f64| Line {
        item,
        what,
        quantity,
        unit,
        usd: price.of(quantity / scale),
        confirmed: price.confirmed,
    };
    Bill {
        lines: vec![
            line(
                "dynamodb_state_writes",
                "DynamoDB: writes of states",
                &prices::WRITES,
                states,
                "write units",
                MILLION,
            ),
            line(
                "dynamodb_history_writes",
                "DynamoDB: writes of history",
                &prices::WRITES,
                history,
                "write units",
                MILLION,
            ),
            line("dynamodb_heartbeats", "DynamoDB: heartbeats", &prices::WRITES, heartbeats, "write units", MILLION),
            line(
                "dynamodb_lease_renewals",
                "DynamoDB: leases, renewals",
                &prices::WRITES,
                renewals,
                "write units",
                MILLION,
            ),
            line("dynamodb_lease_reads", "DynamoDB: leases, reading", &prices::READS, looks, "read units", MILLION),
            line("dynamodb_reads", "DynamoDB: reading the configs", &prices::READS, reads, "read units", MILLION),
            line("dynamodb_storage", "DynamoDB: storage", &prices::STORAGE, stored, "GB", 1.0),
            line("dynamodb_recovery", "DynamoDB: point-in-time recovery", &prices::RECOVERY, stored, "GB", 1.0),
            line("sns_publishes", "SNS: alerts published", &prices::PUBLISHES, alerts, "publishes", MILLION),
            line("sns_mails", "SNS: e-mails", &prices::MAILS, alerts * MAIL_SUBSCRIBERS, "e-mails", 1e5),
            line("ec2_instance", instance.what, instance, hours, "hours", 1.0),
            line("ec2_ipv4", "EC2: public IPv4 address", &prices::IPV4, hours, "hours", 1.0),
            line("ec2_disk", "EC2: gp3 volume", &prices::DISK, DISK_GB * workers, "GB", 1.0),
            line("ec2_egress", "EC2: data out, of the probes", &prices::EGRESS, out, "GB", 1.0),
        ],
    }
}

/// What somebody else charges for as many APIs.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    pub item: &'static str,
    pub what: &'static str,
    /// Dollars in a month.
    pub usd: f64,
    /// Whether all of its prices were confirmed.
    pub confirmed: bool,
}

/// The same on Route 53, which probes every 30 s (fast: 10 s) from several places, and on CloudWatch Synthetics at the same interval.
pub fn others(workload: &Workload) -> [Other; 5] {
    let apis = number(workload.apis());
    let route_53 = |options: f64| prices::ROUTE_53_OTHER.of(apis) + prices::ROUTE_53_OPTION.of(apis * options);
    let other = |item, what, usd, confirmed| Other { item, what, usd, confirmed };
    [
        other("route53_basic", "Route 53, endpoints in AWS, plain HTTP", prices::ROUTE_53_AWS.of(apis), true),
        other("route53_https", "Route 53, any endpoint, HTTPS", route_53(1.0), false),
        other("route53_string", "the same with a string to match", route_53(2.0), false),
        other("route53_fast", "the same every 10 s", route_53(3.0), false),
        other("synthetics", "CloudWatch Synthetics", prices::SYNTHETICS.of(workload.probes()), false),
    ]
}

/// Dollars as a person reads them: cents below a thousand, whole dollars above.
pub fn dollars(usd: f64) -> String {
    if usd < 999.995 { format!("{usd:.2}") } else { words::number(format!("{usd:.0}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_thousand_apis_a_minute_are_under_a_dollar_of_dynamodb() {
        let bill = bill(&Workload::of(1_000, MINUTE));
        assert!(bill.dynamodb_usd() < 1.0, "{bill:#?}");
        assert!(bill.dynamodb_usd() > 0.5, "and this is no rounding: {bill:#?}");
    }

    #[test]
    fn each_line_is_reckoned_by_hand_once() {
        let bill = bill(&Workload::of(1_000, MINUTE));
        let of = |item: &str| bill.lines.iter().find(|line| line.item == item).unwrap();
        // 2,628,000 s a month: one write each 3,660 s, and 2 outages with 6 writes each.
        assert!((of("dynamodb_state_writes").quantity - 1_000.0 * (2_628_000.0 / 3_660.0 + 12.0)).abs() < 1.0);
        // Days at flushes, at their ends and with incidents; two incidents twice, of two units each; and a month of four.
        assert!((of("dynamodb_history_writes").quantity - 1_000.0 * (121.0 + 30.0 + 2.0 + 8.0 + 4.0)).abs() < 1e-6);
        assert!((of("dynamodb_history_writes").usd - 0.103).abs() < 0.001);
        assert!((of("dynamodb_heartbeats").quantity - 43_800.0).abs() < 1e-6);
        // Two full pages of 250 KB and an empty one, each minute, at half a unit for 4 KB.
        assert!((of("dynamodb_reads").quantity - 43_800.0 * 63.5).abs() < 1e-6);
        assert!((of("ec2_instance").usd - 3.066).abs() < 1e-9);
        assert!((of("ec2_egress").quantity - 43.8e6 * 1_458.0 / 1e9).abs() < 1e-6);
        assert!(of("ec2_egress").usd.abs() < 1e-9, "below 100 GB");
    }

    #[test]
    fn without_history_nothing_is_paid_for_it() {
        let with = Workload::of(1_000, MINUTE);
        let without = Workload { history: None, ..with.clone() };
        let (with, without) = (bill(&with), bill(&without));
        let difference = with.dynamodb_usd() - without.dynamodb_usd();
        assert!((0.14..0.15).contains(&difference), "{difference}");
        assert!(without.lines.iter().all(|line| line.item != "dynamodb_history_writes" || line.quantity == 0.0));
    }

    #[test]
    fn several_workers_pay_for_their_leases_and_their_instances() {
        let of = |workers: u64, apis: u64, item: &str| {
            let bill = bill(&Workload::shared(apis, MINUTE, workers));
            bill.lines.iter().find(|line| line.item == item).unwrap().clone()
        };
        let cents = |usd: f64| (usd * 100.0).round();
        // A look each 30 s at the assignment, beside the heartbeats.
        assert!((of(1, 1_000, "dynamodb_lease_reads").quantity - 87_600.0).abs() < 1e-6);
        assert!(of(1, 1_000, "dynamodb_lease_renewals").usd.abs() < 1e-9);
        assert!((of(1, 1_000, "dynamodb_heartbeats").quantity - 43_800.0).abs() < 1e-6);
        // 876,000 renewals of each; two records at each of as many looks.
        assert_eq!(cents(of(2, 1_000, "dynamodb_lease_renewals").usd), 110.0);
        assert_eq!(cents(of(2, 1_000, "dynamodb_lease_reads").usd), 44.0);
        assert!(of(2, 1_000, "dynamodb_heartbeats").usd.abs() < 1e-9, "they are in the renewals");
        assert_eq!(cents(of(20, 1_000_000, "dynamodb_lease_renewals").usd), 1_095.0);
        assert_eq!(cents(of(20, 1_000_000, "dynamodb_lease_reads").usd), 4_380.0);
        for (item, each) in [("ec2_instance", 3.066), ("ec2_ipv4", 3.65), ("ec2_disk", 0.64)] {
            assert!((of(2, 1_000, item).usd - 2.0 * each).abs() < 1e-9, "{item}");
        }
        for item in ["dynamodb_state_writes", "dynamodb_history_writes", "dynamodb_reads", "ec2_egress"] {
            assert_eq!(of(1, 100_000, item), of(20, 100_000, item), "what is done once is paid once: {item}");
        }
    }

    #[test]
    fn a_lone_worker_pays_at_most_three_percent_more_for_its_lease() {
        let bill = bill(&Workload::of(1_000, MINUTE));
        let leases: f64 =
            bill.lines.iter().filter(|line| line.item.starts_with("dynamodb_lease_")).map(|line| line.usd).sum();
        assert!(leases > 0.0 && leases <= 0.03 * (bill.dynamodb_usd() - leases), "{leases} of {bill:#?}");
    }

    #[test]
    fn the_others_have_room_for_the_share_of_one_that_is_lost() {
        let instance = |workers| Workload::shared(20_000, MINUTE, workers).instance_that_should_do();
        // 333 a second in all: two share them, and one must do for all of them.
        assert_eq!([1, 2, 3, 8].map(instance), ["c7g.large", "c7g.large", "t4g.small", "t4g.nano"]);
    }

    #[test]
    fn others_charge_by_the_check_or_by_the_run() {
        let [basic, https, string, fast, synthetics] = others(&Workload::of(1_000, MINUTE)).map(|other| other.usd);
        assert_eq!([basic, https, string, fast].map(f64::round), [475.0, 2_750.0, 4_750.0, 6_750.0]);
        assert!((synthetics - 52_560.0).abs() < 1e-6);
    }

    #[test]
    fn money_reads_well() {
        assert_eq!(
            [0.004, 0.825, 999.994, 999.996, 1_234_567.4].map(dollars),
            ["0.00", "0.82", "999.99", "1,000", "1,234,567"]
        );
    }
}
