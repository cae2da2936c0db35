//! The past of the APIs that the browser is shown: 100 days with outages, a window each Sunday night, and a day in which nobody watched.

use std::time::Duration;

use api_health_actors::testkit::history::MemoryHistory;
use api_health_core::alert::AlertKind;
use api_health_core::history::day::Day;
use api_health_core::history::hour::Hour;
use api_health_core::history::uptime::{Excluded, Why};
use api_health_core::history::{HistoryItem, HistorySlot, Month, Note, NoteKind, Series, Story, UtcDay, UtcMonth};
use api_health_core::incident::{DeliveredAlert, Incident};
use api_health_core::view::ApiView;
use api_health_core::{Timestamp, Verdict};

use crate::scene::NOW;

const DAYS: i32 = 100;

/// Days of which hours are still stored.
const DAYS_OF_HOURS: i32 = 62;

/// What is stored of these.
pub(crate) fn of(views: &[ApiView]) -> MemoryHistory {
    let history = MemoryHistory::default();
    for (number, view) in views.iter().enumerate() {
        put(&history, view, number as u64);
    }
    history
}

fn put(history: &MemoryHistory, view: &ApiView, seed: u64) {
    let api_id = &view.api_id;
    let today = UtcDay::of(NOW);
    let stories: Vec<Story> =
        (1..5).map(|n| story(view, today.plus_days(-(n * 17 + seed as i32 * 3) % DAYS), n)).collect();
    let down: Vec<_> = stories.iter().map(|story| story.began_at..story.ended_at).collect();
    let days: Vec<Day> = (0..DAYS).filter(|back| *back != 40).map(|back| day(today.plus_days(-back), seed)).collect();
    let item = |series, slot, bytes| HistoryItem { series, slot, epoch: 0, kept_until: None, bytes };
    let of_api = || Series::Api(api_id.clone());
    for day in days.iter().filter(|day| today.plus_days(-DAYS_OF_HOURS) <= day.day) {
        history.put(item(of_api(), HistorySlot::Day(day.day), day.encode()));
    }
    for back in 1..5 {
        let month = UtcMonth::of(NOW).plus_months(-back);
        history.put(item(of_api(), HistorySlot::Month(month), Month::of(month, &days, &down).encode()));
    }
    if let Some(open) = &view.incident {
        let written = [
            (60, NoteKind::Investigating, "Looking at the load balancer."),
            (300, NoteKind::Identified, "The disk of db-2 is full."),
        ];
        for (after, kind, text) in written {
            let (incident_id, at) = (open.incident_id.clone(), open.started_at.plus(Duration::from_secs(after)));
            let note = Note { incident_id, at, by: "ann".into(), kind: Some(kind), text: text.into() };
            note.item().into_iter().for_each(|item| history.put(item));
        }
    }
    for story in &stories {
        let slot = || HistorySlot::Incident { started_at: story.incident.started_at, api_id: api_id.clone() };
        history.put(item(of_api(), slot(), story.encode()));
        history.put(item(Series::Incidents(UtcMonth::of(story.began_at)), slot(), story.encode()));
    }
}

fn day(of: UtcDay, seed: u64) -> Day {
    let starts = of.starts_at();
    let until = of.ends_at().min(NOW);
    let mut day = Day { from: starts, until, ..Day::new(of) };
    if of.number() % 7 == 3 {
        let window = |hours: u64| starts.plus(Duration::from_secs(hours * 3_600));
        day.excluded.push(Excluded { why: Why::Maintenance, from: window(1), until: window(4) });
    }
    for number in 0..24_u8 {
        if starts.plus(Duration::from_secs(u64::from(number) * 3_600)) >= until {
            break;
        }
        let mut hour = Hour::default();
        for probe in 0..40_u32 {
            // A slow afternoon, and an answer in twenty that takes long.
            let at_noon = 12 - (i32::from(number) - 12).unsigned_abs().min(12);
            let spread = (probe * 7 + of.number() as u32 * 13 + u32::from(number) * 5) % 40;
            let slow = if probe % 20 == 7 { 180 + spread * 6 } else { 0 };
            hour.note(Verdict::Pass, Some(50 + seed as u32 * 6 + at_noon * 5 + spread + slow), 0);
        }
        day.hours.push((number, hour));
    }
    day
}

fn story(view: &ApiView, day: UtcDay, n: i32) -> Story {
    let at = |seconds: u64| day.starts_at().plus(Duration::from_secs(9 * 3_600 + seconds));
    let told = |kind, seconds| DeliveredAlert { channel: "pager".into(), kind, at: at(seconds) };
    let lasted = 240 * n.unsigned_abs() as u64;
    let began_at: Timestamp = at(0);
    Story {
        incident: Incident {
            incident_id: format!("{}.{}.3", view.api_id, began_at.as_millis()),
            started_at: began_at,
            reason: ["no answer within 10 s", "status 502 where 200 to 299 is expected"][n as usize % 2].into(),
            name: view.name().to_owned(),
            confirmed_at: Some(at(11)),
            delivered: vec![told(AlertKind::Down, 12), told(AlertKind::Up, lasted + 7)],
            ..Incident::default()
        },
        began_at,
        ended_at: at(lasted),
        end_confirmed_at: at(lasted + 6),
        is_closed: false,
        excluded_ms: 0,
        end_evidence: None,
    }
}
