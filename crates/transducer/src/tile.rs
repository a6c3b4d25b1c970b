//! The nodes that are computed together, and the vectorised loops over them.

use pulp::{Simd, WithSimd};

use crate::arc_scores::Nodes;
use crate::node::{Norm, gradient, partition, scores, take_logarithms};
use crate::real::Real;

/// Nodes of some consecutive frames of one utterance, handled together.
pub(crate) struct Tile {
    pub(crate) b: usize,
    /// First frame.
    pub(crate) start: usize,
    /// Number of frames.
    pub(crate) frames: usize,
    /// Nodes per frame, U_b + 1.
    pub(crate) columns: usize,
    /// The nodes, counted from the first of the first frame.
    pub(crate) nodes: Vec<u32>,
}

impl Tile {
    /// Frame, counted from the tile's first, and label count of a node.
    #[inline(always)]
    pub(crate) fn place(&self, node: u32) -> (usize, usize) {
        (node as usize / self.columns, node as usize % self.columns)
    }
}

/// `tanh(speech(t) + predicted(u))` for the nodes of a tile.
pub(crate) struct Join<'a, F> {
    pub(crate) tile: &'a Tile,
    pub(crate) speech: &'a [F],
    pub(crate) predicted: &'a [F],
    pub(crate) width: usize,
    pub(crate) out: &'a mut [F],
}

impl<F: Real> WithSimd for Join<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let fused = !S::IS_SCALAR;
        for (&node, out) in self.tile.nodes.iter().zip(self.out.chunks_exact_mut(self.width)) {
            let (t, u) = self.tile.place(node);
            let speech = &self.speech[t * self.width..][..self.width];
            let predicted = &self.predicted[u * self.width..][..self.width];
            for ((out, &s), &p) in out.iter_mut().zip(speech).zip(predicted) {
                *out = (s + p).tanh(fused);
            }
        }
    }
}

/// The scores of the nodes of a tile, from their logits.
pub(crate) struct TileScores<'a, F> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) tile: &'a Tile,
    /// Padded U+1.
    pub(crate) columns: usize,
    pub(crate) vocabulary: usize,
    pub(crate) logits: &'a [F],
    /// `[frames, U+1, 2]`.
    pub(crate) out: &'a mut [F],
    /// `[frames, U+1]`.
    pub(crate) norms: &'a mut [Norm<F>],
}

impl<F: Real> WithSimd for TileScores<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (blank, scoring) = (self.nodes.blank(), &self.nodes.scoring);
        let place = |node| {
            let (t, u) = self.tile.place(node);
            (t * self.columns + u, u)
        };
        for (&node, row) in self
            .tile
            .nodes
            .iter()
            .zip(self.logits.chunks_exact(self.vocabulary))
        {
            self.norms[place(node).0] = partition(row, blank, scoring.normalize, !S::IS_SCALAR);
        }
        take_logarithms(self.norms, !S::IS_SCALAR);
        for (&node, row) in self
            .tile
            .nodes
            .iter()
            .zip(self.logits.chunks_exact(self.vocabulary))
        {
            let (at, u) = place(node);
            let label = self.nodes.label(self.tile.b, u);
            let found = scores(row, blank, label, self.norms[at], scoring);
            self.out[2 * at] = found.blank;
            self.out[2 * at + 1] = found.label.unwrap_or_default();
        }
    }
}

/// Logits to their gradients, in place, and the column sums of the result.
pub(crate) struct LogitGradients<'a, F> {
    pub(crate) nodes: &'a Nodes,
    pub(crate) tile: &'a Tile,
    /// Padded U+1.
    pub(crate) columns: usize,
    /// `[frames, U+1]`.
    pub(crate) norms: &'a [Norm<F>],
    /// `[frames, U+1, 2]`.
    pub(crate) grad_res: &'a [F],
    pub(crate) logits: &'a mut [F],
    pub(crate) grad_bias: &'a mut [F],
}

impl<F: Real> WithSimd for LogitGradients<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let rows = self.logits.chunks_exact_mut(self.grad_bias.len());
        for (&node, row) in self.tile.nodes.iter().zip(rows) {
            let (t, u) = self.tile.place(node);
            let at = t * self.columns + u;
            let label = self.nodes.label(self.tile.b, u);
            let g = (
                self.grad_res[2 * at],
                label.map_or(F::default(), |_| self.grad_res[2 * at + 1]),
            );
            let how = (&self.nodes.scoring, !S::IS_SCALAR);
            gradient(row, None, self.nodes.blank(), label, g, self.norms[at], how);
            for (sum, &x) in self.grad_bias.iter_mut().zip(row.iter()) {
                *sum += x;
            }
        }
    }
}

/// The gradient of the hidden layer through tanh, added to the frames' and to the labels' rows.
pub(crate) struct SplitGradient<'a, F> {
    pub(crate) tile: &'a Tile,
    pub(crate) hidden: &'a [F],
    pub(crate) grad_hidden: &'a [F],
    pub(crate) width: usize,
    pub(crate) speech: &'a mut [F],
    pub(crate) predicted: &'a mut [F],
}

impl<F: Real> WithSimd for SplitGradient<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let one = F::from_f64(1.0);
        let rows = self
            .hidden
            .chunks_exact(self.width)
            .zip(self.grad_hidden.chunks_exact(self.width));
        for (&node, (hidden, grad_hidden)) in self.tile.nodes.iter().zip(rows) {
            let (t, u) = self.tile.place(node);
            let speech = &mut self.speech[t * self.width..][..self.width];
            let predicted = &mut self.predicted[u * self.width..][..self.width];
            let sums = speech.iter_mut().zip(predicted);
            for ((speech, predicted), (&h, &g)) in sums.zip(hidden.iter().zip(grad_hidden)) {
                let slope = g * (one - h * h);
                *speech += slope;
                *predicted += slope;
            }
        }
    }
}
