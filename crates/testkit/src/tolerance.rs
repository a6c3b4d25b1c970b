//! How close is equal.

use candle_core::{DType, Tensor};
use sandhi_core::{Error, Result};

/// `a` equals `b` if |a − b| ≤ atol + rtol · |b|.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Relative to the expected value.
    pub rtol: f64,
    /// Absolute.
    pub atol: f64,
}

impl Tolerance {
    /// Two ways to compute the same number in f64.
    pub const PROOF: Self = Self {
        rtol: 1e-10,
        atol: 1e-10,
    };
    /// An analytic gradient in f64 against central differences.
    pub const GRADIENT: Self = Self {
        rtol: 1e-6,
        atol: 1e-8,
    };
    /// An f32 computation against the same in f64.
    pub const SINGLE: Self = Self {
        rtol: 1e-4,
        atol: 1e-5,
    };

    /// Whether `got` is within the tolerance of `expected`. NaN is close to nothing.
    pub fn holds(self, got: f64, expected: f64) -> bool {
        (got == expected) || (got - expected).abs() <= self.atol + self.rtol * expected.abs()
    }
}

/// Compares two tensors element by element.
///
/// # Errors
///
/// [`Error::Shape`] if the shapes differ, [`Error::Invalid`] naming the first element that differs.
pub fn assert_close(what: &'static str, got: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Result<()> {
    if got.dims() != expected.dims() {
        let (expected, got) = (format!("{:?}", expected.dims()), got.dims().to_vec());
        return Err(Error::Shape { what, expected, got });
    }
    let flat = |t: &Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
    for (i, (a, b)) in flat(got)?.into_iter().zip(flat(expected)?).enumerate() {
        if !tolerance.holds(a, b) {
            return Err(Error::Invalid {
                what,
                why: format!("element {i}: expected {b}, got {a}"),
            });
        }
    }
    Ok(())
}
