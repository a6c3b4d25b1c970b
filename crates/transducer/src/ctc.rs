//! CTC: the loss, alignments, and what they cost.

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use sandhi_core::{Error, Labels, Padded, Result, host};
use sandhi_lattice::{Ctc, MaxTropical};

use crate::arc_scores::wrong_dtype;
use crate::chain::Flow;
use crate::ctc_chain::{Arcs, CtcChain};
use crate::op::WithGradient;
use crate::real::Real;
use crate::{Aligned, CtcScores};

/// Negative log-likelihood of the labels under all CTC alignments: [`CtcScores::loss`] of the logits.
///
/// # Shapes
///
/// * `logits`: `[B, T, V]`, f32 or f64, unnormalised.
/// * `labels`: one row per utterance; the blank is theirs.
/// * returns `[B]`, nats per utterance. Not reduced.
///
/// # Errors
///
/// As [`CtcScores::new`] and [`CtcScores::loss`].
///
/// # Proved by
///
/// `ctc_loss_equals_brute_force`, `ctc_loss_of_uniform_logits_counts_alignments`,
/// `ctc_loss_gradient_equals_differences`, `ctc_loss_ignores_padding`, `ctc_loss_of_a_batch_equals_its_singles`.
pub fn ctc_loss(logits: &Padded, labels: &Labels) -> Result<Tensor> {
    CtcScores::new(logits, labels)?.loss()
}

/// One utterance on the host.
struct Utterance<'a, F> {
    index: usize,
    frames: usize,
    labels: &'a [u32],
    /// `[T, U+1]`.
    symbols: &'a [F],
    /// `[T, U]`, or empty.
    cost: &'a [F],
    /// Padded U+1.
    columns: usize,
}

impl<F: Real> Utterance<'_, F> {
    /// ln p of a symbol: the blank, then the labels.
    fn score(&self, t: usize, symbol: usize) -> f64 {
        self.symbols[t * self.columns + symbol].to_f64()
    }

    /// What it costs to read frame `t` as label `u`.
    fn cost(&self, t: usize, u: usize) -> f64 {
        self.cost[t * (self.columns - 1) + u].to_f64()
    }

    /// The costs in the order of the chain: blanks are free.
    fn costs(&self, chain: &CtcChain) -> Vec<Arcs> {
        chain.costs(|t, u| {
            let cost = self.cost(t, u);
            Arcs {
                label: cost,
                stay: cost,
                ..Arcs::default()
            }
        })
    }

    fn no_alignment(&self) -> Error {
        Error::NoAlignment {
            utterance: self.index,
            frames: self.frames,
            labels: self.labels.len(),
        }
    }

    /// The alignments, if there are any.
    fn chain(&self) -> Result<CtcChain> {
        self.chain_of(|t, labels| {
            let row = &self.symbols[t * self.columns..][..=labels.len()];
            for (label, score) in labels.iter_mut().zip(&row[1..]) {
                *label = score.to_f64();
            }
            row[0].to_f64()
        })
    }

    /// The alignments under these scores, or the error.
    fn chain_of(&self, scores: impl FnMut(usize, &mut [f64]) -> f64) -> Result<CtcChain> {
        let chain = CtcChain::new(self.labels, self.frames, scores);
        match chain.log_total() == f64::NEG_INFINITY {
            true => Err(self.no_alignment()),
            false => Ok(chain),
        }
    }
}

/// Value, and gradients of the symbol scores `[T, U+1]` and of the costs `[T, U]`.
struct Found<F> {
    value: f64,
    symbols: Vec<F>,
    cost: Vec<F>,
}

impl<F: Real> Found<F> {
    fn new(utterance: &Utterance<'_, F>, value: f64) -> Self {
        Self {
            value,
            symbols: vec![F::default(); utterance.symbols.len()],
            cost: vec![F::default(); utterance.cost.len()],
        }
    }

