//! Soft alignment: the log-sum of all alignments in place of the cheapest.

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Error, Lengths, Pair, Result, pairwise};

use crate::Moves;
use crate::grid::Grid;
use crate::moves::{self, Reading};
use crate::record::{Found, record};

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
/// Time and memory are O(T U) for each utterance, computed in f64.
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
/// `soft_alignment_of_free_cells_counts_the_alignments`, `soft_alignment_becomes_the_best_as_it_cools`.
pub fn soft_alignment_cost(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    moves: Moves,
    temperature: f64,
) -> Result<Tensor> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::Invalid {
            what: "temperature",
            why: format!("expected a positive number, got {temperature}"),
        });
    }
    record(cost, frames, labels, |grid, wanted| {
        if !moves.can_align(grid.frames, grid.labels) {
            return Err(grid.no_alignment());
        }
        Ok(match moves {
            Moves::EveryLabel => soften::<moves::EveryLabel>(grid, temperature, wanted),
            Moves::EveryLabelStrict => soften::<moves::EveryLabelStrict>(grid, temperature, wanted),
            Moves::EveryFrame => soften::<moves::EveryFrame>(grid, temperature, wanted),
            Moves::Forced => soften::<moves::Forced>(grid, temperature, wanted),
            Moves::Warping => soften::<moves::Warping>(grid, temperature, wanted),
        })
    })
}

/// The soft minimum of speech and text's distances along all alignments, as a consistency. The transducer's arcs play no
/// part. It can be negative.
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

fn soften<R: Reading>(grid: &Grid<'_>, temperature: f64, wanted: bool) -> Found {
    let (log_total, shares) = forward::<R>(grid, temperature, wanted);
    let gradient = match wanted {
        // All alignments are forbidden, or some cost is no number.
        true if !log_total.is_finite() => vec![f64::NAN; grid.frames * grid.labels],
        true => occupancy::<R>(grid, &shares),
        false => Vec::new(),
    };
    Found {
        value: -temperature * log_total,
        gradient,
    }
}

/// `ln Σ_a e^{−C(a)/γ}`, and for each node by which of its arcs paths enter it: a share per arc.
///
/// ```text
/// α(t, u) = ln Σ_arcs e^{α(from) − [takes] cost(t, u)/γ}        share(arc) = e^{its term − α(t, u)}
/// ```
///
/// With the shares the paths are a Markov chain from the end backwards, in which nothing overflows or cancels.
fn forward<R: Reading>(grid: &Grid<'_>, temperature: f64, keep: bool) -> (f64, Vec<f64>) {
    let arcs = R::ARCS.len();
    let mut shares = Vec::with_capacity(if keep { grid.frames * grid.labels * arcs } else { 0 });
    let mut costs = vec![0.0; grid.labels];
    let border = |free: bool| if free { 0.0 } else { f64::NEG_INFINITY };
    // α from the border at u = −1 on, of a frame and of the one before it; at first of the border at t = −1.
    let mut now = vec![border(R::SKIPS_FRAMES); grid.labels + 1];
    let mut before = vec![border(R::SKIPS_LABELS); grid.labels + 1];
    before[0] = 0.0;
    for t in 0..grid.frames {
        grid.row(t, &mut costs);
        now[0] = border(R::SKIPS_FRAMES);
        for (u, &cost) in costs.iter().enumerate() {
            let weight = -cost / temperature;
            // A reading has three arcs at most.
            let mut terms = [f64::NEG_INFINITY; 3];
            let terms = &mut terms[..R::ARCS.len()];
            for (term, arc) in terms.iter_mut().zip(R::ARCS) {
                let from = if arc.frames == 0 { &now } else { &before };
                let from = from[u + 1 - arc.labels];
                // What no path reaches stays so, even at a cost that is no number.
                *term = match arc.takes && from != f64::NEG_INFINITY {
                    true => from + weight,
                    false => from,
                };
            }
            let sum = log_add(terms);
            now[u + 1] = sum;
            if keep {
                shares.extend_from_slice(terms);
            }
        }
        std::mem::swap(&mut now, &mut before);
    }
    (before[grid.labels], shares)
}

/// `ln Σ e^term`; leaves in place of each term its share in the sum. Of impossible terms it makes −∞ and no shares, of NaN
/// NaN.
#[inline(always)]
fn log_add(terms: &mut [f64]) -> f64 {
    let first = terms[0];
    // The largest, or a NaN if that comes first; another NaN makes the sum NaN.
    let (top, largest) = (1..terms.len()).fold((0, first), |(top, largest), k| {
        if terms[k] > largest {
            (k, terms[k])
        } else {
            (top, largest)
        }
    });
    if !largest.is_finite() {
        let impossible = terms.iter().all(|&term| term == f64::NEG_INFINITY);
        let (sum, share) = if impossible {
            (largest, 0.0)
        } else {
            (f64::NAN, f64::NAN)
        };
        terms.fill(share);
        return sum;
    }
    let mut sum = 0.0;
    for (k, term) in terms.iter_mut().enumerate() {
        *term = if k == top { 1.0 } else { (*term - largest).exp() };
        sum += *term;
    }
    for share in terms {
        *share /= sum;
    }
    largest + sum.ln()
}

/// The probability that an alignment takes each cell, `[T, U]`.
///
/// ```text
/// P(t, u) = Σ over arcs that leave (t, u) of  P(their node) share(arc),   P(T−1, U−1) = 1
/// ```
fn occupancy<R: Reading>(grid: &Grid<'_>, shares: &[f64]) -> Vec<f64> {
    let mut taken = vec![0.0; grid.frames * grid.labels];
    if taken.is_empty() {
        return taken;
    }
    let arcs = R::ARCS.len();
    // From the border at u = −1 on.
    let mut now = vec![0.0; grid.labels + 1];
    let mut before = vec![0.0; grid.labels + 1];
    now[grid.labels] = 1.0;
    for t in (0..grid.frames).rev() {
        before.fill(0.0);
        for u in (0..grid.labels).rev() {
            let node = now[u + 1];
            // What leads nowhere has no part in anything, even if its shares are no numbers.
            if node == 0.0 {
                continue;
            }
            let shares = &shares[(t * grid.labels + u) * arcs..][..arcs];
            for (arc, share) in R::ARCS.iter().zip(shares) {
                let flow = node * share;
                let to = if arc.frames == 0 { &mut now } else { &mut before };
                to[u + 1 - arc.labels] += flow;
                if arc.takes {
                    taken[t * grid.labels + u] += flow;
                }
            }
        }
        std::mem::swap(&mut now, &mut before);
    }
    taken
}
