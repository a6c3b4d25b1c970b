//! CTC one utterance at a time: its scores, its alignments, and what was found of them.

use candle_core::Tensor;
use rayon::prelude::*;
use sandhi_core::{Error, Result, host};
use sandhi_lattice::Ctc;

use crate::ctc_chain::{Arcs, CtcChain};
use crate::op::WithGradient;
use crate::real::Real;
use crate::{Aligned, CtcScores};

/// One utterance on the host.
pub(crate) struct Utterance<'a, F> {
    pub(crate) index: usize,
    pub(crate) frames: usize,
    pub(crate) labels: &'a [u32],
    /// `[T, U+1]`.
    pub(crate) symbols: &'a [F],
    /// `[T, U]`, or empty.
    pub(crate) cost: &'a [F],
    /// Padded U+1.
    pub(crate) columns: usize,
}

impl<F: Real> Utterance<'_, F> {
    /// ln p of a symbol: the blank, then the labels.
    pub(crate) fn score(&self, t: usize, symbol: usize) -> f64 {
        self.symbols[t * self.columns + symbol].to_f64()
    }

    pub(crate) fn lattice(&self) -> Ctc<'_> {
        Ctc::new(self.frames, self.labels)
    }

    /// ln p of reading frame `t` as a state of the lattice.
    pub(crate) fn state_score(&self, t: usize, state: usize) -> f64 {
        self.score(t, self.lattice().label(state).map_or(0, |u| u + 1))
    }

    /// The first frame of each label on a path through these states.
    pub(crate) fn aligned(&self, states: &[usize], score: f64) -> Aligned {
        let entered = |t: &usize| {
            self.lattice().label(states[*t]).is_some() && (*t == 0 || states[*t] != states[*t - 1])
        };
        Aligned {
            frames: (0..states.len()).filter(entered).collect(),
            score,
        }
    }

    /// What it costs to read frame `t` as label `u`.
    pub(crate) fn cost(&self, t: usize, u: usize) -> f64 {
        self.cost[t * (self.columns - 1) + u].to_f64()
    }

    /// The costs in the order of the chain: blanks are free.
    pub(crate) fn costs(&self, chain: &CtcChain) -> Vec<Arcs> {
        chain.costs(|t, u| {
            let cost = self.cost(t, u);
            Arcs {
                label: cost,
                stay: cost,
                ..Arcs::default()
            }
        })
    }

    pub(crate) fn no_alignment(&self) -> Error {
        Error::NoAlignment {
            utterance: self.index,
            frames: self.frames,
            labels: self.labels.len(),
        }
    }

    /// The alignments, if there are any.
    pub(crate) fn chain(&self) -> Result<CtcChain> {
        self.chain_of(|t, labels| {
            let row = &self.symbols[t * self.columns..][..=labels.len()];
            for (label, score) in labels.iter_mut().zip(&row[1..]) {
                *label = score.to_f64();
            }
            row[0].to_f64()
        })
    }

    /// The alignments under these scores, or the error.
    pub(crate) fn chain_of(&self, scores: impl FnMut(usize, &mut [f64]) -> f64) -> Result<CtcChain> {
        let chain = CtcChain::new(self.labels, self.frames, scores);
        match chain.log_total() == f64::NEG_INFINITY {
            true => Err(self.no_alignment()),
            false => Ok(chain),
        }
    }
}

/// Value, and gradients of the symbol scores `[T, U+1]` and of the costs `[T, U]`.
pub(crate) struct Found<F> {
    pub(crate) value: f64,
    pub(crate) symbols: Vec<F>,
    pub(crate) cost: Vec<F>,
}

impl<F: Real> Found<F> {
    pub(crate) fn new(utterance: &Utterance<'_, F>, value: f64) -> Self {
        Self {
            value,
            symbols: vec![F::default(); utterance.symbols.len()],
            cost: vec![F::default(); utterance.cost.len()],
        }
    }

    /// Adds what a node knows of the scores of its symbols, and of the cost of its label.
    pub(crate) fn add(
        &mut self,
        utterance: &Utterance<'_, F>,
        (t, u): (usize, usize),
        by_score: (f64, f64),
        by_cost: f64,
    ) {
        let row = &mut self.symbols[t * utterance.columns..][..utterance.columns];
        row[0] += F::from_f64(by_score.0);
        if u < utterance.labels.len() {
            row[u + 1] += F::from_f64(by_score.1);
            if let Some(slope) = self.cost.get_mut(t * (utterance.columns - 1) + u) {
                *slope += F::from_f64(by_cost);
            }
        }
    }

    /// Adds `by` times a frame's posteriors to the gradient of its scores.
    pub(crate) fn add_posteriors(&mut self, columns: usize, t: usize, blank: f64, labels: &[f64], by: f64) {
        let row = &mut self.symbols[t * columns..][..=labels.len()];
        row[0] += F::from_f64(by * blank);
        for (slope, label) in row[1..].iter_mut().zip(labels) {
            *slope += F::from_f64(by * label);
        }
    }
}

/// Calls `f` for every utterance, in parallel, and returns the results in batch order, or the first utterance's error.
pub(crate) fn each<F: Real, R: Send>(
    scores: &CtcScores,
    cost: Option<&Tensor>,
    f: impl Fn(&Utterance<'_, F>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (batch, num_frames, columns) = scores.symbols().dims3()?;
    let run = |symbols: &[F], cost: Option<&[F]>| -> Vec<Result<R>> {
        let (cells, emissions) = (num_frames * columns, num_frames * (columns - 1));
        let one = |index: usize| {
            f(&Utterance {
                index,
                frames: scores.frames().get(index),
                labels: &scores.labels().rows()[index],
                symbols: &symbols[index * cells..][..cells],
                cost: cost.map_or(&[], |cost| &cost[index * emissions..][..emissions]),
                columns,
            })
        };
        (0..batch).into_par_iter().map(one).collect()
    };
    let found = host::read(scores.symbols(), |symbols: &[F]| match cost {
        Some(cost) => host::read(cost, |cost: &[F]| run(symbols, Some(cost))),
        None => Ok(run(symbols, None)),
    })??;
    found.into_iter().collect()
}

/// Checks the costs and records `f` of every utterance as one operation.
pub(crate) fn record<F: Real>(
    scores: &CtcScores,
    cost: Option<&Tensor>,
    f: impl Fn(&Utterance<'_, F>) -> Result<Found<F>> + Sync,
) -> Result<Tensor> {
    let (batch, num_frames, columns) = scores.symbols().dims3()?;
    let expected = [batch, num_frames, columns - 1];
    if let Some(cost) = cost.filter(|c| c.dims() != expected || c.dtype() != scores.symbols().dtype()) {
        return Err(Error::Shape {
            what: "cost",
            expected: format!("{expected:?} {:?}, as the scores", scores.symbols().dtype()),
            got: cost.dims().to_vec(),
        });
    }
    let found = each(scores, cost, f)?;
    let collect = |part: fn(&Found<F>) -> &[F]| found.iter().map(part).collect::<Vec<_>>().concat();
    let op = WithGradient {
        values: found.iter().map(|found| F::from_f64(found.value)).collect(),
        gradients: [
            scores
                .symbols()
                .track_op()
                .then(|| collect(|found| &found.symbols)),
            cost.filter(|cost| cost.track_op())
                .map(|_| collect(|found| &found.cost)),
        ],
    };
    Ok(match cost {
        Some(cost) => op.of_both(scores.symbols(), cost)?,
        None => op.of(scores.symbols())?,
    })
}
