//! The frame-wise reference: labels stretched to the length of the speech.

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Error, Lengths, Pair, Result, pairwise};

use crate::alignment_cost;

/// Frame t meets label ⌊t U / T⌋: the cells `(t, ⌊t U / T⌋)` of each utterance, one per frame.
///
/// Every label gets T / U frames, to within one; with fewer frames than labels some labels are passed over. An utterance
/// without frames or without labels has no cells.
///
/// # Errors
///
/// [`Error::BatchSize`] if there are not as many lengths of one as of the other.
///
/// # Proved by
///
/// `stretched_alignment_equals_its_formula`.
pub fn stretched_alignment(frames: &Lengths, labels: &Lengths) -> Result<Vec<Vec<(usize, usize)>>> {
    same_batch(frames, labels)?;
    let cells = |(&frames, &labels): (&usize, &usize)| match labels {
        0 => Vec::new(),
        _ => (0..frames).map(|t| (t, t * labels / frames)).collect(),
    };
    let lengths = frames.as_slice().iter().zip(labels.as_slice());
    Ok(lengths.map(cells).collect())
}

/// That frames and labels are of the same number of utterances.
pub(crate) fn same_batch(frames: &Lengths, labels: &Lengths) -> Result<()> {
    if frames.len() == labels.len() {
        return Ok(());
    }
    Err(Error::BatchSize {
        what: "labels",
        expected: frames.len(),
        got: labels.len(),
    })
}

/// The distance of speech to text that was stretched to its length, compared frame by frame, as a consistency.
///
/// The reference that an alignment has to beat: it knows each utterance's speaking rate, and nothing of where in the
/// utterance anything was said. Like [`Upsampled`](crate::Upsampled) it is summed over frames, so it grows with the speech
/// where the label moves grow with the text; an utterance without frames or without labels costs 0.
///
/// # Equation
///
/// ```text
/// L(b) = Σ_{t < T_b} d(speech(t), text(⌊t U_b / T_b⌋))
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`.
///
/// # Errors
///
/// As [`pairwise`].
///
/// # Source
///
/// The frame-wise comparison that Peyser et al. 2023, arXiv:2308.06125, set their best alignment against.
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `stretched_alignment_equals_its_formula`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretched {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
}

impl Consistency for Stretched {
    fn name(&self) -> &'static str {
        "stretched"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        let (frames, labels) = (pair.speech.lengths(), pair.text.lengths());
        alignment_cost(&cost, frames, labels, &stretched_alignment(frames, labels)?)
    }
}
