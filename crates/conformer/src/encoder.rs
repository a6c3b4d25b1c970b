//! A stack of Conformer blocks.

use sandhi_core::{Padded, Result};
use sandhi_nn::{Mode, Params};

use crate::ConformerConfig;
use crate::block::Block;

/// A stack of Conformer blocks over one padded batch.
///
/// # Proved by
///
/// `conformer_ignores_padding`, `conformer_batch_equals_its_utterances`, `conformer_reaches_every_parameter`,
/// `conformer_recomputed_has_the_same_bits`.
#[derive(Clone, Debug)]
pub struct Conformer {
    blocks: Vec<Block>,
}

impl Conformer {
    /// `blocks` blocks of one configuration.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &ConformerConfig, blocks: usize, params: &Params) -> Result<Self> {
        let make = |i: usize| {
            let block = Block::new(config, &params.scope(&format!("block{i}")))?;
            Ok(if config.recompute {
                block.recomputed()
            } else {
                block
            })
        };
        Ok(Self {
            blocks: (0..blocks).map(make).collect::<Result<_>>()?,
        })
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
