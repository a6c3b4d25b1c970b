//! Layers: an operation with its named parameters.

use candle_core::{Module, Result as TensorResult, Tensor};
use sandhi_core::{Error, Lengths, Result};

use crate::ops::{self, Activation, AttentionContext};
use crate::{Init, Params};

/// An affine map of the last dimension, optionally followed by an activation.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl Linear {
    /// `weight` `[output, input]` (Xavier) and `bias` `[output]` (zeros).
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn new(input: usize, output: usize, params: &Params) -> Result<Self> {
        let bias = params.get("bias", &[output], Init::Zeros)?;
        Ok(Self {
            bias,
            ..Self::without_bias(input, output, params)?
        })
    }

    /// As [`Linear::new`] with the bias fixed at zero and not a parameter.
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn without_bias(input: usize, output: usize, params: &Params) -> Result<Self> {
        let weight = params.get("weight", &[output, input], Init::XavierUniform)?;
        let bias = Tensor::zeros(output, params.dtype(), params.device())?;
        Ok(Self {
            weight,
            bias,
            activation: Activation::Identity,
        })
    }

    /// The same map followed by x σ(x).
    #[must_use]
    pub fn with_silu(self) -> Self {
        Self {
            activation: Activation::Silu,
            ..self
        }
    }

    /// `[output, input]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[output]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }
}

impl Module for Linear {
    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        ops::linear(x, &self.weight, &self.bias, self.activation)
    }
}

/// Layer normalisation with a learned scale and shift.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    activation: Activation,
}

impl LayerNorm {
    /// `weight` (ones) and `bias` (zeros), both `[dim]`.
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn new(dim: usize, params: &Params) -> Result<Self> {
        let (weight, bias) = (
            params.get("weight", &[dim], Init::Ones)?,
            params.get("bias", &[dim], Init::Zeros)?,
        );
        Ok(Self {
            weight,
            bias,
            activation: Activation::Identity,
        })
    }

    /// The same followed by x σ(x).
    #[must_use]
    pub fn with_silu(self) -> Self {
        Self {
            activation: Activation::Silu,
            ..self
        }
    }
}

impl LayerNorm {
    /// Weight, bias, activation.
    pub(crate) fn parts(&self) -> (&Tensor, &Tensor, Activation) {
        (&self.weight, &self.bias, self.activation)
    }
}

impl Module for LayerNorm {
    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        ops::layer_norm(x, &self.weight, &self.bias, self.activation)
    }
}

/// A learned vector for each label.
#[derive(Clone, Debug)]
pub struct Embedding {
    table: Tensor,
}

impl Embedding {
    /// `table` `[size, dim]`, normal with standard deviation 1/√dim.
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn new(size: usize, dim: usize, params: &Params) -> Result<Self> {
        let std = 1.0 / (dim as f64).sqrt();
        Ok(Self {
            table: params.get("table", &[size, dim], Init::Normal { std })?,
        })
    }

    /// `[B, U, D]` for rows of U ids each.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if the rows differ in length or an id is not in the table.
    pub fn lookup(&self, ids: &[Vec<u32>]) -> Result<Tensor> {
        Ok(ops::embedding(&self.table, ids)?)
    }

    /// `[size, dim]`.
    pub fn table(&self) -> &Tensor {
        &self.table
    }
}

/// One LSTM layer over time, from zero state.
#[derive(Clone, Debug)]
pub struct Lstm {
    input: Linear,
    recurrent: Tensor,
}

impl Lstm {
    /// `input` `[4H, input]` with one bias, `recurrent` `[4H, H]`, uniform in ±1/√H as usual.
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn new(input: usize, hidden: usize, params: &Params) -> Result<Self> {
        let bound = Init::Uniform {
            bound: 1.0 / (hidden as f64).sqrt(),
        };
        let recurrent = params.get("recurrent", &[4 * hidden, hidden], bound)?;
        Ok(Self {
            input: Linear::new(input, 4 * hidden, &params.scope("input"))?,
            recurrent,
        })
    }

    /// The input's share of the gates.
    pub fn input(&self) -> &Linear {
        &self.input
    }

    /// `[4H, H]`.
    pub fn recurrent(&self) -> &Tensor {
        &self.recurrent
    }
}

impl Module for Lstm {
    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        ops::lstm(&self.input.forward(x)?, &self.recurrent)
    }
}

/// The parts of [`Attention`].
pub(crate) struct AttentionParts<'a> {
    pub(crate) heads: usize,
    pub(crate) context: AttentionContext,
    pub(crate) packed: &'a Linear,
    pub(crate) position: &'a Linear,
    pub(crate) biases: &'a Tensor,
    pub(crate) output: &'a Linear,
}

/// Multi-head self-attention with relative positions, from input projection to output projection.
#[derive(Clone, Debug)]
pub struct Attention {
    heads: usize,
    context: AttentionContext,
    dim: usize,
    packed: Linear,
    position: Linear,
    biases: Tensor,
    output: Linear,
}

