//! Layers that look across the frames of an utterance.

use super::layer::{Context, Parts, State, so_far};
use super::tile::{Segment, Tile};
use crate::ops::attention_core::Utterance;
use crate::ops::{AttentionContext, gated_conv};
use crate::real::Real;

/// The attention core; the projections around it are layers of their own.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) qkv: usize,
    pub(crate) y: usize,
    /// The weight of the map from sinusoids to position vectors.
    pub(crate) position: usize,
    pub(crate) biases: usize,
    pub(crate) heads: usize,
    pub(crate) context: AttentionContext,
}

impl Attention {
    fn utterance<'a, T: Real>(
        &self,
        cx: &'a Context<'_, T>,
        at: usize,
        qkv: &'a [T],
        s: &Segment,
    ) -> Utterance<'a, T> {
        let d = cx.plan.widths[self.y];
        Utterance {
            qkv: &qkv[s.start * 3 * d..][..s.frames * 3 * d],
            positions: &cx.positions[at],
            biases: cx.params[self.biases],
            n: s.frames,
            t: cx.frames,
            d,
            width: d / self.heads,
            context: self.context,
        }
    }

    /// Saves the attention weights of each utterance.
    pub(crate) fn forward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        at: usize,
        tile: &Tile,
        values: &mut [Vec<T>],
    ) -> Vec<Vec<T>> {
        let d = cx.plan.widths[self.y];
        let mut y = vec![T::ZERO; tile.rows * d];
        let weights = tile.segments.iter().map(|s| match s.frames {
            0 => Vec::new(),
            n => self
                .utterance(cx, at, &values[self.qkv], s)
                .forward(self.heads, &mut y[s.start * d..][..n * d]),
        });
        let weights = weights.collect();
        values[self.y] = y;
        weights
    }

    pub(crate) fn backward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        at: usize,
        tile: &Tile,
        state: &State<T>,
        grads: &mut [Vec<T>],
        parts: &mut Parts<T>,
    ) {
        let (d, qkv) = (cx.plan.widths[self.y], &state.values[self.qkv]);
        let g = std::mem::take(&mut grads[self.y]);
        let mut dqkv = vec![T::ZERO; tile.rows * 3 * d];
        let mut shared = vec![T::ZERO; (2 * cx.frames + 1) * d];
        for (s, weights) in tile.segments.iter().zip(&state.saved[at]) {
            if s.frames > 0 {
                let dqkv = &mut dqkv[s.start * 3 * d..][..s.frames * 3 * d];
                let g = &g[s.start * d..][..s.frames * d];
                self.utterance(cx, at, qkv, s)
                    .backward(self.heads, weights, g, dqkv, &mut shared);
            }
        }
        grads[self.qkv] = dqkv;
        parts.params[self.biases] = shared.split_off(shared.len() - 2 * d);
        parts.dz[at] = shared;
    }
}

/// The gated depthwise convolution.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) weight: usize,
    pub(crate) bias: usize,
    /// Frames before each that it sees.
    pub(crate) left: usize,
}

impl Conv {
    /// Saves what the gates let through.
    pub(crate) fn forward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        tile: &Tile,
        values: &mut [Vec<T>],
    ) -> Vec<Vec<T>> {
        let (w, bias) = (cx.params[self.weight], cx.params[self.bias]);
        let c = bias.len();
        let (mut gated, mut y) = (vec![T::ZERO; tile.rows * c], vec![T::ZERO; tile.rows * c]);
        for s in &tile.segments {
            let (wide, narrow) = rows(s, c);
            let (g, y) = (&mut gated[narrow.clone()], &mut y[narrow]);
            gated_conv::forward(&values[self.x][wide], w, bias, self.left, g, y);
        }
        values[self.y] = y;
        vec![gated]
    }

    pub(crate) fn backward<T: Real>(
        &self,
        cx: &Context<'_, T>,
        tile: &Tile,
        state: &State<T>,
        saved: &[Vec<T>],
        grads: &mut [Vec<T>],
        parts: &mut Parts<T>,
    ) {
        let (w, c) = (cx.params[self.weight], cx.params[self.bias].len());
        let dy = std::mem::take(&mut grads[self.y]);
        let mut total = vec![T::ZERO; w.len() + c];
        let dx = so_far(grads, self.x, tile.rows * 2 * c);
        for s in &tile.segments {
            let (wide, narrow) = rows(s, c);
            let (x, g, dy) = (
                &state.values[self.x][wide.clone()],
                &saved[0][narrow.clone()],
                &dy[narrow],
            );
            gated_conv::backward(x, w, self.left, g, dy, &mut dx[wide], &mut total);
        }
        parts.params[self.bias] = total.split_off(w.len());
        parts.params[self.weight] = total;
    }
}

/// Where a segment lies in `[rows, 2C]` and in `[rows, C]`.
fn rows(s: &Segment, c: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    let (from, to) = (s.start * c, (s.start + s.frames) * c);
    (2 * from..2 * to, from..to)
}
