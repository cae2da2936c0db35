//! Steps of a cron expression that do not mean what they look like: `*/90` in the minutes is once an hour, and `*/45` leaves gaps
//! of 45 and 15 minutes.

use super::fault::CronFault;

/// One field of an expression: its name, its unit, the number of values, and the seconds of one where that is always the same.
struct Field {
    plural: &'static str,
    unit: &'static str,
    values: u64,
    seconds: u64,
}

const DAY: u64 = 86_400;

/// The six fields, in their order.
const FIELDS: [Field; 6] = [
    Field { plural: "seconds", unit: "second", values: 60, seconds: 1 },
    Field { plural: "minutes", unit: "minute", values: 60, seconds: 60 },
    Field { plural: "hours", unit: "hour", values: 24, seconds: 3_600 },
    Field { plural: "days of the month", unit: "day", values: 31, seconds: DAY },
    Field { plural: "months", unit: "month", values: 12, seconds: 0 },
    Field { plural: "days of the week", unit: "day", values: 7, seconds: DAY },
];

/// A fault for each step that goes beyond its field or its range, so that it never takes a second step.
///
/// # Errors
/// The first of them, with what to write instead.
pub(super) fn check(expression: &str) -> Result<(), CronFault> {
    for (field, text) in fields(expression) {
        for (range, step) in text.split(',').filter_map(stepped) {
            let (room, of) = match range_size(range) {
                Some(size) => (size - 1, format!("its range {range}")),
                None => (field.values, format!("the {} {}", field.values, field.plural)),
            };
            if step > room {
                return Err(CronFault::Step {
                    why: format!("has the step {step}, which is greater than {of}, and so never takes it"),
                    remedy: remedy(field, step, room),
                });
            }
        }
    }
    Ok(())
}

/// What should be said of a step that leaves uneven gaps, as the rest of a sentence about the expression.
pub(super) fn remark(expression: &str) -> Option<String> {
    let all: Vec<(&Field, &str)> = fields(expression).collect();
    all.iter().enumerate().find_map(|(at, (field, text))| {
        let step = text.strip_prefix("*/")?.parse::<u64>().ok().filter(|step| *step > 1)?;
        let unit = field.unit;
        if field.plural == "days of the month" {
            return Some(format!("has {text} in its {}, which starts over each month", field.plural));
        }
        let rest = field.values.checked_rem(step).filter(|rest| *rest > 0)?;
        // An interval says the same only where the smaller fields name one moment.
        let is_one_moment = all[..at].iter().all(|(_, smaller)| smaller.bytes().all(|c| c.is_ascii_digit()));
        let seconds = (field.seconds * step).clamp(0, DAY + 1);
        let even = if is_one_moment && (1..=DAY).contains(&seconds) {
            format!("; for even ones write interval_seconds = {seconds}")
        } else {
            String::new()
        };
        Some(format!("has {text} in its {}, which leaves gaps of {step} and {rest} {unit}s{even}", field.plural))
    })
}

fn remedy(field: &Field, step: u64, room: u64) -> String {
    match field.seconds.checked_mul(step) {
        Some(seconds @ 1..=DAY) => format!("interval_seconds = {seconds} in place of the schedule"),
        _ => format!("a step of {} at most", room.max(1)),
    }
}

fn fields(expression: &str) -> impl Iterator<Item = (&'static Field, &str)> {
    let written: Vec<&str> = expression.split_whitespace().collect();
    FIELDS[6 - written.len().min(6)..].iter().zip(written)
}

/// `*/5` is `*` and 5.
fn stepped(part: &str) -> Option<(&str, u64)> {
    let (range, step) = part.split_once('/')?;
    Some((range, step.parse().ok()?))
}

/// How many values `10-20` has.
fn range_size(range: &str) -> Option<u64> {
    let (first, last) = range.split_once('-')?;
    (last.parse::<u64>().ok()? + 1).checked_sub(first.parse().ok()?).filter(|size| *size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_beyond_its_field_is_a_fault_with_what_to_write() {
        for (expression, why, remedy) in [
            ("*/90 * * * *", "step 90, which is greater than the 60 minutes", "interval_seconds = 5400 "),
            ("*/90 * * * * *", "step 90, which is greater than the 60 seconds", "interval_seconds = 90 "),
            ("0 */25 * * *", "step 25, which is greater than the 24 hours", "a step of 24"),
            ("0 0 */45 * *", "step 45, which is greater than the 31 days of the month", "a step of 31"),
            ("0 0 1 */18 *", "step 18, which is greater than the 12 months", "a step of 12"),
            ("0 0 * * */14", "step 14, which is greater than the 7 days of the week", "a step of 7"),
            ("0,10-20/30 * * * *", "step 30, which is greater than its range 10-20", "interval_seconds = 1800 "),
        ] {
            match check(expression) {
                Err(CronFault::Step { why: said, remedy: write }) => {
                    assert!(said.contains(why) && write.contains(remedy), "{expression}: {said}; {write}");
                }
                other => panic!("{expression}: {other:?}"),
            }
        }
        for good in
            ["*/60 * * * *", "0 */24 * * *", "10-20/10 * * * *", "0 0 * * MON-FRI/2", "@daily", "", "*/x 1 1 1 1"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_step_that_leaves_uneven_gaps_is_remarked_upon() {
        for (expression, words) in [
            (
                "*/45 * * * *",
                "*/45 in its minutes, which leaves gaps of 45 and 15 minutes; for even ones write interval_seconds = 2700",
            ),
            (
                "0 */5 * * *",
                "*/5 in its hours, which leaves gaps of 5 and 4 hours; for even ones write interval_seconds = 18000",
            ),
            ("*/5 */5 * * *", "*/5 in its hours, which leaves gaps of 5 and 4 hours"),
            ("*/7 * * * * *", "gaps of 7 and 4 seconds; for even ones write interval_seconds = 7"),
            ("0 0 1 */5 *", "gaps of 5 and 2 months"),
            ("0 0 * * */2", "gaps of 2 and 1 days"),
            ("0 0 */2 * *", "starts over each month"),
        ] {
            let said = remark(expression).unwrap();
            assert!(said.ends_with(words), "{expression}: {said}");
        }
        for even in ["*/15 * * * *", "*/1 * * * *", "*/20 * * * * *", "0 */6 * * *", "0-30/7 * * * *", "* * * * *"] {
            assert_eq!(remark(even), None, "{even}");
        }
    }
}
