//! Sums in a fixed order, whatever the number of threads.

use rayon::prelude::*;

use crate::real::Real;

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
