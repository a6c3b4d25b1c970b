use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::read_json_if_present;
use crate::report::alignment::{TimedWord, starts};
use crate::report::axis::Axis;
use crate::report::evidence::Evidence;
use crate::report::spectrogram;
use crate::report::svg::{Anchor, Svg};
use crate::{Error, Result};

/// What an experiment keeps of one utterance in `paths.json`: how far every frame of speech is from every label of text at each
/// level of an encoder, and the alignment found there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerPaths {
    /// The utterance.
    pub id: String,
    /// What was said.
    pub text: String,
    /// The arm.
    pub arm: String,
    /// The labels as strings, U of them.
    pub tokens: Vec<String>,
    /// Seconds per frame.
    pub frame_seconds: f64,
    /// The middle of frame 0, seconds from the start of the utterance. Runs that did not keep it are drawn as if it were half a frame.
    #[serde(default)]
    pub first_frame_seconds: Option<f64>,
    /// Where the words are, by the corpus; may be empty.
    pub words: Vec<TimedWord>,
    /// From the first level to the last.
    pub levels: Vec<Level>,
}

/// One level of [`LayerPaths`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Level {
    /// `[T, U]`.
    pub cost: Vec<Vec<f32>>,
    /// Frame and label of each cell of the alignment, in order.
    pub path: Vec<(usize, usize)>,
}

impl LayerPaths {
    /// The file an experiment writes with [`Run::artifact`](crate::Run::artifact).
    pub const FILE: &'static str = "paths.json";

    /// Reads what a run directory has; `None` if there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(Self::FILE);
        let Some(paths) = read_json_if_present::<Self>(&path)? else {
            return Ok(None);
        };
        let corrupt = |what: String| Error::Corrupt {
            path: path.clone(),
            what,
        };
        let labels = paths.tokens.len();
        for (index, level) in paths.levels.iter().enumerate() {
            let frames = level.cost.len();
            if let Some(row) = level.cost.iter().find(|row| row.len() != labels) {
                let got = row.len();
                return Err(corrupt(format!(
                    "level {index}: expected {labels} labels per frame, got {got}"
                )));
            }
            if let Some((t, u)) = level.path.iter().find(|(t, u)| *t >= frames || *u >= labels) {
                return Err(corrupt(format!(
                    "level {index}: expected a path within {frames} frames and {labels} labels, got ({t}, {u})"
                )));
            }
        }
        Ok(Some(paths))
    }
}

const LEFT: f64 = 14.0;
const SIZE: f64 = 136.0;
const GAP: f64 = 10.0;
const ROW: f64 = SIZE + 38.0;

/// The main arms' costs of one utterance, a row for each arm, a column for each level, with the path over them and words dotted.
/// `None` if no arm has any.
pub(crate) fn sheet(evidence: &Evidence) -> Result<Option<(Svg, f64, f64, String)>> {
    let arms = evidence.arms.iter().filter(|arm| arm.main);
    let found: Vec<&LayerPaths> = arms
        .filter_map(|arm| arm.done.iter().find_map(|run| run.paths.as_ref()))
        .collect();
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let mut svg = Svg::default();
    let mut columns = 0;
    for (row, paths) in found.iter().enumerate() {
        let top = row as f64 * ROW;
        svg.text(LEFT, top + 14.0, Anchor::Start, "title", &paths.arm);
        for (column, level) in paths.levels.iter().enumerate() {
            let left = LEFT + column as f64 * (SIZE + GAP);
            let name = format!("cost-{row}-{column}");
            draw(&mut svg, &name, paths, level, (left, top + 22.0))?;
            let below = top + SIZE + 33.0;
            svg.text(left, below, Anchor::Start, "tick", &format!("level {column}"));
            columns = columns.max(column + 1);
        }
    }
    let (width, height) = (
        2.0 * LEFT + columns as f64 * (SIZE + GAP) - GAP,
        found.len() as f64 * ROW + 6.0,
    );
    Ok(Some((svg, width, height, first.text.clone())))
}

fn draw(svg: &mut Svg, name: &str, paths: &LayerPaths, level: &Level, (left, top): (f64, f64)) -> Result<()> {
    // What is near is bright.
    let near: Vec<Vec<f32>> = level
        .cost
        .iter()
        .map(|row| row.iter().map(|cost| -cost).collect())
        .collect();
    svg.define_image(name, &spectrogram::data_url(&near)?);
    svg.reuse(name, (left, top), (SIZE, SIZE), "");
    let x = Axis::linear((0.0, level.cost.len() as f64), (left, left + SIZE));
    let y = Axis::linear((0.0, paths.tokens.len() as f64), (top + SIZE, top));
    for word in &paths.words {
        let frame = (word.end - starts(paths.first_frame_seconds, paths.frame_seconds)) / paths.frame_seconds;
        let at = x.at(frame).clamp(left, left + SIZE);
        svg.line((at, top), (at, top + SIZE), "gold");
    }
    let middle = |&(t, u): &(usize, usize)| (x.at(t as f64 + 0.5), y.at(u as f64 + 0.5));
    let points: Vec<(f64, f64)> = level.path.iter().map(middle).collect();
    // Light on dark and dark on light alike.
    svg.polyline(&points, "path under");
    svg.polyline(&points, "path");
    Ok(())
}
