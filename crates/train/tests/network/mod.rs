//! A small network and a training of it, shared by the tests.

#![allow(dead_code, clippy::unwrap_used)] // Not every test uses all of it.

use candle_core::{DType, Device, Result as TensorResult, Tensor};
use sandhi_core::Ledger;
use sandhi_nn::{Init, Params};
use sandhi_train::{AdamWConfig, Error, Micro, Schedule, TrainerConfig};

/// Of every training.
pub(crate) const STEPS: u64 = 40;
/// Rows of a step.
pub(crate) const BATCH: usize = 6;

pub(crate) fn config() -> TrainerConfig {
    TrainerConfig {
        steps: STEPS,
        accumulate: 1,
        clip_norm: Some(1.0),
        ema_decay: None,
        log_every: 7,
        checkpoint_every: 5,
        keep: 2,
        validate_every: 8,
        patience: 0,
        non_finite_patience: 2,
        snapshots: 0,
        schedule: Schedule::Cosine {
            peak: 0.05,
            warmup: 0.125,
            floor: 0.001,
        },
        adam: AdamWConfig {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.01,
        },
    }
}

/// With everything that a checkpoint must carry.
pub(crate) fn rich() -> TrainerConfig {
    TrainerConfig {
        accumulate: 3,
        ema_decay: Some(0.95),
        snapshots: 2,
        ..config()
    }
}

/// y = tanh(x W₁ + b₁) W₂, to be fitted to a fixed function of x.
pub(crate) struct Network {
    pub(crate) params: Params,
    w1: Tensor,
    b1: Tensor,
    pub(crate) w2: Tensor,
}

impl Network {
    pub(crate) fn new() -> Self {
        let params = Params::seeded(11, DType::F32, &Device::Cpu);
        let get = |name: &str, shape: &[usize], init| params.get(name, shape, init).unwrap();
        let w1 = get("first.weight", &[4, 16], Init::XavierUniform);
        let b1 = get("first.bias", &[16], Init::Zeros);
        let w2 = get("second.weight", &[16, 2], Init::XavierUniform);
        Self { w1, b1, w2, params }
    }

    /// The squared error of each row of `x`.
    fn errors(&self, x: &Tensor) -> TensorResult<Tensor> {
        let hidden = x.matmul(&self.w1)?.broadcast_add(&self.b1)?.tanh()?;
        let wanted = x.narrow(1, 0, 2)?.contiguous()?.sin()?;
        (hidden.matmul(&self.w2)? - wanted)?.sqr()?.sum(1)
    }

    /// The objective of a part: rows `part`, `part + parts`, … of the step's batch, so that parts are unequal.
    pub(crate) fn objective(&self, micro: Micro) -> Result<Ledger, Error> {
        let rows = batch(micro.step);
        let rows: Vec<f32> = rows
            .chunks(4)
            .skip(micro.part)
            .step_by(micro.parts)
            .flatten()
            .copied()
            .collect();
        let x = Tensor::from_vec(rows.clone(), (rows.len() / 4, 4), &Device::Cpu)?;
        let mut ledger = Ledger::default();
        ledger.add_counted("error", 1.0, self.errors(&x)?, BATCH as f64)?;
        let size = self.w2.sqr()?.sum_all()?.reshape(1)?;
        ledger.add_counted("size", 1e-3, size, micro.parts as f64)?;
        Ok(ledger)
    }

    /// The error on rows that no step sees.
    pub(crate) fn validate(&self) -> Result<f64, Error> {
        let x = Tensor::from_vec(batch(0), (BATCH, 4), &Device::Cpu)?;
        Ok(f64::from(self.errors(&x)?.mean_all()?.to_scalar::<f32>()?))
    }

    pub(crate) fn bits(&self) -> Vec<u32> {
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        self.params
            .snapshot()
            .unwrap()
            .values()
            .flat_map(values)
            .map(f32::to_bits)
            .collect()
    }
}

/// The batch of a step, a function of the step alone.
fn batch(step: u64) -> Vec<f32> {
    let draws = Params::seeded(5, DType::F32, &Device::Cpu);
    let rows = draws.get(&format!("batch {step}"), &[BATCH * 4], Init::Normal { std: 1.0 });
    rows.unwrap().to_vec1().unwrap()
}
