//! What text goes through before it meets speech.

use sandhi_conformer::{Conformer, ConformerConfig};
use sandhi_core::{Labels, Padded, Result};
use sandhi_nn::{Embedding, Mode, Params};

use crate::durations::padded_ids;

/// Embeddings of labels and Conformer blocks over them.
///
/// Its vocabulary need not be the decoder's: text may go in as phones and come out as letters.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    embedding: Embedding,
    blocks: Conformer,
}

impl TextEncoder {
    /// `blocks` blocks over `vocabulary` labels.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(block: &ConformerConfig, blocks: usize, vocabulary: usize, params: &Params) -> Result<Self> {
        Ok(Self {
            embedding: Embedding::new(vocabulary, block.dim, &params.scope("embedding"))?,
            blocks: Conformer::new(block, blocks, params)?,
        })
    }

    /// Labels to text embeddings `[B, U, D]`. One position per label.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] if a label is outside the vocabulary.
    pub fn encode(&self, labels: &Labels, mode: Mode) -> Result<Padded> {
        let embedded = self.embedding.lookup(&padded_ids(labels))?;
        self.blocks
            .encode(&Padded::new(embedded, labels.lengths().clone())?, mode)
    }
}
