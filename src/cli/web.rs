//! `web token`: a new token for those who look from other machines.

use api_health_web::access::{TokenHash, new_token};
use serde_json::json;

use super::args::WebCommand;
use super::out::Out;
use crate::app::AppError;
use crate::exit::Exit;

/// `web …`. It reads no settings and writes none.
///
/// # Errors
/// No random bytes are to be had, or standard output cannot be written to.
pub(super) fn run(command: &WebCommand, out: &Out) -> Result<Exit, AppError> {
    let WebCommand::Token { json } = command;
    let token = new_token().ok_or_else(|| AppError::Unavailable("the system gives no random bytes".into()))?;
    let hash = TokenHash::of(&token);
    if *json {
        out.json(&json!({ "token": token, "sha256": hash.to_string() }))?;
    } else {
        out.print(&format!(
            "{token}\n\nThis is the token; it is shown this once. For the settings, below [web]:\n\ntokens = [\"{hash}\"]\n"
        ))?;
    }
    Ok(Exit::Ok)
}
