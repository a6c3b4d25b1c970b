//! Soft alignment equals its recursion in the log domain: the definition, a logarithm for every node.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{Device, Tensor};
use common::{ALL, close, costs, values, with_gradient};
use sandhi_align::{Moves, best_alignment_cost, soft_alignment_cost};
use sandhi_core::Lengths;

/// The arcs into a node, by how many frames and labels they advance and whether they take its cell; and whether frames
/// before the first label, and labels before the first frame, may be skipped.
fn graph(moves: Moves) -> (&'static [(usize, usize, bool)], bool, bool) {
    match moves {
        Moves::EveryLabel => (&[(1, 0, false), (0, 1, true)], true, false),
        Moves::EveryLabelStrict => (&[(1, 0, false), (1, 1, true)], true, false),
        Moves::EveryFrame => (&[(0, 1, false), (1, 0, true)], false, true),
        Moves::Forced => (&[(1, 0, true), (1, 1, true)], false, false),
        Moves::Warping => (&[(1, 1, true), (1, 0, true), (0, 1, true)], false, false),
    }
}

/// The soft minimum, and the probability of each cell: `α(t, u) = ln Σ_arcs e^{α(from) − [takes] cost(t, u)/γ}`, and from the
/// end back by the shares of the arcs.
fn log_domain(moves: Moves, grid: &[Vec<f64>], temperature: f64) -> (f64, Vec<f64>) {
    let (arcs, skips_frames, skips_labels) = graph(moves);
    let (frames, labels) = (grid.len(), grid[0].len());
    let border = |free: bool| if free { 0.0 } else { f64::NEG_INFINITY };
    // Counted from 1; 0 is the border.
    let mut alpha = vec![vec![border(skips_labels); labels + 1]; frames + 1];
    alpha.iter_mut().for_each(|row| row[0] = border(skips_frames));
    alpha[0][0] = 0.0;
    let term = |alpha: &[Vec<f64>], t: usize, u: usize, (df, dl, takes): (usize, usize, bool)| {
        let from = alpha[t - df][u - dl];
        let reached = takes && from != f64::NEG_INFINITY;
        if reached {
            from - grid[t - 1][u - 1] / temperature
        } else {
            from
        }
    };
    for (t, u) in (1..=frames).flat_map(|t| (1..=labels).map(move |u| (t, u))) {
        let terms: Vec<f64> = arcs.iter().map(|&arc| term(&alpha, t, u, arc)).collect();
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            alpha[t][u] = largest;
        } else {
            let sum: f64 = terms.iter().map(|term| (term - largest).exp()).sum();
            alpha[t][u] = largest + sum.ln();
        }
    }
    let mut node = vec![vec![0.0; labels + 1]; frames + 1];
    node[frames][labels] = 1.0;
    let mut taken = vec![0.0; frames * labels];
    for (t, u) in (1..=frames)
        .rev()
        .flat_map(|t| (1..=labels).rev().map(move |u| (t, u)))
    {
        let here = node[t][u];
        for &arc in arcs.iter().filter(|_| here > 0.0) {
            let flow = here * (term(&alpha, t, u, arc) - alpha[t][u]).exp();
            node[t - arc.0][u - arc.1] += flow;
            taken[(t - 1) * labels + u - 1] += if arc.2 { flow } else { 0.0 };
        }
    }
    (-temperature * alpha[frames][labels], taken)
}

/// Shapes of a wave: shorter and longer than a vector, than what is kept on the stack, one cell, more labels than frames.
const EXTENTS: [(usize, usize); 8] = [
    (1, 1),
    (9, 1),
    (7, 7),
    (8, 8),
    (60, 23),
    (31, 31),
    (270, 261),
    (520, 9),
];

#[test]
fn soft_alignment_equals_the_log_domain() {
    for moves in ALL {
        let turned = EXTENTS.map(|(t, u)| (u, t));
        for extent in EXTENTS.into_iter().chain(turned) {
            let (mut cost, frames, labels) = costs(11, &[extent], f64::NAN);
            let monotone = extent.0 >= extent.1;
            if !monotone && matches!(moves, Moves::Forced | Moves::EveryLabelStrict) {
                continue;
            }
            // Some cells are forbidden; where alignments have little choice that forbids them all.
            if extent.0 > 8 && extent.1 > 8 {
                let mut some = values(&cost);
                some.iter_mut()
                    .skip(extent.1 + 2)
                    .step_by(97)
                    .for_each(|cost| *cost = f64::INFINITY);
                cost = Tensor::from_vec(some, cost.shape(), &Device::Cpu).unwrap();
            }
            let grid = cost.to_vec3::<f64>().unwrap().remove(0);
            for temperature in [0.05, 1.0, 30.0] {
                let (found, slopes) = with_gradient(&cost, |cost| {
                    soft_alignment_cost(cost, &frames, &labels, moves, temperature).unwrap()
                });
                let (expected, probabilities) = log_domain(moves, &grid, temperature);
                if expected == f64::INFINITY {
                    assert!(found[0] == expected && slopes.iter().all(|slope| slope.is_nan()));
                    continue;
                }
                close(&found, &[expected], 1e-10);
                for (found, expected) in slopes.iter().zip(&probabilities) {
                    let near = (found - expected).abs() <= 1e-10 * expected + 1e-150;
                    assert!(
                        near,
                        "{moves:?} {extent:?} at {temperature}: {found} for {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn soft_alignment_at_any_temperature_is_bounded_by_the_best() {
    // Of 300 frames by 120 labels at a temperature of 1e-6, weights range over e^{10^8}.
    for moves in ALL {
        let (cost, frames, labels) = costs(12, &[(300, 120)], 0.0);
        let best = values(&best_alignment_cost(&cost, &frames, &labels, moves).unwrap())[0];
        for temperature in [1e-300, 1e-30, 1e-6, 1e-3, 1.0, 1e3, 1e200] {
            let (found, slopes) = with_gradient(&cost, |cost| {
                soft_alignment_cost(cost, &frames, &labels, moves, temperature).unwrap()
            });
            // There are fewer than 3^420 alignments.
            let most = temperature * 420.0 * 3f64.ln();
            assert!(
                found[0] <= best + 1e-11 && found[0] >= best - most - 1e-11,
                "{moves:?} {temperature}"
            );
            assert!(
                slopes.iter().all(|slope| (0.0..1.0 + 1e-12).contains(slope)),
                "{moves:?} {temperature}"
            );
            let cells: f64 = slopes.iter().sum();
            assert!(
                (120.0 - 1e-9..=420.0).contains(&cells),
                "{moves:?} {temperature}: {cells} cells"
            );
        }
    }
}

#[test]
fn soft_alignment_gradient_has_the_same_bits_for_any_number_of_threads() {
    let (cost, frames, labels) = costs(13, &[(90, 40), (33, 33), (64, 7)], f64::NAN);
    let (frames, labels): (&Lengths, &Lengths) = (&frames, &labels);
    for moves in ALL {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let f = |cost: &Tensor| soft_alignment_cost(cost, frames, labels, moves, 0.2).unwrap();
            pool.install(|| with_gradient(&cost, f))
        };
        let alone = run(1);
        assert!([2, 3, 5].into_iter().all(|threads| run(threads) == alone));
    }
}
