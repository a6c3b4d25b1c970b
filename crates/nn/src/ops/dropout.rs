//! Dropout whose mask is a function of a key, and the residual sum that uses it.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::{common_dtype, like, output, with_float};
use crate::real::{Real, vectorized};

/// Zeroes each element with probability `rate` and divides the rest by 1 − rate.
///
/// The mask is a hash of (key, index): it is not stored, the backward pass draws it again.
///
/// # Errors
///
/// Unless 0 ≤ rate < 1.
///
/// # Proved by
///
/// `dropout_keeps_the_mean_and_its_rate`, `dropout_gradient_equals_differences`.
pub fn dropout(x: &Tensor, rate: f64, key: Option<u64>) -> Result<Tensor> {
    match key {
        Some(key) if rate > 0.0 => x.contiguous()?.apply_op1(Dropout(Mask::new(rate, key)?)),
        _ => Ok(x.clone()),
    }
}

/// x + scale · dropout(z): a residual connection in one pass.
///
/// # Errors
///
/// If the shapes or dtypes disagree, or unless 0 ≤ rate < 1.
///
/// # Proved by
///
/// `residual_gradient_equals_differences`.
pub fn add_dropped(x: &Tensor, z: &Tensor, scale: f64, rate: f64, key: Option<u64>) -> Result<Tensor> {
    if x.dims() != z.dims() {
        bail!("residual: expected {:?}, got {:?}", x.dims(), z.dims());
    }
    common_dtype("residual", &[x, z])?;
    let mask = match key {
        Some(key) if rate > 0.0 => Some(Mask::new(rate, key)?),
        _ => None,
    };
    x.contiguous()?
        .apply_op2(&z.contiguous()?, Residual { scale, mask })
}

/// Which elements of a tensor stay.
#[derive(Clone, Copy)]
pub(crate) struct Mask {
    key: (u32, u32),
    threshold: u32,
    keep: f64,
}

const CHUNK: usize = 16_384;

impl Mask {
    pub(crate) fn new(rate: f64, key: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            bail!("dropout: expected a rate in 0..1, got {rate}");
        }
        let threshold = (rate * 4_294_967_296.0) as u32;
        Ok(Self {
            key: (key as u32, (key >> 32) as u32),
            threshold,
            keep: 1.0 - rate,
        })
    }

    /// Whether element `index` stays: two rounds of a 32-bit mixer, cheap enough to draw twice and easy to vectorise.
    #[inline(always)]
    fn stays(self, index: u32) -> bool {
        let mut h = index.wrapping_mul(0x9E37_79B1) ^ self.key.0;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B) ^ self.key.1;
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        (h ^ (h >> 16)) >= self.threshold
    }

    /// What element `index` is multiplied by: 0, or 1 / keep.
    #[inline(always)]
    pub(crate) fn factor<T: Real>(self, index: u32) -> T {
        if self.stays(index) {
            T::of(1.0 / self.keep)
        } else {
            T::ZERO
        }
    }
}

/// y ← scale · mask · x, a stretch of a tensor that starts at index `start`.
pub(crate) fn masked<T: Real>(x: &[T], y: &mut [T], scale: f64, mask: Option<Mask>, start: u32) {
    let scale = T::of(scale);
    vectorized(
        #[inline(always)]
        |_| match mask {
            None => {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = scale * x;
                }
            }
            Some(mask) => {
                for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    *y = scale * x * mask.factor::<T>(start.wrapping_add(i as u32));
                }
            }
        },
    );
}

/// z ← x + scale · mask · z, a stretch of a tensor that starts at index `start`.
pub(crate) fn add_masked<T: Real>(x: &[T], z: &mut [T], scale: f64, mask: Option<Mask>, start: u32) {
    let scale = T::of(scale);
    vectorized(
        #[inline(always)]
        |_| match mask {
            None => {
                for (z, &x) in z.iter_mut().zip(x) {
                    *z = x + scale * *z;
                }
            }
            Some(mask) => {
                for (i, (z, &x)) in z.iter_mut().zip(x).enumerate() {
                    *z = x + scale * *z * mask.factor::<T>(start.wrapping_add(i as u32));
                }
            }
        },
    );
}

/// Runs `f` on pieces of y and x side by side, with the index at which each starts.
fn in_chunks<T: Real>(x: &[T], y: &mut [T], f: impl Fn(&[T], &mut [T], u32) + Sync) {
    let pieces = y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).enumerate();
    pieces.for_each(|(chunk, (y, x))| f(x, y, (chunk * CHUNK) as u32));
}

struct Dropout(Mask);

impl Dropout {
    fn apply<T: Real>(&self, x: &[T]) -> Vec<T> {
        let mut y = vec![T::ZERO; x.len()];
        in_chunks(x, &mut y, |x, y, start| masked(x, y, 1.0, Some(self.0), start));
        y
    }
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        with_float!(s.dtype(), T => output(self.apply::<T>(slice(s, l)?), l.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        with_float!(x.dtype(), T => like(read::<T, _>(g, |g| self.apply(g))?, x))
    }
}

struct Residual {
    scale: f64,
    mask: Option<Mask>,
}

impl CustomOp2 for Residual {
    fn name(&self) -> &'static str {
        "residual"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_float!(s1.dtype(), T => {
            let mut y = slice::<T>(s2, l2)?.to_vec();
            let add = |x: &[T], z: &mut [T], start| add_masked(x, z, self.scale, self.mask, start);
            in_chunks(slice::<T>(s1, l1)?, &mut y, add);
            output(y, l1.shape().clone())
        })
    }

    fn bwd(
        &self,
        _: &Tensor,
        z: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dz = with_float!(z.dtype(), T => {
            let mut dz = vec![T::ZERO; z.elem_count()];
            let spread = |g: &[T], dz: &mut [T], start| masked(g, dz, self.scale, self.mask, start);
            read::<T, _>(g, |g| in_chunks(g, &mut dz, spread))?;
            like(dz, z)?
        });
        Ok((Some(g.clone()), dz))
    }
}
