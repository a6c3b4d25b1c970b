//! The joint network.

use candle_core::{Module, Tensor};
use sandhi_core::{Padded, Result, check_memory};
use sandhi_nn::{Linear, Params};

/// What the last layer of the joiner combines; a fused loss takes these instead of logits.
#[derive(Clone, Debug)]
pub struct JoinerInputs {
    /// Projected encoder frames, `[B, T, H]`.
    pub speech: Tensor,
    /// Projected predictor states, `[B, U+1, H]`.
    pub predicted: Tensor,
    /// Output weight, `[V, H]`.
    pub weight: Tensor,
    /// Output bias, `[V]`.
    pub bias: Tensor,
}

impl JoinerInputs {
    /// The logits `[B, T, U+1, V]`: tanh(speech + predicted) Wᵀ + b.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Memory`] with the arithmetic, if they do not fit; a fused loss needs none of it.
    pub fn logits(&self) -> Result<Tensor> {
        let ((batch, frames, hidden), columns) = (self.speech.dims3()?, self.predicted.dim(1)?);
        let width = hidden + self.weight.dim(0)?;
        let extents = [("B", batch), ("T", frames), ("U+1", columns), ("H+V", width)];
        check_memory(
            "hidden layer and logits of the joiner",
            &extents,
            self.speech.dtype().size_in_bytes(),
        )?;
        let hidden = self
            .speech
            .unsqueeze(2)?
            .broadcast_add(&self.predicted.unsqueeze(1)?)?
            .tanh()?;
        Ok(sandhi_nn::ops::linear(
            &hidden,
            &self.weight,
            &self.bias,
            sandhi_nn::Activation::Identity,
        )?)
    }
}

/// Projections of encoder and predictor into one width, and the output layer.
#[derive(Clone, Debug)]
pub struct Joiner {
    speech: Linear,
    predicted: Linear,
    output: Linear,
}

impl Joiner {
    /// From widths `encoder` and `predictor` through `hidden` to `vocabulary` labels.
    ///
    /// # Errors
    ///
    /// As the layers of [`sandhi_nn`].
    pub fn new(
        encoder: usize,
        predictor: usize,
        hidden: usize,
        vocabulary: usize,
        params: &Params,
    ) -> Result<Self> {
        Ok(Self {
            speech: Linear::new(encoder, hidden, &params.scope("speech"))?,
            predicted: Linear::without_bias(predictor, hidden, &params.scope("predicted"))?,
            output: Linear::new(hidden, vocabulary, &params.scope("output"))?,
        })
    }

    /// Projects both sides.
    ///
    /// # Errors
    ///
    /// [`sandhi_core::Error::Tensor`] on a wrong width.
    pub fn join(&self, encoded: &Padded, predicted: &Tensor) -> Result<JoinerInputs> {
        self.join_projected(self.project_speech(encoded)?, predicted)
    }

    /// The encoder's projection, `[B, T, H]`.
    pub(crate) fn project_speech(&self, encoded: &Padded) -> Result<Tensor> {
        Ok(self.speech.forward(encoded.values())?)
    }

    /// Projects the other side.
    pub(crate) fn join_projected(&self, speech: Tensor, predicted: &Tensor) -> Result<JoinerInputs> {
        Ok(JoinerInputs {
            speech,
            predicted: self.predicted.forward(predicted)?,
            weight: self.output.weight().clone(),
            bias: self.output.bias().clone(),
        })
    }

    /// One frame that says nothing, `[B, 1, H]` of zeros.
    pub(crate) fn silence(&self, batch: usize) -> Result<Tensor> {
        let weight = self.output.weight();
        let hidden = weight.dim(1)?;
        Ok(Tensor::zeros(
            (batch, 1, hidden),
            weight.dtype(),
            weight.device(),
        )?)
    }

    pub(crate) fn predicted(&self) -> &Linear {
        &self.predicted
    }

    pub(crate) fn output(&self) -> &Linear {
        &self.output
    }
}
