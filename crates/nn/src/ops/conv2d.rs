//! A 3×3 convolution with stride 2 over time and frequency.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::linear::After;
use super::{Saved, common_dtype, like, output, with_float};
use crate::matmul::{Matrix, Packed, Plain, multiply, product};
use crate::real::{Real, vectorized};
use crate::sums::sum_in_order;

const KERNEL: usize = 3;
const STRIDE: usize = 2;
/// Patches that a product has at least, if there are as many.
const PATCHES: usize = 128;

/// The extent along a dimension of `n` after one [`conv2d`]: ⌊(n − 3) / 2⌋ + 1, or 0 below 3.
pub fn conv2d_output(n: usize) -> usize {
    if n < KERNEL { 0 } else { (n - KERNEL) / STRIDE + 1 }
}

/// Halves time and frequency; the subsampling of a speech encoder. SiLU follows in the same pass.
///
/// # Equation
///
/// ```text
/// y(t, f) = silu(b + Σ_{i,j<3} W_{ij} x(2t + i, 2f + j))
/// ```
///
/// No padding: an output frame reads only frames 2t .. 2t+2, so valid frames never see the padding behind them.
///
/// # Shapes
///
/// * `x`: `[B, T, F, C]`, `weight`: `[N, 9C]` in the order (i, j, channel), `bias`: `[N]`.
/// * returns `[B, T', F', N]` with extents by [`conv2d_output`].
///
/// # Errors
///
/// If the shapes or dtypes disagree, or T or F is below 3.
///
/// # Proved by
///
/// `conv2d_equals_plain_loops`, `conv2d_gradient_equals_differences`.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (_, t, f, c) = x.dims4()?;
    let (n, k) = weight.dims2()?;
    if k != KERNEL * KERNEL * c || bias.dims() != [n] || t < KERNEL || f < KERNEL {
        bail!(
            "conv2d: expected x [B, T>=3, F>=3, C], weight [N, 9C], bias [N], got {:?}, {:?}, {:?}",
            x.dims(),
            weight.dims(),
            bias.dims()
        );
    }
    let dtype = common_dtype("conv2d", &[x, weight, bias])?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    with_float!(dtype, T => x.apply_op3(&weight, bias, Conv2d::<T> { slope: Saved::new() }))
}

struct Conv2d<T> {
    /// dy/dz of every element.
    slope: Saved<Vec<T>>,
}

/// Extents of one utterance's planes.
#[derive(Clone, Copy)]
struct Plane {
    t: usize,
    f: usize,
    c: usize,
    n: usize,
}

impl Plane {
    fn rows(self) -> usize {
        conv2d_output(self.t)
    }

    fn columns(self) -> usize {
        conv2d_output(self.f)
    }

    fn taps(self) -> usize {
        KERNEL * KERNEL * self.c
    }

    /// Output rows that are computed together: enough patches for a matrix product to be fast.
    fn group(self) -> usize {
        PATCHES.div_ceil(self.columns())
    }

    /// The input patches of output rows from `t` on, `[rows · F', 9C]`. A patch is three runs of 3C adjacent values.
    fn patches<T: Real>(self, x: &[T], t: usize, to: &mut [T]) {
        let run = KERNEL * self.c;
        for (patch, to) in to.chunks_exact_mut(self.taps()).enumerate() {
            let (t, f) = (t + patch / self.columns(), patch % self.columns());
            for (i, part) in to.chunks_exact_mut(run).enumerate() {
                let from = &x[((STRIDE * t + i) * self.f + STRIDE * f) * self.c..][..run];
                if self.c == 1 {
                    // Three values: a call to copy them would cost more than they do.
                    for (to, &v) in part.iter_mut().zip(from) {
                        *to = v;
                    }
                } else {
                    part.copy_from_slice(from);
                }
            }
        }
    }

    /// Adds patch gradients back to where the patches were read.
    fn scatter<T: Real>(self, patches: &[T], t: usize, dx: &mut [T]) {
        let run = KERNEL * self.c;
        for (patch, from) in patches.chunks_exact(self.taps()).enumerate() {
            let (t, f) = (t + patch / self.columns(), patch % self.columns());
            for (i, part) in from.chunks_exact(run).enumerate() {
                let to = &mut dx[((STRIDE * t + i) * self.f + STRIDE * f) * self.c..][..run];
                for (to, &v) in to.iter_mut().zip(part) {
                    *to += v;
                }
            }
        }
    }
}

