//! `apis validate`: every fault of every row. It is strict: a reference that cannot be filled in here is a fault.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use api_health_core::ApiConfig;
use api_health_core::routes::Routes;

use super::import;
use crate::app::{App, AppError};
use crate::cli::configured::{self, Source};
use crate::cli::out::{Out, note};
use crate::exit::Exit;

/// `apis validate [FILE]`.
pub(super) async fn validate(app: &App, path: Option<&Path>, out: &Out) -> Result<Exit, AppError> {
    let sources = match path {
        Some(path) => vec![Source { name: path.display().to_string(), rows: Ok(import::read(path)?) }],
        None => configured::read(app).await,
    };
    let mut exit = Exit::Ok;
    for Source { name, rows } in sources {
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                super::super::report(&error);
                exit = worse(exit, error.exit());
                continue;
            }
        };
        let checked = app.rules.check_all(&rows);
        for fault in checked.refused.iter().flat_map(|row| &row.faults) {
            note(&format!("error: {fault}"));
        }
        remark(&name, &checked.good);
        remark_unserved(&app.routes(), &name, &checked.good);
        if !checked.refused.is_empty() {
            exit = Exit::BadConfiguration;
        }
        let (good, bad) = (checked.good.len(), checked.refused.len());
        let painted = if bad == 0 { String::new() } else { out.paint(crate::cli::out::BAD, &format!(", {bad} bad")) };
        out.print(&format!("{name}: {good} good{painted}\n"))?;
    }
    Ok(exit)
}

/// Says what is good and may not be meant, once for each schedule.
fn remark(name: &str, good: &[Arc<ApiConfig>]) {
    let mut apis_of: BTreeMap<String, Vec<&ApiConfig>> = BTreeMap::new();
    let mut seen = HashMap::new();
    for config in good {
        // Rows with the same schedule share it.
        let remark = seen.entry(Arc::as_ptr(&config.schedule)).or_insert_with(|| config.schedule.remark());
        if let Some(remark) = remark {
            apis_of.entry(remark.clone()).or_default().push(config);
        }
    }
    for (remark, apis) in apis_of {
        note(&format!("note: {name}, api {}: the schedule {remark}", first_of(&apis)));
    }
}

/// Says which APIs have tags that no channel asks for.
fn remark_unserved(routes: &Routes, name: &str, good: &[Arc<ApiConfig>]) {
    let unserved: Vec<&ApiConfig> =
        good.iter().map(AsRef::as_ref).filter(|config: &&ApiConfig| !routes.serves(&config.tags)).collect();
    if !unserved.is_empty() {
        note(&format!(
            "note: {name}, api {}: no channel asks for its tags, so its alerts go to all channels (tags below [[notify.channel]])",
            first_of(&unserved)
        ));
    }
}

/// `shop and 3 more`.
fn first_of(apis: &[&ApiConfig]) -> String {
    let first = apis.first().map_or("", |config| config.api_id.as_str());
    match apis.len() {
        0 | 1 => first.to_owned(),
        n => format!("{first} and {} more", n - 1),
    }
}

/// A fault that a person wrote weighs more than a source that is not available.
fn worse(a: Exit, b: Exit) -> Exit {
    if a == Exit::BadConfiguration { a } else { b }
}
