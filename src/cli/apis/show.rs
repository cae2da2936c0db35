//! `apis show`: one row as it was written, what may be a secret masked, and what it means.

use api_health_core::ConfigFault;
use serde_json::{Map, Value, json};

use super::mask;
use super::unset_secrets::Unset;
use crate::app::{App, AppError};
use crate::cli::configured;
use crate::cli::out::{BAD, DIM, Out, STRONG, note};
use crate::cli::text;
use crate::configs::file;
use crate::configs::raw::RawRow;
use crate::configs::values::quote;
use crate::exit::Exit;

/// `apis show API_ID`.
pub(super) async fn show(app: &App, api_id: &str, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let sources = configured::read(app).await;
    let mut first_error = None;
    let mut found: Vec<(String, RawRow)> = Vec::new();
    for source in sources {
        match source.rows {
            Ok(rows) => {
                let of_id = rows.into_iter().filter(|row| row.api_id() == Some(api_id));
                found.extend(of_id.map(|row| (source.name.clone(), row)));
            }
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    // The first source wins, as it does when APIs are watched.
    let Some((source, row)) = found.first() else {
        return Err(first_error.unwrap_or_else(|| {
            AppError::NotThere(format!("there is no API {}; see `api-health apis list`", quote(api_id)))
        }));
    };
    let (rules, unset) = Unset::rules(app);
    let checked = rules.check(row);
    let (fields, masked) = mask::row(&row.fields);
    let faults: &[ConfigFault] = checked.as_ref().err().map_or(&[], |refused| &refused.faults);
    if as_json {
        out.json(&json!({
            "schema": 1,
            "api_id": api_id,
            "source": source,
            "location": *row.location,
            "masked": masked,
            "fields": fields,
            "told_within_seconds": checked.as_ref().ok().map(|config| config.worst_detection().as_secs()),
            "issues": faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Ok);
    }
    out.print(&format!("{} {}\n\n", out.paint(STRONG, api_id), out.paint(DIM, &format!("({})", row.location))))?;
    out.print(&without_title(fields)?)?;
    match &checked {
        Ok(config) if config.enabled => out.print(&format!(
            "\nProbed {}; an outage is told within {}.\n",
            text::schedule(&config.schedule),
            text::at_most(config.worst_detection())
        ))?,
        Ok(_) => out.print("\nDisabled: it is not probed.\n")?,
        Err(_) => out.print(&format!("\n{}\n", out.paint(BAD, "Refused: it is not probed as it stands.")))?,
    }
    for fault in faults {
        note(&format!("error: {fault}"));
    }
    for (other, _) in &found[1..] {
        note(&format!("note: there is another row {api_id} in {other}; the one above wins"));
    }
    if masked {
        note("note: *** stands for text that may be secret; to see it: api-health apis export");
    }
    unset.report();
    Ok(Exit::Ok)
}

/// As TOML without the line that opens the table.
fn without_title(fields: Map<String, Value>) -> Result<String, AppError> {
    let row = RawRow { location: "".into(), fields };
    let text = file::to_toml(&[row]).map_err(AppError::Internal)?;
    Ok(text.trim_start_matches("[[api]]\n").replace("\n[api.", "\n["))
}
