//! `explain`: the story of one API. What is known of it, why, what was told of it and when, and what comes next. It only reads, and
//! works while `run` does.

mod render;

use std::sync::Arc;
use std::time::Duration;

use api_health_core::delivery::OwedAlert;
use api_health_core::history::series::Point;
use api_health_core::hold::Hold;
use api_health_core::incident::Incident;
use api_health_core::recent::{RecentAlert, Run};
use api_health_core::schedule::{Due, Moment, Slot};
use api_health_core::{
    ApiConfig, ApiId, ApiState, ConfigFault, Heartbeat, Status, Timestamp, Toward, Verdict, maintenance,
};

use super::args::ExplainArgs;
use super::configured::{self, Checked};
use super::out::{Out, note};
use super::status::heartbeat;
use super::{past, stored, text};
use crate::app::{App, AppError};
use crate::configs::nearest::nearest_of;
use crate::configs::values::quote;
use crate::control::client;
use crate::environment;
use crate::exit::Exit;
use crate::settings::StoreKind;
use crate::sqlite::holder;

/// All that is known of one API.
struct Story {
    now: Timestamp,
    state: ApiState,
    /// It has a record.
    is_known: bool,
    config: Option<Arc<ApiConfig>>,
    /// Where its row is from.
    source: Option<String>,
    /// What is wrong with its row, if that is refused.
    faults: Vec<ConfigFault>,
    /// Why it is not probed, where its prober was given up.
    not_probed: Option<Incident>,
    /// Why nothing can be told of it, where that is told.
    unclear: Option<Incident>,
    /// That its certificate ends soon, where that is told.
    certificate: Option<Incident>,
    next: Next,
    /// Its last 24 hours, where they are stored.
    hours: Vec<Point>,
    /// Each alert that was decided last, or is still owed, the newest first, and the channels that lack it.
    told: Vec<(RecentAlert, Option<OwedAlert>)>,
}

/// When it is probed next.
enum Next {
    Never(&'static str),
    /// At about this time: by its schedule, or again since it is suspect.
    At {
        at: Timestamp,
        is_recheck: bool,
    },
    /// Who watches it counts from its own start, which is not known here.
    Within(Duration),
}

/// `explain`.
///
/// # Errors
/// A store that is not available, and an id of which nothing is known.
pub(super) async fn run(app: &App, args: &ExplainArgs, out: &Out) -> Result<Exit, AppError> {
    let checked = configured::read_without_secrets(app).await;
    let (records, heartbeats) = match (ApiId::parse_stored(&args.api_id), app.store_exists()) {
        (Ok(api_id), true) => load(app, &api_id).await?,
        _ => (Records::default(), Vec::new()),
    };
    if records.state.is_none() && checked.get(&args.api_id).is_none() && checked.refused(&args.api_id).is_none() {
        return Err(unknown(app, &args.api_id, checked).await);
    }
    let story = Story::of(app, &args.api_id, records, &checked, &heartbeats).await?;
    if args.json {
        out.json(&render::json_of(&story, app))?;
    } else {
        out.print(&render::text_of(&story, app, out))?;
        for overdue in heartbeats.iter().filter_map(|heartbeat| heartbeat::overdue_words(heartbeat, story.now)) {
            note(&format!("note: {overdue}; what stands above is from before"));
        }
        if app.settings.store.kind == StoreKind::Sqlite && matches!(holder(&app.settings.store.path), Ok(None)) {
            note("note: no process watches by this store just now; start one: api-health run");
        }
    }
    checked.report_unreadable();
    Ok(Exit::Ok)
}

/// What is stored of one API.
#[derive(Default)]
struct Records {
    state: Option<ApiState>,
    not_probed: Option<Incident>,
    unclear: Option<Incident>,
    certificate: Option<Incident>,
}

async fn load(app: &App, api_id: &ApiId) -> Result<(Records, Vec<Heartbeat>), AppError> {
    let store = app.open_store().await?;
    let read = async |api_id: ApiId| match store.load(api_id).await? {
        Some(Err(unreadable)) => Err(AppError::Unavailable(format!(
            "the stored state of {} cannot be read: {}",
            text::line(&unreadable.api_id),
            text::line(&unreadable.why)
        ))),
        Some(Ok(state)) => Ok(Some(state)),
        None => Ok(None),
    };
    let incident = |state: Option<ApiState>| Some(*state?.incident?);
    let records = Records {
        state: read(api_id.clone()).await?,
        not_probed: incident(read(ApiId::monitor_prober(api_id)).await?),
        unclear: incident(read(ApiId::monitor_unclear(api_id)).await?),
        certificate: incident(read(ApiId::monitor_certificate(api_id)).await?),
    };
    Ok((records, store.read_heartbeats().await?.into_iter().flatten().collect()))
}

/// There is neither a row nor a record: which id is there that is like it.
async fn unknown(app: &App, api_id: &str, mut checked: Checked) -> AppError {
    if let Some((_, error)) = checked.unreadable.pop() {
        return error;
    }
    let mut known: Vec<String> = checked.good.iter().map(|c| c.config.api_id.to_string()).collect();
    known.extend(checked.refused.iter().filter_map(|r| Some(r.row.api_id.as_ref()?.to_string())));
    if let Ok(loaded) = stored::load_states(app).await {
        known.extend(loaded.states.iter().map(|state| state.api_id.to_string()));
    }
    let nearest = nearest_of(api_id, known.iter().map(String::as_str));
    let meant = nearest.map_or(String::new(), |nearest| format!("; did you mean {nearest}?"));
    AppError::NotThere(format!("there is no API {}{meant}; see `api-health status`", quote(api_id)))
}

impl Story {
    async fn of(
        app: &App,
        api_id: &str,
        records: Records,
        checked: &Checked,
        heartbeats: &[Heartbeat],
    ) -> Result<Self, AppError> {
        let now = app.clock.now();
        let found = checked.get(api_id);
        let refused = checked.refused(api_id).filter(|_| found.is_none());
        let is_known = records.state.is_some();
        let never_probed = || ApiId::parse(api_id).map(ApiState::unknown);
        let state = records.state.map_or_else(never_probed, Ok).map_err(AppError::Internal)?; // it has a row, so it is an id
        let hours = past::hours_of(app, &[&state], now).await.remove(&state.api_id).unwrap_or_default();
        let mut story = Self {
            now,
            hours,
            told: told(&state),
            state,
            is_known,
            config: found.map(|found| Arc::clone(&found.config)),
            source: found.map(|found| &found.source).or(refused.map(|refused| &refused.source)).cloned(),
            faults: refused.map(|refused| refused.row.faults.clone()).unwrap_or_default(),
            not_probed: records.not_probed,
            unclear: records.unclear,
            certificate: records.certificate,
            next: Next::Never("it is not configured"),
        };
        story.next = story.next_probe(app, heartbeats).await;
        Ok(story)
    }

