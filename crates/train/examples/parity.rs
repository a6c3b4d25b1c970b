//! A training that is worth killing: `parity DIR STEPS` learns the parity of the signs of four numbers, with a
//! checkpoint after every step, an average of the weights and parts of steps.
//!
//! Start it, kill it, start it again: it ends with the same bits. `tests/kill.rs` does that for a while.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use sandhi_core::Ledger;
use sandhi_lab::Run;
use sandhi_nn::{Init, Params};
use sandhi_train::{AdamWConfig, Error, Micro, Schedule, Trainer, TrainerConfig, with_stack};

const ROWS: usize = 16;

fn config(steps: u64) -> TrainerConfig {
    TrainerConfig {
        steps,
        accumulate: 2,
        clip_norm: Some(1.0),
        ema_decay: Some(0.95),
        log_every: 3,
        checkpoint_every: 1,
        keep: 2,
        validate_every: 4,
        patience: 0,
        non_finite_patience: 0,
        snapshots: 3,
        schedule: Schedule::Cosine {
            peak: 0.01,
            warmup: 0.1,
            floor: 1e-4,
        },
        adam: AdamWConfig {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.01,
        },
    }
}

/// Four numbers a row and the sign of their product; a function of `step` alone.
fn batch(step: u64) -> Result<(Tensor, Tensor), Error> {
    let draws = Params::seeded(7, DType::F32, &Device::Cpu);
    let x = draws.get(&format!("batch {step}"), &[ROWS, 4], Init::Normal { std: 1.0 })?;
    let sign = |row: &Vec<f32>| row.iter().product::<f32>().signum();
    let signs: Vec<f32> = x.to_vec2::<f32>()?.iter().map(sign).collect();
    Ok((x, Tensor::from_vec(signs, (ROWS, 1), &Device::Cpu)?))
}

fn train(dir: &Path, steps: u64) -> Result<(), Error> {
    let params = Params::seeded(3, DType::F32, &Device::Cpu);
    let first = params.get("first.weight", &[4, 512], Init::XavierUniform)?;
    let second = params.get("second.weight", &[512, 192], Init::XavierUniform)?;
    let third = params.get("third.weight", &[192, 1], Init::XavierUniform)?;
    let errors = |step: u64| -> Result<Tensor, Error> {
        let (x, wanted) = batch(step)?;
        let hidden = x.matmul(&first)?.tanh()?.matmul(&second)?.tanh()?;
        Ok((hidden.matmul(&third)? - wanted)?.sqr()?.squeeze(1)?)
    };
    let mut run = Run::at(dir, 1)?;
    Trainer::new(&params, config(steps))?.fit(
        &mut run,
        |micro: Micro| -> Result<Ledger, Error> {
            let part = ROWS / micro.parts;
            let mut loss = Ledger::default();
            let error = errors(micro.step)?.narrow(0, micro.part * part, part)?;
            loss.add_counted("error", 1.0, error, ROWS as f64)?;
            Ok(loss)
        },
        |step, run| {
            let error = f64::from(errors(0)?.mean_all()?.to_scalar::<f32>()?);
            run.log(step, "dev", &[("error", error)])?;
            Ok(error)
        },
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, steps] = arguments.as_slice() else {
        return Err("usage: parity DIR STEPS".into());
    };
    let steps = steps.parse()?;
    Ok(with_stack(|| train(Path::new(dir), steps))?)
}