fn plane(x: &[usize], n: usize) -> Plane {
    Plane {
        t: x[1],
        f: x[2],
        c: x[3],
        n,
    }
}

impl<T: Real> CustomOp3 for Conv2d<T> {
    fn name(&self) -> &'static str {
        "conv2d"
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
        let p = plane(l1.dims(), l2.dims()[0]);
        let (batch, plane_in, plane_out) = (l1.dims()[0], p.t * p.f * p.c, p.rows() * p.columns() * p.n);
        let weight = Packed::new(Matrix::new(w, p.n, p.taps()).t());
        let mut slope = vec![T::ZERO; batch * plane_out];
        let mut y = slope.clone();
        let group = p.group() * p.columns() * p.n;
        let planes = slope
            .par_chunks_mut(plane_out)
            .zip(y.par_chunks_mut(plane_out))
            .zip(x.par_chunks(plane_in));
        planes.for_each(|((slope, y), x)| {
            let mut patches = vec![T::ZERO; p.group() * p.columns() * p.taps()];
            for (i, (slope, y)) in slope.chunks_mut(group).zip(y.chunks_mut(group)).enumerate() {
                let patches = &mut patches[..y.len() / p.n * p.taps()];
                p.patches(x, i * p.group(), patches);
                let patches = Matrix::new(patches, y.len() / p.n, p.taps());
                let after = After {
                    bias,
                    slope: Some(slope),
                    mask: None,
                };
                multiply(y, p.n, false, patches, &weight, T::ONE, after);
            }
        });
        *self.slope.lock() = slope;
        output(y, (batch, p.rows(), p.columns(), p.n))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let p = plane(x.dims(), w.dims()[0]);
        let (plane_in, plane_out) = (p.t * p.f * p.c, p.rows() * p.columns() * p.n);
        let slope = self.slope.lock();
        // The features themselves are constants, so the first layer's input gradient is not computed.
        let tracked = x.track_op();
        let group = p.group() * p.columns() * p.n;
        let compute = |x: &[T], w: &[T], g: &[T]| {
            let weight = Packed::new(Matrix::new(w, p.n, p.taps()));
            let mut dx = vec![T::ZERO; x.len()];
            let rows = dx
                .par_chunks_mut(plane_in)
                .zip(x.par_chunks(plane_in))
                .zip(g.par_chunks(plane_out));
            let parts = rows
                .zip(slope.par_chunks(plane_out))
                .map(|(((dx, x), g), slope)| {
                    let mut total = vec![T::ZERO; p.n * p.taps() + p.n];
                    let (dw, db) = total.split_at_mut(p.n * p.taps());
                    let mut patches = vec![T::ZERO; p.group() * p.columns() * p.taps()];
                    let mut dz = vec![T::ZERO; group];
                    let mut room = Packed::room();
                    for (i, (g, slope)) in g.chunks(group).zip(slope.chunks(group)).enumerate() {
                        let rows = g.len() / p.n;
                        let (dz, patches) = (&mut dz[..g.len()], &mut patches[..rows * p.taps()]);
                        vectorized(
                            #[inline(always)]
                            |_| {
                                for ((d, &g), &slope) in dz.iter_mut().zip(g).zip(slope) {
                                    *d = g * slope;
                                }
                                for dz in dz.chunks_exact(p.n) {
                                    for (b, &d) in db.iter_mut().zip(dz) {
                                        *b += d;
                                    }
                                }
                            },
                        );
                        p.patches(x, i * p.group(), patches);
                        let dz = Matrix::new(dz, rows, p.n);
                        let read = Matrix::new(patches, rows, p.taps());
                        product(dw, p.taps(), true, dz.t(), read, &mut room);
                        if tracked {
                            multiply(patches, p.taps(), false, dz, &weight, T::ONE, Plain);
                            p.scatter(patches, i * p.group(), dx);
                        }
                    }
                    total
                });
            let parts: Vec<Vec<T>> = parts.collect();
            (dx, sum_in_order(parts, p.n * p.taps() + p.n))
        };
        let (dx, total) = read::<T, _>(x, |x| read::<T, _>(w, |w| read::<T, _>(g, |g| compute(x, w, g))))???;
        let (dw, db) = total.split_at(p.n * p.taps());
        Ok((
            if tracked { like(dx, x)? } else { None },
            like(dw.to_vec(), w)?,
            like(db.to_vec(), bias)?,
        ))
    }
}
