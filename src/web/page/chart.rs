//! Bars and lines as SVG. Each is told in a sentence too, and its numbers stand in a table beside it.

use std::fmt::Write as _;

use super::stored::ms;
use super::words::{count, millis, number, span};
use super::zone::Look;
use crate::past::Point;
use api_health_core::Timestamp;
use api_health_core::history::latency::Spread;
use api_health_core::history::uptime::BarState as Shade;

/// A drawing, made of numbers alone.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    /// What it shows, in a sentence.
    pub(crate) says: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// SVG within its `svg`.
    pub(crate) shapes: String,
    /// Head and rows of its numbers.
    pub(crate) columns: &'static [&'static str],
    pub(crate) rows: Vec<Vec<String>>,
}

const SLOT: usize = 4;
const BAR_HEIGHT: usize = 14;

/// Of each state its class, the word for it, and what is drawn from the left of its slot on.
const SHADES: [(Shade, &str, &str, &str); 5] = [
    (Shade::Up, "up", "up", " 7h3v7h-3z"),
    (Shade::Down, "down", "down", " 0h3v14h-3z"),
    (Shade::Maintenance, "maintenance", "maintenance", " 7h.7v7h-.7zm1.2 0h.7v7h-.7zm1.2 0h.6v7h-.6z"),
    (Shade::Inconclusive, "inconclusive", "cannot tell", ".5 7.5h2v6h-2z"),
    (Shade::NotWatched, "unwatched", "not watched", " 12.5h1v1.5h-1zm2 0h1v1.5h-1z"),
];

/// A bar of so many hours or days. Height and pattern tell each state without colour: down has the full height, up is low, a window is
/// hatched, what could not be told is hollow, and what nobody watched a dashed line.
pub(crate) fn bar(points: &[Point], one: &str, look: &Look) -> Drawing {
    let mut shapes = String::new();
    for (shade, class, _, strokes) in SHADES {
        let there = points.iter().enumerate().filter(|(_, point)| point.times.state() == shade);
        let path: String = there.map(|(at, _)| format!("M{}{strokes}", at * SLOT)).collect();
        if !path.is_empty() {
            let _ = write!(shapes, "<path class=\"b-{class}\" d=\"{path}\"/>");
        }
    }
    let of = |shade| points.iter().filter(|point| point.times.state() == shade).count();
    let down: std::time::Duration = points.iter().map(down_for).sum();
    let mut says = match of(Shade::Down) {
        0 => format!("Not down in the last {}", count(points.len(), one)),
        n => format!("Down for {} in {} of the last {}", span(down), number(n), count(points.len(), one)),
    };
    let lacking = of(Shade::NotWatched);
    if lacking > 0 {
        let _ = write!(says, "; {} not watched", count(lacking, one));
    }
    Drawing {
        says,
        width: (points.len() * SLOT).max(SLOT),
        height: BAR_HEIGHT,
        shapes,
        columns: &["From", "Was", "Down for"],
        rows: points
            .iter()
            .map(|point| vec![look.moment(point.from), word(point.times.state()).into(), span_or_none(down_for(point))])
            .collect(),
    }
}

fn down_for(point: &Point) -> std::time::Duration {
    std::time::Duration::from_millis(point.times.down_ms)
}

pub(crate) fn span_or_none(down: std::time::Duration) -> String {
    if down.is_zero() { "–".into() } else { span(down) }
}

fn word(shade: Shade) -> &'static str {
    SHADES.iter().find(|(known, ..)| *known == shade).map_or("", |(_, _, word, _)| word)
}

/// A bar of which nothing is known: hollow, and said.
pub(crate) fn hollow(slots: usize, one: &str, why: &str) -> Drawing {
    let width = slots * SLOT - 1;
    Drawing {
        says: format!("The last {}: {why}", count(slots, one)),
        width: slots * SLOT,
        height: BAR_HEIGHT,
        shapes: format!("<path class=\"b-none\" d=\"M.5 7.5h{}v6h-{}z\"/>", width - 1, width - 1),
        columns: &[],
        rows: Vec::new(),
    }
}

