use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::read_json_if_present;
use crate::report::axis::{Axis, tick_label};
use crate::report::curves::COLOURS;
use crate::report::evidence::Evidence;
use crate::report::spectrogram;
use crate::report::svg::{Anchor, Svg};
use crate::{Error, Result};

/// What an experiment keeps of one utterance in `alignment.json`, for the report to draw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Alignment {
    /// The utterance.
    pub id: String,
    /// What was said.
    pub text: String,
    /// The arm.
    pub arm: String,
    /// The reference's labels as strings, U of them.
    pub tokens: Vec<String>,
    /// Seconds per encoder frame.
    pub frame_seconds: f64,
    /// The middle of encoder frame 0, seconds from the start of the utterance. Runs that did not keep it are drawn as if it were half a frame.
    #[serde(default)]
    pub first_frame_seconds: Option<f64>,
    /// Seconds per feature frame.
    pub feature_frame_seconds: f64,
    /// Log-mel features, `[T0, F]`.
    pub mel: Vec<Vec<f32>>,
    /// Label posteriors γ(t, u), `[T, U]`.
    pub gamma: Vec<Vec<f32>>,
    /// Where the words are, by the corpus; may be empty.
    pub words: Vec<TimedWord>,
    /// What was recognized.
    pub hypothesis: String,
}

/// A word and where it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimedWord {
    /// The word.
    pub text: String,
    /// Seconds from the start of the utterance.
    pub start: f64,
    /// Seconds from the start of the utterance.
    pub end: f64,
}

impl Alignment {
    /// The file an experiment writes with [`Run::artifact`](crate::Run::artifact).
    pub const FILE: &'static str = "alignment.json";

    /// Reads the alignment of a run directory; `None` if there is none.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(Self::FILE);
        let Some(alignment) = read_json_if_present::<Self>(&path)? else {
            return Ok(None);
        };
        let corrupt = |what: String| Error::Corrupt {
            path: path.clone(),
            what,
        };
        let tokens = alignment.tokens.len();
        if let Some(row) = alignment.gamma.iter().find(|row| row.len() != tokens) {
            return Err(corrupt(format!(
                "gamma: expected {tokens} labels per frame, got {}",
                row.len()
            )));
        }
        if alignment.gamma.iter().flatten().any(|value| !value.is_finite()) {
            return Err(corrupt("gamma: a value is not finite".to_owned()));
        }
        if !(alignment.frame_seconds > 0.0 && alignment.feature_frame_seconds > 0.0) {
            return Err(corrupt("frame_seconds: expected a positive number".to_owned()));
        }
        Ok(Some(alignment))
    }

    fn seconds(&self) -> f64 {
        let features = self.mel.len() as f64 * self.feature_frame_seconds;
        features.max(self.gamma.len() as f64 * self.frame_seconds)
    }
}

/// One utterance: its spectrogram and words, and below it how each arm aligns its labels.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) text: String,
    /// Arm, and what it recognized.
    pub(crate) hypotheses: Vec<(String, String)>,
    pub(crate) svg: Svg,
    pub(crate) height: f64,
}

/// Width of a figure.
pub(crate) const WIDTH: f64 = 760.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = WIDTH - 14.0;
const SPECTROGRAM: f64 = 96.0;

/// A figure per utterance that any arm kept, the lowest seed of each arm.
pub(crate) fn figures(evidence: &Evidence) -> Result<Vec<Figure>> {
    let mut utterances: Vec<(&str, Vec<(usize, &Alignment)>)> = Vec::new();
    for (index, arm) in evidence.arms.iter().enumerate().filter(|(_, arm)| arm.main) {
        if let Some(alignment) = arm.done.iter().find_map(|run| run.alignment.as_ref()) {
            match utterances.iter_mut().find(|(id, _)| *id == alignment.id) {
                Some((_, arms)) => arms.push((index, alignment)),
                None => utterances.push((&alignment.id, vec![(index, alignment)])),
            }
        }
    }
    utterances.into_iter().map(|(_, arms)| figure(&arms)).collect()
}

