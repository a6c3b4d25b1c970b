//! The best path, with a stated tie rule.

use crate::{Arc, Extent, Float, MaxTropical, Semiring, Step, Topology, backward};

/// A path from the start to the end of a lattice.
#[derive(Clone, Debug, PartialEq)]
pub struct Path<F> {
    /// The arcs in order.
    pub arcs: Vec<Arc>,
    /// Sum of the scores of the arcs.
    pub score: F,
}

impl<F> Path<F> {
    /// The frame at which each label is emitted.
    pub fn emission_frames(&self) -> Vec<usize> {
        self.arcs
            .iter()
            .filter(|arc| arc.step == Step::Label)
            .map(|arc| arc.t)
            .collect()
    }
}

/// The path with the largest sum of scores, or `None` if no path has a score above −∞.
///
/// **Ties**: of several best paths the one that emits earliest. At every node, if some best path emits the next label
/// there, it is emitted there. Ties are those of the computed sums: rounding may break what exact arithmetic leaves tied.
///
/// For the cheapest path negate the costs. NaN scores compare as nothing: a path is found, but which is unspecified.
///
/// # Proved by
///
/// `best_path_equals_brute_force`, `best_path_of_ties_emits_earliest`.
pub fn best_path<F: Float, T: Topology>(
    topology: T,
    extent: Extent,
    score: impl Fn(Arc) -> F,
) -> Option<Path<F>> {
    // The backward table knows the best completion from every node, so the path can be read off from the start, where
    // the choice "label if it is as good as the blank" means "as early as possible".
    let best = backward(topology, extent, |arc| MaxTropical(score(arc)));
    let best_score = best.at(0, 0).0;
    if best_score == F::NEG_INFINITY {
        return None;
    }
    let (mut t, mut u) = (0, 0);
    let mut arcs = Vec::with_capacity(extent.frames + extent.labels);
    while (t, u) != (extent.frames, extent.labels) {
        let mut chosen: Option<(F, Arc, (usize, usize))> = None;
        for (arc, to) in extent.arcs_from(topology, t, u) {
            let value = MaxTropical(score(arc)).times(best.at(to.0, to.1)).0;
            // The label comes second, and wins a tie; but a dead end never wins.
            let wins =
                chosen.is_none_or(|(old, ..)| value > old || (value == old && value > F::NEG_INFINITY));
            if wins {
                chosen = Some((value, arc, to));
            }
        }
        let (_, arc, to) = chosen?;
        arcs.push(arc);
        (t, u) = to;
    }
    Some(Path {
        arcs,
        score: best_score,
    })
}
