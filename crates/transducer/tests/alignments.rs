//! Entropy, variance, n-best and emission times on both topologies: enumeration, laws, closed forms, differences.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{Device, Tensor};
use common::{Batch, all_close, close, values};
use sandhi_core::{ArcScores, Error, Lengths, Topology};
use sandhi_lattice::{Arc, Monotonic, Step, Transducer, oracle};
use sandhi_testkit::{Tolerance, check_gradient};
use sandhi_transducer::{
    alignment_entropy, cost_variance, emission_delay, emission_times, expected_cost, label_posteriors,
    n_best_alignments, soft_cost, transducer_loss, viterbi,
};

const TOPOLOGIES: [Topology; 2] = [Topology::Standard, Topology::Monotonic];

/// Every lattice up to 5 frames by 4 labels that has a path.
fn every(topology: Topology, seed: u64) -> Batch {
    let extents = (1..=5).flat_map(|t| (0..=4).map(move |u| (t, u)));
    let feasible = |&(t, u): &(usize, usize)| topology == Topology::Standard || u <= t;
    Batch::new(seed, &extents.filter(feasible).collect::<Vec<_>>(), f64::NAN)
}

/// All paths of utterance `b`: emission frames, ln p, cost.
fn paths(batch: &Batch, topology: Topology, b: usize) -> Vec<(Vec<usize>, f64, f64)> {
    let grid = |x: &Tensor| x.get(b).unwrap().to_vec2::<f64>().unwrap();
    let (blank, label, cost) = (grid(&batch.blank), grid(&batch.label), grid(&batch.cost));
    let all: Vec<Vec<Arc>> = match topology {
        Topology::Standard => oracle::paths(Transducer, batch.extent(b)).collect(),
        Topology::Monotonic => oracle::paths(Monotonic, batch.extent(b)).collect(),
    };
    let describe = |path: Vec<Arc>| {
        let (mut frames, mut score, mut price) = (vec![], 0.0, 0.0);
        for arc in path {
            if arc.step == Step::Label {
                frames.push(arc.t);
                score += label[arc.t][arc.u];
                price += cost[arc.t][arc.u];
            } else {
                score += blank[arc.t][arc.u];
            }
        }
        (frames, score, price)
    };
    all.into_iter().map(describe).collect()
}

/// Normalised path probabilities with emission frames and costs.
fn distribution(batch: &Batch, topology: Topology, b: usize) -> Vec<(f64, Vec<usize>, f64)> {
    let paths = paths(batch, topology, b);
    let total: f64 = paths.iter().map(|(_, score, _)| score.exp()).sum();
    let normalised = paths
        .into_iter()
        .map(|(frames, score, cost)| (score.exp() / total, frames, cost));
    normalised.collect()
}

#[test]
fn monotonic_lattice_equals_brute_force() {
    let batch = every(Topology::Monotonic, 3);
    let arcs = batch.arcs().on(Topology::Monotonic);
    let loss = values(&transducer_loss(&arcs).unwrap());
    let expected = values(&expected_cost(&arcs, &batch.cost).unwrap());
    let soft = values(&soft_cost(&arcs, &batch.cost).unwrap());
    for b in 0..batch.len() {
        let total: f64 = paths(&batch, Topology::Monotonic, b)
            .iter()
            .map(|p| p.1.exp())
            .sum();
        close(loss[b], -total.ln(), 1e-12);
        let paths = distribution(&batch, Topology::Monotonic, b);
        close(expected[b], paths.iter().map(|(p, _, d)| p * d).sum(), 1e-12);
        close(
            soft[b],
            -paths.iter().map(|(p, _, d)| p * (-d).exp()).sum::<f64>().ln(),
            1e-12,
        );
    }
}

#[test]
fn monotonic_lattice_refuses_more_labels_than_frames() {
    let batch = Batch::new(0, &[(3, 2), (2, 3)], 0.0);
    let arcs = batch.arcs().on(Topology::Monotonic);
    let named = |error: Error| {
        matches!(
            error,
            Error::NoAlignment {
                utterance: 1,
                frames: 2,
                labels: 3
            }
        )
    };
    assert!(named(transducer_loss(&arcs).unwrap_err()));
    assert!(named(viterbi(&arcs).unwrap_err()));
    assert!(named(n_best_alignments(&arcs, 3).unwrap_err()));
    assert!(named(label_posteriors(&arcs).unwrap_err()));
    assert!(transducer_loss(&batch.arcs()).is_ok());
}

