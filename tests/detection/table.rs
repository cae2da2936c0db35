//! The table that the suite prints: a line for each scenario, and what it comes to.

use std::fmt::Write as _;

use crate::scorer::{Fault, Told};
use crate::world::Row;

const FAULTS: [Fault; 5] = [Fault::FalseAlarm, Fault::Missed, Fault::Duplicate, Fault::WrongCause, Fault::WrongTime];

/// Alerts of a scenario that are shown one by one.
const TOLD_MAX: usize = 6;

/// The table as text.
pub fn text(rows: &[Row]) -> String {
    let mut text = String::from(
        "\nworld      scenario                                           told, seconds after the fault; (bound)\n",
    );
    for row in rows {
        let told = told(row);
        let bound = row.bound.filter(|_| !row.told.is_empty()).map_or(String::new(), |bound| format!(" ({bound})"));
        let verdict = if row.marks.is_empty() { "" } else { "   WRONG" };
        let _ = writeln!(text, "{:<10} {:<50} {told}{bound}{verdict}", row.world, row.scenario);
        for mark in &row.marks {
            let _ = writeln!(text, "           {}: {}: {}", mark.fault, mark.about, mark.what);
        }
    }
    let scenarios = rows.len();
    let right = rows.iter().filter(|row| row.marks.is_empty()).count();
    let _ = writeln!(text, "\n{right} of {scenarios} scenarios are told rightly");
    for fault in FAULTS {
        let count = rows.iter().flat_map(|row| &row.marks).filter(|mark| mark.fault == fault).count();
        let _ = write!(text, "{fault}: {count}   ");
    }
    text.push('\n');
    text.push_str(&latencies(rows));
    text
}

/// What was told, and how long after it was true; of many the shortest and the longest.
fn told(row: &Row) -> String {
    let seconds = |told: &Told| told.after_ms as f64 / 1_000.0;
    if row.told.is_empty() {
        return "nothing".into();
    }
    if row.told.len() <= TOLD_MAX {
        return row
            .told
            .iter()
            .map(|told| format!("{} {:.1}", told.kind, seconds(told)))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let of_kind = |kind| {
        let mut all: Vec<f64> = row.told.iter().filter(|told| told.kind == kind).map(seconds).collect();
        all.sort_by(f64::total_cmp);
        Some(format!("{} times {kind} {:.1} to {:.1}", all.len(), all.first()?, all.last()?))
    };
    ["down", "up"].into_iter().filter_map(of_kind).collect::<Vec<_>>().join(", ")
}

/// How long an outage takes to be told, as a share of the bound that the program prints.
fn latencies(rows: &[Row]) -> String {
    let mut shares: Vec<f64> = rows
        .iter()
        .filter_map(|row| Some((row.bound? as f64, row)))
        .flat_map(|(bound, row)| {
            let downs = row.told.iter().filter(|told| told.kind == "down");
            downs.map(move |told| told.after_ms as f64 / 1_000.0 / bound)
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    let Some(longest) = shares.last() else { return String::new() };
    let (median, count) = (shares[shares.len() / 2], shares.len());
    let within = shares.iter().filter(|share| **share <= 1.0).count();
    format!(
        "outages told: {count}; of the printed bound they took {:.0} % in the median, {:.0} % at most; {within} within it\n",
        median * 100.0,
        longest * 100.0
    )
}
