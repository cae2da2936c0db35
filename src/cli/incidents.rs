//! `incidents list`, `show` and `note`: what went wrong and what people wrote on it. Notes are stored with history, beside what the daemon
//! writes there, so that it has no part in them.

mod render;

use std::sync::Arc;

use api_health_actors::ports::HistoryStore;
use api_health_core::history::note::{AUTHOR_CHARS_MAX, NOTE_CHARS_MAX, NOTES_MAX};
use api_health_core::history::{HistorySlot, Note, NoteKind, Series, Story, UtcMonth};
use api_health_core::incident::Incident;
use api_health_core::{ApiState, ConfigFault, Timestamp};
use clap::ValueEnum;
use serde_json::json;

use super::args::{IncidentsCommand, NoteArgs};
use super::out::Out;
use super::{stored, text};
use crate::app::{App, AppError};
use crate::environment;
use crate::exit::Exit;
use crate::store::history::READ_MAX;

/// What a note says of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NoteArg {
    /// Somebody looks for the cause
    Investigating,
    /// The cause is known
    Identified,
    /// It is mended, and watched
    Monitoring,
    /// It is over
    Resolved,
}

impl From<NoteArg> for NoteKind {
    fn from(kind: NoteArg) -> Self {
        match kind {
            NoteArg::Investigating => Self::Investigating,
            NoteArg::Identified => Self::Identified,
            NoteArg::Monitoring => Self::Monitoring,
            NoteArg::Resolved => Self::Resolved,
        }
    }
}

/// An incident, open or over.
struct Found {
    incident: Incident,
    /// Where it is over.
    story: Option<Story>,
}

impl Found {
    fn open(state: &ApiState) -> Option<Self> {
        let incident = Incident::clone(state.incident.as_deref()?);
        (!state.api_id.is_self_monitoring()).then_some(Self { incident, story: None })
    }

    fn over(story: Story) -> Self {
        Self { incident: story.incident.clone(), story: Some(story) }
    }

    fn began_at(&self) -> Timestamp {
        self.story.as_ref().map_or(self.incident.started_at, |story| story.began_at)
    }

    fn ended_at(&self) -> Option<Timestamp> {
        Some(self.story.as_ref()?.ended_at)
    }
}

/// Runs one of them.
///
/// # Errors
/// A store that is not there or not available, an incident that is not known, and a note that cannot be taken.
pub(super) async fn run(app: &App, command: &IncidentsCommand, out: &Out) -> Result<Exit, AppError> {
    match command {
        IncidentsCommand::List { month, json } => list(app, month.as_deref(), *json, out).await,
        IncidentsCommand::Show { incident_id, json } => {
            let now = app.clock.now();
            let found = find(app, incident_id, now).await?;
            let notes = match app.open_history().await? {
                Some(history) => notes_on(&*history, incident_id).await?,
                None => Vec::new(),
            };
            if *json {
                out.json(&render::json_of(&found, &notes, now))?;
            } else {
                out.print(&render::text_of(&found, &notes, now, out))?;
            }
            Ok(Exit::Ok)
        }
        IncidentsCommand::Note(args) => note(app, args, out).await,
    }
}

async fn history(app: &App) -> Result<Arc<dyn HistoryStore>, AppError> {
    app.open_history().await?.ok_or_else(|| {
        AppError::NotThere(
            "no history is kept, in which notes are stored; [history] in the settings switches it on".into(),
        )
    })
}

async fn list(app: &App, month: Option<&str>, as_json: bool, out: &Out) -> Result<Exit, AppError> {
    let now = app.clock.now();
    let month = match month {
        None => UtcMonth::of(now),
        Some(written) => UtcMonth::parse(written).ok_or_else(|| {
            let what = format!("--month {:?}", text::line(written));
            AppError::Configuration(vec![fault(&what, "is no month", "one such as 2026-11")])
        })?,
    };
    let loaded = stored::load_states(app).await?;
    let mut all: Vec<Found> = loaded.states.iter().filter_map(Found::open).collect();
    let waiting = loaded.states.iter().flat_map(|state| &state.awaiting_history);
    let mut over: Vec<Story> = waiting.filter(|story| UtcMonth::of(story.began_at) == month).cloned().collect();
    let mut notes = Vec::new();
    if let Some(history) = app.open_history().await? {
        let (series, from, until) =
            (Series::Incidents(month), month.first_day().starts_at(), month.last_day().ends_at());
        let items = history.read(series.clone(), HistorySlot::incidents(from, until), READ_MAX).await?;
        over.extend(items.iter().filter_map(|item| Story::decode(&item.bytes).ok()));
        notes = Note::all(&history.read(series, HistorySlot::notes(from, until), READ_MAX).await?);
    }
    over.sort_by_key(|story| (story.began_at, story.incident.incident_id.clone()));
    over.dedup_by(|a, b| (a.began_at, &a.incident.incident_id) == (b.began_at, &b.incident.incident_id));
    all.extend(over.into_iter().map(Found::over));
    all.sort_by_key(|found| std::cmp::Reverse(found.began_at()));
    if as_json {
        let unreadable = stored::json_of_unreadable(&loaded.unreadable);
        let all: Vec<_> = all.iter().map(|found| render::json_in_short(found, now)).collect();
        out.json(&json!({ "schema": 1, "month": month.to_string(), "incidents": all, "unreadable": unreadable }))?;
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        out.print(&format!("no incident is open, and none that began in {month} is over\n"))?;
    } else {
        out.print(&render::table(&all, &notes, now, out))?;
    }
    stored::report_unreadable(&loaded.unreadable);
    Ok(Exit::Ok)
}

