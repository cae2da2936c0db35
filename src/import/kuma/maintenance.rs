//! Windows of maintenance, by the id that monitors refer to.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::reading::Reading;
use super::super::report::Field;
use super::super::tree::Node;

/// Windows as rows write them.
pub(super) fn windows(reading: &mut Reading<'_>, field: Field) -> BTreeMap<String, String> {
    let mut windows = BTreeMap::new();
    for item in reading.report.items(field) {
        let node = Rc::clone(&item.node);
        if node.flag_of("active") == Some(false) {
            reading.report.taken(item);
            continue;
        }
        match window(&node) {
            Ok(window) => {
                windows.insert(node.of("id").to_owned(), window);
                reading.report.near(item, "in the rows that it is for; its title is left out");
            }
            Err(why) => reading.report.lost(item, why),
        }
    }
    windows
}

fn window(node: &Node) -> Result<String, String> {
    let of = |name: &str| node.of(name);
    let zone = match of("timezone") {
        "UTC" => String::new(),
        "" | "SAME_AS_SERVER" if of("strategy") != "manual" => {
            return Err(
                "it is in the time zone of that server, which is not known here; choose a zone there, or write it \
                        by hand"
                    .into(),
            );
        }
        "" | "SAME_AS_SERVER" => String::new(),
        zone => format!(" {zone}"),
    };
    let minute_of = |text: &str| -> Option<u64> {
        let (hour, minute) = text.split_once(':')?;
        let (hour, minute) = (hour.parse::<u64>().ok()?, minute.get(..2)?.parse::<u64>().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let daily = || -> Result<(String, u64), String> {
        let (start, end) = (minute_of(of("start_time")), minute_of(of("end_time")));
        let (Some(start), Some(end)) = (start, end) else { return Err("it has no times".into()) };
        let long = (end + 24 * 60 - start) % (24 * 60);
        Ok((format!("{} {}", start % 60, start / 60), if long == 0 { 24 * 60 } else { long }))
    };
    let numbers = |name: &str| -> Vec<String> {
        let items = node.get(name).map(|node| node.list()).unwrap_or_default();
        items.iter().filter_map(|node| node.scalar()).map(str::to_owned).collect()
    };
    match of("strategy") {
        "single" => {
            let at = |name: &str| -> Option<String> {
                let text = of(name).replacen(' ', "T", 1);
                text.get(..16).map(|minute| format!("{minute}:00Z"))
            };
            match (zone.is_empty(), at("start_date"), at("end_date")) {
                (true, Some(from), Some(until)) => Ok(format!("{from} to {until}")),
                (false, ..) => Err("write it as `2026-12-01T22:00:00Z to 2026-12-02T02:00:00Z`, in UTC".into()),
                _ => Err("it has no dates".into()),
            }
        }
        "recurring-weekday" => {
            let (start, long) = daily()?;
            Ok(format!("{start} * * {}{zone} for {long}m", numbers("weekdays").join(",")))
        }
        "recurring-interval" if of("interval_day") == "1" => {
            let (start, long) = daily()?;
            Ok(format!("{start} * * *{zone} for {long}m"))
        }
        "recurring-day-of-month" => {
            let days = numbers("days_of_month");
            if days.iter().any(|day| day.parse::<u8>().is_err()) {
                return Err("the last days of a month cannot be named".into());
            }
            let (start, long) = daily()?;
            Ok(format!("{start} {} * *{zone} for {long}m", days.join(",")))
        }
        "cron" => match of("duration").parse::<u64>() {
            Ok(seconds @ 1..) => Ok(format!("{}{zone} for {}m", of("cron"), seconds.div_ceil(60))),
            _ => Err("it has no duration".into()),
        },
        "manual" => Err("windows by hand: `api-health maintenance start`".into()),
        _ => Err("there is no such window".into()),
    }
}
