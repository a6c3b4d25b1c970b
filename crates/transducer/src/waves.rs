//! The order in which the nodes of a lattice can be computed together.

use sandhi_core::Topology;

/// The nodes of a lattice in waves: every arc leads from one wave to the next, and a node that has emitted u labels is
/// reached from two, with u and with u − 1 labels, of the wave before. So the nodes of a wave do not wait for one another.
///
/// On the standard lattice a wave is an anti-diagonal t + u = n, on the monotonic one a frame t = n. Nodes that no
/// complete path of a monotonic lattice visits are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waves {
    pub(crate) topology: Topology,
    pub(crate) frames: usize,
    pub(crate) labels: usize,
}

impl Waves {
    /// How many waves have arcs to follow; the end of all paths is one more.
    pub(crate) fn count(self) -> usize {
        match self.topology {
            Topology::Standard => self.frames + self.labels,
            Topology::Monotonic => self.frames,
        }
    }

    /// The first label count of wave `n`, and one more than the last.
    #[inline]
    pub(crate) fn range(self, n: usize) -> (usize, usize) {
        let first = match self.topology {
            Topology::Standard => (n + 1).saturating_sub(self.frames),
            Topology::Monotonic => (n + self.labels).saturating_sub(self.frames),
        };
        (first, self.labels.min(n) + 1)
    }

    /// The frame that node `u` of wave `n` reads.
    #[inline]
    pub(crate) fn frame(self, n: usize, u: usize) -> usize {
        match self.topology {
            Topology::Standard => n - u,
            Topology::Monotonic => n,
        }
    }

    /// Whether there is a path at all.
    pub(crate) fn feasible(self) -> bool {
        match self.topology {
            Topology::Standard => self.frames > 0,
            Topology::Monotonic => self.frames > 0 && self.labels <= self.frames,
        }
    }

    /// The number of nodes; of a feasible lattice only.
    pub(crate) fn nodes(self) -> usize {
        (0..self.count())
            .map(|n| self.range(n))
            .map(|(first, end)| end - first)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{Topology, Waves};

    /// Walks every arc of every small lattice.
    #[test]
    fn every_arc_leads_to_the_next_wave() {
        for topology in [Topology::Standard, Topology::Monotonic] {
            for (frames, labels) in (1..6).flat_map(|t| (0..6).map(move |u| (t, u))) {
                let waves = Waves {
                    topology,
                    frames,
                    labels,
                };
                if !waves.feasible() {
                    continue;
                }
                let mut seen = vec![false; frames * (labels + 1)];
                for n in 0..waves.count() {
                    let (first, end) = waves.range(n);
                    for u in first..end {
                        let t = waves.frame(n, u);
                        assert!(t < frames && !std::mem::replace(&mut seen[t * (labels + 1) + u], true));
                        let label_frame = t + usize::from(topology == Topology::Monotonic);
                        for (t, u) in [(t + 1, u), (label_frame, u + 1)] {
                            let inside = t < frames && u <= labels;
                            if inside
                                && n + 1 < waves.count()
                                && (waves.range(n + 1).0..waves.range(n + 1).1).contains(&u)
                            {
                                assert_eq!(waves.frame(n + 1, u), t);
                            }
                        }
                    }
                }
                assert_eq!(seen.iter().filter(|&&s| s).count(), waves.nodes());
                if topology == Topology::Standard {
                    assert!(seen.iter().all(|&s| s));
                }
            }
        }
    }
}
