//! The optimizer, with its state in our hands.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Var;
use rayon::prelude::*;
use sandhi_nn::Params;
use serde::{Deserialize, Serialize};

use crate::gradients::CHUNK;
use crate::inplace::edit;
use crate::tensors::{Array, from_bytes, to_bytes};
use crate::{Error, Gradients, Result};

/// The constants of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// What is added to the root in the denominator.
    pub eps: f64,
    /// Decoupled weight decay, of matrices and higher ranks alone: biases and norms are left as they are.
    pub weight_decay: f64,
}

impl AdamWConfig {
    pub(crate) fn check(&self) -> Result<()> {
        let unit = 0.0..1.0;
        let fields = [
            (
                "adam.beta1",
                unit.contains(&self.beta1),
                "a value in 0..1",
                self.beta1,
            ),
            (
                "adam.beta2",
                unit.contains(&self.beta2),
                "a value in 0..1",
                self.beta2,
            ),
            ("adam.eps", self.eps > 0.0, "a positive value", self.eps),
            (
                "adam.weight_decay",
                self.weight_decay >= 0.0,
                "a value of 0 or more",
                self.weight_decay,
            ),
        ];
        match fields.iter().find(|(_, good, _, _)| !good) {
            Some((field, _, expected, got)) => Err(Error::Config {
                field,
                why: format!("expected {expected}, got {got}"),
            }),
            None => Ok(()),
        }
    }
}

/// One variable with its two moments.
#[derive(Debug)]
struct Slot {
    var: Var,
    first: Vec<f32>,
    second: Vec<f32>,
}

/// Adam with decoupled weight decay, updating all variables in place, in one pass over each.
///
/// # Equation
///
/// ```text
/// m ← β₁ m + (1 − β₁) g          v ← β₂ v + (1 − β₂) g²
/// p ← p − η (λ p + (m / (1 − β₁ⁿ)) / (√(v / (1 − β₂ⁿ)) + ε))
/// ```
///
/// with n the number of updates so far, this one included, η the learning rate, and λ the weight decay, which applies
/// to variables of rank 2 and above. A variable that no gradient reached in a step is left alone, moments included.
///
/// Every value is updated by itself, so the result has the same bits for any number of threads.
///
/// # Source
///
/// Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2 with the learning rate as schedule multiplier, as in
/// PyTorch.
///
/// # Proved by
///
/// `adamw_equals_candle`, `adamw_restored_continues_with_the_same_bits`, `adamw_has_the_same_bits_for_any_thread_count`.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    slots: BTreeMap<String, Slot>,
    updates: u64,
}

impl AdamW {
    /// An optimizer of every variable there is, with moments of zero.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if a constant is out of its range.
    pub fn new(params: &Params, config: AdamWConfig) -> Result<Self> {
        config.check()?;
        let slot = |var: Var| {
            let zeros = vec![0.0; var.elem_count()];
            Slot {
                var,
                first: zeros.clone(),
                second: zeros,
            }
        };
        let slots = params
            .vars()
            .into_iter()
            .map(|(name, var)| (name, slot(var)))
            .collect();
        Ok(Self {
            config,
            slots,
            updates: 0,
        })
    }

    /// The number of updates so far.
    pub fn num_updates(&self) -> u64 {
        self.updates
    }

    /// The number of variables it updates.
    pub fn num_variables(&self) -> usize {
        self.slots.len()
    }

