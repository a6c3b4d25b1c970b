use crate::report::axis::{Axis, tick_label};
use crate::report::curves::COLOURS;
use crate::report::rates::Rate;
use crate::report::svg::{Anchor, Svg};
use crate::report::verdict::Judged;

/// Width of these figures: that of a learning curve, so that they stack on a narrow screen.
pub(crate) const WIDTH: f64 = 360.0;
const ROW: f64 = 26.0;

/// A row of a figure of rates: an arm's index and name, and its rate.
pub(crate) type Row<'a> = (usize, &'a str, &'a Rate);

/// Height of [`rates`] for a number of arms.
pub(crate) fn rates_height(rows: usize) -> f64 {
    rows as f64 * ROW + 62.0
}

/// The rates of the arms on one split: a dot at the rate, a line over its 95 % interval.
pub(crate) fn rates(title: &str, rows: &[Row<'_>]) -> Svg {
    let longest = rows
        .iter()
        .map(|(_, name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let (left, right, top) = (16.0 + 6.2 * longest as f64, WIDTH - 46.0, 28.0);
    let bottom = top + rows.len() as f64 * ROW;
    let bounds = rows
        .iter()
        .flat_map(|(.., rate)| [rate.interval.low, rate.interval.high, rate.score.value]);
    let (low, high) = bounds.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let margin = ((high - low) * 0.08).max(0.5);
    let axis = Axis::linear(((low - margin).max(0.0), high + margin), (left, right));
    let mut svg = Svg::default();
    svg.text(left, 16.0, Anchor::Start, "title", title);
    for tick in axis.ticks(4) {
        svg.line((axis.at(tick), top), (axis.at(tick), bottom), "grid");
        svg.text(
            axis.at(tick),
            bottom + 14.0,
            Anchor::Middle,
            "tick",
            &tick_label(tick),
        );
    }
    svg.line((left, bottom), (right, bottom), "axis");
    svg.text(
        (left + right) / 2.0,
        bottom + 28.0,
        Anchor::Middle,
        "tick",
        "errors per 100, 95 % interval",
    );
    for (row, (index, name, rate)) in rows.iter().enumerate() {
        let y = top + (row as f64 + 0.5) * ROW;
        let colour = index % COLOURS;
        svg.text(left - 8.0, y + 3.5, Anchor::End, "", name);
        svg.line(
            (axis.at(rate.interval.low), y),
            (axis.at(rate.interval.high), y),
            &format!("whisker s{colour}"),
        );
        if rate.seeds.len() > 1 {
            for (_, value) in &rate.seeds {
                svg.circle(axis.at(*value), y + 8.0, 1.8, &format!("f{colour}"));
            }
        }
        svg.circle(axis.at(rate.score.value), y, 4.5, &format!("f{colour}"));
        svg.text(
            WIDTH - 8.0,
            y + 3.5,
            Anchor::End,
            "tick",
            &format!("{:.1}", rate.score.value),
        );
    }
    svg
}

/// The difference a claim is judged by, beside zero.
pub(crate) fn difference(judged: &Judged) -> Option<Svg> {
    let interval = judged.comparison.as_ref()?.paired.difference;
    let (left, right, top, bottom) = (10.0, WIDTH - 10.0, 20.0, 48.0);
    let reach = interval.low.abs().max(interval.high.abs()).max(1.0) * 1.15;
    let axis = Axis::linear((-reach, reach), (left, right));
    let y = (top + bottom) / 2.0;
    let mut svg = Svg::default();
    svg.rect(axis.at(0.0), top, right - axis.at(0.0), bottom - top, "band");
    svg.text(axis.at(0.0) + 7.0, top - 6.0, Anchor::Start, "tick", "as claimed");
    svg.text(
        axis.at(0.0) - 7.0,
        top - 6.0,
        Anchor::End,
        "tick",
        "the other way",
    );
    for tick in axis.ticks(5) {
        svg.line((axis.at(tick), bottom), (axis.at(tick), bottom + 4.0), "axis");
        let sign = if tick > 0.0 { "+" } else { "" };
        svg.text(
            axis.at(tick),
            bottom + 16.0,
            Anchor::Middle,
            "tick",
            &format!("{sign}{}", tick_label(tick)),
        );
    }
    svg.line((left, bottom), (right, bottom), "axis");
    svg.line((axis.at(0.0), top - 16.0), (axis.at(0.0), bottom), "axis");
    svg.line(
        (axis.at(interval.low), y),
        (axis.at(interval.high), y),
        "whisker s0",
    );
    svg.circle(axis.at(interval.mean), y, 5.0, "f0");
    Some(svg)
}

/// Height of [`difference`].
pub(crate) const DIFFERENCE_HEIGHT: f64 = 70.0;
