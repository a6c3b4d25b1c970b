//! The forward and the backward recursion, once for every semiring and topology.

use crate::{Arc, Extent, Semiring, Topology};

/// One weight for each node `(t, u)`, `0 ≤ t ≤ T`, `0 ≤ u ≤ U`.
#[derive(Clone, Debug)]
pub struct Table<S> {
    extent: Extent,
    values: Vec<S>,
}

impl<S: Semiring> Table<S> {
    pub(crate) fn zeros(extent: Extent) -> Self {
        Table {
            extent,
            values: vec![S::ZERO; (extent.frames + 1) * (extent.labels + 1)],
        }
    }

    /// The weight at node `(t, u)`.
    ///
    /// # Panics
    ///
    /// If the node is not in the lattice.
    #[inline]
    pub fn at(&self, t: usize, u: usize) -> S {
        assert!(
            u <= self.extent.labels,
            "label count {u} of {}",
            self.extent.labels
        );
        self.values[t * (self.extent.labels + 1) + u]
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, t: usize, u: usize) -> &mut S {
        &mut self.values[t * (self.extent.labels + 1) + u]
    }

    /// The lattice this table belongs to.
    pub fn extent(&self) -> Extent {
        self.extent
    }
}

/// Total weight of the paths from the start to each node.
///
/// # Equation
///
/// ```text
/// α(0, 0) = 1        α(n) = ⊕ over arcs m → n of α(m) ⊗ w(arc)
/// ```
///
/// `weight` is called once for each arc of [`Extent::arcs`]; no arc table is built. O(T U) time and memory.
///
/// # Proved by
///
/// `transducer_uniform_arcs_count_paths`, `transducer_equals_brute_force`, `transducer_forward_total_equals_backward_total`.
pub fn forward<S: Semiring, T: Topology>(topology: T, extent: Extent, weight: impl Fn(Arc) -> S) -> Table<S> {
    let mut alpha = Table::zeros(extent);
    *alpha.at_mut(0, 0) = S::ONE;
    for t in 0..extent.frames {
        for u in 0..=extent.labels {
            let here = alpha.at(t, u);
            for (arc, (to_t, to_u)) in extent.arcs_from(topology, t, u) {
                let there = alpha.at_mut(to_t, to_u);
                *there = there.plus(here.times(weight(arc)));
            }
        }
    }
    alpha
}

/// Total weight of the paths from each node to the end.
///
/// # Equation
///
/// ```text
/// β(T, U) = 1        β(m) = ⊕ over arcs m → n of w(arc) ⊗ β(n)
/// ```
///
/// # Proved by
///
/// `transducer_forward_total_equals_backward_total`, `transducer_every_label_is_emitted_once`.
pub fn backward<S: Semiring, T: Topology>(
    topology: T,
    extent: Extent,
    weight: impl Fn(Arc) -> S,
) -> Table<S> {
    let mut beta = Table::zeros(extent);
    *beta.at_mut(extent.frames, extent.labels) = S::ONE;
    for t in (0..extent.frames).rev() {
        for u in (0..=extent.labels).rev() {
            let mut sum = S::ZERO;
            for (arc, (to_t, to_u)) in extent.arcs_from(topology, t, u) {
                sum = sum.plus(weight(arc).times(beta.at(to_t, to_u)));
            }
            *beta.at_mut(t, u) = sum;
        }
    }
    beta
}

/// Total weight of all complete paths: [`Semiring::ZERO`] if there is none.
///
/// # Proved by
///
/// `transducer_equals_brute_force`, `monotonic_equals_brute_force`, `monotonic_infeasible_is_zero_not_nan`.
pub fn total<S: Semiring, T: Topology>(topology: T, extent: Extent, weight: impl Fn(Arc) -> S) -> S {
    forward(topology, extent, weight).at(extent.frames, extent.labels)
}
