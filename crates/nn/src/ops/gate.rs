//! SiLU and the gated linear unit by themselves. Where they follow a layer, the layer applies them in its own pass.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::linear;
use super::softmax::TASK;
use super::{like, output, with_float};
use crate::real::{Real, vectorized};

/// The sigmoid linear unit, also called Swish.
///
/// # Equation
///
/// ```text
/// y = x σ(x)        ∂y/∂x = σ(x) (1 + x (1 − σ(x)))
/// ```
///
/// # Shapes
///
/// Any to the same.
///
/// # Errors
///
/// If the dtype is neither f32 nor f64.
///
/// # Source
///
/// Elfwing, Uchibe & Doya (2018); Ramachandran, Zoph & Le (2017).
///
/// # Proved by
///
/// `gates_equal_plain_composition`, `gates_gradient_equals_differences`.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Silu)
}

/// The gated linear unit: the first half of the last dimension, let through by the second.
///
/// # Equation
///
/// ```text
/// y = a σ(s),  (a, s) the halves of x        ∂y/∂a = σ(s)        ∂y/∂s = a σ(s) (1 − σ(s))
/// ```
///
/// # Shapes
///
/// `[.., 2C]` to `[.., C]`.
///
/// # Errors
///
/// If the last dimension is missing, 0 or odd.
///
/// # Source
///
/// Dauphin, Fan, Auli & Grangier (2017).
///
/// # Proved by
///
/// `gates_equal_plain_composition`, `gates_gradient_equals_differences`.
pub fn glu(x: &Tensor) -> Result<Tensor> {
    match x.dims().last() {
        Some(&width) if width > 0 && width % 2 == 0 => x.contiguous()?.apply_op1(Glu),
        _ => bail!("gated linear unit: expected [.., 2C > 0], got {:?}", x.dims()),
    }
}

struct Silu;

impl CustomOp1 for Silu {
    fn name(&self) -> &'static str {
        "silu"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        with_float!(s.dtype(), T => {
            let mut y = slice::<T>(s, l)?.to_vec();
            y.par_chunks_mut(TASK).for_each(|y| {
                vectorized(#[inline(always)] |fused| y.iter_mut().for_each(|y| *y = linear::silu(*y, fused).0));
            });
            output(y, l.shape().clone())
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        with_float!(x.dtype(), T => {
            let mut dx = read::<T, _>(g, <[T]>::to_vec)?;
            read::<T, _>(x, |x| {
                dx.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(dx, x)| {
                    vectorized(#[inline(always)] |fused| {
                        for (dx, &x) in dx.iter_mut().zip(x) {
                            *dx *= linear::silu(x, fused).1;
                        }
                    });
                });
            })?;
            like(dx, x)
        })
    }
}

struct Glu;

/// Rows of 2C values that one task computes.
fn rows(width: usize) -> usize {
    (TASK / width).max(1)
}

impl Glu {
    fn forward<T: Real>(x: &[T], width: usize) -> Vec<T> {
        let (c, rows) = (width / 2, rows(width));
        let mut y = vec![T::ZERO; x.len() / 2];
        y.par_chunks_mut(rows * c)
            .zip(x.par_chunks(rows * width))
            .for_each(|(y, x)| {
                vectorized(
                    #[inline(always)]
                    |fused| {
                        for (y, x) in y.chunks_exact_mut(c).zip(x.chunks_exact(width)) {
                            let (a, s) = x.split_at(c);
                            for ((y, &a), &s) in y.iter_mut().zip(a).zip(s) {
                                *y = a * s.sigmoid(fused);
                            }
                        }
                    },
                );
            });
        y
    }

    fn backward<T: Real>(x: &[T], g: &[T], width: usize) -> Vec<T> {
        let (c, rows) = (width / 2, rows(width));
        let mut dx = vec![T::ZERO; x.len()];
        let tasks = dx.par_chunks_mut(rows * width).zip(x.par_chunks(rows * width));
        tasks.zip(g.par_chunks(rows * c)).for_each(|((dx, x), g)| {
            vectorized(
                #[inline(always)]
                |fused| {
                    let rows = dx.chunks_exact_mut(width).zip(x.chunks_exact(width));
                    for ((dx, x), g) in rows.zip(g.chunks_exact(c)) {
                        let ((da, ds), (a, s)) = (dx.split_at_mut(c), x.split_at(c));
                        // One length for all, so that the loop is one of vectors.
                        let (da, ds, a, s, g) = (&mut da[..c], &mut ds[..c], &a[..c], &s[..c], &g[..c]);
                        for i in 0..c {
                            let gate = s[i].sigmoid(fused);
                            da[i] = g[i] * gate;
                            ds[i] = da[i] * a[i] * (T::ONE - gate);
                        }
                    }
                },
            );
        });
        dx
    }
}

impl CustomOp1 for Glu {
    fn name(&self) -> &'static str {
        "glu"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = l.dims().to_vec();
        let last = dims.len() - 1;
        let width = dims[last];
        dims[last] = width / 2;
        with_float!(s.dtype(), T => output(Self::forward::<T>(slice(s, l)?, width), dims))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let width = x.dims()[x.dims().len() - 1];
        with_float!(x.dtype(), T => {
            like(read::<T, _>(x, |x| read::<T, _>(g, |g| Self::backward(x, g, width)))??, x)
        })
    }
}
