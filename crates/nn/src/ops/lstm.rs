//! A long short-term memory over a padded batch.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::host::{read, slice};

use super::{Saved, common_dtype, like, output, with_float};
use crate::matmul::{Matrix, Packed, Plain, multiply, multiply_parallel};
use crate::real::{Real, vectorized};

/// The recurrence of an LSTM layer, from zero state.
///
/// # Equation
///
/// ```text
/// (i, f, g, o) = x_t + W h_{t−1};  i, f, o through σ, g through tanh
/// c_t = f c_{t−1} + i g;  h_t = o tanh c_t
/// ```
///
/// # Shapes
///
/// * `x`: `[B, U, 4H]`, the input's share of the gates with both biases in it; `weight`: `[4H, H]`, the recurrent one.
/// * returns h: `[B, U, H]`. It is causal, so what lies behind an utterance's end does not reach what lies before.
///
/// # Errors
///
/// If the shapes or dtypes disagree.
///
/// # Source
///
/// Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate).
///
/// # Proved by
///
/// `lstm_equals_plain_composition`, `lstm_gradient_equals_differences`.
pub fn lstm(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (_, _, h4) = x.dims3()?;
    if weight.dims() != [h4, h4 / 4] || h4 % 4 != 0 {
        bail!(
            "lstm: expected x [B, U, 4H] and weight [4H, H], got {:?} and {:?}",
            x.dims(),
            weight.dims()
        );
    }
    let dtype = common_dtype("lstm", &[x, weight])?;
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    with_float!(dtype, T => x.apply_op2(&weight, Lstm::<T> { gates: Saved::new(), cells: Saved::new() }))
}

struct Lstm<T> {
    /// i, f, g, o after their nonlinearities, `[B, U, 4H]`.
    gates: Saved<Vec<T>>,
    /// c, `[B, U, H]`.
    cells: Saved<Vec<T>>,
}

/// Utterances that step together, so that the recurrent product has rows to share a weight over.
const ROWS: usize = 8;

/// One cell update: `gates` holds x + W h and receives the gates; `before` is c of the step before.
#[inline(always)]
fn step<T: Real>(gates: &mut [T], before: &[T], cell: &mut [T], h: &mut [T], fused: bool) {
    let n = cell.len();
    let (i, rest) = gates.split_at_mut(n);
    let (f, rest) = rest.split_at_mut(n);
    let (g, o) = rest.split_at_mut(n);
    for v in &mut *i {
        *v = v.sigmoid(fused);
    }
    for v in &mut *f {
        *v = v.sigmoid(fused);
    }
    for v in &mut *o {
        *v = v.sigmoid(fused);
    }
    for v in &mut *g {
        *v = v.tanh(fused);
    }
    // Slices of one length, so that no index is checked.
    let (o, before, h) = (&o[..n], &before[..n], &mut h[..n]);
    for k in 0..n {
        cell[k] = f[k] * before[k] + i[k] * g[k];
        h[k] = o[k] * cell[k].tanh(fused);
    }
}

/// The same step backwards: `dh` and `dc` come from later steps, `dc` leaves for the earlier one, `dx` is filled.
#[inline(always)]
fn step_back<T: Real>(
    gates: &[T],
    before: &[T],
    cell: &[T],
    dh: &[T],
    dc: &mut [T],
    dx: &mut [T],
    fused: bool,
) {
    let n = cell.len();
    let (i, rest) = gates.split_at(n);
    let (f, rest) = rest.split_at(n);
    let (g, o) = rest.split_at(n);
    let (di, rest) = dx.split_at_mut(n);
    let (df, rest) = rest.split_at_mut(n);
    let (dg, d_o) = rest.split_at_mut(n);
    let (o, before, dh) = (&o[..n], &before[..n], &dh[..n]);
    let (d_o, dc) = (&mut d_o[..n], &mut dc[..n]);
    for k in 0..n {
        let tanh = cell[k].tanh(fused);
        d_o[k] = dh[k] * tanh * o[k] * (T::ONE - o[k]);
        let d = dc[k] + dh[k] * o[k] * (T::ONE - tanh * tanh);
        di[k] = d * g[k] * i[k] * (T::ONE - i[k]);
        dg[k] = d * i[k] * (T::ONE - g[k] * g[k]);
        df[k] = d * before[k] * f[k] * (T::ONE - f[k]);
        dc[k] = d * f[k];
    }
}

/// The c before step t of an utterance's cells.
fn previous<'a, T>(cells: &'a [T], t: usize, zeros: &'a [T]) -> &'a [T] {
    let h = zeros.len();
    if t == 0 { zeros } else { &cells[(t - 1) * h..t * h] }
}

