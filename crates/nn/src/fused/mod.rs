//! Several layers as one operation.
//!
//! A [`Program`] is a chain of layers that runs on one tile after the other: a few utterances whose valid frames lie one
//! below the other, without padding. What a layer leaves for the next is still in the second cache then, nothing is
//! computed in the padding, and the graph holds one node instead of thirty. The layers are those of this crate, in
//! their order; the results are theirs.

mod layer;
mod op;
mod rows;
mod tile;
mod time;

use std::sync::Arc;

use candle_core::Tensor;
use sandhi_core::{Error, Lengths, Result};

use crate::layers::{Attention, GatedConv, LayerNorm, Linear};
use crate::{Activation, Mode};
use layer::Layer;

/// What a layer of a program made: `[rows, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value(usize);

/// Where and how often activations are dropped.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// The probability.
    pub rate: f64,
    /// The full name of the place: draws are a function of (seed, step, site).
    pub site: String,
}

/// The parameters and layers of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    params: Vec<Tensor>,
    layers: Vec<Layer>,
    widths: Vec<usize>,
    /// Whether the backward pass reads a value.
    kept: Vec<bool>,
    dropouts: Vec<Dropout>,
    output: usize,
    recompute: bool,
}

/// A chain of layers over `[B, T, D]` that runs as one operation.
///
/// # Memory
///
/// The values that the backward pass reads are kept for the valid frames, or, with
/// [`recomputed`](Program::recomputed), nothing but the input: the forward pass of a tile is then run once more in the
/// backward pass, with the same bits.
///
/// # Proved by
///
/// `program_equals_its_layers`, `program_gradient_equals_differences`, `program_ignores_padding`,
/// `program_recomputed_has_the_same_bits`, `program_has_the_same_bits_for_any_thread_count`,
/// `program_refuses_what_does_not_fit`.
#[derive(Clone, Debug)]
pub struct Program {
    plan: Arc<Plan>,
}

impl Program {
    /// The program that `body` describes, from an input of the given width.
    ///
    /// ```
    /// use candle_core::{DType, Device, Tensor};
    /// use sandhi_core::Lengths;
    /// use sandhi_nn::fused::{Dropout, Program};
    /// use sandhi_nn::{LayerNorm, Linear, Mode, Params};
    /// # fn main() -> sandhi_core::Result<()> {
    /// let params = Params::seeded(1, DType::F32, &Device::Cpu);
    /// let norm = LayerNorm::new(8, &params.scope("norm"))?;
    /// let expand = Linear::new(8, 32, &params.scope("expand"))?.with_silu();
    /// let contract = Linear::new(32, 8, &params.scope("contract"))?;
    /// let dropout = |site: &str| Dropout { rate: 0.1, site: site.into() };
    /// let feed_forward = Program::new(8, |program, x| {
    ///     let h = program.layer_norm(x, &norm)?;
    ///     let h = program.linear_dropped(h, &expand, dropout("hidden"))?;
    ///     let h = program.linear(h, &contract)?;
    ///     program.residual(x, h, 0.5, dropout("output"))
    /// })?;
    /// let x = Tensor::ones((2, 5, 8), DType::F32, &Device::Cpu)?;
    /// let y = feed_forward.run(&x, &Lengths::new(vec![5, 3]), Mode::Train { seed: 1, step: 1 })?;
    /// assert_eq!(y.dims(), [2, 5, 8]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `body`; [`Error::Invalid`] if nothing reads what a layer made.
    pub fn new(width: usize, body: impl FnOnce(&mut Builder, Value) -> Result<Value>) -> Result<Self> {
        let mut builder = Builder::default();
        let input = builder.value(width);
        let output = body(&mut builder, input)?;
        builder.read("output", output, None)?;
        if let Some(idle) = builder.uses.iter().position(|&used| used == Use::None) {
            return Err(invalid(format!(
                "nothing reads value {idle} of width {}",
                builder.plan.widths[idle]
            )));
        }
        builder.plan.output = output.0;
        Ok(Self {
            plan: Arc::new(builder.plan),
        })
    }

    /// The same program keeping its input alone for the backward pass, which then computes the rest once more.
    #[must_use]
    pub fn recomputed(self) -> Self {
        let mut plan = Arc::try_unwrap(self.plan).unwrap_or_else(|shared| (*shared).clone());
        plan.recompute = true;
        Self { plan: Arc::new(plan) }
    }

    /// `[B, T, D]` to `[B, T, D']`; zeros in the padding, which is never read.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if shapes or dtypes disagree, T is 0, or a dropout rate is outside 0..1.
    pub fn run(&self, x: &Tensor, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
        Ok(op::run(&self.plan, x, lengths, mode)?)
    }
}

/// What becomes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// Nothing, so far.
    None,
    /// It is read, perhaps more than once.
    Read,
    /// A residual sum goes into its memory: nothing else may read it.
    Taken,
}

fn invalid(why: String) -> Error {
    Error::Invalid { what: "program", why }
}

/// Takes down the layers of a [`Program`], each after the values it reads.
#[derive(Debug, Default)]
pub struct Builder {
    plan: Plan,
    /// By value.
    uses: Vec<Use>,
}

impl Builder {
    /// [`crate::ops::layer_norm`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the width of `x` is not the layer's.
    pub fn layer_norm(&mut self, x: Value, layer: &LayerNorm) -> Result<Value> {
        let (weight, bias, activation) = layer.parts();
        self.keep("layer norm", x, weight.elem_count())?;
        let (y, weight, bias) = (
            self.value(weight.elem_count()),
            self.param(weight),
            self.param(bias),
        );
        let silu = activation == Activation::Silu;
        self.push(Layer::Norm(rows::Norm {
            x: x.0,
            y: y.0,
            weight,
            bias,
            silu,
        }))
    }

