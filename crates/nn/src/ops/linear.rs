//! y = activation(x Wᵀ + b).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::{Activation, Saved, common_dtype, like, output, with_float};
use crate::gemm::{View, column_sums, multiply_parallel};
use crate::real::{Real, vectorized};

/// An affine map of the last dimension, with the activation in the same pass.
///
/// # Equation
///
/// ```text
/// y = f(x Wᵀ + b),  f(z) = z or z σ(z)
/// ```
///
/// # Shapes
///
/// * `x`: `[.., K]`, `weight`: `[N, K]`, `bias`: `[N]`; returns `[.., N]`.
///
/// # Errors
///
/// If the widths or dtypes disagree.
///
/// # Proved by
///
/// `linear_equals_plain_composition`, `linear_gradient_equals_differences`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let (n, k) = weight.dims2()?;
    if x.dims().last() != Some(&k) || bias.dims() != [n] {
        bail!(
            "linear: expected x [.., {k}] and bias [{n}], got {:?} and {:?}",
            x.dims(),
            bias.dims()
        );
    }
    let dtype = common_dtype("linear", &[x, weight, bias])?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    with_float!(dtype, T => x.apply_op3(&weight, bias, Linear::<T> { activation, before: Saved::new() }))
}

struct Linear<T> {
    activation: Activation,
    /// The values before the activation.
    before: Saved<Vec<T>>,
}

const CHUNK: usize = 16_384;

impl<T: Real> CustomOp3 for Linear<T> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let (n, k) = l2.shape().dims2()?;
        let rows = x.len() / k;
        let mut y = Vec::with_capacity(rows * n);
        for _ in 0..rows {
            y.extend_from_slice(b);
        }
        multiply_parallel(
            &mut y,
            true,
            View::new(x, rows, k),
            View::new(w, n, k).t(),
            T::ONE,
        );
        let mut dims = l1.dims().to_vec();
        dims[l1.dims().len() - 1] = n;
        if self.activation == Activation::Silu {
            let mut after = vec![T::ZERO; y.len()];
            after
                .par_chunks_mut(CHUNK)
                .zip(y.par_chunks(CHUNK))
                .for_each(|(after, before)| {
                    vectorized(
                        #[inline(always)]
                        |fused| {
                            for (a, &z) in after.iter_mut().zip(before) {
                                *a = z * z.sigmoid(fused);
                            }
                        },
                    )
                });
            *self.before.lock() = y;
            y = after;
        }
        output(y, dims)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (n, k) = w.dims2()?;
        let rows = x.elem_count() / k;
        let before = self.before.lock();
        let compute = |x: &[T], w: &[T], g: &[T]| {
            let dz: std::borrow::Cow<'_, [T]> = match self.activation {
                Activation::Identity => g.into(),
                Activation::Silu => silu_gradient(&before, g).into(),
            };
            let db = column_sums(&dz, n);
            let mut dw = vec![T::ZERO; n * k];
            multiply_parallel(
                &mut dw,
                false,
                View::new(&dz, rows, n).t(),
                View::new(x, rows, k),
                T::ONE,
            );
            (db, dw, dx_of(&dz, w, rows, n, k))
        };
        fn dx_of<T: Real>(dz: &[T], w: &[T], rows: usize, n: usize, k: usize) -> Vec<T> {
            let mut dx = vec![T::ZERO; rows * k];
            multiply_parallel(&mut dx, false, View::new(dz, rows, n), View::new(w, n, k), T::ONE);
            dx
        }
        let (db, dw, dx) = read::<T, _>(x, |x| read::<T, _>(w, |w| read::<T, _>(g, |g| compute(x, w, g))))???;
        Ok((like(dx, x)?, like(dw, w)?, like(db, b)?))
    }
}

/// g · d(z σ(z))/dz = g σ(z) (1 + z (1 − σ(z))).
fn silu_gradient<T: Real>(before: &[T], g: &[T]) -> Vec<T> {
    let mut dz = vec![T::ZERO; g.len()];
    dz.par_chunks_mut(CHUNK)
        .zip(before.par_chunks(CHUNK))
        .zip(g.par_chunks(CHUNK))
        .for_each(|((dz, z), g)| {
            vectorized(
                #[inline(always)]
                |fused| {
                    for ((d, &z), &g) in dz.iter_mut().zip(z).zip(g) {
                        let s = z.sigmoid(fused);
                        *d = g * s * (T::ONE + z * (T::ONE - s));
                    }
                },
            )
        });
    dz
}
