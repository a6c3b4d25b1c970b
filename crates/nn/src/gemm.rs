//! The one door to matrix products.

use rayon::prelude::*;

use crate::real::Real;

/// A read-only matrix view: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> View<'a, T> {
    /// Rows of `columns` values, each starting `row_stride` after the last.
    pub(crate) fn strided(data: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        let view = Self {
            data,
            rows,
            columns,
            row_stride,
            column_stride: 1,
        };
        view.check();
        view
    }

    /// Adjacent rows.
    pub(crate) fn new(data: &'a [T], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn row_range(self, start: usize, count: usize) -> Self {
        Self {
            data: &self.data[start * self.row_stride..],
            rows: count,
            ..self
        }
    }

    fn check(&self) {
        if self.rows > 0 && self.columns > 0 {
            let last = (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride;
            assert!(
                last < self.data.len(),
                "matrix view out of bounds: {last} of {}",
                self.data.len()
            );
        }
    }
}

/// c ← c·[accumulate] + scale · a·b on this thread. Row i of c starts at `i * c_stride`.
#[allow(unsafe_code)]
pub(crate) fn multiply<T: Real>(
    c: &mut [T],
    c_stride: usize,
    accumulate: bool,
    a: View<'_, T>,
    b: View<'_, T>,
    scale: T,
) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    if m == 0 || n == 0 {
        return;
    }
    assert_eq!(k, b.rows, "matrix product: {k} columns times {} rows", b.rows);
    assert!(
        (m - 1) * c_stride + n <= c.len() && n <= c_stride,
        "matrix product: result out of bounds"
    );
    a.check();
    b.check();
    // SAFETY: the three views were just checked to lie within their slices, c is borrowed mutably, and its rows do not
    // overlap because n <= c_stride. Fast because the kernel is chosen at run time for this processor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            c_stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ONE,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// As [`multiply`] with adjacent rows of c, split into row blocks of a fixed size over all threads.
///
/// The block size does not depend on the number of threads, so neither does any bit of the result.
pub(crate) fn multiply_parallel<T: Real>(
    c: &mut [T],
    accumulate: bool,
    a: View<'_, T>,
    b: View<'_, T>,
    scale: T,
) {
    let (rows, n) = (a.rows, b.columns);
    if n == 0 || rows == 0 {
        return;
    }
    let block = if rows >= 512 {
        256
    } else {
        (rows.div_ceil(4)).next_multiple_of(16)
    };
    c[..rows * n]
        .par_chunks_mut(block * n)
        .enumerate()
        .for_each(|(i, c)| {
            let part = a.row_range(i * block, c.len() / n);
            multiply(c, n, accumulate, part, b, scale);
        });
}

/// The sum of the rows of `[rows, n]`, in blocks of a fixed size added in order.
pub(crate) fn column_sums<T: Real>(x: &[T], n: usize) -> Vec<T> {
    let parts: Vec<Vec<T>> = x
        .par_chunks(n * 256)
        .map(|block| {
            let mut total = vec![T::ZERO; n];
            for row in block.chunks_exact(n) {
                for (t, &v) in total.iter_mut().zip(row) {
                    *t += v;
                }
            }
            total
        })
        .collect();
    sum_in_order(parts, n)
}

/// Adds partial results in the order of their index.
pub(crate) fn sum_in_order<T: Real>(parts: Vec<Vec<T>>, n: usize) -> Vec<T> {
    let mut total = vec![T::ZERO; n];
    for part in parts {
        for (t, v) in total.iter_mut().zip(part) {
            *t += v;
        }
    }
    total
}
