//! The sizes of a Conformer block.

use sandhi_nn::AttentionContext;
use serde::{Deserialize, Serialize};

/// What a Conformer block is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConformerConfig {
    /// Model width D. Multiples of 64 suit the matrix kernels best.
    pub dim: usize,
    /// Attention heads; D is a multiple of it.
    pub heads: usize,
    /// Width of the depthwise convolution in frames, odd.
    pub kernel: usize,
    /// Width of the feed-forward modules, 4D in the paper.
    pub feed_forward: usize,
    /// Probability with which residual branches and feed-forward activations are dropped in training.
    pub dropout: f64,
    /// Keep nothing but a block's input for the backward pass, which computes the rest again, with the same bits: a fraction
    /// of the memory for the time of a second forward pass.
    #[serde(default)]
    pub recompute: bool,
    /// Which frames a frame attends to. Where it is not all of them, the convolution is causal.
    // A configuration from before the field was there keeps its text, and with it its hash.
    #[serde(default, skip_serializing_if = "sees_all")]
    pub context: AttentionContext,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde asks for.
fn sees_all(context: &AttentionContext) -> bool {
    *context == AttentionContext::Full
}
