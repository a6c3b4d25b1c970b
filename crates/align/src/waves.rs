//! The order in which the cells of a grid can be computed together.

use std::ops::Range;

use crate::grid::Grid;
use crate::moves::{Arc, Reading};

/// Cells of the widest vector there is.
pub(crate) const LANES: usize = 8;
/// Cells whose results are kept on the stack.
pub(crate) const STRIP: usize = 256;

/// The cells of a grid in waves, t + lag u = n, so that the cells of a wave do not wait for one another: where some move
/// stays at its frame these are the anti-diagonals, else the frames. Whatever the moves, a node is entered from the two waves
/// before its own. A wave's cells go by their labels.
#[derive(Clone, Copy)]
pub(crate) struct Waves {
    pub(crate) frames: usize,
    pub(crate) labels: usize,
    /// [`Reading::LAG`].
    pub(crate) lag: usize,
}

/// Some cells of a wave.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    /// The label of the first.
    pub(crate) first: usize,
    /// How many, and what their last vector has beyond them. That lies outside the grid, where no arc leads back from.
    pub(crate) lanes: usize,
}

impl Waves {
    /// Of a grid that has cells.
    pub(crate) fn of<R: Reading>(grid: &Grid<'_>) -> Self {
        Self {
            frames: grid.frames,
            labels: grid.labels,
            lag: R::LAG,
        }
    }

    /// How many there are.
    pub(crate) fn count(self) -> usize {
        self.frames + self.lag * (self.labels - 1)
    }

    /// All of them, so many at a time.
    pub(crate) fn blocks(
        self,
        length: usize,
    ) -> impl ExactSizeIterator<Item = Range<usize>> + DoubleEndedIterator + Clone {
        let count = self.count();
        let block = move |start| start..count.min(start + length);
        (0..count).step_by(length).map(block)
    }

    /// That of cell `(t, u)`.
    pub(crate) fn wave(self, t: usize, u: usize) -> usize {
        t + self.lag * u
    }

    /// The labels of wave `n`.
    pub(crate) fn labels(self, n: usize) -> Range<usize> {
        if self.lag == 0 {
            0..self.labels
        } else {
            (n + 1).saturating_sub(self.frames)..self.labels.min(n + 1)
        }
    }

    /// The cells of wave `n`, the last first.
    pub(crate) fn strips(self, n: usize) -> impl Iterator<Item = Strip> {
        let Range { start, end } = self.labels(n);
        let strip = move |first| {
            let cells = STRIP.min(end - first);
            Strip {
                first,
                lanes: cells.next_multiple_of(LANES),
            }
        };
        (start..end).step_by(STRIP).map(strip).rev()
    }

    /// The frames that some waves have cells of.
    pub(crate) fn frames_of(self, waves: &Range<usize>) -> Range<usize> {
        let skew = self.lag * (self.labels - 1);
        waves.start.saturating_sub(skew)..self.frames.min(waves.end)
    }

    /// The cells of some waves, frame by frame: the frame and its labels.
    pub(crate) fn rows(self, waves: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
        let labels = move |t| match self.lag {
            0 => 0..self.labels,
            _ => waves.start.saturating_sub(t)..self.labels.min(waves.end - t),
        };
        self.frames_of(&waves).map(move |t| (t, labels(t)))
    }

    /// Places of a wave: label u has u + 1, as 0 is the border before the first label. Behind the last there is room for a
    /// vector.
    pub(crate) fn places(self) -> usize {
        self.labels + 2 + LANES
    }
}

impl Strip {
    /// The places of its nodes.
    pub(crate) fn places(self) -> Range<usize> {
        self.first + 1..self.first + 1 + self.lanes
    }

    /// The places of the nodes from which `arc` enters them.
    pub(crate) fn before(self, arc: Arc) -> Range<usize> {
        let start = self.first + 1 - arc.labels;
        start..start + self.lanes
    }
}

/// What is known of the nodes of a wave, by place.
pub(crate) trait Nodes: Clone {
    /// No path reaches any.
    fn none(places: usize) -> Self;

    /// Whether paths walk freely to this one, or do not reach it.
    fn border(&mut self, place: usize, free: bool);
}

/// The last two waves of the recursion from the start.
#[derive(Clone)]
pub(crate) struct Front<N> {
    waves: Waves,
    pub(crate) last: N,
    /// The one before, whose place the next will take.
    pub(crate) earlier: N,
}

impl<N: Nodes> Front<N> {
    /// Before wave 0. Paths start at (−1, −1), which is in the wave before or, if it can be skipped from, in the one before
    /// that.
    pub(crate) fn new<R: Reading>(waves: Waves) -> Self {
        let none = N::none(waves.places());
        let mut front = Self {
            waves,
            earlier: none.clone(),
            last: none,
        };
        if waves.lag == 0 {
            front.last.border(0, true);
        } else {
            front.earlier.border(0, true);
            front.borders::<R>(-1);
        }
        front
    }

    /// The nodes that `arc` leaves from.
    pub(crate) fn before<R: Reading>(&self, arc: Arc) -> &N {
        if R::waves(arc) == 1 {
            &self.last
        } else {
            &self.earlier
        }
    }

    /// To the next wave, `n`, whose cells were written over those of the earlier one.
    pub(crate) fn advance<R: Reading>(&mut self, n: usize) {
        std::mem::swap(&mut self.last, &mut self.earlier);
        self.borders::<R>(n as isize);
    }
    /// Sets the nodes of the last wave, `n`, that lie before the first label or the first frame.
    fn borders<R: Reading>(&mut self, n: isize) {
        self.last.border(0, R::SKIPS_FRAMES);
        // Beyond the last label there is nothing that anyone reads; and a wave that is a frame has none before the first.
        let place = (n + 2) as usize;
        if self.waves.lag == 1 && place < self.waves.places() {
            self.last.border(place, R::SKIPS_LABELS);
        }
    }
}
