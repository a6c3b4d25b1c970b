//! What a step needs of memory: predicted from its extents before anything is allocated.
//!
//! What a block keeps was measured (`--check-memory`); the other coefficients are counted from what the layers keep.

use std::fmt;

use anyhow::{Context, Result};
use sandhi_conformer::ConformerConfig;
use sandhi_core::check_memory;

/// Bytes of a value.
const VALUE: usize = 4;
/// Values a parameter costs: itself, its gradient in the graph and summed up, two moments, the average, the best.
const PER_PARAMETER: usize = 7;
/// How many of these a process has before its first step: the parameter, its summed gradient, two moments, the average.
const HELD_PER_PARAMETER: usize = 5;
/// Values a frame costs in a block, per channel: what the backward pass keeps, and the gradients in flight. 35 were measured
/// with twelve blocks of width 256 on 16 utterances.
const PER_CHANNEL: usize = 40;
/// The same of a block that is computed again: its input, its output, and the gradient of either.
const PER_CHANNEL_AGAIN: usize = 4;
/// Values a pair of frames costs in a block, per head: weights of attention, and their gradient.
const PER_PAIR: usize = 4;
/// Values an encoder frame costs in the subsampling, per channel and bin: two convolutions over four feature frames.
const PER_BIN: usize = 8;
/// Values a node of the lattice costs: scores, transitions, posteriors, their gradients, costs.
const PER_NODE: usize = 32;

fn mib(values: usize) -> f64 {
    (values * VALUE) as f64 / f64::from(1 << 20)
}

/// The padded extents of one side of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Utterances or sentences.
    pub rows: usize,
    /// Positions in the shared encoder.
    pub frames: usize,
    /// Labels.
    pub labels: usize,
}

/// What of a model decides how much memory a batch needs.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Values of all parameters.
    pub parameters: usize,
    /// The block of all encoders.
    pub block: ConformerConfig,
    /// Channels of the subsampling.
    pub channels: usize,
    /// Mel bins.
    pub num_bins: usize,
    /// Blocks that speech goes through.
    pub speech_blocks: usize,
    /// Blocks that unpaired text goes through.
    pub text_blocks: usize,
    /// Blocks that the text of the transcripts goes through.
    pub transcript_blocks: usize,
    /// Positions that a label of text has in the encoders.
    pub positions: usize,
    /// Lattices over the same frames and labels.
    pub lattices: usize,
}

impl Sizes {
    /// The prediction for a batch of paired speech and of text.
    pub fn need(&self, index: u64, speech: Extent, text: Extent) -> Need {
        let block = |extent: Extent, blocks: usize| {
            let one = PER_CHANNEL * self.block.dim + PER_PAIR * self.block.heads * extent.frames;
            let all = if self.block.recompute {
                // One at a time has all of it.
                blocks * PER_CHANNEL_AGAIN * self.block.dim + one * blocks.min(1)
            } else {
                blocks * one
            };
            extent.rows * extent.frames * all
        };
        let nodes =
            |extent: Extent| self.lattices * extent.rows * extent.frames * (extent.labels + 1) * PER_NODE;
        let bins = speech.rows * speech.frames * self.channels * self.num_bins * PER_BIN;
        let transcripts = Extent {
            frames: speech.labels * self.positions,
            ..speech
        };
        let side = |extent: Extent| format!("{} x {} frames", extent.rows, extent.frames);
        let parameters = self.parameters;
        let terms = vec![
            (format!("{parameters} parameters"), parameters * PER_PARAMETER),
            (format!("subsampling to {}", side(speech)), bins),
            (
                format!("speech blocks on {}", side(speech)),
                block(speech, self.speech_blocks),
            ),
            (
                format!("text blocks on {}", side(text)),
                block(text, self.text_blocks) + block(transcripts, self.transcript_blocks),
            ),
            (
                format!("lattices with {} and {} labels", speech.labels, text.labels),
                nodes(speech) + nodes(text),
            ),
        ];
        Need { index, terms }
    }

    /// MiB that a process has before its first step.
    pub(crate) fn held_mib(&self) -> f64 {
        mib(self.parameters * HELD_PER_PARAMETER)
    }
}

/// What a batch needs, with the arithmetic.
#[derive(Clone, Debug)]
pub struct Need {
    /// Which batch, counted from 1.
    pub index: u64,
    terms: Vec<(String, usize)>,
}

impl Need {
    /// All of it.
    pub fn bytes(&self) -> usize {
        self.terms.iter().map(|(_, values)| values * VALUE).sum()
    }

    pub(crate) fn mib(&self) -> f64 {
        mib(self.bytes() / VALUE)
    }

    /// Refuses what is not there.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Memory`], with the arithmetic.
    pub fn check(&self) -> Result<()> {
        check_memory("largest batch", &[("values", self.bytes() / VALUE)], VALUE)
            .with_context(|| format!("{self}; lower budget.max_frames, budget.max_cells or text_batch"))
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms: Vec<String> = self
            .terms
            .iter()
            .map(|(what, values)| format!("{what} {:.0} MiB", mib(*values)))
            .collect();
        write!(
            f,
            "batch {} needs {} = {:.0} MiB",
            self.index,
            terms.join(" + "),
            self.mib()
        )
    }
}

#[cfg(test)]
mod tests {
    use sandhi_nn::AttentionContext;

    use super::*;

    #[test]
    fn batch_that_memory_cannot_hold_is_refused_with_the_arithmetic() {
        let sizes = Sizes {
            parameters: 1000,
            block: ConformerConfig {
                dim: 64,
                heads: 2,
                kernel: 7,
                feed_forward: 256,
                dropout: 0.1,
                recompute: false,
                context: AttentionContext::Full,
            },
            channels: 8,
            num_bins: 80,
            speech_blocks: 2,
            text_blocks: 2,
            transcript_blocks: 1,
            positions: 1,
            lattices: 1,
        };
        let extent = |rows, frames| Extent {
            rows,
            frames,
            labels: 30,
        };
        let need = |rows, frames| sizes.need(7, extent(rows, frames), extent(4, 30));
        need(2, 100).check().unwrap();
        assert!(need(2, 100).bytes() < need(2, 101).bytes() && need(2, 100).bytes() < need(3, 100).bytes());
        let error = format!("{:#}", need(1 << 20, 1 << 12).check().unwrap_err());
        for part in [
            "batch 7 needs",
            "1048576 x 4096 frames",
            "MiB",
            "but only",
            "budget.max_frames",
        ] {
            assert!(error.contains(part), "{part} is missing: {error}");
        }
    }
}
