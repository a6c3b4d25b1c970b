//! The n best paths, with a stated order among equals.

use crate::{Arc, Ctc, Extent, Float, Path, Topology};

/// How one of the best completions from a node goes on.
#[derive(Clone, Copy)]
struct Completion<A, F> {
    score: F,
    /// The arc taken, the place of the node it leads to, and which of the completions there is meant; none at the end.
    next: Option<(A, usize, usize)>,
}

/// The best completions from every node, best first.
struct Completions<A, F> {
    n: usize,
    by_place: Vec<Vec<Completion<A, F>>>,
}

impl<A: Copy, F: Float> Completions<A, F> {
    fn new(n: usize, places: usize) -> Self {
        Self {
            n,
            by_place: vec![vec![]; places],
        }
    }

    /// Here a path may end.
    fn end_at(&mut self, place: usize) {
        self.by_place[place].push(Completion {
            score: F::ZERO,
            next: None,
        });
    }

    /// The best that `arcs` offer, each with its score and where it leads. Of equals those of a later arc come first.
    fn extend(&mut self, place: usize, arcs: impl Iterator<Item = (A, F, usize)>) {
        let mut merged = vec![];
        for (arc, score, to) in arcs {
            let offers = self.by_place[to].iter().enumerate();
            let offers = offers.map(|(rank, after)| Completion {
                score: score + after.score,
                next: Some((arc, to, rank)),
            });
            merged = merge(offers.collect(), merged, self.n);
        }
        self.by_place[place] = merged;
    }

    /// The paths that start at a place: their arcs and scores.
    fn paths(&self, from: usize) -> impl Iterator<Item = (Vec<A>, F)> {
        self.by_place[from].iter().map(|completion| {
            let (mut arcs, mut next) = (vec![], completion.next);
            while let Some((arc, to, rank)) = next {
                arcs.push(arc);
                next = self.by_place[to][rank].next;
            }
            (arcs, completion.score)
        })
    }
}

/// The `n` best of two sorted lists, equals of the first before those of the second.
fn merge<A: Copy, F: Float>(
    first: Vec<Completion<A, F>>,
    second: Vec<Completion<A, F>>,
    n: usize,
) -> Vec<Completion<A, F>> {
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
    let mut best = Completions::new(n, (extent.frames + 1) * columns);
    best.end_at(place((extent.frames, extent.labels)));
    for t in (0..extent.frames).rev() {
        for u in (0..columns).rev() {
            // The label comes last, which puts it before what scores the same: earliest first.
            let arcs = extent.arcs_from(topology, t, u);
            best.extend(place((t, u)), arcs.map(|(arc, to)| (arc, score(arc), place(to))));
        }
    }
    best.paths(0).map(|(arcs, score)| Path { arcs, score }).collect()
}

impl Ctc<'_> {
    /// The `n` paths with the largest sums of scores, best first: the state that each reads at every frame, and its sum;
    /// fewer if fewer have a score above −∞. `score(t, s)` is that of reading frame `t` as state `s`.
    ///
    /// **Ties**: of paths with the same score, at the first frame where they differ the one that reads the later state
    /// comes first. Ties, NaN, time and memory as for [`n_best_paths`], over 2U + 1 states.
    ///
    /// # Proved by
    ///
    /// `ctc_n_best_paths_equal_brute_force`, `ctc_n_best_paths_of_ties_go_on_earliest`.
    pub fn n_best_paths<F: Float>(self, n: usize, score: impl Fn(usize, usize) -> F) -> Vec<(Vec<usize>, F)> {
        if n == 0 {
            return vec![];
        }
        let states = self.states();
        let place = |t: usize, state: usize| t * states + state;
        let mut best = Completions::new(n, (self.frames() + 1) * states);
        for state in self.last() {
            best.end_at(place(self.frames(), state));
        }
        for t in (0..self.frames()).rev() {
            for state in 0..states {
                // The latest state comes last, which puts it before what scores the same.
                let arcs = self.next(state);
                best.extend(
                    place(t, state),
                    arcs.map(|next| (next, score(t, next), place(t + 1, next))),
                );
            }
        }
        best.paths(0).collect()
    }
}
