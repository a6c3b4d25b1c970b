//! Matrix products for layers: one operand packed once and used many times, the result finished while it is in cache.
//!
//! A register tile is 6 rows by 64 columns: with 512-bit vectors 24 of the 32 registers accumulate, and every value of
//! the packed panel that is loaded meets six rows. Each element of the result is a sum over k in order, by fused
//! multiply-adds, whatever the tile it falls into: the bits do not depend on how the rows were divided.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::real::Real;

/// Runs a body for every index below a constant of at most six, written out: sums stay in registers only if no index
/// is left to run time.
macro_rules! unroll {
    ($count:expr, $i:ident => $body:expr) => {
        unroll!(@ $count, $i, $body, 0 1 2 3 4 5)
    };
    (@ $count:expr, $i:ident, $body:expr, $($index:literal)*) => {
        $(if $index < $count { const $i: usize = $index; $body })*
    };
}

/// Columns of a panel.
const PANEL: usize = 64;
/// Columns are padded to a multiple of this within a panel.
const STEP: usize = 16;
/// Terms that are summed in registers before the result is touched: this much of a panel stays in the second cache.
const DEPTH: usize = 512;
/// Rows of the result that one task of a parallel product computes.
pub(crate) const BLOCK: usize = 96;

/// A matrix view: element (i, j) is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row: usize,
    column: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Adjacent rows.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Rows of `columns` values, each starting `stride` after the last.
    pub(crate) fn strided(data: &'a [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * stride + columns <= data.len(),
            "matrix out of bounds: {rows} rows of {columns} every {stride} in {}",
            data.len()
        );
        Self {
            data,
            rows,
            columns,
            row: stride,
            column: 1,
        }
    }

    /// All that the view was made of.
    pub(crate) fn data(&self) -> &'a [T] {
        self.data
    }

    pub(crate) fn row_range(self, start: usize, count: usize) -> Self {
        Self {
            data: &self.data[start * self.row..],
            rows: count,
            ..self
        }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row: self.column,
            column: self.row,
            ..self
        }
    }
}

/// A right-hand side `[k, n]` in panels of 64 columns, rows adjacent within a panel.
pub(crate) struct Packed<T> {
    values: Vec<T>,
    k: usize,
    n: usize,
}

/// The width of the panel that starts at column `from`.
fn panel_width(n: usize, from: usize) -> usize {
    (n - from).min(PANEL).next_multiple_of(STEP)
}

impl<T: Real> Packed<T> {
    pub(crate) fn new(b: Matrix<'_, T>) -> Self {
        let mut packed = Self::room();
        packed.pack(b);
        packed
    }

    /// Nothing yet.
    pub(crate) fn room() -> Self {
        Self {
            values: Vec::new(),
            k: 0,
            n: 0,
        }
    }

    /// Takes over `b`, in the memory that is there.
    pub(crate) fn pack(&mut self, b: Matrix<'_, T>) {
        let (k, n) = (b.rows, b.columns);
        (self.k, self.n) = (k, n);
        self.values.resize(k * n.next_multiple_of(STEP), T::ZERO);
        if k == 0 {
            return;
        }
        for from in (0..n).step_by(PANEL) {
            let width = panel_width(n, from);
            let used = width.min(n - from);
            let panel = &mut self.values[from * k..][..width * k];
            if b.column == 1 {
                for (i, to) in panel.chunks_exact_mut(width).enumerate() {
                    to[..used].copy_from_slice(&b.data[i * b.row + from..][..used]);
                    to[used..].fill(T::ZERO);
                }
            } else {
                // Columns of b are adjacent.
                for (group, columns) in (from..from + used).step_by(STEP).enumerate() {
                    let count = STEP.min(from + used - columns);
                    let columns = &b.data[columns * b.column..];
                    transpose(&mut panel[group * STEP..], width, columns, b.column, count, k);
                }
            }
        }
    }
}

