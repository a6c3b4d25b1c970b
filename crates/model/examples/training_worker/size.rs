//! The extents of a batch and of the model.

use sandhi_conformer::ConformerConfig;
use sandhi_model::JointConfig;
use serde::Deserialize;

/// What the harness asks for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Size {
    /// Utterances.
    pub(crate) batch: usize,
    /// Feature frames of the longest.
    pub(crate) frames: usize,
    /// Labels of the longest.
    pub(crate) labels: usize,
    /// Labels there are, blank included.
    pub(crate) vocabulary: usize,
    pub(crate) num_bins: usize,
    pub(crate) channels: usize,
    pub(crate) dim: usize,
    pub(crate) heads: usize,
    pub(crate) kernel: usize,
    pub(crate) feed_forward: usize,
    pub(crate) speech_blocks: usize,
    pub(crate) shared_blocks: usize,
    pub(crate) predictor_dim: usize,
    pub(crate) predictor_layers: usize,
    pub(crate) joiner_dim: usize,
}

impl Size {
    pub(crate) fn config(&self) -> JointConfig {
        JointConfig {
            num_bins: self.num_bins,
            channels: self.channels,
            block: ConformerConfig {
                dim: self.dim,
                heads: self.heads,
                kernel: self.kernel,
                feed_forward: self.feed_forward,
                dropout: DROPOUT,
                recompute: false,
                context: Default::default(),
            },
            speech_blocks: self.speech_blocks,
            shared_blocks: self.shared_blocks,
            text_blocks: 0,
            predictor_dim: self.predictor_dim,
            predictor_layers: self.predictor_layers,
            joiner_dim: self.joiner_dim,
        }
    }
}

/// As everybody has it.
pub(crate) const DROPOUT: f64 = 0.1;
pub(crate) const BLANK: u32 = 0;
