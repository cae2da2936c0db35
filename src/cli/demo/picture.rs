//! The story as a picture: four rows over one axis of time.

use std::time::Duration;

use anstyle::Style;
use api_health_core::{AlertKind, Status};

use crate::cli::out::{BAD, DIM, DOUBT, GOOD, Out, PLAIN, STRONG};

/// The columns of the axis, where the terminal has room.
const COLUMNS: usize = 60;
/// The columns before it.
const LABEL: usize = 12;
/// From one label of the axis to the next, in columns, at least.
const TICK: usize = 12;

/// What happened when, since the story began.
#[derive(Default)]
pub(super) struct Picture {
    /// Whether the API was well from then on.
    pub(super) api: Vec<(Duration, bool)>,
    /// Whether a probe passed.
    pub(super) probes: Vec<(Duration, bool)>,
    /// What the API counted as from then on, and whether it was suspect.
    pub(super) status: Vec<(Duration, Status, bool)>,
    pub(super) told: Vec<(Duration, AlertKind)>,
}

/// The signs of one alphabet.
struct Signs {
    well: &'static str,
    ill: &'static str,
    doubt: &'static str,
    pass: &'static str,
    fail: &'static str,
    down: &'static str,
    up: &'static str,
}

const UNICODE: Signs = Signs { well: "█", ill: "▁", doubt: "▄", pass: "•", fail: "×", down: "▼", up: "▲" };
const ASCII: Signs = Signs { well: "#", ill: "_", doubt: "~", pass: "o", fail: "x", down: "D", up: "U" };

impl Picture {
    /// The rows and the axis, from the beginning to `whole`.
    pub(super) fn render(&self, whole: Duration, out: &Out) -> String {
        let signs = if out.unicode { UNICODE } else { ASCII };
        let columns = out.columns.map_or(COLUMNS, |columns| columns.saturating_sub(LABEL + 1).clamp(20, COLUMNS));
        let width = whole.as_secs_f64().max(0.001) / columns as f64;
        // A column shows what held at its end; the one that something happened in shows that.
        let end = |column: usize| Duration::from_secs_f64(width * (column + 1) as f64);
        let column_of = |at: Duration| ((at.as_secs_f64() / width) as usize).min(columns - 1);
        let row = |label: &str, cells: Vec<(&'static str, Style)>| {
            let last = cells.iter().rposition(|(sign, _)| *sign != " ").map_or(0, |last| last + 1);
            let cells: String = cells[..last].iter().map(|(sign, style)| out.paint(*style, sign)).collect();
            format!("  {label:<width$}{cells}\n", width = LABEL - 2)
        };

        let api = (0..columns).map(|column| {
            match self.api.iter().rev().find(|(at, _)| *at <= end(column)).is_none_or(|(_, healthy)| *healthy) {
                true => (signs.well, GOOD),
                false => (signs.ill, BAD),
            }
        });
        let status = (0..columns).map(|column| match self.status.iter().rev().find(|(at, ..)| *at <= end(column)) {
            None | Some((_, Status::Unknown, _)) => (" ", PLAIN),
            Some((_, _, true)) => (signs.doubt, DOUBT),
            Some((_, Status::Up, false)) => (signs.well, GOOD),
            Some((_, Status::Down, false)) => (signs.ill, BAD),
        });
        let mut probes = vec![(" ", PLAIN); columns];
        for (at, pass) in &self.probes {
            let cell = &mut probes[column_of(*at)];
            if *pass && cell.0 == " " {
                *cell = (signs.pass, GOOD);
            } else if !pass {
                *cell = (signs.fail, BAD);
            }
        }
        let mut told = vec![(" ", PLAIN); columns];
        for (at, kind) in &self.told {
            told[column_of(*at)] = match kind {
                AlertKind::Down | AlertKind::Flapping | AlertKind::Reminder => (signs.down, BAD),
                AlertKind::Up | AlertKind::Closed => (signs.up, GOOD),
            };
        }

        let mut text = row("the API", api.collect());
        text.push_str(&row("probes", probes));
        text.push_str(&row("status", status.collect()));
        text.push_str(&row("you hear", told));
        text.push_str(&format!("{}{}\n", " ".repeat(LABEL), out.paint(DIM, &axis(columns, width))));
        let s = signs;
        let legend = format!(
            "{} well  {} ill  {} suspect   {} pass  {} fail   {} DOWN told  {} UP told",
            s.well, s.ill, s.doubt, s.pass, s.fail, s.down, s.up
        );
        text.push_str(&format!("{}{}\n", " ".repeat(LABEL), out.paint(DIM, &legend)));
        format!("{}\n\n{text}", out.paint(STRONG, "The whole story"))
    }
}

/// Whole seconds, at least [`TICK`] columns apart.
fn axis(columns: usize, width: f64) -> String {
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
    let step = step.into_iter().find(|step| step / width >= TICK as f64).unwrap_or(200.0);
    let mut axis = String::new();
    let mut second = 0.0;
    while ((second / width) as usize) < columns {
        let column = (second / width) as usize;
        axis.push_str(&" ".repeat(column.saturating_sub(axis.len())));
        axis.push_str(&format!("{second:.0} s"));
        second += step;
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_names_whole_seconds_where_they_are() {
        assert_eq!(axis(60, 0.25), "0 s                 5 s                 10 s");
        assert_eq!(axis(60, 0.05), "0 s                 1 s                 2 s");
        assert!(axis(20, 15.0).starts_with("0 s"));
    }
}
