//! A program as an operation of candle's graph.
//!
//! An operation of candle has three arguments at most. So the parameters hang on a chain of carriers that ends in the
//! program's second argument: the program's backward pass leaves their gradients in a shared slot, and the carriers,
//! whose turn comes later because the program depends on them, hand them over. Nothing is outside the graph.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;
use sandhi_core::Lengths;
use sandhi_core::host::{read, slice};

use super::Plan;
use super::layer::{Context, Layer, Parts, State, backward, forward};
use super::tile::{Tile, tiles};
use crate::Mode;
use crate::matmul::{Matrix, Packed, product};
use crate::ops::dropout::Mask;
use crate::ops::{Saved, common_dtype, like, output, with_float};
use crate::position;
use crate::real::Real;
use crate::sums::sum_in_order;

pub(super) fn run(plan: &Arc<Plan>, x: &Tensor, lengths: &Lengths, mode: Mode) -> Result<Tensor> {
    let (b, t, d) = x.dims3()?;
    if d != plan.widths[0] || t == 0 || lengths.len() != b || lengths.max() > t {
        bail!(
            "program: expected x [B, T>0, {}] and B lengths up to T, got {:?} and {:?}",
            plan.widths[0],
            x.dims(),
            lengths.as_slice()
        );
    }
    let tensors: Vec<&Tensor> = std::iter::once(x).chain(&plan.params).collect();
    let dtype = common_dtype("program", &tensors)?;
    let masks = plan.dropouts.iter().map(|dropout| match mode.key(&dropout.site) {
        Some(key) if dropout.rate > 0.0 => Mask::new(dropout.rate, key).map(Some),
        _ => Ok(None),
    });
    let masks = masks.collect::<Result<Vec<_>>>()?;
    with_float!(dtype, T => {
        let slot = Arc::new(Slot::<T>(Mutex::new(vec![Vec::new(); plan.params.len()])));
        let mut token = Tensor::zeros(1, dtype, x.device())?;
        for (index, param) in plan.params.iter().enumerate() {
            token = token.apply_op2(param, Carrier { slot: slot.clone(), index })?;
        }
        let op = Run { plan: plan.clone(), tiles: tiles(lengths), masks, states: Saved::new(), slot };
        x.contiguous()?.apply_op2(&token, op)
    })
}

/// Gradients of the parameters between the backward passes of a program and of its carriers.
struct Slot<T>(Mutex<Vec<Vec<T>>>);

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ties one parameter to a program.
struct Carrier<T> {
    slot: Arc<Slot<T>>,
    index: usize,
}

impl<T: Real> CustomOp2 for Carrier<T> {
    fn name(&self) -> &'static str {
        "program-parameter"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        output(vec![T::ZERO], 1)
    }

    fn bwd(
        &self,
        token: &Tensor,
        param: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = std::mem::take(&mut self.slot.lock()[self.index]);
        Ok((Some(token.zeros_like()?), like(gradient, param)?))
    }
}

struct Run<T> {
    plan: Arc<Plan>,
    tiles: Vec<Tile>,
    masks: Vec<Option<Mask>>,
    states: Saved<Vec<State<T>>>,
    slot: Arc<Slot<T>>,
}

