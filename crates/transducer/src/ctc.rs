//! CTC: the loss, and what its alignments cost.

use candle_core::{DType, Tensor};
use sandhi_core::{Labels, Padded, Result};

use crate::CtcScores;
use crate::arc_scores::wrong_dtype;
use crate::chain::Flow;
use crate::ctc_utterance::{Found, Utterance, record};
use crate::real::Real;

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
    /// [`sandhi_core::Error::NoAlignment`] naming the first utterance with fewer frames than its labels need: one each, and one between
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
    /// As [`loss`](Self::loss); [`sandhi_core::Error::Shape`] if the costs are shaped otherwise.
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
}
