//! `apis import`: a plan first, then the rows that differ. The same file again changes nothing.

use std::collections::HashMap;
use std::io::{IsTerminal, Read};
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use super::unset_secrets::Unset;
use crate::app::{App, AppError};
use crate::cli::exit::Exit;
use crate::cli::out::Out;
use crate::cli::text::count;
use crate::configs::fields::API_ID;
use crate::configs::file;
use crate::configs::raw::{RawRow, RowTable};
use crate::configs::values::Fault;

/// Fewer rows are written too soon for a progress bar.
const PROGRESS_FROM: usize = 50;
/// Writes under way at once: what a small DynamoDB table takes.
const WRITES_IN_FLIGHT_MAX: usize = 8;
/// Rows of a plan that are named one by one.
const NAMED_MAX: usize = 20;

/// `apis import FILE`.
pub(super) async fn import(app: &App, path: &Path, dry_run: bool, out: &Out) -> Result<Exit, AppError> {
    let rows = read(path)?;
    let (rules, unset) = Unset::rules(app);
    let checked = rules.check_all(&rows);
    if !checked.refused.is_empty() {
        return Err(AppError::Configuration(checked.refused.into_iter().flat_map(|row| row.issues).collect()));
    }
    unset.tell();
    // A dry run into a store that is not there yet leaves it so.
    let table = if dry_run && !app.store_exists() { None } else { Some(app.open_table().await?) };
    let there = match &table {
        Some(table) => table.rows().await?,
        None => Vec::new(),
    };
    let plan = Plan::new(rows, &there);
    let name = table.as_ref().map_or_else(|| app.table_name(), |table| table.name());
    out.print(&plan.text())?;
    let summary = plan.summary(dry_run);
    if let (Some(table), false) = (table, dry_run) {
        write(&*table, plan.changes).await?;
    }
    out.print(&format!("{name}: {summary}\n"))?;
    Ok(Exit::Ok)
}

/// The rows of a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<RawRow>, AppError> {
    if path.as_os_str() != "-" {
        return Ok(file::parse(&path.display().to_string(), &file::read_text(path)?)?);
    }
    let name = "standard input";
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(file::FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| AppError::Unavailable(format!("{name}: cannot be read: {error}")))?;
    let refuse =
        |why: String, instead: &str| AppError::Configuration(vec![Fault::new("the text", why, instead).at(name)]);
    if bytes.len() as u64 > file::FILE_BYTES_MAX {
        return Err(refuse(format!("is longer than {} bytes", file::FILE_BYTES_MAX), "it in several parts"));
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse("is not UTF-8".into(), "it anew as UTF-8"))?;
    Ok(file::parse(name, &text)?)
}

/// What an import does to a table.
struct Plan {
    added: Vec<String>,
    changed: Vec<String>,
    unchanged: usize,
    changes: Vec<Map<String, Value>>,
}

impl Plan {
    fn new(rows: Vec<RawRow>, there: &[RawRow]) -> Self {
        let id_of = |row: &RawRow| row.fields.get(API_ID.name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let there: HashMap<String, &RawRow> = there.iter().map(|row| (id_of(row), row)).collect();
        let mut plan = Self { added: Vec::new(), changed: Vec::new(), unchanged: 0, changes: Vec::new() };
        for row in rows {
            let api_id = id_of(&row);
            match there.get(&api_id) {
                Some(old) if same(&Value::Object(old.fields.clone()), &Value::Object(row.fields.clone())) => {
                    plan.unchanged += 1;
                    continue;
                }
                Some(_) => plan.changed.push(api_id),
                None => plan.added.push(api_id),
            }
            plan.changes.push(row.fields);
        }
        plan
    }

    /// The rows that differ.
    fn text(&self) -> String {
        let mut text = String::new();
        for (sign, ids) in [('+', &self.added), ('~', &self.changed)] {
            for api_id in ids.iter().take(NAMED_MAX) {
                text.push_str(&format!("{sign} {api_id}\n"));
            }
            if ids.len() > NAMED_MAX {
                text.push_str(&format!("{sign} and {} more\n", ids.len() - NAMED_MAX));
            }
        }
        text
    }

    fn summary(&self, dry_run: bool) -> String {
        let (added, changed, unchanged) = (self.added.len(), self.changed.len(), self.unchanged);
        let end = if dry_run { " (a dry run: nothing was written)" } else { "" };
        format!("{added} added, {changed} changed, {unchanged} unchanged{end}")
    }
}

/// Whether two values mean the same row: stores give 10.0 back as 10.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

async fn write(table: &dyn RowTable, changes: Vec<Map<String, Value>>) -> Result<(), AppError> {
    let total = changes.len();
    let bar = if total >= PROGRESS_FROM && std::io::stderr().is_terminal() {
        ProgressBar::new(total as u64)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("importing {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    let written = futures_util::stream::iter(changes)
        .map(|fields| async {
            let put = table.put(fields).await;
            if put.is_ok() {
                bar.inc(1);
            }
            put
        })
        .buffer_unordered(WRITES_IN_FLIGHT_MAX)
        .try_collect::<()>()
        .await;
    bar.finish_and_clear();
    written.map_err(|error| {
        AppError::Unavailable(format!(
            "{error}; {} of {} were written, and the same import again goes on from there",
            bar.position(),
            count(total, "row")
        ))
    })
}