    /// Updates every variable that a gradient reached, at learning rate `lr`.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a variable is not f32 on the CPU.
    pub fn step(&mut self, gradients: &Gradients, lr: f64) -> Result<()> {
        self.updates += 1;
        let AdamWConfig {
            beta1,
            beta2,
            eps,
            weight_decay,
        } = self.config;
        // Corrections in f64: at β₂ = 0.999 the first ones would lose half their digits in f32.
        let power = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        let rate = (lr / power(beta1)) as f32;
        let root = power(beta2).sqrt().recip() as f32;
        let (b1, c1, b2, c2) = (
            beta1 as f32,
            (1.0 - beta1) as f32,
            beta2 as f32,
            (1.0 - beta2) as f32,
        );
        let eps = eps as f32;
        for (name, Slot { var, first, second }) in &mut self.slots {
            let Some(gradient) = gradients.get(name) else {
                continue;
            };
            let keep = if var.rank() >= 2 {
                (1.0 - lr * weight_decay) as f32
            } else {
                1.0
            };
            edit(var, |values| {
                let pieces = values.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
                let moments = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
                pieces
                    .zip(moments)
                    .for_each(|((values, gradient), (first, second))| {
                        // Compiled for the widest vectors there are; nothing is fused, so the bits are those of any.
                        pulp::Arch::new().dispatch(
                            #[inline(always)]
                            || {
                                let moments = first.iter_mut().zip(second);
                                for ((p, &g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                                    *m = b1 * *m + c1 * g;
                                    *v = b2 * *v + c2 * (g * g);
                                    *p = keep * *p - rate * *m / (v.sqrt() * root + eps);
                                }
                            },
                        );
                    });
            })?;
        }
        Ok(())
    }

    /// The moments and the number of updates, as the bytes of a safetensors file.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if they cannot be serialized.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let arrays = self.slots.iter().flat_map(|(name, slot)| {
            let array = |values| Array {
                shape: slot.var.dims().to_vec(),
                values,
            };
            let first = (format!("first/{name}"), array(slot.first.as_slice().into()));
            [
                first,
                (format!("second/{name}"), array(slot.second.as_slice().into())),
            ]
        });
        to_bytes(arrays, Some(("updates", self.updates.to_string())))
    }

    /// Takes over what [`AdamW::to_safetensors`] gave. `path` is where it came from, for errors.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it is not the state of an optimizer of these variables. Nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let (mut arrays, about) = from_bytes(bytes, path)?;
        let updates = about.get("updates").and_then(|n| n.parse().ok());
        let updates = updates.ok_or_else(|| Error::corrupt(path, "the number of updates is missing"))?;
        let mut take = |moment: &str, name: &str, slot: &Slot| {
            let array = arrays.remove(&format!("{moment}/{name}"));
            match array {
                Some(array) if array.shape == slot.var.dims() => Ok(array.values.into_owned()),
                Some(array) => {
                    let (expected, got) = (slot.var.dims(), array.shape);
                    Err(Error::corrupt(
                        path,
                        format!("{moment}/{name}: expected {expected:?}, got {got:?}"),
                    ))
                }
                None => Err(Error::corrupt(path, format!("{moment}/{name} is missing"))),
            }
        };
        let moments = self
            .slots
            .iter()
            .map(|(name, slot)| Ok((take("first", name, slot)?, take("second", name, slot)?)));
        let moments = moments.collect::<Result<Vec<_>>>()?;
        if let Some(name) = arrays.keys().next() {
            return Err(Error::corrupt(path, format!("{name} is unknown")));
        }
        for (slot, (first, second)) in self.slots.values_mut().zip(moments) {
            (slot.first, slot.second) = (first, second);
        }
        self.updates = updates;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use candle_nn::optim::{Optimizer, ParamsAdamW};
    use sandhi_nn::Init;

    const CONFIG: AdamWConfig = AdamWConfig {
        beta1: 0.9,
        beta2: 0.98,
        eps: 1e-9,
        weight_decay: 0.1,
    };

    fn model(seed: u64) -> (Params, Tensor, Tensor) {
        let params = Params::seeded(seed, DType::F32, &Device::Cpu);
        let weight = params.get("weight", &[300, 120], Init::XavierUniform).unwrap();
        let bias = params.get("bias", &[120], Init::Uniform { bound: 1.0 }).unwrap();
        (params, weight, bias)
    }

    /// Σ (w + 2)² − step Σ b, whose gradients change with the weights and the step. None is near zero, where Adam turns
    /// the last digit of a gradient into a whole step.
    fn loss(weight: &Tensor, bias: &Tensor, step: u64) -> Tensor {
        let square = (weight + 2.0).unwrap().sqr().unwrap().sum_all().unwrap();
        (square - (bias.sum_all().unwrap() * step as f64).unwrap()).unwrap()
    }

    fn train(
        params: &Params,
        weight: &Tensor,
        bias: &Tensor,
        adam: &mut AdamW,
        steps: std::ops::RangeInclusive<u64>,
    ) {
        let mut gradients = Gradients::new(params).unwrap();
        for step in steps {
            gradients.clear();
            gradients
                .add(&loss(weight, bias, step).backward().unwrap())
                .unwrap();
            adam.step(&gradients, 1e-2).unwrap();
        }
    }

    fn bits(params: &Params) -> Vec<u32> {
        let values = |var: Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        params
            .vars()
            .into_iter()
            .flat_map(|(_, var)| values(var))
            .map(f32::to_bits)
            .collect()
    }

    #[test]
    fn adamw_equals_candle() {
        let (ours, weight, bias) = model(7);
        let mut adam = AdamW::new(&ours, CONFIG).unwrap();
        train(&ours, &weight, &bias, &mut adam, 1..=20);

        // candle decays all its variables, so that ours of rank 1 go to an optimizer without decay.
        let (theirs, weight, bias) = model(7);
        let of = |weight_decay| ParamsAdamW {
            lr: 1e-2,
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay,
        };
        let vars: BTreeMap<String, Var> = theirs.vars().into_iter().collect();
        let mut matrices = candle_nn::AdamW::new(vec![vars["weight"].clone()], of(0.1)).unwrap();
        let mut vectors = candle_nn::AdamW::new(vec![vars["bias"].clone()], of(0.0)).unwrap();
        for step in 1..=20 {
            let gradients = loss(&weight, &bias, step).backward().unwrap();
            matrices.step(&gradients).unwrap();
            vectors.step(&gradients).unwrap();
        }
        for (a, b) in bits(&ours).into_iter().zip(bits(&theirs)) {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            assert!((a - b).abs() < 2e-6, "{a} is not {b}");
        }
        let (start, ..) = model(7);
        assert_ne!(bits(&ours), bits(&start));
    }

    #[test]
    fn adamw_restored_continues_with_the_same_bits() {
        let (straight, weight, bias) = model(3);
        train(
            &straight,
            &weight,
            &bias,
            &mut AdamW::new(&straight, CONFIG).unwrap(),
            1..=9,
        );

        let (params, weight, bias) = model(3);
        let mut before = AdamW::new(&params, CONFIG).unwrap();
        train(&params, &weight, &bias, &mut before, 1..=4);
        let saved = before.to_safetensors().unwrap();
        let mut after = AdamW::new(&params, CONFIG).unwrap();
        after.restore(&saved, Path::new("optimizer.safetensors")).unwrap();
        assert_eq!(after.num_updates(), 4);
        train(&params, &weight, &bias, &mut after, 5..=9);
        assert_eq!(bits(&params), bits(&straight));
    }

    #[test]
    fn adamw_has_the_same_bits_for_any_thread_count() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| {
                let (params, weight, bias) = model(5);
                train(
                    &params,
                    &weight,
                    &bias,
                    &mut AdamW::new(&params, CONFIG).unwrap(),
                    1..=5,
                );
                bits(&params)
            })
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn adamw_refuses_the_state_of_another_model() {
        let (params, ..) = model(1);
        let saved = AdamW::new(&params, CONFIG).unwrap().to_safetensors().unwrap();
        let other = Params::seeded(1, DType::F32, &Device::Cpu);
        other.get("weight", &[2, 2], Init::Zeros).unwrap();
        let mut adam = AdamW::new(&other, CONFIG).unwrap();
        let error = adam
            .restore(&saved, Path::new("optimizer.safetensors"))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("first/weight: expected [2, 2], got [300, 120]"),
            "{error}"
        );
        let error = adam
            .restore(&saved[..saved.len() / 2], Path::new("optimizer.safetensors"))
            .unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }

    #[test]
    fn adamw_leaves_a_variable_without_gradient_alone() {
        let (params, weight, bias) = model(2);
        let (start, ..) = model(2);
        let mut gradients = Gradients::new(&params).unwrap();
        gradients
            .add(&weight.sqr().unwrap().sum_all().unwrap().backward().unwrap())
            .unwrap();
        AdamW::new(&params, CONFIG)
            .unwrap()
            .step(&gradients, 0.1)
            .unwrap();
        let start = start.snapshot().unwrap();
        assert_eq!(
            bias.to_vec1::<f32>().unwrap(),
            start["bias"].to_vec1::<f32>().unwrap()
        );
        assert_ne!(
            weight.to_vec2::<f32>().unwrap(),
            start["weight"].to_vec2::<f32>().unwrap()
        );
    }
}
