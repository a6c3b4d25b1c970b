//! A batch of costs on the host, one utterance at a time.

use std::hint::black_box;
use std::ops::Range;

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use sandhi_core::{Error, Lengths, Result, host};

/// The costs of one utterance, without its padding. They are computed with in f64, whatever they are stored in.
pub(crate) struct Grid<'a> {
    /// Index of the utterance in the batch.
    pub(crate) utterance: usize,
    pub(crate) frames: usize,
    pub(crate) labels: usize,
    cells: Cells<'a>,
    /// Padded U.
    columns: usize,
}

/// `[T, U]`, padding and all.
#[derive(Clone, Copy)]
enum Cells<'a> {
    Single(&'a [f32]),
    Double(&'a [f64]),
}

impl Cells<'_> {
    fn part(self, range: Range<usize>) -> Self {
        match self {
            Cells::Single(cells) => Cells::Single(&cells[range]),
            Cells::Double(cells) => Cells::Double(&cells[range]),
        }
    }
}

impl Grid<'_> {
    /// Copies what the labels cost at frame `t`.
    ///
    /// Rows are converted one by one, so that a recursion is compiled once and the conversion is vectorised.
    pub(crate) fn row(&self, t: usize, into: &mut [f64]) {
        self.part(t, 0..self.labels, into.iter_mut());
    }

    /// Copies what some labels cost at frame `t`.
    #[inline(always)]
    pub(crate) fn part<'i>(&self, t: usize, labels: Range<usize>, into: impl Iterator<Item = &'i mut f64>) {
        let part = t * self.columns + labels.start..t * self.columns + labels.end;
        match self.cells {
            Cells::Single(cells) => {
                for (into, &cost) in into.zip(&cells[part]) {
                    *into = f64::from(cost);
                }
            }
            Cells::Double(cells) => {
                for (into, &cost) in into.zip(&cells[part]) {
                    *into = cost;
                }
            }
        }
    }

    /// Reads through frame `t` in order, so that it is in a cache where what follows goes from frame to frame.
    #[inline(always)]
    pub(crate) fn bring(&self, t: usize) {
        let part = t * self.columns..t * self.columns + self.labels;
        match self.cells {
            Cells::Single(cells) => touch(&cells[part]),
            Cells::Double(cells) => touch(&cells[part]),
        }
    }

    /// What label `u` costs at frame `t`.
    pub(crate) fn cost(&self, t: usize, u: usize) -> f64 {
        let cell = t * self.columns + u;
        match self.cells {
            Cells::Single(cells) => f64::from(cells[cell]),
            Cells::Double(cells) => cells[cell],
        }
    }

    pub(crate) fn no_alignment(&self) -> Error {
        Error::NoAlignment {
            utterance: self.utterance,
            frames: self.frames,
            labels: self.labels,
        }
    }
}

/// Bytes that memory hands over at a time.
const LINE: usize = 64;

#[inline(always)]
fn touch<T: Copy>(cells: &[T]) {
    for &cell in cells.iter().step_by(LINE / size_of::<T>()) {
        black_box(cell);
    }
}

/// `(B, T, U)` of costs whose lengths fit them.
pub(crate) fn check(cost: &Tensor, frames: &Lengths, labels: &Lengths) -> Result<(usize, usize, usize)> {
    let dims = cost.dims3().map_err(|_| Error::Shape {
        what: "cost",
        expected: "[B, T, U]".into(),
        got: cost.dims().to_vec(),
    })?;
    frames.check("frames", dims.0, dims.1)?;
    labels.check("labels", dims.0, dims.2)?;
    match cost.dtype() {
        DType::F32 | DType::F64 => Ok(dims),
        other => Err(Error::Invalid {
            what: "cost",
            why: format!("expected f32 or f64, got {}", other.as_str()),
        }),
    }
}

/// Calls `f` for every utterance, in parallel, and returns the results in batch order, or the first utterance's error.
pub(crate) fn each<R: Send>(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    f: impl Fn(&Grid<'_>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    each_with(cost, frames, labels, vec![(); frames.len()], |grid, ()| f(grid))
}

/// As [`each`], with something of its own for every utterance.
pub(crate) fn each_with<E: Send, R: Send>(
    cost: &Tensor,
    frames: &Lengths,
    labels: &Lengths,
    own: Vec<E>,
    f: impl Fn(&Grid<'_>, E) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let (_, num_frames, num_labels) = check(cost, frames, labels)?;
    let size = num_frames * num_labels;
    let run = |all: Cells<'_>| -> Vec<Result<R>> {
        let one = |(utterance, own): (usize, E)| {
            let grid = Grid {
                utterance,
                frames: frames.get(utterance),
                labels: labels.get(utterance),
                cells: all.part(utterance * size..(utterance + 1) * size),
                columns: num_labels,
            };
            f(&grid, own)
        };
        own.into_par_iter().enumerate().map(one).collect()
    };
    let found = match cost.dtype() {
        DType::F32 => host::read(cost, |cells: &[f32]| run(Cells::Single(cells)))?,
        _ => host::read(cost, |cells: &[f64]| run(Cells::Double(cells)))?,
    };
    found.into_iter().collect()
}
