//! CTC: the loss, alignments, and what they cost.

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use sandhi_core::{Error, Labels, Padded, Result, host};
use sandhi_lattice::{Ctc, Log, MaxTropical, Moments, Semiring};

use crate::arc_scores::wrong_dtype;
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
    lattice: Ctc<'a>,
    /// `[T, U+1]`.
    symbols: &'a [F],
    /// `[T, U]`, or empty.
    cost: &'a [F],
    /// Padded U+1.
    columns: usize,
}

impl<F: Real> Utterance<'_, F> {
    /// The column of the symbol that a state reads.
    fn column(&self, state: usize) -> usize {
        self.lattice.label(state).map_or(0, |u| u + 1)
    }

    fn log_p(&self, t: usize, state: usize) -> f64 {
        self.symbols[t * self.columns + self.column(state)].to_f64()
    }

    /// What it costs to read a frame as a state: blanks are free.
    fn cost(&self, t: usize, state: usize) -> f64 {
        let cost = |u: usize| self.cost[t * (self.columns - 1) + u].to_f64();
        self.lattice.label(state).map_or(0.0, cost)
    }

    fn no_alignment(&self) -> Error {
        Error::NoAlignment {
            utterance: self.index,
            frames: self.lattice.frames(),
            labels: self.lattice.states() / 2,
        }
    }

    /// Posteriors under these scores, or the error.
    fn posteriors(&self, log_p: impl Fn(usize, usize) -> f64) -> Result<sandhi_lattice::CtcPosteriors<f64>> {
        let posteriors = self.lattice.posteriors(log_p);
        match posteriors.log_total() == f64::NEG_INFINITY {
            true => Err(self.no_alignment()),
            false => Ok(posteriors),
        }
    }

    /// Calls `f(t, state, γ, mean, variance)` with the posterior of every state that is read at all, and mean and variance
    /// of the cost of the paths that read it; returns mean and variance over all paths.
    fn moments(
        &self,
        cost: impl Fn(usize, usize) -> f64,
        mut f: impl FnMut(usize, usize, f64, (f64, f64), (f64, f64)),
    ) -> Result<(f64, f64)> {
        let weight = |t, state| Moments::arc(self.log_p(t, state), cost(t, state));
        let (alpha, beta) = (self.lattice.forward(weight), self.lattice.backward(weight));
        let all = beta.at(0, 0);
        if all.log_p == f64::NEG_INFINITY {
            return Err(self.no_alignment());
        }
        for t in 0..self.lattice.frames() {
            for state in 0..self.lattice.states() {
                let through = alpha.at(t + 1, state).times(beta.at(t + 1, state));
                let gamma = (through.log_p - all.log_p).exp();
                if gamma != 0.0 {
                    f(
                        t,
                        state,
                        gamma,
                        (through.mean, through.variance),
                        (all.mean, all.variance),
                    );
                }
            }
        }
        Ok((all.mean, all.variance))
    }
}

/// Value, and gradients of the symbol scores `[T, U+1]` and of the costs `[T, U]`.
struct Found<F> {
    value: f64,
    symbols: Vec<F>,
    cost: Vec<F>,
}

impl<F: Real> Found<F> {
    fn new(utterance: &Utterance<'_, F>) -> Self {
        Self {
            value: 0.0,
            symbols: vec![F::default(); utterance.symbols.len()],
            cost: vec![F::default(); utterance.cost.len()],
        }
    }

