//! Alert rules of Prometheus: how long something has to fail, and how long before its end a certificate is told of.

use std::rc::Rc;

use super::super::reading::Reading;
use super::super::report::Field;
use super::super::words::milliseconds;

/// What the rules say together.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// How long a probe has to fail, in milliseconds, and of which job if one is named.
    pub(super) fails: Vec<(Option<String>, u64)>,
    pub(super) certificate_days: Vec<u16>,
}

/// Reads a file of rules.
pub(super) fn read(reading: &mut Reading<'_>, root: Field, rules: &mut Rules) {
    let mut top = reading.report.fields(root);
    if let Some(field) = top.take("groups") {
        for item in reading.report.items(field) {
            let mut group = reading.report.fields(item);
            if let Some(field) = group.take("rules") {
                for item in reading.report.items(field) {
                    rule(reading, item, rules);
                }
            }
            reading.report.others_lost(group, "rules are not grouped");
        }
    }
    reading.report.rest(top);
}

fn rule(reading: &mut Reading<'_>, field: Field, rules: &mut Rules) {
    let node = Rc::clone(&field.node);
    let expression: String = node.of("expr").split_whitespace().collect::<Vec<_>>().join(" ");
    if expression.contains("probe_success") && !expression.contains("avg_over_time") && !expression.contains("count") {
        let lasts = milliseconds(node.of("for")).unwrap_or(0);
        rules.fails.push((job(&expression), lasts));
        let how = "as failure_threshold: fails in a row for that long; labels and texts are left out";
        return reading.report.near(field, how);
    }
    if expression.contains("probe_ssl_earliest_cert_expiry") {
        return match days(&expression) {
            Some(days) => {
                rules.certificate_days.push(days);
                reading.report.near(field, "as certificate_days; labels and texts are left out");
            }
            None => reading.report.lost(field, "of a certificate, days before its end are told"),
        };
    }
    let why = match expression.contains("probe_") {
        true => "there is no such rule; assertions of a row, such as `latency < 2 s`, make a probe fail",
        false => "it is not about what the exporter measures",
    };
    reading.report.lost(field, why);
}

/// `job="blackbox"` in an expression.
fn job(expression: &str) -> Option<String> {
    let (_, behind) = expression.split_once("job=\"")?;
    behind.split_once('"').map(|(job, _)| job.to_owned())
}

/// The days in `… - time() < 86400 * 30` and `(… - time()) / 86400 < 30`, which are written in many ways.
fn days(expression: &str) -> Option<u16> {
    let (left, right) = expression.rsplit_once('<').or_else(|| expression.rsplit_once("<="))?;
    let product = |text: &str, sign: char| -> Option<f64> {
        text.split(sign).map(|part| part.trim_matches(|c: char| !c.is_ascii_digit()).parse::<f64>().ok()).product()
    };
    let right = product(right.trim_start_matches('=').split("and").next()?, '*')?;
    let divided = left.rsplit_once("time()").map_or("", |(_, behind)| behind.trim_start_matches([')', ' ']));
    let divisor = match divided.strip_prefix('/') {
        Some(divisor) if divisor.contains('*') => product(divisor, '*')?,
        Some(divisor) => product(divisor, '/')?,
        None => 1.0,
    };
    let days = (right * divisor / 86_400.0).ceil();
    (1.0..=365.0).contains(&days).then_some(days as u16)
}

/// The rules that a job of this name keeps: fails in a row, at this interval.
pub(super) fn threshold(rules: &Rules, name: &str, interval: u64) -> Option<u64> {
    let of_it = rules.fails.iter().filter(|(job, _)| job.as_deref().is_none_or(|job| job == name));
    of_it.map(|(_, lasts)| (lasts / interval.max(1) + 1).clamp(1, 20)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_however_they_are_written() {
        for (expression, want) in [
            ("probe_ssl_earliest_cert_expiry - time() < 86400 * 30", Some(30)),
            ("(probe_ssl_earliest_cert_expiry{job=\"x\"} - time()) / 86400 < 14", Some(14)),
            ("(probe_ssl_earliest_cert_expiry - time())/(60*60*24) < 7", Some(7)),
            ("(probe_ssl_earliest_cert_expiry - time()) / 3600 / 24 <= 20", Some(20)),
            ("0 <= round((last_over_time(probe_ssl_earliest_cert_expiry[10m]) - time()) / 86400, 0.1) < 3", None),
            ("probe_ssl_earliest_cert_expiry - time() <= 0", None),
        ] {
            assert_eq!(days(expression), want, "{expression}");
        }
    }
}
