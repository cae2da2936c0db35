//! Figures: medians, percentiles, and one line for each of them.

use std::time::Duration;

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The value that `share` (0 to 1) of all values do not exceed.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank, rounded up"
)]
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}

/// A count as a number to reckon with.
#[allow(clippy::cast_precision_loss, reason = "no count here needs more than 53 bits")]
pub fn number(count: usize) -> f64 {
    count as f64
}

/// Nanoseconds as a number to reckon with.
#[allow(clippy::cast_precision_loss, reason = "a few microseconds of a year are lost")]
pub fn nanos(ns: u64) -> f64 {
    ns as f64
}

/// Microseconds for each of `n`.
pub fn micros_each(total: f64, n: usize) -> f64 {
    total * 1e6 / number(n)
}

/// Seconds as a number to reckon with.
pub fn seconds(span: Duration) -> f64 {
    span.as_secs_f64()
}

/// A heading.
pub fn heading(text: &str) {
    println!("\n{text}\n{}", "-".repeat(text.len()));
}

/// One figure: what it is, its value with a unit, and what it should be.
pub fn figure(what: &str, value: &str, wanted: &str) {
    let wanted = if wanted.is_empty() { String::new() } else { format!("   (wanted: {wanted})") };
    println!("{what:<64} {value:>14}{wanted}");
}

/// All of the values in one line.
pub fn listed(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(" ")
}
