//! What is configured, for commands that look at it: every row of every source, without creating a store.

use std::collections::HashSet;
use std::sync::Arc;

use api_health_actors::ports::RefusedRow;
use api_health_core::{ApiConfig, ApiId};

use crate::app::{App, AppError};
use crate::configs::files;
use crate::configs::raw::RawRow;
use crate::configs::validate::RowRules;

/// One source of rows, read.
pub(super) struct Source {
    pub(super) name: String,
    /// Its rows as they were written, or why it cannot be read.
    pub(super) rows: Result<Vec<RawRow>, AppError>,
}

/// Reads every source that is set, in the order in which they win: the file, the store's table. A table whose SQLite
/// file is not there yet has no rows.
pub(super) async fn read(app: &App) -> Vec<Source> {
    let mut sources = Vec::new();
    let paths = &app.settings.apis.files;
    if !paths.is_empty() {
        let name = files::name_of(paths);
        let (rows, faults) = files::rows_of(paths);
        if faults.is_empty() || !rows.is_empty() {
            sources.push(Source { name: name.clone(), rows: Ok(rows) });
        }
        sources.extend(faults.into_iter().map(|fault| Source { name: name.clone(), rows: Err(fault.into()) }));
    }
    if app.settings.apis.from_store {
        sources.push(table(app).await);
    }
    sources
}

async fn table(app: &App) -> Source {
    if !app.store_exists() {
        return Source { name: app.table_name(), rows: Ok(Vec::new()) };
    }
    match app.open_table().await {
        Ok(table) => Source { name: table.name(), rows: table.rows().await.map_err(AppError::from) },
        Err(error) => Source { name: app.table_name(), rows: Err(error) },
    }
}

/// One good row.
pub(super) struct Configured {
    /// What it means.
    pub(super) config: Arc<ApiConfig>,
    /// The source that it is from.
    pub(super) source: String,
    /// An earlier source has the same id and wins.
    pub(super) shadowed: bool,
}

/// One row that is not good.
pub(super) struct Refused {
    /// The row with its faults.
    pub(super) row: RefusedRow,
    /// The source that it is from.
    pub(super) source: String,
}

/// Every row of every source, checked.
#[derive(Default)]
pub(super) struct Checked {
    /// Good rows, by id.
    pub(super) good: Vec<Configured>,
    pub(super) refused: Vec<Refused>,
    /// Sources that cannot be read, and why.
    pub(super) unreadable: Vec<(String, AppError)>,
}

/// Checks what [`read`] gave.
pub(super) fn check(sources: Vec<Source>, rules: &RowRules) -> Checked {
    let mut checked = Checked::default();
    let mut seen: HashSet<ApiId> = HashSet::new();
    for Source { name, rows } in sources {
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                checked.unreadable.push((name, error));
                continue;
            }
        };
        let loaded = rules.check_all(&rows);
        let ids: Vec<ApiId> = loaded.good.iter().map(|config| config.api_id.clone()).collect();
        checked.good.extend(loaded.good.into_iter().map(|config| Configured {
            shadowed: seen.contains(&config.api_id),
            config,
            source: name.clone(),
        }));
        checked.refused.extend(loaded.refused.into_iter().map(|row| Refused { row, source: name.clone() }));
        seen.extend(ids);
    }
    checked.good.sort_by(|a, b| a.config.api_id.cmp(&b.config.api_id).then(a.shadowed.cmp(&b.shadowed)));
    checked
}

/// Every row of every source, for commands to which secrets do not matter.
pub(super) async fn read_without_secrets(app: &App) -> Checked {
    check(read(app).await, &app.rules.without_secrets())
}

impl Checked {
    /// The configs that are in force.
    pub(super) fn in_force(&self) -> impl Iterator<Item = &ApiConfig> {
        self.good.iter().filter(|row| !row.shadowed).map(|row| &*row.config)
    }

    /// Those of them that are watched.
    pub(super) fn watched(&self) -> impl Iterator<Item = &ApiConfig> {
        self.in_force().filter(|config| config.enabled)
    }

    /// The config of `api_id` that is in force.
    pub(super) fn get(&self, api_id: &str) -> Option<&Configured> {
        self.good.iter().find(|c| c.config.api_id.as_str() == api_id && !c.shadowed)
    }

    /// The faults of the row that says to be `api_id`.
    pub(super) fn refused(&self, api_id: &str) -> Option<&Refused> {
        self.refused.iter().find(|r| r.row.api_id.as_ref().is_some_and(|id| id.as_str() == api_id))
    }

    /// Says on standard error which sources cannot be read; the first error, for commands that cannot go on then.
    pub(super) fn report_unreadable(&self) {
        for (_, error) in &self.unreadable {
            super::report(error);
        }
    }
}
