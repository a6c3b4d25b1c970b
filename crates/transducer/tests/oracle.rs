//! Equal to the enumeration of every path, for every lattice up to 5 by 4, in one batch whose padding is NaN.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{Device, Tensor};
use common::{Batch, close, values};
use sandhi_core::ArcScores;
use sandhi_lattice::{Arc, Step};
use sandhi_transducer::{expected_cost, label_posteriors, soft_cost, transducer_loss, viterbi};

#[test]
fn transducer_loss_equals_brute_force() {
    let batch = Batch::every_extent(1);
    for (b, loss) in values(&transducer_loss(&batch.arcs()).unwrap())
        .into_iter()
        .enumerate()
    {
        let mass: f64 = batch.paths(b).iter().map(|(_, p, _)| p).sum();
        close(loss, -mass.ln(), 1e-10);
    }
}

#[test]
fn expected_cost_equals_brute_force() {
    let batch = Batch::every_extent(2);
    for (b, loss) in values(&expected_cost(&batch.arcs(), &batch.cost).unwrap())
        .into_iter()
        .enumerate()
    {
        let paths = batch.paths(b);
        let mass: f64 = paths.iter().map(|(_, p, _)| p).sum();
        close(
            loss,
            paths.iter().map(|(_, p, d)| p * d).sum::<f64>() / mass,
            1e-10,
        );
    }
}

#[test]
fn soft_cost_equals_brute_force() {
    let batch = Batch::every_extent(3);
    for (b, loss) in values(&soft_cost(&batch.arcs(), &batch.cost).unwrap())
        .into_iter()
        .enumerate()
    {
        let paths = batch.paths(b);
        let mass: f64 = paths.iter().map(|(_, p, _)| p).sum();
        close(
            loss,
            -(paths.iter().map(|(_, p, d)| p * (-d).exp()).sum::<f64>() / mass).ln(),
            1e-10,
        );
    }
}

#[test]
fn label_posteriors_equal_brute_force() {
    let batch = Batch::every_extent(4);
    let gamma = label_posteriors(&batch.arcs()).unwrap().to_vec3::<f64>().unwrap();
    for b in 0..batch.len() {
        let paths = batch.paths(b);
        let mass: f64 = paths.iter().map(|(_, p, _)| p).sum();
        for (t, row) in gamma[b].iter().enumerate() {
            for (u, &gamma) in row.iter().enumerate() {
                let arc = Arc {
                    t,
                    u,
                    step: Step::Label,
                };
                let through: f64 = paths
                    .iter()
                    .filter(|(path, ..)| path.contains(&arc))
                    .map(|(_, p, _)| p)
                    .sum();
                close(gamma, through / mass, 1e-10);
            }
        }
    }
}

fn frames(path: &[Arc]) -> Vec<usize> {
    path.iter()
        .filter(|arc| arc.step == Step::Label)
        .map(|arc| arc.t)
        .collect()
}

#[test]
fn viterbi_equals_brute_force() {
    let batch = Batch::every_extent(5);
    for (b, found) in viterbi(&batch.arcs()).unwrap().into_iter().enumerate() {
        let best = batch
            .paths(b)
            .into_iter()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        assert_eq!(found.frames, frames(&best.0));
        assert!((found.score - best.1.ln()).abs() < 1e-12);
    }
}

#[test]
fn viterbi_of_ties_emits_earliest() {
    // With equal scores every path is best.
    let flat = |columns| Tensor::full(-1.0f64, (1, 4, columns), &Device::Cpu).unwrap();
    let batch = Batch::new(0, &[(4, 2)], 0.0);
    let arcs = ArcScores::new(flat(3), flat(2), batch.frames.clone(), batch.labels.clone()).unwrap();
    assert_eq!(viterbi(&arcs).unwrap()[0].frames, [0, 0]);
}