#[test]
fn monotonic_gradients_equal_differences() {
    let batch = Batch::new(5, &[(4, 2), (3, 3), (1, 0)], 0.5);
    let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
    let arcs = |x: &[Tensor]| Ok::<_, Error>(batch.arcs_of(&x[0], &x[1])?.on(Topology::Monotonic));
    type Loss<'a> = &'a dyn Fn(&[Tensor]) -> Result<Tensor, Error>;
    let losses: [Loss<'_>; 4] = [
        &|x| transducer_loss(&arcs(x)?),
        &|x| expected_cost(&arcs(x)?, &x[2]),
        &|x| soft_cost(&arcs(x)?, &x[2]),
        &|x| cost_variance(&arcs(x)?, &x[2]),
    ];
    check_gradient(&inputs[..2], losses[0], Tolerance::GRADIENT).unwrap();
    for loss in &losses[1..] {
        check_gradient(&inputs, loss, Tolerance::GRADIENT).unwrap();
    }
}

#[test]
fn cost_variance_equals_brute_force() {
    for topology in TOPOLOGIES {
        let batch = every(topology, 7);
        let got = values(&cost_variance(&batch.arcs().on(topology), &batch.cost).unwrap());
        for (b, got) in got.into_iter().enumerate() {
            let paths = distribution(&batch, topology, b);
            let mean: f64 = paths.iter().map(|(p, _, d)| p * d).sum();
            close(
                got,
                paths.iter().map(|(p, _, d)| p * (d - mean).powi(2)).sum(),
                1e-12,
            );
        }
    }
}

#[test]
fn cost_variance_gradient_equals_differences() {
    let batch = Batch::new(9, &[(4, 2), (2, 3), (1, 0)], 0.5);
    let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
    let f = |x: &[Tensor]| cost_variance(&batch.arcs_of(&x[0], &x[1])?, &x[2]);
    check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
}

/// A constant added to all costs, however large, moves every path alike.
#[test]
fn cost_variance_survives_a_large_offset() {
    let batch = Batch::new(11, &[(40, 12)], 0.0);
    let plain = values(&cost_variance(&batch.arcs(), &batch.cost).unwrap())[0];
    let moved = (&batch.cost + 1e7).unwrap();
    close(
        values(&cost_variance(&batch.arcs(), &moved).unwrap())[0],
        plain,
        1e-6,
    );
}

#[test]
fn alignment_entropy_equals_brute_force() {
    for topology in TOPOLOGIES {
        let batch = every(topology, 13);
        let got = values(&alignment_entropy(&batch.arcs().on(topology)).unwrap());
        for (b, got) in got.into_iter().enumerate() {
            let paths = distribution(&batch, topology, b);
            close(got, -paths.iter().map(|(p, ..)| p * p.ln()).sum::<f64>(), 1e-12);
        }
    }
}

#[test]
fn alignment_entropy_of_uniform_arcs_counts_paths() {
    // Whatever the arcs' common score: C(T + U − 1, U) equal paths.
    let flat = |columns| Tensor::full(-7.5f64, (1, 6, columns), &Device::Cpu).unwrap();
    let lengths = (Lengths::new(vec![6]), Lengths::new(vec![3]));
    let arcs = ArcScores::new(flat(4), flat(3), lengths.0, lengths.1).unwrap();
    close(values(&alignment_entropy(&arcs).unwrap())[0], 56f64.ln(), 1e-12);
    let arcs = arcs.on(Topology::Monotonic);
    close(values(&alignment_entropy(&arcs).unwrap())[0], 20f64.ln(), 1e-12);
}

