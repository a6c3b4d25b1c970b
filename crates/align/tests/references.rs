//! The losses that search nothing: given, stretched, random and averaged.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use common::{alignments, close, costs, loss_of, pair, values, with_gradient};
use sandhi_align::{
    BestAlignment, FrameAverage, Moves, RandomAlignment, Stretched, Upsampled, alignment_cost,
    random_alignment, stretched_alignment,
};
use sandhi_core::{ArcScores, Distance, Error, Lengths, Padded};
use sandhi_testkit::{Tolerance, check_gradient};

/// Cells in no order, one of them twice; and an utterance without any.
fn given() -> Vec<Vec<(usize, usize)>> {
    vec![vec![(4, 0), (1, 2), (4, 0), (0, 1)], vec![], vec![(0, 1), (3, 1)]]
}

#[test]
fn alignment_cost_equals_the_sum() {
    let (cost, frames, labels) = costs(1, &[(5, 3), (3, 3), (4, 2)], f64::NAN);
    let x = cost.to_vec3::<f64>().unwrap();
    let (loss, slopes) = with_gradient(&cost, |cost| {
        alignment_cost(cost, &frames, &labels, &given()).unwrap()
    });
    close(
        &loss,
        &[
            2.0 * x[0][4][0] + x[0][1][2] + x[0][0][1],
            0.0,
            x[2][0][1] + x[2][3][1],
        ],
        1e-15,
    );
    let mut expected = vec![0.0; slopes.len()];
    for (b, t, u, slope) in [
        (0, 4, 0, 2.0),
        (0, 1, 2, 1.0),
        (0, 0, 1, 1.0),
        (2, 0, 1, 1.0),
        (2, 3, 1, 1.0),
    ] {
        expected[(b * 5 + t) * 3 + u] = slope;
    }
    assert_eq!(slopes, expected);
    let single = cost.to_dtype(DType::F32).unwrap();
    let single = alignment_cost(&single, &frames, &labels, &given()).unwrap();
    assert_eq!(single.dtype(), DType::F32);
    close(&values(&single), &loss, 1e-6);
}

