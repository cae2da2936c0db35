//! The fields that say when alerts of an API are held, or told again: windows, parents, flapping, reminders.

use std::time::Duration;

use api_health_core::flap::FlapPolicy;
use api_health_core::maintenance::{WINDOW_MAX, Window};
use api_health_core::schedule::CronFault;
use api_health_core::{Alerting, ApiId, Timestamp};
use serde_json::{Value, json};

use super::cron_text::in_words;
use super::field::{About, Context, Field, Parsed, ValueKind};
use super::kinds::{each, listed, parse_text};
use super::span;
use super::values::{ValueFault, quote};

/// The most windows of one row, and the longest text of one.
pub(super) const WINDOWS_MAX: usize = 20;
pub(super) const WINDOW_CHARS_MAX: usize = 200;

/// The most APIs that one depends on.
pub(super) const PARENTS_MAX: usize = 20;

const OF_WINDOWS: ValueKind = ValueKind::Texts {
    most: WINDOWS_MAX,
    chars_max: WINDOW_CHARS_MAX,
    words: "at most 20 of at most 200 characters: cron fields, a time zone if it is not UTC, `for` and a time; or two times with `to` between them",
};
const OF_PARENTS: ValueKind = ValueKind::Texts {
    most: PARENTS_MAX,
    chars_max: ApiId::CHARS_MAX,
    words: "at most 20 api_ids of at most 80 characters",
};

/// `maintenance`.
pub(super) const fn maintenance() -> Field<Vec<Window>> {
    Field::new("maintenance", OF_WINDOWS, windows, |windows| {
        json!(windows.iter().map(ToString::to_string).collect::<Vec<_>>())
    })
}

/// `depends_on`.
pub(super) const fn depends_on() -> Field<Vec<ApiId>> {
    Field::new("depends_on", OF_PARENTS, parents, |parents| {
        json!(parents.iter().map(ApiId::as_str).collect::<Vec<_>>())
    })
}

/// What the fields mean together.
pub(super) fn together(
    maintenance: Option<Vec<Window>>,
    depends_on: Option<Vec<ApiId>>,
    flap_changes: u32,
    window: Duration,
    remind_after: Option<Duration>,
) -> Alerting {
    Alerting {
        maintenance: maintenance.unwrap_or_default(),
        depends_on: depends_on.unwrap_or_default(),
        flap: (flap_changes > 0).then_some(FlapPolicy { changes: flap_changes, window }),
        remind_after,
    }
}

fn parents(value: &Value, about: &About, _: &mut Context<'_>) -> Parsed<Vec<ApiId>> {
    each(listed(value, about)?, PARENTS_MAX, |value| {
        let text = parse_text(value, about)?;
        ApiId::parse(text).map_err(|why| ValueFault::new(quote(text), why, about.wanted()))
    })
}

fn windows(value: &Value, about: &About, context: &mut Context<'_>) -> Parsed<Vec<Window>> {
    each(listed(value, about)?, WINDOWS_MAX, |value| window(parse_text(value, about)?, about, context))
}

fn window(text: &str, about: &About, context: &mut Context<'_>) -> Result<Window, ValueFault> {
    if let Some((cron, lasts)) = text.rsplit_once(" for ") {
        let longest = || "a time such as 30m, 2h or 1d, 366d at most".to_owned();
        let Some(lasts) = span::parse(lasts).filter(|lasts| *lasts <= WINDOW_MAX) else {
            return Err(ValueFault::new(quote(lasts), "is no time that a window can last", longest()));
        };
        let opens = cron_in_zone(cron, context).map_err(|fault| in_words(fault, cron, about))?;
        return Ok(Window::Again { opens, lasts });
    }
    let Some((from, until)) = text.split_once(" to ") else {
        return Err(ValueFault::new(quote(text), "has neither \" for \" nor \" to \" in it", about.wanted()));
    };
    let time = |text: &str| {
        let remedy = "a time such as 2026-12-01T22:00:00Z";
        Timestamp::parse(text.trim()).ok_or_else(|| ValueFault::new(quote(text), "is not a time", remedy))
    };
    let (from, until) = (time(from)?, time(until)?);
    if until <= from {
        return Err(ValueFault::new(quote(text), "ends before it begins", "the earlier of the two times first"));
    }
    Ok(Window::Once { from, until })
}

/// A cron expression, with the name of a time zone behind it or none: five fields alone have none.
fn cron_in_zone(text: &str, context: &mut Context<'_>) -> Result<api_health_core::Schedule, CronFault> {
    let mut cron = |expression: &str, zone: &str| context.schedules.cron(expression, zone, context.now);
    let is_zone = |word: &str| word == "UTC" || word.contains('/') && word.starts_with(char::is_alphabetic);
    let schedule = match text.trim().rsplit_once(' ') {
        Some((expression, zone)) if text.split_whitespace().count() != 5 && is_zone(zone) => cron(expression, zone),
        _ => cron(text, "UTC"),
    };
    schedule.map(|schedule| (*schedule).clone())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::field::SOME_MOMENT;
    use super::super::fields;
    use super::super::schedules::ScheduleCache;
    use super::super::secrets::SystemSecrets;
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let schedules = &mut ScheduleCache::default();
        let (folder, allowed) = (Path::new(""), &crate::probe::guard::Allowed::default());
        let context = &mut Context { secrets: &SystemSecrets, schedules, now: SOME_MOMENT, folder, allowed };
        let windows = fields::MAINTENANCE.parse(&json!([text]), context);
        windows.map(|windows| windows[0].to_string()).map_err(|faults| {
            faults.iter().map(|fault| format!("{} {}; write {}", fault.what, fault.why, fault.remedy)).collect()
        })
    }

    #[test]
    fn windows_are_read_with_and_without_a_zone() {
        assert_eq!(read("0 2 * * SUN for 2h").as_deref(), Ok("0 2 * * SUN UTC for 7200 s"));
        assert_eq!(read("0 2 * * SUN Europe/Berlin for 1h30m").as_deref(), Ok("0 2 * * SUN Europe/Berlin for 5400 s"));
        assert_eq!(read("*/30 * * * MON-FRI/2 for 5m").as_deref(), Ok("*/30 * * * MON-FRI/2 UTC for 300 s"));
        assert_eq!(
            read("2026-12-01T22:00:00+01:00 to 2026-12-02T02:00:00Z").as_deref(),
            Ok("2026-12-01T21:00:00.000Z to 2026-12-02T02:00:00.000Z")
        );
    }

    #[test]
    fn a_bad_window_is_told_what_is_wrong() {
        for (text, words) in [
            ("0 2 * * SUN", "has neither \" for \" nor \" to \" in it"),
            ("0 2 * * SUN for ever", "\"ever\" is no time that a window can last; write a time such as 30m, 2h or 1d"),
            ("0 2 * * SUN for 900d", "\"900d\" is no time that a window can last"),
            ("0 2 * * SUN for 0s", "\"0s\" is no time that a window can last"),
            ("0 2 * * SUN Europe/Berlim for 2h", "is not the name of a time zone"),
            ("0 25 * * * for 2h", "is not a cron expression"),
            ("yesterday to 2026-12-02T02:00:00Z", "\"yesterday\" is not a time; write a time such as"),
            ("2026-12-03T02:00:00Z to 2026-12-02T02:00:00Z", "ends before it begins"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }
}
