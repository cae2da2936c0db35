//! How the last probe spent its time: its phases beside each other, as one bar.

use std::fmt::Write as _;
use std::time::Duration;

use api_health_core::ProbeFigures;
use api_health_core::observation::Phase;
use api_health_core::words::millis;

use super::chart::Drawing;

/// In the order in which they happen.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Resolve, "name"),
    (Phase::Connect, "connect"),
    (Phase::Tls, "TLS"),
    (Phase::FirstByte, "first byte"),
    (Phase::Body, "body"),
];

const WIDTH: f64 = 640.0;
const HEIGHT: usize = 36;

/// What has its name below it is at least so wide: about the width of the longest.
const NAMED_FROM: f64 = 64.0;

/// `None`: no phase came to its end.
pub(crate) fn drawing(figures: &ProbeFigures) -> Option<Drawing> {
    let took: Vec<(&str, Duration)> =
        PHASES.into_iter().filter_map(|(phase, name)| Some((name, figures.phases.get(phase)?))).collect();
    let whole: Duration = took.iter().map(|(_, took)| *took).sum();
    let (mut shapes, mut x) = (String::new(), 0.0);
    for (nth, (name, phase)) in took.iter().enumerate() {
        let width = WIDTH * phase.as_secs_f64() / whole.as_secs_f64().max(1e-6);
        // Each second one is pale, so that neighbours are told apart without colour.
        let pale = if nth % 2 == 0 { "" } else { " fill-opacity=\".45\"" };
        let _ =
            write!(shapes, "<rect class=\"c-phase\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"16\"{pale}/>");
        if width >= NAMED_FROM {
            let _ = write!(shapes, "<text class=\"c-label\" x=\"{x:.1}\" y=\"30\">{name}</text>");
        }
        x += width;
    }
    let words: Vec<String> = took.iter().map(|(name, took)| format!("{name} {}", millis(*took))).collect();
    (!took.is_empty()).then(|| Drawing {
        says: format!("It took {}: {}", millis(figures.took()), words.join(", ")),
        width: WIDTH as usize,
        height: HEIGHT,
        shapes,
        columns: &["Phase", "Took"],
        rows: took.iter().map(|(name, took)| vec![(*name).to_owned(), millis(*took)]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use api_health_core::PhaseTimes;

    use super::*;

    #[test]
    fn phases_fill_the_bar_in_their_order_and_those_that_did_not_happen_are_left_out() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let mut figures = ProbeFigures::default().with_took(Duration::from_millis(101));
        assert!(drawing(&figures).is_none());
        figures.phases.add(&PhaseTimes { connect: ms(1), first_byte: ms(74), body: ms(25), ..PhaseTimes::default() });
        let drawing = drawing(&figures).unwrap();
        assert_eq!(drawing.says, "It took 101 ms: connect 1.0 ms, first byte 74 ms, body 25 ms");
        assert_eq!(drawing.rows.len(), 3);
        let widths: Vec<f64> = drawing
            .shapes
            .split(" width=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths, [6.4, 473.6, 160.0]);
        assert!(drawing.shapes.contains("first byte") && !drawing.shapes.contains(">connect<"), "{}", drawing.shapes);
    }
}
