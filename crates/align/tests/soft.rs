//! Soft alignment: enumeration, counts, limits, gradients.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{ALL, Cells, alignments, close, costs, gradient, loss_of, pair, values, with_gradient};
use sandhi_align::{
    BestAlignment, Moves, SoftAlignment, best_alignment_cost, soft_alignment, soft_alignment_cost,
};
use sandhi_core::{Distance, Error, Lengths};
use sandhi_testkit::{Tolerance, check_gradient};

/// All extents up to 5 by 4 that a reading can align.
fn extents(moves: Moves) -> Vec<(usize, usize)> {
    let every = (0..=5).flat_map(|t| (0..=4).map(move |u| (t, u)));
    every
        .filter(|&(t, u)| !alignments(moves, t, u).is_empty())
        .collect()
}

#[test]
fn soft_alignment_equals_enumeration() {
    for moves in ALL {
        let extents = extents(moves);
        for (seed, temperature) in [(1, 1.0), (2, 0.1), (3, 7.0)] {
            let (cost, frames, labels) = costs(seed, &extents, f64::NAN);
            let grids = cost.to_vec3::<f64>().unwrap();
            let (found, slopes) = with_gradient(&cost, |cost| {
                soft_alignment_cost(cost, &frames, &labels, moves, temperature).unwrap()
            });
            let (mut expected, mut occupancy) = (Vec::new(), vec![0.0; slopes.len()]);
            for (b, &(t, u)) in extents.iter().enumerate() {
                let price = |cells: &Cells| cells.iter().map(|&(t, u)| grids[b][t][u]).sum::<f64>();
                let all = alignments(moves, t, u);
                let weights: Vec<f64> = all.iter().map(|a| (-price(a) / temperature).exp()).collect();
                let total: f64 = weights.iter().sum();
                expected.push(-temperature * total.ln());
                for (cells, weight) in all.iter().zip(&weights) {
                    for &(t, u) in cells {
                        occupancy[(b * 5 + t) * 4 + u] += weight / total;
                    }
                }
            }
            close(&found, &expected, 1e-12);
            close(&slopes, &occupancy, 1e-12);
        }
    }
}

