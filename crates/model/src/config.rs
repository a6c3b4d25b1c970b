//! The sizes of the joint model.

use sandhi_conformer::ConformerConfig;
use serde::{Deserialize, Serialize};

use crate::DecoderConfig;

/// What the joint model is made of. The vocabulary comes with the text front end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointConfig {
    /// Mel bins of the features.
    pub num_bins: usize,
    /// Channels of the convolutional subsampling.
    pub channels: usize,
    /// The Conformer block all three encoders are made of.
    pub block: ConformerConfig,
    /// Blocks of the speech encoder, after the subsampling.
    pub speech_blocks: usize,
    /// Blocks of the encoder that speech and text share.
    pub shared_blocks: usize,
    /// Blocks of the text encoder, after the embeddings.
    pub text_blocks: usize,
    /// Width of the predictor.
    pub predictor_dim: usize,
    /// LSTM layers of the predictor.
    pub predictor_layers: usize,
    /// Width in which the joiner adds encoder and predictor.
    pub joiner_dim: usize,
}

impl JointConfig {
    /// The sizes of its decoder.
    pub fn decoder(&self) -> DecoderConfig {
        DecoderConfig {
            encoder_dim: self.block.dim,
            predictor_dim: self.predictor_dim,
            predictor_layers: self.predictor_layers,
            joiner_dim: self.joiner_dim,
            dropout: self.block.dropout,
        }
    }
}
