//! What is read of history: the last days of an API, to go on from, and those of a month that is over.

use std::ops::RangeInclusive;

use super::Recording;
use crate::api::ApiId;
use crate::history::{Day, FormError, HistoryItem, HistorySlot, Past, Series, UtcDay, UtcMonth, series};
use crate::keep::Keeper;
use crate::schedule::Moment;
use crate::status::Status;
use crate::store::StoreError;
use crate::time::Timestamp;

/// Incidents of one API that are read for the month that is over.
const INCIDENTS_READ_MAX: usize = 500;

/// Those that began so long before that month are among them.
const INCIDENT_DAYS_MAX: i32 = 366;

/// What is read, for whom.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The last days, to go on from.
    Resume,
    /// Whether a month is stored in short already,
    Month(UtcMonth),
    /// if not its days,
    Days(UtcMonth),
    /// and its incidents.
    Incidents(UtcMonth, Vec<Day>),
}

impl Keeper {
    /// From the second of a month on, the month before is stored in short.
    pub(super) fn queue_month(&mut self, api_id: &ApiId, now: Timestamp) {
        let today = UtcDay::of(now);
        let month = today.month().plus_months(-1);
        let recording = self.ledger.get_mut(api_id).and_then(|entry| entry.recording.as_mut());
        let is_due = |recording: &&mut Box<Recording>| {
            recording.is_resumed
                && !recording.is_month_asked
                && !recording.recorder.has_days_over()
                && recording.month_stored != Some(month)
        };
        if today.day_of_month() >= 2
            && let Some(recording) = recording.filter(is_due)
        {
            recording.is_month_asked = true;
            self.history.to_read.push_back((api_id.clone(), Wanted::Month(month)));
        }
    }

    /// What was read of an API, the oldest first.
    pub fn on_history_read(&mut self, call: u64, read: Result<Vec<HistoryItem>, StoreError>, now: Moment) {
        let Some((api_id, wanted)) = self.history.reads.remove(&call) else { return };
        match read {
            Ok(items) => {
                self.history.failures = 0;
                self.use_history(&api_id, wanted, &items, now);
            }
            Err(error) => {
                self.history.to_read.push_back((api_id, wanted));
                self.history.pause(&error, now.monotonic, &mut self.log);
            }
        }
        self.pump_history(now);
        self.answer_waiters();
    }

    fn use_history(&mut self, api_id: &ApiId, wanted: Wanted, items: &[HistoryItem], now: Moment) {
        let epoch = self.owned.epoch(api_id);
        let Some((entry, epoch)) = self.ledger.get_mut(api_id).zip(epoch) else { return };
        let Some(recording) = &mut entry.recording else { return };
        // What follows is read before anything else, so that few days are in memory at once.
        let next = match wanted {
            Wanted::Resume => {
                recording.resume(items, entry.alive_until);
                self.queue_history(api_id);
                return;
            }
            Wanted::Month(month) if items.is_empty() => Wanted::Days(month),
            Wanted::Days(month) if !items.is_empty() => {
                Wanted::Incidents(month, Past::of(items).days().cloned().collect())
            }
            Wanted::Month(month) | Wanted::Days(month) => {
                recording.is_month_asked = false;
                recording.month_stored = Some(month);
                return;
            }
            Wanted::Incidents(month, days) => {
                recording.is_month_asked = false;
                let mut past = Past::of(items);
                past.stories.extend(entry.state.awaiting_history.iter().cloned());
                days.into_iter().for_each(|day| past.put(day));
                let down_since = entry.state.since.filter(|_| entry.state.status == Status::Down);
                let bytes = past.with_present(down_since, None).month(month).encode();
                let (series, slot) = (Series::Api(api_id.clone()), HistorySlot::Month(month));
                self.history.groups.push_back(vec![HistoryItem { series, slot, epoch, kept_until: None, bytes }]);
                *self.history.busy.entry(api_id.clone()).or_default() += 1;
                self.pump_history(now);
                return;
            }
        };
        self.history.to_read.push_front((api_id.clone(), next));
    }
}

impl Recording {
    /// Goes on from what is stored; it was watched until `alive_until`, by whoever did it before.
    fn resume(&mut self, items: &[HistoryItem], alive_until: Option<Timestamp>) {
        self.is_resumed = true;
        let mut days = Vec::new();
        for item in items {
            let HistorySlot::Day(day) = item.slot else { continue };
            match Day::decode(day, &item.bytes) {
                Ok(day) => days.push(day),
                Err(FormError::Newer { .. }) => self.left_alone = Some(day),
                Err(FormError::Damaged(_)) => {} // it is written over
            }
        }
        let Some(last) = days.pop() else { return };
        let alive_until = alive_until.filter(|alive| alive.since(last.until) <= series::UNWRITTEN_MAX);
        match alive_until.filter(|alive| *alive > last.until) {
            Some(alive) => days.extend(series::extend(last, alive)),
            None => days.push(last),
        }
        self.recorder.resume(&days);
    }
}

impl Wanted {
    pub(super) fn slots(
        &self,
        api_id: &ApiId,
        alive_until: Option<Timestamp>,
        now: Timestamp,
    ) -> (RangeInclusive<HistorySlot>, usize) {
        match self {
            Self::Resume => {
                let today = UtcDay::of(now);
                // The day of the last write before that.
                let back =
                    |alive: Timestamp| alive.as_millis().saturating_sub(series::UNWRITTEN_MAX.as_millis() as i64);
                let from = alive_until.map_or(today, |alive| UtcDay::of(Timestamp::from_millis(back(alive))));
                let from = from.min(today.plus_days(-1));
                (HistorySlot::Day(from)..=HistorySlot::Day(today), 2)
            }
            Self::Month(month) => (HistorySlot::Month(*month)..=HistorySlot::Month(*month), 1),
            Self::Days(month) => (HistorySlot::Day(month.first_day())..=HistorySlot::Day(month.last_day()), 31),
            Self::Incidents(month, _) => {
                let slot = |started_at| HistorySlot::Incident { started_at, api_id: api_id.clone() };
                let first = month.first_day().plus_days(-INCIDENT_DAYS_MAX).starts_at();
                (slot(first)..=slot(month.last_day().ends_at()), INCIDENTS_READ_MAX)
            }
        }
    }
}
