//! One Conformer block.

use candle_core::{Module, Tensor};
use sandhi_core::{Lengths, Result};
use sandhi_nn::ops::{add_dropped, dropout};
use sandhi_nn::{Attention, GatedConv, LayerNorm, Linear, Mode, Params};

use crate::ConformerConfig;

/// Two linear maps with x σ(x) between them.
#[derive(Clone, Debug)]
struct FeedForward {
    norm: LayerNorm,
    expand: Linear,
    contract: Linear,
}

impl FeedForward {
    fn new(config: &ConformerConfig, params: &Params) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::new(config.dim, &params.scope("norm"))?,
            expand: Linear::new(config.dim, config.feed_forward, &params.scope("expand"))?.with_silu(),
            contract: Linear::new(config.feed_forward, config.dim, &params.scope("contract"))?,
        })
    }

    fn forward(&self, x: &Tensor, rate: f64, key: Option<u64>) -> Result<Tensor> {
        let hidden = dropout(&self.expand.forward(&self.norm.forward(x)?)?, rate, key)?;
        Ok(self.contract.forward(&hidden)?)
    }
}

/// Half a feed-forward, attention, convolution, half a feed-forward, norm.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    rate: f64,
    site: String,
    before: FeedForward,
    attention_norm: LayerNorm,
    attention: Attention,
    conv_norm: LayerNorm,
    conv_expand: Linear,
    conv: GatedConv,
    conv_middle: LayerNorm,
    conv_contract: Linear,
    after: FeedForward,
    norm: LayerNorm,
}

impl Block {
    pub(crate) fn new(config: &ConformerConfig, site: String, params: &Params) -> Result<Self> {
        let d = config.dim;
        Ok(Self {
            rate: config.dropout,
            site,
            before: FeedForward::new(config, &params.scope("before"))?,
            attention_norm: LayerNorm::new(d, &params.scope("attention_norm"))?,
            attention: Attention::new(d, config.heads, &params.scope("attention"))?,
            conv_norm: LayerNorm::new(d, &params.scope("conv_norm"))?,
            conv_expand: Linear::new(d, 2 * d, &params.scope("conv_expand"))?,
            conv: GatedConv::new(d, config.kernel, &params.scope("conv"))?,
            conv_middle: LayerNorm::new(d, &params.scope("conv_middle"))?.with_silu(),
            conv_contract: Linear::new(d, d, &params.scope("conv_contract"))?,
            after: FeedForward::new(config, &params.scope("after"))?,
            norm: LayerNorm::new(d, &params.scope("norm"))?,
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub(crate) fn forward(&self, x: &Tensor, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
        let key = |part: &str| mode.key(&format!("{}.{part}", self.site));
        let add =
            |x: &Tensor, z: Tensor, scale: f64, part: &str| add_dropped(x, &z, scale, self.rate, key(part));

        let half = self.before.forward(x, self.rate, key("before.hidden"))?;
        let x = add(x, half, 0.5, "before")?;
        let attended = self
            .attention
            .forward(&self.attention_norm.forward(&x)?, lengths)?;
        let x = add(&x, attended, 1.0, "attention")?;
        let gated = self
            .conv
            .forward(&self.conv_expand.forward(&self.conv_norm.forward(&x)?)?, lengths)?;
        let convolved = self.conv_contract.forward(&self.conv_middle.forward(&gated)?)?;
        let x = add(&x, convolved, 1.0, "conv")?;
        let half = self.after.forward(&x, self.rate, key("after.hidden"))?;
        let x = add(&x, half, 0.5, "after")?;
        Ok(self.norm.forward(&x)?)
    }
}
