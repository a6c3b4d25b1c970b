//! Identities, gradients and edges.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{ALL, OF_ONE_SIZE, alignments, costs, gradient, loss_of, pair, values};
use proptest::prelude::*;
use sandhi_align::{BestAlignment, GivenAlignment, Moves, Upsampled, best_alignment, best_alignment_cost};
use sandhi_core::{Consistency, Distance, Error, Lengths, Padded, Pair, pairwise};
use sandhi_testkit::{Tolerance, check_gradient, uniform};

#[test]
fn best_alignment_gradient_equals_differences() {
    for moves in ALL {
        let (cost, frames, labels) = costs(1, &[(5, 3), (3, 3), (4, 2)], 0.25);
        let f = |x: &[Tensor]| best_alignment_cost(&x[0], &frames, &labels, moves);
        check_gradient(std::slice::from_ref(&cost), f, Tolerance::GRADIENT).unwrap();
    }
}

#[test]
fn best_alignment_gradient_is_one_along_the_path() {
    for moves in ALL {
        let (cost, frames, labels) = costs(2, &[(6, 4), (4, 2)], f64::NAN);
        let grads = gradient(&cost, |x| {
            best_alignment_cost(x, &frames, &labels, moves).unwrap()
        });
        let mut expected = vec![0.0; cost.elem_count()];
        for (b, cells) in best_alignment(&cost, &frames, &labels, moves)
            .unwrap()
            .iter()
            .enumerate()
        {
            cells
                .iter()
                .for_each(|&(t, u)| expected[(b * 6 + t) * 4 + u] = 1.0);
        }
        assert_eq!(values(&grads), expected);
    }
}

#[test]
fn best_alignment_ignores_padding() {
    for moves in ALL {
        for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e30] {
            let run = |poison| {
                let (cost, frames, labels) = costs(3, &[(6, 4), (4, 2), (5, 5)], poison);
                let f = |x: &Tensor| best_alignment_cost(x, &frames, &labels, moves).unwrap();
                (values(&f(&cost)), values(&gradient(&cost, f)))
            };
            assert_eq!(run(poison), run(0.0));
        }
    }
}

#[test]
fn best_alignment_of_shifted_costs_keeps_its_path() {
    for moves in OF_ONE_SIZE {
        let (cost, frames, labels) = costs(4, &[(6, 4), (4, 2), (5, 5)], 0.0);
        let shifted = (&cost + 3.0).unwrap();
        let (plain, moved) = (
            best_alignment(&cost, &frames, &labels, moves).unwrap(),
            best_alignment(&shifted, &frames, &labels, moves).unwrap(),
        );
        assert_eq!(plain, moved);
    }
}

#[test]
fn best_alignment_shows_nan_instead_of_avoiding_it() {
    for moves in ALL {
        let (cost, frames, labels) = costs(5, &[(4, 3), (4, 3)], 0.0);
        let mut poisoned = values(&cost);
        // A whole frame of utterance 1, as a NaN embedding makes it.
        poisoned[12 + 3..12 + 6].fill(f64::NAN);
        let cost = Tensor::from_vec(poisoned, (2, 4, 3), &Device::Cpu).unwrap();
        let loss = values(&best_alignment_cost(&cost, &frames, &labels, moves).unwrap());
        assert!(loss[0].is_finite() && loss[1].is_nan(), "{moves:?}");
    }
}

#[test]
fn best_alignment_takes_infinite_costs_only_if_it_must() {
    for moves in ALL {
        let extents = [(4, 3), (4, 3), (4, 3)];
        let (cost, frames, labels) = costs(5, &extents, 0.0);
        let mut infinite = values(&cost);
        // One cell that every reading can do without; a whole utterance; and one cell cheaper than all others.
        infinite[12 - 6] = f64::INFINITY;
        infinite[12..24].fill(f64::INFINITY);
        infinite[24 + 3] = f64::NEG_INFINITY;
        let cost = Tensor::from_vec(infinite, (3, 4, 3), &Device::Cpu).unwrap();
        let path = best_alignment(&cost, &frames, &labels, moves).unwrap();
        let loss = values(&best_alignment_cost(&cost, &frames, &labels, moves).unwrap());
        assert!(loss[0].is_finite(), "{moves:?}: {loss:?}");
        assert_eq!(loss[1], f64::INFINITY);
        assert!(
            alignments(moves, 4, 3).contains(&path[1]),
            "{moves:?}: {:?}",
            path[1]
        );
        // Frame 1, label 0 is on some alignment of each reading.
        assert_eq!(loss[2], f64::NEG_INFINITY, "{moves:?}");
    }
}

