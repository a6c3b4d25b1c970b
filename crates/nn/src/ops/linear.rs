//! y = activation(x Wᵀ + b).

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::dropout::Mask;
use super::{Activation, Saved, common_dtype, like, output, with_float};
use crate::matmul::{BLOCK, Finish, Matrix, Packed, multiply, multiply_parallel};
use crate::real::{Real, vectorized};
use crate::sums::column_sums;

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
    with_float!(dtype, T => x.apply_op3(&weight, bias, Linear::<T> { activation, slope: Saved::new() }))
}

struct Linear<T> {
    activation: Activation,
    /// dy/dz of every element, if there is an activation.
    slope: Saved<Vec<T>>,
}

/// What follows the product while it is in cache: the bias, the activation, dropout.
pub(crate) struct After<'a, T> {
    pub(crate) bias: &'a [T],
    /// x σ(x) is applied if there is room for its derivative, `[rows, N]`.
    pub(crate) slope: Option<&'a mut [T]>,
    /// Dropout after the activation, and at which index of the whole tensor each row starts.
    pub(crate) mask: Option<(Mask, &'a [u32])>,
}

impl<T: Real> Finish<T> for After<'_, T> {
    #[inline(always)]
    fn finish(&mut self, row: usize, column: usize, values: &mut [T], fused: bool) {
        for (v, &b) in values.iter_mut().zip(&self.bias[column..]) {
            *v += b;
        }
        let Some(slope) = &mut self.slope else { return };
        let slope = &mut slope[row * self.bias.len() + column..][..values.len()];
        for (v, d) in values.iter_mut().zip(slope.iter_mut()) {
            (*v, *d) = silu(*v, fused);
        }
        if let Some((mask, starts)) = self.mask {
            let start = starts[row].wrapping_add(column as u32);
            for (i, (v, d)) in values.iter_mut().zip(slope).enumerate() {
                let factor = mask.factor::<T>(start.wrapping_add(i as u32));
                *v *= factor;
                *d *= factor;
            }
        }
    }
}

/// z σ(z) and its derivative σ(z) (1 + z (1 − σ(z))).
#[inline(always)]
pub(crate) fn silu<T: Real>(z: T, fused: bool) -> (T, T) {
    let s = z.sigmoid(fused);
    (z * s, s * (T::ONE + z * (T::ONE - s)))
}

/// y ← x · y.
pub(crate) fn scale_by<T: Real>(x: &[T], y: &mut [T]) {
    vectorized(
        #[inline(always)]
        |_| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y *= x;
            }
        },
    );
}

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
        let (x, w, bias) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let (n, k) = l2.shape().dims2()?;
        let rows = x.len() / k;
        let weight = Packed::new(Matrix::new(w, n, k).t());
        let mut y = vec![T::ZERO; rows * n];
        let mut slope = match self.activation {
            Activation::Identity => Vec::new(),
            Activation::Silu => vec![T::ZERO; rows * n],
        };
        let blocks = y.par_chunks_mut(BLOCK * n).zip(x.par_chunks(BLOCK * k));
        let block = |(y, x): (&mut [T], &[T]), slope: Option<&mut [T]>| {
            let x = Matrix::new(x, x.len() / k, k);
            let after = After {
                bias,
                slope,
                mask: None,
            };
            multiply(y, n, false, x, &weight, T::ONE, after);
        };
        match self.activation {
            Activation::Identity => blocks.for_each(|part| block(part, None)),
            Activation::Silu => blocks
                .zip(slope.par_chunks_mut(BLOCK * n))
                .for_each(|(part, slope)| block(part, Some(slope))),
        }
        *self.slope.lock() = slope;
        let mut dims = l1.dims().to_vec();
        dims[l1.dims().len() - 1] = n;
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
        let slope = self.slope.lock();
        let compute = |x: &[T], w: &[T], g: &[T]| {
            let mut dz = std::borrow::Cow::Borrowed(g);
            if self.activation == Activation::Silu {
                let dz = dz.to_mut().par_chunks_mut(CHUNK);
                dz.zip(slope.par_chunks(CHUNK))
                    .for_each(|(dz, slope)| scale_by(slope, dz));
            }
            let (mut dw, mut dx) = (vec![T::ZERO; n * k], vec![T::ZERO; rows * k]);
            let dz = Matrix::new(&dz, rows, n);
            multiply_parallel(&mut dw, false, dz.t(), &Packed::new(Matrix::new(x, rows, k)));
            multiply_parallel(&mut dx, false, dz, &Packed::new(Matrix::new(w, n, k)));
            (column_sums(dz.data(), n), dw, dx)
        };
        let (db, dw, dx) = read::<T, _>(x, |x| read::<T, _>(w, |w| read::<T, _>(g, |g| compute(x, w, g))))???;
        Ok((like(dx, x)?, like(dw, w)?, like(db, b)?))
    }
}

const CHUNK: usize = 16_384;
