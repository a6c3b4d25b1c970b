use sandhi_score::Interval;

use crate::report::axis::{Axis, tick_label};
use crate::report::curves::COLOURS;
use crate::report::rates::Rate;
use crate::report::svg::{Anchor, Svg, minus};
use crate::report::verdict::Judged;

/// Width of these figures: that of a learning curve, so that they stack on a narrow screen.
pub(crate) const WIDTH: f64 = 360.0;
const ROW: f64 = 26.0;
/// Room above differences to name the sides of zero.
const SIDES: f64 = 16.0;

/// A row of a figure of rates: an arm's index and name, and its rate.
pub(crate) type Row<'a> = (usize, &'a str, &'a Rate);

/// A row of a figure of differences.
pub(crate) struct Difference<'a> {
    /// Place among all arms of the plan, for its colour.
    pub(crate) index: usize,
    pub(crate) name: &'a str,
    pub(crate) value: f64,
    pub(crate) interval: Interval,
}

/// Height of [`rates`] for a number of arms.
pub(crate) fn rates_height(rows: usize) -> f64 {
    rows as f64 * ROW + 62.0
}

/// Height of [`differences`] for a number of arms.
pub(crate) fn differences_height(rows: usize) -> f64 {
    rates_height(rows) + SIDES
}

/// The rates of the arms on one split: a dot at the rate, a line over its 95 % interval.
pub(crate) fn rates(title: &str, rows: &[Row<'_>]) -> Svg {
    let (low, high) = bounds(rows.iter().map(|(.., rate)| (rate.score.value, rate.interval)));
    let margin = ((high - low) * 0.08).max(0.5);
    let names = rows.iter().map(|(_, name, _)| *name);
    let frame = Frame::new(names, ((low - margin).max(0.0), high + margin), 28.0);
    let mut svg = Svg::default();
    frame.draw(&mut svg, title, tick_label, "errors per 100, 95 % interval");
    for (place, (index, name, rate)) in rows.iter().enumerate() {
        let (axis, y) = (frame.axis, frame.y(place));
        if rate.seeds.len() > 1 {
            for (_, value) in &rate.seeds {
                svg.circle(axis.at(*value), y + 8.0, 1.8, &format!("f{}", index % COLOURS));
            }
        }
        let (value, interval) = (rate.score.value, &rate.interval);
        frame.row(
            &mut svg,
            place,
            (*index, name),
            (value, interval),
            &format!("{value:.1}"),
        );
    }
    svg
}

/// The differences of arms to a reference, beside zero: fewer errors to the left.
pub(crate) fn differences(title: &str, reference: &str, rows: &[Difference<'_>]) -> Svg {
    let (low, high) = bounds(rows.iter().map(|row| (row.value, row.interval)));
    let (low, high) = (low.min(-0.5), high.max(0.5));
    let margin = (high - low) * 0.08;
    let names = rows.iter().map(|row| row.name);
    let frame = Frame::new(names, (low - margin, high + margin), 28.0 + SIDES);
    let zero = frame.axis.at(0.0);
    let mut svg = Svg::default();
    svg.rect(
        frame.left,
        frame.top,
        zero - frame.left,
        frame.bottom - frame.top,
        "band",
    );
    let caption = format!("points against {reference}, 95 % interval");
    frame.draw(&mut svg, title, plus, &caption);
    svg.line((zero, frame.top - 12.0), (zero, frame.bottom), "axis");
    for (x, anchor, side) in [
        (-6.0, Anchor::End, "fewer errors"),
        (6.0, Anchor::Start, "more errors"),
    ] {
        svg.text(zero + x, frame.top - 5.0, anchor, "tick", side);
    }
    for (place, row) in rows.iter().enumerate() {
        let value = minus(&format!("{:+.1}", row.value));
        frame.row(
            &mut svg,
            place,
            (row.index, row.name),
            (row.value, &row.interval),
            &value,
        );
    }
    svg
}

/// What figures with a row per arm share: names to the left, values to the right, an axis below.
struct Frame {
    axis: Axis,
    left: f64,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn new<'a>(names: impl Iterator<Item = &'a str>, bounds: (f64, f64), top: f64) -> Self {
        let lengths: Vec<usize> = names.map(|name| name.chars().count()).collect();
        let left = 16.0 + 6.2 * lengths.iter().copied().max().unwrap_or(0) as f64;
        Self {
            axis: Axis::linear(bounds, (left, WIDTH - 46.0)),
            left,
            top,
            bottom: top + lengths.len() as f64 * ROW,
        }
    }

    /// The middle of a row.
    fn y(&self, place: usize) -> f64 {
        self.top + (place as f64 + 0.5) * ROW
    }

    /// Title, grid and axis.
    fn draw(&self, svg: &mut Svg, title: &str, tick_text: impl Fn(f64) -> String, caption: &str) {
        let (axis, right) = (self.axis, WIDTH - 46.0);
        svg.text(self.left, 16.0, Anchor::Start, "title", title);
        for tick in axis.ticks(4) {
            let x = axis.at(tick);
            svg.line((x, self.top), (x, self.bottom), "grid");
            svg.text(x, self.bottom + 14.0, Anchor::Middle, "tick", &tick_text(tick));
        }
        svg.line((self.left, self.bottom), (right, self.bottom), "axis");
        let middle = (self.left + right) / 2.0;
        svg.text(middle, self.bottom + 28.0, Anchor::Middle, "tick", caption);
    }

    /// A name, a line over an interval, a dot at a value, the value in digits.
    fn row(
        &self,
        svg: &mut Svg,
        place: usize,
        (index, name): (usize, &str),
        (value, interval): (f64, &Interval),
        digits: &str,
    ) {
        let (axis, y, colour) = (self.axis, self.y(place), index % COLOURS);
        svg.text(self.left - 8.0, y + 3.5, Anchor::End, "", name);
        svg.line(
            (axis.at(interval.low), y),
            (axis.at(interval.high), y),
            &format!("whisker s{colour}"),
        );
        svg.circle(axis.at(value), y, 4.5, &format!("f{colour}"));
        svg.text(WIDTH - 8.0, y + 3.5, Anchor::End, "tick", digits);
    }
}

/// What values and their intervals span.
fn bounds(values: impl Iterator<Item = (f64, Interval)>) -> (f64, f64) {
    let values = values.flat_map(|(value, interval)| [interval.low, interval.high, value]);
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// A tick's value with its sign.
fn plus(tick: f64) -> String {
    let sign = if tick > 0.0 { "+" } else { "" };
    format!("{sign}{}", tick_label(tick))
}

/// The difference a claim is judged by, beside zero.
pub(crate) fn difference(judged: &Judged) -> Option<Svg> {
    let interval = judged.comparison.as_ref()?.paired.difference;
    let (left, right, top, bottom) = (10.0, WIDTH - 10.0, 20.0, 48.0);
    // A claim to match holds from minus its margin on.
    let threshold = -judged.claim.margin;
    let reach = interval.low.abs().max(interval.high.abs()).max(1.0 - threshold) * 1.15;
    let axis = Axis::linear((-reach, reach), (left, right));
    let (y, holds) = ((top + bottom) / 2.0, axis.at(threshold));
    let mut svg = Svg::default();
    svg.rect(holds, top, right - holds, bottom - top, "band");
    svg.text(holds + 7.0, top - 6.0, Anchor::Start, "tick", "as claimed");
    svg.text(holds - 7.0, top - 6.0, Anchor::End, "tick", "the other way");
    for tick in axis.ticks(5) {
        svg.line((axis.at(tick), bottom), (axis.at(tick), bottom + 4.0), "axis");
        svg.text(axis.at(tick), bottom + 16.0, Anchor::Middle, "tick", &plus(tick));
    }
    svg.line((left, bottom), (right, bottom), "axis");
    svg.line((holds, top - 16.0), (holds, bottom), "axis");
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
