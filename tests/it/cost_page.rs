//! The tables of docs/cost.md, from the same code as the command's.

use std::fmt::Write as _;
use std::time::Duration;

use api_health::cost::bill::{Bill, Workload, bill, dollars, others};
use api_health::cost::formula::{STATE_ITEM_BYTES, checkpoint_period, write_units};
use api_health::cost::prices::{self, Price};
use api_health_core::words::number;

/// How many APIs the page reckons with.
const SCALES: [u64; 4] = [100, 1_000, 10_000, 100_000];

/// Workers, and the APIs that they share.
const FLEETS: [(u64, u64); 3] = [(1, 1_000), (2, 1_000), (20, 1_000_000)];

const MINUTE: Duration = Duration::from_secs(60);

fn star(confirmed: bool) -> &'static str {
    if confirmed { "" } else { " *" }
}

fn row(first: &str, cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().collect();
    format!("| {first} | {} |\n", cells.join(" | "))
}

fn head(first: &str, columns: &[String]) -> String {
    let lines = columns.iter().map(|_| "---:".to_owned());
    row(first, columns.iter().cloned()) + &row("---", lines).replace(' ', "")
}

/// The lines of these bills, side by side.
fn lines(bills: &[Bill]) -> String {
    let mut text = String::new();
    for (index, line) in bills.first().map_or(&[][..], |bill| &bill.lines).iter().enumerate() {
        let is_instance = line.item == "ec2_instance";
        let what = if is_instance { "EC2: instance" } else { line.what };
        let cells = bills.iter().map(|bill| {
            let line = &bill.lines[index];
            let of = if is_instance { format!(" ({})", line.what.trim_start_matches("EC2 ")) } else { String::new() };
            dollars(line.usd) + &of
        });
        text += &row(&format!("{what}{}", star(line.confirmed)), cells);
    }
    text += &row("**DynamoDB in all**", bills.iter().map(|bill| format!("**{}**", dollars(bill.dynamodb_usd()))));
    text + &row("**total**", bills.iter().map(|bill| format!("**{}**", dollars(bill.total_usd()))))
}

/// The bill at each scale, each API once a minute.
pub(crate) fn bills() -> String {
    let workloads = SCALES.map(|apis| Workload::of(apis, MINUTE));
    let mut text = head("USD a month", &SCALES.map(|apis| format!("{} APIs", number(apis))));
    text += &lines(&workloads.each_ref().map(bill));
    for (index, other) in others(&workloads[0]).iter().enumerate() {
        let cells = workloads.iter().map(|workload| dollars(others(workload)[index].usd));
        text += &row(&format!("{}{}", other.what, star(other.confirmed)), cells);
    }
    text
}

/// The bill of one worker, of two, and of a large fleet, each API once a minute.
pub(crate) fn fleets() -> String {
    let columns = FLEETS.map(|(workers, apis)| format!("{workers} × {} APIs", number(apis)));
    head("USD a month", &columns)
        + &lines(&FLEETS.map(|(workers, apis)| bill(&Workload::shared(apis, MINUTE, workers))))
}

/// What other settings cost 1,000 APIs, each once a minute.
pub(crate) fn choices() -> String {
    let mut text = "| `checkpoint_seconds` | a row is written each | `reload_seconds` | DynamoDB, USD a month |\n\
                    |---:|---:|---:|---:|\n"
        .to_owned();
    for (checkpoint, reload) in [(60, 60), (900, 60), (3_600, 60), (3_600, 300), (86_400, 3_600)] {
        let workload = Workload {
            checkpoint: Duration::from_secs(checkpoint),
            reload: Duration::from_secs(reload),
            ..Workload::of(1_000, MINUTE)
        };
        let period = checkpoint_period(MINUTE, workload.checkpoint).as_secs();
        let usd = dollars(bill(&workload).dynamodb_usd());
        let _ = writeln!(text, "| {checkpoint} | {period} s | {reload} | {usd} |");
    }
    // A read and a write for each probe, and a scan of all each minute: a program that keeps nothing in memory.
    let workload = Workload::of(1_000, MINUTE);
    let units = f64::from(u32::try_from(write_units(STATE_ITEM_BYTES)).unwrap_or(u32::MAX));
    let each = prices::WRITES.of(workload.probes() * units / 1e6) + prices::READS.of(workload.probes() / 2.0 / 1e6);
    let reads = bill(&workload).lines.iter().find(|line| line.item == "dynamodb_reads").map_or(0.0, |line| line.usd);
    let _ = writeln!(text, "| a read and a write for each probe | 60 s | 60 | {} |", dollars(each + reads));
    text
}

/// What history costs 1,000 APIs, flushed so often.
pub(crate) fn history() -> String {
    let mut text = "| `flush_seconds` | a kill loses of the latencies | writes of history, USD a month | DynamoDB, USD a month |\n\
                    |---:|---|---:|---:|\n"
        .to_owned();
    for (flush, lost) in [(86_400, "a day"), (21_600, "6 hours"), (3_600, "an hour"), (300, "5 minutes")] {
        let flush_every = Some(Duration::from_secs(flush));
        let bill = bill(&Workload { history: flush_every, ..Workload::of(1_000, MINUTE) });
        let line = bill.lines.iter().find(|line| line.item == "dynamodb_history_writes");
        let usd = dollars(line.map_or(0.0, |line| line.usd));
        let _ = writeln!(text, "| {flush} | {lost} | {usd} | {} |", dollars(bill.dynamodb_usd()));
    }
    let without = bill(&Workload { history: None, ..Workload::of(1_000, MINUTE) });
    let _ = writeln!(text, "| `enabled = false` | all | 0.00 | {} |", dollars(without.dynamodb_usd()));
    text
}

pub(crate) fn prices() -> String {
    let mut text =
        "| what | USD | for each | free each month | confirmed | source |\n|---|---:|---|---|---|---|\n".to_owned();
    let instances = prices::INSTANCES.iter().map(|(_, price)| price);
    for Price { what, usd, unit, free, confirmed, source } in prices::ALL.into_iter().chain(instances) {
        let free = if *free > 0.0 { free.to_string() } else { "-".into() };
        let confirmed = if *confirmed { "yes" } else { "no *" };
        let _ = writeln!(text, "| {what} | {usd} | {unit} | {free} | {confirmed} | {source} |");
    }
    text
}
