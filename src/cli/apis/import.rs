//! `apis import`: a plan first, then the question, then the rows that differ. The same file again changes nothing.

mod differences;
mod foreign;
mod plan;
mod write;

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use super::changed;
use super::unset_secrets::Unset;
use super::write::note_if_not_read;
use crate::app::{App, AppError};
use crate::cli::args::ImportArgs;
use crate::cli::out::{Out, note};
use crate::configs::file;
use crate::configs::raw::RawRow;
use crate::configs::values::ValueFault;
use crate::exit::Exit;
pub(super) use foreign::import as import_from;
use plan::ImportPlan;

/// What standard input is called.
const STANDARD_INPUT: &str = "standard input";

/// `apis import FILE`.
pub(super) async fn import(app: &App, args: &ImportArgs, out: &Out) -> Result<Exit, AppError> {
    let path = only(&args.files)?;
    input_is_free(path, args)?;
    let rows = read(path)?;
    let (rules, unset) = Unset::rules(app);
    let checked = rules.check_all(&rows);
    if !checked.refused.is_empty() {
        return Err(AppError::Configuration(checked.refused.into_iter().flat_map(|row| row.faults).collect()));
    }
    if args.prune && rows.is_empty() {
        return Err(no_rows(path));
    }
    unset.report();
    carry_out(app, rows, args, out).await
}

/// The answer cannot come from where the rows come from.
fn input_is_free(path: &Path, args: &ImportArgs) -> Result<(), AppError> {
    if is_standard_input(path) && !args.yes && !args.dry_run {
        return Err(cannot_ask("cannot be answered: standard input holds the rows"));
    }
    Ok(())
}

/// The plan, the question and the writing, of rows that are good.
async fn carry_out(app: &App, rows: Vec<RawRow>, args: &ImportArgs, out: &Out) -> Result<Exit, AppError> {
    // A table that is not there yet has no rows; it is made when something is written.
    let there = if app.store_exists() { app.open_table().await?.rows().await? } else { Vec::new() };
    let plan = ImportPlan::new(rows, &there, args.prune);
    plan.print(out, !args.dry_run)?;
    let name = app.table_name();
    if plan.is_empty() {
        out.print(&format!("{name}: nothing to do; {}\n", plan.untouched()))?;
        return Ok(Exit::Ok);
    }
    out.print(&format!("{name}: {}; {}\n", plan.changes_in_words(), plan.untouched()))?;
    if args.dry_run {
        out.print("a dry run: nothing was written\n")?;
        return Ok(Exit::Ok);
    }
    if !args.yes && !agreed(&plan, &name)? {
        note("nothing was written");
        return Ok(Exit::Unfinished);
    }
    note_if_not_read(app);
    let changes = plan.into_changes();
    let ids: Vec<String> = changes.iter().map(|change| change.api_id().unwrap_or_default().to_owned()).collect();
    let written = write::write(&*app.open_table().await?, changes, out).await;
    changed::announce(app, ids.iter().map(String::as_str)).await; // also of those that were written before it failed
    written
}

/// The one file; several are those of another program.
fn only(files: &[PathBuf]) -> Result<&Path, AppError> {
    match files {
        [file] => Ok(file),
        _ => {
            let remedy = "one after the other, or --from with the program whose files they are";
            let fault = ValueFault::new(format!("{} files", files.len()), "are more than one", remedy);
            Err(AppError::Configuration(vec![fault.at("apis import")]))
        }
    }
}

/// The rows of a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<RawRow>, AppError> {
    if !is_standard_input(path) {
        return Ok(file::parse(&path.display().to_string(), &file::read_text(path)?)?);
    }
    let text =
        String::from_utf8(standard_input()?).map_err(|_| refused_input("is not UTF-8".into(), "it again as UTF-8"))?;
    Ok(file::parse(STANDARD_INPUT, &text)?)
}

fn standard_input() -> Result<Vec<u8>, AppError> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(file::FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| AppError::Unavailable(format!("{STANDARD_INPUT}: cannot be read: {error}")))?;
    if bytes.len() as u64 > file::FILE_BYTES_MAX {
        return Err(refused_input(format!("is longer than {} bytes", file::FILE_BYTES_MAX), "it in several parts"));
    }
    Ok(bytes)
}

fn refused_input(why: String, remedy: &str) -> AppError {
    AppError::Configuration(vec![ValueFault::new("the text", why, remedy).at(STANDARD_INPUT)])
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file that came out empty by a mistake must not end the watching of everything.
fn no_rows(path: &Path) -> AppError {
    let name = if is_standard_input(path) { STANDARD_INPUT.into() } else { path.display().to_string() };
    let remedy = "the rows that are to stay, or use `api-health apis rm API_ID` for each that is not";
    AppError::Configuration(vec![
        ValueFault::new("no rows", "are there, and --prune would remove every API", remedy).at(name),
    ])
}

/// Asks. Where nobody can be asked, that is a fault of the command line, told after the plan.
fn agreed(plan: &ImportPlan, name: &str) -> Result<bool, AppError> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(cannot_ask("cannot be asked: there is no terminal"));
    }
    Ok(ask(&format!("{name}: {}. Write this? [y/N] ", plan.changes_in_words())))
}

fn cannot_ask(why: &str) -> AppError {
    let remedy = "--yes to agree beforehand, or --dry-run to see the plan alone; nothing was written";
    AppError::Configuration(vec![ValueFault::new("the question whether to write this", why, remedy).at("apis import")])
}

/// Anything but a yes is a no, the end of the input too.
fn ask(question: &str) -> bool {
    let _ = write!(std::io::stderr(), "{question}");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer).unwrap_or(0);
    if read == 0 {
        note(""); // the cursor stands behind the question
    }
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
