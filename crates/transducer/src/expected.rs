//! Expected and soft cost of an alignment: as functions, and as consistency losses.

use candle_core::{DType, Tensor};
use sandhi_core::{ArcScores, Consistency, Distance, Error, Pair, Result, pairwise};
use sandhi_lattice::{
    Arc, Expectation, Posteriors, Step, Topology, Transducer, backward, forward, posteriors,
};

use crate::arc_scores::wrong_dtype;
use crate::grid::{Utterance, each_utterance};
use crate::op::WithGradient;
use crate::real::Real;

/// Value and gradients of one utterance: with respect to blank scores, label scores and costs.
struct Found<F> {
    value: f64,
    blank: Vec<F>,
    label: Vec<F>,
    cost: Vec<F>,
}

impl<F: Real> Found<F> {
    /// Fills the three gradients arc by arc: `f` gives the slopes with respect to an arc's score and its cost.
    fn new(utterance: &Utterance<'_, F>, value: f64, f: impl Fn(Arc) -> (f64, f64)) -> Self {
        let (mut blank, mut label) = utterance.grids();
        let mut cost = label.clone();
        for arc in utterance.extent.arcs(Transducer) {
            let (by_score, by_cost) = f(arc);
            match arc.step {
                Step::Blank => blank[utterance.blank_index(arc.t, arc.u)] = F::from_f64(by_score),
                Step::Label => {
                    label[utterance.label_index(arc.t, arc.u)] = F::from_f64(by_score);
                    cost[utterance.label_index(arc.t, arc.u)] = F::from_f64(by_cost);
                }
            }
        }
        Found {
            value,
            blank,
            label,
            cost,
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
            arcs.blank().track_op().then(|| collect(|found| &found.blank)),
            arcs.label().track_op().then(|| collect(|found| &found.label)),
            cost.track_op().then(|| collect(|found| &found.cost)),
        ];
        Ok(WithGradient { values, gradients }.apply([arcs.blank(), arcs.label(), cost])?)
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
/// * `arcs`: blank `[B, T, U+1]`, label `[B, T, U]`, natural log-probabilities, f32 or f64.
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
        let extent = utterance.extent;
        let weight = |arc| Expectation {
            log_p: utterance.log_p(arc),
            mean: utterance.cost(arc),
        };
        let alpha = forward(Transducer, extent, weight);
        let beta = backward(Transducer, extent, weight);
        let all = alpha.at(extent.frames, extent.labels);
        if all.log_p == f64::NEG_INFINITY {
            return Err(utterance.no_alignment());
        }
        Ok(Found::new(utterance, all.mean, |arc| {
            let (dt, du) = Transducer.advance(arc.step);
            // A label arc out of the last column leads nowhere.
            if arc.u + du > extent.labels {
                return (0.0, 0.0);
            }
            let (before, after) = (alpha.at(arc.t, arc.u), beta.at(arc.t + dt, arc.u + du));
            let gamma = (before.log_p + utterance.log_p(arc) + after.log_p - all.log_p).exp();
            // An arc that is never taken moves nothing, whatever it costs.
            if gamma == 0.0 {
                return (0.0, 0.0);
            }
            let given_arc = before.mean + utterance.cost(arc) + after.mean;
            (gamma * (given_arc - all.mean), gamma)
        }))
    }
    record(arcs, cost, one::<f32>, one::<f64>)
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
        let prior: Posteriors<f64> = posteriors(Transducer, utterance.extent, |arc| utterance.log_p(arc));
        let tilted = posteriors(Transducer, utterance.extent, |arc| {
            utterance.log_p(arc) - utterance.cost(arc)
        });
        if prior.log_total() == f64::NEG_INFINITY || tilted.log_total() == f64::NEG_INFINITY {
            return Err(utterance.no_alignment());
        }
        Ok(Found::new(
            utterance,
            prior.log_total() - tilted.log_total(),
            |arc| (prior.arc(arc) - tilted.arc(arc), tilted.arc(arc)),
        ))
    }
    record(arcs, cost, one::<f32>, one::<f64>)
}

/// Whether gradient reaches the alignment.
///
/// What ASTRA does is unknown, so it is a choice, and each is an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// The loss also moves the alignment towards cheap frames.
    Learned,
    /// The alignment is taken as given; only the embeddings move.
    Held,
}

impl Alignment {
    fn of(self, arcs: &ArcScores) -> ArcScores {
        match self {
            Alignment::Learned => arcs.clone(),
            Alignment::Held => arcs.detach(),
        }
    }
}

/// ASTRA's consistency: the distance of speech and text, averaged over the transducer's alignments.
///
/// Summed over the labels of an utterance, not divided by their number.
///
/// # Source
///
/// Gaur et al. 2024, arXiv:2406.06664; see [`expected_cost`].
///
/// # Proved by
///
/// `expected_cost_consistency_equals_its_parts`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedCost {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// Does gradient reach the arcs?
    pub alignment: Alignment,
}

impl Consistency for ExpectedCost {
    fn name(&self) -> &'static str {
        "expected-cost"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        expected_cost(&self.alignment.of(pair.arcs), &cost_of(self.distance, pair)?)
    }
}

/// The quantity that ASTRA's loss bounds, as a consistency: see [`soft_cost`].
///
/// # Proved by
///
/// `soft_cost_consistency_is_below_the_expected_cost`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftCost {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// Does gradient reach the arcs?
    pub alignment: Alignment,
}

impl Consistency for SoftCost {
    fn name(&self) -> &'static str {
        "soft-cost"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        soft_cost(&self.alignment.of(pair.arcs), &cost_of(self.distance, pair)?)
    }
}

/// The costs of a pair whose lengths are those of its arcs.
fn cost_of(distance: Distance, pair: Pair<'_>) -> Result<Tensor> {
    let same = [
        ("speech embeddings", pair.speech.lengths(), pair.arcs.frames()),
        ("text embeddings", pair.text.lengths(), pair.arcs.labels()),
    ];
    for (what, got, expected) in same {
        if got != expected {
            let why = format!(
                "expected the lengths of the arcs, {:?}, got {:?}",
                expected.as_slice(),
                got.as_slice()
            );
            return Err(Error::Invalid { what, why });
        }
    }
    pairwise(distance, pair.speech, pair.text)
}
