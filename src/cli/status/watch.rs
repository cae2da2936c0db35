//! `status --watch`: the table again and again on a terminal; elsewhere a line for each change.

use std::collections::BTreeMap;
use std::time::Duration;

use api_health_core::ApiId;
use api_health_core::view::Condition;

use super::{Look, look, render, show};
use crate::app::{App, AppError};
use crate::cli::args::StatusArgs;
use crate::cli::out::Out;
use crate::cli::text;
use crate::exit::Exit;
use crate::settings::StoreKind;

/// How often a file is read. A table costs something each time.
const EVERY: Duration = Duration::from_secs(2);
const EVERY_OF_A_TABLE: Duration = Duration::from_secs(30);

/// Goes on until nobody looks any more.
///
/// # Errors
/// A store that is not there or not available at first. Later on that is a line, and it is tried again.
pub(super) async fn run(app: &App, args: &StatusArgs, out: &Out) -> Result<Exit, AppError> {
    let every = match app.settings.store.kind {
        StoreKind::Sqlite => EVERY,
        StoreKind::Dynamodb => EVERY_OF_A_TABLE,
    };
    let mut last: Option<BTreeMap<ApiId, Condition>> = None;
    while !out.closed() {
        match look(app).await {
            Ok(mut look) if out.is_terminal() => {
                // A table costs something each time.
                if app.settings.store.kind == StoreKind::Sqlite {
                    look.read_hours(app, args).await;
                }
                out.clear()?;
                show(app, &look, args, out)?;
                last = Some(BTreeMap::new());
            }
            Ok(look) => {
                let now = conditions(&look, args.down);
                let lines = match &last {
                    None => format!("{} {}\n", look.now, render::counts_line(&look, out)),
                    Some(last) => changes(&look, last, &now),
                };
                out.print(&lines)?;
                last = Some(now);
            }
            Err(error) if last.is_none() => return Err(error),
            Err(error) => out.print(&format!("{} {}\n", app.clock.now(), text::line(&error.to_string())))?,
        }
        tokio::time::sleep(every).await;
    }
    Ok(Exit::Ok)
}

fn conditions(look: &Look, only_down: bool) -> BTreeMap<ApiId, Condition> {
    let all = look.rows.iter().map(|row| (row.state.api_id.clone(), row.view.condition(look.now)));
    all.filter(|(_, condition)| !only_down || *condition == Condition::Down).collect()
}

/// A line for each API whose condition is another one than it was.
fn changes(look: &Look, last: &BTreeMap<ApiId, Condition>, now: &BTreeMap<ApiId, Condition>) -> String {
    let mut lines = String::new();
    for row in &look.rows {
        let api_id = &row.state.api_id;
        let (before, is) = (last.get(api_id), now.get(api_id));
        if before == is {
            continue;
        }
        let why = row.view.why(look.now).map_or(String::new(), |why| format!(": {}", text::line(&why)));
        lines.push_str(&format!("{} {api_id} {}{why}\n", look.now, row.view.condition(look.now).word()));
    }
    let is_here = |id: &ApiId| look.rows.iter().any(|row| row.state.api_id == *id);
    for api_id in last.keys().filter(|id| !is_here(id)) {
        lines.push_str(&format!("{} {api_id} is watched no longer\n", look.now));
    }
    lines
}
