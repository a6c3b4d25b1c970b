//! The n best paths, with a stated order among equals.

use crate::{Arc, Extent, Float, Path, Topology};

/// How one of the best completions from a node goes on.
#[derive(Clone, Copy)]
struct Completion<F> {
    score: F,
    /// The arc taken, where it leads, and which of the completions there is meant; none at the end of the lattice.
    next: Option<(Arc, (usize, usize), usize)>,
}

/// The `n` paths with the largest sums of scores, best first; fewer if fewer have a score above −∞.
///
/// **Ties**: of paths with the same score the one that emits earlier comes first: at the node where they part, the one
/// that takes the label. Ties are those of the computed sums. O(n T U) time and memory.
///
/// NaN scores compare as nothing: paths are found, but which is unspecified.
///
/// # Equation
///
/// ```text
/// best_n(node) = the n largest of { score(arc) + s : arc from node, s ∈ best_n(where it leads) }
/// ```
///
/// # Source
///
/// Huang and Chiang 2005, "Better k-best parsing": two sorted lists are merged at every node.
///
/// # Proved by
///
/// `n_best_paths_equal_brute_force`, `n_best_paths_of_ties_emit_earliest`, `best_path_is_the_first_of_the_n_best`.
pub fn n_best_paths<F: Float, T: Topology>(
    topology: T,
    extent: Extent,
    n: usize,
    score: impl Fn(Arc) -> F,
) -> Vec<Path<F>> {
    if n == 0 {
        return vec![];
    }
    let columns = extent.labels + 1;
    let place = |(t, u): (usize, usize)| t * columns + u;
    let mut best: Vec<Vec<Completion<F>>> = vec![vec![]; (extent.frames + 1) * columns];
    best[place((extent.frames, extent.labels))].push(Completion {
        score: F::ZERO,
        next: None,
    });
    for t in (0..extent.frames).rev() {
        for u in (0..columns).rev() {
            let mut merged: Vec<Completion<F>> = vec![];
            // The label comes last and is put before what scores the same: earliest first.
            for (arc, to) in extent.arcs_from(topology, t, u) {
                let through = score(arc);
                let offers = best[place(to)]
                    .iter()
                    .enumerate()
                    .map(|(rank, after)| Completion {
                        score: through + after.score,
                        next: Some((arc, to, rank)),
                    });
                merged = merge(offers.collect(), merged, n);
            }
            best[place((t, u))] = merged;
        }
    }
    let found = best[place((0, 0))].iter();
    found
        .map(|completion| {
            let mut arcs = Vec::with_capacity(extent.frames + extent.labels);
            let mut next = completion.next;
            while let Some((arc, to, rank)) = next {
                arcs.push(arc);
                next = best[place(to)][rank].next;
            }
            Path {
                arcs,
                score: completion.score,
            }
        })
        .collect()
}

/// The `n` best of two sorted lists, equals of the first before those of the second.
fn merge<F: Float>(first: Vec<Completion<F>>, second: Vec<Completion<F>>, n: usize) -> Vec<Completion<F>> {
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    let next = || match (first.peek(), second.peek()) {
        (Some(a), Some(b)) if b.score > a.score => second.next(),
        (Some(_), _) => first.next(),
        (None, _) => second.next(),
    };
    std::iter::from_fn(next)
        .filter(|completion| completion.score != F::NEG_INFINITY)
        .take(n)
        .collect()
}
