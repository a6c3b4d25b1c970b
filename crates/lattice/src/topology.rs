//! Topologies: which arcs leave a node, and where they lead.

/// The two kinds of arc.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Consumes a frame and emits nothing.
    Blank,
    /// Emits the next label.
    Label,
}

/// An arc that leaves node `(t, u)`: frame `t` is being read and `u` labels have been emitted.
///
/// A [`Step::Label`] arc at `(t, u)` emits label `u`, counted from 0, at frame `t`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arc {
    /// Frame, counted from 0.
    pub t: usize,
    /// Labels emitted so far.
    pub u: usize,
    /// Blank or label.
    pub step: Step,
}

/// The size of a lattice. Its paths run from node `(0, 0)` to node `(frames, labels)`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Number of frames T.
    pub frames: usize,
    /// Number of labels U.
    pub labels: usize,
}

impl Extent {
    /// All arcs of the lattice, by increasing frame, then increasing label count, blank before label.
    ///
    /// Arcs that no complete path uses are among them; their posterior is 0.
    pub fn arcs<T: Topology>(self, topology: T) -> impl Iterator<Item = Arc> {
        (0..self.frames)
            .flat_map(move |t| (0..=self.labels).map(move |u| (t, u)))
            .flat_map(move |(t, u)| self.arcs_from(topology, t, u).map(|(arc, _)| arc))
    }

    /// The arcs that leave node `(t, u)`, each with the node it leads to. No arc leaves the last column `t = frames`.
    #[inline]
    pub(crate) fn arcs_from<T: Topology>(
        self,
        topology: T,
        t: usize,
        u: usize,
    ) -> impl Iterator<Item = (Arc, (usize, usize))> {
        [Step::Blank, Step::Label].into_iter().filter_map(move |step| {
            let (dt, du) = topology.advance(step);
            let inside = t < self.frames && t + dt <= self.frames && u + du <= self.labels;
            inside.then_some((Arc { t, u, step }, (t + dt, u + du)))
        })
    }
}

/// How far each kind of arc moves through the lattice.
pub trait Topology: Copy {
    /// Frames consumed and labels emitted by an arc of this kind. Never `(0, 0)`, and a label arc emits exactly one.
    fn advance(self, step: Step) -> (usize, usize);
}

/// The standard RNN-T: a label keeps the frame, a blank ends it. Every path has T blanks and U labels, the last arc a
/// blank. Feasible whenever there is at least one frame.
///
/// # Source
///
/// Graves 2012, arXiv:1211.3711.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transducer;

impl Topology for Transducer {
    #[inline]
    fn advance(self, step: Step) -> (usize, usize) {
        match step {
            Step::Blank => (1, 0),
            Step::Label => (0, 1),
        }
    }
}

/// At most one label a frame: a label ends its frame too. Every path has T arcs. Feasible if U ≤ T.
///
/// # Source
///
/// Tripathi et al. 2019, "Monotonic recurrent neural network transducer"; k2 calls it "modified".
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Monotonic;

impl Topology for Monotonic {
    #[inline]
    fn advance(self, step: Step) -> (usize, usize) {
        match step {
            Step::Blank => (1, 0),
            Step::Label => (1, 1),
        }
    }
}
