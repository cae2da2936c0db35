//! `apis import --from`: the files of another monitor as rows. What became of each of their fields is told first.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use api_health_actors::ports::SourceError;
use api_health_core::ConfigFault;
use api_health_import::{Content, Entry, Import, Source, Verdict, channels_to_toml};
use serde_json::{Value, json};

use super::super::unset_secrets::Unset;
use super::{STANDARD_INPUT, carry_out, input_is_free, is_standard_input, no_rows, standard_input};
use crate::app::{App, AppError};
use crate::cli::args::ImportArgs;
use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out};
use crate::cli::text::count;
use crate::configs::file;
use crate::configs::raw::RawRow;
use crate::configs::values::{ValueFault, quote};
use crate::environment;
use crate::exit::Exit;

/// What a database of SQLite begins with.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// `apis import --from PROGRAM FILE…`.
pub(in crate::cli::apis) async fn import(
    app: &App,
    source: Source,
    args: &ImportArgs,
    out: &Out,
) -> Result<Exit, AppError> {
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for path in &args.files {
        input_is_free(path, args)?;
        match read(path) {
            Ok(file) => files.push(file),
            Err(AppError::Configuration(more)) => faults.extend(more),
            Err(error) => return Err(error),
        }
    }
    if !faults.is_empty() {
        return Err(AppError::Configuration(faults));
    }
    let set = |name: &str| environment::referred(name).ok();
    let mapped = mapped(args)?;
    let mut import = api_health_import::read(source, &files, &set, &mapped).map_err(|faults| {
        let fault =
            |fault: api_health_import::Fault| ValueFault::new(fault.what, fault.why, fault.remedy).at(fault.location);
        AppError::Configuration(faults.into_iter().map(fault).collect())
    })?;
    let rows = good_rows(app, &mut import);
    if args.json {
        out.json(&json(&import, &rows))?;
        return Ok(Exit::Ok);
    }
    report(&import, out)?;
    if args.prune && rows.is_empty() {
        return Err(no_rows(&args.files[0]));
    }
    secrets(&import, out)?;
    channels(&import, args, out)?;
    carry_out(app, rows, args, out).await
}

/// The pairs of `--map`.
fn mapped(args: &ImportArgs) -> Result<Vec<(String, String)>, AppError> {
    let known = Source::columns();
    let mut faults = Vec::new();
    if !args.map.is_empty() && args.from != Some(Source::Csv) {
        faults.push(
            ValueFault::new("--map", "is about the columns of a table", "--from csv beside it").at("apis import"),
        );
    }
    let mut pairs = Vec::new();
    for text in &args.map {
        match text.split_once('=') {
            Some((field, column)) if known.contains(&field) => pairs.push((field.to_owned(), column.to_owned())),
            _ => {
                let remedy = format!("FIELD=COLUMN, with FIELD one of {}", known.join(", "));
                faults.push(ValueFault::new(quote(text), "maps no column to a field", remedy).at("apis import: --map"));
            }
        }
    }
    if faults.is_empty() { Ok(pairs) } else { Err(AppError::Configuration(faults)) }
}

fn read(path: &Path) -> Result<api_health_import::File, AppError> {
    if is_standard_input(path) {
        return Ok(api_health_import::File { name: STANDARD_INPUT.into(), content: Content::Bytes(standard_input()?) });
    }
    let name = path.display().to_string();
    if path.is_file() && is_database(path) {
        return Ok(api_health_import::File { name, content: Content::Database(path.to_owned()) });
    }
    let bytes = file::read_bytes(path).map_err(|error| match error {
        SourceError::Misconfigured(fault) => SourceError::Misconfigured(file::of_another_monitor(fault)),
        other => other,
    })?;
    let content = Content::Bytes(bytes);
    Ok(api_health_import::File { name, content })
}

fn is_database(path: &Path) -> bool {
    let mut begin = [0; SQLITE.len()];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == SQLITE
}

/// The rows that the rules take. All fields of one that they refuse are lost, and it is said why.
fn good_rows(app: &App, import: &mut Import) -> Vec<RawRow> {
    let (rules, _) = Unset::rules(app);
    let mut good = Vec::new();
    for (index, row) in import.rows.iter().enumerate() {
        let row = RawRow { location: row.location.clone().into(), fields: row.fields.clone() };
        match rules.check(&row) {
            Ok(_) => good.push(row),
            Err(refused) => {
                let why = refused.faults.iter().map(in_short).collect::<Vec<_>>().join("; ");
                for entry in import.entries.iter_mut().filter(|entry| entry.row == Some(index)) {
                    entry.verdict = Verdict::Lost(format!("its row is refused: {why}"));
                }
            }
        }
    }
    good
}

fn in_short(fault: &ConfigFault) -> String {
    let field = fault.location.rsplit(": ").next().unwrap_or_default();
    format!("{field}: {} {}", fault.what, fault.why)
}

/// How many fields were taken, are near, and are lost.
fn sums<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> [usize; 3] {
    let mut sums = [0; 3];
    for entry in entries {
        let of = match entry.verdict {
            Verdict::Taken => 0,
            Verdict::Near(_) => 1,
            Verdict::Lost(_) => 2,
        };
        sums[of] += entry.fields;
    }
    sums
}

