//! `status`: what is up, what is down, and since when. It only reads, and works while `run` does.

pub(super) mod beat;
mod render;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api_health_actors::ports::{LoadedStates, StoredHeartbeat};
use api_health_core::incident::Incident;
use api_health_core::outcome::Verdict;
use api_health_core::{ApiConfig, ApiId, ApiState, Heartbeat, Status, Timestamp, Toward};

use super::args::StatusArgs;
use super::configured::{self, Checked};
use super::out::{Out, note};
use super::stored::{self, load_states, report_unreadable};
use super::text;
use crate::app::{App, AppError};
use crate::configs::validate::RowRules;
use crate::exit::Exit;

/// When nothing was probed for this long beyond the longest interval, it is said that `run` may not be running.
const SILENCE: Duration = Duration::from_secs(120);

/// For how long it is said of an API that it is watched no longer.
const SAID_FOR: Duration = Duration::from_secs(24 * 3_600);

/// So many of them are named.
const NAMED: usize = 5;

/// One API: what is configured of it, what is known of it, or both.
struct Row {
    state: ApiState,
    /// `None` for an API that is watched from the command line, or was configured once.
    config: Option<Arc<ApiConfig>>,
    source: Option<String>,
    /// Why it is not probed, where its prober was given up.
    not_probed: Option<Incident>,
    /// Since when and why nothing can be told of it, where that is told.
    unclear: Option<Incident>,
    /// Since when and why it is told that its certificate ends soon.
    certificate: Option<Incident>,
}

impl Row {
    /// What is known of it now: nothing, while it is not probed.
    fn status(&self) -> Status {
        if self.not_probed.is_some() { Status::Unknown } else { self.state.status }
    }

    fn since(&self) -> Option<Timestamp> {
        self.not_probed.as_ref().map(|incident| incident.started_at).or(self.state.since)
    }

    fn enabled(&self) -> bool {
        self.config.as_ref().is_none_or(|config| config.enabled)
    }

    /// It is watched no longer, and nothing of it is left to be told. Where it was watched a moment ago and could not be told, that may
    /// be from a command line.
    fn is_gone(&self, checked: &Checked, now: Timestamp) -> bool {
        let state = &self.state;
        let may_run = self.probed_within(SAID_FOR, now)
            && state.last_probe.as_ref().is_some_and(|probe| probe.verdict == Verdict::Inconclusive);
        let is_known = self.config.is_some() || checked.refused(state.api_id.as_str()).is_some();
        !is_known && !may_run && state.status == Status::Unknown && state.streak.is_none() && state.owed.is_empty()
    }

    fn probed_within(&self, span: Duration, now: Timestamp) -> bool {
        self.state.last_probe.as_ref().is_some_and(|probe| now.since(probe.at) < span)
    }

    /// Outcomes that it takes to confirm what the streak leads to, where that is known.
    fn needed(&self) -> Option<u32> {
        let (config, streak) = (self.config.as_ref()?, self.state.streak.as_ref()?);
        Some(match streak.toward {
            Toward::Down => config.failure_threshold,
            Toward::Up => config.success_threshold,
        })
    }

    /// Down and not probed first, then suspect, unknown, up; what is not probed last.
    fn rank(&self) -> u8 {
        match (self.enabled(), self.status()) {
            (false, _) => 4,
            (true, Status::Down) => 0,
            (true, Status::Unknown) if self.not_probed.is_some() => 0,
            (true, _) if self.state.is_suspect() || self.unclear.is_some() => 1,
            (true, Status::Unknown) => 2,
            (true, Status::Up) => 3,
        }
    }
}