    /// [`crate::ops::linear`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the width of `x` is not the layer's.
    pub fn linear(&mut self, x: Value, layer: &Linear) -> Result<Value> {
        self.affine(x, layer, None)
    }

    /// [`crate::ops::linear`] and [`crate::ops::dropout`] after its activation.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the width of `x` is not the layer's, or the layer has no activation.
    pub fn linear_dropped(&mut self, x: Value, layer: &Linear, dropout: Dropout) -> Result<Value> {
        if layer.activation() == Activation::Identity {
            return Err(invalid(
                "expected a layer with an activation before dropout, got one without".into(),
            ));
        }
        self.affine(x, layer, Some(dropout))
    }

    fn affine(&mut self, x: Value, layer: &Linear, dropout: Option<Dropout>) -> Result<Value> {
        let (n, k) = layer.weight().dims2()?;
        self.keep("linear", x, k)?;
        let (y, weight, bias) = (
            self.value(n),
            self.param(layer.weight()),
            self.param(layer.bias()),
        );
        let (silu, dropout) = (
            layer.activation() == Activation::Silu,
            dropout.map(|d| self.dropout(d)),
        );
        self.push(Layer::Affine(rows::Affine {
            x: x.0,
            y: y.0,
            weight,
            bias,
            silu,
            dropout,
        }))
    }

    /// x + scale · dropout(z). No other layer may read `z`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the widths differ or another layer reads `z`, before or after.
    pub fn residual(&mut self, x: Value, z: Value, scale: f64, dropout: Dropout) -> Result<Value> {
        let width = self.read("residual", x, None)?;
        if self.uses.get(z.0) == Some(&Use::Read) {
            return Err(invalid(
                "residual: expected a branch that nothing else reads, got one that is read twice".into(),
            ));
        }
        self.read("residual", z, Some(width))?;
        self.uses[z.0] = Use::Taken;
        let (y, dropout) = (self.value(width), self.dropout(dropout));
        self.push(Layer::Residual(rows::Residual {
            x: x.0,
            z: z.0,
            y: y.0,
            scale,
            dropout,
        }))
    }

    /// [`Attention::forward`]: input projection, attention within the utterance, output projection.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the width of `x` is not the layer's.
    pub fn attention(&mut self, x: Value, layer: &Attention) -> Result<Value> {
        let parts = layer.parts();
        let qkv = self.linear(x, parts.packed)?;
        let d = parts.output.weight().dims2()?.1;
        self.keep("attention", qkv, 3 * d)?;
        let (y, position, biases) = (
            self.value(d),
            self.param(parts.position.weight()),
            self.param(parts.biases),
        );
        let (heads, context, qkv) = (parts.heads, parts.context, qkv.0);
        let mixed = self.push(Layer::Attention(time::Attention {
            qkv,
            y: y.0,
            position,
            biases,
            heads,
            context,
        }))?;
        self.linear(mixed, parts.output)
    }

    /// [`crate::ops::gated_conv`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the width of `x` is not twice the layer's.
    pub fn gated_conv(&mut self, x: Value, layer: &GatedConv) -> Result<Value> {
        let (weight, bias, left) = layer.parts();
        let c = bias.elem_count();
        self.keep("gated convolution", x, 2 * c)?;
        let (y, weight, bias) = (self.value(c), self.param(weight), self.param(bias));
        self.push(Layer::Conv(time::Conv {
            x: x.0,
            y: y.0,
            weight,
            bias,
            left,
        }))
    }

    fn value(&mut self, width: usize) -> Value {
        self.plan.widths.push(width);
        self.plan.kept.push(false);
        self.uses.push(Use::None);
        Value(self.uses.len() - 1)
    }

    fn param(&mut self, tensor: &Tensor) -> usize {
        self.plan.params.push(tensor.clone());
        self.plan.params.len() - 1
    }

    fn dropout(&mut self, dropout: Dropout) -> usize {
        self.plan.dropouts.push(dropout);
        self.plan.dropouts.len() - 1
    }

    fn push(&mut self, layer: Layer) -> Result<Value> {
        let y = Value(layer.output());
        self.plan.layers.push(layer);
        Ok(y)
    }

    /// Marks a value as read, forward alone, and returns its width, which must be the expected one if there is one.
    fn read(&mut self, layer: &str, x: Value, expected: Option<usize>) -> Result<usize> {
        let (Some(&got), Some(used)) = (self.plan.widths.get(x.0), self.uses.get_mut(x.0)) else {
            return Err(invalid(format!(
                "{layer}: expected a value of this program, got one of another"
            )));
        };
        if *used == Use::Taken {
            let why = "a residual branch is read twice: its sum lies where it was";
            return Err(invalid(format!("{layer}: {why}")));
        }
        if let Some(expected) = expected
            && expected != got
        {
            return Err(invalid(format!(
                "{layer}: expected a width of {expected}, got {got}"
            )));
        }
        *used = Use::Read;
        Ok(got)
    }

    /// Marks a value as read, forward and backward.
    fn keep(&mut self, layer: &str, x: Value, expected: usize) -> Result<()> {
        self.read(layer, x, Some(expected))?;
        self.plan.kept[x.0] = true;
        Ok(())
    }
}
