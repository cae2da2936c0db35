//! One item of history, as a store keeps it: whose it is, which time it covers, and its bytes.

use std::fmt;
use std::ops::RangeInclusive;

use super::calendar::{UtcDay, UtcMonth};
use crate::api::ApiId;
use crate::time::Timestamp;

/// The longest item that is written or read, in bytes. A month of day summaries has some 3,300, an incident with its evidence some
/// 2,000.
pub const ITEM_BYTES_MAX: usize = 16 * 1024;

/// Whose history it is: the part of the key by which items lie together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Series {
    Api(ApiId),
    /// Copies of all incidents that began in a month, for lists of them.
    Incidents(UtcMonth),
}

/// Which time an item covers: the part of the key by which items are ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HistorySlot {
    /// The hours of a day: `d#2026-11-26`.
    Day(UtcDay),
    /// An incident that is over: `i#2026-11-26T07:30:00.000Z#shop`. The API is named since two may begin in one moment.
    Incident { started_at: Timestamp, api_id: ApiId },
    /// The days of a month, in short: `m#2026-11`.
    Month(UtcMonth),
    /// What a person wrote at that time on the incident that began then: `n#2026-11-26T07:30:00.000Z#shop#2026-11-26T07:41:00.000Z`.
    Note { started_at: Timestamp, api_id: ApiId, at: Timestamp },
}

/// An item as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryItem {
    pub series: Series,
    pub slot: HistorySlot,
    /// The fencing token of the worker that wrote it: an item is not replaced by one with a lower epoch.
    pub epoch: u64,
    /// From when on it may be deleted; `None`: never.
    pub kept_until: Option<Timestamp>,
    /// At most [`ITEM_BYTES_MAX`].
    pub bytes: Vec<u8>,
}

/// No time that is written with four digits for its year is later.
const TIME_MAX: Timestamp = Timestamp::from_millis(253_402_300_799_999);

const INCIDENTS: &str = "api-health:incidents:";

impl Series {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(INCIDENTS) {
            Some(month) => UtcMonth::parse(month).map(Self::Incidents),
            None => ApiId::parse(text).ok().map(Self::Api),
        }
    }
}

impl HistorySlot {
    /// Every incident that began between two moments, of whichever API.
    pub fn incidents(from: Timestamp, until: Timestamp) -> RangeInclusive<Self> {
        let [first, last] = [ApiId::first(), ApiId::last()];
        Self::Incident { started_at: from, api_id: first }..=Self::Incident { started_at: until, api_id: last }
    }

    /// Every note on an incident that began between two moments, of whichever API.
    pub fn notes(from: Timestamp, until: Timestamp) -> RangeInclusive<Self> {
        let [first, last] = [ApiId::first(), ApiId::last()];
        let first = Self::Note { started_at: from, api_id: first, at: Timestamp::default() };
        first..=Self::Note { started_at: until, api_id: last, at: TIME_MAX }
    }

    /// The notes on one incident.
    pub fn notes_on(started_at: Timestamp, api_id: &ApiId) -> RangeInclusive<Self> {
        let slot = |at| Self::Note { started_at, api_id: api_id.clone(), at };
        slot(Timestamp::default())..=slot(TIME_MAX)
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_at_checked(2)? {
            ("d#", day) => UtcDay::parse(day).map(Self::Day),
            ("m#", month) => UtcMonth::parse(month).map(Self::Month),
            ("i#", rest) => {
                let (started_at, api_id) = rest.split_once('#')?;
                Some(Self::Incident { started_at: Timestamp::parse(started_at)?, api_id: ApiId::parse(api_id).ok()? })
            }
            ("n#", rest) => {
                let (started_at, rest) = rest.split_once('#')?;
                let (api_id, at) = rest.split_once('#')?;
                let [started_at, at] = [Timestamp::parse(started_at)?, Timestamp::parse(at)?];
                Some(Self::Note { started_at, api_id: ApiId::parse(api_id).ok()?, at })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(api_id) => api_id.fmt(f),
            Self::Incidents(month) => write!(f, "{INCIDENTS}{month}"),
        }
    }
}

impl fmt::Display for HistorySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => write!(f, "d#{day}"),
            Self::Incident { started_at, api_id } => write!(f, "i#{started_at}#{api_id}"),
            Self::Month(month) => write!(f, "m#{month}"),
            Self::Note { started_at, api_id, at } => write!(f, "n#{started_at}#{api_id}#{at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_not() {
        let api_id = ApiId::parse("shop").unwrap();
        let at = Timestamp::from_millis(1_795_332_600_250);
        for series in [Series::Api(api_id.clone()), Series::Incidents(UtcMonth::of(at))] {
            assert_eq!(Series::parse(&series.to_string()), Some(series));
        }
        let note = HistorySlot::Note { started_at: at, api_id: api_id.clone(), at };
        let incident = HistorySlot::Incident { started_at: at, api_id };
        assert_eq!(incident.to_string(), "i#2026-11-22T07:30:00.250Z#shop");
        for slot in [HistorySlot::Day(UtcDay::of(at)), incident, note, HistorySlot::Month(UtcMonth::of(at))] {
            assert_eq!(HistorySlot::parse(&slot.to_string()), Some(slot));
        }
        for bad in
            ["", "d", "d#", "ü#2026-11-26", "d#2026-11", "m#2026-11-26", "i#2026-11-22T07:30:00.250Z", "x#2026-11"]
        {
            assert_eq!(HistorySlot::parse(bad), None, "{bad}");
        }
        assert_eq!(Series::parse("api-health:incidents:now"), None);
    }
}