/// `status`.
///
/// # Errors
/// A store that is not there or not available.
pub(super) async fn run(app: &App, args: &StatusArgs, out: &Out) -> Result<Exit, AppError> {
    let (LoadedStates { states, unreadable, .. }, beats) = load(app).await?;
    let rules = RowRules { secrets: Arc::new(super::apis::AnySecret), ..(*app.rules).clone() };
    let checked = configured::check(configured::read(app).await, &rules);
    let owed = states.iter().map(|state| owed_by(app, state)).sum();
    let (own, states): (Vec<ApiState>, Vec<ApiState>) =
        states.into_iter().partition(|state| state.api_id.is_self_monitoring());
    let own: HashMap<ApiId, Incident> =
        own.into_iter().filter_map(|state| Some((state.api_id, *state.incident?))).collect();
    let now = app.clock.now();
    // What has no row is known only where every row can be named.
    let are_rows_known = checked.unreadable.is_empty() && checked.refused.iter().all(|row| row.row.api_id.is_some());
    let (gone, mut rows): (Vec<Row>, Vec<Row>) =
        join(&checked, states, &own).into_iter().partition(|row| are_rows_known && row.is_gone(&checked, now));
    let store_trouble = own.get(&ApiId::monitor_store());
    for unreadable in beats.iter().filter_map(|beat| beat.as_ref().err()) {
        note(&format!("note: the heartbeat cannot be read: {}", text::line(&unreadable.why)));
    }
    let beats: Vec<Heartbeat> = beats.into_iter().flatten().collect();
    let heartbeat = Heartbeat::together(&beats);
    // Where heartbeats come, they say whether anything runs; rows may be as old as checkpoints are apart.
    let silent = match &heartbeat {
        Some(beat) if beat.period.is_some() && app.settings.store.heartbeat.is_some() => None,
        _ => silence(&rows, app.settings.store.checkpoint, now),
    };
    let counts = render::Counts::of(&rows, owed);
    if args.down {
        rows.retain(|row| row.enabled() && row.status() == Status::Down);
    }
    let seen = render::Seen { app, heartbeat: heartbeat.as_ref(), beats: &beats, now };
    if args.json {
        out.json(&render::json_of(&seen, &rows, &counts, store_trouble, &unreadable, &checked))?;
    } else {
        out.print(&render::text_of(&seen, &rows, &counts, out))?;
        let heard = beats.iter().filter(|_| seen.are_beats_on());
        for overdue in heard.filter_map(|beat| beat::overdue_words(beat, now)) {
            note(&format!("note: {overdue}; what stands above is from before"));
        }
        if let Some(silence) = silent {
            note(&format!("note: nothing was probed for {}; is `api-health run` running?", text::span(silence)));
        }
        if let Some(incident) = store_trouble {
            let since = text::ago(incident.started_at, now);
            note(&format!("note: {}, since {since}: {}", incident.name, text::line(&incident.reason)));
        }
        tell_gone(&gone, now);
        report_unreadable(&unreadable);
        for refused in &checked.refused {
            let id = refused.row.api_id.as_ref().map_or("a row without an id", |id| id.as_str());
            note(&format!("note: {id} in {} is refused: api-health apis validate", refused.source));
        }
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

fn join(checked: &Checked, states: Vec<ApiState>, own: &HashMap<ApiId, Incident>) -> Vec<Row> {
    let not_probed = |api_id: &ApiId| own.get(&ApiId::monitor_prober(api_id)).cloned();
    let unclear = |api_id: &ApiId| own.get(&ApiId::monitor_unclear(api_id)).cloned();
    let certificate = |api_id: &ApiId| own.get(&ApiId::monitor_certificate(api_id)).cloned();
    let mut states: BTreeMap<ApiId, ApiState> = states.into_iter().map(|state| (state.api_id.clone(), state)).collect();
    let mut rows: Vec<Row> = checked
        .good
        .iter()
        .filter(|c| !c.shadowed)
        .map(|c| Row {
            state: states.remove(&c.config.api_id).unwrap_or_else(|| ApiState::unknown(c.config.api_id.clone())),
            config: Some(Arc::clone(&c.config)),
            source: Some(c.source.clone()),
            not_probed: not_probed(&c.config.api_id),
            unclear: unclear(&c.config.api_id),
            certificate: certificate(&c.config.api_id),
        })
        .collect();
    rows.extend(states.into_values().map(|state| {
        let (not_probed, unclear) = (not_probed(&state.api_id), unclear(&state.api_id));
        let certificate = certificate(&state.api_id);
        Row { state, config: None, source: None, not_probed, unclear, certificate }
    }));
    rows.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.state.api_id.cmp(&b.state.api_id)));
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
        rows.iter().filter_map(|row| row.config.as_ref()).map(|c| (Arc::as_ptr(&c.schedule), &c.schedule)).collect();
    let gaps = schedules.into_values().map(|schedule| schedule.longest_gap());
    (silent > gaps.max().unwrap_or_default().saturating_add(allowed)).then_some(silent)
}