/// The same for programs.
fn json(import: &Import, rows: &[RawRow]) -> Value {
    let field = |entry: &Entry| {
        let (verdict, why) = match &entry.verdict {
            Verdict::Taken => ("taken", None),
            Verdict::Near(how) => ("near", Some(how)),
            Verdict::Lost(why) => ("lost", Some(why)),
        };
        let api_id = entry.row.and_then(|row| import.rows.get(row)?.fields.get("api_id"));
        json!({
            "file": &*entry.file, "line": entry.line, "path": entry.path, "count": entry.fields, "api_id": api_id,
            "verdict": verdict, "why": why,
        })
    };
    let [taken, near, lost] = sums(&import.entries);
    json!({
        "summary": { "fields": import.fields, "taken": taken, "near": near, "lost": lost },
        "fields": import.entries.iter().map(field).collect::<Vec<_>>(),
        "rows": rows.iter().map(|row| &row.fields).collect::<Vec<_>>(),
        "secrets": import.secrets.iter().map(|secret| json!({ "name": secret.name, "place": secret.place })).collect::<Vec<_>>(),
        "channels": channels_to_toml(&import.channels),
    })
}

/// A title for each row, and below it what is not simply taken; then what belongs to no row; then the sum.
fn report(import: &Import, out: &Out) -> Result<(), AppError> {
    let (near, lost) = if out.unicode { ("≈", "✗") } else { ("~", "x") };
    let mut by_row: BTreeMap<usize, Vec<&Entry>> = BTreeMap::new();
    for entry in &import.entries {
        by_row.entry(entry.row.unwrap_or(usize::MAX)).or_default().push(entry);
    }
    for (row, entries) in by_row {
        let [taken, nearly, _] = sums(entries.iter().copied());
        let fields = count(taken, "field");
        match import.rows.get(row) {
            Some(row) => {
                let api_id = row.fields.get("api_id").and_then(Value::as_str).unwrap_or_default();
                let sign = if taken + nearly > 0 { out.paint(GOOD, "+") } else { out.paint(BAD, lost) };
                let taken = format!("{}, {fields} taken", row.location);
                out.print(&format!("{sign} {api_id}  {}\n", out.paint(DIM, &taken)))?;
            }
            None => out.print(&format!("  beside the rows: {fields} taken\n"))?,
        }
        for entry in entries {
            let (sign, style, why) = match &entry.verdict {
                Verdict::Taken => continue,
                Verdict::Near(how) => (near, DOUBT, how),
                Verdict::Lost(why) => (lost, BAD, why),
            };
            let line =
                if entry.line > 0 { format!("{}, line {}", entry.file, entry.line) } else { entry.file.to_string() };
            let more = if entry.fields > 1 { format!(" ({} fields)", entry.fields) } else { String::new() };
            out.print(&format!("    {} {line}: {}{more}: {why}\n", out.paint(style, sign), entry.path))?;
        }
    }
    let [taken, nearly, gone] = sums(&import.entries);
    let text = format!(
        "{} of {}: {taken} taken, {nearly} near, {gone} lost\n",
        count(import.fields, "field"),
        count(import.rows.len(), "row"),
    );
    out.print(&text)
}

/// What has to be set before the rows can be asked.
fn secrets(import: &Import, out: &Out) -> Result<(), AppError> {
    if import.secrets.is_empty() {
        return Ok(());
    }
    out.print("\nto be set in the environment of api-health, as in /etc/api-health/env:\n")?;
    let widest = import.secrets.iter().map(|secret| secret.name.len()).max().unwrap_or(0).min(40);
    for secret in &import.secrets {
        let place =
            secret.place.as_ref().map_or("the file refers to it as well".into(), |at| format!("stands in {at}"));
        out.print(&format!("    {:widest$}  {}\n", secret.name, out.paint(DIM, &place)))?;
    }
    out.print("\n")
}

/// Channels go into a file of their own, which is never written over, or onto the screen.
fn channels(import: &Import, args: &ImportArgs, out: &Out) -> Result<(), AppError> {
    let text = channels_to_toml(&import.channels);
    if text.is_empty() {
        return Ok(());
    }
    let Some(path) = &args.channels else {
        out.print("channels, to be looked through and put into the settings:\n\n")?;
        return out.print(&format!("{text}\n"));
    };
    let name = path.display().to_string();
    if file::read_regular(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if args.dry_run {
        return out.print(&format!("{name}: {} would be written\n", count(import.channels.len(), "channel")));
    }
    let written =
        OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => out.print(&format!(
            "{name}: {} written, to be put into the settings\n",
            count(import.channels.len(), "channel")
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let fault = ValueFault::new("the file", "is there and holds something else", "another path for --channels");
            Err(AppError::Configuration(vec![fault.at(name)]))
        }
        Err(error) => Err(AppError::Unavailable(format!("{name}: cannot be written: {error}"))),
    }
}
