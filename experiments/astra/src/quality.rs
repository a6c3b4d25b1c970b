//! What error rates do not show: whether the alignment is right, whether the two sides meet, whether they collapse.

use anyhow::Result;
use candle_core::{Device, Tensor};
use sandhi_core::{ArcScores, Labels, Padded};
use sandhi_lab::Run;
use sandhi_nn::Mode;
use sandhi_transducer::emission_times;

use crate::config::Config;
use crate::data::{Data, Utterance};
use crate::evaluate::batches;
use crate::network::Network;
use crate::objective::lattice;

/// Looks at the encoders and at the alignment on the dev set, and logs what it sees: phases `alignment` and `encoders`.
pub(crate) fn look(config: &Config, network: &Network, data: &Data, step: u64, run: &mut Run) -> Result<()> {
    let (mut timing, mut speech_cloud, mut text_cloud) =
        (Timing::default(), Cloud::default(), Cloud::default());
    let (mut speech_means, mut text_means) = (vec![], vec![]);
    for batch in batches(config, &data.dev) {
        let utterances: Vec<&Utterance> = batch.iter().map(|&i| &data.dev[i]).collect();
        let rows: Vec<Vec<f32>> = utterances.iter().map(|u| u.features[0].values.clone()).collect();
        let features = Padded::from_rows(&rows, config.fbank.num_bins, &Device::Cpu)?;
        let labels = utterances.iter().map(|u| u.labels.clone()).collect();
        let labels = Labels::new(labels, network.joint.blank())?;
        let speech = network.joint.encode_speech(&features, Mode::Eval)?.detach();
        let shared = network.joint.share(&speech, Mode::Eval)?.detach();
        let arcs = lattice(&network.joint, &shared, &labels, Mode::Eval)?.detach();
        timing.add(config, data, &utterances, &arcs)?;
        speech_means.extend(speech_cloud.add(&speech)?);
        if config.uses_text() {
            let text = network
                .upsampler
                .paired(&network.joint, &labels, &arcs, Mode::Eval)?
                .text;
            text_means.extend(text_cloud.add(&text)?);
        }
    }
    let seen = timing.values();
    if !seen.is_empty() {
        run.log(step, "alignment", &seen)?;
    }
    let mut seen = vec![
        ("speech_variance", speech_cloud.variance()),
        ("speech_rank", speech_cloud.effective_rank()),
    ];
    if config.uses_text() {
        seen.extend([
            ("text_variance", text_cloud.variance()),
            ("text_rank", text_cloud.effective_rank()),
            ("retrieval", retrieval(&speech_means, &text_means)),
        ]);
    }
    Ok(run.log(step, "encoders", &seen)?)
}

/// Where a word begins or ends, in seconds.
struct Boundary {
    /// By the transducer, in the mean over its alignments.
    expected: f64,
    gold: f64,
    /// If all labels lasted equally long.
    even: f64,
}

/// Emission times beside gold word times.
#[derive(Default)]
struct Timing {
    boundaries: Vec<Boundary>,
}

impl Timing {
    /// A word begins with its first label and ends with its last; an utterance without gold times adds nothing.
    fn add(
        &mut self,
        config: &Config,
        data: &Data,
        utterances: &[&Utterance],
        arcs: &ArcScores,
    ) -> Result<()> {
        let shift = config.fbank.shift_ms / 1000.0;
        // The middle of the seven feature frames that an encoder frame sees, and of the window of the middle one.
        let seconds = |frame: f64| (4.0 * frame + 3.0) * shift + config.fbank.window_ms / 2000.0;
        for (utterance, frames) in utterances.iter().zip(emission_times(arcs)?) {
            let words = word_labels(data, &utterance.labels);
            if words.len() != utterance.cut.words.len() {
                continue;
            }
            let (begin, end) = match (utterance.cut.words.first(), utterance.cut.words.last()) {
                (Some(first), Some(last)) => (first.start, last.end),
                _ => continue,
            };
            let even = |u: usize| begin + (end - begin) * u as f64 / utterance.labels.len() as f64;
            for ((first, last), word) in words.into_iter().zip(&utterance.cut.words) {
                for (label, gold, even) in
                    [(first, word.start, even(first)), (last, word.end, even(last + 1))]
                {
                    let expected = seconds(frames[label]);
                    self.boundaries.push(Boundary { expected, gold, even });
                }
            }
        }
        Ok(())
    }

