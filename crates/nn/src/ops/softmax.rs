//! Probabilities of the last dimension, and their logarithms.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::{like, output, with_float};
use crate::real::{Real, dot, sum, vectorized};

/// Values that one task computes, about.
pub(super) const TASK: usize = 16_384;

/// Probabilities over the last dimension.
///
/// # Equation
///
/// ```text
/// y_i = e^{x_i} / Σ_j e^{x_j}        ∂L/∂x_i = y_i (g_i − Σ_j g_j y_j)
/// ```
///
/// # Shapes
///
/// `[.., V]` to the same. −∞ has probability 0; a row of nothing else is NaN.
///
/// # Errors
///
/// If there is no last dimension, or it is 0.
///
/// # Proved by
///
/// `softmax_equals_plain_composition`, `softmax_gradient_equals_differences`.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    width(x)?;
    x.contiguous()?.apply_op1(Softmax { log: false })
}

/// Natural logarithms of [`softmax`], exact where a probability underflows.
///
/// # Equation
///
/// ```text
/// y_i = x_i − ln Σ_j e^{x_j}        ∂L/∂x_i = g_i − e^{y_i} Σ_j g_j
/// ```
///
/// # Shapes
///
/// `[.., V]` to the same.
///
/// # Errors
///
/// As [`softmax`].
///
/// # Proved by
///
/// `softmax_equals_plain_composition`, `softmax_gradient_equals_differences`.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    width(x)?;
    x.contiguous()?.apply_op1(Softmax { log: true })
}

fn width(x: &Tensor) -> Result<usize> {
    match x.dims().last() {
        Some(&width) if width > 0 => Ok(width),
        _ => bail!("softmax: expected [.., V > 0], got {:?}", x.dims()),
    }
}

struct Softmax {
    log: bool,
}

/// y ← e^{x − max}; returns the maximum and the sum.
#[inline(always)]
pub(super) fn exponentials<T: Real>(x: &[T], y: &mut [T], fused: bool) -> (T, T) {
    let top = x.iter().fold(T::LOWEST, |top, &x| top.larger(x));
    for (y, &x) in y.iter_mut().zip(x) {
        let below = x - top;
        let e = below.exp(fused);
        // The exponential of f32 does not go below the least normal number.
        *y = if below == T::LOWEST { T::ZERO } else { e };
    }
    (top, sum(y))
}

pub(super) fn ln<T: Real>(x: T) -> T {
    T::of(x.to_f64().ln())
}

impl Softmax {
    fn forward<T: Real>(&self, x: &[T], width: usize) -> Vec<T> {
        let mut y = vec![T::ZERO; x.len()];
        let rows = (TASK / width).max(1) * width;
        y.par_chunks_mut(rows).zip(x.par_chunks(rows)).for_each(|(y, x)| {
            vectorized(
                #[inline(always)]
                |fused| {
                    for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                        let (top, total) = exponentials(x, y, fused);
                        if self.log {
                            let log_total = ln(total);
                            for (y, &x) in y.iter_mut().zip(x) {
                                *y = x - top - log_total;
                            }
                        } else {
                            let inverse = T::ONE / total;
                            for y in y {
                                *y *= inverse;
                            }
                        }
                    }
                },
            );
        });
        y
    }

    fn backward<T: Real>(&self, y: &[T], g: &[T], width: usize) -> Vec<T> {
        let mut dx = vec![T::ZERO; y.len()];
        let rows = (TASK / width).max(1) * width;
        let tasks = dx
            .par_chunks_mut(rows)
            .zip(y.par_chunks(rows))
            .zip(g.par_chunks(rows));
        tasks.for_each(|((dx, y), g)| {
            vectorized(
                #[inline(always)]
                |fused| {
                    let rows = dx.chunks_exact_mut(width).zip(y.chunks_exact(width));
                    for ((dx, y), g) in rows.zip(g.chunks_exact(width)) {
                        let total = if self.log { sum(g) } else { dot(g, y, fused) };
                        for ((dx, &y), &g) in dx.iter_mut().zip(y).zip(g) {
                            *dx = if self.log {
                                g - y.exp(fused) * total
                            } else {
                                y * (g - total)
                            };
                        }
                    }
                },
            );
        });
        dx
    }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log-softmax" } else { "softmax" }
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = l.dims()[l.dims().len() - 1];
        with_float!(s.dtype(), T => output(self.forward::<T>(slice(s, l)?, width), l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let width = width(x)?;
        with_float!(x.dtype(), T => {
            like(read::<T, _>(y, |y| read::<T, _>(g, |g| self.backward(y, g, width)))??, x)
        })
    }
}
