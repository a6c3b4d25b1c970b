//! Every path, one by one: exponential, for tests and for teaching.

use crate::{Arc, Extent, Step, Topology};

/// Enumerates all paths through a lattice, blank before label at every node.
///
/// Knows nothing of the recursions: it spells out sequences of steps and keeps those that stop at the last node. Each
/// arc must leave a frame that exists, so no label follows the last blank.
///
/// There are `C(T+U−1, U)` of them for the [`Transducer`](crate::Transducer): keep T and U below ten.
///
/// # Proved by
///
/// `transducer_uniform_arcs_count_paths`, `monotonic_uniform_arcs_count_paths`: the binomials share no code with it.
pub fn paths<T: Topology>(topology: T, extent: Extent) -> impl Iterator<Item = Vec<Arc>> {
    // Unfinished prefixes, each with the node it has reached. Last in, first out, so the label goes on first.
    let mut unfinished = vec![(Vec::new(), 0, 0)];
    std::iter::from_fn(move || {
        while let Some((prefix, t, u)) = unfinished.pop() {
            if t == extent.frames && u == extent.labels {
                return Some(prefix);
            }
            if t >= extent.frames {
                continue;
            }
            for step in [Step::Label, Step::Blank] {
                let (dt, du) = topology.advance(step);
                if t + dt > extent.frames || u + du > extent.labels {
                    continue;
                }
                let mut longer = prefix.clone();
                longer.push(Arc { t, u, step });
                unfinished.push((longer, t + dt, u + du));
            }
        }
        None
    })
}
