//! The plain recursions that `cargo xtask bench align` compares everyone with, and ours: they share nothing.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../examples/align_worker/plain.rs"]
mod plain;

use candle_core::{DType, Tensor, Var};
use plain::{Costs, FORCED, WARPING};
use sandhi_align::{Moves, best_alignment_cost, soft_alignment_cost};
use sandhi_core::Lengths;

const EXTENTS: [(usize, usize); 4] = [(1, 1), (5, 1), (4, 4), (17, 9)];

/// Random costs, in f32 for the plain recursions and as f64 of the same values for ours.
fn costs(frames: usize, labels: usize) -> (Vec<f32>, Var) {
    let cost = sandhi_testkit::uniform(7, &[1, frames, labels], -1.0, 2.0).unwrap();
    let single = cost.to_dtype(DType::F32).unwrap();
    let values = single.flatten_all().unwrap().to_vec1().unwrap();
    (
        values,
        Var::from_tensor(&single.to_dtype(DType::F64).unwrap()).unwrap(),
    )
}

fn value(loss: &Tensor) -> f64 {
    loss.get(0).unwrap().to_scalar().unwrap()
}

fn assert_close(ours: f64, plain: f64, what: &str) {
    assert!(
        (ours - plain).abs() <= 1e-12 * (1.0 + plain.abs()),
        "{what}: {ours} and {plain}"
    );
}

#[test]
fn plain_recursions_equal_ours() {
    for (frames, labels) in EXTENTS {
        let (values, cost) = costs(frames, labels);
        let plain = Costs {
            values: &values,
            frames,
            labels,
        };
        let (t, u) = (Lengths::new(vec![frames]), Lengths::new(vec![labels]));
        for (moves, expected) in [
            (Moves::EveryLabel, plain::every_label(plain)),
            (Moves::Forced, plain::cheapest(plain, FORCED)),
            (Moves::Warping, plain::cheapest(plain, WARPING)),
        ] {
            let ours = best_alignment_cost(&cost, &t, &u, moves).unwrap();
            assert_close(
                value(&ours),
                expected,
                &format!("{moves:?} of {frames} x {labels}"),
            );
        }
        for temperature in [0.1, 1.0] {
            let ours = soft_alignment_cost(&cost, &t, &u, Moves::Warping, temperature).unwrap();
            let gradient = ours.backward().unwrap().remove(&cost).unwrap();
            let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            let (expected, probabilities) = plain::soft(plain, WARPING, temperature);
            assert_close(value(&ours), expected, "soft");
            assert_eq!(gradient.len(), probabilities.len());
            for (ours, plain) in gradient.into_iter().zip(probabilities) {
                assert_close(ours, plain, "probability");
            }
        }
    }
}
