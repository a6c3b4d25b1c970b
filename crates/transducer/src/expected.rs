//! What an alignment costs: expected and soft cost, variance; and how uncertain it is.

use candle_core::{DType, Tensor};
use sandhi_core::{ArcScores, Error, Result};

use crate::arc_scores::wrong_dtype;
use crate::chain::Arcs;
use crate::grid::{Utterance, each_utterance};
use crate::op::WithGradient;
use crate::real::Real;

/// Value and gradients of one utterance: with respect to node scores and costs.
struct Found<F> {
    value: f64,
    nodes: Vec<F>,
    cost: Vec<F>,
}

impl<F: Real> Found<F> {
    fn new(utterance: &Utterance<'_, F>, value: f64) -> Self {
        Self {
            value,
            nodes: utterance.node_grid(),
            cost: utterance.label_grid(),
        }
    }

    /// The gradients of one node: of the scores of its arcs, and of the cost of its label.
    fn set(&mut self, utterance: &Utterance<'_, F>, (t, u): (usize, usize), (blank, label): Arcs, cost: f64) {
        let at = utterance.node_index(t, u);
        self.nodes[at] = F::from_f64(blank);
        if u < utterance.waves.labels {
            self.nodes[at + 1] = F::from_f64(label);
            self.cost[utterance.label_index(t, u)] = F::from_f64(cost);
        }
    }
}

/// Checks the costs and records `f` of every utterance as one operation.
fn record(
    arcs: &ArcScores,
    cost: &Tensor,
    single: impl Fn(&Utterance<'_, f32>) -> Result<Found<f32>> + Sync,
    double: impl Fn(&Utterance<'_, f64>) -> Result<Found<f64>> + Sync,
) -> Result<Tensor> {
    fn run<F: Real>(
        arcs: &ArcScores,
        cost: &Tensor,
        f: impl Fn(&Utterance<'_, F>) -> Result<Found<F>> + Sync,
    ) -> Result<Tensor> {
        let found = each_utterance(arcs, Some(cost), f)?;
        let collect =
            |part: fn(&Found<F>) -> &Vec<F>| found.iter().flat_map(part).copied().collect::<Vec<F>>();
        let values = found.iter().map(|found| F::from_f64(found.value)).collect();
        let gradients = [
            arcs.nodes().track_op().then(|| collect(|found| &found.nodes)),
            cost.track_op().then(|| collect(|found| &found.cost)),
        ];
        Ok(WithGradient { values, gradients }.of_both(arcs.nodes(), cost)?)
    }
    if cost.dims() != arcs.label().dims() || cost.dtype() != arcs.label().dtype() {
        return Err(Error::Shape {
            what: "cost",
            expected: format!(
                "{:?} {:?}, as the label scores",
                arcs.label().dims(),
                arcs.label().dtype()
            ),
            got: cost.dims().to_vec(),
        });
    }
    match cost.dtype() {
        DType::F32 => run::<f32>(arcs, cost, single),
        DType::F64 => run::<f64>(arcs, cost, double),
        other => Err(wrong_dtype("cost", other)),
    }
}

/// The cost of emitting the labels, averaged over all alignments of a transducer: the loss of ASTRA.
///
/// The gradient reaches the costs and the alignment. Detach `arcs` ([`ArcScores::detach`]) to hold the alignment.
///
/// # Equation
///
/// ```text
/// E D = Σ_π p(π) D(π) / Σ_π p(π)          D(π) = Σ over label arcs (t, u) of π of cost(t, u)
///
/// ∂ E D / ∂ cost(t, u)  = γ(t, u)
/// ∂ E D / ∂ ln p(arc)   = γ(arc) (E[D | arc] − E D)
/// ```
///
/// # Shapes
///
/// * `arcs`: `[B, T, U+1, 2]`, natural log-probabilities, f32 or f64.
/// * `cost`: `[B, T, U]`, the cost of emitting label u at frame t, of the same dtype; may be negative. Padding is not read.
/// * returns `[B]`, in the unit of the cost, summed over the labels of an utterance. Not reduced.
///
/// # Errors
///
/// [`Error::Shape`] if the cost is not shaped like the label scores; otherwise as
/// [`transducer_loss`](crate::transducer_loss).
///
/// # Source
///
/// Gaur et al. 2024, "ASTRA", arXiv:2406.06664 (the formulae are reconstructed from what is public about it); the
/// expectation semiring is Eisner's (2002).
///
/// # Proved by
///
/// `expected_cost_equals_brute_force`, `expected_cost_gradient_equals_differences`,
/// `expected_cost_gradient_of_the_cost_is_the_posterior`, `best_below_soft_below_expected`.
pub fn expected_cost(arcs: &ArcScores, cost: &Tensor) -> Result<Tensor> {
    fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
        let chain = utterance.chain()?;
        let costs = chain.label_costs(|t, u| utterance.cost(t, u));
        let moments = chain.moments(&costs);
        let mut found = Found::new(utterance, moments.mean());
        chain.deviations(&costs, &moments, |t, u, posterior, deviation, _| {
            found.set(utterance, (t, u), deviation, posterior.1);
        });
        Ok(found)
    }
    record(arcs, cost, one::<f32>, one::<f64>)
}

/// How much the cost of emitting the labels varies over the alignments of a transducer.
///
/// # Equation
///
/// ```text
/// Var D = E[(D − E D)²]
///
/// ∂ Var D / ∂ cost(t, u)  = 2 γ(t, u) (E[D | arc] − E D)
/// ∂ Var D / ∂ ln p(arc)   = γ(arc) (E[(D − E D)² | arc] − Var D)
/// ```
///
/// Found from the same recursion as the mean, by the law of total variance: a sum of terms that are not negative, where
/// `E D² − (E D)²` would cancel.
///
/// # Shapes, errors
///
/// As [`expected_cost`]; the result is in the unit of the cost, squared.
///
/// # Proved by
///
/// `cost_variance_equals_brute_force`, `cost_variance_gradient_equals_differences`.
pub fn cost_variance(arcs: &ArcScores, cost: &Tensor) -> Result<Tensor> {
    fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
        let chain = utterance.chain()?;
        let costs = chain.label_costs(|t, u| utterance.cost(t, u));
        let moments = chain.moments(&costs);
        let variance = moments.variance();
        let mut found = Found::new(utterance, variance);
        chain.deviations(&costs, &moments, |t, u, posterior, deviation, squared| {
            let slopes = (
                squared.0 - posterior.0 * variance,
                squared.1 - posterior.1 * variance,
            );
            found.set(utterance, (t, u), slopes, 2.0 * deviation.1);
        });
        Ok(found)
    }
    record(arcs, cost, one::<f32>, one::<f64>)
}

/// The entropy of the alignment: 0 if there is only one, `ln N` if N are equally probable.
///
/// # Equation
///
/// ```text
/// H = −Σ_π p(π | labels) ln p(π | labels) = E[−Σ over arcs of π of ln p(arc | node)]
///
/// ∂ H / ∂ ln p(arc) = γ(arc) (E[S | arc] − E S)        S(π) = −ln p(π | labels)
/// ```
///
/// with p(arc | node) the transition probabilities of the alignments as a Markov chain: it is the expected cost of being
/// surprised, and no large numbers cancel.
///
/// # Shapes
///
/// * `arcs`: as [`expected_cost`].
/// * returns `[B]`, nats.
///
/// # Errors
///
/// As [`transducer_loss`](crate::transducer_loss).
///
/// # Proved by
///
/// `alignment_entropy_equals_brute_force`, `alignment_entropy_of_uniform_arcs_counts_paths`,
/// `alignment_entropy_gradient_equals_differences`.
pub fn alignment_entropy(arcs: &ArcScores) -> Result<Tensor> {
    fn run<F: Real>(arcs: &ArcScores) -> Result<Tensor> {
        let found = each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
            let chain = utterance.chain()?;
            let costs = chain.surprise();
            let moments = chain.moments(&costs);
            let mut gradient: Vec<F> = utterance.node_grid();
            chain.deviations(&costs, &moments, |t, u, _, (blank, label), _| {
                let at = utterance.node_index(t, u);
                gradient[at] = F::from_f64(blank);
                gradient[at + 1] = F::from_f64(label);
            });
            Ok((F::from_f64(moments.mean()), gradient))
        })?;
        let (values, gradients): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        let op = WithGradient {
            values,
            gradients: [Some(gradients.concat()), None],
        };
        Ok(op.of(arcs.nodes())?)
    }
    match arcs.nodes().dtype() {
        DType::F32 => run::<f32>(arcs),
        DType::F64 => run::<f64>(arcs),
        other => Err(wrong_dtype("arc scores", other)),
    }
}