    /// Milliseconds and correlations; nothing without gold times.
    fn values(&self) -> Vec<(&'static str, f64)> {
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

/// The first and the last label of every word.
fn word_labels(data: &Data, labels: &[u32]) -> Vec<(usize, usize)> {
    let space = |label: &u32| data.frontend.token(*label) == Some(" ");
    let mut words = vec![];
    let mut start = 0;
    for word in labels.split(space) {
        if !word.is_empty() {
            words.push((start, start + word.len() - 1));
        }
        start += word.len() + 1;
    }
    words
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

/// Mean and covariance of vectors.
#[derive(Default)]
struct Cloud {
    count: f64,
    sum: Vec<f64>,
    /// Σ x xᵀ, `[D, D]`.
    products: Vec<f64>,
}

impl Cloud {
    /// Adds every frame; returns the mean of each utterance.
    fn add(&mut self, x: &Padded) -> Result<Vec<Vec<f64>>> {
        let (batch, _, dim) = x.dims();
        self.sum.resize(dim, 0.0);
        if self.products.is_empty() {
            self.products.resize(dim * dim, 0.0);
        }
        let mut means = Vec::with_capacity(batch);
        for b in 0..batch {
            let frames: Tensor = x.values().get(b)?.narrow(0, 0, x.lengths().get(b))?;
            let rows = frames.to_dtype(candle_core::DType::F64)?.to_vec2::<f64>()?;
            let mut mean = vec![0.0; dim];
            for row in &rows {
                for (i, &value) in row.iter().enumerate() {
                    mean[i] += value / rows.len() as f64;
                    self.sum[i] += value;
                    let products = &mut self.products[i * dim..][..dim];
                    for (product, &other) in products.iter_mut().zip(row) {
                        *product += value * other;
                    }
                }
            }
            self.count += rows.len() as f64;
            means.push(mean);
        }
        Ok(means)
    }

    fn covariance(&self) -> Vec<f64> {
        let dim = self.sum.len();
        let mean = |i: usize| self.sum[i] / self.count;
        let at = |i: usize| self.products[i] / self.count - mean(i / dim) * mean(i % dim);
        (0..dim * dim).map(at).collect()
    }

    /// The mean over the components.
    fn variance(&self) -> f64 {
        let (dim, covariance) = (self.sum.len(), self.covariance());
        (0..dim).map(|i| covariance[i * dim + i]).sum::<f64>() / dim as f64
    }

    /// The participation ratio of the covariance's eigenvalues, (Σ λ)² / Σ λ²: D if all directions vary alike, 1 if one does.
    fn effective_rank(&self) -> f64 {
        let dim = self.sum.len();
        let covariance = self.covariance();
        let trace: f64 = (0..dim).map(|i| covariance[i * dim + i]).sum();
        trace * trace / covariance.iter().map(|c| c * c).sum::<f64>()
    }
}

/// In how many percent of the utterances the mean of the speech is nearer to its own text's mean than to any other's, by
/// the cosine.
fn retrieval(speech: &[Vec<f64>], text: &[Vec<f64>]) -> f64 {
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    // The norm of the query is the same for all candidates.
    let near = |query: &[f64], candidate: &[f64]| dot(query, candidate) / dot(candidate, candidate).sqrt();
    let found = speech.iter().enumerate().filter(|(i, query)| {
        let own = near(query, &text[*i]);
        text.iter()
            .enumerate()
            .all(|(j, other)| j == *i || near(query, other) < own)
    });
    100.0 * found.count() as f64 / speech.len() as f64
}

#[cfg(test)]
mod tests {
    use sandhi_core::Lengths;

    use super::*;

    #[test]
    fn correlation_of_a_line_is_one() {
        let line: Vec<(f64, f64)> = (0..9).map(|i| (f64::from(i), 3.0 - 2.0 * f64::from(i))).collect();
        assert!((correlation(&line) + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[(1.0, 2.0), (1.0, 5.0)]), 0.0);
    }

    #[test]
    fn cloud_knows_its_variance_and_its_rank() {
        // Corners of a box with half sides 2 and 1 about (5, −3): variances 4 and 1; padding is not read.
        let rows = [
            7f32,
            -2.0,
            3.0,
            -2.0,
            f32::NAN,
            f32::NAN,
            7.0,
            -4.0,
            3.0,
            -4.0,
            7.0,
            -2.0,
        ];
        let x = Tensor::from_slice(&rows, (2, 3, 2), &Device::Cpu).unwrap();
        let mut cloud = Cloud::default();
        let means = cloud
            .add(&Padded::new(x, Lengths::new(vec![2, 2])).unwrap())
            .unwrap();
        assert_eq!(means, [[5.0, -2.0], [5.0, -4.0]]);
        assert!((cloud.variance() - 2.5).abs() < 1e-12);
        assert!((cloud.effective_rank() - 25.0 / 17.0).abs() < 1e-12);
    }

    #[test]
    fn retrieval_counts_utterances_whose_text_is_nearest() {
        let text = vec![vec![1.0, 0.0], vec![0.0, 3.0], vec![2.0, 2.0]];
        assert_eq!(
            retrieval(&[vec![2.0, 0.1], vec![0.1, 1.0], vec![1.0, 1.0]], &text),
            100.0
        );
        assert_eq!(
            retrieval(&[vec![0.1, 1.0], vec![0.1, 1.0], vec![1.0, 1.0]], &text),
            100.0 * 2.0 / 3.0
        );
        // A collapsed text encoder finds nothing.
        assert_eq!(
            retrieval(&text, &[vec![1.0, 1.0], vec![1.0, 1.0], vec![1.0, 1.0]]),
            0.0
        );
    }
}
