//! The moving average of the weights.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Var;
use rayon::prelude::*;
use sandhi_nn::Params;

use crate::gradients::CHUNK;
use crate::inplace::edit;
use crate::tensors::{Array, from_bytes, to_bytes};
use crate::{Error, Result};

#[derive(Debug)]
struct Slot {
    var: Var,
    mean: Vec<f32>,
}

/// An exponential moving average of all variables, with a horizon that grows with the run.
///
/// # Equation
///
/// ```text
/// e ← e + (1 − d) (p − e)        d = min(decay, (1 + n) / (10 + n))
/// ```
///
/// with n the number of updates so far, this one included. Early on the average reaches back over about a tenth of
/// what there is, so that the random start is soon forgotten; later over 1 / (1 − decay) updates.
#[derive(Debug)]
pub struct Average {
    decay: f64,
    slots: BTreeMap<String, Slot>,
    updates: u64,
}

impl Average {
    /// The average of the variables as they are now.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] unless the decay is in 0..1; [`Error::Tensor`] if a variable is not f32 on the CPU.
    pub fn new(params: &Params, decay: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::Config {
                field: "ema_decay",
                why: format!("expected a value in 0..1, got {decay}"),
            });
        }
        let slot = |(name, var): (String, Var)| {
            let mean = var.flatten_all()?.to_vec1::<f32>()?;
            Ok((name, Slot { var, mean }))
        };
        let slots = params.vars().into_iter().map(slot).collect::<Result<_>>()?;
        Ok(Self {
            decay,
            slots,
            updates: 0,
        })
    }

    /// Moves the average toward the variables.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a variable cannot be read.
    pub fn update(&mut self) -> Result<()> {
        self.updates += 1;
        let n = self.updates as f64;
        let share = (1.0 - self.decay.min((1.0 + n) / (10.0 + n))) as f32;
        for Slot { var, mean } in self.slots.values_mut() {
            edit(var, |values| {
                mean.par_chunks_mut(CHUNK)
                    .zip(values.par_chunks(CHUNK))
                    .for_each(|(mean, values)| {
                        mean.iter_mut()
                            .zip(values)
                            .for_each(|(e, &p)| *e += share * (p - *e));
                    });
            })?;
        }
        Ok(())
    }

    /// Exchanges the variables and their averages. A second call restores both, bit for bit.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] if a variable cannot be changed.
    pub fn swap(&mut self) -> Result<()> {
        for Slot { var, mean } in self.slots.values_mut() {
            edit(var, |values| values.swap_with_slice(mean))?;
        }
        Ok(())
    }

    /// The averages under the names of their variables, as the bytes of a safetensors file.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if they cannot be serialized.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let array = |slot: &'_ Slot| Array {
            shape: slot.var.dims().to_vec(),
            values: slot.mean.clone().into(),
        };
        let arrays = self.slots.iter().map(|(name, slot)| (name.clone(), array(slot)));
        to_bytes(arrays, Some(("updates", self.updates.to_string())))
    }

    /// Takes over what [`Average::to_safetensors`] gave. `path` is where it came from, for errors.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it is not the average of these variables. Nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        let (arrays, about) = from_bytes(bytes, path)?;
        let updates = about.get("updates").and_then(|n| n.parse().ok());
        let updates = updates.ok_or_else(|| Error::corrupt(path, "the number of updates is missing"))?;
        let fits =
            |(name, slot): (&String, &Slot)| arrays.get(name).is_some_and(|a| a.shape == slot.var.dims());
        if arrays.len() != self.slots.len() || !self.slots.iter().all(fits) {
            return Err(Error::corrupt(
                path,
                "it is not the average of this model's variables",
            ));
        }
        for (slot, array) in self.slots.values_mut().zip(arrays.into_values()) {
            slot.mean = array.values.into_owned();
        }
        self.updates = updates;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use sandhi_nn::Init;

    fn set(params: &Params, value: f32) {
        for (_, var) in params.vars() {
            var.set(&Tensor::full(value, var.dims(), &Device::Cpu).unwrap())
                .unwrap();
        }
    }

    fn values(x: &Tensor) -> Vec<f32> {
        x.to_vec1().unwrap()
    }

    #[test]
    fn average_follows_its_equation() {
        let params = Params::seeded(1, DType::F32, &Device::Cpu);
        let x = params.get("x", &[2], Init::Zeros).unwrap();
        let mut average = Average::new(&params, 0.5).unwrap();
        let mut expected = 0.0;
        for n in 1..=30 {
            set(&params, n as f32);
            average.update().unwrap();
            let d = f64::min(0.5, f64::from(1 + n) / f64::from(10 + n));
            expected = d * expected + (1.0 - d) * f64::from(n);
        }
        average.swap().unwrap();
        assert!((f64::from(values(&x)[1]) - expected).abs() < 1e-5);
        // At a decay of one half the average is about one update behind.
        assert!((values(&x)[0] - 29.0).abs() < 0.01);
    }

    #[test]
    fn average_swapped_twice_restores_every_bit() {
        let params = Params::seeded(1, DType::F32, &Device::Cpu);
        let x = params.get("x", &[40_000], Init::Normal { std: 1.0 }).unwrap();
        let mut average = Average::new(&params, 0.9).unwrap();
        let before = values(&x);
        set(&params, 2.0);
        average.update().unwrap();
        let saved = average.to_safetensors().unwrap();
        average.swap().unwrap();
        assert_ne!(values(&x), vec![2.0; 40_000]);
        average.swap().unwrap();
        assert_eq!(values(&x), vec![2.0; 40_000]);
        assert_eq!(average.to_safetensors().unwrap(), saved);

        let mut fresh = Average::new(&params, 0.9).unwrap();
        fresh.restore(&saved, Path::new("ema.safetensors")).unwrap();
        fresh.swap().unwrap();
        let share = (1.0 - f64::min(0.9, 2.0 / 11.0)) as f32;
        assert_eq!(values(&x)[7], before[7] + share * (2.0 - before[7]));
    }
}
