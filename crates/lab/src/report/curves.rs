use std::collections::BTreeMap;

use crate::report::axis::{Axis, grid, tick_label};
use crate::report::evidence::{Evidence, RunEvidence};
use crate::report::layers;
use crate::report::svg::{Anchor, Svg};

/// More points than this are averaged in windows: beyond it a line is only noise.
const MAX_POINTS: usize = 150;
/// Colours there are; further arms take them again.
pub(crate) const COLOURS: usize = 9;

/// Size of one panel.
pub(crate) const WIDTH: f64 = 360.0;
pub(crate) const HEIGHT: f64 = 226.0;

/// Values that say how the training went, not what was learned.
const BOOKKEEPING: [&str; 4] = ["lr", "skipped", "epoch", "norm"];
/// Times and memory, and what has a figure of its own.
const ELSEWHERE: [&str; 3] = ["machine", layers::PHASES[0], layers::PHASES[1]];

/// One metric over the steps, a line per run.
#[derive(Debug)]
pub(crate) struct Panel {
    title: String,
    unit: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    arm: String,
    colour: usize,
    points: Vec<(f64, f64)>,
}

/// The panels for what was logged: validation first, then the loss and its terms.
pub(crate) fn panels(evidence: &Evidence) -> Vec<Panel> {
    let mut panels: BTreeMap<(usize, String, String), Vec<Line>> = BTreeMap::new();
    let arms = evidence.arms.iter().enumerate();
    for (index, arm) in arms.filter(|(_, arm)| arm.main) {
        for run in &arm.done {
            for (phase, name) in series_of(run) {
                let points = thin(points(run, &phase, &name));
                if points.len() < 2 {
                    continue;
                }
                let rank = rank(&phase, &name);
                let line = Line {
                    arm: arm.name.clone(),
                    colour: index % COLOURS,
                    points,
                };
                panels.entry((rank, phase, name)).or_default().push(line);
            }
        }
    }
    let made = panels.into_iter().map(|((_, phase, name), lines)| Panel {
        unit: unit(&name),
        title: title(&name, &phase),
        lines,
    });
    made.collect()
}

/// The metrics of a run, each once.
fn series_of(run: &RunEvidence) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = run
        .metrics
        .iter()
        .flat_map(|metric| {
            metric
                .values
                .keys()
                .map(|name| (metric.phase.clone(), name.clone()))
        })
        .filter(|(phase, name)| !ELSEWHERE.contains(&phase.as_str()) && !BOOKKEEPING.contains(&name.as_str()))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Order of the panels: what one wants to see first has the lowest number.
fn rank(phase: &str, name: &str) -> usize {
    match (phase, name) {
        ("train", "loss") => 4,
        ("train", _) => 5,
        (_, "wer") => 0,
        (_, "cer") => 1,
        _ => 2,
    }
}

fn title(name: &str, phase: &str) -> String {
    match name {
        "wer" | "cer" => format!("{} on {phase}", name.to_uppercase()),
        _ => format!("{name}, {phase}"),
    }
}

fn unit(name: &str) -> &'static str {
    match name {
        "wer" | "cer" => "%",
        _ if name.starts_with("rnnt") || name.starts_with("ctc") => "nats",
        _ => "",
    }
}

fn points(run: &RunEvidence, phase: &str, name: &str) -> Vec<(f64, f64)> {
    let here = run.metrics.iter().filter(|metric| metric.phase == phase);
    here.filter_map(|metric| Some((metric.step as f64, (*metric.values.get(name)?)?)))
        .collect()
}

/// Means over windows of equal size, so that at most [`MAX_POINTS`] are left.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points;
    }
    let window = points.len().div_ceil(MAX_POINTS);
    let mean = |values: &mut dyn Iterator<Item = f64>, len: usize| values.sum::<f64>() / len as f64;
    points
        .chunks(window)
        .map(|chunk| {
            let x = mean(&mut chunk.iter().map(|point| point.0), chunk.len());
            (x, mean(&mut chunk.iter().map(|point| point.1), chunk.len()))
        })
        .collect()
}

impl Panel {
    /// What it shows, for readers who do not see it.
    pub(crate) fn label(&self) -> String {
        format!("{} over optimizer steps", self.title)
    }

