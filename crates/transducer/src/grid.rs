//! Arc scores as the recursions read them: on the host, one utterance at a time.

use candle_core::Tensor;
use rayon::prelude::*;
use sandhi_core::{ArcScores, Error, Result, host};
use sandhi_lattice::{Arc, Extent, Step};

use crate::real::Real;

/// The scores and costs of one utterance.
pub(crate) struct Utterance<'a, F> {
    pub(crate) extent: Extent,
    pub(crate) index: usize,
    blank: &'a [F],
    label: &'a [F],
    cost: &'a [F],
    columns: usize,
}

impl<F: Real> Utterance<'_, F> {
    /// ln p of an arc. Whatever the tensors hold, the recursion runs in f64: T+U additions lose nothing.
    #[inline]
    pub(crate) fn log_p(&self, arc: Arc) -> f64 {
        match arc.step {
            Step::Blank => self.blank[arc.t * self.columns + arc.u].to_f64(),
            Step::Label => self.label[arc.t * (self.columns - 1) + arc.u].to_f64(),
        }
    }

    /// The cost of an arc: blanks are free.
    #[inline]
    pub(crate) fn cost(&self, arc: Arc) -> f64 {
        match arc.step {
            Step::Blank => 0.0,
            Step::Label => self.cost[arc.t * (self.columns - 1) + arc.u].to_f64(),
        }
    }

    pub(crate) fn no_alignment(&self) -> Error {
        Error::NoAlignment {
            utterance: self.index,
            frames: self.extent.frames,
            labels: self.extent.labels,
        }
    }

    /// Two zeroed grids as large as this utterance's part of the padded tensors: `[T, U+1]` and `[T, U]`.
    pub(crate) fn grids(&self) -> (Vec<F>, Vec<F>) {
        (
            vec![F::default(); self.blank.len()],
            vec![F::default(); self.label.len()],
        )
    }

    /// Where the value of a blank arc lies in its grid.
    pub(crate) fn blank_index(&self, t: usize, u: usize) -> usize {
        t * self.columns + u
    }

    /// Where the value of a label arc lies in its grid.
    pub(crate) fn label_index(&self, t: usize, u: usize) -> usize {
        t * (self.columns - 1) + u
    }
}

/// Calls `f` for every utterance, in parallel, and returns the results in batch order, or the first utterance's error.
///
/// An utterance without frames has no alignment: the last arc of every path is a blank.
pub(crate) fn each_utterance<F: Real, R: Send>(
    arcs: &ArcScores,
    cost: Option<&Tensor>,
    f: impl Fn(&Utterance<'_, F>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (batch, num_frames, columns) = arcs.blank().dims3()?;
    let run = |blank: &[F], label: &[F], cost: &[F]| -> Vec<Result<R>> {
        let (nodes, emissions) = (num_frames * columns, num_frames * (columns - 1));
        (0..batch)
            .into_par_iter()
            .map(|index| {
                let utterance = Utterance {
                    extent: Extent {
                        frames: arcs.frames().get(index),
                        labels: arcs.labels().get(index),
                    },
                    index,
                    blank: &blank[index * nodes..][..nodes],
                    label: &label[index * emissions..][..emissions],
                    cost: if cost.is_empty() {
                        cost
                    } else {
                        &cost[index * emissions..][..emissions]
                    },
                    columns,
                };
                if utterance.extent.frames == 0 {
                    Err(utterance.no_alignment())
                } else {
                    f(&utterance)
                }
            })
            .collect()
    };
    let results = host::read(arcs.blank(), |blank: &[F]| {
        host::read(arcs.label(), |label: &[F]| match cost {
            Some(cost) => host::read(cost, |cost: &[F]| run(blank, label, cost)),
            None => Ok(run(blank, label, &[])),
        })
    })???;
    results.into_iter().collect()
}
