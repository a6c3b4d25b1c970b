//! Numbers of cells in the order in which they are computed.

use std::ops::Range;

use crate::filled::GridMut;
use crate::grid::Grid;
use crate::waves::{Strip, Waves};

/// Numbers of the cells of some waves, wave by wave.
///
/// The cells of a wave lie far apart in a grid. So numbers are brought from it and back a frame at a time, a run of cells
/// that lie side by side.
pub(crate) struct Sheared {
    order: Waves,
    pub(crate) waves: Range<usize>,
    values: Vec<f64>,
}

impl Sheared {
    pub(crate) fn new(order: Waves) -> Self {
        Self {
            order,
            waves: 0..0,
            values: Vec::new(),
        }
    }

    /// The costs of these waves.
    #[inline(always)]
    pub(crate) fn read(&mut self, waves: Range<usize>, grid: &Grid<'_>) {
        let (known, frames) = (self.order.frames_of(&self.waves), self.order.frames_of(&waves));
        frames.filter(|t| !known.contains(t)).for_each(|t| grid.bring(t));
        // One more, so that the last step is a whole one too.
        self.values.resize((waves.len() + 1) * self.order.places(), 0.0);
        self.waves = waves;
        let step = self.step();
        for (t, labels) in self.order.rows(self.waves.clone()) {
            let first = self.place(t, labels.start);
            let cells = self.values[first..].chunks_exact_mut(step);
            grid.part(t, labels, cells.map(|chunk| &mut chunk[0]));
        }
    }

    /// Writes the numbers of these waves into the grid.
    #[inline(always)]
    pub(crate) fn write(&self, grid: &mut GridMut<'_>) {
        for (t, labels) in self.order.rows(self.waves.clone()) {
            let cells = self.values[self.place(t, labels.start)..].chunks_exact(self.step());
            grid.set_part(t, labels, cells.map(|chunk| &chunk[0]));
        }
    }

    /// From the number of a cell to that of the next label at its frame.
    fn step(&self) -> usize {
        self.order.places() + 1
    }

    /// Where the number of cell `(t, u)` is.
    fn place(&self, t: usize, u: usize) -> usize {
        (t + u - self.waves.start) * self.order.places() + u
    }

    /// The numbers of a strip of wave `n`, in whole vectors.
    pub(crate) fn strip(&mut self, n: usize, strip: Strip) -> &mut [f64] {
        let wave = (n - self.waves.start) * self.order.places();
        &mut self.values[wave + strip.first..][..strip.lanes]
    }
}
