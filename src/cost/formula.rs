//! How often the daemon writes and reads, as pure functions. `tests/it/writes.rs` counts what it really does, in virtual time
//! over days and on an emulator, and compares.

use std::time::Duration;

use api_health_core::own::terms::Terms;

/// A month, as AWS's own calculator has it: 730 hours.
pub const MONTH: Duration = Duration::from_secs(730 * 3_600);

/// Bytes of a state: up to 1 KB is one write unit. A row with an incident and an owed alert fits (a test measures).
pub const STATE_ITEM_BYTES: u64 = 1_024;

/// Bytes of a config: more than twice those of a plain row (a test measures).
pub const CONFIG_ITEM_BYTES: u64 = 512;

/// Bytes of the heartbeat while hardly any API is late (a test measures).
pub const HEARTBEAT_ITEM_BYTES: u64 = 1_024;

/// How often a worker that is alone looks at who owns what. Its renewal is its heartbeat, which is written anyway.
pub const LONE_LOOK: Duration = Terms::DEFAULT.quiet_read;

/// How often each of several workers renews its lease, and looks at who owns what: `fleet.renew_seconds`, as it is set by
/// default.
pub const FLEET_RENEWAL: Duration = Terms::DEFAULT.renew;

/// Bytes of the record that says who owns what, for 64 shards and 20 workers while hardly anything is asked of them: up to 4 KB
/// is one read unit.
pub const ASSIGNMENT_ITEM_BYTES: u64 = 4_096;

/// Bytes that leave the instance for one probe: TCP, TLS 1.3 and one small request on a new connection, measured on a veth pair
/// with the headers of Ethernet counted.
pub const PROBE_BYTES_OUT: u64 = 1_458;

/// What DynamoDB keeps for each item beside its bytes.
pub const ITEM_OVERHEAD_BYTES: u64 = 100;

/// Items in one page of a scan, as the program asks for them.
pub const PAGE_ITEMS: u64 = crate::store::PAGE_ITEMS as u64;

/// A write that may wait is done at the next whole second after its checkpoint, and the keeper looks for it four times a second.
const CHECKPOINT_SLACK: Duration = Duration::from_millis(1_250);

/// How long it is from one write of a steady API to the next.
///
/// The outcome that comes first after a write begins the wait. The write is due when `checkpoint` is over, within a second or so;
/// and the wait begins again with the first outcome after that: so the period is a whole number of intervals, and the least one
/// that is longer than `checkpoint` and that second.
pub fn checkpoint_period(interval: Duration, checkpoint: Duration) -> Duration {
    let interval_ms = interval.as_millis().max(1);
    // Half the slack, the most likely: exact where an interval is longer than all of it and divides the checkpoint.
    let waits_ms = (checkpoint + CHECKPOINT_SLACK / 2).as_millis();
    let intervals = waits_ms / interval_ms + 1;
    Duration::from_millis(u64::try_from(intervals.saturating_mul(interval_ms)).unwrap_or(u64::MAX))
}

/// Writes of the state of one API in `span` in which nothing is decided, the first one (it is up) included.
pub fn steady_writes(span: Duration, interval: Duration, checkpoint: Duration) -> u64 {
    1 + times(span, checkpoint_period(interval, checkpoint))
}

/// Writes of the state of one API for one outage and its recovery: each outcome that confirms a change, and one for each channel
/// that took an alert over, down and up.
pub const fn outage_writes(failure_threshold: u64, success_threshold: u64, channels: u64) -> u64 {
    failure_threshold + success_threshold + 2 * channels
}

/// What all workers together ask of DynamoDB for their leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseCalls {
    /// `PutItem` of a worker's own record, beside the heartbeats: none where one worker is alone.
    pub renewals: u64,
    /// `GetItem`, each strongly consistent: at each look the assignment and the record of every other worker.
    pub reads: u64,
}

