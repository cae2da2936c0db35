//! `cost`: what a month of it costs, and what others charge for the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api_health_core::schedule::{Moment, Slot};
use api_health_core::words::number;
use api_health_core::{ApiConfig, Schedule, Timestamp};
use serde_json::{Value, json};

use super::args::CostArgs;
use super::configured;
use super::out::{DIM, Out, STRONG, note};
use super::table::{Cell, Table};
use super::text;
use crate::app::{App, AppError};
use crate::cost::bill::{Bill, Group, OUTAGES_PER_API, Other, Workload, bill, dollars, others};
use crate::cost::prices;
use crate::exit::Exit;
use crate::settings::StoreKind;
use crate::settings::load::{default_checkpoint_seconds, default_history_flush_seconds};

/// What is reckoned with where nothing is configured.
const APIS: u64 = 1_000;
const INTERVAL: Duration = Duration::from_secs(60);

/// `cost`.
///
/// # Errors
/// Standard output that cannot be written to.
pub(super) async fn run(app: &App, args: &CostArgs, out: &Out) -> Result<Exit, AppError> {
    let (groups, whose) = groups(app, args).await;
    let store = &app.settings.store;
    let is_on_dynamodb = store.kind == StoreKind::Dynamodb;
    let usual = if is_on_dynamodb {
        store.checkpoint
    } else {
        Duration::from_secs(default_checkpoint_seconds(StoreKind::Dynamodb))
    };
    let history = &app.settings.history;
    let flush = if is_on_dynamodb {
        history.flush
    } else {
        Duration::from_secs(default_history_flush_seconds(StoreKind::Dynamodb))
    };
    let given = |seconds: Option<u64>, usual: Duration| seconds.map_or(usual, Duration::from_secs);
    let mut workload = Workload {
        groups,
        checkpoint: given(args.checkpoint_seconds, usual),
        heartbeat: store.heartbeat,
        history: Some(flush).filter(|_| history.enabled),
        reload: given(args.reload_seconds, app.settings.apis.reload),
        workers: args.workers,
        instance: "",
    };
    workload.instance = match &args.instance {
        Some(name) => prices::INSTANCES.iter().find(|(known, _)| known == name).map_or("", |(known, _)| known),
        None => workload.instance_that_should_do(),
    };
    let (bill, others) = (bill(&workload), others(&workload));
    if args.json {
        out.json(&json_of(&workload, whose, &bill, &others))?;
        return Ok(Exit::Ok);
    }
    out.print(&text_of(&workload, whose, &bill, &others, out))?;
    if !is_on_dynamodb {
        note("note: the store here is SQLite, which costs nothing; this is what the same costs with DynamoDB");
    }
    Ok(Exit::Ok)
}

/// What is watched, and whose APIs they are.
async fn groups(app: &App, args: &CostArgs) -> (Vec<Group>, &'static str) {
    let interval = args.interval_seconds.map(Duration::from_secs);
    if let Some(apis) = args.apis {
        return (vec![Group { apis, interval: interval.unwrap_or(INTERVAL) }], "given");
    }
    let checked = configured::read_without_secrets(app).await;
    for (source, error) in &checked.unreadable {
        note(&format!("note: {source} cannot be read: {}", text::line(&error.to_string())));
    }
    let watched: Vec<&ApiConfig> = checked.watched().collect();
    if watched.is_empty() {
        return (vec![Group { apis: APIS, interval: interval.unwrap_or(INTERVAL) }], "assumed");
    }
    // Rows with the same schedule share it.
    let mut by_schedule: HashMap<*const Schedule, (u64, Arc<Schedule>)> = HashMap::new();
    for api in watched {
        let schedule = &api.schedule;
        by_schedule.entry(Arc::as_ptr(schedule)).or_insert_with(|| (0, Arc::clone(schedule))).0 += 1;
    }
    let now = app.clock.now();
    let mut groups: Vec<Group> = by_schedule
        .into_values()
        .map(|(apis, schedule)| Group { apis, interval: interval.unwrap_or_else(|| mean_interval(&schedule, now)) })
        .collect();
    groups.sort_by_key(|group| (group.interval, group.apis));
    groups.dedup_by(|next, group| {
        let same = next.interval == group.interval;
        if same {
            group.apis += next.apis;
        }
        same
    });
    (groups, "configured")
}

