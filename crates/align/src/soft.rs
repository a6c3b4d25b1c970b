//! Soft alignment: the log-sum of all alignments in place of the cheapest.

use std::f64::consts::LOG2_E;

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Error, Lengths, Pair, Result, pairwise};

use crate::Moves;
use crate::chain::log_total;
use crate::filled::{GridMut, fill};
use crate::grid::Grid;
use crate::moves::{self, Reading};
use crate::record::record;

/// The soft minimum of what all alignments cost; with [`Moves::Warping`] it is soft-DTW.
///
/// As γ → 0 it becomes [`best_alignment_cost`](crate::best_alignment_cost); at any γ its gradient is smooth: a cell gets
/// the probability that an alignment takes it, if alignments are drawn with weights `e^{−cost/γ}`.
///
/// **It can be negative**, where the best cost is not: with N alignments it lies between the best cost − γ ln N and the
/// best cost. Nothing is subtracted to prevent that.
///
/// # Equation
///
/// ```text
/// L(b) = −γ ln Σ_a e^{−C(a) / γ},   C(a) = Σ_{(t, u) ∈ a} cost(b, t, u)
/// ∂L/∂cost(b, t, u) = P((t, u) ∈ a),   P(a) ∝ e^{−C(a) / γ}
/// ```
///
/// # Shapes
///
/// * `cost`: `[B, T, U]`, f32 or f64; may be negative. Padding is not read and gets gradient 0. A cost of +∞ forbids its
///   cell; if that forbids all alignments, the loss is +∞ and the gradient NaN. A cost of NaN or −∞ that an alignment can take
///   makes both NaN.
/// * `frames`, `labels`: one length per utterance.
/// * `temperature`: γ, in the unit of the cost.
/// * returns `[B]`, in the unit of the cost. Not reduced.
///
/// Time is O(T U) for each utterance, memory beyond the gradient O(U √(T + U)). Computed in f64 with exponents of their own,
/// so that no temperature is too cold: weights are multiplied and added as they are, and one logarithm is taken, of their sum.
///
/// # Errors
///
/// [`Error::Invalid`] unless γ is positive and finite; [`Error::NoAlignment`] naming the first utterance whose lengths
/// `moves` cannot align; [`Error::Shape`], [`Error::BatchSize`] or [`Error::Length`] if the arguments disagree.
///
/// # Source
///
/// Cuturi & Blondel 2017, "Soft-DTW: a differentiable loss function for time-series", arXiv:1703.01541, for the steps of
/// dynamic time warping (Sakoe & Chiba 1978). The other moves are ours.
///
/// # Proved by
///
/// `soft_alignment_equals_enumeration`, `soft_alignment_gradient_equals_differences`,
/// `soft_alignment_of_free_cells_counts_the_alignments`, `soft_alignment_becomes_the_best_as_it_cools`,
/// `soft_alignment_equals_the_log_domain`, `soft_alignment_at_any_temperature_is_bounded_by_the_best`.
pub fn soft_alignment_cost(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    moves: Moves,
    temperature: f64,
) -> Result<Tensor> {
    check(temperature)?;
    record(cost, frames, labels, |grid, gradient| {
        one(grid, moves, temperature, gradient)
    })
}

/// What [`soft_alignment_cost`] and its gradient are, at once and as constants: the soft minima, `[B]`, and the probabilities
/// that alignments take the cells, `[B, T, U]`, zero in the padding. For those who want to see an alignment, or need no tape.
///
/// # Equation
///
/// As [`soft_alignment_cost`]: L(b) and ∂L/∂cost(b, t, u).
///
/// # Shapes
///
/// As [`soft_alignment_cost`], and so is what is done with costs that are no numbers; both results have the type of the costs.
///
/// # Errors
///
/// As [`soft_alignment_cost`].
///
/// # Source
///
/// Cuturi & Blondel 2017, arXiv:1703.01541; see [`soft_alignment_cost`].
///
/// # Proved by
///
/// `soft_alignment_is_its_cost_and_gradient`.
pub fn soft_alignment(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    moves: Moves,
    temperature: f64,
) -> Result<(Tensor, Tensor)> {
    check(temperature)?;
    let (totals, probabilities) = fill(cost, frames, labels, |grid, taken| {
        one(grid, moves, temperature, Some(taken))
    })?;
    let totals = Tensor::new(totals, cost.device())?.to_dtype(cost.dtype())?;
    Ok((totals, probabilities))
}

fn check(temperature: f64) -> Result<()> {
    if temperature > 0.0 && temperature.is_finite() {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "temperature",
        why: format!("expected a positive number, got {temperature}"),
    })
}

/// The soft minimum of one utterance.
fn one(grid: &Grid<'_>, moves: Moves, temperature: f64, taken: Option<&mut GridMut<'_>>) -> Result<f64> {
    if !moves.can_align(grid.frames, grid.labels) {
        return Err(grid.no_alignment());
    }
    Ok(match moves {
        Moves::EveryLabel => soften::<moves::EveryLabel>(grid, temperature, taken),
        Moves::EveryLabelStrict => soften::<moves::EveryLabelStrict>(grid, temperature, taken),
        Moves::EveryFrame => soften::<moves::EveryFrame>(grid, temperature, taken),
        Moves::Forced => soften::<moves::Forced>(grid, temperature, taken),
        Moves::Warping => soften::<moves::Warping>(grid, temperature, taken),
    })
}

fn soften<R: Reading>(grid: &Grid<'_>, temperature: f64, mut taken: Option<&mut GridMut<'_>>) -> f64 {
    if grid.frames == 0 || grid.labels == 0 {
        // There is one alignment, and it takes nothing.
        return 0.0;
    }
    // e^{−cost/γ} = 2^{−rate cost}, and −γ ln is minus the logarithm to base 2^rate. A rounded rate is a temperature that
    // differs by as little.
    let rate = (LOG2_E / temperature).min(f64::MAX);
    let total = log_total::<R>(grid, rate, taken.as_deref_mut());
    if let Some(taken) = taken.filter(|_| !total.is_finite()) {
        // All alignments are forbidden, or some cost is no number.
        taken.fill(f64::NAN);
    }
    -total
}

/// The soft minimum of speech and text's distances along all alignments, as a consistency. The transducer's arcs play no
/// part. It can be negative.
///
/// # Equation
///
/// ```text
/// L(b) = −γ ln Σ_a e^{−C(a) / γ},   C(a) = Σ_{(t, u) ∈ a} d(speech(t), text(u))
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`, in the unit of the distance.
///
/// # Errors
///
/// As [`pairwise`] and [`soft_alignment_cost`].
///
/// # Source
///
/// Cuturi & Blondel 2017, arXiv:1703.01541; see [`soft_alignment_cost`].
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `soft_alignment_is_below_the_best`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftAlignment {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// What an alignment must cover.
    pub moves: Moves,
    /// γ: towards 0 only the best alignment counts, towards ∞ all count alike. In the unit of the distance.
    pub temperature: f64,
}

impl Consistency for SoftAlignment {
    fn name(&self) -> &'static str {
        "soft-alignment"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        let (frames, labels) = (pair.speech.lengths(), pair.text.lengths());
        soft_alignment_cost(&cost, frames, labels, self.moves, self.temperature)
    }
}
