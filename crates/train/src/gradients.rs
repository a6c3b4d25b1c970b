//! Gradients on the host, summed over the parts of a step.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Var};
use rayon::prelude::*;
use sandhi_core::host;
use sandhi_nn::Params;

use crate::{Error, Result};

/// How many values one task sums or scales: fixed, so that the result does not depend on the number of threads.
pub(crate) const CHUNK: usize = 1 << 14;

/// The gradient of one variable.
#[derive(Debug)]
struct Gradient {
    var: Var,
    values: Vec<f32>,
    /// Whether any part of this step reached the variable.
    reached: bool,
}

/// The gradients of all variables, by name: buffers that are made once and used in every step.
///
/// Every part of a step is added in the order of the calls, so the sum has the same bits on every machine that adds
/// the same parts.
#[derive(Debug)]
pub struct Gradients {
    by_name: BTreeMap<String, Gradient>,
}

impl Gradients {
    /// Buffers of zeros for every variable there is.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a variable is not f32.
    pub fn new(params: &Params) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for (name, var) in params.vars() {
            if var.dtype() != DType::F32 {
                let why = format!("expected f32 variables, got {name} in {:?}", var.dtype());
                return Err(Error::Config { field: "params", why });
            }
            let values = vec![0.0; var.elem_count()];
            by_name.insert(
                name,
                Gradient {
                    var,
                    values,
                    reached: false,
                },
            );
        }
        Ok(Self { by_name })
    }

    /// Starts a new step.
    pub fn clear(&mut self) {
        for gradient in self.by_name.values_mut() {
            gradient.reached = false;
        }
    }

    /// Adds the gradients of one part of the step.
    ///
    /// # Errors
    ///
    /// [`Error::Gradient`] if one has another shape or type than its variable.
    pub fn add(&mut self, part: &GradStore) -> Result<()> {
        for (name, gradient) in &mut self.by_name {
            let Some(tensor) = part.get(gradient.var.as_tensor()) else {
                continue;
            };
            if tensor.dims() != gradient.var.dims() || tensor.dtype() != DType::F32 {
                return Err(Error::Gradient {
                    name: name.clone(),
                    expected: format!("{:?} {:?}", gradient.var.dims(), DType::F32),
                    got: format!("{:?} {:?}", tensor.dims(), tensor.dtype()),
                });
            }
            let (sum, reached) = (&mut gradient.values, gradient.reached);
            host::read::<f32, _>(tensor, |part| {
                if reached {
                    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                } else {
                    sum.copy_from_slice(part);
                }
            })?;
            gradient.reached = true;
        }
        Ok(())
    }

    /// The gradient of a variable, row-major; `None` if the objective of this step did not reach it.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.by_name
            .get(name)
            .filter(|gradient| gradient.reached)
            .map(|gradient| gradient.values.as_slice())
    }

    /// The variables that no part of this step reached.
    pub fn missing(&self) -> Vec<&str> {
        self.select(|gradient| !gradient.reached)
    }

    /// The variables that were reached by a gradient of zeros throughout.
    pub fn zero(&self) -> Vec<&str> {
        self.select(|gradient| gradient.reached && gradient.values.iter().all(|&g| g == 0.0))
    }

    /// The variables whose gradient holds a value that is not finite.
    pub fn not_finite(&self) -> Vec<&str> {
        self.select(|gradient| gradient.reached && gradient.values.iter().any(|g| !g.is_finite()))
    }

    /// The Euclidean norm of all gradients together, summed in f64 in the order of the names.
    pub fn norm(&self) -> f64 {
        let reached = self.by_name.values().filter(|gradient| gradient.reached);
        // The pieces are summed side by side, then added up in order.
        let sums = reached.flat_map(|g| g.values.par_chunks(CHUNK).map(squares).collect::<Vec<f64>>());
        sums.sum::<f64>().sqrt()
    }

    fn scale(&mut self, factor: f32) {
        for gradient in self.by_name.values_mut().filter(|gradient| gradient.reached) {
            gradient
                .values
                .par_chunks_mut(CHUNK)
                .for_each(|chunk| chunk.iter_mut().for_each(|g| *g *= factor));
        }
    }

    fn select(&self, condition: impl Fn(&Gradient) -> bool) -> Vec<&str> {
        self.by_name
            .iter()
            .filter(|(_, g)| condition(g))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// Σ g² in sixteen lanes: one sum would wait for itself at every value.
fn squares(chunk: &[f32]) -> f64 {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0f64; 16];
            let sixteens = chunk.chunks_exact(lanes.len());
            let rest: f64 = sixteens
                .remainder()
                .iter()
                .map(|&g| f64::from(g) * f64::from(g))
                .sum();
            for sixteen in sixteens {
                for (lane, &g) in lanes.iter_mut().zip(sixteen) {
                    *lane += f64::from(g) * f64::from(g);
                }
            }
            lanes.iter().sum::<f64>() + rest
        },
    )
}