/// The cost of an alignment in nats, averaged in the probability domain: `−ln E exp(−D)`.
///
/// A lower bound of [`expected_cost`], and an upper bound of the cheapest alignment's cost. The gradient reaches the costs
/// and the alignment. Detach `arcs` to hold the alignment.
///
/// # Equation
///
/// ```text
/// S = −ln Σ_π p(π) e^{−D(π)} + ln Σ_π p(π)
///
/// ∂S / ∂ cost(t, u) = γ'(t, u)        ∂S / ∂ ln p(arc) = γ(arc) − γ'(arc)
/// ```
///
/// with γ' the posterior under the weights `p(arc) e^{−cost(arc)}`. Both sums are taken in f64, so that their difference
/// keeps its digits in f32.
///
/// # Shapes
///
/// As [`expected_cost`]; the result is in nats.
///
/// # Errors
///
/// As [`expected_cost`].
///
/// # Proved by
///
/// `soft_cost_equals_brute_force`, `soft_cost_gradient_equals_differences`, `best_below_soft_below_expected`.
pub fn soft_cost(arcs: &ArcScores, cost: &Tensor) -> Result<Tensor> {
    fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Found<F>> {
        let prior = utterance.chain()?;
        let tilted = utterance.chain_of(|t, u| {
            let (blank, label) = utterance.scores(t, u);
            match u < utterance.waves.labels {
                true => (blank, label - utterance.cost(t, u)),
                false => (blank, label),
            }
        })?;
        let mut found = Found::new(utterance, prior.log_total() - tilted.log_total());
        tilted.posteriors(|t, u, (blank, label)| found.set(utterance, (t, u), (-blank, -label), label));
        prior.posteriors(|t, u, (blank, label)| {
            let at = utterance.node_index(t, u);
            found.nodes[at] += F::from_f64(blank);
            found.nodes[at + 1] += F::from_f64(label);
        });
        Ok(found)
    }
    record(arcs, cost, one::<f32>, one::<f64>)
}
