//! `alerts drop --channel NAME`: give a channel up, so that nothing is owed to it.

use serde_json::json;

use super::notifiers;
use super::owner::{NO_ALERTS, Owner};
use crate::app::{App, AppError};
use crate::cli::out::Out;
use crate::cli::text;
use crate::exit::Exit;

/// `alerts drop`.
///
/// # Errors
/// A store that is not there, or a daemon that does not answer.
pub(super) async fn run(app: &App, channel: &str, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let others = async || {
        let mut all = notifiers(app, as_json, out).await?;
        all.retain(|notifier| notifier.channel() != channel);
        Ok(all)
    };
    let owner = Owner::find(app, NO_ALERTS, others).await?;
    let dropped = owner.drop_channel(app, channel).await;
    owner.end(app).await?;
    let alerts = dropped?;
    if as_json {
        out.json(&json!({ "schema": 1, "channel": channel, "dropped": alerts }))?;
    } else if alerts == 0 {
        out.print(&format!("nothing was owed to {}\n", text::line(channel)))?;
    } else {
        out.print(&format!("{} to {} dropped\n", text::count(alerts, "owed alert"), text::line(channel)))?;
    }
    Ok(Exit::Ok)
}
