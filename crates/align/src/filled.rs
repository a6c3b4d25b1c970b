//! Grids of results in the shape and the type of the costs; every utterance's is written where it belongs.

use std::iter::{repeat_n, repeat_with};
use std::ops::Range;

use candle_core::{DType, Tensor, WithDType};
use sandhi_core::{Lengths, Result};

use crate::grid::{Grid, check, each_with};

/// The results of one utterance, at first zero. Their padding cannot be written.
pub(crate) struct GridMut<'a> {
    frames: usize,
    labels: usize,
    cells: Cells<'a>,
    /// Padded U.
    columns: usize,
}

/// `[T, U]`, padding and all.
enum Cells<'a> {
    Single(&'a mut [f32]),
    Double(&'a mut [f64]),
}

impl GridMut<'_> {
    /// Writes all cells, `[T, U]` without padding.
    pub(crate) fn set(&mut self, values: &[f64]) {
        for (t, row) in values.chunks(self.labels.max(1)).enumerate() {
            self.set_part(t, 0..self.labels, row.iter());
        }
    }

    /// Writes the same into all cells.
    pub(crate) fn fill(&mut self, value: f64) {
        for t in 0..self.frames {
            self.set_part(t, 0..self.labels, repeat_n(&value, self.labels));
        }
    }

    /// Writes the cells of some labels at frame `t`.
    #[inline(always)]
    pub(crate) fn set_part<'v>(
        &mut self,
        t: usize,
        labels: Range<usize>,
        values: impl Iterator<Item = &'v f64>,
    ) {
        let part = t * self.columns + labels.start..t * self.columns + labels.end;
        match &mut self.cells {
            Cells::Single(cells) => {
                for (cell, &value) in cells[part].iter_mut().zip(values) {
                    *cell = value as f32;
                }
            }
            Cells::Double(cells) => {
                for (cell, &value) in cells[part].iter_mut().zip(values) {
                    *cell = value;
                }
            }
        }
    }
}

/// Calls `f` for every utterance, in parallel, with its costs and the grid it is to write. Returns the results in batch order
/// and all grids in one tensor, or the first utterance's error.
pub(crate) fn fill<R: Send>(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    f: impl Fn(&Grid<'_>, &mut GridMut<'_>) -> Result<R> + Sync,
) -> Result<(Vec<R>, Tensor)> {
    let run = |cells: Vec<Cells<'_>>, columns| {
        each_with(cost, frames, labels, cells, |grid, cells| {
            let mut into = GridMut {
                frames: grid.frames,
                labels: grid.labels,
                cells,
                columns,
            };
            f(grid, &mut into)
        })
    };
    let (batch, num_frames, columns) = check(cost, frames, labels)?;
    let (count, size) = (cost.elem_count(), num_frames * columns);
    match cost.dtype() {
        DType::F32 => {
            let mut all = vec![0f32; count];
            let cells = parts(&mut all, batch, size).map(Cells::Single).collect();
            Ok((
                run(cells, columns)?,
                Tensor::from_vec(all, cost.shape(), cost.device())?,
            ))
        }
        _ => {
            let mut all = vec![0f64; count];
            let cells = parts(&mut all, batch, size).map(Cells::Double).collect();
            Ok((
                run(cells, columns)?,
                Tensor::from_vec(all, cost.shape(), cost.device())?,
            ))
        }
    }
}

/// As many parts of so many cells, even if that is none.
fn parts<F: WithDType>(all: &mut [F], batch: usize, size: usize) -> impl Iterator<Item = &mut [F]> {
    let chunks = all.chunks_mut(size.max(1));
    chunks.chain(repeat_with(Default::default)).take(batch)
}
