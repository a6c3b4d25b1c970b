//! Layers that treat every row by itself.

use super::layer::{Context, Parts, so_far};
use super::tile::Tile;
use crate::matmul::{Matrix, Plain, multiply};
use crate::ops::dropout::{add_masked, masked};
use crate::ops::layer_norm::{add_gradient, normalize};
use crate::ops::linear::{After, scale_by};
use crate::real::Real;

/// y = f(normalised x · w + b).
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) weight: usize,
    pub(crate) bias: usize,
    pub(crate) silu: bool,
}

impl Norm {
    /// Saves (mean, 1 / standard deviation) of each row.
    pub(crate) fn forward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        tile: &Tile,
        values: &mut [Vec<T>],
    ) -> Vec<Vec<T>> {
        let (w, b) = (cx.params[self.weight], cx.params[self.bias]);
        let mut stats = vec![(T::ZERO, T::ZERO); tile.rows];
        let mut y = vec![T::ZERO; tile.rows * w.len()];
        normalize(&values[self.x], w, b, self.silu, &mut y, &mut stats);
        values[self.y] = y;
        let (means, inverses) = stats.into_iter().unzip();
        vec![means, inverses]
    }

    pub(crate) fn backward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        values: &[Vec<T>],
        saved: &[Vec<T>],
        grads: &mut [Vec<T>],
        parts: &mut Parts<T>,
    ) {
        let (w, b) = (cx.params[self.weight], cx.params[self.bias]);
        let stats: Vec<(T, T)> = saved[0].iter().copied().zip(saved[1].iter().copied()).collect();
        let (g, x) = (std::mem::take(&mut grads[self.y]), &values[self.x]);
        let mut total = vec![T::ZERO; 2 * w.len()];
        let dx = so_far(grads, self.x, x.len());
        add_gradient(dx, x, &g, &stats, w, b, self.silu, &mut total);
        parts.params[self.bias] = total.split_off(w.len());
        parts.params[self.weight] = total;
    }
}

/// y = dropout(f(x Wᵀ + b)).
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) weight: usize,
    pub(crate) bias: usize,
    pub(crate) silu: bool,
    pub(crate) dropout: Option<usize>,
}

impl Affine {
    /// Saves dy/dz of every element, if there is an activation.
    pub(crate) fn forward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        at: usize,
        tile: &Tile,
        values: &mut [Vec<T>],
    ) -> Vec<Vec<T>> {
        let bias = cx.params[self.bias];
        let (n, k) = (bias.len(), cx.plan.widths[self.x]);
        let mut y = vec![T::ZERO; tile.rows * n];
        let mut slope = vec![T::ZERO; if self.silu { y.len() } else { 0 }];
        let mask = self.dropout.and_then(|d| cx.masks[d]);
        let starts = mask.map_or_else(Vec::new, |_| tile.starts(cx.frames, n));
        let after = After {
            bias,
            slope: self.silu.then_some(&mut slope),
            mask: mask.map(|mask| (mask, starts.as_slice())),
        };
        let x = Matrix::new(&values[self.x], tile.rows, k);
        multiply(&mut y, n, false, x, &cx.packed[at], T::ONE, after);
        values[self.y] = y;
        vec![slope]
    }

    pub(crate) fn backward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        at: usize,
        tile: &Tile,
        saved: &[Vec<T>],
        grads: &mut [Vec<T>],
        parts: &mut Parts<T>,
    ) {
        let (n, k) = (cx.plan.widths[self.y], cx.plan.widths[self.x]);
        let mut dz = std::mem::take(&mut grads[self.y]);
        if self.silu {
            scale_by(&saved[0], &mut dz);
        }
        let accumulate = !grads[self.x].is_empty();
        let dx = so_far(grads, self.x, tile.rows * k);
        multiply(
            dx,
            k,
            accumulate,
            Matrix::new(&dz, tile.rows, n),
            &cx.packed[at],
            T::ONE,
            Plain,
        );
        let mut db = vec![T::ZERO; n];
        for row in dz.chunks_exact(n) {
            for (b, &d) in db.iter_mut().zip(row) {
                *b += d;
            }
        }
        parts.params[self.bias] = db;
        parts.dz[at] = dz;
    }
}

/// y = x + scale · dropout(z), in the memory of z.
#[derive(Clone, Debug)]
pub(crate) struct Residual {
    pub(crate) x: usize,
    pub(crate) z: usize,
    pub(crate) y: usize,
    pub(crate) scale: f64,
    pub(crate) dropout: usize,
}

impl Residual {
    pub(crate) fn forward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        tile: &Tile,
        values: &mut [Vec<T>],
    ) -> Vec<Vec<T>> {
        let (d, mask) = (cx.plan.widths[self.x], cx.masks[self.dropout]);
        let mut y = std::mem::take(&mut values[self.z]);
        for s in &tile.segments {
            let rows = s.start * d..(s.start + s.frames) * d;
            let start = (s.utterance * cx.frames * d) as u32;
            add_masked(
                &values[self.x][rows.clone()],
                &mut y[rows],
                self.scale,
                mask,
                start,
            );
        }
        values[self.y] = y;
        Vec::new()
    }

    pub(crate) fn backward<T: Real>(&self, cx: &Context<'_, T>, tile: &Tile, grads: &mut [Vec<T>]) {
        let (d, mask) = (cx.plan.widths[self.x], cx.masks[self.dropout]);
        let g = std::mem::take(&mut grads[self.y]);
        let mut dz = vec![T::ZERO; g.len()];
        for s in &tile.segments {
            let rows = s.start * d..(s.start + s.frames) * d;
            let start = (s.utterance * cx.frames * d) as u32;
            masked(&g[rows.clone()], &mut dz[rows], self.scale, mask, start);
        }
        grads[self.z] = dz;
        if grads[self.x].is_empty() {
            grads[self.x] = g;
        } else {
            for (x, g) in grads[self.x].iter_mut().zip(g) {
                *x += g;
            }
        }
    }
}