    fn add(&mut self, utterance: &Utterance<'_, F>, t: usize, state: usize, by_score: f64, by_cost: f64) {
        self.symbols[t * utterance.columns + utterance.column(state)] += F::from_f64(by_score);
        if let Some(u) = utterance.lattice.label(state).filter(|_| !self.cost.is_empty()) {
            self.cost[t * (utterance.columns - 1) + u] += F::from_f64(by_cost);
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
    /// `ctc_loss_equals_brute_force`, `ctc_loss_gradient_equals_differences`.
    pub fn loss(&self) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let gamma = utterance.posteriors(|t, state| utterance.log_p(t, state))?;
            let mut found = Found::new(utterance);
            found.value = -gamma.log_total();
            for t in 0..utterance.lattice.frames() {
                for state in 0..utterance.lattice.states() {
                    found.add(utterance, t, state, -gamma.state(t, state), 0.0);
                }
            }
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
    /// `ctc_costs_equal_brute_force`, `ctc_cost_gradients_equal_differences`.
    pub fn expected_cost(&self, cost: &Tensor) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
            let mut found = Found::new(utterance);
            let cost = |t, state| utterance.cost(t, state);
            let (mean, _) = utterance.moments(cost, |t, state, gamma, own, all| {
                found.add(utterance, t, state, gamma * (own.0 - all.0), gamma);
            })?;
            found.value = mean;
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
            let mut found = Found::new(utterance);
            let cost = |t, state| utterance.cost(t, state);
            let (_, variance) = utterance.moments(cost, |t, state, gamma, own, all| {
                let apart = own.0 - all.0;
                let by_score = gamma * (own.1 + apart * apart - all.1);
                found.add(utterance, t, state, by_score, 2.0 * gamma * apart);
            })?;
            found.value = variance;
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
            let prior = utterance.posteriors(|t, state| utterance.log_p(t, state))?;
            let tilted =
                utterance.posteriors(|t, state| utterance.log_p(t, state) - utterance.cost(t, state))?;
            let mut found = Found::new(utterance);
            found.value = prior.log_total() - tilted.log_total();
            for t in 0..utterance.lattice.frames() {
                for state in 0..utterance.lattice.states() {
                    let (before, after) = (prior.state(t, state), tilted.state(t, state));
                    found.add(utterance, t, state, before - after, after);
                }
            }
            Ok(found)
        }
        run!(self, Some(cost), one)
    }

    /// The entropy of the alignment in nats, with gradient: `ln Z − E ln p(path)`.
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
            let mut found = Found::new(utterance);
            let score = |t, state| Some(utterance.log_p(t, state)).filter(|s| *s != f64::NEG_INFINITY);
            let score = |t, state| score(t, state).unwrap_or_default();
            let (mean, _) = utterance.moments(score, |t, state, gamma, own, all| {
                found.add(utterance, t, state, -gamma * (own.0 - all.0), 0.0);
            })?;
            let total = utterance
                .lattice
                .total(|t, state| Log(utterance.log_p(t, state)))
                .0;
            found.value = total - mean;
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
    /// `ctc_label_posteriors_equal_the_gradient`.
    pub fn label_posteriors(&self) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Vec<F>> {
            let gamma = utterance.posteriors(|t, state| utterance.log_p(t, state))?;
            let labels = utterance.columns - 1;
            let mut grid = vec![F::default(); utterance.symbols.len() / utterance.columns * labels];
            for t in 0..utterance.lattice.frames() {
                for u in 0..utterance.lattice.states() / 2 {
                    grid[t * labels + u] = F::from_f64(gamma.state(t, 2 * u + 1));
                }
            }
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
            let lattice = utterance.lattice;
            let best = lattice.backward(|t, state| MaxTropical(utterance.log_p(t, state)));
            let score = best.at(0, 0).0;
            if score == f64::NEG_INFINITY {
                return Err(utterance.no_alignment());
            }
            let (mut state, mut frames) = (0, vec![]);
            for t in 0..lattice.frames() {
                let value = |to: usize| utterance.log_p(t, to) + best.at(t + 1, to).0;
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
                lattice: Ctc::new(scores.frames().get(index), &scores.labels().rows()[index]),
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
    let collect = |part: fn(&Found<F>) -> &Vec<F>| found.iter().flat_map(part).copied().collect::<Vec<F>>();
    let op = WithGradient {
        values: found.iter().map(|found| F::from_f64(found.value)).collect(),
        gradients: [
            Some(collect(|found| &found.symbols)),
            cost.map(|_| collect(|found| &found.cost)),
        ],
    };
    Ok(match cost {
        Some(cost) => op.of_both(scores.symbols(), cost)?,
        None => op.of(scores.symbols())?,
    })
}
