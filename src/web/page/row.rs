//! One API as a row of a list: what it is, since when, and why, short enough that a hundred of them are a small page.

use std::time::Duration;

use api_health_core::view::{ApiView, Condition};
use api_health_core::{Timestamp, text};

use super::chart::Drawing;
use super::stored::{Reach, Read, Uptime};
use super::words::{When, millis, span};
use super::zone::Look;
use crate::shown;

/// The longest name of a row. The page of the API has all of it.
const NAME_CHARS_MAX: usize = 60;

/// The longest reason of a row.
const WHY_CHARS_MAX: usize = 100;

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) condition: Condition,
    pub(crate) since: Option<When>,
    /// How long it has been so.
    pub(crate) lasts: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) latency: Option<String>,
    /// What is told of its certificate.
    pub(crate) certificate: Option<String>,
    /// Its past, on a page that has few rows.
    pub(crate) past: Option<RowPast>,
}

/// The past of an API in a row.
#[derive(Debug)]
pub(crate) struct RowPast {
    pub(crate) p95: String,
    pub(crate) bar: Drawing,
}

impl Row {
    pub(crate) fn of(view: &ApiView, look: &Look) -> Self {
        let now = look.now;
        let since = since(view, now);
        Self {
            id: view.api_id.to_string(),
            name: text::line(view.name(), NAME_CHARS_MAX),
            condition: view.condition(now),
            since: since.map(|since| When::of(since, look)),
            lasts: since.map(|since| span(now.since(since))),
            why: why(view, now, WHY_CHARS_MAX),
            latency: view.last_probe.as_ref().and_then(|probe| probe.latency_ms).map(ms),
            certificate: view.beside.certificate.as_ref().map(|trouble| masked(view, &trouble.reason, WHY_CHARS_MAX)),
            past: None,
        }
    }

    pub(crate) fn with(mut self, read: &Read, look: &Look) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        let now = look.now;
        let yesterday = Timestamp::from_millis(now.as_millis() - DAY.as_millis() as i64);
        self.past = Some(RowPast {
            p95: read.past().and_then(|past| Uptime::of(past, yesterday, now).p95).map_or_else(|| "–".into(), millis),
            bar: read.bar(Reach::QUARTER, "day", look),
        });
        self
    }
}

pub(crate) fn ms(figure: u32) -> String {
    millis(Duration::from_millis(u64::from(figure)))
}

/// Since when it has been in the condition that it is in.
pub(crate) fn since(view: &ApiView, now: Timestamp) -> Option<Timestamp> {
    match view.condition(now) {
        Condition::Unwatched => view.beside.not_probed.as_ref().map(|trouble| trouble.since).or(view.late_after),
        Condition::Suspect => view.streak.as_ref().map(|streak| streak.first_at),
        Condition::Unclear => {
            let told = view.beside.unclear.as_ref().map(|trouble| trouble.since);
            told.or_else(|| view.last_probe.as_ref().map(|probe| probe.at))
        }
        Condition::Off => None,
        _ => view.since,
    }
}

/// Why it is not simply up, without secrets.
pub(crate) fn why(view: &ApiView, now: Timestamp, chars_max: usize) -> Option<String> {
    view.why(now).map(|why| masked(view, &why, chars_max))
}

/// Words of a server or of a library, without the secrets of the row that they may echo.
pub(crate) fn masked(view: &ApiView, words: &str, chars_max: usize) -> String {
    text::line(&shown::said(view, words), chars_max)
}
