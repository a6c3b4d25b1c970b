//! The one door to matrix products.

use crate::real::Real;

/// A dense matrix inside a slice, with its strides.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, F> {
    values: &'a [F],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, F> Matrix<'a, F> {
    /// The row-major matrix `[rows, columns]` that fills `values`.
    pub(crate) fn new(values: &'a [F], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a row-major matrix fills its slice");
        Self {
            values,
            rows,
            columns,
            row_stride: columns,
            column_stride: 1,
        }
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
}

/// `c += a b` on this thread, with `c` row-major. The order of the sums depends on the shapes alone.
#[allow(unsafe_code)]
pub(crate) fn add_product<F: Real>(c: &mut [F], a: Matrix<'_, F>, b: Matrix<'_, F>) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(b.rows, k, "inner extents of a product");
    assert_eq!(c.len(), m * n, "extent of a product");
    let one = F::from_f64(1.0);
    // SAFETY: `Matrix` can only be made over a slice of exactly rows · columns elements with the strides of a row-major
    // matrix or of its transpose, so every element addressed through (rows, columns, strides) lies inside its slice;
    // `c` has m · n elements and is exclusively borrowed, hence overlaps neither operand. F is f32 or f64 (`Real` is
    // implemented for nothing else), both of which gemm dispatches on.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            true,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Matrix, add_product};

    #[test]
    fn product_equals_the_definition() {
        let (m, n, k) = (5, 7, 3);
        let a: Vec<f64> = (0..m * k).map(|i| (i as f64 * 0.7).sin()).collect();
        let b: Vec<f64> = (0..n * k).map(|i| (i as f64 * 0.3).cos()).collect();
        let mut c = vec![0.5; m * n];
        add_product(&mut c, Matrix::new(&a, m, k), Matrix::new(&b, n, k).t());
        for i in 0..m {
            for j in 0..n {
                let expected = 0.5 + (0..k).map(|l| a[i * k + l] * b[j * k + l]).sum::<f64>();
                assert!((c[i * n + j] - expected).abs() < 1e-12);
            }
        }
    }
}