/// The mean time between two ticks, over the week after `now`.
fn mean_interval(schedule: &Schedule, now: Timestamp) -> Duration {
    const HOUR: Duration = Duration::from_secs(3_600);
    const HOURS: u32 = 7 * 24;
    if let Some(interval) = schedule.interval() {
        return interval;
    }
    let at = |hour: u32| Moment { wall: now.plus(HOUR * hour), monotonic: HOUR * hour };
    let ticks: u64 = (0..HOURS).map(|hour| schedule.missed(Slot::AT_TICK, at(hour), at(hour + 1))).sum();
    u32::try_from(ticks).ok().filter(|ticks| *ticks > 0).map_or(HOUR * HOURS, |ticks| HOUR * HOURS / ticks)
}

fn intervals(workload: &Workload) -> String {
    match &workload.groups[..] {
        [one] => format!("each every {}", text::span(one.interval)),
        _ => "by their schedules".into(),
    }
}

fn quantity(amount: f64, unit: &str) -> String {
    let amount = if amount < 10.0 { format!("{amount:.3}") } else { number(format!("{amount:.0}")) };
    format!("{amount} {unit}")
}

fn text_of(workload: &Workload, whose: &str, bill: &Bill, others: &[Other], out: &Out) -> String {
    let apis = number(workload.apis());
    let mut table = Table::new(&["A MONTH OF", ">HOW MUCH", ">USD", ""]);
    let star = |confirmed: bool| if confirmed { "" } else { "*" };
    for line in &bill.lines {
        let amount = quantity(line.quantity, line.unit);
        table.push(vec![line.what.into(), amount.into(), dollars(line.usd).into(), star(line.confirmed).into()]);
    }
    let strong = |text: String| Cell::styled(text, STRONG);
    table.push(vec![strong("total".into()), "".into(), strong(dollars(bill.total_usd())), "*".into()]);
    table.push(vec!["of it DynamoDB".into(), "".into(), dollars(bill.dynamodb_usd()).into(), "".into()]);
    for other in others {
        table.push(vec![
            Cell::styled(other.what, DIM),
            "".into(),
            Cell::styled(dollars(other.usd), DIM),
            star(other.confirmed).into(),
        ]);
    }
    format!(
        "{apis} APIs ({whose}), {}{}; checkpoints of {} s, configs read every {} s, {OUTAGES_PER_API} outages of each API a month\n\n{}\n\
         * a price that was not confirmed: look it up before you rely on it. Prices of {} as of {}, before tax; see docs/cost.md\n\
         Left out: requests to KMS (the first 20,000 a month are free), the bucket of a package, and what people look at\n",
        intervals(workload),
        if workload.workers > 1 { format!(", shared by {} workers", workload.workers) } else { String::new() },
        workload.checkpoint.as_secs(),
        workload.reload.as_secs(),
        table.render(out),
        prices::REGION,
        prices::AS_OF,
    )
}

fn json_of(workload: &Workload, whose: &str, bill: &Bill, others: &[Other]) -> Value {
    json!({
        "schema": 1,
        "apis": workload.apis(),
        "apis_are": whose,
        "interval_seconds": match &workload.groups[..] { [one] => json!(one.interval.as_secs_f64()), _ => Value::Null },
        "probes": workload.probes(),
        "checkpoint_seconds": workload.checkpoint.as_secs(),
        "heartbeat_seconds": workload.heartbeat.map(|period| period.as_secs()),
        "history_flush_seconds": workload.history.map(|period| period.as_secs()),
        "reload_seconds": workload.reload.as_secs(),
        "workers": workload.workers,
        "instance": workload.instance,
        "prices": { "region": prices::REGION, "as_of": prices::AS_OF },
        "lines": bill.lines.iter().map(|line| json!({
            "item": line.item, "quantity": line.quantity, "unit": line.unit, "usd": line.usd, "confirmed": line.confirmed,
        })).collect::<Vec<_>>(),
        "dynamodb_usd": bill.dynamodb_usd(),
        "total_usd": bill.total_usd(),
        "others": others.iter().map(|other| json!({
            "item": other.item, "usd": other.usd, "confirmed": other.confirmed,
        })).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_schedule_that_rests_at_night_is_that_of_a_week() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let cron = |expression| Schedule::cron(expression, "UTC", now).unwrap();
        assert_eq!(mean_interval(&Schedule::every(Duration::from_secs(30)), now), Duration::from_secs(30));
        assert_eq!(mean_interval(&cron("*/2 * * * *"), now), Duration::from_secs(120));
        // 12 times an hour, 10 hours a day, 5 days a week.
        let mean = mean_interval(&cron("*/5 8-17 * * MON-FRI"), now);
        assert_eq!(mean, Duration::from_secs(7 * 86_400) / 600);
    }
}
