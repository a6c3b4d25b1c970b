//! The other reference: an alignment drawn at random.

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Error, Lengths, Pair, Result, pairwise};

use crate::alignment_cost;
use crate::stretched::same_batch;

/// An alignment as [`Moves::EveryLabel`](crate::Moves::EveryLabel) has them, each of the C(T+U−1, U) as likely as any other:
/// the cells `(t, u)`, one per label.
///
/// It is a function of the seed and of the utterance's own T and U alone, so an utterance is aligned the same way in any
/// batch, and two utterances of the same extents are aligned alike.
///
/// # Errors
///
/// [`Error::NoAlignment`] naming the first utterance with labels but no frames; [`Error::BatchSize`] if there are not as
/// many lengths of one as of the other.
///
/// # Proved by
///
/// `random_alignments_are_uniform`, `random_alignment_is_a_function_of_seed_and_extent`.
pub fn random_alignment(seed: u64, frames: &Lengths, labels: &Lengths) -> Result<Vec<Vec<(usize, usize)>>> {
    same_batch(frames, labels)?;
    let lengths = frames.as_slice().iter().zip(labels.as_slice());
    let cells = |(utterance, (&frames, &labels)): (usize, (&usize, &usize))| {
        if frames == 0 && labels > 0 {
            return Err(Error::NoAlignment {
                utterance,
                frames,
                labels,
            });
        }
        Ok(draw(seed, frames, labels))
    };
    lengths.enumerate().map(cells).collect()
}

/// Walks over the frames; at each step the next label is placed, or the next frame begun, in proportion to how many
/// alignments go on from there: as there are labels and steps between frames left.
fn draw(seed: u64, frames: usize, labels: usize) -> Vec<(usize, usize)> {
    let mut state = [frames as u64, labels as u64]
        .iter()
        .fold(seed, |key, &part| mix(key ^ mix(part)));
    let (mut t, mut cells) = (0, Vec::with_capacity(labels));
    while cells.len() < labels {
        let waiting = labels - cells.len();
        let steps = waiting + (frames - 1 - t);
        state = state.wrapping_add(STEP);
        // The high word of a product with a 64-bit draw is uniform below `steps`, to one part in 2^64 / steps.
        let drawn = (u128::from(mix(state)) * steps as u128) >> 64;
        if drawn < waiting as u128 {
            cells.push((t, cells.len()));
        } else {
            t += 1;
        }
    }
    cells
}

/// The step of splitmix64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The output function of splitmix64 (Steele, Lea & Flood 2014).
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The distance of speech and text along a random monotone alignment, as a consistency: what a loss costs, and what a model
/// learns from it, if its alignment knows nothing.
///
/// # Equation
///
/// ```text
/// L(b) = Σ_{(t, u) ∈ a} d(speech(t), text(u)),   a uniform over the alignments of (T_b, U_b), fixed by the seed
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`, summed over the labels.
///
/// # Errors
///
/// As [`random_alignment`] and [`pairwise`].
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `random_alignments_are_uniform`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomAlignment {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// Which alignment. It does not change with the step of a training.
    pub seed: u64,
}

impl Consistency for RandomAlignment {
    fn name(&self) -> &'static str {
        "random-alignment"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        let (frames, labels) = (pair.speech.lengths(), pair.text.lengths());
        alignment_cost(
            &cost,
            frames,
            labels,
            &random_alignment(self.seed, frames, labels)?,
        )
    }
}