#[test]
fn best_alignment_does_not_depend_on_where_vectors_words_and_strips_end() {
    // Vectors have 8 labels at most, words 64 waves, strips 256 labels.
    let around = [7, 8, 9, 63, 64, 65, 129];
    let pairs = around.iter().flat_map(|&t| around.map(|u| (t, u)));
    let wide = [(3, 300), (258, 255), (300, 256), (260, 257), (513, 2)];
    for (frames, labels) in pairs.chain(wide) {
        let (cost, t, u) = costs(9, &[(frames, labels)], 0.0);
        let grid = cost.to_vec3::<f64>().unwrap().remove(0);
        for moves in ALL {
            if labels > frames && matches!(moves, Moves::EveryLabelStrict | Moves::Forced) {
                continue;
            }
            let path = best_alignment(&cost, &t, &u, moves).unwrap().remove(0);
            let found: f64 = path.iter().map(|&(t, u)| grid[t][u]).sum();
            let expected = cheapest(moves, &grid);
            assert!(
                (found - expected).abs() < 1e-9,
                "{moves:?} {frames} by {labels}: {found} for {expected}"
            );
        }
    }
}

/// The cost of the cheapest alignment, from the equations, with every minimum spelled out.
fn cheapest(moves: Moves, grid: &[Vec<f64>]) -> f64 {
    let (frames, labels) = (grid.len(), grid[0].len());
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
    let mut d = vec![vec![f64::INFINITY; labels]; frames];
    // Cells come after all that they build on, whether these are sorted by frames or by labels.
    let cells = (0..frames).flat_map(|t| (0..labels).map(move |u| (t, u)));
    for (t, u) in cells {
        let former = match moves {
            Moves::EveryLabel if u == 0 => 0.0,
            Moves::EveryLabelStrict if u == 0 => 0.0,
            Moves::EveryLabel => least(&mut (0..=t).map(|s| d[s][u - 1])),
            Moves::EveryLabelStrict => least(&mut (0..t).map(|s| d[s][u - 1])),
            Moves::EveryFrame if t == 0 => 0.0,
            Moves::EveryFrame => least(&mut (0..=u).map(|v| d[t - 1][v])),
            _ if (t, u) == (0, 0) => 0.0,
            Moves::Forced if t == 0 => f64::INFINITY,
            Moves::Forced => least(&mut (u.max(1) - 1..=u).map(|v| d[t - 1][v])),
            Moves::Warping => {
                let around = [(1, 0), (0, 1), (1, 1)].into_iter();
                let inside = around.filter(|&(a, b)| t >= a && u >= b);
                least(&mut inside.map(|(a, b)| d[t - a][u - b]))
            }
        };
        d[t][u] = grid[t][u] + former;
    }
    match moves {
        Moves::EveryLabel | Moves::EveryLabelStrict => least(&mut d.iter().map(|row| row[labels - 1])),
        Moves::EveryFrame => least(&mut d[frames - 1].iter().copied()),
        Moves::Forced | Moves::Warping => d[frames - 1][labels - 1],
    }
}

#[test]
fn best_alignment_in_single_precision_agrees() {
    for moves in ALL {
        let (cost, frames, labels) = costs(6, &[(50, 20), (30, 30)], 0.0);
        let single = cost.to_dtype(DType::F32).unwrap();
        let double = single.to_dtype(DType::F64).unwrap();
        let found = best_alignment_cost(&single, &frames, &labels, moves).unwrap();
        assert_eq!(found.dtype(), DType::F32);
        let expected = values(&best_alignment_cost(&double, &frames, &labels, moves).unwrap());
        for (found, expected) in values(&found).into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-5 * expected.abs());
        }
    }
}

