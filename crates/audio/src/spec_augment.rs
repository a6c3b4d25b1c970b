//! Masking stretches of time and bands of frequency.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::Features;

/// How much SpecAugment masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecAugmentConfig {
    /// Stretches of time to mask.
    pub time_masks: usize,
    /// Longest stretch, in feature frames.
    pub max_time: usize,
    /// Longest stretch as a part of the utterance, 0..1: short utterances keep something to recognize.
    pub max_time_fraction: f32,
    /// Bands of mel bins to mask.
    pub freq_masks: usize,
    /// Widest band, in mel bins.
    pub max_freq: usize,
}

/// Sets random stretches of time and bands of frequency to 0, the mean of normalized features.
///
/// A mask has a width drawn uniformly from 0 to its maximum, both included, and a place drawn uniformly from those
/// where it fits. Every mask takes two draws, in a fixed order, from a generator started at `seed`: the draws depend
/// on nothing else. Give each utterance and epoch a seed of its own.
///
/// # Source
///
/// Park et al. 2019, arXiv:1904.08779, without time warping; the fraction is the `p` of its section 2.
///
/// # Proved by
///
/// `spec_augment_masks_stay_within_their_limits`, `spec_augment_is_a_function_of_the_seed`.
pub fn spec_augment(features: &mut Features, config: &SpecAugmentConfig, seed: u64) {
    let (frames, bins) = (features.num_frames, features.num_bins);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let longest = (f64::from(config.max_time_fraction) * frames as f64) as usize;
    for _ in 0..config.time_masks {
        let (start, end) = draw_mask(&mut rng, config.max_time.min(longest), frames);
        features.values[start * bins..end * bins].fill(0.0);
    }
    for _ in 0..config.freq_masks {
        let (start, end) = draw_mask(&mut rng, config.max_freq, bins);
        for frame in features.values.chunks_exact_mut(bins.max(1)) {
            frame[start..end].fill(0.0);
        }
    }
}

/// Start and end of a mask of at most `longest` in `0..extent`.
fn draw_mask(rng: &mut ChaCha8Rng, longest: usize, extent: usize) -> (usize, usize) {
    // Both draws are made whatever the extent, so that no draw depends on an earlier mask.
    let (width, place): (f64, f64) = (rng.random(), rng.random());
    // uniform over 0..=n is ⌊u (n + 1)⌋ for u in [0, 1).
    let uniform = |u: f64, n: usize| ((u * (n as f64 + 1.0)) as usize).min(n);
    let width = uniform(width, longest.min(extent));
    let start = uniform(place, extent - width);
    (start, start + width)
}
