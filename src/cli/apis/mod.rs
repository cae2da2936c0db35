//! `apis …`: the rows that say what is watched. Reading looks at every source; writing changes the store's table alone.

mod changed;
mod edit;
mod export;
mod import;
mod list;
mod mask;
mod set;
mod show;
mod unset_secrets;
mod validate;
mod write;

pub(super) use unset_secrets::Unset;

use super::args::ApisCommand;
use super::out::Out;
use crate::app::{App, AppError};
use crate::exit::Exit;

/// Runs one of them.
///
/// # Errors
/// Every fault of what was written, or what is not available.
pub(super) async fn run(app: &App, command: &ApisCommand, out: &Out) -> Result<Exit, AppError> {
    match command {
        ApisCommand::Add(args) => write::add(app, args, out).await,
        ApisCommand::List { json } => list::list(app, *json, out).await,
        ApisCommand::Show { api_id, json } => show::show(app, api_id, *json, out).await,
        ApisCommand::Edit { api_id, set, unset } => edit::edit(app, api_id, set, unset, out).await,
        ApisCommand::Rm { api_id } => write::rm(app, api_id, out).await,
        ApisCommand::Import(args) => match args.from {
            Some(source) => import::import_from(app, source, args, out).await,
            None => import::import(app, args, out).await,
        },
        ApisCommand::Export { to } => export::export(app, *to, out).await,
        ApisCommand::Schema => Err(AppError::Internal("a command that needs no settings came too late".into())),
        ApisCommand::Validate { file } => validate::validate(app, file.as_deref(), out).await,
    }
}

/// The table, for commands that make no sense without one.
async fn existing_table(app: &App) -> Result<std::sync::Arc<dyn crate::configs::raw::RowTable>, AppError> {
    if app.store_exists() {
        return app.open_table().await;
    }
    Err(AppError::NotThere(format!(
        "{} is not there, so it holds no APIs; write `api-health apis add --url URL` to begin one, or name another store \
         in the settings",
        app.table_name()
    )))
}