#[test]
fn alignment_cost_gradient_equals_differences() {
    let (cost, frames, labels) = costs(2, &[(5, 3), (3, 3), (4, 2)], 0.5);
    let f = |x: &[Tensor]| alignment_cost(&x[0], &frames, &labels, &given());
    check_gradient(std::slice::from_ref(&cost), f, Tolerance::GRADIENT).unwrap();
    // Of a strided tensor too.
    let f = |x: &[Tensor]| alignment_cost(&x[0].transpose(1, 2)?, &frames, &labels, &given());
    let transposed = cost.transpose(1, 2).unwrap().contiguous().unwrap();
    check_gradient(&[transposed], f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn alignment_cost_refuses_cells_outside() {
    let (cost, frames, labels) = costs(3, &[(5, 3), (4, 2)], 0.0);
    for (cell, expected) in [
        (
            (4, 1),
            "alignment: utterance 1: frame 4, label 1 lies outside 4 frames by 2 labels",
        ),
        (
            (3, 2),
            "alignment: utterance 1: frame 3, label 2 lies outside 4 frames by 2 labels",
        ),
    ] {
        let cells = [vec![(4, 2)], vec![(0, 0), cell]];
        let error = alignment_cost(&cost, &frames, &labels, &cells).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let error = alignment_cost(&cost, &frames, &labels, &[vec![]]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::BatchSize {
                expected: 2,
                got: 1,
                ..
            }
        ),
        "{error}"
    );
    let half = cost.to_dtype(DType::F16).unwrap();
    let error = alignment_cost(&half, &frames, &labels, &[vec![], vec![]]).unwrap_err();
    assert_eq!(error.to_string(), "cost: expected f32 or f64, got f16");
}

#[test]
fn stretched_alignment_equals_its_formula() {
    let labels = |frames: usize, labels: usize| -> Vec<usize> {
        let (t, u) = (Lengths::new(vec![frames]), Lengths::new(vec![labels]));
        let cells = stretched_alignment(&t, &u).unwrap().remove(0);
        assert!(cells.iter().enumerate().all(|(t, cell)| cell.0 == t));
        cells.into_iter().map(|cell| cell.1).collect()
    };
    assert_eq!(labels(6, 3), [0, 0, 1, 1, 2, 2]);
    assert_eq!(labels(7, 3), [0, 0, 0, 1, 1, 2, 2]);
    assert_eq!(labels(3, 3), [0, 1, 2]);
    assert_eq!(labels(2, 5), [0, 2]);
    assert_eq!((labels(4, 0), labels(0, 4)), (vec![], vec![]));
    // Where every label has the same number of frames, that is upsampling.
    let pair = pair(1, &[(6, 3), (8, 4), (5, 5)]);
    let distance = Distance::L1;
    let (stretched, twice) = (
        loss_of(Stretched { distance }, &pair),
        loss_of(Upsampled { distance, repeat: 2 }, &pair),
    );
    assert_eq!(stretched[..2], twice[..2]);
    assert_eq!(stretched[2], loss_of(Upsampled { distance, repeat: 1 }, &pair)[2]);
}

#[test]
fn random_alignments_are_uniform() {
    for (frames, labels) in [(3, 3), (4, 2), (1, 3), (3, 1)] {
        let all = alignments(Moves::EveryLabel, frames, labels);
        let (t, u) = (Lengths::new(vec![frames]), Lengths::new(vec![labels]));
        let draws = 20_000 / all.len() * all.len();
        let mut counts: HashMap<_, usize> = HashMap::new();
        for seed in 0..draws as u64 {
            let drawn = random_alignment(seed, &t, &u).unwrap().remove(0);
            *counts.entry(drawn).or_default() += 1;
        }
        assert_eq!(counts.values().sum::<usize>(), draws);
        let expected = draws as f64 / all.len() as f64;
        for alignment in &all {
            // Five standard deviations.
            let drawn = counts.get(alignment).copied().unwrap_or_default() as f64;
            let far = 5.0 * (expected * (1.0 - 1.0 / all.len() as f64)).sqrt();
            assert!(
                (drawn - expected).abs() <= far,
                "{alignment:?}: {drawn} for {expected}"
            );
        }
    }
}

#[test]
fn random_alignment_is_a_function_of_seed_and_extent() {
    let (t, u) = (Lengths::new(vec![30, 20, 30]), Lengths::new(vec![10, 10, 10]));
    let drawn = random_alignment(1, &t, &u).unwrap();
    assert_eq!(drawn[0], drawn[2]);
    assert_ne!(drawn[0], drawn[1]);
    let alone = random_alignment(1, &Lengths::new(vec![20]), &Lengths::new(vec![10])).unwrap();
    assert_eq!(alone[0], drawn[1]);
    assert_ne!(random_alignment(2, &t, &u).unwrap()[0], drawn[0]);
    // No alignment is cheaper than the best.
    let pair = pair(2, &[(9, 4), (3, 5)]);
    let distance = Distance::L1;
    let best = loss_of(
        BestAlignment {
            distance,
            moves: Moves::EveryLabel,
        },
        &pair,
    );
    for seed in 0..50 {
        let random = loss_of(RandomAlignment { distance, seed }, &pair);
        assert!(random.iter().zip(&best).all(|(random, best)| random >= best));
    }
}

#[test]
fn frame_average_equals_the_formula() {
    let extents = [(4, 2), (1, 3), (3, 1), (2, 0)];
    let pair = pair(3, &extents);
    let (speech, text) = (
        pair.0.values().to_vec3::<f64>().unwrap(),
        pair.1.values().to_vec3::<f64>().unwrap(),
    );
    let mean = |rows: &[Vec<f64>], k: usize| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64;
    let expected = extents.iter().enumerate().map(|(b, &(t, u))| match u {
        0 => 0.0,
        _ => {
            (0..3)
                .map(|k| (mean(&speech[b][..t], k) - mean(&text[b][..u], k)).abs())
                .sum::<f64>()
                / 3.0
                * u as f64
        }
    });
    let found = loss_of(
        FrameAverage {
            distance: Distance::L1,
        },
        &pair,
    );
    close(&found, &expected.collect::<Vec<_>>(), 1e-14);
}

#[test]
fn frame_average_of_shuffled_frames_is_the_same() {
    let (speech, text, arcs) = pair(4, &[(5, 3)]);
    let shuffled = speech
        .values()
        .index_select(&Tensor::new(&[3u32, 0, 4, 1, 2], &Device::Cpu).unwrap(), 1);
    let shuffled = speech.with_values(shuffled.unwrap()).unwrap();
    let average = |pair: &(Padded, Padded, ArcScores)| {
        loss_of(
            FrameAverage {
                distance: Distance::L2,
            },
            pair,
        )
    };
    let in_order = average(&(speech, text.clone(), arcs.clone()));
    close(&average(&(shuffled, text, arcs)), &in_order, 1e-14);
}

#[test]
fn lengths_of_different_batches_are_named() {
    let (two, one) = (Lengths::new(vec![3, 3]), Lengths::new(vec![3]));
    for error in [
        random_alignment(1, &two, &one).unwrap_err(),
        stretched_alignment(&two, &one).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "labels: expected 2 utterances, got 1");
    }
}
