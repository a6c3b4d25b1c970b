//! What speech goes through before the joiner.

use sandhi_conformer::{Conformer, ConvSubsampling};
use sandhi_core::{Padded, Result};
use sandhi_nn::{Mode, Params};

use crate::JointConfig;

/// Subsampling, speech encoder, shared encoder: the part of a [`JointModel`](crate::JointModel) that speech alone can teach.
///
/// Its parameters have the names they have in the whole model, so what is learned here can start a training there.
#[derive(Clone, Debug)]
pub struct SpeechPath {
    subsampling: ConvSubsampling,
    speech: Conformer,
    shared: Conformer,
}

impl SpeechPath {
    /// The part of the model that `config` describes.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(config: &JointConfig, params: &Params) -> Result<Self> {
        let speech = params.scope("speech");
        Ok(Self {
            subsampling: ConvSubsampling::new(
                config.num_bins,
                config.channels,
                config.block.dim,
                &speech.scope("subsampling"),
            )?,
            speech: Conformer::new(&config.block, config.speech_blocks, &speech)?,
            shared: Conformer::new(&config.block, config.shared_blocks, &params.scope("shared"))?,
        })
    }

    /// Features `[B, T0, F]` to speech embeddings `[B, T, D]`, before the shared encoder.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::TooShort`] naming an utterance below the receptive field.
    pub fn encode(&self, features: &Padded, mode: Mode) -> Result<Padded> {
        self.speech.encode(&self.subsampling.forward(features)?, mode)
    }

    /// Embeddings through the shared encoder, `[B, T, D]`.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] on a wrong width.
    pub fn share(&self, encoded: &Padded, mode: Mode) -> Result<Padded> {
        self.shared.encode(encoded, mode)
    }

    pub(crate) fn share_levels(&self, encoded: &Padded, blocks: usize, mode: Mode) -> Result<Vec<Padded>> {
        self.shared.levels(encoded, blocks, mode)
    }
}
