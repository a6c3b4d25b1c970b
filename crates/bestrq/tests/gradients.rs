//! Gradients against central differences in f64.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{some_frames, targets, values, vectors};
use sandhi_bestrq::{MaskedPrediction, masked_prediction_loss};
use sandhi_core::Padded;
use sandhi_nn::Params;
use sandhi_testkit::{Tolerance, check_gradient, uniform};

const LENGTHS: [usize; 3] = [5, 0, 3];

#[test]
fn masked_loss_gradient_equals_differences() {
    let logits = vectors(1, &LENGTHS, 2 * 4, 0.0);
    let (targets, masked) = (targets(2, &LENGTHS, 2, 4), some_frames(&LENGTHS));
    let f = |x: &[Tensor]| {
        let logits = Padded::new(x[0].clone(), logits.lengths().clone())?;
        Ok(masked_prediction_loss(&logits, &targets, &masked)?.per_utterance)
    };
    check_gradient(&[logits.values().clone()], f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn head_gradient_equals_differences() {
    let encoded = vectors(3, &LENGTHS, 3, 0.0);
    let (targets, masked) = (targets(4, &LENGTHS, 2, 5), some_frames(&LENGTHS));
    let params = Params::seeded(5, DType::F64, &Device::Cpu);
    let head = MaskedPrediction::new(3, 2, 5, &params).unwrap();

    let f = |x: &[Tensor]| {
        let encoded = Padded::new(x[0].clone(), encoded.lengths().clone())?;
        Ok(head.loss(&encoded, &targets, &masked)?.per_utterance)
    };
    check_gradient(&[encoded.values().clone()], f, Tolerance::GRADIENT).unwrap();

    // The head's own parameters, each moved in place.
    let total = || {
        let weights = uniform(6, &[3], 0.5, 1.5).unwrap();
        let loss = head.loss(&encoded, &targets, &masked).unwrap().per_utterance;
        (loss * weights).unwrap().sum_all().unwrap()
    };
    let grads = total().backward().unwrap();
    let vars = params.vars();
    assert_eq!(vars.len(), 2);
    for (name, var) in vars {
        let got = values(grads.get(&var).unwrap());
        let start = values(var.as_tensor());
        for i in 0..start.len() {
            let moved = |delta: f64| {
                let mut values = start.clone();
                values[i] += delta;
                var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap())
                    .unwrap();
                total().to_scalar::<f64>().unwrap()
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            moved(0.0);
            assert!(
                Tolerance::GRADIENT.holds(got[i], expected),
                "{name} {i}: {} {expected}",
                got[i]
            );
        }
    }
}
