//! A stack of Conformer blocks.

use sandhi_core::{Padded, Result};
use sandhi_nn::{AttentionContext, Mode, Params};

use crate::block::Block;
use crate::{ConformerConfig, ConformerStream};

/// A stack of Conformer blocks over one padded batch.
///
/// # Proved by
///
/// `conformer_ignores_padding`, `conformer_batch_equals_its_utterances`, `conformer_reaches_every_parameter`,
/// `conformer_recomputed_has_the_same_bits`, `conformer_sees_nothing_beyond_its_context`.
#[derive(Clone, Debug)]
pub struct Conformer {
    blocks: Vec<Block>,
    context: AttentionContext,
}

impl Conformer {
    /// `blocks` blocks of one configuration.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &ConformerConfig, blocks: usize, params: &Params) -> Result<Self> {
        let make = |i: usize| Block::new(config, &params.scope(&format!("block{i}")));
        Ok(Self {
            blocks: (0..blocks).map(make).collect::<Result<_>>()?,
            context: config.context,
        })
    }

    /// Starts an utterance that comes piece by piece.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Invalid`] unless frames see chunks: who sees all of the utterance waits for its end.
    pub fn stream(&self) -> Result<ConformerStream> {
        ConformerStream::new(
            self.context,
            self.blocks.iter().map(Block::layers).cloned().collect(),
        )
    }

    /// `[B, T, D]` to `[B, T, D]`; zeros in the padding, whatever it held.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] if the width is not the configured one.
    pub fn encode(&self, input: &Padded, mode: Mode) -> Result<Padded> {
        let mut levels = self.levels(input, self.blocks.len(), mode)?;
        Ok(levels.swap_remove(self.blocks.len()))
    }

    /// The input, then the output of each of the first `blocks` blocks (of all, if there are no more): for a loss that looks
    /// at every level, or for one level without the blocks above it.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    ///
    /// # Proved by
    ///
    /// `conformer_levels_end_in_its_output`.
    pub fn levels(&self, input: &Padded, blocks: usize, mode: Mode) -> Result<Vec<Padded>> {
        let mut levels = vec![input.clone()];
        for (i, block) in self.blocks.iter().take(blocks).enumerate() {
            levels.push(input.with_values(block.forward(levels[i].values(), input.lengths(), mode)?)?);
        }
        Ok(levels)
    }
}