#[test]
fn soft_alignment_is_its_cost_and_gradient() {
    for (moves, dtype) in ALL.into_iter().zip([DType::F32, DType::F64].into_iter().cycle()) {
        let (cost, frames, labels) = costs(4, &[(6, 4), (4, 2), (5, 5)], f64::NAN);
        // Laid out otherwise than it is read.
        let cost = cost.to_dtype(dtype).unwrap().t().unwrap().contiguous().unwrap();
        let cost = cost.t().unwrap();
        let (totals, probabilities) = soft_alignment(&cost, &frames, &labels, moves, 0.5).unwrap();
        let found = with_gradient(&cost, |x| {
            soft_alignment_cost(x, &frames, &labels, moves, 0.5).unwrap()
        });
        assert_eq!((totals.dtype(), probabilities.dtype()), (dtype, dtype));
        assert_eq!((values(&totals), values(&probabilities)), found);
    }
    let (cost, frames, labels) = costs(4, &[(2, 3)], 0.0);
    let error = soft_alignment(&cost, &frames, &labels, Moves::Forced, 0.5).unwrap_err();
    assert!(
        matches!(error, Error::NoAlignment { utterance: 0, .. }),
        "{error}"
    );
    let error = soft_alignment(&cost, &frames, &labels, Moves::Warping, 0.0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                what: "temperature",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn soft_alignment_gradient_equals_differences() {
    for moves in ALL {
        let (cost, frames, labels) = costs(1, &[(5, 3), (3, 3), (4, 2)], 0.25);
        let f = |x: &[Tensor]| soft_alignment_cost(&x[0], &frames, &labels, moves, 0.4);
        check_gradient(std::slice::from_ref(&cost), f, Tolerance::GRADIENT).unwrap();
    }
}

fn choose(n: usize, k: usize) -> f64 {
    (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product()
}

/// The number of ways from (0, 0) to (m, n) in steps (1, 0), (0, 1) and (1, 1), by its closed form.
fn delannoy(m: usize, n: usize) -> f64 {
    (0..=m.min(n)).map(|k| choose(m + n - k, m) * choose(m, k)).sum()
}

#[test]
fn soft_alignment_of_free_cells_counts_the_alignments() {
    assert_eq!((delannoy(2, 2), delannoy(3, 4)), (13.0, 129.0));
    let extents = [(7, 5), (6, 6), (30, 11)];
    for moves in ALL {
        let (cost, frames, labels) = costs(0, &extents, f64::NAN);
        let free = cost.zeros_like().unwrap();
        let found = soft_alignment_cost(&free, &frames, &labels, moves, 2.0).unwrap();
        let count = |&(t, u): &(usize, usize)| match moves {
            Moves::EveryLabel => choose(t + u - 1, u),
            Moves::EveryLabelStrict => choose(t, u),
            Moves::EveryFrame => choose(t + u - 1, t),
            Moves::Forced => choose(t - 1, u - 1),
            Moves::Warping => delannoy(t - 1, u - 1),
        };
        let expected: Vec<f64> = extents.iter().map(|e| -2.0 * count(e).ln()).collect();
        close(&values(&found), &expected, 1e-12);
    }
}

#[test]
fn soft_alignment_becomes_the_best_as_it_cools() {
    for moves in ALL {
        let (cost, frames, labels) = costs(4, &[(9, 5), (6, 6)], 0.0);
        let best = with_gradient(&cost, |cost| {
            best_alignment_cost(cost, &frames, &labels, moves).unwrap()
        });
        let mut gap = f64::INFINITY;
        for temperature in [1.0, 0.1, 0.01, 1e-3, 1e-5] {
            let soft = with_gradient(&cost, |cost| {
                soft_alignment_cost(cost, &frames, &labels, moves, temperature).unwrap()
            });
            let worst = soft
                .0
                .iter()
                .zip(&best.0)
                .map(|(soft, best)| best - soft)
                .fold(0.0, f64::max);
            assert!(
                worst <= gap && worst >= -1e-12,
                "{moves:?} at {temperature}: {worst} after {gap}"
            );
            gap = worst;
            if temperature == 1e-5 {
                close(&soft.0, &best.0, 1e-12);
                close(&soft.1, &best.1, 1e-12);
            }
        }
    }
}

#[test]
fn soft_alignment_is_below_the_best() {
    let pair = pair(3, &[(6, 3), (8, 4)]);
    let distance = Distance::L1;
    for moves in ALL {
        let best = loss_of(BestAlignment { distance, moves }, &pair);
        let soft = loss_of(
            SoftAlignment {
                distance,
                moves,
                temperature: 0.5,
            },
            &pair,
        );
        assert!(soft.iter().zip(&best).all(|(soft, best)| soft < best));
        // Hot enough, and there are more alignments than they cost.
        let hot = loss_of(
            SoftAlignment {
                distance,
                moves,
                temperature: 50.0,
            },
            &pair,
        );
        assert!(hot.iter().all(|&hot| hot < 0.0));
    }
}

#[test]
fn soft_alignment_takes_every_label_or_frame_once() {
    let (cost, frames, labels) = costs(5, &[(12, 7)], 0.0);
    for moves in ALL {
        let (_, slopes) = with_gradient(&cost, |cost| {
            soft_alignment_cost(cost, &frames, &labels, moves, 0.7).unwrap()
        });
        let by_frame: Vec<f64> = slopes.chunks(7).map(|row| row.iter().sum()).collect();
        let by_label: Vec<f64> = (0..7).map(|u| slopes.iter().skip(u).step_by(7).sum()).collect();
        match moves {
            Moves::EveryLabel | Moves::EveryLabelStrict => close(&by_label, &[1.0; 7], 1e-12),
            Moves::EveryFrame | Moves::Forced => close(&by_frame, &[1.0; 12], 1e-12),
            Moves::Warping => {
                assert!(by_label.iter().chain(&by_frame).all(|&sum| sum >= 1.0 - 1e-12));
                close(&[slopes[0], slopes[12 * 7 - 1]], &[1.0, 1.0], 1e-12);
            }
        }
    }
}

#[test]
fn soft_alignment_of_reversed_time_is_the_same() {
    // Alignments read backwards are the alignments of the reversed costs.
    for moves in ALL {
        let (cost, frames, labels) = costs(6, &[(8, 5)], 0.0);
        let mut reversed = values(&cost);
        reversed.reverse();
        let reversed = Tensor::from_vec(reversed, (1, 8, 5), &Device::Cpu).unwrap();
        let f = |cost: &Tensor| soft_alignment_cost(cost, &frames, &labels, moves, 0.3).unwrap();
        let (forwards, mut backwards) = (with_gradient(&cost, f), with_gradient(&reversed, f));
        backwards.1.reverse();
        close(&forwards.0, &backwards.0, 1e-12);
        close(&forwards.1, &backwards.1, 1e-12);
    }
}

#[test]
fn soft_alignment_ignores_padding() {
    for moves in ALL {
        let run = |poison| {
            let (cost, frames, labels) = costs(3, &[(6, 4), (4, 2), (5, 5)], poison);
            with_gradient(&cost, |x| {
                soft_alignment_cost(x, &frames, &labels, moves, 0.5).unwrap()
            })
        };
        for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30] {
            assert_eq!(run(poison), run(0.0));
        }
    }
}

#[test]
fn soft_alignment_shows_nan_and_passes_by_infinity() {
    for moves in ALL {
        let (cost, frames, labels) = costs(5, &[(4, 3); 4], 0.0);
        let mut spoiled = values(&cost);
        spoiled[12 + 3..12 + 6].fill(f64::NAN);
        // Frame 1, label 2: every reading can do without.
        spoiled[24 + 5] = f64::INFINITY;
        spoiled[36..48].fill(f64::INFINITY);
        let spoiled = Tensor::from_vec(spoiled, (4, 4, 3), &Device::Cpu).unwrap();
        let f = |cost: &Tensor| soft_alignment_cost(cost, &frames, &labels, moves, 0.5).unwrap();
        let ((clean, _), (loss, slopes)) = (with_gradient(&cost, f), with_gradient(&spoiled, f));
        assert_eq!(loss[0], clean[0]);
        assert!(
            loss[1].is_nan() && slopes[12..24].iter().all(|slope| slope.is_nan()),
            "{moves:?}"
        );
        assert!(
            loss[2].is_finite() && loss[2] >= clean[2] && slopes[24 + 5] == 0.0,
            "{moves:?}"
        );
        assert!(slopes[24..36].iter().all(|slope| slope.is_finite()));
        assert!(
            loss[3] == f64::INFINITY && slopes[36..].iter().all(|slope| slope.is_nan()),
            "{moves:?}"
        );
    }
}

#[test]
fn soft_alignment_does_not_see_what_no_alignment_takes() {
    // Forced alignments of 4 frames by 3 labels never have label 0 in the last two frames, nor label 2 in the first two.
    let (cost, frames, labels) = costs(7, &[(4, 3)], 0.0);
    let mut spoiled = values(&cost);
    for (t, u) in [(2, 0), (3, 0), (3, 1), (0, 1), (0, 2), (1, 2)] {
        spoiled[t * 3 + u] = f64::NAN;
    }
    let spoiled = Tensor::from_vec(spoiled, (1, 4, 3), &Device::Cpu).unwrap();
    let f = |cost: &Tensor| soft_alignment_cost(cost, &frames, &labels, Moves::Forced, 0.5).unwrap();
    assert_eq!(with_gradient(&spoiled, f), with_gradient(&cost, f));
}

#[test]
fn soft_alignment_of_long_utterances_stays_exact() {
    // Sums of e^{−cost} would underflow a thousand times over.
    for moves in ALL {
        let (cost, frames, labels) = costs(8, &[(700, 300)], 0.0);
        let far = ((&cost + 5.0).unwrap() * 100.0).unwrap();
        let f = |cost: &Tensor| soft_alignment_cost(cost, &frames, &labels, moves, 1.0).unwrap();
        let (loss, slopes) = with_gradient(&far, f);
        let best = values(&best_alignment_cost(&far, &frames, &labels, moves).unwrap());
        assert!(loss[0] > 1e4 && loss[0] <= best[0] && loss[0] > best[0] - 1000.0 * 2f64.ln() * 2.0);
        assert!(slopes.iter().all(|&slope| (0.0..=1.0 + 1e-12).contains(&slope)));
    }
}

#[test]
fn soft_alignment_in_single_precision_agrees() {
    for moves in ALL {
        let (cost, frames, labels) = costs(6, &[(50, 20), (30, 30)], 0.0);
        let single = cost.to_dtype(DType::F32).unwrap();
        let double = single.to_dtype(DType::F64).unwrap();
        let f = |cost: &Tensor| soft_alignment_cost(cost, &frames, &labels, moves, 0.5).unwrap();
        assert_eq!(f(&single).dtype(), DType::F32);
        let (found, expected) = (with_gradient(&single, f), with_gradient(&double, f));
        close(&found.0, &expected.0, 1e-6);
        close(&found.1, &expected.1, 1e-6);
    }
}

#[test]
fn soft_alignment_says_what_does_not_fit() {
    for moves in ALL {
        for (t, u) in (0..=5).flat_map(|t| (0..=4).map(move |u| (t, u))) {
            if alignments(moves, t, u).is_empty() {
                let (cost, frames, labels) = costs(1, &[(4, 4), (t, u)], 0.0);
                let error = soft_alignment_cost(&cost, &frames, &labels, moves, 1.0).unwrap_err();
                assert!(
                    matches!(error, Error::NoAlignment { utterance: 1, .. }),
                    "{error}"
                );
            }
        }
    }
    let (cost, frames, labels) = costs(1, &[(4, 3)], 0.0);
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = soft_alignment_cost(&cost, &frames, &labels, Moves::Warping, temperature).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("temperature: expected a positive number, got {temperature}")
        );
    }
    let short = Lengths::new(vec![5]);
    let error = soft_alignment_cost(&cost, &short, &labels, Moves::Warping, 1.0).unwrap_err();
    assert!(matches!(error, Error::Length { .. }));
}

#[test]
fn gradients_weigh_as_much_as_their_losses() {
    let (cost, frames, labels) = costs(11, &[(5, 3), (3, 3), (4, 2)], f64::NAN);
    let gradient_with = |weights: [f64; 3]| {
        let weights = Tensor::new(&weights, cost.device()).unwrap();
        let weighted = |x: &Tensor| {
            let loss = soft_alignment_cost(x, &frames, &labels, Moves::EveryLabel, 0.5).unwrap();
            loss.mul(&weights).unwrap()
        };
        values(&gradient(&cost, weighted))
    };
    let (plain, weighted) = (gradient_with([1.0; 3]), gradient_with([1.0, -2.0, 0.5]));
    let each = plain.len() / 3;
    for (i, (plain, weighted)) in plain.into_iter().zip(weighted).enumerate() {
        assert_eq!(weighted, plain * [1.0, -2.0, 0.5][i / each]);
    }
}
