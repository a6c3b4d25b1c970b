//! Best alignment, as a function and as a consistency loss.

use candle_core::Tensor;
use sandhi_core::{Consistency, Distance, Lengths, Pair, Result, pairwise};

use crate::grid::each;
use crate::search::cheapest;
use crate::{Moves, alignment_cost};

/// The cost of the cheapest alignment of each utterance.
///
/// The alignment is found on the host in O(T U) time and bits, in f64; its cost is gathered, so the gradient with respect to
/// the costs is 1 along the path and 0 elsewhere (a subgradient where several paths tie).
///
/// # Equation
///
/// ```text
/// L(b) = min over alignments a of Σ_{(t, u) ∈ a} cost(b, t, u)
///
/// EveryLabel   D(u, t) = cost(t, u) + min_{t' ≤ t} D(u−1, t')      strict: t' < t
/// EveryFrame   D(t, u) = cost(t, u) + min_{u' ≤ u} D(t−1, u')
/// Forced       D(t, u) = cost(t, u) + min(D(t−1, u), D(t−1, u−1))
/// Warping      D(t, u) = cost(t, u) + min(D(t−1, u), D(t, u−1), D(t−1, u−1))
/// ```
///
/// # Shapes
///
/// * `cost`: `[B, T, U]`, f32 or f64; may be negative. Padding is not read and gets gradient 0.
/// * `frames`, `labels`: one length per utterance.
/// * returns `[B]`, in the unit of the cost, summed over the cells of the path. Not reduced.
///
/// # Errors
///
/// [`NoAlignment`](sandhi_core::Error::NoAlignment) naming the first utterance whose lengths `moves` cannot align;
/// [`Shape`](sandhi_core::Error::Shape), [`BatchSize`](sandhi_core::Error::BatchSize) or
/// [`Length`](sandhi_core::Error::Length) if the arguments disagree; [`Invalid`](sandhi_core::Error::Invalid) for another
/// dtype.
///
/// # Source
///
/// Peyser et al. 2023, "Improving joint speech-text representations without alignment", arXiv:2308.06125; Sakoe & Chiba 1978,
/// "Dynamic programming algorithm optimization for spoken word recognition", for `Warping`.
///
/// # Proved by
///
/// `best_alignment_equals_brute_force`, `best_alignment_equals_the_tropical_lattice`,
/// `best_alignment_gradient_equals_differences`.
pub fn best_alignment_cost(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    moves: Moves,
) -> Result<Tensor> {
    alignment_cost(
        cost,
        frames,
        labels,
        &best_alignment(cost, frames, labels, moves)?,
    )
}

/// The cheapest alignment of each utterance: the cells `(frame, label)` it consists of, in order.
///
/// With [`Moves::EveryLabel`] and [`Moves::EveryLabelStrict`] there is one cell per label, with [`Moves::EveryFrame`] and
/// [`Moves::Forced`] one per frame; with [`Moves::Warping`] there are up to T + U − 1 cells.
///
/// **Ties**, always decided from the end backwards: the label moves place each label at its earliest frame, `EveryFrame`
/// gives each frame its smallest label, `Forced` starts each label as early as possible, and `Warping` prefers a step of
/// both, then a step to the next frame.
///
/// A NaN cost is taken, not avoided: it shows in [`best_alignment_cost`]. A cost beyond ±1e290 counts as infinite.
///
/// # Shapes
///
/// As [`best_alignment_cost`]; the result has one row per utterance.
///
/// # Errors
///
/// As [`best_alignment_cost`].
///
/// # Proved by
///
/// `best_alignment_equals_brute_force`, `best_alignment_of_ties_is_earliest`.
pub fn best_alignment(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    moves: Moves,
) -> Result<Vec<Vec<(usize, usize)>>> {
    each(cost, frames, labels, |grid| cheapest(moves, grid))
}

/// The distance of speech and text along their cheapest alignment, as a consistency. The transducer's arcs play no part.
///
/// # Equation
///
/// ```text
/// L(b) = min_a Σ_{(t, u) ∈ a} d(speech(t), text(u))        a: the alignments that `moves` allows
/// ```
///
/// # Shapes
///
/// As [`Consistency::loss`]: speech `[B, T, D]` and text `[B, U, D]` give `[B]`, summed over the cells of the path.
///
/// # Errors
///
/// As [`pairwise`] and [`best_alignment_cost`].
///
/// # Source
///
/// Peyser et al. 2023, arXiv:2308.06125; see [`best_alignment_cost`].
///
/// # Proved by
///
/// `consistencies_obey_the_laws`, `best_alignment_of_upsampled_text_with_itself_is_free`,
/// `best_alignment_is_below_every_other_alignment`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BestAlignment {
    /// How far a frame and a label embedding are apart.
    pub distance: Distance,
    /// What an alignment must cover.
    pub moves: Moves,
}

impl Consistency for BestAlignment {
    fn name(&self) -> &'static str {
        "best-alignment"
    }

    fn loss(&self, pair: Pair<'_>) -> Result<Tensor> {
        let cost = pairwise(self.distance, pair.speech, pair.text)?;
        best_alignment_cost(&cost, pair.speech.lengths(), pair.text.lengths(), self.moves)
    }
}
