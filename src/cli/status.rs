//! `status`: what is up, what is down, and since when. It only reads, and works while `run` does.

pub(super) mod heartbeat;
mod render;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{LoadedStates, StoredHeartbeat, UnreadableState};
use api_health_core::history::series::Point;
use api_health_core::outcome::Verdict;
use api_health_core::view::ApiView;
use api_health_core::{ApiConfig, ApiId, ApiState, Heartbeat, Status, Timestamp, Toward};

use super::args::StatusArgs;
use super::configured::{self, Checked};
use super::out::{Out, note};
use super::stored::{self, load_states, report_unreadable};
use super::{past, text};
use crate::app::{App, AppError};
use crate::exit::Exit;
use crate::shown::{self, Own, Said};

/// When nothing was probed for this long beyond the longest interval, it is said that `run` may not be running.
const SILENCE: Duration = Duration::from_secs(120);

/// For how long it is said of an API that it is watched no longer.
const SAID_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Up to so many APIs are shown with their last 24 hours, as on the page.
const WITH_HOURS: usize = 20;

/// So many of them are named.
const NAMED: usize = 5;

/// One API: what is configured of it, what is known of it, or both.
struct Row {
    state: ApiState,
    source: Option<String>,
    /// The same, as it is shown everywhere. Its config is `None` for an API that is watched from the command line, or was configured
    /// once.
    view: ApiView,
    /// What the last heartbeat says of it.
    said: Option<Said>,
    /// Its last 24 hours, where few are shown and they are stored.
    hours: Option<Vec<Point>>,
}

impl Row {
    fn config(&self) -> Option<&Arc<ApiConfig>> {
        self.view.config.as_ref()
    }

    /// What is known of it now: nothing, while it is not probed.
    fn status(&self) -> Status {
        if self.view.beside.not_probed.is_some() { Status::Unknown } else { self.state.status }
    }

    fn since(&self) -> Option<Timestamp> {
        self.view.beside.not_probed.as_ref().map(|trouble| trouble.since).or(self.state.since)
    }

    /// It is watched no longer, and nothing of it is left to be told. Where it was watched a moment ago and could not be told, that may
    /// be from a command line.
    fn is_gone(&self, checked: &Checked, now: Timestamp) -> bool {
        let state = &self.state;
        let may_run = self.probed_within(SAID_FOR, now)
            && state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Inconclusive);
        let is_known = self.config().is_some() || checked.refused(state.api_id.as_str()).is_some();
        !is_known && !may_run && state.status == Status::Unknown && state.streak.is_none() && state.owed.is_empty()
    }

    fn probed_within(&self, span: Duration, now: Timestamp) -> bool {
        self.state.last_probe.as_ref().is_some_and(|probe| now.since(probe.at) < span)
    }

    /// Outcomes that it takes to confirm what the streak leads to, where that is known.
    fn needed(&self) -> Option<u32> {
        let (config, streak) = (self.config()?, self.state.streak.as_ref()?);
        Some(match streak.toward {
            Toward::Down => config.failure_threshold,
            Toward::Up => config.success_threshold,
        })
    }
}

/// What is stored, at one moment or nearly.
struct Look {
    /// Those that are shown, what somebody should look at first.
    rows: Vec<Row>,
    /// Those that are watched no longer.
    gone: Vec<Row>,
    own: Own,
    checked: Checked,
    unreadable: Vec<UnreadableState>,
    /// Of each worker, where it can be read.
    heartbeats: Vec<Heartbeat>,
    /// Why others cannot.
    unreadable_heartbeats: Vec<String>,
    /// Of all workers together.
    heartbeat: Option<Heartbeat>,
    /// Alerts that some channel does not have yet, the monitor's own among them.
    owed: usize,
    now: Timestamp,
}

/// `status`.
///
/// # Errors
/// A store that is not there or not available.
pub(super) async fn run(app: &App, args: &StatusArgs, out: &Out) -> Result<Exit, AppError> {
    if args.watch {
        return watch::run(app, args, out).await;
    }
    let mut look = look(app).await?;
    look.read_hours(app, args).await;
    show(app, &look, args, out)
}

impl Look {
    /// Reads the last 24 hours of those that are shown, if they are few.
    async fn read_hours(&mut self, app: &App, args: &StatusArgs) {
        let shown = |row: &&Row| is_shown(row, args);
        if args.json || self.rows.iter().filter(shown).count() > WITH_HOURS {
            return;
        }
        let states: Vec<&ApiState> = self.rows.iter().filter(shown).map(|row| &row.state).collect();
        let mut hours = past::hours_of(app, &states, self.now).await;
        for row in &mut self.rows {
            row.hours = hours.remove(&row.state.api_id);
        }
    }
}

fn is_shown(row: &Row, args: &StatusArgs) -> bool {
    !args.down || (row.view.is_enabled() && row.status() == Status::Down)
}

async fn look(app: &App) -> Result<Look, AppError> {
    let (LoadedStates { states, unreadable, .. }, heartbeats) = load(app).await?;
    let checked = configured::read_without_secrets(app).await;
    let owed = states.iter().map(|state| owed_by(app, state)).sum();
    let (own, states) = Own::split(states);
    let now = app.clock.now();
    let unreadable_heartbeats =
        heartbeats.iter().filter_map(|heartbeat| Some(heartbeat.as_ref().err()?.why.clone())).collect();
    let heartbeats: Vec<Heartbeat> = heartbeats.into_iter().flatten().collect();
    let heartbeat = Heartbeat::together(&heartbeats);
    // What has no row is known only where every row can be named.
    let are_rows_known = checked.unreadable.is_empty() && checked.refused.iter().all(|row| row.row.api_id.is_some());
    let rows = join(&checked, states, &own, heartbeat.as_ref(), now);
    let (gone, rows): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| are_rows_known && row.is_gone(&checked, now));
    Ok(Look { rows, gone, own, checked, unreadable, heartbeats, unreadable_heartbeats, heartbeat, owed, now })
}