fn figure(arms: &[(usize, &Alignment)]) -> Result<Figure> {
    let (_, first) = arms[0];
    let time = Axis::linear((0.0, first.seconds()), (LEFT, RIGHT));
    let top = 24.0;
    let mut y = top + SPECTROGRAM;
    let mut svg = Svg::default();
    let width = time.at(first.mel.len() as f64 * first.feature_frame_seconds) - LEFT;
    // One picture, drawn once and stretched under the posteriors of every arm.
    let name = format!("spectrogram-{}", identifier(&first.id));
    svg.define_image(&name, &spectrogram::data_url(&first.mel)?);
    svg.reuse(&name, (LEFT, top), (width, SPECTROGRAM), "");
    svg.text(LEFT - 8.0, top + 12.0, Anchor::End, "tick", "log-mel");
    for (index, alignment) in arms {
        svg.text(
            2.0,
            y + 22.0,
            Anchor::Start,
            &format!("title f{}", index % COLOURS),
            &alignment.arm,
        );
        let height = row_height(alignment) * alignment.tokens.len() as f64;
        svg.reuse(&name, (LEFT, y + 28.0), (width, height), "ghost");
        posteriors(&mut svg, &time, y + 28.0, index % COLOURS, alignment);
        y += 28.0 + height;
    }
    for (place, word) in first.words.iter().enumerate() {
        let (from, to) = (time.at(word.start), time.at(word.end));
        svg.line((from, top - 4.0), (from, y), "gold");
        if first
            .words
            .get(place + 1)
            .is_none_or(|next| next.start > word.end + 0.005)
        {
            svg.line((to, top - 4.0), (to, y), "gold");
        }
        svg.text((from + to) / 2.0, top - 8.0, Anchor::Middle, "", &word.text);
    }
    svg.line((LEFT, y), (RIGHT, y), "axis");
    for tick in time.ticks(8) {
        svg.line((time.at(tick), y), (time.at(tick), y + 4.0), "axis");
        svg.text(time.at(tick), y + 15.0, Anchor::Middle, "tick", &tick_label(tick));
    }
    svg.text((LEFT + RIGHT) / 2.0, y + 29.0, Anchor::Middle, "tick", "seconds");
    let hypotheses = arms
        .iter()
        .map(|(_, alignment)| (alignment.arm.clone(), alignment.hypothesis.clone()));
    Ok(Figure {
        text: first.text.clone(),
        hypotheses: hypotheses.collect(),
        svg,
        height: y + 36.0,
    })
}

/// Where frame 0 is drawn from: half a frame before its middle.
pub(crate) fn starts(first_frame_seconds: Option<f64>, frame_seconds: f64) -> f64 {
    first_frame_seconds.map_or(0.0, |middle| middle - frame_seconds / 2.0)
}

/// Long utterances get thin rows, short ones rows that can be read.
fn row_height(alignment: &Alignment) -> f64 {
    (280.0 / alignment.tokens.len().max(1) as f64).clamp(4.0, 15.0)
}

/// Draws γ(t, u): a row per label, the first on top, each cell the stronger the likelier.
fn posteriors(svg: &mut Svg, time: &Axis, top: f64, colour: usize, alignment: &Alignment) {
    let row = row_height(alignment);
    let width = time.at(alignment.frame_seconds) - time.at(0.0);
    let first = starts(alignment.first_frame_seconds, alignment.frame_seconds);
    for (u, token) in alignment.tokens.iter().enumerate() {
        let y = top + u as f64 * row;
        if row >= 7.5 {
            svg.text(
                LEFT - 8.0,
                y + row / 2.0 + 3.2,
                Anchor::End,
                "small soft",
                &visible(token),
            );
        }
        for (t, frame) in alignment.gamma.iter().enumerate() {
            let gamma = f64::from(frame[u]);
            if gamma >= 0.02 {
                let x = time.at(first + t as f64 * alignment.frame_seconds);
                // The root lifts what is spread over many frames; whole certainty stays whole.
                svg.cell(x, y, width, row, &format!("f{colour}"), gamma.min(1.0).sqrt());
            }
        }
    }
}

/// A name that may stand in an attribute.
fn identifier(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character
            } else {
                '-'
            }
        })
        .collect()
}

/// A token one can see: spaces and the marks of subwords as an open box.
fn visible(token: &str) -> String {
    let shown = token.replace([' ', '\u{2581}', '\u{0120}'], "\u{2423}");
    shown.chars().take(10).collect()
}