    /// Draws the panel.
    pub(crate) fn draw(&self) -> Svg {
        let (left, right, top, bottom) = (44.0, WIDTH - 82.0, 30.0, HEIGHT - 34.0);
        let mut svg = Svg::default();
        let title = if self.unit.is_empty() {
            self.title.clone()
        } else {
            format!("{} ({})", self.title, self.unit)
        };
        svg.text(left, 16.0, Anchor::Start, "title", &title);

        let values = || self.lines.iter().flat_map(|line| &line.points);
        let last = values().map(|point| point.0).fold(0.0, f64::max);
        let (low, high) = values()
            .map(|point| point.1)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
                (low.min(y), high.max(y))
            });
        let x = Axis::linear((0.0, last), (left, right));
        // A loss falls by orders of magnitude; on a linear axis all that matters would be a flat line.
        let y = if low > 0.0 && high / low > 8.0 {
            Axis::logarithmic((low * 0.93, high * 1.07), (bottom, top))
        } else {
            let margin = (high - low) * 0.06;
            let floor = if low >= 0.0 && low < 0.5 * high {
                0.0
            } else {
                low - margin
            };
            Axis::linear((floor, high + margin), (bottom, top))
        };
        grid(&mut svg, &y, (left, right), 5);
        for tick in x.ticks(4) {
            svg.line((x.at(tick), bottom), (x.at(tick), bottom + 4.0), "axis");
            svg.text(
                x.at(tick),
                bottom + 15.0,
                Anchor::Middle,
                "tick",
                &tick_label(tick),
            );
        }
        svg.line((left, bottom), (right, bottom), "axis");
        let scale = if y.is_logarithmic() {
            "optimizer step; logarithmic scale"
        } else {
            "optimizer step"
        };
        svg.text((left + right) / 2.0, bottom + 29.0, Anchor::Middle, "tick", scale);

        for line in &self.lines {
            let pixels: Vec<(f64, f64)> = line
                .points
                .iter()
                .map(|(step, value)| (x.at(*step), y.at(*value)))
                .collect();
            svg.polyline(&pixels, &format!("s{}", line.colour));
        }
        for (name, colour, at) in self.ends(&y, top, bottom) {
            svg.text(right + 6.0, at + 3.5, Anchor::Start, &format!("f{colour}"), &name);
        }
        svg
    }

    /// Where the names of the arms go: at the ends of their lines, moved apart where they would overlap.
    fn ends(&self, y: &Axis, top: f64, bottom: f64) -> Vec<(String, usize, f64)> {
        let mut ends: Vec<(String, usize, f64)> = Vec::new();
        for line in &self.lines {
            // Several seeds of an arm share a name.
            if let Some(point) = line.points.last()
                && !ends.iter().any(|(name, ..)| *name == line.arm)
            {
                ends.push((line.arm.clone(), line.colour, y.at(point.1)));
            }
        }
        ends.sort_by(|a, b| a.2.total_cmp(&b.2));
        spread(&mut ends, 12.0, top, bottom);
        ends
    }
}

/// Moves labels apart to at least `gap`, within bounds as far as there is room.
fn spread(labels: &mut [(String, usize, f64)], gap: f64, top: f64, bottom: f64) {
    let mut next = top;
    for label in labels.iter_mut() {
        label.2 = label.2.max(next);
        next = label.2 + gap;
    }
    let mut room = bottom;
    for label in labels.iter_mut().rev() {
        label.2 = label.2.min(room);
        room = label.2 - gap;
    }
}

/// All panels in one figure, two in a row.
pub(crate) fn sheet(panels: &[Panel]) -> Option<String> {
    if panels.is_empty() {
        return None;
    }
    let mut svg = Svg::default();
    for (index, panel) in panels.iter().enumerate() {
        svg.place(
            (index % 2) as f64 * WIDTH,
            (index / 2) as f64 * HEIGHT,
            &panel.draw(),
        );
    }
    let columns = panels.len().min(2) as f64;
    Some(svg.standalone(
        columns * WIDTH,
        panels.len().div_ceil(2) as f64 * HEIGHT,
        "learning curves",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_at_line_ends_do_not_overlap() {
        let label = |at: f64| (String::new(), 0, at);
        let mut labels = vec![label(95.0), label(96.0), label(97.0), label(20.0)];
        labels.sort_by(|a, b| a.2.total_cmp(&b.2));
        spread(&mut labels, 12.0, 10.0, 100.0);
        for pair in labels.windows(2) {
            assert!(pair[1].2 - pair[0].2 >= 12.0 - 1e-9, "{labels:?}");
        }
        assert!(
            labels.iter().all(|label| (10.0..=100.0).contains(&label.2)),
            "{labels:?}"
        );
    }

    #[test]
    fn thinning_keeps_the_mean() {
        let points: Vec<(f64, f64)> = (0..900).map(|i| (f64::from(i), f64::from(i % 7))).collect();
        let thinned = thin(points.clone());
        assert_eq!(thinned.len(), 150);
        let mean =
            |points: &[(f64, f64)]| points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        assert!((mean(&thinned) - mean(&points)).abs() < 1e-9);
    }
}
