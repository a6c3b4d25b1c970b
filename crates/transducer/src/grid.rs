//! Node scores as the recursions read them: on the host, one utterance at a time.

use candle_core::Tensor;
use rayon::prelude::*;
use sandhi_core::{ArcScores, Error, Lengths, Result, Topology, host};
use sandhi_lattice::{Arc, Extent, Step};

use crate::chain::Chain;
use crate::real::Real;
use crate::waves::Waves;

/// The scores and costs of one utterance.
pub(crate) struct Utterance<'a, F> {
    pub(crate) index: usize,
    pub(crate) waves: Waves,
    /// `[T, U+1, 2]`.
    nodes: &'a [F],
    /// `[T, U]`, or empty.
    cost: &'a [F],
    /// Padded U+1.
    columns: usize,
}

impl<F: Real> Utterance<'_, F> {
    /// ln p of blank and label at a node. Whatever the tensors hold, the recursion runs in f64: T+U additions lose nothing.
    #[inline(always)]
    pub(crate) fn scores(&self, t: usize, u: usize) -> (f64, f64) {
        let at = 2 * (t * self.columns + u);
        (self.nodes[at].to_f64(), self.nodes[at + 1].to_f64())
    }

    /// ln p of an arc.
    pub(crate) fn log_p(&self, arc: Arc) -> f64 {
        let (blank, label) = self.scores(arc.t, arc.u);
        match arc.step {
            Step::Blank => blank,
            Step::Label => label,
        }
    }

    /// The cost of emitting label `u` at frame `t`.
    #[inline(always)]
    pub(crate) fn cost(&self, t: usize, u: usize) -> f64 {
        self.cost[t * (self.columns - 1) + u].to_f64()
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent {
            frames: self.waves.frames,
            labels: self.waves.labels,
        }
    }

    pub(crate) fn no_alignment(&self) -> Error {
        Error::NoAlignment {
            utterance: self.index,
            frames: self.waves.frames,
            labels: self.waves.labels,
        }
    }

    /// The alignments, if there are any.
    pub(crate) fn chain(&self) -> Result<Chain> {
        self.chain_of(|t, u| self.scores(t, u))
    }

    /// The alignments under other scores.
    pub(crate) fn chain_of(&self, scores: impl Fn(usize, usize) -> (f64, f64)) -> Result<Chain> {
        if !self.waves.feasible() {
            return Err(self.no_alignment());
        }
        let chain = Chain::new(self.waves, scores);
        if chain.log_total() == f64::NEG_INFINITY {
            return Err(self.no_alignment());
        }
        Ok(chain)
    }

    /// A zeroed grid as large as this utterance's part of the nodes, `[T, U+1, 2]`.
    pub(crate) fn node_grid(&self) -> Vec<F> {
        vec![F::default(); self.nodes.len()]
    }

    /// Where the blank of a node lies in its grid; its label is next.
    #[inline(always)]
    pub(crate) fn node_index(&self, t: usize, u: usize) -> usize {
        2 * (t * self.columns + u)
    }

    /// A zeroed grid as large as this utterance's part of the labels, `[T, U]`.
    pub(crate) fn label_grid(&self) -> Vec<F> {
        vec![F::default(); self.nodes.len() / (2 * self.columns) * (self.columns - 1)]
    }

    /// Where a label lies in its grid.
    #[inline(always)]
    pub(crate) fn label_index(&self, t: usize, u: usize) -> usize {
        t * (self.columns - 1) + u
    }
}

/// What the utterances of a batch have in common.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) topology: Topology,
    pub(crate) frames: &'a Lengths,
    pub(crate) labels: &'a Lengths,
    /// Padded T and U+1.
    pub(crate) num_frames: usize,
    pub(crate) columns: usize,
}

impl Batch<'_> {
    /// One utterance, whose part of the node scores is `nodes` and of the costs `cost`.
    pub(crate) fn utterance<'a, F>(self, index: usize, nodes: &'a [F], cost: &'a [F]) -> Utterance<'a, F> {
        Utterance {
            index,
            waves: Waves {
                topology: self.topology,
                frames: self.frames.get(index),
                labels: self.labels.get(index),
            },
            nodes,
            cost,
            columns: self.columns,
        }
    }

    /// Calls `f` for every utterance, in parallel, and returns the results in batch order.
    pub(crate) fn each<F: Real, R: Send>(
        self,
        nodes: &[F],
        cost: Option<&[F]>,
        f: impl Fn(&Utterance<'_, F>) -> R + Sync,
    ) -> Vec<R> {
        let cells = self.num_frames * self.columns;
        let emissions = cells - self.num_frames;
        let one = |index: usize| {
            let nodes = &nodes[2 * index * cells..][..2 * cells];
            let cost = cost.map_or(&[][..], |cost| &cost[index * emissions..][..emissions]);
            f(&self.utterance(index, nodes, cost))
        };
        (0..self.frames.len()).into_par_iter().map(one).collect()
    }
}

/// Calls `f` for every utterance, in parallel, and returns the results in batch order, or the first utterance's error.
pub(crate) fn each_utterance<F: Real, R: Send>(
    arcs: &ArcScores,
    cost: Option<&Tensor>,
    f: impl Fn(&Utterance<'_, F>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (_, num_frames, columns, _) = arcs.nodes().dims4()?;
    let batch = Batch {
        topology: arcs.topology(),
        frames: arcs.frames(),
        labels: arcs.labels(),
        num_frames,
        columns,
    };
    let results = host::read(arcs.nodes(), |nodes: &[F]| match cost {
        Some(cost) => host::read(cost, |cost: &[F]| batch.each(nodes, Some(cost), &f)),
        None => Ok(batch.each(nodes, None, &f)),
    })??;
    results.into_iter().collect()
}
