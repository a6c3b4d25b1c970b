//! The order in which the cells of a grid can be computed together.

use std::ops::Range;

use crate::moves::{Arc, Reading};
use crate::scaled::Scaled;

/// Cells of the widest vector there is.
pub(crate) const LANES: usize = 8;
/// Cells whose results are kept on the stack.
pub(crate) const STRIP: usize = 256;

/// The cells of a grid in waves, the anti-diagonals t + u = n: whatever the moves, a node is entered from the two waves
/// before its own, so the cells of a wave do not wait for one another. A wave's cells go by their labels.
#[derive(Clone, Copy)]
pub(crate) struct Waves {
    pub(crate) frames: usize,
    pub(crate) labels: usize,
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
    /// How many there are, if there are cells.
    pub(crate) fn count(self) -> usize {
        self.frames + self.labels - 1
    }

    /// The labels of wave `n`.
    pub(crate) fn labels(self, n: usize) -> Range<usize> {
        (n + 1).saturating_sub(self.frames)..self.labels.min(n + 1)
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
        (waves.start + 1).saturating_sub(self.labels)..self.frames.min(waves.end)
    }

    /// The cells of some waves, frame by frame: the frame and its labels.
    pub(crate) fn rows(self, waves: Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
        let frames = self.frames_of(&waves);
        frames.map(move |t| (t, waves.start.saturating_sub(t)..self.labels.min(waves.end - t)))
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

/// The nodes of a wave, by place.
#[derive(Clone)]
pub(crate) struct Nodes {
    pub(crate) mantissas: Vec<f64>,
    pub(crate) exponents: Vec<f64>,
}

/// The last two waves of the recursion from the start.
#[derive(Clone)]
pub(crate) struct Front {
    /// The first to be left from by an arc that advances by one, ...
    pub(crate) last: Nodes,
    /// ... and this by one that advances by both.
    pub(crate) earlier: Nodes,
}

impl Front {
    /// Before wave 0. Paths start at (−1, −1).
    pub(crate) fn new<R: Reading>(waves: Waves) -> Self {
        let nodes = || Nodes {
            mantissas: vec![Scaled::ZERO.mantissa; waves.places()],
            exponents: vec![Scaled::ZERO.exponent; waves.places()],
        };
        let mut front = Self {
            last: nodes(),
            earlier: nodes(),
        };
        front.earlier.set(0, Scaled::ONE);
        front.last.set(0, border(R::SKIPS_FRAMES));
        front.last.set(1, border(R::SKIPS_LABELS));
        front
    }

    /// The nodes that `arc` leaves from.
    pub(crate) fn before(&self, arc: Arc) -> &Nodes {
        if arc.waves() == 1 {
            &self.last
        } else {
            &self.earlier
        }
    }

    /// To the next wave, `n`, whose cells were written over those of the earlier one.
    pub(crate) fn advance<R: Reading>(&mut self, n: usize) {
        std::mem::swap(&mut self.last, &mut self.earlier);
        self.last.set(0, border(R::SKIPS_FRAMES));
        // Beyond the last label there is nothing that anyone reads.
        if n + 2 < self.last.mantissas.len() {
            self.last.set(n + 2, border(R::SKIPS_LABELS));
        }
    }
}

fn border(free: bool) -> Scaled {
    if free { Scaled::ONE } else { Scaled::ZERO }
}

impl Nodes {
    pub(crate) fn get(&self, place: usize) -> Scaled {
        Scaled {
            mantissa: self.mantissas[place],
            exponent: self.exponents[place],
        }
    }

    fn set(&mut self, place: usize, value: Scaled) {
        (self.mantissas[place], self.exponents[place]) = (value.mantissa, value.exponent);
    }
}