/// Scales all gradients so that their global norm is at most `max_norm`, and returns the norm they had.
///
/// A norm that is not finite is returned and nothing is scaled: that step must not be taken.
pub fn clip_global_norm(gradients: &mut Gradients, max_norm: f64) -> f64 {
    let norm = gradients.norm();
    if norm.is_finite() && norm > max_norm {
        gradients.scale((max_norm / norm) as f32);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};
    use sandhi_nn::Init;

    fn two() -> (Params, Tensor, Tensor) {
        let params = Params::seeded(1, DType::F32, &Device::Cpu);
        let a = params.get("a", &[3], Init::Zeros).unwrap();
        let b = params.get("b", &[1], Init::Zeros).unwrap();
        (params, a, b)
    }

    #[test]
    fn clip_scales_to_the_bound_and_returns_the_norm_before() {
        let (params, a, b) = two();
        let weights = Tensor::new(&[2f32, 3., 6.], &Device::Cpu).unwrap();
        let loss =
            ((&a * weights).unwrap().sum_all().unwrap() + (&b * 24.0).unwrap().sum_all().unwrap()).unwrap();
        let mut gradients = Gradients::new(&params).unwrap();
        gradients.add(&loss.backward().unwrap()).unwrap();
        // 2² + 3² + 6² = 7², 7² + 24² = 25².
        assert_eq!(clip_global_norm(&mut gradients, 100.0), 25.0);
        assert_eq!(gradients.get("a").unwrap(), [2.0, 3.0, 6.0]);
        assert_eq!(clip_global_norm(&mut gradients, 5.0), 25.0);
        assert!((gradients.norm() - 5.0).abs() < 1e-6);
        assert!((gradients.get("b").unwrap()[0] - 4.8).abs() < 1e-6);
    }

    #[test]
    fn gradients_add_up_over_parts_and_forget_the_step_before() {
        let (params, a, b) = two();
        let mut gradients = Gradients::new(&params).unwrap();
        let of_a = (&a * 2.0).unwrap().sum_all().unwrap().backward().unwrap();
        gradients.add(&of_a).unwrap();
        gradients.add(&of_a).unwrap();
        assert_eq!(gradients.get("a").unwrap(), [4.0, 4.0, 4.0]);
        assert_eq!(gradients.missing(), ["b"]);
        gradients.clear();
        assert_eq!(gradients.missing(), ["a", "b"]);
        assert_eq!(gradients.norm(), 0.0);
        // A tensor of zeros: candle takes a factor of zero for a constant and would not reach the variable at all.
        let zeros = b.zeros_like().unwrap();
        gradients
            .add(&(&b * zeros).unwrap().sum_all().unwrap().backward().unwrap())
            .unwrap();
        gradients.add(&of_a).unwrap();
        assert_eq!(gradients.get("a").unwrap(), [2.0, 2.0, 2.0]);
        assert_eq!(gradients.zero(), ["b"]);
    }

    #[test]
    fn gradients_name_the_variable_that_is_not_finite() {
        let (params, a, b) = two();
        let mut gradients = Gradients::new(&params).unwrap();
        let loss = ((&a * f64::NAN).unwrap().sum_all().unwrap() + b.sum_all().unwrap()).unwrap();
        gradients.add(&loss.backward().unwrap()).unwrap();
        assert_eq!(gradients.not_finite(), ["a"]);
        assert!(clip_global_norm(&mut gradients, 1.0).is_nan());
        assert_eq!(gradients.get("b").unwrap(), [1.0]);
    }
}
