//! The fused operations, one per file, each with its backward pass.
//!
//! They take contiguous CPU tensors in f32 or f64. What the backward pass needs from the forward pass is kept inside
//! the operation, which lives exactly as long as the graph.

mod attention;
pub(crate) mod attention_context;
pub(crate) mod attention_core;
mod conv2d;
mod cross_entropy;
pub(crate) mod dropout;
mod embedding;
mod gate;
pub(crate) mod gated_conv;
pub(crate) mod layer_norm;
pub(crate) mod linear;
mod lstm;
mod mask;
mod softmax;

use candle_core::{CpuStorage, DType, Result, Shape, Tensor};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::real::Real;

pub use attention::attention;
pub use attention_context::AttentionContext;
pub use conv2d::{conv2d, conv2d_output};
pub use cross_entropy::cross_entropy;
pub use dropout::{add_dropped, dropout};
pub use embedding::embedding;
pub use gate::{glu, silu};
pub use gated_conv::gated_conv;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use lstm::lstm;
pub use mask::zero_padding;
pub use softmax::{log_softmax, softmax};

/// The nonlinearity that follows a layer in the same pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// x σ(x), also called Swish.
    Silu,
}

/// Calls `$body` with `$t` the float type of `$dtype`.
macro_rules! with_float {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $t = f64;
                $body
            }
            other => candle_core::bail!("expected f32 or f64, got {other:?}"),
        }
    };
}
pub(crate) use with_float;

/// Values a forward pass leaves for its backward pass.
pub(crate) struct Saved<T>(Mutex<T>);

impl<T: Default> Saved<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(T::default()))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn output<T: Real>(values: Vec<T>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((T::to_cpu_storage_owned(values), shape.into()))
}

pub(crate) fn like<T: Real>(values: Vec<T>, model: &Tensor) -> Result<Option<Tensor>> {
    Ok(Some(Tensor::from_vec(values, model.shape(), model.device())?))
}

/// The dtype the arguments of an operation share.
pub(crate) fn common_dtype(what: &str, tensors: &[&Tensor]) -> Result<DType> {
    let dtype = tensors[0].dtype();
    match tensors.iter().find(|t| t.dtype() != dtype) {
        Some(odd) => candle_core::bail!("{what}: expected {dtype:?} throughout, got {:?}", odd.dtype()),
        None => Ok(dtype),
    }
}
