//! Zeros in the padding.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use sandhi_core::Lengths;
use sandhi_core::host::{read, slice};

use super::{like, output, with_float};
use crate::real::Real;

/// Replaces what lies beyond each utterance's length by zeros, so that padding may hold anything, NaN included.
///
/// # Shapes
///
/// * `x`: `[B, T, ..]`; returns the same shape. The gradient is zero in the padding.
///
/// # Errors
///
/// If there is not one length per utterance, or a length exceeds T.
///
/// # Proved by
///
/// `zero_padding_stops_nan_in_both_directions`.
pub fn zero_padding(x: &Tensor, lengths: &Lengths) -> Result<Tensor> {
    let dims = x.dims();
    if dims.len() < 2 || dims[0] != lengths.len() || lengths.max() > dims[1] {
        bail!(
            "zero padding: expected [{}, T >= {}, ..], got {dims:?}",
            lengths.len(),
            lengths.max()
        );
    }
    x.contiguous()?.apply_op1(ZeroPadding(lengths.clone()))
}

struct ZeroPadding(Lengths);

impl ZeroPadding {
    /// `x` is `[B, extent, inner]`.
    fn apply<T: Real>(&self, x: &[T], extent: usize) -> Vec<T> {
        let mut y = vec![T::ZERO; x.len()];
        if x.is_empty() {
            return y;
        }
        let stride = x.len() / self.0.len();
        for (b, (y, x)) in y.chunks_exact_mut(stride).zip(x.chunks_exact(stride)).enumerate() {
            let valid = self.0.get(b) * (stride / extent);
            y[..valid].copy_from_slice(&x[..valid]);
        }
        y
    }
}

impl CustomOp1 for ZeroPadding {
    fn name(&self) -> &'static str {
        "zero-padding"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let extent = l.dims()[1];
        with_float!(s.dtype(), T => output(self.apply::<T>(slice(s, l)?, extent), l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let extent = x.dims()[1];
        with_float!(x.dtype(), T => like(read::<T, _>(g, |g| self.apply(g, extent))?, x))
    }
}
