//! Telling those who watch that rows changed, so that an edit is live within seconds and not with the next reading.

use api_health_core::ApiId;
use api_health_core::own::notices::{CHANGED_IDS_MAX, Notice};

use crate::app::App;
use crate::cli::fleet::notices;
use crate::cli::out::note;
use crate::cli::text;
use crate::control::client;
use crate::control::protocol::Request;
use crate::environment;
use crate::settings::StoreKind;

/// The rows of these APIs changed. An SQLite file is looked at each second; the workers that share a table are told by the record
/// that they all look at. Where that cannot be written, they see it with their next reading, and that is said.
pub(super) async fn announce<'a>(app: &App, api_ids: impl Iterator<Item = &'a str>) {
    if app.settings.store.kind == StoreKind::Sqlite {
        return;
    }
    let ids: Option<Vec<ApiId>> = api_ids.map(|id| ApiId::parse(id).ok()).collect();
    if ids.as_ref().is_some_and(Vec::is_empty) {
        return;
    }
    let notice = Notice::ConfigsChanged(ids.filter(|ids| ids.len() <= CHANGED_IDS_MAX));
    let announced =
        async { notices::write(&*app.open_leases().await?, &notice).await.map_err(crate::app::AppError::from) };
    if let Err(error) = announced.await {
        let seconds = app.settings.apis.reload.as_secs();
        note(&format!(
            "note: who watches sees this within {seconds} s, since it cannot be told: {}",
            text::line(&error.to_string())
        ));
    }
    // A daemon on this machine need not wait for its next look.
    if let Ok(Some(daemon)) = client::find(&app.settings, &environment::get).await {
        let _ = client::ask(&daemon.path, &Request::Reload).await; // else it sees it as the others do
    }
}