/// The calls for leases of so many workers in `span` in which nobody joins or leaves. `renewal` is `fleet.renew_seconds`, which
/// only counts where there are several; what a change of owners writes is left out.
pub fn lease_calls(workers: u64, renewal: Duration, span: Duration) -> LeaseCalls {
    let is_alone = workers <= 1;
    let looks = times(span, if is_alone { LONE_LOOK } else { renewal });
    LeaseCalls {
        renewals: if is_alone { 0 } else { workers.saturating_mul(looks) },
        reads: workers.saturating_mul(looks).saturating_mul(workers),
    }
}

/// Read units of one strongly consistent read of an item.
pub const fn read_units(item_bytes: u64) -> u64 {
    let units = item_bytes.div_ceil(4_096);
    if units == 0 { 1 } else { units }
}

/// How often something happens in `span` that happens once in each `period`.
pub fn times(span: Duration, period: Duration) -> u64 {
    u64::try_from(span.as_millis() / period.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// Write units of one item.
pub const fn write_units(item_bytes: u64) -> u64 {
    let units = item_bytes.div_ceil(1_024);
    if units == 0 { 1 } else { units }
}

/// Calls that one reading of a table of so many items takes: a page that is full is followed by another, which may be empty.
pub const fn scan_calls(items: u64) -> u64 {
    items / PAGE_ITEMS + 1
}

/// Read units of one eventually consistent reading of a table, in half units of 4 KB: each page is rounded up by itself, and an
/// empty one counts as well.
pub fn scan_half_units(items: u64, item_bytes: u64) -> u64 {
    let page = |items: u64| (items * item_bytes).div_ceil(4_096).max(1);
    (items / PAGE_ITEMS) * page(PAGE_ITEMS) + page(items % PAGE_ITEMS)
}

#[cfg(test)]
mod tests {
    use api_health_core::delivery::{Delivery, OwedAlert};
    use api_health_core::incident::Incident;
    use api_health_core::state::LastProbe;
    use api_health_core::{Alert, AlertKind, ApiId, ApiState, Heartbeat, Status, Timestamp, Verdict};
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::store::record::StateRecord;
    use crate::store::record::heartbeat::HeartbeatRecord;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_write_waits_for_its_checkpoint_and_the_next_begins_with_an_outcome() {
        assert_eq!(checkpoint_period(secs(60), secs(3_600)), secs(3_660));
        assert_eq!(checkpoint_period(secs(60), secs(10)), secs(60));
        assert_eq!(checkpoint_period(secs(7_200), secs(3_600)), secs(7_200));
        assert_eq!(steady_writes(secs(86_400), secs(60), secs(3_600)), 24);
        assert_eq!(outage_writes(2, 2, 1), 6);
    }

    #[test]
    fn one_worker_only_looks_and_several_renew_and_look_at_each_other() {
        let calls = |workers, span| lease_calls(workers, FLEET_RENEWAL, span);
        assert_eq!(calls(1, secs(60)), LeaseCalls { renewals: 0, reads: 2 });
        assert_eq!(calls(2, secs(60)), LeaseCalls { renewals: 40, reads: 80 });
        assert_eq!(calls(20, secs(3)), LeaseCalls { renewals: 20, reads: 400 });
        assert_eq!(lease_calls(3, secs(1), secs(10)), LeaseCalls { renewals: 30, reads: 90 });
        assert_eq!(calls(0, secs(60)), LeaseCalls { renewals: 0, reads: 0 });
    }

    #[test]
    fn a_scan_is_paid_by_the_page() {
        assert_eq!((scan_calls(0), scan_half_units(0, 512)), (1, 1));
        assert_eq!((scan_calls(8), scan_half_units(8, 512)), (1, 1));
        assert_eq!((scan_calls(500), scan_half_units(500, 512)), (2, 63 + 1));
        assert_eq!((scan_calls(1_000), scan_half_units(1_000, 512)), (3, 63 + 63 + 1));
        assert_eq!((write_units(0), write_units(1_024), write_units(1_025)), (1, 1, 2));
        assert_eq!((read_units(0), read_units(4_096), read_units(4_097)), (1, 1, 2));
    }

    fn item_bytes(item: &impl Serialize) -> u64 {
        let Value::Object(fields) = serde_json::to_value(item).unwrap() else { panic!("no item") };
        crate::store::item_bytes(&fields) as u64
    }

    #[test]
    fn a_state_is_one_write_unit_also_in_an_outage() {
        let at = Timestamp::from_millis(1_795_332_600_250);
        let steady = ApiState {
            version: 12_345,
            epoch: 4_711,
            status: Status::Up,
            since: Some(at),
            last_alerted: Status::Up,
            last_probe: Some(LastProbe {
                at,
                verdict: Verdict::Pass,
                latency_ms: Some(87),
                status_code: Some(200),
                error: None,
            }),
            missed_ticks: 3,
            ..ApiState::unknown(ApiId::parse("checkout-service.eu-central-1").unwrap())
        };
        let bytes = item_bytes(&StateRecord::from(&steady));
        assert!((200..400).contains(&bytes), "a steady API: {bytes}");
        let reason = "status 503 is not in 2xx";
        let url = "https://checkout.eu-central-1.example.com/health";
        let incident = Incident {
            incident_id: "checkout-service.eu-central-1.1795332600250.12345".into(),
            started_at: at,
            reason: reason.into(),
            name: "Checkout (Frankfurt)".into(),
            url: url.into(),
            owed_to: vec!["sns".into()],
            evidence: None,
            reminders: 0,
            confirmed_at: None,
            delivered: Vec::new(),
        };
        let alert = Alert {
            alert_id: Alert::id(&incident.incident_id, AlertKind::Down),
            incident_id: incident.incident_id.clone(),
            kind: AlertKind::Down,
            api_id: steady.api_id.clone(),
            name: incident.name.clone(),
            url: url.into(),
            previous_status: Status::Up,
            happened_at: at,
            detected_at: at,
            incident_started_at: at,
            reason: reason.into(),
            changes_left_out: 0,
            evidence: None,
        };
        let down = ApiState {
            status: Status::Down,
            incident: Some(Box::new(incident)),
            last_alerted: Status::Down,
            owed: vec![OwedAlert {
                alert,
                owed_to: vec!["sns".into()],
                deliveries: vec![Delivery { channel: "sns".into(), ..Delivery::default() }],
            }],
            ..steady
        };
        let bytes = item_bytes(&StateRecord::from(&down));
        assert!((500..=STATE_ITEM_BYTES + 256).contains(&bytes), "an API that is down and owes an alert: {bytes}");
    }

    #[test]
    fn a_plain_config_is_less_than_half_of_what_is_reckoned_with() {
        let plain = json!({
            "api_id": "checkout-service.eu-central-1",
            "name": "Checkout (Frankfurt)",
            "url": "https://checkout.eu-central-1.example.com/health",
            "interval_seconds": 60,
            "timeout_seconds": 5,
            "headers": { "Authorization": "Bearer ${credential:checkout}" },
            "tags": ["shop", "production"],
        });
        let bytes = item_bytes(&plain);
        assert!((CONFIG_ITEM_BYTES / 3..=CONFIG_ITEM_BYTES / 2).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_heartbeat_is_one_write_unit_while_few_are_late() {
        let heartbeat = Heartbeat {
            at: Timestamp::from_millis(1_795_332_600_250),
            instance: "ip-10-0-1-7.eu-central-1.compute.internal:12345:1795332600250".into(),
            version: "0.1.0".into(),
            period: Some(secs(60)),
            checkpoint: secs(3_600),
            apis: 100_000,
            up: 99_998,
            down: 1,
            unknown: 1,
            owed: 1,
            probes: 100_000,
            probes_since: Timestamp::from_millis(1_795_332_540_250),
            late: 10,
            late_api_ids: (0..10).map(|n| ApiId::parse(&format!("checkout-service.eu-central-{n}")).unwrap()).collect(),
            inconclusive: 0,
            inconclusive_api_ids: vec![],
        };
        let bytes = item_bytes(&HeartbeatRecord::from(&heartbeat));
        assert!(bytes <= HEARTBEAT_ITEM_BYTES, "{bytes}");
    }
}
