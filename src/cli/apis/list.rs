//! `apis list`: what is configured, wherever it stands.

use serde_json::{Value, json};

use super::unset_secrets::Unset;
use crate::app::{App, AppError};
use crate::cli::configured::{self, Checked};
use crate::cli::out::{BAD, DIM, Out, PLAIN, note};
use crate::cli::table::{Cell, Table};
use crate::cli::text;
use crate::exit::Exit;

/// `apis list`.
pub(super) async fn list(app: &App, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let (rules, unset) = Unset::rules(app);
    let mut checked = configured::check(configured::read(app).await, &rules);
    if as_json {
        out.json(&json_of(&checked))?;
    } else {
        out.print(&text_of(&checked, out))?;
        unset.report();
    }
    checked.report_unreadable();
    if checked.good.is_empty() && checked.refused.is_empty() && checked.unreadable.is_empty() {
        note("no APIs yet; write: api-health apis add --url https://…");
    }
    match checked.unreadable.pop() {
        Some((_, error)) => Ok(error.exit()),
        None => Ok(Exit::Ok),
    }
}

fn text_of(checked: &Checked, out: &Out) -> String {
    let mut table = Table::new(&["ID", "?NAME", "?SCHEDULE", "?ENABLED", "?TOLD WITHIN", "?SOURCE", "URL"]);
    for c in &checked.good {
        let style = if c.config.enabled && !c.shadowed { PLAIN } else { DIM };
        let enabled = match (c.shadowed, c.config.enabled) {
            (true, _) => "shadowed",
            (false, true) => "yes",
            (false, false) => "no",
        };
        let cells = [
            c.config.api_id.to_string(),
            c.config.name.to_string(),
            c.config.schedule.to_string(),
            enabled.into(),
            text::at_most(c.config.worst_detection()),
            c.source.clone(),
            c.config.url.to_string(),
        ];
        table.push(cells.map(|cell| Cell::styled(cell, style)).to_vec());
    }
    let mut text = if checked.good.is_empty() { String::new() } else { table.render(out) };
    for refused in &checked.refused {
        let id = refused.row.api_id.as_ref().map_or("a row without an id", |id| id.as_str());
        let first = refused.row.faults.first().map(ToString::to_string).unwrap_or_default();
        let more = match refused.row.faults.len() {
            0 | 1 => String::new(),
            n => format!(" (and {} more: api-health apis validate)", n - 1),
        };
        text.push_str(&format!("{} {id}: {}{more}\n", out.paint(BAD, "refused"), text::line(&first)));
    }
    text
}

/// `{"apis": [{…, "shadowed": false}], "refused": [{"api_id", "source", "issues"}], "unreadable": [{"source", "why"}]}`
fn json_of(checked: &Checked) -> Value {
    let good = checked.good.iter().map(|c| {
        json!({
            "api_id": c.config.api_id.as_str(),
            "name": &*c.config.name,
            "url": c.config.url,
            "method": c.config.method.as_str(),
            "schedule": c.config.schedule.to_string(),
            "enabled": c.config.enabled,
            "told_within_seconds": c.config.worst_detection().as_secs(),
            "tags": c.config.tags,
            "source": c.source,
            "shadowed": c.shadowed,
        })
    });
    let refused = checked.refused.iter().map(|r| {
        json!({
            "api_id": r.row.api_id.as_ref().map(|id| id.as_str()),
            "source": r.source,
            "issues": r.row.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    let unreadable = checked.unreadable.iter().map(|(source, why)| json!({"source": source, "why": why.to_string()}));
    json!({
        "schema": 1,
        "apis": good.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}
