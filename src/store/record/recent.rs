//! The stored form of the last outcomes and alerts: short enough that a record which is in no incident stays within one write unit.
//!
//! Outcomes are `p200*1440@1795332600`: a run of 1,440 passes with status 200, the first of which began at that second. The letter is
//! that of pass, fail or inconclusive, and the code is missing where there was no answer. Alerts are `down@1795332600250+5000`: of
//! something that happened in that millisecond and was confirmed so many milliseconds later. Incidents that ended are `1f04c2aa`, a number
//! made of the id of each. The newest stand first.

use std::borrow::Cow;

use api_health_core::incident::Ended;
use api_health_core::recent::{Recent, RecentAlert, Run};
use api_health_core::{AlertKind, Timestamp, Verdict};

/// As text; empty where there are none.
pub(super) fn outcomes(recent: &Recent) -> Cow<'static, str> {
    let runs = recent.runs().map(|run| {
        let code = run.status_code().map_or(String::new(), |code| code.to_string());
        format!("{}{code}*{}@{}", letter(run.verdict), run.count, run.first_at.as_millis().div_euclid(1_000))
    });
    runs.collect::<Vec<_>>().join(" ").into()
}

/// As text; empty where there are none.
pub(super) fn alerts(recent: &Recent) -> Cow<'static, str> {
    let alerts = recent.alerts().map(|alert| {
        let (happened, detected) = (alert.happened_at.as_millis(), alert.detected_at.as_millis());
        format!("{}@{happened}{:+}", alert.kind.as_str(), i128::from(detected) - i128::from(happened))
    });
    alerts.collect::<Vec<_>>().join(" ").into()
}

/// Reads both. What makes no sense is left out: nothing is decided by it.
pub(super) fn read(outcomes: &str, alerts: &str) -> Recent {
    Recent::of(outcomes.split(' ').filter_map(run), alerts.split(' ').filter_map(alert))
}

/// As text; empty where there are none.
pub(super) fn ended(ended: &Ended) -> Cow<'static, str> {
    ended.numbers().map(|number| format!("{number:08x}")).collect::<Vec<_>>().join(" ").into()
}

/// What makes no sense is left out.
pub(super) fn read_ended(text: &str) -> Ended {
    Ended::of(text.split(' ').filter_map(|number| u32::from_str_radix(number, 16).ok()))
}

fn run(text: &str) -> Option<Run> {
    let (what, first_at) = text.split_once('@')?;
    let (what, count) = what.split_once('*')?;
    let verdict =
        [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive].into_iter().find(|v| what.starts_with(letter(*v)))?;
    let status_code = match &what[1..] {
        "" => None,
        code => Some(code.parse().ok()?),
    };
    let first_at = Timestamp::from_millis(first_at.parse::<i64>().ok()?.saturating_mul(1_000));
    Some(Run::new(verdict, status_code, count.parse().ok().filter(|count| *count > 0)?, first_at))
}

fn alert(text: &str) -> Option<RecentAlert> {
    let (kind, times) = text.split_once('@')?;
    let sign = times.rfind(['+', '-']).filter(|at| *at > 0)?;
    let happened: i64 = times[..sign].parse().ok()?;
    let detected = i128::from(happened).checked_add(times[sign..].parse().ok()?)?;
    Some(RecentAlert {
        kind: AlertKind::parse(kind)?,
        happened_at: Timestamp::from_millis(happened),
        detected_at: Timestamp::from_millis(i64::try_from(detected).ok()?),
    })
}

const fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => 'p',
        Verdict::Fail => 'f',
        Verdict::Inconclusive => 'i',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_table_is_this_and_nonsense_is_left_out() {
        let at = Timestamp::from_millis(1_795_332_600_000);
        let runs = [Run::new(Verdict::Pass, Some(200), 1_440, at), Run::new(Verdict::Fail, None, 2, at)];
        let alert = RecentAlert {
            kind: AlertKind::Down,
            happened_at: at,
            detected_at: Timestamp::from_millis(1_795_332_605_000),
        };
        let recent = Recent::of(runs, [alert]);
        assert_eq!(outcomes(&recent), "p200*1440@1795332600 f*2@1795332600");
        assert_eq!(alerts(&recent), "down@1795332600000+5000");
        assert_eq!(read(&outcomes(&recent), &alerts(&recent)), recent);
        let ends = Ended::of([7, u32::MAX]);
        assert_eq!((ended(&ends).as_ref(), read_ended(&ended(&ends))), ("00000007 ffffffff", ends));
        assert_eq!((ended(&Ended::default()).as_ref(), read_ended(" x 100000000 0 -1 7 8 9")), ("", Ended::of([7, 8])));
        let odd = "p200*0@1 x200*1@1 p*@ ü*1@1 p2 f503*3@7 p99999*1@1";
        let read = read(odd, &format!("down up@x+1 down@+5 lost@1+1 down@1+{} up@-5+7", i128::MAX));
        assert_eq!((outcomes(&read), alerts(&read)), ("f503*3@7".into(), "up@-5+7".into()));
    }
}
