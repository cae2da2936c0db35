//! Config rows as they were read: from when on what is watched.

use std::collections::BTreeMap;
use std::sync::Arc;

use api_health_core::{ApiConfig, ApiId};

use super::{Checked, Oracle, Rows, Violation};
use crate::model::Item;

impl Oracle<'_> {
    pub(super) fn configs_read(&mut self, rows: Option<&Rows>) -> Checked {
        let Some(rows) = rows else {
            self.count("configs: unreachable");
            return Ok(());
        };
        if self.is_up {
            return self.rows_apply(rows);
        }
        // Nothing is watched before the records are read.
        let is_empty = rows.0.is_empty() && rows.1.is_empty();
        if !is_empty || self.rows.is_none() {
            self.rows = Some(rows.clone());
        }
        Ok(())
    }

    pub(super) fn rows_apply(&mut self, (good, refused): &Rows) -> Checked {
        if self.is_stopping {
            return Ok(());
        }
        if good.is_empty() && refused.is_empty() {
            self.count("configs: empty");
            if !self.roster.is_empty() {
                return Ok(());
            }
        }
        let mut roster: BTreeMap<ApiId, Arc<ApiConfig>> =
            good.iter().map(|row| (row.api_id.clone(), Arc::clone(row))).collect();
        for api_id in refused {
            self.count("configs: a row refused");
            if let Some(last_good) = self.roster.get(api_id) {
                roster.insert(api_id.clone(), Arc::clone(last_good));
            }
        }
        let are_there_rows = !roster.is_empty() || !refused.is_empty();
        let looks = !self.looked_for_unconfigured && are_there_rows;
        self.looked_for_unconfigured |= looks;
        let (now, life) = (self.now, self.life);
        for (api_id, one) in &mut self.apis {
            let row = roster.get(api_id).filter(|row| row.enabled);
            let was = one.cadence.watched.as_ref().map(|(row, _)| Arc::clone(row));
            let stops = was.is_some() && row.is_none();
            one.is_asked_anew |= was.is_some_and(|was| row.is_some_and(|row| row.url != was.url));
            let is_gone = looks && row.is_none() && !refused.contains(api_id);
            if stops || is_gone {
                one.happens(Item::Unwatched(now.wall), now.at, life);
            }
            if stops {
                self.api_time += now.at - self.life_began;
            }
            one.cadence.row(row, now).map_err(|what| Violation {
                check: "starved",
                api_id: Some(api_id.clone()),
                at: now.at,
                what,
            })?;
        }
        self.roster = roster;
        Ok(())
    }
}