fn show(app: &App, look: &Look, args: &StatusArgs, out: &Out) -> Result<Exit, AppError> {
    let Look { rows, gone, own, checked, unreadable, heartbeats, heartbeat, now, .. } = look;
    let store_trouble = own.get(&ApiId::monitor_store());
    for why in &look.unreadable_heartbeats {
        note(&format!("note: the heartbeat cannot be read: {}", text::line(why)));
    }
    // Where heartbeats come, they say whether anything runs; rows may be as old as checkpoints are apart.
    let silent = match heartbeat {
        Some(heartbeat) if heartbeat.period.is_some() && app.settings.store.heartbeat.is_some() => None,
        _ => silence(rows, app.settings.store.checkpoint, *now),
    };
    let shown: Vec<&Row> = rows.iter().filter(|row| is_shown(row, args)).collect();
    let seen = render::Seen { app, look };
    if args.json {
        out.json(&render::json_of(&seen, &shown, store_trouble))?;
        checked.report_unreadable();
        return Ok(Exit::Ok);
    }
    out.print(&render::text_of(&seen, &shown, out))?;
    let heard = heartbeats.iter().filter(|_| seen.are_heartbeats_on());
    for overdue in heard.filter_map(|heartbeat| heartbeat::overdue_words(heartbeat, *now)) {
        note(&format!("note: {overdue}; what stands above is from before"));
    }
    if let Some(silence) = silent {
        note(&format!("note: nothing was probed for {}; is `api-health run` running?", text::span(silence)));
    }
    if let Some(incident) = store_trouble {
        let since = text::ago(incident.started_at, *now);
        note(&format!("note: {}, since {since}: {}", incident.name, text::line(&incident.reason)));
    }
    tell_gone(gone, *now);
    report_unreadable(unreadable);
    for refused in &checked.refused {
        let id = refused.row.api_id.as_ref().map_or("a row without an id", |id| id.as_str());
        note(&format!("note: {id} in {} is refused: api-health apis validate", refused.source));
    }
    checked.report_unreadable();
    Ok(Exit::Ok)
}

/// Says which APIs were watched until lately and no longer are.
fn tell_gone(gone: &[Row], now: Timestamp) {
    let lately: Vec<&str> =
        gone.iter().filter(|row| row.probed_within(SAID_FOR, now)).map(|row| row.state.api_id.as_str()).collect();
    if lately.is_empty() {
        return;
    }
    let named = lately[..lately.len().min(NAMED)].join(", ");
    let more = lately.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    note(&format!("note: watched no longer since less than a day ago: {named}{more}"));
}

/// What is stored, and the last heartbeats. They are not of one moment.
async fn load(app: &App) -> Result<(LoadedStates, Vec<StoredHeartbeat>), AppError> {
    let loaded = load_states(app).await?;
    Ok((loaded, app.open_store().await?.read_heartbeats().await?))
}

/// Alerts that some channel does not have yet.
fn owed_by(app: &App, state: &ApiState) -> usize {
    state.owed.iter().filter(|owed| !stored::owed_to(app, owed).is_empty()).count()
}

fn join(
    checked: &Checked,
    states: Vec<ApiState>,
    own: &Own,
    heartbeat: Option<&Heartbeat>,
    now: Timestamp,
) -> Vec<Row> {
    let row = |state: ApiState, config: Option<&Arc<ApiConfig>>, source| {
        let (view, said) = shown::view(&state, config, own, heartbeat, now);
        Row { state, source, view, said, hours: None }
    };
    let mut states: BTreeMap<ApiId, ApiState> = states.into_iter().map(|state| (state.api_id.clone(), state)).collect();
    let mut rows: Vec<Row> = Vec::new();
    for configured in checked.good.iter().filter(|configured| !configured.shadowed) {
        let api_id = &configured.config.api_id;
        let state = states.remove(api_id).unwrap_or_else(|| ApiState::unknown(api_id.clone()));
        rows.push(row(state, Some(&configured.config), Some(configured.source.clone())));
    }
    rows.extend(states.into_values().map(|state| row(state, None, None)));
    rows.sort_by(|a, b| {
        a.view.condition(now).cmp(&b.view.condition(now)).then_with(|| a.state.api_id.cmp(&b.state.api_id))
    });
    rows
}

/// For how long nothing at all was probed, if that is longer than it should be, with rows that are written this often.
fn silence(rows: &[Row], checkpoint: Duration, now: Timestamp) -> Option<Duration> {
    let last = rows.iter().filter_map(|row| row.state.last_probe.as_ref()).map(|probe| probe.at).max()?;
    let silent = now.since(last);
    let allowed = SILENCE.max(checkpoint.saturating_add(SILENCE / 2));
    if silent <= allowed {
        return None;
    }
    // Rows with the same schedule share it, and its gaps take a while to find.
    let schedules: HashMap<_, _> =
        rows.iter().filter_map(Row::config).map(|c| (Arc::as_ptr(&c.schedule), &c.schedule)).collect();
    let gaps = schedules.into_values().map(|schedule| schedule.longest_gap());
    (silent > gaps.max().unwrap_or_default().saturating_add(allowed)).then_some(silent)
}