#[test]
fn wrong_arguments_are_typed_errors() {
    let (cost, frames, labels) = costs(7, &[(4, 3)], 0.0);
    let run = |cost: &Tensor, frames: &Lengths, labels: &Lengths| {
        best_alignment_cost(cost, frames, labels, Moves::EveryLabel).unwrap_err()
    };
    assert!(matches!(
        run(&cost.get(0).unwrap(), &frames, &labels),
        Error::Shape { .. }
    ));
    assert!(matches!(
        run(&cost, &Lengths::new(vec![5]), &labels),
        Error::Length { .. }
    ));
    assert!(matches!(
        run(&cost, &frames, &Lengths::new(vec![3, 3])),
        Error::BatchSize { .. }
    ));
    let half = cost.to_dtype(DType::F16).unwrap();
    assert_eq!(
        run(&half, &frames, &labels).to_string(),
        "cost: expected f32 or f64, got f16"
    );
}

#[test]
fn upsampled_text_with_itself_is_free() {
    let labels = Lengths::new(vec![3, 2]);
    let text = Padded::new(uniform(8, &[2, 3, 4], -1.0, 1.0).unwrap(), labels).unwrap();
    let (_, _, arcs) = pair(9, &[(6, 3), (4, 2)]);
    // Every row twice.
    let twice = text
        .values()
        .unsqueeze(2)
        .unwrap()
        .repeat((1, 1, 2, 1))
        .unwrap()
        .reshape((2, 6, 4))
        .unwrap();
    let speech = Padded::new(twice, Lengths::new(vec![6, 4])).unwrap();
    let pair = Pair {
        speech: &speech,
        text: &text,
        arcs: &arcs,
    };
    let loss = |repeat| {
        values(
            &Upsampled {
                distance: Distance::L1,
                repeat,
            }
            .loss(pair)
            .unwrap(),
        )
    };
    assert_eq!(loss(2), [0.0, 0.0]);
    assert!(loss(1).iter().all(|&x| x > 0.0) && loss(3).iter().all(|&x| x > 0.0));
}

#[test]
fn best_alignment_of_upsampled_text_with_itself_is_free() {
    let text = Padded::new(uniform(8, &[1, 3, 4], -1.0, 1.0).unwrap(), Lengths::new(vec![3])).unwrap();
    let (_, _, arcs) = pair(9, &[(6, 3)]);
    let twice = text
        .values()
        .unsqueeze(2)
        .unwrap()
        .repeat((1, 1, 2, 1))
        .unwrap()
        .reshape((1, 6, 4))
        .unwrap();
    let speech = Padded::new(twice, Lengths::new(vec![6])).unwrap();
    for moves in ALL {
        let loss = BestAlignment {
            distance: Distance::SquaredL2,
            moves,
        };
        assert_eq!(
            values(
                &loss
                    .loss(Pair {
                        speech: &speech,
                        text: &text,
                        arcs: &arcs
                    })
                    .unwrap()
            ),
            [0.0]
        );
    }
}

#[test]
fn upsampled_equals_the_sum_over_frames() {
    // Exactly matching, too few frames, too many frames, no labels, no frames.
    let extents = [(6, 3), (4, 3), (9, 3), (5, 0), (0, 2)];
    let (speech, text, arcs) = pair(10, &extents);
    let found = Upsampled {
        distance: Distance::L1,
        repeat: 2,
    };
    let found = values(
        &found
            .loss(Pair {
                speech: &speech,
                text: &text,
                arcs: &arcs,
            })
            .unwrap(),
    );
    let (s, e) = (
        speech.values().to_vec3::<f64>().unwrap(),
        text.values().to_vec3::<f64>().unwrap(),
    );
    for (b, (frames, labels)) in extents.into_iter().enumerate() {
        let expected: f64 = (0..frames.min(2 * labels))
            .map(|t| (0..3).map(|k| (s[b][t][k] - e[b][t / 2][k]).abs()).sum::<f64>() / 3.0)
            .sum();
        assert!(
            (found[b] - expected).abs() < 1e-12,
            "utterance {b}: {} for {expected}",
            found[b]
        );
    }
}

