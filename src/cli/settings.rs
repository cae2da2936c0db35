//! `settings show`: what is in force and where each value comes from, secrets masked.

use std::path::Path;

use super::exit::Exit;
use super::out::Out;
use crate::app::AppError;
use crate::settings::load;
use crate::settings::show;

/// `settings show`.
///
/// # Errors
/// Every fault of the settings.
pub(super) fn show(file: Option<&Path>, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let environment = |name: &str| std::env::var(name).ok();
    let loaded = load::load(file, Path::new(""), &environment).map_err(AppError::Configuration)?;
    if as_json {
        out.json(&show::json(&loaded))?;
    } else {
        out.print(&show::table(&loaded))?;
    }
    Ok(Exit::Ok)
}