const WIDTH: u32 = 640;
const HEIGHT: u32 = 180;
/// Room at the left for what the lines stand for.
const LEFT: u32 = 56;
const BOTTOM: u32 = 20;
const TOP: u32 = 8;

/// Lines of the median, p95 and p99 in a band from the least to the most; a gap where there was no answer.
pub(crate) fn latency(points: &[Point], over: &str, look: &Look) -> Option<Drawing> {
    let most =
        points.iter().filter_map(|point| point.latency.as_ref()).map(|spread| spread.max).max_by(f64::total_cmp)?;
    let (top, step) = scale(most.ceil() as u32);
    let (first, last) = (points.first()?.from, points.last()?.from);
    let (begin, whole) = (first.as_millis(), (last.as_millis() - first.as_millis()).max(1));
    let x = |at: Timestamp| {
        let along = i64::from(WIDTH - LEFT - 8) * (at.as_millis() - begin) / whole;
        i64::from(LEFT) + along
    };
    let y = |ms: f64| HEIGHT - BOTTOM - (f64::from(HEIGHT - BOTTOM - TOP) * ms / f64::from(top)) as u32;
    let mut shapes = String::new();
    for line in (0..=top / step).map(|n| n * step) {
        let (y, words) = (y(line.into()), if line == 0 { "0".into() } else { millis(ms(line.into())) });
        let _ = write!(
            shapes,
            "<path class=\"c-grid\" d=\"M{LEFT} {y}H{WIDTH}\"/><text class=\"c-label\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{words}</text>",
            LEFT - 6,
            y + 4
        );
    }
    let day = |at: Timestamp| look.moment(at).get(5..16).unwrap_or_default().to_owned();
    let _ = write!(
        shapes,
        "<text class=\"c-label\" x=\"{LEFT}\" y=\"{HEIGHT}\">{}</text><text class=\"c-label\" x=\"{WIDTH}\" y=\"{HEIGHT}\" text-anchor=\"end\">{}</text>",
        day(first),
        day(last)
    );
    let mut band = String::new();
    for run in points.split(|point| point.latency.is_none()) {
        let edge =
            |pick: Pick| move |point: &Point| Some(format!("{} {}", x(point.from), y(pick(point.latency.as_ref()?))));
        let there = run.iter().filter_map(edge(|spread| spread.max));
        let back = run.iter().rev().filter_map(edge(|spread| spread.min));
        let all: Vec<String> = there.chain(back).collect();
        if !all.is_empty() {
            let _ = write!(band, "M{}z", all.join("L"));
        }
    }
    let _ = write!(shapes, "<path class=\"c-band\" d=\"{band}\"/>");
    for (class, pick) in [("p99", (|s| s.p99) as Pick), ("p95", |s| s.p95), ("p50", |s| s.p50)] {
        let (mut path, mut goes_on) = (String::new(), false);
        for point in points {
            match &point.latency {
                Some(spread) => {
                    let _ = write!(path, "{}{} {}", if goes_on { 'L' } else { 'M' }, x(point.from), y(pick(spread)));
                    if !goes_on {
                        path.push_str("h0"); // a point between two gaps is drawn as a dot
                    }
                    goes_on = true;
                }
                None => goes_on = false,
            }
        }
        let _ = write!(shapes, "<path class=\"c-line c-{class}\" d=\"{path}\"/>");
    }
    let newest = points.iter().rev().find_map(|point| point.latency.as_ref())?;
    let row = |point: &Point| {
        let figures = point.latency.as_ref().map(|s| [s.min, s.p50, s.p95, s.p99, s.max]);
        let words =
            figures.map_or_else(|| vec!["–".to_owned(); 5], |all| all.map(|figure| millis(ms(figure))).to_vec());
        std::iter::once(look.moment(point.from)).chain(words).collect()
    };
    Some(Drawing {
        says: format!(
            "How long answers took over {over}: half of the newest within {}, 95 of 100 within {}; the longest of all took {}",
            millis(ms(newest.p50)),
            millis(ms(newest.p95)),
            millis(ms(most))
        ),
        width: WIDTH as usize,
        height: HEIGHT as usize + 4,
        shapes,
        columns: &["From", "Least", "p50", "p95", "p99", "Most"],
        rows: points.iter().map(row).collect(),
    })
}