/// Up to sixteen columns, each adjacent, one every `stride`, to rows of sixteen, one every `width`; what is missing is 0.
fn transpose<T: Real>(to: &mut [T], width: usize, columns: &[T], stride: usize, count: usize, k: usize) {
    // Squares by way of the first cache: both sides are touched by whole cache lines.
    let squares = if count == STEP { k / STEP * STEP } else { 0 };
    for i in (0..squares).step_by(STEP) {
        let mut square = [[T::ZERO; STEP]; STEP];
        for (j, column) in square.iter_mut().enumerate() {
            column.copy_from_slice(&columns[j * stride + i..][..STEP]);
        }
        for (r, row) in to[i * width..].chunks_mut(width).take(STEP).enumerate() {
            let (row, _) = row.split_at_mut(STEP);
            // By index: iterators over both sides take twice the time.
            for j in 0..STEP {
                row[j] = square[j][r];
            }
        }
    }
    for i in squares..k {
        let row = &mut to[i * width..][..STEP];
        for (j, to) in row[..count].iter_mut().enumerate() {
            *to = columns[j * stride + i];
        }
        row[count..].fill(T::ZERO);
    }
}

/// What becomes of a stretch of a row of the result: (row, first column, values).
pub(crate) trait Finish<T> {
    fn finish(&mut self, row: usize, column: usize, values: &mut [T], fused: bool);
}

/// Leaves the product as it is.
pub(crate) struct Plain;

impl<T> Finish<T> for Plain {
    #[inline(always)]
    fn finish(&mut self, _: usize, _: usize, _: &mut [T], _: bool) {}
}

/// c ← finish(c·[accumulate] + scale · a·b). Row i of c starts at `i * stride`.
pub(crate) fn multiply<T: Real, F: Finish<T>>(
    c: &mut [T],
    stride: usize,
    accumulate: bool,
    a: Matrix<'_, T>,
    b: &Packed<T>,
    scale: T,
    finish: F,
) {
    multiply_on(pulp::Arch::new(), (c, stride), accumulate, a, b, scale, finish);
}

/// As [`multiply`], on a kind of processor.
fn multiply_on<T: Real, F: Finish<T>>(
    arch: pulp::Arch,
    (c, stride): (&mut [T], usize),
    accumulate: bool,
    a: Matrix<'_, T>,
    b: &Packed<T>,
    scale: T,
    mut finish: F,
) {
    assert_eq!(
        a.columns, b.k,
        "matrix product: {} columns times {} rows",
        a.columns, b.k
    );
    if a.rows == 0 || b.n == 0 {
        return;
    }
    assert!(
        b.n <= stride && (a.rows - 1) * stride + b.n <= c.len(),
        "matrix product: result out of bounds"
    );
    if b.k == 0 {
        for i in 0..a.rows {
            let values = &mut c[i * stride..][..b.n];
            if !accumulate {
                values.fill(T::ZERO);
            }
            finish.finish(i, 0, values, false);
        }
        return;
    }
    let product = Product {
        c,
        stride,
        accumulate,
        a,
        b,
        scale,
        finish,
    };
    arch.dispatch(product);
}

/// c ← c·[accumulate] + a·b for operands that are used once; `room` is where b is packed.
pub(crate) fn product<T: Real>(
    c: &mut [T],
    stride: usize,
    accumulate: bool,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    room: &mut Packed<T>,
) {
    room.pack(b);
    multiply(c, stride, accumulate, a, room, T::ONE, Plain);
}

/// As [`multiply`] with adjacent rows of c and nothing to finish, in blocks of rows over all threads.
pub(crate) fn multiply_parallel<T: Real>(c: &mut [T], accumulate: bool, a: Matrix<'_, T>, b: &Packed<T>) {
    if b.n > 0 {
        c[..a.rows * b.n]
            .par_chunks_mut(BLOCK * b.n)
            .enumerate()
            .for_each(|(i, c)| {
                let rows = a.row_range(i * BLOCK, c.len() / b.n);
                multiply(c, b.n, accumulate, rows, b, T::ONE, Plain);
            });
    }
}

struct Product<'a, T, F> {
    c: &'a mut [T],
    stride: usize,
    accumulate: bool,
    a: Matrix<'a, T>,
    b: &'a Packed<T>,
    scale: T,
    finish: F,
}

/// Where a product stands: the rows, the panel's first column and width, the share of k.
#[derive(Clone)]
struct At {
    rows: Range<usize>,
    from: usize,
    width: usize,
    depth: Range<usize>,
}

