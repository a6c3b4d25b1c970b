//! One Conformer block.

use candle_core::Tensor;
use sandhi_core::{Lengths, Result};
use sandhi_nn::fused::{Builder, Dropout, Program, Value};
use sandhi_nn::{Attention, GatedConv, LayerNorm, Linear, Mode, Params};

use crate::ConformerConfig;

/// Half a feed-forward, attention, convolution, half a feed-forward, norm; all of it one operation.
#[derive(Clone, Debug)]
pub(crate) struct Block(Program);

impl Block {
    pub(crate) fn new(config: &ConformerConfig, params: &Params) -> Result<Self> {
        let d = config.dim;
        let site = |part: &str| Dropout {
            rate: config.dropout,
            site: format!("{}.{part}", params.name()),
        };
        let feed_forward = |program: &mut Builder, x: Value, part: &str| {
            let params = params.scope(part);
            let norm = LayerNorm::new(d, &params.scope("norm"))?;
            let expand = Linear::new(d, config.feed_forward, &params.scope("expand"))?.with_silu();
            let contract = Linear::new(config.feed_forward, d, &params.scope("contract"))?;
            let h = program.layer_norm(x, &norm)?;
            let h = program.linear_dropped(h, &expand, site(&format!("{part}.hidden")))?;
            let h = program.linear(h, &contract)?;
            program.residual(x, h, 0.5, site(part))
        };
        let attention = |program: &mut Builder, x: Value| {
            let norm = LayerNorm::new(d, &params.scope("attention_norm"))?;
            let attention = Attention::new(d, config.heads, &params.scope("attention"))?;
            let h = program.layer_norm(x, &norm)?;
            let h = program.attention(h, &attention)?;
            program.residual(x, h, 1.0, site("attention"))
        };
        let convolution = |program: &mut Builder, x: Value| {
            let norm = LayerNorm::new(d, &params.scope("conv_norm"))?;
            let expand = Linear::new(d, 2 * d, &params.scope("conv_expand"))?;
            let conv = GatedConv::new(d, config.kernel, &params.scope("conv"))?;
            let middle = LayerNorm::new(d, &params.scope("conv_middle"))?.with_silu();
            let contract = Linear::new(d, d, &params.scope("conv_contract"))?;
            let h = program.layer_norm(x, &norm)?;
            let h = program.linear(h, &expand)?;
            let h = program.gated_conv(h, &conv)?;
            let h = program.layer_norm(h, &middle)?;
            let h = program.linear(h, &contract)?;
            program.residual(x, h, 1.0, site("conv"))
        };
        let block = Program::new(d, |program, x| {
            let x = feed_forward(program, x, "before")?;
            let x = attention(program, x)?;
            let x = convolution(program, x)?;
            let x = feed_forward(program, x, "after")?;
            program.layer_norm(x, &LayerNorm::new(d, &params.scope("norm"))?)
        })?;
        Ok(Self(block))
    }

    pub(crate) fn recomputed(self) -> Self {
        Self(self.0.recomputed())
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub(crate) fn forward(&self, x: &Tensor, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
        self.0.run(x, lengths, mode)
    }
}
