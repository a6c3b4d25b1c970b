//! Distances as lines, over the levels of an encoder or over a training, all charts on one scale.

use crate::report::axis::{Axis, grid, tick_label};
use crate::report::svg::{Anchor, Svg};

const WIDTH: f64 = 252.0;
const HEIGHT: f64 = 200.0;
const COLUMNS: usize = 3;

/// Lines over one axis.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x_label: &'static str,
    /// Where the axis is marked; at round numbers if it is not said.
    pub(crate) x_ticks: Option<Vec<f64>>,
    /// Lines without a name, in the first colour.
    pub(crate) thin: Vec<Vec<(f64, f64)>>,
    pub(crate) lines: Vec<Line>,
}

/// A line with its name at its end.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) colour: usize,
    /// From left to right or from right to left.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Chart {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        let named = self.lines.iter().map(|line| &line.points);
        named.chain(&self.thin).flatten().copied()
    }

    fn draw(&self, y: &Axis) -> Svg {
        let (left, right, bottom) = (40.0, WIDTH - 66.0, HEIGHT - 36.0);
        let mut svg = Svg::default();
        svg.text(left, 16.0, Anchor::Start, "title", &self.title);
        let farthest = self.points().map(|(x, _)| x).fold(0.0, f64::max);
        let x = Axis::linear((0.0, farthest), (left, right));
        grid(&mut svg, y, (left, right), 4);
        for tick in self.x_ticks.clone().unwrap_or_else(|| x.ticks(3)) {
            svg.text(
                x.at(tick),
                bottom + 15.0,
                Anchor::Middle,
                "tick",
                &tick_label(tick),
            );
        }
        svg.line((left, bottom), (right, bottom), "axis");
        let middle = (left + right) / 2.0;
        svg.text(middle, bottom + 29.0, Anchor::Middle, "tick", self.x_label);
        let placed = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            points
                .iter()
                .map(|&(at, value)| (x.at(at), y.at(value)))
                .collect()
        };
        for points in &self.thin {
            svg.polyline(&placed(points), "s0 thin");
        }
        let mut ends: Vec<(&str, usize, f64)> = Vec::new();
        for line in &self.lines {
            svg.polyline(&placed(&line.points), &format!("s{}", line.colour));
            let end = line.points.iter().max_by(|a, b| a.0.total_cmp(&b.0));
            ends.extend(end.map(|end| (line.name, line.colour, y.at(end.1))));
        }
        ends.sort_by(|a, b| a.2.total_cmp(&b.2));
        let mut next = 0.0;
        for (name, colour, at) in ends {
            let at = f64::max(at, next);
            svg.text(right + 6.0, at + 3.5, Anchor::Start, &format!("f{colour}"), name);
            next = at + 12.0;
        }
        svg
    }
}

/// Groups of charts below one another, each in rows; charts without lines are left out. `None` if none has any.
pub(crate) fn sheet_of(groups: &[Vec<Chart>]) -> Option<(Svg, f64, f64)> {
    let groups: Vec<Vec<&Chart>> = groups
        .iter()
        .map(|charts| charts.iter().filter(|chart| !chart.lines.is_empty()).collect())
        .filter(|charts: &Vec<&Chart>| !charts.is_empty())
        .collect();
    let highest = groups
        .iter()
        .flatten()
        .flat_map(|chart| chart.points())
        .map(|(_, y)| y);
    let highest = highest.reduce(f64::max)?;
    let y = Axis::linear((0.0, highest * 1.05), (HEIGHT - 36.0, 30.0));
    let (mut svg, mut columns, mut rows) = (Svg::default(), 0, 0);
    for charts in &groups {
        for (index, chart) in charts.iter().enumerate() {
            let (column, row) = (index % COLUMNS, rows + index / COLUMNS);
            svg.place(column as f64 * WIDTH, row as f64 * HEIGHT, &chart.draw(&y));
        }
        columns = columns.max(charts.len().min(COLUMNS));
        rows += charts.len().div_ceil(COLUMNS);
    }
    Some((svg, columns as f64 * WIDTH, rows as f64 * HEIGHT))
}
