//! The baseline: an alignment fixed beforehand, by repeating every label.

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Error, Pair, Result, pairwise};

use crate::alignment_cost;

/// The distance of speech to text that was upsampled by repetition, compared frame by frame, as a consistency.
///
/// Label u covers the frames `u·repeat .. (u+1)·repeat`, and the frames of speech are compared one to one with those of the
/// upsampled text. Nothing is learned and nothing is searched: the text may meet silence, or another label's frames. That
/// is the point of the baseline.
///
/// **Unequal lengths**: the `min(T, U·repeat)` leading frames are compared and the rest is left unmatched, on either side.
/// A fixed repetition does not know the true length, and a frame-wise loss over padded tensors does just this. Stretching
/// the text to exactly T frames would hand the baseline each utterance's speaking rate, which is what a duration model
/// has to earn; so it is not done here. The loss is summed over the compared frames, not averaged; an utterance with no
/// frames or no labels costs 0.
///
/// # Equation
///
/// ```text
/// L(b) = Σ_{t < min(T_b, U_b·repeat)} d(speech(t), text(⌊t / repeat⌋))
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`.
///
/// # Errors
///
/// [`Error::Invalid`] if `repeat` is 0; otherwise as [`pairwise`].
///
/// # Source
///
/// Sainath et al. 2022, "JOIST", arXiv:2210.07353, for upsampling by fixed repetition.
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `upsampled_text_with_itself_is_free`, `upsampled_equals_the_sum_over_frames`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upsampled {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// Frames per label, at least 1.
    pub repeat: usize,
}

impl Consistency for Upsampled {
    fn name(&self) -> &'static str {
        "upsampled"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let repeat = self.repeat;
        if repeat == 0 {
            return Err(Error::Invalid {
                what: "upsampled",
                why: "expected a repeat of at least 1, got 0".into(),
            });
        }
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        let (frames, labels) = (pair.speech.lengths(), pair.text.lengths());
        let cells = |(&frames, &labels): (&usize, &usize)| {
            (0..frames.min(labels * repeat))
                .map(|t| (t, t / repeat))
                .collect()
        };
        let lengths = frames.as_slice().iter().zip(labels.as_slice());
        alignment_cost(&cost, frames, labels, &lengths.map(cells).collect::<Vec<_>>())
    }
}
