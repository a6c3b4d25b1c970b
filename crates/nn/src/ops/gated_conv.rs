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
/// y_t = b + Σ_{j<K} w_j g_{t+j−left}
/// ```
///
/// # Shapes
///
/// * `x`: `[B, T, 2C]`, `weight`: `[K, C]`, `bias`: `[C]`; returns `[B, T, C]`, zeros in the padding.
/// * `left`: how many of the K frames lie before frame t: ⌊K/2⌋ for a symmetric kernel, K − 1 for a causal one.
///
/// # Errors
///
/// If the shapes or dtypes disagree or `left` is not below K.
///
/// # Proved by
///
/// `gated_conv_equals_plain_composition`, `gated_conv_gradient_equals_differences`, `gated_conv_ignores_padding`.
pub fn gated_conv(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    left: usize,
    lengths: &Lengths,
) -> Result<Tensor> {
    let (b, t, c2) = x.dims3()?;
    let (k, c) = weight.dims2()?;
    if c2 != 2 * c || bias.dims() != [c] || left >= k || lengths.len() != b || lengths.max() > t {
        bail!(
            "gated convolution: expected x [B, T, 2C], weight [K > {left}, C], bias [C] and B lengths up to T, got {:?}, {:?}, {:?}, {:?}",
            x.dims(),
            weight.dims(),
            bias.dims(),
            lengths.as_slice()
        );
    }
    let dtype = common_dtype("gated convolution", &[x, weight, bias])?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    with_float!(dtype, T => {
        x.apply_op3(&weight, bias, GatedConv::<T> { left, lengths: lengths.clone(), gated: Saved::new() })
    })
}

struct GatedConv<T> {
    left: usize,
    lengths: Lengths,
    /// g, `[B, T, C]`.
    gated: Saved<Vec<T>>,
}

/// Channels that are kept in registers together.
const LANES: usize = 16;
/// Sums that are kept in registers together.
const AT_ONCE: usize = 4;

/// Sixteen channels of every frame, with frames of zeros before and after, and some more at the end: whoever reads
/// [`AT_ONCE`] frames at once reads no further.
#[inline(always)]
fn strip<T: Real>(x: &[T], (c, from): (usize, usize), (before, after): (usize, usize)) -> Vec<[T; LANES]> {
    let n = x.len() / c;
    let lanes = LANES.min(c - from);
    let mut strip = vec![[T::ZERO; LANES]; before + n + after + AT_ONCE];
    for (to, x) in strip[before..].iter_mut().zip(x.chunks_exact(c)) {
        if lanes == LANES {
            to.copy_from_slice(&x[from..][..LANES]);
        } else {
            to[..lanes].copy_from_slice(&x[from..][..lanes]);
        }
    }
    strip
}

/// total ← total + x y.
#[inline(always)]
fn add<T: Real>(total: &mut [T; LANES], x: &[T; LANES], y: &[T; LANES], fused: bool) {
    for i in 0..LANES {
        total[i] = x[i].fma(y[i], total[i], fused);
    }
}

/// y_t = start + Σ_j w_j g_{t+j}, all of them strips, several frames at a time: their sums do not wait for one another.
#[inline(always)]
fn correlate<T: Real>(
    g: &[[T; LANES]],
    w: &[[T; LANES]],
    start: [T; LANES],
    y: &mut [T],
    (c, from): (usize, usize),
    fused: bool,
) {
    let lanes = LANES.min(c - from);
    for (block, y) in y.chunks_mut(AT_ONCE * c).enumerate() {
        let g = &g[AT_ONCE * block..][..w.len() + AT_ONCE];
        // One by one: an array of sums would lie in memory.
        let (mut first, mut second, mut third, mut fourth) = (start, start, start, start);
        for (w, g) in w.iter().zip(g.windows(AT_ONCE)) {
            add(&mut first, w, &g[0], fused);
            add(&mut second, w, &g[1], fused);
            add(&mut third, w, &g[2], fused);
            add(&mut fourth, w, &g[3], fused);
        }
        for (y, total) in y.chunks_exact_mut(c).zip([first, second, third, fourth]) {
            y[from..][..lanes].copy_from_slice(&total[..lanes]);
        }
    }
}

