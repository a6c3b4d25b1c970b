//! Analytic gradients against central differences.

use candle_core::{DType, Tensor, Var};
use sandhi_core::{Error, Result};

use crate::{Tolerance, uniform};

/// Checks the gradient of `f` with respect to every element of every input.
///
/// The output is contracted with fixed random weights, so that every element of it counts, and each input element is
/// moved by ±h in f64. The expected gradient is (f(x+h) − f(x−h)) / 2h.
///
/// # Errors
///
/// [`Error::Invalid`] naming the input and element whose gradient is missing or differs; any error of `f`.
pub fn check_gradient(
    inputs: &[Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    tolerance: Tolerance,
) -> Result<()> {
    const H: f64 = 1e-5;
    let vars: Vec<Var> = inputs
        .iter()
        .map(|x| Ok(Var::from_tensor(&x.to_dtype(DType::F64)?)?))
        .collect::<Result<_>>()?;
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let output = f(&tracked)?;
    let weights = uniform(0x5EED, output.dims(), 0.5, 1.5)?;
    let scalar = |y: &Tensor| -> Result<Tensor> { Ok((y.to_dtype(DType::F64)? * &weights)?.sum_all()?) };
    let grads = scalar(&output)?.backward()?;

    for (n, var) in vars.iter().enumerate() {
        let missing = || Error::Invalid {
            what: "gradient",
            why: format!("input {n} receives none"),
        };
        let got = grads
            .get(var)
            .ok_or_else(missing)?
            .flatten_all()?
            .to_vec1::<f64>()?;
        let base = inputs[n].to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        for i in 0..base.len() {
            let moved = |delta: f64| -> Result<f64> {
                let mut values = base.clone();
                values[i] += delta;
                let mut args: Vec<Tensor> = inputs
                    .iter()
                    .map(|x| x.to_dtype(DType::F64))
                    .collect::<Result<_, _>>()?;
                args[n] = Tensor::from_vec(values, inputs[n].dims(), inputs[n].device())?;
                Ok(scalar(&f(&args)?)?.to_scalar::<f64>()?)
            };
            let expected = (moved(H)? - moved(-H)?) / (2.0 * H);
            if !tolerance.holds(got[i], expected) {
                let why = format!(
                    "input {n}, element {i}: differences give {expected}, backward gives {}",
                    got[i]
                );
                return Err(Error::Invalid {
                    what: "gradient",
                    why,
                });
            }
        }
    }
    Ok(())
}