#[test]
fn best_alignment_is_below_every_other_alignment() {
    let (speech, text, arcs) = pair(11, &[(6, 3), (8, 4)]);
    let pair = Pair {
        speech: &speech,
        text: &text,
        arcs: &arcs,
    };
    let distance = Distance::L1;
    let best = |moves| values(&BestAlignment { distance, moves }.loss(pair).unwrap());
    let fixed = values(&Upsampled { distance, repeat: 2 }.loss(pair).unwrap());
    for (b, &fixed) in fixed.iter().enumerate() {
        // Upsampling by T / U is one of the forced alignments, each of those covers every frame, and so on.
        assert!(best(Moves::Forced)[b] <= fixed);
        assert!(best(Moves::EveryFrame)[b] <= best(Moves::Forced)[b]);
        assert!(best(Moves::EveryLabelStrict)[b] <= best(Moves::Forced)[b]);
        assert!(best(Moves::EveryLabel)[b] <= best(Moves::EveryLabelStrict)[b]);
    }
}

#[test]
fn given_alignment_of_the_best_cells_is_the_best_alignment() {
    let pair = pair(19, &[(6, 3), (8, 4)]);
    let distance = Distance::L2;
    let cost = pairwise(distance, &pair.0, &pair.1).unwrap();
    for moves in ALL {
        let cells = best_alignment(&cost, pair.0.lengths(), pair.1.lengths(), moves).unwrap();
        let given = loss_of(GivenAlignment { distance, cells }, &pair);
        assert_eq!(given, loss_of(BestAlignment { distance, moves }, &pair));
    }
}

#[test]
fn upsampled_by_zero_is_an_error() {
    let (speech, text, arcs) = pair(15, &[(3, 2)]);
    let loss = Upsampled {
        distance: Distance::L1,
        repeat: 0,
    };
    let error = loss
        .loss(Pair {
            speech: &speech,
            text: &text,
            arcs: &arcs,
        })
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "upsampled: expected a repeat of at least 1, got 0"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn best_alignment_is_a_valid_alignment_and_no_random_one_is_cheaper(
        frames in 1usize..40,
        labels in 1usize..30,
        seed in any::<u32>(),
        draws in prop::collection::vec(0.0f64..1.0, 30),
    ) {
        let (cost, t, u) = costs(u64::from(seed), &[(frames, labels)], 0.0);
        let grid = cost.to_vec3::<f64>().unwrap().remove(0);
        let cells = best_alignment(&cost, &t, &u, Moves::EveryLabel).unwrap().remove(0);
        prop_assert_eq!(cells.iter().map(|c| c.1).collect::<Vec<_>>(), (0..labels).collect::<Vec<_>>());
        prop_assert!(cells.windows(2).all(|w| w[0].0 <= w[1].0));
        let price = |x: &[(usize, usize)]| x.iter().map(|&(t, u)| grid[t][u]).sum::<f64>();
        let mut random: Vec<usize> = draws[..labels].iter().map(|x| (x * frames as f64) as usize).collect();
        random.sort_unstable();
        let random: Vec<_> = random.into_iter().enumerate().map(|(u, t)| (t, u)).collect();
        prop_assert!(price(&cells) <= price(&random) + 1e-12);
        if labels <= frames {
            let forced = best_alignment(&cost, &t, &u, Moves::Forced).unwrap().remove(0);
            prop_assert_eq!(forced.first(), Some(&(0, 0)));
            prop_assert_eq!(forced.last(), Some(&(frames - 1, labels - 1)));
            prop_assert!(forced.windows(2).all(|w| w[1].1 - w[0].1 <= 1 && w[1].0 == w[0].0 + 1));
        }
    }
}
