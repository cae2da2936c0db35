//! `fleet`: which workers share the tables, who owns what, and what is asked of them. It reads their records alone.

pub(super) mod notices;
mod render;
pub(super) mod sight;

use super::args::FleetArgs;
use super::out::Out;
use crate::app::{App, AppError};
use crate::exit::Exit;
use crate::settings::StoreKind;
use crate::sqlite::holder;
use sight::Sight;

/// `fleet`.
///
/// # Errors
/// A table that is not there or not available, and records in it that cannot be read.
pub(super) async fn run(app: &App, args: &FleetArgs, out: &Out) -> Result<Exit, AppError> {
    let store = app.store_name();
    if app.settings.store.kind == StoreKind::Sqlite {
        let pid = holder(&app.settings.store.path).map_err(AppError::Unavailable)?;
        if args.json {
            out.json(&render::json_of(&store, &Sight::default(), pid, app.clock.now()))?;
        } else {
            let by = pid.map_or("nobody just now".to_owned(), |pid| format!("process {pid}"));
            out.print(&format!("{store} is owned whole, by {by}; only DynamoDB tables are shared\n"))?;
        }
        return Ok(Exit::Ok);
    }
    let sight = Sight::read(&*app.open_leases().await?).await?;
    let now = app.clock.now();
    if args.json {
        out.json(&render::json_of(&store, &sight, None, now))?;
    } else {
        out.print(&render::text_of(&store, &sight, now, out))?;
    }
    Ok(Exit::Ok)
}
