//! When a transducer emits its labels, beside when they were said.

use sandhi_audio::FbankConfig;
use sandhi_core::{ArcScores, Result};
use sandhi_text::TextFrontend;
use sandhi_transducer::emission_times;

use crate::gold::{seconds_of, words_of};
use crate::utterance::Utterance;

/// Where a word begins or ends, in seconds.
#[derive(Debug)]
struct Boundary {
    /// By the transducer, in the mean over its alignments.
    expected: f64,
    gold: f64,
    /// If all labels lasted equally long.
    even: f64,
}

/// Emission times beside gold word times.
#[derive(Debug, Default)]
pub struct Timing {
    boundaries: Vec<Boundary>,
}

impl Timing {
    /// A word begins with its first label and ends with its last; an utterance without gold times adds nothing.
    ///
    /// # Errors
    ///
    /// If the arcs are of other labels.
    pub fn add(
        &mut self,
        utterances: &[&Utterance],
        arcs: &ArcScores,
        fbank: &FbankConfig,
        frontend: &TextFrontend,
    ) -> Result<()> {
        for (utterance, frames) in utterances.iter().zip(emission_times(arcs)?) {
            let words = words_of(&utterance.labels, frontend);
            if words.len() != utterance.cut.words.len() {
                continue;
            }
            let (begin, end) = match (utterance.cut.words.first(), utterance.cut.words.last()) {
                (Some(first), Some(last)) => (first.start, last.end),
                _ => continue,
            };
            let even = |u: usize| begin + (end - begin) * u as f64 / utterance.labels.len() as f64;
            for (positions, word) in words.into_iter().zip(&utterance.cut.words) {
                let (first, last) = (positions.start, positions.end - 1);
                for (label, gold, even) in [
                    (first, word.start, even(first)),
                    (last, word.end, even(positions.end)),
                ] {
                    let expected = seconds_of(frames[label], fbank);
                    self.boundaries.push(Boundary { expected, gold, even });
                }
            }
        }
        Ok(())
    }

    /// Milliseconds and correlations; nothing without gold times.
    pub fn values(&self) -> Vec<(&'static str, f64)> {
        if self.boundaries.is_empty() {
            return vec![];
        }
        let all = || self.boundaries.iter();
        let mean = |f: &dyn Fn(&Boundary) -> f64| all().map(f).sum::<f64>() / self.boundaries.len() as f64;
        let delay = mean(&|b| b.expected - b.gold);
        let times: Vec<(f64, f64)> = all().map(|b| (b.expected, b.gold)).collect();
        let pace: Vec<(f64, f64)> = all().map(|b| (b.expected - b.even, b.gold - b.even)).collect();
        vec![
            ("error_ms", 1000.0 * mean(&|b| (b.expected - b.gold).abs())),
            ("delay_ms", 1000.0 * delay),
            // What is left when the same delay is taken off every boundary.
            (
                "jitter_ms",
                1000.0 * mean(&|b| (b.expected - b.gold - delay).abs()),
            ),
            ("correlation", correlation(&times)),
            ("pace_correlation", correlation(&pace)),
        ]
    }
}

/// Pearson's; 0 where one side does not vary.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (x, y) = pairs
        .iter()
        .fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for p in pairs {
        let (dx, dy) = (p.0 - x, p.1 - y);
        (xx, yy, xy) = (xx + dx * dx, yy + dy * dy, xy + dx * dy);
    }
    if xx * yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_of_a_line_is_one() {
        let line: Vec<(f64, f64)> = (0..9).map(|i| (f64::from(i), 3.0 - 2.0 * f64::from(i))).collect();
        assert!((correlation(&line) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[(1.0, 2.0), (1.0, 5.0)]), 0.0);
    }
}
