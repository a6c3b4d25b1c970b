use crate::report::svg::{Anchor, Svg};

/// Maps values to pixels, linearly or by their logarithm.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Axis {
    /// From `low` at pixel `from` to `high` at pixel `to`.
    pub(crate) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            from,
            to,
            logarithmic: false,
        }
    }

    /// The same by the logarithm. Both bounds must be positive.
    pub(crate) fn logarithmic((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self {
            low,
            high: if high > low { high } else { low * 10.0 },
            from,
            to,
            logarithmic: true,
        }
    }

    /// Whether this is a logarithmic axis.
    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// The pixel of a value.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values within the bounds, about `wanted` of them.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        if self.logarithmic {
            self.powers(wanted)
        } else {
            self.steps(wanted)
        }
    }

    fn steps(&self, wanted: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let magnitude = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|unit| unit * magnitude)
            .into_iter()
            .find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        // A rounding error must not cost the last tick.
        let (first, last) = (
            (self.low / step - 1e-9).ceil() as i64,
            (self.high / step + 1e-9).floor() as i64,
        );
        (first..=last).map(|index| index as f64 * step).collect()
    }

    fn powers(&self, wanted: usize) -> Vec<f64> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let within = |units: &[f64]| -> Vec<f64> {
            (first..=last)
                .flat_map(|power| units.iter().map(move |unit| unit * 10f64.powi(power)))
                .filter(|tick| (self.low..=self.high).contains(tick))
                .collect()
        };
        let (coarse, medium, fine) = (within(&[1.0]), within(&[1.0, 3.0]), within(&[1.0, 2.0, 5.0]));
        if fine.len() <= wanted + 1 {
            fine
        } else if medium.len() <= wanted + 1 {
            medium
        } else {
            coarse
        }
    }
}

/// Lines across a chart at about `wanted` round values, written to the left of it.
pub(crate) fn grid(svg: &mut Svg, y: &Axis, (left, right): (f64, f64), wanted: usize) {
    for tick in y.ticks(wanted) {
        svg.line((left, y.at(tick)), (right, y.at(tick)), "grid");
        svg.text(
            left - 6.0,
            y.at(tick) + 3.5,
            Anchor::End,
            "tick",
            &tick_label(tick),
        );
    }
}

/// A tick's value as text: as many decimals as it needs, thousands as `k`.
pub(crate) fn tick_label(value: f64) -> String {
    if value.abs() >= 10_000.0 {
        return format!("{}k", crate::report::svg::n(value / 1000.0));
    }
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "" | "-0" => "0".to_owned(),
        text => crate::report::svg::minus(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let labels = |axis: Axis, wanted| axis.ticks(wanted).into_iter().map(tick_label).collect::<Vec<_>>();
        assert_eq!(
            labels(Axis::linear((0.0, 1.0), (0.0, 1.0)), 5),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            labels(Axis::linear((0.0, 24_000.0), (0.0, 1.0)), 3),
            ["0", "10k", "20k"]
        );
        assert_eq!(
            labels(Axis::linear((-3.0, 2.0), (0.0, 1.0)), 5),
            ["\u{2212}3", "\u{2212}2", "\u{2212}1", "0", "1", "2"]
        );
        assert_eq!(
            labels(Axis::logarithmic((0.5, 60.0), (0.0, 1.0)), 7),
            ["0.5", "1", "2", "5", "10", "20", "50"]
        );
        assert_eq!(
            labels(Axis::logarithmic((0.01, 1000.0), (0.0, 1.0)), 6),
            ["0.01", "0.1", "1", "10", "100", "1000"]
        );
    }

    #[test]
    fn axis_of_a_single_value_is_finite() {
        let axis = Axis::linear((5.0, 5.0), (0.0, 100.0));
        assert!(axis.at(5.0).is_finite() && !axis.ticks(4).is_empty());
    }
}
