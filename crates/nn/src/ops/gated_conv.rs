//! A gated linear unit followed by a depthwise convolution over time.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::Lengths;
use sandhi_core::host::{read, slice};

use super::{Saved, common_dtype, like, output, with_float};
use crate::real::{Real, vectorized};
use crate::sums::sum_in_order;

/// The middle of a Conformer's convolution module, in one pass.
///
/// # Equation
///
/// ```text
/// g_t = a_t σ(s_t),  (a, s) the halves of x;  g_t = 0 outside the utterance
/// y_t = b + Σ_j w_j g_{t+j−⌊K/2⌋}
/// ```
///
/// # Shapes
///
/// * `x`: `[B, T, 2C]`, `weight`: `[K, C]` with K odd, `bias`: `[C]`; returns `[B, T, C]`, zeros in the padding.
///
/// # Errors
///
/// If the shapes or dtypes disagree or K is even.
///
/// # Proved by
///
/// `gated_conv_equals_plain_composition`, `gated_conv_gradient_equals_differences`, `gated_conv_ignores_padding`.
pub fn gated_conv(x: &Tensor, weight: &Tensor, bias: &Tensor, lengths: &Lengths) -> Result<Tensor> {
    let (b, t, c2) = x.dims3()?;
    let (k, c) = weight.dims2()?;
    if c2 != 2 * c || bias.dims() != [c] || k % 2 == 0 || lengths.len() != b || lengths.max() > t {
        bail!(
            "gated convolution: expected x [B, T, 2C], weight [odd K, C], bias [C] and B lengths up to T, got {:?}, {:?}, {:?}, {:?}",
            x.dims(),
            weight.dims(),
            bias.dims(),
            lengths.as_slice()
        );
    }
    let dtype = common_dtype("gated convolution", &[x, weight, bias])?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    with_float!(dtype, T => {
        x.apply_op3(&weight, bias, GatedConv::<T> { lengths: lengths.clone(), gated: Saved::new() })
    })
}

struct GatedConv<T> {
    lengths: Lengths,
    /// g, `[B, T, C]`.
    gated: Saved<Vec<T>>,
}

/// Channels that are kept in registers together.
const LANES: usize = 16;

/// y_t = start + Σ_j w_j g_{t+j−pad} over the first n frames; with `flip` the kernel is reversed (the adjoint).
#[inline(always)]
fn convolve<T: Real>(
    g: &[T],
    w: &[T],
    start: Option<&[T]>,
    y: &mut [T],
    (n, c): (usize, usize),
    flip: bool,
    fused: bool,
) {
    let k = w.len() / c;
    let pad = k / 2;
    for from in (0..c).step_by(LANES) {
        let lanes = LANES.min(c - from);
        for t in 0..n {
            let mut total = [T::ZERO; LANES];
            if let Some(start) = start {
                total[..lanes].copy_from_slice(&start[from..from + lanes]);
            }
            for j in pad.saturating_sub(t)..k.min(n + pad - t) {
                let tap = if flip { k - 1 - j } else { j };
                let (w, g) = (
                    &w[tap * c + from..][..lanes],
                    &g[(t + j - pad) * c + from..][..lanes],
                );
                if lanes == LANES {
                    for i in 0..LANES {
                        total[i] = w[i].fma(g[i], total[i], fused);
                    }
                } else {
                    for i in 0..lanes {
                        total[i] = w[i].fma(g[i], total[i], fused);
                    }
                }
            }
            y[t * c + from..][..lanes].copy_from_slice(&total[..lanes]);
        }
    }
}

/// dw_j ← dw_j + Σ_t dy_t g_{t+j−pad}.
#[inline(always)]
fn add_weight_gradient<T: Real>(dy: &[T], g: &[T], dw: &mut [T], (n, c): (usize, usize), fused: bool) {
    let k = dw.len() / c;
    let pad = k / 2;
    for j in 0..k {
        for from in (0..c).step_by(LANES) {
            let lanes = LANES.min(c - from);
            let mut total = [T::ZERO; LANES];
            for t in pad.saturating_sub(j)..n.min((n + pad).saturating_sub(j)) {
                let (d, g) = (
                    &dy[t * c + from..][..lanes],
                    &g[(t + j - pad) * c + from..][..lanes],
                );
                for i in 0..lanes {
                    total[i] = d[i].fma(g[i], total[i], fused);
                }
            }
            for (dw, &total) in dw[j * c + from..][..lanes].iter_mut().zip(&total) {
                *dw += total;
            }
        }
    }
}