impl Attention {
    /// Query, key, value, position and output maps of width `dim`, and the biases u and v (zeros).
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless `dim` is a multiple of `heads`; as [`Params::get`].
    pub fn new(dim: usize, heads: usize, params: &Params) -> Result<Self> {
        if heads == 0 || !dim.is_multiple_of(heads) {
            let why = format!("expected a width that is a multiple of the heads, got {dim} and {heads}");
            return Err(Error::Invalid {
                what: "attention",
                why,
            });
        }
        Ok(Self {
            heads,
            context: AttentionContext::Full,
            dim,
            packed: Linear::new(dim, 3 * dim, &params.scope("qkv"))?,
            position: Linear::without_bias(dim, dim, &params.scope("position"))?,
            biases: params.get("biases", &[2, dim], Init::Zeros)?,
            output: Linear::new(dim, dim, &params.scope("output"))?,
        })
    }

    /// The same layer when each frame sees no more than this.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if chunks have no frames.
    pub fn within(mut self, context: AttentionContext) -> Result<Self> {
        context.check()?;
        self.context = context;
        Ok(self)
    }

    pub(crate) fn parts(&self) -> AttentionParts<'_> {
        AttentionParts {
            heads: self.heads,
            context: self.context,
            packed: &self.packed,
            position: &self.position,
            biases: &self.biases,
            output: &self.output,
        }
    }

    /// The frames of one chunk and those before it that it sees, `[1, n, D]`, whatever the layer's own context: each attends to
    /// all of them. For a stream, of which only the chunk's frames are of interest.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if shapes disagree.
    pub fn chunk(&self, x: &Tensor) -> Result<Tensor> {
        let whole = Self {
            context: AttentionContext::Full,
            ..self.clone()
        };
        whole.forward(x, &Lengths::new(vec![x.dims3()?.1]))
    }

    /// `[B, T, D]` to `[B, T, D]`; frames beyond an utterance's length are neither attended to nor filled.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if shapes disagree.
    pub fn forward(&self, x: &Tensor, lengths: &Lengths) -> Result<Tensor> {
        let (_, t, _) = x.dims3()?;
        let offsets = crate::position::sinusoids(t, self.dim, x.dtype(), x.device())?;
        let (qkv, positions) = (self.packed.forward(x)?, self.position.forward(&offsets)?);
        let (heads, context) = (self.heads, self.context);
        let mixed = ops::attention(&qkv, &positions, &self.biases, heads, context, lengths)?;
        Ok(self.output.forward(&mixed)?)
    }
}

/// The gated depthwise convolution of a Conformer, over `[B, T, 2C]`.
#[derive(Clone, Debug)]
pub struct GatedConv {
    weight: Tensor,
    bias: Tensor,
    /// Frames before each that it sees.
    left: usize,
}

impl GatedConv {
    /// `weight` `[kernel, channels]`, uniform in ±1/√kernel; `bias` `[channels]`, zeros. As many frames before each as after
    /// it, so `kernel` is odd.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `kernel` is even; as [`Params::get`].
    pub fn new(channels: usize, kernel: usize, params: &Params) -> Result<Self> {
        if kernel.is_multiple_of(2) {
            return Err(Error::Invalid {
                what: "gated convolution",
                why: format!("expected a kernel with a middle, got one of {kernel} frames"),
            });
        }
        let bound = Init::Uniform {
            bound: 1.0 / (kernel as f64).sqrt(),
        };
        let weight = params.get("weight", &[kernel, channels], bound)?;
        Ok(Self {
            weight,
            bias: params.get("bias", &[channels], Init::Zeros)?,
            left: kernel / 2,
        })
    }

    /// The same layer when it sees no frame after the one it computes, and as many more before it.
    #[must_use]
    pub fn causal(self) -> Self {
        let left = self.weight.dims()[0] - 1;
        Self { left, ..self }
    }

    /// Frames before each that it sees.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Weight and bias, and how many frames before each they see.
    pub(crate) fn parts(&self) -> (&Tensor, &Tensor, usize) {
        (&self.weight, &self.bias, self.left)
    }

    /// `[B, T, 2C]` to `[B, T, C]`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if shapes disagree.
    pub fn forward(&self, x: &Tensor, lengths: &Lengths) -> Result<Tensor> {
        Ok(ops::gated_conv(x, &self.weight, &self.bias, self.left, lengths)?)
    }
}

/// A 3×3 convolution with stride 2 over time and frequency, followed by x σ(x).
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
}

impl Conv2d {
    /// `weight` `[output, 9·input]`, uniform in ±√(3 / (9·input)) (unit gain); `bias` `[output]`, zeros.
    ///
    /// # Errors
    ///
    /// As [`Params::get`].
    pub fn new(input: usize, output: usize, params: &Params) -> Result<Self> {
        let bound = Init::Uniform {
            bound: (9.0 * input as f64).sqrt().recip() * 3f64.sqrt(),
        };
        let weight = params.get("weight", &[output, 9 * input], bound)?;
        Ok(Self {
            weight,
            bias: params.get("bias", &[output], Init::Zeros)?,
        })
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> TensorResult<Tensor> {
        ops::conv2d(x, &self.weight, &self.bias)
    }
}