    /// What is known of it now: nothing, while it is not probed.
    fn status(&self) -> Status {
        if self.not_probed.is_some() { Status::Unknown } else { self.state.status }
    }

    async fn next_probe(&self, app: &App, heartbeats: &[Heartbeat]) -> Next {
        let Some(config) = &self.config else {
            return Next::Never(match () {
                () if !self.faults.is_empty() => "its row is refused",
                () if self.state.api_id.is_self_monitoring() => "it is api-health itself, which is not probed",
                () => "it is not configured",
            });
        };
        if !config.enabled {
            return Next::Never("it is disabled");
        }
        if self.not_probed.is_some() {
            return Next::Never("its prober was given up, and is tried again only now and then");
        }
        let now = Moment { wall: self.now, monotonic: Duration::ZERO };
        if let (Some(_), Some(probe)) = (&self.state.streak, &self.state.last_probe) {
            return Next::At { at: probe.at.plus(config.recheck_wait(now)).max(self.now), is_recheck: true };
        }
        let slot = if app.settings.probe.spread { Slot::of(&config.api_id) } else { Slot::AT_TICK };
        match config.schedule.next_due(slot, now) {
            Some(Due::Wall(at)) => Next::At { at, is_recheck: false },
            Some(due @ Due::Monotonic(_)) => {
                let interval = config.schedule.interval().unwrap_or_default();
                // The daemon of this machine tells when it started; of several workers it may be another that probes.
                let Some(since) = daemon_start(app).await.filter(|_| heartbeats.len() < 2) else {
                    return Next::Within(interval);
                };
                let now = Moment { monotonic: self.now.since(since), ..now };
                let due = config.schedule.next_due(slot, now).unwrap_or(due);
                Next::At { at: self.now.plus(due.wait(now)), is_recheck: false }
            }
            None => Next::Never("its schedule never comes due again"),
        }
    }

    /// The last outcomes, the newest first: each run, and when it was over.
    fn outcomes(&self) -> Vec<(Run, Timestamp)> {
        let mut over = self.state.last_probe.as_ref().map_or(self.now, |probe| probe.at);
        let with_end = |run: Run| (run, std::mem::replace(&mut over, run.first_at));
        self.state.recent.runs().map(with_end).collect()
    }

