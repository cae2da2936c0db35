//! `apis edit`: single fields by `--set` and `--unset`, or the whole row in an editor.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use api_health_core::ConfigFault;
use serde_json::{Map, Value};

use super::{set, write};
use crate::app::{App, AppError};
use crate::cli::out::{Out, note};
use crate::configs::fields::API_ID;
use crate::configs::file;
use crate::configs::raw::RawRow;
use crate::configs::values::ValueFault;
use crate::environment;
use crate::exit::Exit;

/// `apis edit`.
pub(super) async fn edit(
    app: &App,
    api_id: &str,
    set: &[String],
    unset: &[String],
    out: &Out,
) -> Result<Exit, AppError> {
    let table = super::existing_table(app).await?;
    let Some(row) = table.get(api_id.to_owned()).await? else {
        return Err(write::not_in(app, &*table, api_id).await);
    };
    let edited =
        if set.is_empty() && unset.is_empty() { in_editor(app, &row)? } else { by_flags(app, &row, set, unset)? };
    let Some(fields) = edited.filter(|fields| *fields != row.fields) else {
        out.print(&format!("{api_id} is as it was\n"))?;
        return Ok(Exit::Ok);
    };
    let config = write::check(app, &fields, &table.name(), Vec::new())?;
    write::put(app, &*table, fields, &config, &format!("changed {api_id} in"), out).await
}

fn by_flags(app: &App, row: &RawRow, set: &[String], unset: &[String]) -> Result<Option<Map<String, Value>>, AppError> {
    let (mut fields, mut faults) = (row.fields.clone(), Vec::new());
    set::take_away(&mut fields, unset, &mut faults);
    set::apply(&mut fields, set, &mut faults);
    if fields.get(API_ID.name) != row.fields.get(API_ID.name) {
        faults.push(set::key_fault().at("command line, --set api_id"));
    }
    if !faults.is_empty() {
        write::check(app, &fields, &row.location, faults)?;
    }
    Ok(Some(fields))
}

/// Opens the row in an editor until it is good, or the person has had enough; then the draft is kept.
fn in_editor(app: &App, row: &RawRow) -> Result<Option<Map<String, Value>>, AppError> {
    let written = file::to_toml(std::slice::from_ref(row)).map_err(AppError::Unavailable)?;
    let cannot = |error: std::io::Error| AppError::Unavailable(format!("a draft for the editor: {error}"));
    // Readable for its owner alone, since the row may hold secrets.
    let mut draft = tempfile::Builder::new().prefix("api-health-").suffix(".toml").tempfile().map_err(cannot)?;
    draft.write_all(written.as_bytes()).and_then(|()| draft.flush()).map_err(cannot)?;
    let path: PathBuf = draft.path().to_owned();
    loop {
        run_editor(&path)?;
        let faults = match read_draft(&path, row)
            .and_then(|fields| write::check(app, &fields, &path.display().to_string(), Vec::new()).map(|_| fields))
        {
            Ok(fields) => return Ok(Some(fields)),
            Err(faults) => faults,
        };
        crate::cli::report(&faults);
        if !ask_again() {
            let kept = draft.into_temp_path().keep().map_err(|error| cannot(error.error))?;
            note(&format!("nothing was written; the draft is kept in {}", kept.display()));
            return Err(AppError::Configuration(Vec::new()));
        }
    }
}

/// The one row of the draft.
fn read_draft(path: &Path, row: &RawRow) -> Result<Map<String, Value>, AppError> {
    let name = path.display().to_string();
    let rows = file::parse(&name, &file::read_text(path)?)?;
    let fault = |fault: ValueFault| -> AppError {
        let faults: Vec<ConfigFault> = vec![fault.at(name.clone())];
        AppError::Configuration(faults)
    };
    let [draft] = <[RawRow; 1]>::try_from(rows).map_err(|rows| {
        fault(ValueFault::new(
            format!("{} [[api]] tables", rows.len()),
            "are not one",
            "one, that of the row to change",
        ))
    })?;
    if draft.fields.get(API_ID.name) == row.fields.get(API_ID.name) {
        Ok(draft.fields)
    } else {
        Err(fault(set::key_fault()))
    }
}

fn run_editor(path: &Path) -> Result<(), AppError> {
    let set = |name| environment::get(name).filter(|value: &String| !value.trim().is_empty());
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(set).unwrap_or_else(|| "vi".into());
    // By the shell, since the variable may hold arguments (`code --wait`); the path is handed over apart from it.
    let ended = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(path).status();
    let why = match ended {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("cannot be started: {error}"),
    };
    Err(AppError::Unavailable(format!(
        "the editor {editor:?}: {why}; nothing was written; set $VISUAL or $EDITOR, or use --set NAME=VALUE"
    )))
}

/// Whether to open the editor again; no where nobody can be asked.
fn ask_again() -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let _ = write!(std::io::stderr(), "Edit again? [Y/n] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).unwrap_or(0);
    read > 0 && !answer.trim().to_ascii_lowercase().starts_with('n')
}