    /// Adds what a node knows of the scores of its symbols, and of the cost of its label.
    fn add(
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
    fn add_posteriors(&mut self, columns: usize, t: usize, blank: f64, labels: &[f64], by: f64) {
        let row = &mut self.symbols[t * columns..][..=labels.len()];
        row[0] += F::from_f64(by * blank);
        for (slope, label) in row[1..].iter_mut().zip(labels) {
            *slope += F::from_f64(by * label);
        }
    }
}

/// Runs `$one` over every utterance in the dtype of the scores.
macro_rules! run {
    ($scores:expr, $cost:expr, $one:ident) => {
        match $scores.symbols().dtype() {
            DType::F32 => record($scores, $cost, $one::<f32>),
            DType::F64 => record($scores, $cost, $one::<f64>),
            other => Err(wrong_dtype("CTC scores", other)),
        }
    };
}

impl CtcScores {
    /// Negative log-likelihood of the labels under all alignments. The recursion runs in f64, whatever the dtype.
    ///
    /// # Equation
    ///
    /// ```text
    /// L(b) = −ln Σ_{z ∈ collapse⁻¹(y)} Π_t p(z_t | t)
    /// ∂L / ∂ symbol(t, k) = −Σ over states s that read k of γ(t, s)
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoAlignment`] naming the first utterance with fewer frames than its labels need: one each, and one between
    /// equal neighbours. NaN in a score that is read is not an error: the loss is NaN.
    ///
    /// # Source
    ///
    /// Graves et al. 2006, "Connectionist temporal classification".
    ///
    /// # Proved by
    ///
    /// `ctc_loss_equals_brute_force`, `ctc_loss_equals_the_semirings`, `ctc_loss_gradient_equals_differences`.
    pub fn loss(&self) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let chain = utterance.chain()?;
            let mut found = Found::new(utterance, -chain.log_total());
            chain.posteriors(|t, blank, labels| {
                found.add_posteriors(utterance.columns, t, blank, labels, -1.0);
            });
            Ok(found)
        }
        run!(self, None, one)
    }

    /// What the alignment costs in the mean: ASTRA's loss over CTC's alignments. Every frame that reads label u pays its
    /// cost; blanks are free. Gradient reaches the costs and, unless they are [detached](CtcScores::detach), the scores.
    ///
    /// # Equation
    ///
    /// ```text
    /// E D = Σ_t Σ_u γ(t, u) cost(t, u)
    /// ∂ E D / ∂ cost(t, u) = γ(t, u)        ∂ E D / ∂ ln p(t, s) = γ(t, s) (E[D | s at t] − E D)
    /// ```
    ///
    /// # Shapes
    ///
    /// `cost`: `[B, T, U]` of the scores' dtype; returns `[B]`, in the unit of the cost.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Shape`] if the costs are shaped otherwise.
    ///
    /// # Proved by
    ///
    /// `ctc_costs_equal_brute_force`, `ctc_costs_equal_the_semirings`, `ctc_cost_gradients_equal_differences`.
    pub fn expected_cost(&self, cost: &Tensor) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let chain = utterance.chain()?;
            let costs = utterance.costs(&chain);
            let moments = chain.moments(&costs);
            let mut found = Found::new(utterance, moments.all().mean);
            chain.deviations(&costs, &moments, |t, u, blank, label| {
                found.add(
                    utterance,
                    (t, u),
                    (blank.deviation, label.deviation),
                    label.occupancy,
                );
            });
            Ok(found)
        }
        run!(self, Some(cost), one)
    }

    /// How much the cost varies over the alignments: `E[(D − E D)²]`, with gradients as
    /// [`cost_variance`](crate::cost_variance). Shapes and errors as [`expected_cost`](Self::expected_cost).
    ///
    /// # Errors
    ///
    /// As [`expected_cost`](Self::expected_cost).
    ///
    /// # Proved by
    ///
    /// `ctc_costs_equal_brute_force`, `ctc_cost_gradients_equal_differences`.
    pub fn cost_variance(&self, cost: &Tensor) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let chain = utterance.chain()?;
            let costs = utterance.costs(&chain);
            let moments = chain.moments(&costs);
            let variance = moments.all().variance;
            let mut found = Found::new(utterance, variance);
            chain.deviations(&costs, &moments, |t, u, blank, label| {
                let by_score = |flow: Flow| flow.squared - flow.occupancy * variance;
                found.add(
                    utterance,
                    (t, u),
                    (by_score(blank), by_score(label)),
                    2.0 * label.deviation,
                );
            });
            Ok(found)
        }
        run!(self, Some(cost), one)
    }

    /// The cost in nats, averaged in the probability domain: `−ln E exp(−D)`, see [`soft_cost`](crate::soft_cost).
    ///
    /// # Errors
    ///
    /// As [`expected_cost`](Self::expected_cost).
    ///
    /// # Proved by
    ///
    /// `ctc_costs_equal_brute_force`, `ctc_cost_gradients_equal_differences`.
    pub fn soft_cost(&self, cost: &Tensor) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let prior = utterance.chain()?;
            let tilted = utterance.chain_of(|t, labels| {
                for (u, label) in labels.iter_mut().enumerate() {
                    *label = utterance.score(t, u + 1) - utterance.cost(t, u);
                }
                utterance.score(t, 0)
            })?;
            let mut found = Found::new(utterance, prior.log_total() - tilted.log_total());
            prior.posteriors(|t, blank, labels| {
                found.add_posteriors(utterance.columns, t, blank, labels, 1.0);
            });
            tilted.posteriors(|t, blank, labels| {
                found.add_posteriors(utterance.columns, t, blank, labels, -1.0);
                let row = &mut found.cost[t * (utterance.columns - 1)..][..labels.len()];
                for (slope, &label) in row.iter_mut().zip(labels) {
                    *slope = F::from_f64(label);
                }
            });
            Ok(found)
        }
        run!(self, Some(cost), one)
    }

    /// The entropy of the alignment in nats, with gradient, as [`alignment_entropy`](crate::alignment_entropy).
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// # Proved by
    ///
    /// `ctc_costs_equal_brute_force`, `ctc_cost_gradients_equal_differences`.
    pub fn alignment_entropy(&self) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let chain = utterance.chain()?;
            let costs = chain.surprise();
            let moments = chain.moments(&costs);
            let mut found = Found::new(utterance, moments.all().mean);
            chain.deviations(&costs, &moments, |t, u, blank, label| {
                found.add(utterance, (t, u), (blank.deviation, label.deviation), 0.0);
            });
            Ok(found)
        }
        run!(self, None, one)
    }

    /// γ(t, u): the probability that frame `t` reads label `u`; a constant, `[B, T, U]`, 0 in the padding.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// # Proved by
    ///
    /// `ctc_label_posteriors_equal_the_gradient`, `ctc_posteriors_of_long_speech_sum_to_one`.
    pub fn label_posteriors(&self) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Vec<F>> {
            let chain = utterance.chain()?;
            let padded = utterance.columns - 1;
            let mut grid = vec![F::default(); utterance.symbols.len() / utterance.columns * padded];
            chain.posteriors(|t, _, labels| {
                for (cell, &label) in grid[t * padded..].iter_mut().zip(labels) {
                    *cell = F::from_f64(label);
                }
            });
            Ok(grid)
        }
        let (batch, num_frames, columns) = self.symbols().dims3()?;
        let (shape, device) = ((batch, num_frames, columns - 1), self.symbols().device());
        Ok(match self.symbols().dtype() {
            DType::F32 => Tensor::from_vec(each(self, None, one::<f32>)?.concat(), shape, device)?,
            DType::F64 => Tensor::from_vec(each(self, None, one::<f64>)?.concat(), shape, device)?,
            other => return Err(wrong_dtype("CTC scores", other)),
        })
    }

    /// The most probable alignment: the first frame of each label, and ln p of the path.
    ///
    /// **Ties**: the one that reads the later state at the last frame where they differ, that is, the one that emits
    /// earlier.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// # Proved by
    ///
    /// `ctc_viterbi_equals_brute_force`.
    pub fn viterbi(&self) -> Result<Vec<Aligned>> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Aligned> {
            let lattice = Ctc::new(utterance.frames, utterance.labels);
            let log_p = |t, state| utterance.score(t, lattice.label(state).map_or(0, |u| u + 1));
            let best = lattice.backward(|t, state| MaxTropical(log_p(t, state)));
            let score = best.at(0, 0).0;
            if score == f64::NEG_INFINITY {
                return Err(utterance.no_alignment());
            }
            let (mut state, mut frames) = (0, vec![]);
            for t in 0..utterance.frames {
                let value = |to: usize| log_p(t, to) + best.at(t + 1, to).0;
                let next = lattice
                    .next(state)
                    .reduce(|a, b| if value(b) >= value(a) { b } else { a });
                let next = next.unwrap_or(state);
                if lattice.label(next).is_some() && next != state {
                    frames.push(t);
                }
                state = next;
            }
            Ok(Aligned { frames, score })
        }
        match self.symbols().dtype() {
            DType::F32 => each(self, None, one::<f32>),
            DType::F64 => each(self, None, one::<f64>),
            other => Err(wrong_dtype("CTC scores", other)),
        }
    }
}

/// Calls `f` for every utterance, in parallel, and returns the results in batch order, or the first utterance's error.
fn each<F: Real, R: Send>(
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
fn record<F: Real>(
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