/// The layer on the valid frames of an utterance; leaves g.
pub(crate) fn forward<T: Real>(x: &[T], w: &[T], bias: &[T], g: &mut [T], y: &mut [T]) {
    let c = bias.len();
    vectorized(
        #[inline(always)]
        |fused| {
            for (g, x) in g.chunks_exact_mut(c).zip(x.chunks_exact(2 * c)) {
                let (a, s) = x.split_at(c);
                for ((g, &a), &s) in g.iter_mut().zip(a).zip(s) {
                    *g = a * s.sigmoid(fused);
                }
            }
            convolve(g, w, Some(bias), y, (x.len() / (2 * c), c), false, fused);
        },
    );
}

/// Fills dx; `total` ← `total` + (dw, db).
pub(crate) fn backward<T: Real>(x: &[T], w: &[T], g: &[T], dy: &[T], dx: &mut [T], total: &mut [T]) {
    let c = total.len() - w.len();
    let n = dy.len() / c;
    let mut dg = vec![T::ZERO; n * c];
    let (dw, db) = total.split_at_mut(w.len());
    vectorized(
        #[inline(always)]
        |fused| {
            convolve(dy, w, None, &mut dg, (n, c), true, fused);
            add_weight_gradient(dy, g, dw, (n, c), fused);
            for dy in dy.chunks_exact(c) {
                for (b, &d) in db.iter_mut().zip(dy) {
                    *b += d;
                }
            }
            for ((dx, x), dg) in dx
                .chunks_exact_mut(2 * c)
                .zip(x.chunks_exact(2 * c))
                .zip(dg.chunks_exact(c))
            {
                let ((da, ds), (a, s)) = (dx.split_at_mut(c), x.split_at(c));
                for ((((da, ds), &a), &s), &dg) in da.iter_mut().zip(ds).zip(a).zip(s).zip(dg) {
                    let gate = s.sigmoid(fused);
                    *da = dg * gate;
                    *ds = dg * a * gate * (T::ONE - gate);
                }
            }
        },
    );
}

impl<T: Real> CustomOp3 for GatedConv<T> {
    fn name(&self) -> &'static str {
        "gated-convolution"
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
        let (b, t, c2) = l1.shape().dims3()?;
        let c = c2 / 2;
        let (mut g, mut y) = (vec![T::ZERO; b * t * c], vec![T::ZERO; b * t * c]);
        let rows = y
            .par_chunks_mut(t * c)
            .zip(g.par_chunks_mut(t * c))
            .zip(x.par_chunks(t * c2))
            .enumerate();
        rows.for_each(|(b, ((y, g), x))| {
            let n = self.lengths.get(b);
            forward(&x[..n * c2], w, bias, &mut g[..n * c], &mut y[..n * c]);
        });
        *self.gated.lock() = g;
        output(y, (b, t, c))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, t, c2) = x.dims3()?;
        let c = c2 / 2;
        let k = w.dims()[0];
        let gated = self.gated.lock();
        let compute = |x: &[T], w: &[T], dy: &[T]| {
            let mut dx = vec![T::ZERO; x.len()];
            let rows = dx
                .par_chunks_mut(t * c2)
                .zip(x.par_chunks(t * c2))
                .zip(dy.par_chunks(t * c));
            let parts = rows
                .zip(gated.par_chunks(t * c))
                .enumerate()
                .map(|(b, (((dx, x), dy), g))| {
                    let n = self.lengths.get(b);
                    let mut total = vec![T::ZERO; (k + 1) * c];
                    let (x, g, dy) = (&x[..n * c2], &g[..n * c], &dy[..n * c]);
                    backward(x, w, g, dy, &mut dx[..n * c2], &mut total);
                    total
                });
            let parts: Vec<Vec<T>> = parts.collect();
            (dx, sum_in_order(parts, (k + 1) * c))
        };
        let (dx, total) = read::<T, _>(x, |x| {
            read::<T, _>(w, |w| read::<T, _>(dy, |dy| compute(x, w, dy)))
        })???;
        let (dw, db) = total.split_at(k * c);
        Ok((like(dx, x)?, like(dw.to_vec(), w)?, like(db.to_vec(), bias)?))
    }
}
