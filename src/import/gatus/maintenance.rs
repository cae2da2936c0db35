//! Windows of maintenance: a time of the day, some days of the week.

use super::super::reading::Reading;
use super::super::report::Field;
use super::super::words::milliseconds;

const DAYS: [(&str, &str); 7] = [
    ("Monday", "MON"),
    ("Tuesday", "TUE"),
    ("Wednesday", "WED"),
    ("Thursday", "THU"),
    ("Friday", "FRI"),
    ("Saturday", "SAT"),
    ("Sunday", "SUN"),
];

/// A window as a row writes it; `None` where none is on, or it cannot be read.
pub(super) fn window(reading: &mut Reading<'_>, field: Field) -> Option<String> {
    let node = std::rc::Rc::clone(&field.node);
    if node.flag_of("enabled") == Some(false) {
        reading.report.taken(field);
        return None;
    }
    let start = node.of("start").split_once(':');
    let start = start.and_then(|(hour, minute)| Some((hour.parse::<u8>().ok()?, minute.parse::<u8>().ok()?)));
    let minutes = milliseconds(node.of("duration")).map(|long| long.div_ceil(60_000)).filter(|long| *long > 0);
    let (Some((hour @ 0..=23, minute @ 0..=59)), Some(minutes)) = (start, minutes) else {
        let why = "it has no start such as 23:00, or no duration such as 1h";
        reading.report.lost_unless(node.table().is_empty(), field, why);
        return None;
    };
    let days: Vec<&str> = node
        .get("every")
        .map(|every| every.list())
        .unwrap_or_default()
        .iter()
        .filter_map(|day| DAYS.iter().find(|(name, _)| Some(*name) == day.scalar()).map(|(_, short)| *short))
        .collect();
    let days = if days.is_empty() { "*".to_owned() } else { days.join(",") };
    let zone = match node.of("timezone") {
        "" | "UTC" => String::new(),
        zone => format!(" {zone}"),
    };
    reading.report.taken(field);
    Some(format!("{minute} {hour} * * {days}{zone} for {minutes}m"))
}
