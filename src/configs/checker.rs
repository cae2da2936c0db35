//! Validates the rows of one source one by one, so that only one raw row is in memory at a time.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use api_health_actors::ports::{LoadedConfigs, RefusedRow};
use api_health_core::{Alerting, ApiConfig, ApiId, ConfigFault, Timestamp};

use super::fields;
use super::raw::RawRow;
use super::schedules::ScheduleCache;
use super::secrets::Noting;
use super::validate::{FAULTS_PER_SOURCE_MAX, RowRules, place};
use super::values::{ValueFault, quote};

/// What was read so far.
pub struct Checker<'a> {
    rules: &'a RowRules,
    secrets: Noting<'a>,
    schedules: ScheduleCache,
    /// That of the last good row, which the next one most likely has as well.
    alerting: Arc<Alerting>,
    now: Timestamp,
    rows: Vec<CheckedRow>,
    faults: usize,
}

struct CheckedRow {
    api_id: Option<Box<str>>,
    location: Box<str>,
    result: Result<Arc<ApiConfig>, RefusedRow>,
}

impl<'a> Checker<'a> {
    /// No row was read yet.
    pub fn new(rules: &'a RowRules) -> Self {
        let secrets = Noting::new(rules.secrets.as_ref());
        let (schedules, now) = (ScheduleCache::default(), rules.clock.now());
        Self { rules, secrets, schedules, alerting: Arc::default(), now, rows: Vec::new(), faults: 0 }
    }

    /// The next row.
    pub fn push(&mut self, row: &RawRow) {
        let mut result = self.rules.check_with(row, &self.secrets, &mut self.schedules, self.now);
        match &mut result {
            Ok(config) if config.alerting == self.alerting => config.alerting = Arc::clone(&self.alerting),
            Ok(config) => self.alerting = Arc::clone(&config.alerting),
            Err(refused) => {
                if self.faults >= FAULTS_PER_SOURCE_MAX {
                    refused.faults.truncate(1);
                    refused.faults.shrink_to_fit();
                }
                self.faults += refused.faults.len();
            }
        }
        let result = result.map(Arc::new);
        self.rows.push(CheckedRow { api_id: row.api_id().map(Into::into), location: (*row.location).into(), result });
    }

    /// How many rows there were.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The id of the row that was read last, if that is good.
    pub fn last(&self) -> Option<ApiId> {
        self.rows.last()?.result.as_ref().ok().map(|config| config.api_id.clone())
    }

    /// Forgets all rows but the first ones.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
        self.faults = self.rows.iter().filter_map(|row| row.result.as_ref().err()).map(|row| row.faults.len()).sum();
    }

    /// What they mean, and the files that secrets were taken from. Rows that share an id are all refused, each naming the others.
    pub fn finish(self) -> (LoadedConfigs, BTreeSet<PathBuf>) {
        let mut duplicates = duplicates(&self.rows);
        let mut loaded = LoadedConfigs::default();
        for (index, row) in self.rows.into_iter().enumerate() {
            match (row.result, duplicates.remove(&index)) {
                (Ok(config), None) => loaded.good.push(config),
                (Ok(config), Some(fault)) => {
                    loaded.refused.push(RefusedRow { api_id: Some(config.api_id.clone()), faults: vec![fault] });
                }
                (Err(mut refused), fault) => {
                    refused.faults.splice(..0, fault);
                    loaded.refused.push(refused);
                }
            }
        }
        (loaded, self.secrets.asked())
    }
}

/// The fault of each row whose id another row has as well.
fn duplicates(rows: &[CheckedRow]) -> HashMap<usize, ConfigFault> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    let mut of_id: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(api_id) = row.api_id.as_deref() else { continue };
        match first.entry(api_id) {
            Entry::Vacant(entry) => {
                entry.insert(index);
            }
            Entry::Occupied(entry) => of_id.entry(api_id).or_insert_with(|| vec![*entry.get()]).push(index),
        }
    }
    let fault = |api_id: &str, index: usize, duplicates: &[usize]| {
        let others = duplicates.iter().filter(|other| **other != index).map(|other| &*rows[*other].location);
        let others = others.take(3).collect::<Vec<_>>().join(" and ");
        let more = if duplicates.len() > 4 { " and elsewhere" } else { "" };
        let location = format!("{}: {}", place(&rows[index].location, Some(api_id)), fields::API_ID.name);
        let why = format!("is also the api_id of {others}{more}");
        ValueFault::new(quote(api_id), why, "another api_id in all but one of them").at(location)
    };
    let of_one = |(api_id, duplicates): (&str, Vec<usize>)| {
        duplicates.iter().map(|index| (*index, fault(api_id, *index, &duplicates))).collect::<Vec<_>>()
    };
    of_id.into_iter().flat_map(of_one).collect()
}