impl<T: Real> CustomOp2 for Lstm<T> {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?);
        let (b, u, h4) = l1.shape().dims3()?;
        let h = h4 / 4;
        let weight = Packed::new(Matrix::new(w, h4, h).t());
        let (mut gates, zeros) = (x.to_vec(), vec![T::ZERO; h]);
        let (mut cells, mut y) = (vec![T::ZERO; b * u * h], vec![T::ZERO; b * u * h]);
        let blocks = gates
            .par_chunks_mut(ROWS * u * h4)
            .zip(cells.par_chunks_mut(ROWS * u * h));
        blocks
            .zip(y.par_chunks_mut(ROWS * u * h))
            .for_each(|((gates, cells), y)| {
                let rows = y.len() / (u * h);
                let mut last = vec![T::ZERO; rows * h];
                for t in 0..u {
                    if t > 0 {
                        let last = Matrix::new(&last, rows, h);
                        multiply(&mut gates[t * h4..], u * h4, true, last, &weight, T::ONE, Plain);
                    }
                    vectorized(
                        #[inline(always)]
                        |fused| {
                            for r in 0..rows {
                                let (done, now) = cells[r * u * h..].split_at_mut(t * h);
                                let y = &mut y[(r * u + t) * h..][..h];
                                step(
                                    &mut gates[(r * u + t) * h4..][..h4],
                                    previous(done, t, &zeros),
                                    &mut now[..h],
                                    y,
                                    fused,
                                );
                                last[r * h..][..h].copy_from_slice(y);
                            }
                        },
                    );
                }
            });
        *self.gates.lock() = gates;
        *self.cells.lock() = cells;
        output(y, (b, u, h))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        y: &Tensor,
        gy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (b, u, h4) = x.dims3()?;
        let h = h4 / 4;
        let (gates, cells) = (self.gates.lock(), self.cells.lock());
        let compute = |w: &[T], y: &[T], gy: &[T]| {
            let weight = Packed::new(Matrix::new(w, h4, h));
            let (mut dx, zeros) = (vec![T::ZERO; b * u * h4], vec![T::ZERO; h]);
            let blocks = dx
                .par_chunks_mut(ROWS * u * h4)
                .zip(gates.par_chunks(ROWS * u * h4));
            let blocks = blocks
                .zip(cells.par_chunks(ROWS * u * h))
                .zip(gy.par_chunks(ROWS * u * h));
            blocks.for_each(|(((dx, gates), cells), gy)| {
                let rows = gy.len() / (u * h);
                let (mut dh, mut dc) = (vec![T::ZERO; rows * h], vec![T::ZERO; rows * h]);
                for t in (0..u).rev() {
                    vectorized(
                        #[inline(always)]
                        |fused| {
                            for r in 0..rows {
                                let (at, dh) = ((r * u + t) * h, &mut dh[r * h..][..h]);
                                for (d, &g) in dh.iter_mut().zip(&gy[at..at + h]) {
                                    *d += g;
                                }
                                let before = previous(&cells[r * u * h..], t, &zeros);
                                let (dc, dx) = (&mut dc[r * h..][..h], &mut dx[(r * u + t) * h4..][..h4]);
                                step_back(
                                    &gates[(r * u + t) * h4..][..h4],
                                    before,
                                    &cells[at..at + h],
                                    dh,
                                    dc,
                                    dx,
                                    fused,
                                );
                            }
                        },
                    );
                    let dx = Matrix::strided(&dx[t * h4..], rows, h4, u * h4);
                    multiply(&mut dh, h, false, dx, &weight, T::ONE, Plain);
                }
            });
            // dW = Σ dx_tᵀ h_{t−1}, as one product over all steps with h shifted by one.
            let mut shifted = vec![T::ZERO; b * u * h];
            for (to, from) in shifted.chunks_exact_mut(u * h).zip(y.chunks_exact(u * h)) {
                to[h..].copy_from_slice(&from[..(u - 1) * h]);
            }
            let mut dw = vec![T::ZERO; h4 * h];
            let shifted = Packed::new(Matrix::new(&shifted, b * u, h));
            multiply_parallel(&mut dw, false, Matrix::new(&dx, b * u, h4).t(), &shifted);
            (dx, dw)
        };
        let (dx, dw) = read::<T, _>(w, |w| {
            read::<T, _>(y, |y| read::<T, _>(gy, |gy| compute(w, y, gy)))
        })???;
        Ok((like(dx, x)?, like(dw, w)?))
    }
}