    /// Why it is what it is, in sentences.
    fn why(&self) -> Vec<String> {
        let mut why = Vec::new();
        let (state, config) = (&self.state, self.config.as_deref());
        if let Some(incident) = &self.not_probed {
            why.push(format!("It is not probed: {}.", text::line(&incident.reason)));
        }
        if let Some(incident) = &self.unclear {
            let since = text::ago(incident.started_at, self.now);
            why.push(format!("Nothing can be told of it, since {since}: {}.", text::line(&incident.reason)));
        }
        why.extend(self.faults.iter().map(|fault| format!("Its row is refused: {fault}.")));
        let times = |n: Option<u32>, word: &str| n.map(|n| format!("{n} {word} in a row confirm it"));
        match (state.status, &state.incident, &state.last_probe) {
            (Status::Down, Some(incident), _) => {
                why.push(format!("When it was confirmed: {}.", text::line(&incident.reason)));
                why.extend(times(config.map(|c| c.failure_threshold), "fails").map(|words| format!("{words}.")));
            }
            (Status::Up, ..) => why.push("The last outcome that was confirmed is a pass.".into()),
            (_, _, None) => why.push("It was never probed.".into()),
            (_, _, Some(_)) if config.is_none_or(|config| !config.enabled) => {
                why.push("It is not watched, so nobody knows how it is.".into());
            }
            _ => why.push("Nothing is confirmed yet.".into()),
        }
        if let Some(streak) = &state.streak {
            let needed = config.map(|config| match streak.toward {
                Toward::Down => config.failure_threshold,
                Toward::Up => config.success_threshold,
            });
            let of = needed.map_or(String::new(), |needed| format!(" of {needed}"));
            let word = if streak.toward == Toward::Down { "fails" } else { "passes" };
            why.push(format!("It is suspect: {}{of} {word} in a row speak against that.", streak.count));
        }
        if let Some(probe) = state.last_probe.as_ref().filter(|probe| probe.verdict != Verdict::Pass) {
            let error = text::line(probe.error.as_deref().unwrap_or("it failed"));
            why.push(match probe.verdict {
                Verdict::Inconclusive => format!("The last probe could not tell: {error}."),
                _ => format!("The last probe failed: {error}."),
            });
        }
        why.extend(self.not_told());
        if let Some(incident) = &self.certificate {
            why.push(format!("Told {}: {}.", text::ago(incident.started_at, self.now), text::line(&incident.reason)));
        }
        why
    }

    /// Why people do not hear of its changes just now.
    fn not_told(&self) -> Option<String> {
        let (state, windows) = (&self.state, self.config.as_deref().map(|config| &config.alerting.maintenance));
        let told = state.last_alerted.as_str();
        if let Some(held) = &state.held {
            let why = text::line(&held.why);
            return Some(format!("Its last change is not told yet: {why}. It was told last as {told}."));
        }
        let window = maintenance::hold(windows.map_or(&[], Vec::as_slice), state.maintenance.as_deref(), self.now);
        let hold = window.or_else(|| state.is_flapping().then_some(Hold::Flapping))?;
        Some(format!("Changes are not told just now: {}.", text::line(&hold.to_string())))
    }
}

/// When the daemon on this machine started, if one answers.
async fn daemon_start(app: &App) -> Option<Timestamp> {
    let found = client::find(&app.settings, &environment::get).await.ok().flatten()?;
    Timestamp::parse(&found.who.since)
}

/// The last alerts, and those that are owed besides, the newest first.
fn told(state: &ApiState) -> Vec<(RecentAlert, Option<OwedAlert>)> {
    let is_of = |told: RecentAlert, owed: &OwedAlert| {
        (told.kind, told.happened_at) == (owed.alert.kind, owed.alert.happened_at)
    };
    let last: Vec<RecentAlert> = state.recent.alerts().collect();
    let older = state.owed.iter().rev().filter(|owed| !last.iter().any(|told| is_of(*told, owed))).map(|owed| {
        let alert = &owed.alert;
        let told = RecentAlert { kind: alert.kind, happened_at: alert.happened_at, detected_at: alert.detected_at };
        (told, Some(owed.clone()))
    });
    let of = |told: &RecentAlert| (*told, state.owed.iter().find(|owed| is_of(*told, owed)).cloned());
    last.iter().map(of).chain(older).collect()
}