/// The incident of that id: open, waiting in its record, or in history.
async fn find(app: &App, incident_id: &str, now: Timestamp) -> Result<Found, AppError> {
    let unknown = || {
        let id = text::line(incident_id);
        AppError::NotThere(format!("no incident has the id {id}; see `api-health incidents list`"))
    };
    let (api_id, started_at) = Incident::of_id(incident_id).ok_or_else(unknown)?;
    stored::must_exist(app)?;
    if let Some(Ok(state)) = app.open_store().await?.load(api_id.clone()).await? {
        let open = Found::open(&state).filter(|found| found.incident.incident_id == incident_id);
        let over = || state.awaiting_history.iter().find(|story| story.incident.incident_id == incident_id);
        if let Some(found) = open.or_else(|| over().cloned().map(Found::over)) {
            return Ok(found);
        }
    }
    let Some(history) = app.open_history().await? else { return Err(unknown()) };
    let items = history.read(Series::Api(api_id), HistorySlot::incidents(started_at, now), READ_MAX).await?;
    let mut over = items.iter().filter_map(|item| Story::decode(&item.bytes).ok());
    over.find(|story| story.incident.incident_id == incident_id).map(Found::over).ok_or_else(unknown)
}

async fn notes_on(history: &dyn HistoryStore, incident_id: &str) -> Result<Vec<Note>, AppError> {
    let Some((series, slots)) = Note::slots(incident_id) else { return Ok(Vec::new()) };
    Ok(Note::all(&history.read(series, slots, READ_MAX).await?))
}

fn fault(what: &str, why: &str, remedy: &str) -> ConfigFault {
    ConfigFault { location: "incidents".into(), what: what.into(), why: why.into(), remedy: remedy.into() }
}

async fn note(app: &App, args: &NoteArgs, out: &Out) -> Result<Exit, AppError> {
    let by = args.by.clone().unwrap_or_else(user);
    let mut faults = Vec::new();
    for (what, written, chars_max) in [("the note", &args.text, NOTE_CHARS_MAX), ("--by", &by, AUTHOR_CHARS_MAX)] {
        let chars = written.trim().chars().count();
        if chars == 0 {
            faults.push(fault(what, "is empty", "a few words"));
        } else if chars > chars_max {
            let why = format!("has {chars} characters, more than {chars_max}");
            faults.push(fault(what, &why, "a shorter one"));
        }
    }
    if !faults.is_empty() {
        return Err(AppError::Configuration(faults));
    }
    let now = app.clock.now();
    find(app, &args.incident_id, now).await?;
    let history = history(app).await?;
    let before = notes_on(&*history, &args.incident_id).await?;
    if before.len() >= NOTES_MAX {
        let why = format!("has {NOTES_MAX} notes, and takes no more");
        return Err(AppError::Configuration(vec![fault(&args.incident_id, &why, "them where you keep reports")]));
    }
    // None has the time of another one: it is part of its key.
    let last = before.last().map(|note| Timestamp::from_millis(note.at.as_millis() + 1));
    let note = Note {
        incident_id: args.incident_id.clone(),
        at: last.map_or(now, |last| last.max(now)),
        by: api_health_core::text::line(by.trim(), AUTHOR_CHARS_MAX),
        kind: args.kind.map(NoteKind::from),
        text: api_health_core::text::line(args.text.trim(), NOTE_CHARS_MAX),
    };
    for written in history.write(note.item().into_iter().collect()).await {
        written?;
    }
    if args.json {
        out.json(&render::json_of_note(&note))?;
    } else {
        out.print(&format!("noted on {}; pages show it within a minute\n", note.incident_id))?;
    }
    Ok(Exit::Ok)
}

/// Who is at this terminal: the person, where sudo made another user of them.
fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(environment::look);
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}