/// dw_j ← dw_j + Σ_t dy_t g_{t+j}, several taps at a time.
#[inline(always)]
fn add_weight_gradient<T: Real>(
    dy: &[[T; LANES]],
    g: &[[T; LANES]],
    dw: &mut [T],
    (c, from): (usize, usize),
    fused: bool,
) {
    let lanes = LANES.min(c - from);
    for (block, dw) in dw.chunks_mut(AT_ONCE * c).enumerate() {
        let zero = [T::ZERO; LANES];
        let (mut first, mut second, mut third, mut fourth) = (zero, zero, zero, zero);
        for (dy, g) in dy.iter().zip(g[AT_ONCE * block..].windows(AT_ONCE)) {
            add(&mut first, dy, &g[0], fused);
            add(&mut second, dy, &g[1], fused);
            add(&mut third, dy, &g[2], fused);
            add(&mut fourth, dy, &g[3], fused);
        }
        for (dw, total) in dw.chunks_exact_mut(c).zip([first, second, third, fourth]) {
            for (dw, &total) in dw[from..][..lanes].iter_mut().zip(&total) {
                *dw += total;
            }
        }
    }
}

/// The layer on the valid frames of an utterance; leaves g.
pub(crate) fn forward<T: Real>(x: &[T], w: &[T], bias: &[T], left: usize, g: &mut [T], y: &mut [T]) {
    let c = bias.len();
    let taps = w.len() / c;
    let right = taps - 1 - left;
    vectorized(
        #[inline(always)]
        |fused| {
            for (g, x) in g.chunks_exact_mut(c).zip(x.chunks_exact(2 * c)) {
                let (a, s) = x.split_at(c);
                for ((g, &a), &s) in g.iter_mut().zip(a).zip(s) {
                    *g = a * s.sigmoid(fused);
                }
            }
            for from in (0..c).step_by(LANES) {
                let at = (c, from);
                let (g, w) = (strip(g, at, (left, right)), strip(w, at, (0, 0)));
                let start = strip(bias, at, (0, 0))[0];
                correlate(&g, &w[..taps], start, y, at, fused);
            }
        },
    );
}

/// Fills dx; `total` ← `total` + (dw, db).
pub(crate) fn backward<T: Real>(
    x: &[T],
    w: &[T],
    left: usize,
    g: &[T],
    dy: &[T],
    dx: &mut [T],
    total: &mut [T],
) {
    let c = total.len() - w.len();
    let n = dy.len() / c;
    let taps = w.len() / c;
    let right = taps - 1 - left;
    let mut dg = vec![T::ZERO; n * c];
    let (dw, db) = total.split_at_mut(w.len());
    vectorized(
        #[inline(always)]
        |fused| {
            for from in (0..c).step_by(LANES) {
                let at = (c, from);
                let (g, mut w) = (strip(g, at, (left, right)), strip(w, at, (0, 0)));
                // The adjoint looks the other way, with the taps in reverse.
                let dy = strip(dy, at, (right, left));
                add_weight_gradient(&dy[right..right + n], &g, dw, at, fused);
                w[..taps].reverse();
                correlate(&dy, &w[..taps], [T::ZERO; LANES], &mut dg, at, fused);
            }
            for dy in dy.chunks_exact(c) {
                for (b, &d) in db.iter_mut().zip(dy) {
                    *b += d;
                }
            }
            let rows = dx.chunks_exact_mut(2 * c).zip(x.chunks_exact(2 * c));
            for ((dx, x), dg) in rows.zip(dg.chunks_exact(c)) {
                let ((da, ds), (a, s)) = (dx.split_at_mut(c), x.split_at(c));
                gate_gradient(dg, a, s, da, ds, fused);
            }
        },
    );
}

/// The gradients of a σ(s).
#[inline(always)]
fn gate_gradient<T: Real>(dg: &[T], a: &[T], s: &[T], da: &mut [T], ds: &mut [T], fused: bool) {
    // By index: a zip of five does not vectorise.
    for i in 0..dg.len() {
        let gate = s[i].sigmoid(fused);
        da[i] = dg[i] * gate;
        ds[i] = dg[i] * a[i] * gate * (T::ONE - gate);
    }
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
            forward(&x[..n * c2], w, bias, self.left, &mut g[..n * c], &mut y[..n * c]);
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
                    backward(x, w, self.left, g, dy, &mut dx[..n * c2], &mut total);
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
