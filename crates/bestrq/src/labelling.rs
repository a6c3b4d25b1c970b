//! The arithmetic of the quantizer: few rows times many columns, and which column wins.
//!
//! Both products, features by projection and projected features by codes, hold the same tile in registers: up to four
//! rows by two vectors of columns. Each element is summed over the depth in order, so that a frame's codes do not depend on
//! the frames beside it.

use pulp::{Simd, WithSimd};

/// Columns that lie side by side: a whole number of vectors on every processor.
const BLOCK: usize = 32;
/// Rows that share what is loaded of the columns.
const ROWS: usize = 4;
/// What a projected value must stay below, so that no product with a code of length 1 overflows.
const LARGEST: f32 = 1e30;

/// A matrix in blocks of columns, `[blocks, depth, 32]`.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    values: Vec<f32>,
    depth: usize,
    count: usize,
}

impl Columns {
    /// `depth` by `count`, neither 0, from `value(row, column)`.
    ///
    /// The last block is filled up with copies of the last column: they never win over it, for their index is larger.
    pub(crate) fn new(depth: usize, count: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = Vec::with_capacity(depth * count.next_multiple_of(BLOCK));
        for from in (0..count).step_by(BLOCK) {
            for i in 0..depth {
                values.extend((from..from + BLOCK).map(|j| value(i, j.min(count - 1))));
            }
        }
        Self { values, depth, count }
    }

    pub(crate) fn get(&self, i: usize, j: usize) -> f32 {
        self.values[(j / BLOCK * self.depth + i) * BLOCK + j % BLOCK]
    }

    /// The number of columns, copies included.
    fn width(&self) -> usize {
        self.count.next_multiple_of(BLOCK)
    }

    fn blocks(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.depth * BLOCK)
    }
}

/// The codes of some frames: for each frame one of each codebook, side by side in `codes`.
///
/// `projection` has the columns of all codebooks, one codebook after the other.
///
/// # Errors
///
/// The index of the first frame whose projection is NaN, infinite or close to overflow.
pub(crate) fn label(
    frames: &[&[f32]],
    projection: &Columns,
    codebooks: &[Columns],
    codes: &mut [u32],
) -> Result<(), usize> {
    pulp::Arch::new().dispatch(Labelling {
        frames,
        projection,
        codebooks,
        codes,
    })
}

struct Labelling<'a> {
    frames: &'a [&'a [f32]],
    projection: &'a Columns,
    codebooks: &'a [Columns],
    codes: &'a mut [u32],
}

impl WithSimd for Labelling<'_> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let (width, books) = (self.projection.width(), self.codebooks.len());
        let mut projected = vec![0f32; self.frames.len() * width];
        let (fours, rest) = self.frames.as_chunks::<ROWS>();
        let (to_fours, to_rest) = projected.split_at_mut(fours.len() * ROWS * width);
        for (rows, to) in fours.iter().zip(to_fours.chunks_exact_mut(ROWS * width)) {
            project(simd, rows, self.projection, to);
        }
        for (row, to) in rest.iter().zip(to_rest.chunks_exact_mut(width)) {
            project(simd, &[*row], self.projection, to);
        }
        let used = self.projection.count;
        let sane = |row: &[f32]| row[..used].iter().all(|x| x.abs() < LARGEST);
        if let Some(frame) = projected.chunks_exact(width).position(|row| !sane(row)) {
            return Err(frame);
        }
        for (c, book) in self.codebooks.iter().enumerate() {
            let rows: Vec<&[f32]> = projected
                .chunks_exact(width)
                .map(|row| &row[c * book.depth..][..book.depth])
                .collect();
            let (fours, rest) = rows.as_chunks::<ROWS>();
            let fours = fours.iter().flat_map(|rows| nearest(simd, rows, book));
            let rest = rest.iter().flat_map(|row| nearest(simd, &[*row], book));
            for (codes, code) in self.codes.chunks_exact_mut(books).zip(fours.chain(rest)) {
                codes[c] = code;
            }
        }
        Ok(())
    }
}

/// Rows times the columns `2·pair` and `2·pair + 1`, counted in vectors, of a block.
#[inline(always)]
fn products<S: Simd, const M: usize>(
    simd: S,
    rows: &[&[f32]; M],
    block: &[f32],
    pair: usize,
) -> [[S::f32s; 2]; M] {
    let mut sums = [[simd.splat_f32s(0.0); 2]; M];
    for (i, columns) in block.chunks_exact(BLOCK).enumerate() {
        let columns = &S::as_simd_f32s(columns).0[2 * pair..][..2];
        for (sums, row) in sums.iter_mut().zip(rows) {
            let x = simd.splat_f32s(row[i]);
            sums[0] = simd.mul_add_e_f32s(x, columns[0], sums[0]);
            sums[1] = simd.mul_add_e_f32s(x, columns[1], sums[1]);
        }
    }
    sums
}

/// Pairs of vectors in a block.
#[inline(always)]
fn pairs<S: Simd>() -> usize {
    BLOCK / (2 * S::F32_LANES)
}

/// `to` ← rows · columns, `[M, width]`.
#[inline(always)]
fn project<S: Simd, const M: usize>(simd: S, rows: &[&[f32]; M], columns: &Columns, to: &mut [f32]) {
    let width = columns.width();
    for (b, block) in columns.blocks().enumerate() {
        for pair in 0..pairs::<S>() {
            let sums = products(simd, rows, block, pair);
            for (sums, to) in sums.iter().zip(to.chunks_exact_mut(width)) {
                let to = S::as_mut_simd_f32s(&mut to[b * BLOCK..][..BLOCK]).0;
                to[2 * pair..][..2].copy_from_slice(sums);
            }
        }
    }
}

/// For each row the column with the largest product; the first of equals.
#[inline(always)]
fn nearest<S: Simd, const M: usize>(simd: S, rows: &[&[f32]; M], columns: &Columns) -> [u32; M] {
    // The best of each position in a block, and the block it is in.
    let mut tops = [[f32::NEG_INFINITY; BLOCK]; M];
    let mut blocks = [[0u32; BLOCK]; M];
    for (b, block) in columns.blocks().enumerate() {
        let here = simd.splat_u32s(b as u32);
        for pair in 0..pairs::<S>() {
            let sums = products(simd, rows, block, pair);
            for (sums, (tops, blocks)) in sums.iter().zip(tops.iter_mut().zip(&mut blocks)) {
                let tops = &mut S::as_mut_simd_f32s(tops).0[2 * pair..][..2];
                let blocks = &mut S::as_mut_simd_u32s(blocks).0[2 * pair..][..2];
                for v in 0..2 {
                    // A strict comparison keeps the earliest block of equals.
                    let larger = simd.greater_than_f32s(sums[v], tops[v]);
                    tops[v] = simd.select_f32s(larger, sums[v], tops[v]);
                    blocks[v] = simd.select_u32s(larger, here, blocks[v]);
                }
            }
        }
    }
    std::array::from_fn(|m| {
        let mut best = (f32::NEG_INFINITY, u32::MAX);
        for (position, (&top, &block)) in tops[m].iter().zip(&blocks[m]).enumerate() {
            let column = block * BLOCK as u32 + position as u32;
            if top > best.0 || (top == best.0 && column < best.1) {
                best = (top, column);
            }
        }
        best.1
    })
}
