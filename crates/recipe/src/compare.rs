//! Around a consistency loss: what embeddings go through before they are compared, and how the loss begins.

use candle_core::Tensor;
use sandhi_core::{Padded, Result};
use sandhi_nn::ops::{Activation, layer_norm, zero_padding};

/// Every vector with mean 0 and variance 1, so that nothing is won by making embeddings small.
///
/// ```text
/// y = (x − mean(x)) / √(var(x) + ε)        ε of sandhi_nn::ops::layer_norm
/// ```
///
/// `[B, T, D]` to the same; zeros in the padding, which is not read.
///
/// # Errors
///
/// As [`layer_norm`].
///
/// # Proved by
///
/// `standardized_vectors_have_mean_0_and_variance_1`, `standardized_gradient_equals_differences`.
pub fn standardized(x: &Padded) -> Result<Padded> {
    let values = zero_padding(x.values(), x.lengths())?;
    let (dim, dtype, device) = (x.dims().2, values.dtype(), values.device());
    let (ones, zeros) = (
        Tensor::ones(dim, dtype, device)?,
        Tensor::zeros(dim, dtype, device)?,
    );
    x.with_values(layer_norm(&values, &ones, &zeros, Activation::Identity)?)
}

/// The share of its weight that a loss has at a step, counted from 1: it rises in a line from 0 over the first `share` of all steps,
/// and is 1 from there on.
///
/// ```text
/// w(n) = min(1, n / max(1, share · steps))
/// ```
///
/// # Proved by
///
/// `weights_rise_in_a_line_to_one`.
pub fn warmed_up(step: u64, steps: u64, share: f64) -> f64 {
    (step as f64 / (share * steps as f64).max(1.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use sandhi_core::Lengths;
    use sandhi_testkit::{Tolerance, check_gradient, poison_padding, uniform};

    use super::*;

    #[test]
    fn standardized_vectors_have_mean_0_and_variance_1() {
        let lengths = Lengths::new(vec![3, 1]);
        let x = uniform(1, &[2, 3, 8], -4.0, 9.0).unwrap();
        for poison in [f64::NAN, f64::INFINITY, 1e30] {
            let x = poison_padding(&x, &lengths, poison).unwrap();
            let y = standardized(&Padded::new(x, lengths.clone()).unwrap()).unwrap();
            for (b, rows) in y.values().to_vec3::<f64>().unwrap().iter().enumerate() {
                for row in &rows[..lengths.get(b)] {
                    let mean = row.iter().sum::<f64>() / 8.0;
                    let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 8.0;
                    assert!(
                        mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-4,
                        "{mean} {variance}"
                    );
                }
            }
        }
    }

    #[test]
    fn standardized_gradient_equals_differences() {
        let x = uniform(2, &[2, 3, 5], -1.0, 1.0).unwrap();
        let lengths = Lengths::new(vec![3, 2]);
        let f = |x: &[Tensor]| {
            Ok(standardized(&Padded::new(x[0].clone(), lengths.clone())?)?
                .values()
                .clone())
        };
        check_gradient(&[x], f, Tolerance::GRADIENT).unwrap();
    }

    #[test]
    fn weights_rise_in_a_line_to_one() {
        assert_eq!(
            [1, 10, 20, 21, 100].map(|step| warmed_up(step, 100, 0.2)),
            [0.05, 0.5, 1.0, 1.0, 1.0]
        );
        assert_eq!(warmed_up(1, 100, 0.0), 1.0);
    }
}
