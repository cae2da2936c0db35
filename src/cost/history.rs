//! What history writes and holds, as pure functions beside those of [`formula`](super::formula): nothing else of it grows with the APIs.

use std::time::Duration;

use super::formula::{ITEM_OVERHEAD_BYTES, MONTH, times, write_units};

/// Bytes of the day of an API: its hours are cut to fit, so that with its key it is one write unit.
pub const DAY_ITEM_BYTES: u64 = 1_024;

/// Bytes of a month of day summaries, the key included.
pub const MONTH_ITEM_BYTES: u64 = 3_400;

/// Bytes of an incident that is over, with what was seen and the key.
pub const INCIDENT_ITEM_BYTES: u64 = 2_048;

/// An incident is written to the series of its API, and to that of all incidents of its month.
pub const ITEMS_PER_INCIDENT: u64 = 2;

const DAY: Duration = Duration::from_secs(86_400);

/// How long days and incidents are kept; months are for ever, and the bill has those of a year.
pub const DAYS_KEPT: u64 = 62;
pub const INCIDENT_DAYS_KEPT: u64 = 400;
pub const MONTHS_HELD: u64 = 12;

/// Writes of the history of one API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryWrites {
    /// Of its present day at each flush, of the day before at the first flush after its end, and of the present day with each incident.
    pub days: u64,
    pub incidents: u64,
    /// Of a month that is over: one for each.
    pub months: u64,
}

/// Those in `span`, in which so many incidents end.
pub fn history_writes(span: Duration, flush: Duration, incidents: u64) -> HistoryWrites {
    let days = times(span, flush) + times(span, DAY) + incidents;
    HistoryWrites { days, incidents: incidents * ITEMS_PER_INCIDENT, months: times(span, MONTH) }
}

impl HistoryWrites {
    pub const fn units(self) -> u64 {
        self.days * write_units(DAY_ITEM_BYTES)
            + self.incidents * write_units(INCIDENT_ITEM_BYTES)
            + self.months * write_units(MONTH_ITEM_BYTES)
    }
}

/// What is held of one API after a year with so many incidents a month.
pub fn history_bytes(incidents_a_month: u64) -> u64 {
    let incidents = INCIDENT_DAYS_KEPT * incidents_a_month * ITEMS_PER_INCIDENT * DAY.as_secs() / MONTH.as_secs();
    DAYS_KEPT * (DAY_ITEM_BYTES + ITEM_OVERHEAD_BYTES)
        + MONTHS_HELD * (MONTH_ITEM_BYTES + ITEM_OVERHEAD_BYTES)
        + incidents * (INCIDENT_ITEM_BYTES + ITEM_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests {
    use api_health_core::history::{HistorySlot, Series, UtcDay};
    use api_health_core::{ApiId, Timestamp};
    use serde_json::json;

    use super::*;

    const fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    #[test]
    fn a_day_is_written_at_each_flush_and_at_its_end_an_incident_twice_and_a_month_once() {
        let writes = history_writes(MONTH, hours(6), 2);
        assert_eq!(writes, HistoryWrites { days: 121 + 30 + 2, incidents: 4, months: 1 });
        assert_eq!(writes.units(), 153 + 4 * 2 + 4);
        let writes = history_writes(hours(24), hours(1), 0);
        assert_eq!((writes.days, writes.months, writes.units()), (25, 0, 25));
    }

    #[test]
    fn what_is_held_is_added_up_by_hand_once() {
        // 62 days, 12 months; 2 incidents in each of 13 months, twice.
        assert_eq!(history_bytes(0), 62 * 1_124 + 12 * 3_500);
        assert_eq!(history_bytes(2), history_bytes(0) + 52 * 2_148);
    }

    #[test]
    fn a_day_with_its_key_is_one_write_unit() {
        let day = UtcDay::of(Timestamp::from_millis(1_795_332_600_250));
        let series = |id: &str| Series::Api(ApiId::parse(id).unwrap()).to_string();
        let keys = |id: &str| {
            let item = json!({
                "api_id": series(id), "slot": HistorySlot::Day(day).to_string(), "epoch": 4_711,
                "expires_at": day.plus_days(62).ends_at().as_millis() / 1_000, "bytes": "",
            });
            crate::store::item_bytes(item.as_object().unwrap()) as u64
        };
        // What is left for the bytes, with a usual id and with the longest.
        assert!(
            DAY_ITEM_BYTES - keys("checkout-service.eu-central-1") >= 920,
            "{}",
            keys("checkout-service.eu-central-1")
        );
        assert!(DAY_ITEM_BYTES - keys(&"x".repeat(80)) >= 870, "{}", keys(&"x".repeat(80)));
    }
}