impl<T: Real, F: Finish<T>> WithSimd for Product<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (m, n, k) = (self.a.rows, self.b.n, self.b.k);
        for from in (0..n).step_by(PANEL) {
            let width = panel_width(n, from);
            for depth in (0..k).step_by(DEPTH) {
                let at = At {
                    rows: 0..m,
                    from,
                    width,
                    depth: depth..k.min(depth + DEPTH),
                };
                let six = m / 6 * 6;
                let three = (m - six) / 3 * 3;
                self.rows::<S, 6>(simd, &at, 0, six);
                self.rows::<S, 3>(simd, &at, six, three);
                self.rows::<S, 1>(simd, &at, six + three, m - six - three);
            }
        }
    }
}

impl<T: Real, F: Finish<T>> Product<'_, T, F> {
    /// Some rows of a panel, M at a time.
    fn rows<S: Simd, const M: usize>(&mut self, simd: S, at: &At, start: usize, count: usize) {
        if count == 0 {
            return;
        }
        let at = At {
            rows: start..start + count,
            ..at.clone()
        };
        let lanes = T::lanes::<S>();
        // 32 registers of 512 bits hold 6×4 sums; 16 of 256 bits hold 6×2.
        let wide = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        // Up to the last column that there is: padding may fill whole vectors.
        let end = at.width.min(self.b.n - at.from);
        let mut column = 0;
        while column < end {
            let (product, at) = (&mut *self, &at);
            // Few shapes of tile: each is compiled for every processor, type and finish.
            let vectors = match ((at.width - column) / lanes).min(wide) {
                4 => {
                    stripe(simd, Stripe::<T, F, M, 4> { product, at, column });
                    4
                }
                2..4 => {
                    stripe(simd, Stripe::<T, F, M, 2> { product, at, column });
                    2
                }
                _ => {
                    stripe(simd, Stripe::<T, F, M, 1> { product, at, column });
                    1
                }
            };
            column += vectors * lanes;
        }
    }

    /// M rows by N vectors of the result.
    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, at: &At, row: usize, column: usize) {
        let lanes = T::lanes::<S>();
        let (k, depth) = (at.depth.len(), at.depth.start);
        let panel = &self.b.values[at.from * self.b.k + depth * at.width..][..k * at.width];
        let mut sums = [[T::splat(simd, T::ZERO); N]; M];
        let a = &self.a.data[row * self.a.row + depth * self.a.column..];
        if self.a.column == 1 {
            let mut rows = [a; M];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = &a[i * self.a.row..][..k];
            }
            for (p, b) in panel.chunks_exact(at.width).enumerate().take(k) {
                let mut a = [T::ZERO; M];
                unroll!(M, I => a[I] = rows[I][p]);
                rank_one::<T, S, M, N>(simd, &mut sums, a, &b[column..][..N * lanes]);
            }
        } else {
            // Rows of a are adjacent at every k.
            for (p, b) in panel.chunks_exact(at.width).enumerate() {
                let from = &a[p * self.a.column..][..(M - 1) * self.a.row + 1];
                let mut a = [T::ZERO; M];
                unroll!(M, I => a[I] = from[I * self.a.row]);
                rank_one::<T, S, M, N>(simd, &mut sums, a, &b[column..][..N * lanes]);
            }
        }
        let first = at.from + column;
        let used = (N * lanes).min(self.b.n - first);
        let accumulate = self.accumulate || depth > 0;
        unroll!(M, I => self.store::<S, N>(simd, row + I, (first, used), accumulate, &sums[I]));
        if at.depth.end == self.b.k {
            for i in row..row + M {
                let values = &mut self.c[i * self.stride + first..][..used];
                self.finish.finish(i, first, values, !S::IS_SCALAR);
            }
        }
    }

    /// c ← c·[accumulate] + scale · sums for a stretch of a row.
    #[inline(always)]
    fn store<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        row: usize,
        (column, used): (usize, usize),
        accumulate: bool,
        sums: &[T::Vector<S>; N],
    ) {
        let c = &mut self.c[row * self.stride + column..][..used];
        if used == N * T::lanes::<S>() {
            let (c, scale) = (&mut T::as_mut_simd::<S>(c)[..N], T::splat(simd, self.scale));
            unroll!(N, J => {
                c[J] = if accumulate {
                    T::mul_add(simd, scale, sums[J], c[J])
                } else {
                    T::times(simd, scale, sums[J])
                }
            });
        } else {
            let sums = *sums;
            for (c, &sum) in c.iter_mut().zip(T::from_simd::<S>(&sums)) {
                *c = if accumulate {
                    *c + self.scale * sum
                } else {
                    self.scale * sum
                };
            }
        }
    }
}

