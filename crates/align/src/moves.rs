//! What "monotone" may mean.

/// What an alignment of T frames and U labels must cover, and how it may move. Neither frames nor labels ever go back.
///
/// Peyser et al. do not say which of the first four they mean, so each is an arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Each label at one frame; frames may be skipped, and neighbouring labels may share a frame. Any U, at least one
    /// frame if there are labels. There are C(T+U−1, U) alignments.
    EveryLabel,
    /// Each label at a frame of its own; frames may be skipped. Needs U ≤ T. There are C(T, U) alignments.
    EveryLabelStrict,
    /// Each frame at one label; labels may be skipped or span many frames. At least one label if there are frames. There
    /// are C(T+U−1, T) alignments.
    EveryFrame,
    /// Each frame at one label and each label at one frame or more, so labels start at the first frame and end at the
    /// last: forced alignment. Needs U ≤ T, and both or neither empty. There are C(T−1, U−1) alignments.
    Forced,
    /// Each frame at one label or more and each label at one frame or more, from the first of both to the last of both:
    /// dynamic time warping, with the steps (1, 0), (0, 1) and (1, 1). Any extents, both or neither empty. The number of
    /// alignments is Delannoy's D(T−1, U−1).
    Warping,
}

impl Moves {
    /// Whether any alignment covers what it must.
    pub(crate) fn can_align(self, frames: usize, labels: usize) -> bool {
        match self {
            Moves::EveryLabel => labels == 0 || frames > 0,
            Moves::EveryLabelStrict => labels <= frames,
            Moves::EveryFrame => frames == 0 || labels > 0,
            Moves::Forced => labels <= frames && (labels > 0 || frames == 0),
            Moves::Warping => (labels > 0) == (frames > 0),
        }
    }
}

/// A way to enter node (t, u), at which the first t + 1 frames and the first u + 1 labels are done with.
#[derive(Clone, Copy)]
pub(crate) struct Arc {
    /// Frames it advances by, 0 or 1.
    pub(crate) frames: usize,
    /// Labels it advances by, 0 or 1.
    pub(crate) labels: usize,
    /// Whether the alignment takes cell (t, u) on it; otherwise a frame or a label is skipped.
    pub(crate) takes: bool,
}

impl Arc {
    /// By how much t + u grows: 1 or 2.
    pub(crate) const fn waves(self) -> usize {
        self.frames + self.labels
    }
}

const fn takes(frames: usize, labels: usize) -> Arc {
    Arc {
        frames,
        labels,
        takes: true,
    }
}

const fn skips(frames: usize, labels: usize) -> Arc {
    Arc {
        frames,
        labels,
        takes: false,
    }
}

/// [`Moves`] as a graph in which every alignment is exactly one path: what the hard and the soft recursion share.
///
/// ```text
/// D(t, u) = ⊕ over arcs of  D(t − frames, u − labels) + [takes] cost(t, u)
/// ```
///
/// Paths start at (−1, −1), end at (T−1, U−1), and can walk freely along the borders that may be skipped.
pub(crate) trait Reading {
    /// In the order in which ties prefer them, seen from the end of the path.
    const ARCS: &'static [Arc];
    /// Frames before the first label may be skipped: nodes (t, −1) are free.
    const SKIPS_FRAMES: bool = false;
    /// Labels before the first frame may be skipped: nodes (−1, u) are free.
    const SKIPS_LABELS: bool = false;
}

/// [`Moves::EveryLabel`].
pub(crate) struct EveryLabel;
/// [`Moves::EveryLabelStrict`].
pub(crate) struct EveryLabelStrict;
/// [`Moves::EveryFrame`].
pub(crate) struct EveryFrame;
/// [`Moves::Forced`].
pub(crate) struct Forced;
/// [`Moves::Warping`].
pub(crate) struct Warping;

impl Reading for EveryLabel {
    // To take a label leaves the frame where it is, so that the next label can share it.
    const ARCS: &'static [Arc] = &[skips(1, 0), takes(0, 1)];
    const SKIPS_FRAMES: bool = true;
}

impl Reading for EveryLabelStrict {
    const ARCS: &'static [Arc] = &[skips(1, 0), takes(1, 1)];
    const SKIPS_FRAMES: bool = true;
}

impl Reading for EveryFrame {
    const ARCS: &'static [Arc] = &[skips(0, 1), takes(1, 0)];
    const SKIPS_LABELS: bool = true;
}

impl Reading for Forced {
    const ARCS: &'static [Arc] = &[takes(1, 0), takes(1, 1)];
}

impl Reading for Warping {
    const ARCS: &'static [Arc] = &[takes(1, 1), takes(1, 0), takes(0, 1)];
}