impl<T: Real> Run<T> {
    /// Calls `f` with the parameters as slices and with what the tiles share.
    fn with_context<R>(&self, frames: usize, back: bool, f: impl FnOnce(&Context<'_, T>) -> R) -> Result<R> {
        let tensors = self
            .plan
            .params
            .iter()
            .map(Tensor::contiguous)
            .collect::<Result<Vec<_>>>()?;
        let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
        let values = guards.iter().map(|(storage, layout)| match &**storage {
            Storage::Cpu(storage) => slice::<T>(storage, layout),
            _ => bail!("program: expected parameters on the CPU"),
        });
        let params = values.collect::<Result<Vec<_>>>()?;
        let widths = &self.plan.widths;
        let pack = |layer: &Layer| match layer.affine() {
            Some(layer) => {
                let weight = Matrix::new(params[layer.weight], widths[layer.y], widths[layer.x]);
                Packed::new(if back { weight } else { weight.t() })
            }
            None => Packed::room(),
        };
        let positions = |layer: &Layer| match layer {
            Layer::Attention(layer) => {
                let d = widths[layer.y];
                let mut to = vec![T::ZERO; (2 * frames - 1) * d];
                let (from, weight) = (
                    sinusoids::<T>(frames, d),
                    Matrix::new(params[layer.position], d, d),
                );
                let from = Matrix::new(&from, 2 * frames - 1, d);
                product(&mut to, d, false, from, weight.t(), &mut Packed::room());
                to
            }
            _ => Vec::new(),
        };
        let context = Context {
            plan: &self.plan,
            params: &params,
            packed: self.plan.layers.par_iter().map(pack).collect(),
            positions: self.plan.layers.par_iter().map(positions).collect(),
            masks: &self.masks,
            frames,
        };
        Ok(f(&context))
    }

    /// The gradients of all parameters from what the tiles left, in the order of the tiles.
    fn gradients(&self, cx: &Context<'_, T>, states: &[State<T>], mut parts: Vec<Parts<T>>) -> Vec<Vec<T>> {
        let sum = |vectors: Vec<Vec<T>>| {
            let n = vectors.first().map_or(0, Vec::len);
            sum_in_order(vectors, n)
        };
        let mut gradients: Vec<Vec<T>> = (0..self.plan.params.len())
            .map(|p| {
                sum(parts
                    .iter_mut()
                    .map(|part| std::mem::take(&mut part.params[p]))
                    .collect())
            })
            .collect();
        let dz: Vec<Vec<Vec<T>>> = (0..self.plan.layers.len())
            .map(|at| {
                parts
                    .iter_mut()
                    .map(|part| std::mem::take(&mut part.dz[at]))
                    .collect()
            })
            .collect();
        let matrices = self.plan.layers.par_iter().zip(dz);
        let matrices = matrices.map(|(layer, dz)| match layer {
            Layer::Affine(layer) => {
                let x = states.iter().map(|state| state.values[layer.x].as_slice());
                let (n, k) = (self.plan.widths[layer.y], self.plan.widths[layer.x]);
                let pairs: Vec<_> = dz.iter().map(Vec::as_slice).zip(x).collect();
                Some((layer.weight, weight_gradient(&pairs, n, k)))
            }
            Layer::Attention(layer) => {
                let d = self.plan.widths[layer.y];
                let dz = sum(dz);
                let pair = (dz.as_slice(), sinusoids::<T>(cx.frames, d));
                Some((layer.position, weight_gradient(&[(pair.0, &pair.1)], d, d)))
            }
            _ => None,
        });
        for (parameter, gradient) in matrices.collect::<Vec<_>>().into_iter().flatten() {
            gradients[parameter] = gradient;
        }
        gradients
    }
}

/// Σ dzᵀ x over pairs of dz `[rows, n]` and x `[rows, k]`, in blocks of rows of the result over all threads. A block is as
/// high as may be: it reads a part of every row of dz, and what lies beside that part is not in cache for the next block.
fn weight_gradient<T: Real>(pairs: &[(&[T], &[T])], n: usize, k: usize) -> Vec<T> {
    const ROWS: usize = 512;
    let mut dw = vec![T::ZERO; n * k];
    dw.par_chunks_mut(ROWS * k).enumerate().for_each(|(block, dw)| {
        let mut room = Packed::room();
        for (i, (dz, x)) in pairs.iter().enumerate() {
            let rows = x.len() / k;
            let dz = Matrix::new(dz, rows, n).t().row_range(block * ROWS, dw.len() / k);
            product(dw, k, i > 0, dz, Matrix::new(x, rows, k), &mut room);
        }
    });
    dw
}

fn sinusoids<T: Real>(frames: usize, dim: usize) -> Vec<T> {
    position::table(frames, dim).into_iter().map(T::of).collect()
}

/// The valid rows of a tile out of `[B, T, width]`.
fn gather<T: Real>(x: &[T], tile: &Tile, frames: usize, width: usize) -> Vec<T> {
    let mut rows = Vec::with_capacity(tile.rows * width);
    for s in &tile.segments {
        rows.extend_from_slice(&x[s.utterance * frames * width..][..s.frames * width]);
    }
    rows
}

/// `[B, T, width]` of the rows of all tiles, zeros in the padding.
fn scatter<T: Real>(parts: &[(&Tile, Vec<T>)], batch: usize, frames: usize, width: usize) -> Vec<T> {
    let mut y = vec![T::ZERO; batch * frames * width];
    for (tile, rows) in parts {
        for s in &tile.segments {
            let from = &rows[s.start * width..][..s.frames * width];
            y[s.utterance * frames * width..][..from.len()].copy_from_slice(from);
        }
    }
    y
}

impl<T: Real> CustomOp2 for Run<T> {
    fn name(&self) -> &'static str {
        "program"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = slice::<T>(s1, l1)?;
        let (b, t, d) = l1.shape().dims3()?;
        let width = self.plan.widths[self.plan.output];
        let (parts, states): (Vec<_>, Vec<_>) = self.with_context(t, false, |cx| {
            let tile = |tile| {
                let (y, state) = forward(cx, tile, gather(x, tile, t, d));
                ((tile, y), (!self.plan.recompute).then_some(state))
            };
            self.tiles.par_iter().map(tile).unzip()
        })?;
        *self.states.lock() = states.into_iter().flatten().collect();
        output(scatter(&parts, b, t, width), (b, t, width))
    }

    fn bwd(
        &self,
        x: &Tensor,
        token: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (b, t, d) = x.dims3()?;
        let width = y.dim(2)?;
        let (kept, again);
        let states: &[State<T>] = if self.plan.recompute {
            again = read::<T, _>(x, |x| {
                self.with_context(t, false, |cx| {
                    let state = |tile| forward(cx, tile, gather(x, tile, t, d)).1;
                    self.tiles.par_iter().map(state).collect::<Vec<_>>()
                })
            })??;
            &again
        } else {
            kept = self.states.lock();
            &kept
        };
        let dx = self.with_context(t, true, |cx| {
            let (dx, parts): (Vec<_>, Vec<_>) = read::<T, _>(g, |g| {
                let tile = |(tile, state)| {
                    let (dx, parts) = backward(cx, tile, state, gather(g, tile, t, width));
                    ((tile, dx), parts)
                };
                self.tiles.par_iter().zip(states).map(tile).unzip()
            })?;
            *self.slot.lock() = self.gradients(cx, states, parts);
            Ok::<_, candle_core::Error>(scatter(&dx, b, t, d))
        })??;
        Ok((like(dx, x)?, Some(token.zeros_like()?)))
    }
}
