//! Text embeddings stretched to the rate of speech, and refined there.

use candle_core::Tensor;
use sandhi_conformer::{Conformer, ConformerConfig};
use sandhi_core::{Error, Lengths, Padded, Result};
use sandhi_nn::{Embedding, Mode, Params, ops};

use crate::DurationPredictor;

/// Frames of a label that are told apart by their position in it; all later ones count as the last.
const POSITIONS: usize = 16;

/// A duration predictor, repetition of each label's embedding with a mark of the position within the label, and blocks that
/// smooth what was repeated.
///
/// # Source
///
/// Chen et al. 2022, MAESTRO, arXiv:2204.03409: resampling by durations with positional embeddings, a refiner, a duration
/// model. Their layers are lightweight convolutions and self-attention; here the refiner is made of Conformer blocks.
#[derive(Clone, Debug)]
pub struct Resampler {
    durations: DurationPredictor,
    positions: Embedding,
    refiner: Conformer,
}

impl Resampler {
    /// For embeddings of the blocks' width, with `blocks` blocks of refinement.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(block: &ConformerConfig, blocks: usize, params: &Params) -> Result<Self> {
        Ok(Self {
            durations: DurationPredictor::new(block.dim, &params.scope("durations"))?,
            positions: Embedding::new(POSITIONS, block.dim, &params.scope("positions"))?,
            refiner: Conformer::new(block, blocks, &params.scope("refiner"))?,
        })
    }

    /// What durations it predicts.
    pub fn durations(&self) -> &DurationPredictor {
        &self.durations
    }

    /// `[B, U, D]` to `[B, T, D]`: embedding u for as many frames as its duration says, refined.
    ///
    /// # Equation
    ///
    /// ```text
    /// x_t = e_u + p_i,  t the i-th frame of label u        y = refine(x)
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BatchSize`] or [`Error::Length`] unless there is one duration for each label.
    ///
    /// # Proved by
    ///
    /// `resampler_repeats_by_durations`, `resampler_batch_equals_its_utterances`, `resampler_reaches_text_and_positions`.
    pub fn resample(&self, text: &Padded, durations: &[Vec<usize>], mode: Mode) -> Result<Padded> {
        let (batch, extent, dim) = text.dims();
        if durations.len() != batch {
            return Err(Error::BatchSize {
                what: "durations",
                expected: batch,
                got: durations.len(),
            });
        }
        let (mut labels, mut positions) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        for (b, durations) in durations.iter().enumerate() {
            let (length, max) = (durations.len(), text.lengths().get(b));
            if length != max {
                return Err(Error::Length {
                    what: "durations",
                    utterance: b,
                    length,
                    max,
                });
            }
            let frames = durations.iter().enumerate();
            let frames = frames.flat_map(|(u, &n)| (0..n).map(move |i| (u, i.min(POSITIONS - 1))));
            let (of, at): (Vec<u32>, Vec<u32>) =
                frames.map(|(u, i)| ((b * extent + u) as u32, i as u32)).unzip();
            labels.push(of);
            positions.push(at);
        }
        let lengths = Lengths::new(labels.iter().map(Vec::len).collect());
        // What is picked in the padding is not read by the refiner, but has to exist.
        for row in labels.iter_mut().chain(&mut positions) {
            row.resize(lengths.max(), 0);
        }
        let flat = ops::zero_padding(text.values(), text.lengths())?.reshape((batch * extent, dim))?;
        let stretched: Tensor = (ops::embedding(&flat, &labels)? + self.positions.lookup(&positions)?)?;
        self.refiner.encode(&Padded::new(stretched, lengths)?, mode)
    }
}
