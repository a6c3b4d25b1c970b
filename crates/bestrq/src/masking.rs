//! Hiding stretches of the features from the encoder.

use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sandhi_core::{Error, Lengths, Padded, Result, host};
use sandhi_nn::random::key;
use serde::{Deserialize, Serialize};

use crate::Stacking;
use crate::quantizer::check_dtype;

/// How much is masked, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskConfig {
    /// Probability with which a feature frame starts a span, 0..=1.
    pub probability: f64,
    /// Length of a span in feature frames, at least 1. Spans may overlap, and the last ones end with the utterance.
    pub span: usize,
    /// Standard deviation of the noise that takes the place of masked features.
    pub noise_std: f64,
}

impl MaskConfig {
    /// The paper's: 1 % of the feature frames start a span of 400 ms, replaced by noise of standard deviation 0.1.
    pub const PAPER: Self = Self {
        probability: 0.01,
        span: 40,
        noise_std: 0.1,
    };

    /// Checks the ranges, for configurations that come from a user.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] naming the field.
    pub fn check(&self) -> Result<()> {
        let wrong = if !(0.0..=1.0).contains(&self.probability) {
            format!("expected a probability in 0..=1, got {}", self.probability)
        } else if self.span == 0 {
            "expected a span of at least 1, got 0".into()
        } else if !(self.noise_std.is_finite() && self.noise_std >= 0.0) {
            format!(
                "expected noise with a finite standard deviation, got {}",
                self.noise_std
            )
        } else {
            return Ok(());
        };
        Err(Error::Invalid {
            what: "mask",
            why: wrong,
        })
    }
}

/// Features with stretches replaced by noise, and the encoder frames whose targets were hidden by it.
#[derive(Clone, Debug)]
pub struct MaskedFeatures {
    /// What the encoder gets to see, `[B, T0, F]`.
    pub features: Padded,
    /// For each utterance and encoder frame, whether it is to be predicted.
    pub frames: Vec<Vec<bool>>,
}

/// Replaces random spans of features by noise.
///
/// An encoder frame counts as masked if *all* feature frames of its target are: then nothing of the target is visible, and
/// it can only be predicted from its neighbors. A target that is hidden in part is not predicted at all.
///
/// The result for an utterance is a function of its seed, its features and the configuration: neither its place in the
/// batch nor the padding plays a part. Give each utterance and epoch a seed of its own.
///
/// It may happen, most of all with short utterances, that no frame of a batch is masked. That is no error: the loss is then
/// 0 with gradient 0 and counts no frames, see [`MaskedLoss`](crate::MaskedLoss).
///
/// # Equation
///
/// ```text
/// s(i) ∼ Bernoulli(p)        feature frame i is masked:   ∃ j: s(j) = 1, j ≤ i < j + span
/// share of masked feature frames            1 − (1 − p)^span
/// share of masked encoder frames            1 − (1 − p)^span · (1 + (stack − 1) p),   stack ≤ span + 1
/// ```
///
/// Both shares hold from feature frame `span − 1` on; before it fewer spans reach.
///
/// # Shapes
///
/// * `features`: `[B, T0, F]`, f32. Padding is copied as it is.
/// * `frames`: the number of encoder frames of each utterance.
/// * `seeds`: one for each utterance.
///
/// # Errors
///
/// [`Error::Invalid`] if the configuration is out of range or the features are not f32; [`Error::BatchSize`] if there is
/// not one seed or one number of frames for each utterance; [`Error::TooShort`] if the features do not reach to the end of
/// the last target.
///
/// # Source
///
/// Chiu et al. 2022, arXiv:2202.01855, section 3 (spans and noise). Which encoder frames count is ours.
///
/// # Proved by
///
/// `mask_hides_the_expected_share`, `mask_is_a_function_of_the_seed`, `mask_changes_nothing_but_its_spans`,
/// `mask_counts_frames_that_are_hidden_entirely`, `mask_copies_padding`.
pub fn mask(
    features: &Padded,
    frames: &Lengths,
    stacking: &Stacking,
    config: &MaskConfig,
    seeds: &[u64],
) -> Result<MaskedFeatures> {
    config.check()?;
    check_dtype(features)?;
    stacking.check_fits(features.lengths(), frames)?;
    let (batch, extent, bins) = features.dims();
    if seeds.len() != batch {
        return Err(Error::BatchSize {
            what: "mask seeds",
            expected: batch,
            got: seeds.len(),
        });
    }
    let mut values = host::read(features.values(), |values: &[f32]| values.to_vec())?;
    let hidden: Vec<Vec<bool>> = features
        .lengths()
        .as_slice()
        .par_iter()
        .zip(seeds)
        .map(|(&n, &seed)| hidden_frames(n, config, seed))
        .collect();
    // Features of no width or extent have no values to replace, and chunks need a size.
    values
        .par_chunks_mut((extent * bins).max(1))
        .zip(&hidden)
        .zip(seeds)
        .for_each(|((values, hidden), &seed)| put_noise(values, hidden, bins, config.noise_std, seed));
    let masked = |(hidden, &n): (&Vec<bool>, &usize)| {
        let all = |t| hidden[stacking.range(t)].iter().all(|&hidden| hidden);
        (0..n).map(all).collect()
    };
    let frames = hidden.iter().zip(frames.as_slice()).map(masked).collect();
    let values = Tensor::from_vec(values, features.values().shape(), features.values().device())?;
    Ok(MaskedFeatures {
        features: features.with_values(values)?,
        frames,
    })
}

/// Which of `n` feature frames lie in a span.
fn hidden_frames(n: usize, config: &MaskConfig, seed: u64) -> Vec<bool> {
    let mut starts = ChaCha8Rng::seed_from_u64(key(seed, "bestrq.spans"));
    let mut left = 0usize;
    let mut next = || {
        // Every frame takes a draw, masked already or not: overlapping spans are drawn as the formula has it.
        let begins = starts.random::<f64>() < config.probability;
        left = if begins {
            config.span
        } else {
            left.saturating_sub(1)
        };
        left > 0
    };
    (0..n).map(|_| next()).collect()
}

/// Puts noise in the place of the hidden frames.
fn put_noise(values: &mut [f32], hidden: &[bool], bins: usize, std: f64, seed: u64) {
    let mut noise = Normal {
        rng: ChaCha8Rng::seed_from_u64(key(seed, "bestrq.noise")),
        second: None,
    };
    for (i, _) in hidden.iter().enumerate().filter(|&(_, &hidden)| hidden) {
        for value in &mut values[i * bins..][..bins] {
            *value = (std * noise.draw()) as f32;
        }
    }
}

/// Standard normal draws by Box and Muller's transform, which makes two at a time.
struct Normal {
    rng: ChaCha8Rng,
    second: Option<f64>,
}

impl Normal {
    fn draw(&mut self) -> f64 {
        if let Some(second) = self.second.take() {
            return second;
        }
        let (u, v): (f64, f64) = (1.0 - self.rng.random::<f64>(), self.rng.random());
        let (radius, (sin, cos)) = ((-2.0 * u.ln()).sqrt(), (std::f64::consts::TAU * v).sin_cos());
        self.second = Some(radius * sin);
        radius * cos
    }
}
