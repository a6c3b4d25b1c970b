//! All rows of an utterance's `[T, U+1, V]` logits: to scores, and to their gradient. A frame is one piece of work.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::arc_scores::Nodes;
use crate::node::{self, Norm};
use crate::real::Real;

/// Padded U+1, V.
pub(crate) type Extents = (usize, usize);

/// Scores `[T, U+1, 2]` and normalizers `[T, U+1]` of the logits of utterance `b`. Padding is neither read nor written.
pub(crate) fn scores<F: Real>(
    nodes: &Nodes,
    b: usize,
    (columns, vocabulary): Extents,
    logits: &[F],
    scores: &mut [F],
    norms: &mut [Norm<F>],
) {
    let arch = pulp::Arch::new();
    let outputs = scores
        .par_chunks_mut(2 * columns)
        .zip(norms.par_chunks_mut(columns));
    let frames = logits.par_chunks(columns * vocabulary).zip(outputs);
    let valid = frames.take(nodes.frames.get(b));
    valid
        .with_min_len(enough(columns * vocabulary))
        .for_each(|(logits, (scores, norms))| {
            arch.dispatch(ScoreFrame {
                nodes,
                b,
                vocabulary,
                logits,
                scores,
                norms,
            });
        });
}

/// The gradient of the logits of utterance `b` from the `slopes` `[T, U+1, 2]` of its scores; `gradient` holds the logits
/// if none are given. Padding is not read, and gets 0.
pub(crate) fn gradients<F: Real>(
    nodes: &Nodes,
    b: usize,
    (columns, vocabulary): Extents,
    logits: Option<&[F]>,
    norms: &[Norm<F>],
    slopes: &[F],
    gradient: &mut [F],
) {
    let arch = pulp::Arch::new();
    let frame = columns * vocabulary;
    let frames = gradient.par_chunks_mut(frame).enumerate();
    frames.with_min_len(enough(frame)).for_each(|(t, gradient)| {
        if t < nodes.frames.get(b) {
            arch.dispatch(GradientFrame {
                nodes,
                b,
                vocabulary,
                logits: logits.map(|logits| &logits[t * frame..][..frame]),
                norms: &norms[t * columns..][..columns],
                slopes: &slopes[2 * t * columns..][..2 * columns],
                gradient,
            });
        } else {
            gradient.fill(F::default());
        }
    });
}

/// How many frames of this size are worth another thread.
pub(crate) fn enough(frame: usize) -> usize {
    (1usize << 15).div_ceil(frame.max(1))
}

/// The scores of all nodes of one frame.
struct ScoreFrame<'a, F> {
    nodes: &'a Nodes,
    b: usize,
    vocabulary: usize,
    logits: &'a [F],
    scores: &'a mut [F],
    norms: &'a mut [Norm<F>],
}

impl<F: Real> WithSimd for ScoreFrame<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (blank, scoring) = (self.nodes.blank(), &self.nodes.scoring);
        let norms = &mut self.norms[..=self.nodes.num_labels(self.b)];
        for (norm, row) in norms.iter_mut().zip(self.logits.chunks_exact(self.vocabulary)) {
            *norm = node::partition(row, blank, scoring.normalize, !S::IS_SCALAR);
        }
        node::take_logarithms(norms, !S::IS_SCALAR);
        for (u, (norm, row)) in norms
            .iter()
            .zip(self.logits.chunks_exact(self.vocabulary))
            .enumerate()
        {
            let found = node::scores(row, blank, self.nodes.label(self.b, u), *norm, scoring);
            self.scores[2 * u] = found.blank;
            self.scores[2 * u + 1] = found.label.unwrap_or_default();
        }
    }
}

/// The gradient of all nodes of one frame.
struct GradientFrame<'a, F> {
    nodes: &'a Nodes,
    b: usize,
    vocabulary: usize,
    logits: Option<&'a [F]>,
    norms: &'a [Norm<F>],
    slopes: &'a [F],
    gradient: &'a mut [F],
}

impl<F: Real> WithSimd for GradientFrame<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let used = (self.nodes.num_labels(self.b) + 1) * self.vocabulary;
        let (gradient, padding) = self.gradient.split_at_mut(used);
        padding.fill(F::default());
        for (u, row) in gradient.chunks_exact_mut(self.vocabulary).enumerate() {
            let logits = self
                .logits
                .map(|logits| &logits[u * self.vocabulary..][..self.vocabulary]);
            let label = self.nodes.label(self.b, u);
            let slopes = (
                self.slopes[2 * u],
                label.map_or(F::default(), |_| self.slopes[2 * u + 1]),
            );
            let how = (&self.nodes.scoring, !S::IS_SCALAR);
            node::gradient(row, logits, self.nodes.blank(), label, slopes, self.norms[u], how);
        }
    }
}
