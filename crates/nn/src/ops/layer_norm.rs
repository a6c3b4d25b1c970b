//! Layer normalisation over the last dimension.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::{Activation, Saved, common_dtype, like, output, with_float};
use crate::real::{Real, dot, sum, vectorized};
use crate::sums::sum_in_order;

/// Normalises each vector to mean 0 and variance 1, then scales and shifts it.
///
/// # Equation
///
/// ```text
/// y = f((x − mean) / √(variance + 1e-5) · w + b),  f(z) = z or z σ(z)
/// ```
///
/// # Shapes
///
/// * `x`: `[.., D]`, `weight` and `bias`: `[D]`; returns the shape of `x`.
///
/// # Errors
///
/// If the widths or dtypes disagree.
///
/// # Source
///
/// Ba, Kiros and Hinton 2016, arXiv:1607.06450.
///
/// # Proved by
///
/// `layer_norm_equals_plain_composition`, `layer_norm_gradient_equals_differences`.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    let d = weight.elem_count();
    if x.dims().last() != Some(&d) || bias.dims() != [d] {
        bail!(
            "layer norm: expected x [.., {d}] and bias [{d}], got {:?} and {:?}",
            x.dims(),
            bias.dims()
        );
    }
    let dtype = common_dtype("layer norm", &[x, weight, bias])?;
    with_float!(dtype, T => x.contiguous()?.apply_op3(weight, bias, LayerNorm::<T> { activation, stats: Saved::new() }))
}

struct LayerNorm<T> {
    activation: Activation,
    /// (mean, 1 / standard deviation) of each vector.
    stats: Saved<Vec<(T, T)>>,
}

const ROWS: usize = 64;

impl<T: Real> CustomOp3 for LayerNorm<T> {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        let d = w.len();
        let silu = self.activation == Activation::Silu;
        let mut y = vec![T::ZERO; x.len()];
        let mut stats = vec![(T::ZERO, T::ZERO); x.len() / d];
        let rows = y
            .par_chunks_mut(d * ROWS)
            .zip(x.par_chunks(d * ROWS))
            .zip(stats.par_chunks_mut(ROWS));
        rows.for_each(|((y, x), stats)| {
            normalize(x, w, b, silu, y, stats);
        });
        *self.stats.lock() = stats;
        output(y, l1.shape().clone())
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let d = w.elem_count();
        let stats = self.stats.lock();
        let silu = self.activation == Activation::Silu;
        let compute = |x: &[T], w: &[T], b: &[T], g: &[T]| {
            let mut dx = vec![T::ZERO; x.len()];
            let rows = dx
                .par_chunks_mut(d * ROWS)
                .zip(x.par_chunks(d * ROWS))
                .zip(g.par_chunks(d * ROWS));
            let parts = rows.zip(stats.par_chunks(ROWS)).map(|(((dx, x), g), stats)| {
                let mut total = vec![T::ZERO; 2 * d];
                add_gradient(dx, x, g, stats, w, b, silu, &mut total);
                total
            });
            let parts: Vec<Vec<T>> = parts.collect();
            (dx, sum_in_order(parts, 2 * d))
        };
        let (dx, dwb) = read::<T, _>(x, |x| {
            read::<T, _>(w, |w| {
                read::<T, _>(b, |b| read::<T, _>(g, |g| compute(x, w, b, g)))
            })
        })????;
        Ok((
            like(dx, x)?,
            like(dwb[..d].to_vec(), w)?,
            like(dwb[d..].to_vec(), b)?,
        ))
    }
}

/// The layer on a block of rows; leaves (mean, 1 / standard deviation) of each.
pub(crate) fn normalize<T: Real>(x: &[T], w: &[T], b: &[T], silu: bool, y: &mut [T], stats: &mut [(T, T)]) {
    let d = w.len();
    let scale = T::ONE / T::of(d as f64);
    vectorized(
        #[inline(always)]
        |fused| {
            // Sums of several rows side by side: those of one row wait for each other.
            let rows = || x.chunks_exact(d);
            for (stat, x) in stats.iter_mut().zip(rows()) {
                stat.0 = sum(x) * scale;
            }
            for ((y, x), stat) in y.chunks_exact_mut(d).zip(rows()).zip(&mut *stats) {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x - stat.0;
                }
                stat.1 = T::ONE / (dot(y, y, fused) * scale + T::of(1e-5)).sqrt();
            }
            for (y, stat) in y.chunks_exact_mut(d).zip(stats) {
                for ((y, &w), &b) in y.iter_mut().zip(w).zip(b) {
                    let z = *y * stat.1 * w + b;
                    *y = if silu { z * z.sigmoid(fused) } else { z };
                }
            }
        },
    );
}

/// dx ← dx + (h − mean(h) − x̂ mean(h x̂)) / σ with x̂ the normalised vector and h = g·w; `total` ← `total` + (dw, db).
#[allow(clippy::too_many_arguments)]
pub(crate) fn add_gradient<T: Real>(
    dx: &mut [T],
    x: &[T],
    g: &[T],
    stats: &[(T, T)],
    w: &[T],
    b: &[T],
    silu: bool,
    total: &mut [T],
) {
    let d = w.len();
    let scale = T::ONE / T::of(d as f64);
    let (dw, db) = total.split_at_mut(d);
    let (mut hat, mut h) = (vec![T::ZERO; d], vec![T::ZERO; d]);
    vectorized(
        #[inline(always)]
        |fused| {
            // Slices of one length, so that no index is checked.
            let (w, b) = (&w[..d], &b[..d]);
            let (dw, db, hat, h) = (&mut dw[..d], &mut db[..d], &mut hat[..d], &mut h[..d]);
            for (((dx, x), g), &(mean, inverse)) in dx
                .chunks_exact_mut(d)
                .zip(x.chunks_exact(d))
                .zip(g.chunks_exact(d))
                .zip(stats)
            {
                let g = &g[..d];
                for (hat, &x) in hat.iter_mut().zip(x) {
                    *hat = (x - mean) * inverse;
                }
                for i in 0..d {
                    let mut slope = g[i];
                    if silu {
                        let z = hat[i] * w[i] + b[i];
                        let s = z.sigmoid(fused);
                        slope = slope * s * (T::ONE + z * (T::ONE - s));
                    }
                    dw[i] += slope * hat[i];
                    db[i] += slope;
                    h[i] = slope * w[i];
                }
                let (m1, m2) = (sum(h) * scale, dot(h, hat, fused) * scale);
                for ((dx, &h), &hat) in dx.iter_mut().zip(h.iter()).zip(hat.iter()) {
                    *dx += (h - m1 - hat * m2) * inverse;
                }
            }
        },
    );
}
