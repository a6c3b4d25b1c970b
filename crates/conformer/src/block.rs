//! One Conformer block.

use candle_core::Tensor;
use sandhi_core::{Lengths, Result};
use sandhi_nn::fused::{Builder, Dropout, Program, Value};
use sandhi_nn::{Attention, AttentionContext, GatedConv, LayerNorm, Linear, Mode, Params};

use crate::ConformerConfig;

/// Half a feed-forward, attention, convolution, half a feed-forward, norm; all of it one operation.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    layers: Layers,
    program: Program,
}

/// What a block is made of; a stream runs them one by one.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    pub(crate) before: FeedForward,
    pub(crate) attention_norm: LayerNorm,
    pub(crate) attention: Attention,
    pub(crate) conv_norm: LayerNorm,
    pub(crate) conv_expand: Linear,
    pub(crate) conv: GatedConv,
    pub(crate) conv_middle: LayerNorm,
    pub(crate) conv_contract: Linear,
    pub(crate) after: FeedForward,
    pub(crate) norm: LayerNorm,
}

#[derive(Clone, Debug)]
pub(crate) struct FeedForward {
    pub(crate) norm: LayerNorm,
    pub(crate) expand: Linear,
    pub(crate) contract: Linear,
}

impl FeedForward {
    fn new(config: &ConformerConfig, params: &Params) -> Result<Self> {
        let d = config.dim;
        Ok(Self {
            norm: LayerNorm::new(d, &params.scope("norm"))?,
            expand: Linear::new(d, config.feed_forward, &params.scope("expand"))?.with_silu(),
            contract: Linear::new(config.feed_forward, d, &params.scope("contract"))?,
        })
    }
}

impl Layers {
    fn new(config: &ConformerConfig, params: &Params) -> Result<Self> {
        let d = config.dim;
        let attention = Attention::new(d, config.heads, &params.scope("attention"))?;
        let conv = GatedConv::new(d, config.kernel, &params.scope("conv"))?;
        Ok(Self {
            before: FeedForward::new(config, &params.scope("before"))?,
            attention_norm: LayerNorm::new(d, &params.scope("attention_norm"))?,
            attention: attention.within(config.context)?,
            conv_norm: LayerNorm::new(d, &params.scope("conv_norm"))?,
            conv_expand: Linear::new(d, 2 * d, &params.scope("conv_expand"))?,
            conv: match config.context {
                AttentionContext::Full => conv,
                AttentionContext::Chunked { .. } => conv.causal(),
            },
            conv_middle: LayerNorm::new(d, &params.scope("conv_middle"))?.with_silu(),
            conv_contract: Linear::new(d, d, &params.scope("conv_contract"))?,
            after: FeedForward::new(config, &params.scope("after"))?,
            norm: LayerNorm::new(d, &params.scope("norm"))?,
        })
    }

    fn program(&self, config: &ConformerConfig, name: &str) -> Result<Program> {
        let site = |part: &str| Dropout {
            rate: config.dropout,
            site: format!("{name}.{part}"),
        };
        let feed_forward = |program: &mut Builder, x: Value, layers: &FeedForward, part: &str| {
            let h = program.layer_norm(x, &layers.norm)?;
            let h = program.linear_dropped(h, &layers.expand, site(&format!("{part}.hidden")))?;
            let h = program.linear(h, &layers.contract)?;
            program.residual(x, h, 0.5, site(part))
        };
        Program::new(config.dim, |program, x| {
            let x = feed_forward(program, x, &self.before, "before")?;

            let h = program.layer_norm(x, &self.attention_norm)?;
            let h = program.attention(h, &self.attention)?;
            let x = program.residual(x, h, 1.0, site("attention"))?;

            let h = program.layer_norm(x, &self.conv_norm)?;
            let h = program.linear(h, &self.conv_expand)?;
            let h = program.gated_conv(h, &self.conv)?;
            let h = program.layer_norm(h, &self.conv_middle)?;
            let h = program.linear(h, &self.conv_contract)?;
            let x = program.residual(x, h, 1.0, site("conv"))?;

            let x = feed_forward(program, x, &self.after, "after")?;
            program.layer_norm(x, &self.norm)
        })
    }
}

impl Block {
    pub(crate) fn new(config: &ConformerConfig, params: &Params) -> Result<Self> {
        let layers = Layers::new(config, params)?;
        let program = layers.program(config, params.name())?;
        let program = if config.recompute {
            program.recomputed()
        } else {
            program
        };
        Ok(Self { layers, program })
    }

    pub(crate) fn layers(&self) -> &Layers {
        &self.layers
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub(crate) fn forward(&self, x: &Tensor, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
        self.program.run(x, lengths, mode)
    }
}
