//! Analytic gradients equal central differences in f64, through ragged batches.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::Tensor;
use common::{Batch, random_labels};
use sandhi_core::Lengths;
use sandhi_testkit::{Tolerance, check_gradient, uniform};
use sandhi_transducer::{
    Normalize, arc_scores, expected_cost, joiner_arc_scores, soft_cost, transducer_loss,
};

/// Differences see the padding too: it is finite here, and its gradient must be 0.
fn batch(seed: u64) -> Batch {
    Batch::new(seed, &[(4, 2), (2, 3), (1, 0)], 0.5)
}

#[test]
fn transducer_loss_gradient_equals_differences() {
    let batch = batch(1);
    let inputs = [batch.blank.clone(), batch.label.clone()];
    check_gradient(
        &inputs,
        |x| transducer_loss(&batch.arcs_of(&x[0], &x[1])?),
        Tolerance::GRADIENT,
    )
    .unwrap();
}

#[test]
fn expected_cost_gradient_equals_differences() {
    let batch = batch(2);
    let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
    let f = |x: &[Tensor]| expected_cost(&batch.arcs_of(&x[0], &x[1])?, &x[2]);
    check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn soft_cost_gradient_equals_differences() {
    let batch = batch(3);
    let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
    let f = |x: &[Tensor]| soft_cost(&batch.arcs_of(&x[0], &x[1])?, &x[2]);
    check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn arc_scores_gradient_equals_differences() {
    let (frames, labels) = (Lengths::new(vec![3, 1]), random_labels(4, &[2, 1], 5, 1));
    let logits = uniform(5, &[2, 3, 3, 5], -2.0, 2.0).unwrap();
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        let f = |x: &[Tensor]| {
            let arcs = arc_scores(&x[0], &labels, &frames, normalize)?;
            Ok(Tensor::cat(&[arcs.blank(), arcs.label()], 2)?)
        };
        check_gradient(std::slice::from_ref(&logits), f, Tolerance::GRADIENT).unwrap();
    }
}

#[test]
fn loss_of_logits_gradient_equals_differences() {
    let (frames, labels) = (Lengths::new(vec![3, 2]), random_labels(6, &[2, 3], 4, 0));
    let logits = uniform(7, &[2, 3, 4, 4], -2.0, 2.0).unwrap();
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        let f = |x: &[Tensor]| transducer_loss(&arc_scores(&x[0], &labels, &frames, normalize)?);
        check_gradient(std::slice::from_ref(&logits), f, Tolerance::GRADIENT).unwrap();
    }
}

#[test]
fn fused_joiner_gradient_equals_differences() {
    let (frames, labels) = (Lengths::new(vec![3, 2]), random_labels(8, &[1, 2], 4, 2));
    let inputs = [
        uniform(9, &[2, 3, 3], -1.0, 1.0).unwrap(),
        uniform(10, &[2, 3, 3], -1.0, 1.0).unwrap(),
        uniform(11, &[4, 3], -1.0, 1.0).unwrap(),
        uniform(12, &[4], -1.0, 1.0).unwrap(),
    ];
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        let f = |x: &[Tensor]| {
            transducer_loss(&joiner_arc_scores(
                &x[0], &x[1], &x[2], &x[3], &labels, &frames, normalize,
            )?)
        };
        check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
    }
}
