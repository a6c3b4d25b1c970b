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
    pub(crate) fn read(&mut self, waves: Range<usize>, grid: &Grid<'_>) {
        let width = self.order.places();
        self.values.resize(waves.len() * width, 0.0);
        self.waves = waves;
        for (t, labels) in self.order.rows(self.waves.clone()) {
            let first = (t + labels.start - self.waves.start) * width + labels.start;
            grid.part(t, labels, self.values[first..].iter_mut().step_by(width + 1));
        }
    }

    /// Writes the numbers of these waves into the grid.
    pub(crate) fn write(&self, grid: &mut GridMut<'_>) {
        let width = self.order.places();
        for (t, labels) in self.order.rows(self.waves.clone()) {
            let first = (t + labels.start - self.waves.start) * width + labels.start;
            grid.set_part(t, labels, self.values[first..].iter().step_by(width + 1));
        }
    }

    /// The numbers of a strip of wave `n`, in whole vectors.
    pub(crate) fn strip(&mut self, n: usize, strip: Strip) -> &mut [f64] {
        let wave = (n - self.waves.start) * self.order.places();
        &mut self.values[wave + strip.first..][..strip.lanes]
    }
}
