//! Equal to trying every alignment, for all extents up to 5 by 4, and to the tropical lattice.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{Device, Tensor};
use common::{ALL, Cells, alignments, costs, values};
use sandhi_align::{Moves, best_alignment, best_alignment_cost};
use sandhi_core::{Error, Lengths};
use sandhi_lattice::{Arc, Extent, MinTropical, Monotonic, Step, Topology, Transducer, total};

#[test]
fn best_alignment_equals_brute_force() {
    for moves in ALL {
        // All feasible extents in one ragged batch, padded with NaN.
        let every = (0..=5).flat_map(|t| (0..=4).map(move |u| (t, u)));
        let extents: Vec<_> = every
            .filter(|&(t, u)| !alignments(moves, t, u).is_empty())
            .collect();
        for seed in 0..5 {
            let (cost, frames, labels) = costs(seed, &extents, f64::NAN);
            let grids = cost.to_vec3::<f64>().unwrap();
            let found = best_alignment(&cost, &frames, &labels, moves).unwrap();
            let losses = values(&best_alignment_cost(&cost, &frames, &labels, moves).unwrap());
            for (b, &(t, u)) in extents.iter().enumerate() {
                let price = |cells: &Cells| cells.iter().map(|&(t, u)| grids[b][t][u]).sum::<f64>();
                let best = alignments(moves, t, u)
                    .into_iter()
                    .min_by(|x, y| price(x).total_cmp(&price(y)))
                    .unwrap();
                assert_eq!(found[b], best, "{moves:?} {t} by {u}");
                assert!((losses[b] - price(&best)).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn best_alignment_of_what_cannot_be_aligned_names_the_utterance() {
    for moves in ALL {
        for frames in 0..=5 {
            for labels in 0..=4 {
                if !alignments(moves, frames, labels).is_empty() {
                    continue;
                }
                let (cost, t, u) = costs(1, &[(4, 4), (frames, labels), (4, 3)], 0.0);
                let error = best_alignment_cost(&cost, &t, &u, moves).unwrap_err();
                let named = matches!(error, Error::NoAlignment { utterance: 1, frames: f, labels: l }
                    if (f, l) == (frames, labels));
                assert!(named, "{moves:?} {frames} by {labels}: {error}");
            }
        }
    }
}

#[test]
fn best_alignment_equals_the_tropical_lattice() {
    fn check<T: Topology>(topology: T, moves: Moves) {
        let (cost, frames, labels) = costs(3, &[(9, 5), (6, 6), (7, 0)], f64::NAN);
        let grids = cost.to_vec3::<f64>().unwrap();
        let found = values(&best_alignment_cost(&cost, &frames, &labels, moves).unwrap());
        for b in 0..3 {
            let extent = Extent {
                frames: frames.get(b),
                labels: labels.get(b),
            };
            let weight = |arc: Arc| match arc.step {
                Step::Label => MinTropical(grids[b][arc.t][arc.u]),
                Step::Blank => MinTropical(0.0),
            };
            assert!((found[b] - total(topology, extent, weight).0).abs() < 1e-12);
        }
    }
    check(Transducer, Moves::EveryLabel);
    check(Monotonic, Moves::EveryLabelStrict);
}

#[test]
fn best_alignment_of_ties_is_earliest() {
    let cost = Tensor::zeros((1, 4, 3), candle_core::DType::F64, &Device::Cpu).unwrap();
    let (frames, labels) = (Lengths::new(vec![4]), Lengths::new(vec![3]));
    let found = |moves| best_alignment(&cost, &frames, &labels, moves).unwrap().remove(0);
    assert_eq!(found(Moves::EveryLabel), [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(found(Moves::EveryLabelStrict), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(found(Moves::EveryFrame), [(0, 0), (1, 0), (2, 0), (3, 0)]);
    assert_eq!(found(Moves::Forced), [(0, 0), (1, 1), (2, 2), (3, 2)]);
    assert_eq!(found(Moves::Warping), [(0, 0), (1, 0), (2, 1), (3, 2)]);
}