#[test]
fn alignment_entropy_gradient_equals_differences() {
    let batch = Batch::new(15, &[(4, 2), (2, 3), (1, 0)], 0.5);
    for topology in TOPOLOGIES {
        let extents: &[(usize, usize)] = match topology {
            Topology::Standard => &[(4, 2), (2, 3), (1, 0)],
            Topology::Monotonic => &[(4, 2), (3, 3), (1, 0)],
        };
        let batch = match topology {
            Topology::Standard => &batch,
            Topology::Monotonic => &Batch::new(16, extents, 0.5),
        };
        let inputs = [batch.blank.clone(), batch.label.clone()];
        let f = |x: &[Tensor]| alignment_entropy(&batch.arcs_of(&x[0], &x[1])?.on(topology));
        check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
    }
}

#[test]
fn n_best_alignments_equal_brute_force() {
    for topology in TOPOLOGIES {
        let batch = every(topology, 17);
        let arcs = batch.arcs().on(topology);
        for n in [1, 2, 5, 1000] {
            for (b, found) in n_best_alignments(&arcs, n).unwrap().into_iter().enumerate() {
                let mut all = paths(&batch, topology, b);
                all.sort_by(|a, b| b.1.total_cmp(&a.1));
                all.truncate(n);
                let expected: Vec<f64> = all.iter().map(|path| path.1).collect();
                all_close(
                    &found.iter().map(|a| a.score).collect::<Vec<_>>(),
                    &expected,
                    1e-12,
                );
                let frames = |i: usize| &all[i].0;
                assert!(
                    found.iter().enumerate().all(|(i, a)| &a.frames == frames(i)),
                    "{n} of {b}"
                );
            }
        }
        let best: Vec<_> = n_best_alignments(&arcs, 1).unwrap().concat();
        assert_eq!(best, viterbi(&arcs).unwrap());
        assert!(n_best_alignments(&arcs, 0).unwrap().iter().all(Vec::is_empty));
    }
}

#[test]
fn emission_times_equal_the_posterior_mean() {
    for topology in TOPOLOGIES {
        let batch = every(topology, 19);
        let times = emission_times(&batch.arcs().on(topology)).unwrap();
        for (b, times) in times.into_iter().enumerate() {
            let paths = distribution(&batch, topology, b);
            for (u, time) in times.into_iter().enumerate() {
                close(
                    time,
                    paths.iter().map(|(p, frames, _)| p * frames[u] as f64).sum(),
                    1e-12,
                );
            }
        }
    }
}

#[test]
fn emission_delay_is_the_mean_difference() {
    let times = [vec![1.0, 4.0, 6.5], vec![], vec![2.0]];
    let delay = emission_delay(&times, &[vec![1.5, 3.0, 5.0], vec![], vec![3.0]]).unwrap();
    assert_eq!(delay, [Some(2.0 / 3.0), None, Some(-1.0)]);
    assert!(matches!(
        emission_delay(&times, &[vec![], vec![], vec![]]).unwrap_err(),
        Error::Length {
            utterance: 0,
            length: 0,
            max: 3,
            ..
        }
    ));
    assert!(matches!(
        emission_delay(&times, &[]).unwrap_err(),
        Error::BatchSize { .. }
    ));
}

#[test]
fn a_batch_of_alignments_equals_its_singles() {
    for topology in TOPOLOGIES {
        let batch = every(topology, 23);
        let arcs = batch.arcs().on(topology);
        let variance = values(&cost_variance(&arcs, &batch.cost).unwrap());
        let entropy = values(&alignment_entropy(&arcs).unwrap());
        let times = emission_times(&arcs).unwrap();
        for b in 0..batch.len() {
            let (t, u) = (batch.frames.get(b), batch.labels.get(b));
            let own = |x: &Tensor, columns: usize| {
                let x = x.narrow(0, b, 1).unwrap().narrow(1, 0, t).unwrap();
                x.narrow(2, 0, columns).unwrap()
            };
            let (blank, label) = (own(&batch.blank, u + 1), own(&batch.label, u));
            let alone = ArcScores::new(blank, label, Lengths::new(vec![t]), Lengths::new(vec![u])).unwrap();
            let alone = alone.on(topology);
            assert_eq!(
                values(&cost_variance(&alone, &own(&batch.cost, u)).unwrap()),
                [variance[b]]
            );
            assert_eq!(values(&alignment_entropy(&alone).unwrap()), [entropy[b]]);
            assert_eq!(emission_times(&alone).unwrap()[0], times[b]);
        }
    }
}
