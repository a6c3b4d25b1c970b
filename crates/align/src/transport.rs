//! Optimal transport: frames are spread over labels, in whatever order.

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Error, Lengths, Pair, Result, pairwise};

use crate::filled::fill;
use crate::grid::Grid;
use crate::record::record;
use crate::sinkhorn::Sinkhorn;

/// The cost of carrying the frames to the labels by the plan that a number of Sinkhorn iterations leaves, times U.
///
/// Every frame has the mass 1/T, every label takes 1/U; a plan says how much of each frame goes to each label. Nothing
/// makes it monotone: it does not know that speech has an order.
///
/// **Unit**: the plan has mass 1, so its cost is that of one label; the factor U makes it the sum over labels that
/// the other losses are. The entropy of the plan is not part of the loss.
///
/// **Iterations**: one makes the frames' shares right, then the labels'. So the labels' are exact and the frames' as good as
/// `iterations` makes them, which takes more of them the smaller ε is compared with the spread of the costs. The gradient is
/// that of the plan after exactly so many, by reverse through them; it does not assume that they have converged.
///
/// # Equation
///
/// ```text
/// φ_t ← −ln T − ln Σ_u e^{ψ_u − C_tu/ε}        ψ_u ← −ln U − ln Σ_t e^{φ_t − C_tu/ε}        n times, from ψ = 0
/// P_tu = e^{φ_t + ψ_u − C_tu/ε}                 L(b) = U Σ_tu P_tu C_tu
/// ```
///
/// # Shapes
///
/// * `cost`: `[B, T, U]`, f32 or f64, finite; may be negative. Padding is not read and gets gradient 0.
/// * `frames`, `labels`: one length per utterance.
/// * `epsilon`: ε, in the unit of the cost: towards 0 the plan is the cheapest, towards ∞ every frame goes everywhere.
/// * `iterations`: n, at least 1.
/// * returns `[B]`, in the unit of the cost, summed over labels; 0 without labels. Not reduced.
///
/// For each utterance an iteration takes O(T U) time; memory is O(T U) and n (T + U) numbers. Computed in f64, with all
/// sums in the log domain. A cost that is NaN or infinite makes its utterance's loss NaN.
///
/// # Errors
///
/// [`Error::Invalid`] unless ε is positive and finite and n at least 1; [`Error::NoAlignment`] naming the first utterance
/// with labels but no frames; [`Error::Shape`], [`Error::BatchSize`] or [`Error::Length`] if the arguments disagree.
///
/// # Source
///
/// Cuturi 2013, "Sinkhorn distances: lightspeed computation of optimal transport", arXiv:1306.0895.
///
/// # Proved by
///
/// `transport_equals_scaling_in_the_probability_domain`, `transport_gradient_equals_differences`,
/// `transport_without_entropy_is_the_best_assignment`, `transport_plan_has_its_marginals`.
pub fn optimal_transport_cost(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    epsilon: f64,
    iterations: usize,
) -> Result<Tensor> {
    check(epsilon, iterations)?;
    record(cost, frames, labels, |grid, gradient| {
        let Some(sinkhorn) = scale(grid, epsilon, iterations)? else {
            return Ok(0.0);
        };
        if let Some(gradient) = gradient {
            gradient.set(&sinkhorn.gradient());
        }
        Ok(sinkhorn.loss())
    })
}

/// The plan P of [`optimal_transport_cost`], as a constant. What goes to a label sums to 1/U.
///
/// # Shapes
///
/// As there; returns `[B, T, U]`, zero in the padding.
///
/// # Errors
///
/// As [`optimal_transport_cost`].
///
/// # Proved by
///
/// `transport_plan_has_its_marginals`, `transport_equals_scaling_in_the_probability_domain`.
pub fn transport_plan(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    epsilon: f64,
    iterations: usize,
) -> Result<Tensor> {
    check(epsilon, iterations)?;
    let (_, plans) = fill(cost, frames, labels, |grid, plan| {
        if let Some(sinkhorn) = scale(grid, epsilon, iterations)? {
            plan.set(&sinkhorn.plan());
        }
        Ok(())
    })?;
    Ok(plans)
}

fn check(epsilon: f64, iterations: usize) -> Result<()> {
    let invalid = |what, why| Err(Error::Invalid { what, why });
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return invalid("epsilon", format!("expected a positive number, got {epsilon}"));
    }
    if iterations == 0 {
        return invalid("iterations", "expected at least 1, got 0".into());
    }
    Ok(())
}

/// The iterations of one utterance, or nothing if it has no labels.
fn scale(grid: &Grid<'_>, epsilon: f64, iterations: usize) -> Result<Option<Sinkhorn>> {
    match (grid.frames, grid.labels) {
        (_, 0) => Ok(None),
        (0, _) => Err(grid.no_alignment()),
        (frames, labels) => {
            let mut cost = vec![0.0; frames * labels];
            for (t, row) in cost.chunks_mut(labels).enumerate() {
                grid.row(t, row);
            }
            Ok(Some(Sinkhorn::new(cost, labels, epsilon, iterations)))
        }
    }
}

/// The cost of carrying the speech frames to the text embeddings by an entropic transport plan, as a consistency. The
/// transducer's arcs play no part.
///
/// # Equation
///
/// ```text
/// L(b) = U Σ_tu P_tu d(speech(t), text(u))        P: the plan of optimal_transport_cost
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`, summed over labels.
///
/// # Errors
///
/// As [`pairwise`] and [`optimal_transport_cost`].
///
/// # Source
///
/// Cuturi 2013, arXiv:1306.0895; see [`optimal_transport_cost`].
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `transport_equals_scaling_in_the_probability_domain`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimalTransport {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// ε: how much a sharp plan is held back, in the unit of the distance.
    pub epsilon: f64,
    /// How often frames' and labels' shares are corrected, at least once.
    pub iterations: usize,
}

impl Consistency for OptimalTransport {
    fn name(&self) -> &'static str {
        "optimal-transport"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        let (frames, labels) = (pair.speech.lengths(), pair.text.lengths());
        optimal_transport_cost(&cost, frames, labels, self.epsilon, self.iterations)
    }
}