/// Which of its figures.
type Pick = fn(&Spread) -> f64;

/// The end of an axis that holds `most`, and how far its lines are apart: 1, 2 or 5 with noughts.
fn scale(most: u32) -> (u32, u32) {
    let most = most.max(4);
    let mut steps = (0..9).flat_map(|power| [1, 2, 5].map(|first| first * 10_u32.pow(power)));
    let step = steps.find(|step| step.saturating_mul(4) >= most).unwrap_or(1_000_000_000);
    (most.div_ceil(step).saturating_mul(step), step)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use api_health_core::history::hour::Counts;
    use api_health_core::history::uptime::Times;

    use super::*;

    fn look() -> Look {
        Look::new(Arc::default(), "").unwrap()
    }

    /// Hours in all states, one after the other.
    fn points(count: usize) -> Vec<Point> {
        const HOUR_MS: u64 = 3_600_000;
        let at = |n: usize| Timestamp::from_millis(1_795_332_600_000).plus(Duration::from_millis(HOUR_MS) * n as u32);
        let times = |n: usize| {
            let mut times = Times { window_ms: HOUR_MS, ..Times::default() };
            *match n % 5 {
                0 => &mut times.watched_ms,
                1 => {
                    times.down_ms = 90_000;
                    &mut times.watched_ms
                }
                2 => &mut times.maintenance_ms,
                3 => &mut times.inconclusive_ms,
                _ => return times,
            } = HOUR_MS;
            times
        };
        let latency =
            |n: usize| (n % 5 < 2).then_some(Spread { min: 20.0, p50: 80.0, p95: 150.0, p99: 400.0, max: 900.0 });
        let point = |n| Point {
            from: at(n),
            until: at(n + 1),
            times: times(n),
            counts: Counts::default(),
            latency: latency(n),
        };
        (0..count).map(point).collect()
    }

    #[test]
    fn a_bar_tells_each_state_by_its_shape_and_all_of_it_in_words() {
        let bar = bar(&points(24), "hour", &look());
        for class in ["up", "down", "maintenance", "inconclusive", "unwatched"] {
            assert!(bar.shapes.contains(&format!("b-{class}")), "{class}");
        }
        assert_eq!(bar.says, "Down for 7 min 30 s in 5 of the last 24 hours; 4 hours not watched");
        assert_eq!((bar.rows.len(), bar.rows[1][1].as_str()), (24, "down"));
        assert!(bar.shapes.len() < 1_000, "{} bytes", bar.shapes.len());
        assert_eq!(hollow(90, "day", "no history is kept").says, "The last 90 days: no history is kept");
    }

    #[test]
    fn lines_have_a_gap_where_there_was_no_answer() {
        let drawing = latency(&points(10), "10 hours", &look()).unwrap();
        let p50 = drawing.shapes.split("c-p50").nth(1).unwrap();
        assert_eq!(p50.matches('M').count(), 2, "{p50}");
        assert_eq!(drawing.rows[2][1], "–");
        assert!(latency(&points(0), "no time", &look()).is_none());
    }

    #[test]
    fn an_axis_has_few_lines_and_holds_the_most() {
        for most in [0, 1, 4, 5, 9, 87, 100, 101, 999, 12_345, 299_999, u32::MAX / 2] {
            let (top, step) = scale(most);
            assert!(top >= most && top / step <= 5 && top / step >= 1, "{most}: {top} by {step}");
            assert!(matches!(step / 10_u32.pow(step.ilog10()), 1 | 2 | 5), "{most}: {step}");
        }
    }
}