/// Rows of a panel, M at a time, in N vectors from a column of the panel.
struct Stripe<'p, 'a, T, F, const M: usize, const N: usize> {
    product: &'p mut Product<'a, T, F>,
    at: &'p At,
    column: usize,
}

impl<T: Real, F: Finish<T>, const M: usize, const N: usize> WithSimd for Stripe<'_, '_, T, F, M, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.at.rows.clone().step_by(M) {
            self.product.tile::<S, M, N>(simd, self.at, row, self.column);
        }
    }
}

/// Never inlined: the compiler keeps all sums in registers only in a function that holds one shape of tile.
#[inline(never)]
fn stripe<S: Simd, W: WithSimd<Output = ()>>(simd: S, stripe: W) {
    simd.vectorize(stripe);
}

/// sums ← sums + a bᵀ.
#[inline(always)]
fn rank_one<T: Real, S: Simd, const M: usize, const N: usize>(
    simd: S,
    sums: &mut [[T::Vector<S>; N]; M],
    a: [T; M],
    b: &[T],
) {
    let b = &T::as_simd::<S>(b)[..N];
    unroll!(M, I => {
        let a = T::splat(simd, a[I]);
        unroll!(N, J => sums[I][J] = T::mul_add(simd, a, b[J], sums[I][J]));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw<T: Real>(n: usize) -> Vec<T> {
        // Small multiples of 1/8: products and sums of these are exact in both types.
        (0..n)
            .map(|i| T::of(((i * 7919 + 13) % 17) as f64 / 8.0 - 1.0))
            .collect()
    }

    /// c·[accumulate] + scale · a·b by three loops.
    fn plain<T: Real>(c: &[T], accumulate: bool, a: Matrix<'_, T>, b: Matrix<'_, T>, scale: T) -> Vec<T> {
        let mut y = Vec::new();
        for i in 0..a.rows {
            for j in 0..b.columns {
                let terms = (0..a.columns)
                    .map(|k| a.data[i * a.row + k * a.column] * b.data[k * b.row + j * b.column]);
                let start = if accumulate { c[y.len()] } else { T::ZERO };
                y.push(start + scale * terms.sum::<T>());
            }
        }
        y
    }

    /// All kinds of processor that this one can be.
    fn archs() -> Vec<pulp::Arch> {
        let mut archs = vec![pulp::Arch::new()];
        #[cfg(target_arch = "x86_64")]
        {
            archs.push(pulp::Arch::Scalar);
            archs.extend(pulp::x86::V3::try_new().map(pulp::Arch::V3));
        }
        archs
    }

    fn check<T: Real>() {
        // Every height and width of a tile and what is left over; more terms than are summed at once; nothing at all.
        for (m, k, n) in [
            (1, 1, 1),
            (6, 5, 64),
            (13, 3, 65),
            (7, 2, 33),
            (4, 16, 16),
            (11, 9, 47),
            (15, 1100, 130),
            (5, 0, 3),
            (6, 6, 5),
            (0, 4, 4),
        ] {
            let (a, b, c) = (draw::<T>(m * k), draw::<T>(k * n + 3), draw::<T>(m * n));
            let views = [
                (Matrix::new(&a, m, k), Matrix::new(&b, k, n)),
                (Matrix::new(&a, k, m).t(), Matrix::new(&b, n, k).t()),
            ];
            for (a, b) in views {
                let packed = Packed::new(b);
                for accumulate in [false, true] {
                    let expected = plain(&c, accumulate, a, b, T::of(0.5));
                    for arch in archs() {
                        let mut got = c.clone();
                        multiply_on(arch, (&mut got, n), accumulate, a, &packed, T::of(0.5), Plain);
                        assert!(got == expected, "{m}x{k}x{n}, accumulate: {accumulate}, {arch:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn product_equals_three_loops() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn product_in_parallel_has_the_same_bits() {
        let draw = |n: usize| (0..n).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
        let (a, b) = (draw(200 * 70), draw(70 * 90));
        let (a, b) = (Matrix::new(&a, 200, 70), Packed::new(Matrix::new(&b, 70, 90)));
        let (mut whole, mut parts) = (vec![0.0; 200 * 90], vec![0.0; 200 * 90]);
        multiply(&mut whole, 90, false, a, &b, 1.0, Plain);
        multiply_parallel(&mut parts, false, a, &b);
        assert!(whole == parts);
    }
}
