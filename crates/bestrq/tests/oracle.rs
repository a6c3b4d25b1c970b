//! Equal to plain loops that share nothing with what they judge, and to cases with known answers.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Module, Tensor};
use common::{config, encoder_frames, features, label, quantizer, some_frames, targets, values, vectors};
use sandhi_bestrq::{
    MaskedPrediction, QuantizerConfig, RandomProjectionQuantizer, Stacking, masked_prediction_loss,
};
use sandhi_core::{Lengths, Padded};
use sandhi_nn::{Linear, Params};
use sandhi_testkit::{Tolerance, uniform};

fn draw(seed: u64, n: usize) -> Vec<f32> {
    let values = uniform(seed, &[n], -1.0, 1.0).unwrap();
    values.to_dtype(DType::F32).unwrap().to_vec1().unwrap()
}

/// The distance of every code from the projected stack, both brought to length 1.
fn distances(stack: &[f32], projection: &[f32], codes: &[f32], dim: usize) -> Vec<f64> {
    let unit = |v: Vec<f64>| {
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.into_iter().map(|x| x / length).collect::<Vec<_>>()
    };
    let mut projected = vec![0f64; dim];
    for (x, row) in stack.iter().zip(projection.chunks(dim)) {
        for (sum, p) in projected.iter_mut().zip(row) {
            *sum += f64::from(*x) * f64::from(*p);
        }
    }
    let projected = unit(projected);
    let distance = |code: &[f32]| {
        let code = unit(code.iter().map(|&x| f64::from(x)).collect());
        let squares = code.iter().zip(&projected).map(|(a, b)| (a - b) * (a - b));
        squares.sum::<f64>().sqrt()
    };
    codes.chunks(dim).map(distance).collect()
}

#[test]
fn quantizer_equals_plain_loops() {
    let odd = Stacking {
        stack: 3,
        stride: 2,
        offset: 0,
    };
    let late = Stacking {
        stack: 2,
        stride: 5,
        offset: 3,
    };
    let mut sizes = vec![];
    for (bins, books, codes, dim) in [
        (5, 1, 1, 1),
        (3, 3, 70, 7),
        (8, 2, 32, 16),
        (10, 1, 333, 33),
        (1, 5, 2, 2),
    ] {
        for stacking in [Stacking::BY_FOUR, odd, late] {
            sizes.push(QuantizerConfig {
                stacking,
                ..config(bins, books, codes, dim)
            });
        }
    }
    let (mut close, mut seen) = (0, 0);
    for (seed, config) in sizes.iter().enumerate() {
        let seed = 100 * seed as u64;
        let (dim, bins) = (config.code_dim, config.num_bins);
        let each = |offset: u64, n: usize| -> Vec<Vec<f32>> {
            (0..config.num_codebooks as u64)
                .map(|c| draw(seed + offset + c, n))
                .collect()
        };
        let projections = each(1, config.stacking.stack * bins * dim);
        let codebooks = each(50, config.codebook_size * dim);
        let quantizer = RandomProjectionQuantizer::from_matrices(config, &projections, &codebooks).unwrap();
        let features = features(seed, &[43, 20, 60], bins, f64::NAN);
        let frames = Lengths::new(vec![8, 0, 11]);
        let found = quantizer.targets(&features, &frames).unwrap();
        assert_eq!(found.lengths(), &frames);
        let rows = features.values().to_vec3::<f32>().unwrap();
        for (b, &n) in frames.as_slice().iter().enumerate() {
            for t in 0..n {
                let start = t * config.stacking.stride + config.stacking.offset;
                let stack = rows[b][start..start + config.stacking.stack].concat();
                for c in 0..config.num_codebooks {
                    let distances = distances(&stack, &projections[c], &codebooks[c], dim);
                    let got = found.frame(b, t)[c] as usize;
                    let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
                    assert!(distances[got] <= least + 1e-5, "{config:?}: {b}, {t}, {c}");
                    let first = distances.iter().position(|&d| d == least).unwrap();
                    close += usize::from(got != first);
                    seen += 1;
                }
            }
        }
    }
    // Rounding in single precision may decide between codes that are as close, but seldom has to.
    assert!(
        seen > 500 && close * 100 <= seen,
        "{close} of {seen} are not the first"
    );
}

#[test]
fn quantizer_of_compass_directions_points_the_right_way() {
    let compass = QuantizerConfig {
        stacking: Stacking {
            stack: 1,
            stride: 1,
            offset: 0,
        },
        ..config(2, 1, 4, 2)
    };
    let identity = [vec![1.0, 0.0, 0.0, 1.0]];
    // East, north, west, south, of different lengths, which do not matter.
    let codes = [vec![1.0, 0.0, 0.0, 9.0, -0.1, 0.0, 0.0, -3.0]];
    let quantizer = RandomProjectionQuantizer::from_matrices(&compass, &identity, &codes).unwrap();
    let walk = vec![0.1, 5.0, -2.0, 1.0, 3.0, -1.0, 0.0, -0.5];
    let features = Padded::from_rows(&[walk], 2, &Device::Cpu).unwrap();
    let found = quantizer.targets(&features, &Lengths::new(vec![4])).unwrap();
    assert_eq!(found.rows(), [[1, 2, 0, 3]]);
}

#[test]
fn quantizer_ties_go_to_the_smallest_index() {
    // 100 codes of which three are the same direction and win, in different blocks and positions of a block.
    for winners in [[3, 40, 71], [35, 67, 99], [31, 32, 64], [97, 98, 99]] {
        let size = config(1, 1, 100, 2);
        let mut codes = vec![vec![-1f32, 0.5]; 100];
        for i in winners {
            codes[i] = vec![2.0, 0.0];
        }
        let projection = [1.0, 0.0].repeat(4);
        let quantizer =
            RandomProjectionQuantizer::from_matrices(&size, &[projection], &[codes.concat()]).unwrap();
        let ones = Padded::from_rows(&[vec![1.0; 30]], 1, &Device::Cpu).unwrap();
        let found = label(&quantizer, &ones);
        assert_eq!(found.rows()[0], vec![winners[0] as u32; 6]);
        let zeros = Padded::from_rows(&[vec![0.0; 30]], 1, &Device::Cpu).unwrap();
        assert_eq!(label(&quantizer, &zeros).rows()[0], vec![0; 6]);
    }
}

#[test]
fn quantizer_from_its_matrices_is_the_same() {
    let config = config(6, 3, 45, 5);
    let drawn = quantizer(&config, 4);
    let take = |f: &dyn Fn(usize) -> Vec<f32>| (0..3).map(f).collect::<Vec<_>>();
    let projections = take(&|c| drawn.projection(c));
    let codebooks = take(&|c| drawn.codebook(c));
    let again = RandomProjectionQuantizer::from_matrices(&config, &projections, &codebooks).unwrap();
    let features = features(1, &[200, 150], 6, f64::NAN);
    assert_eq!(label(&again, &features), label(&drawn, &features));
    assert_eq!(again.config(), &config);
}

/// The loss and the numbers of right guesses, by the definition.
fn plain_loss(
    logits: &[Vec<Vec<f64>>],
    rows: &[Vec<u32>],
    masked: &[Vec<bool>],
    books: usize,
) -> (Vec<f64>, Vec<usize>) {
    let mut losses = vec![0.0; rows.len()];
    let mut correct = vec![0; books];
    for b in 0..rows.len() {
        for t in (0..masked[b].len()).filter(|&t| masked[b][t]) {
            let codes = logits[b][t].len() / books;
            for c in 0..books {
                let logits = &logits[b][t][c * codes..(c + 1) * codes];
                let code = rows[b][t * books + c] as usize;
                let total: f64 = logits.iter().map(|x| x.exp()).sum();
                losses[b] -= (logits[code].exp() / total).ln() / books as f64;
                correct[c] += usize::from(logits.iter().all(|&x| x <= logits[code]));
            }
        }
    }
    (losses, correct)
}

#[test]
fn masked_loss_equals_plain_loops() {
    let lengths = [9, 4, 0, 7];
    for (books, codes) in [(1, 5), (3, 2), (2, 17), (4, 1)] {
        let logits = vectors(books as u64, &lengths, books * codes, f64::NAN);
        let targets = targets(7, &lengths, books, codes);
        let masked = some_frames(&lengths);
        let found = masked_prediction_loss(&logits, &targets, &masked).unwrap();
        let plain = logits.values().to_vec3().unwrap();
        let (losses, correct) = plain_loss(&plain, targets.rows(), &masked, books);
        for (got, expected) in values(&found.per_utterance).into_iter().zip(losses) {
            assert!(Tolerance::PROOF.holds(got, expected), "{got} {expected}");
        }
        assert_eq!(found.num_correct, correct);
        assert_eq!(found.num_masked, [6, 2, 0, 5]);
        assert_eq!(found.total_masked(), 13);
        assert_eq!(found.accuracy(0), Some(correct[0] as f64 / 13.0));
    }
}

#[test]
fn masked_loss_of_even_logits_is_ln_codes() {
    let zeros = Tensor::zeros((1, 5, 3 * 64), DType::F64, &Device::Cpu).unwrap();
    let logits = Padded::new(zeros, Lengths::new(vec![5])).unwrap();
    // The first of equals is the guess: right where the code is 0.
    let codes = vec![0, 1, 2, 0, 4, 5, 0, 0, 9, 9, 9, 9, 0, 0, 1];
    let targets = sandhi_bestrq::Targets::new(vec![codes], 3, 64).unwrap();
    let found = masked_prediction_loss(&logits, &targets, &[vec![true, true, true, false, true]]).unwrap();
    let expected = 4.0 * 64f64.ln();
    assert!((values(&found.per_utterance)[0] - expected).abs() < 1e-12);
    assert_eq!(found.num_correct, [4, 2, 0]);
}

#[test]
fn head_equals_the_loss_of_its_logits() {
    let lengths = [6, 9, 1];
    let params = Params::seeded(3, DType::F64, &Device::Cpu);
    let head = MaskedPrediction::new(4, 2, 11, &params).unwrap();
    // The same scope, so the same variables.
    let linear = Linear::new(4, 22, &params).unwrap();
    let encoded = vectors(5, &lengths, 4, 0.0);
    let logits = encoded
        .with_values(linear.forward(encoded.values()).unwrap())
        .unwrap();
    let (targets, masked) = (targets(1, &lengths, 2, 11), some_frames(&lengths));
    let from_logits = masked_prediction_loss(&logits, &targets, &masked).unwrap();
    let from_head = head.loss(&encoded, &targets, &masked).unwrap();
    for (a, b) in values(&from_head.per_utterance)
        .into_iter()
        .zip(values(&from_logits.per_utterance))
    {
        assert!(Tolerance::PROOF.holds(a, b), "{a} {b}");
    }
    assert_eq!(from_head.num_correct, from_logits.num_correct);
    assert_eq!(from_head.num_masked, from_logits.num_masked);
}

#[test]
fn masked_loss_in_single_precision_agrees() {
    let lengths = [30, 22];
    let double = vectors(2, &lengths, 40, f64::NAN);
    let single = double
        .with_values(double.values().to_dtype(DType::F32).unwrap())
        .unwrap();
    let (targets, masked) = (targets(1, &lengths, 2, 20), some_frames(&lengths));
    let a = masked_prediction_loss(&single, &targets, &masked).unwrap();
    let b = masked_prediction_loss(&double, &targets, &masked).unwrap();
    assert_eq!(a.per_utterance.dtype(), DType::F32);
    for (a, b) in values(&a.per_utterance).into_iter().zip(values(&b.per_utterance)) {
        assert!(Tolerance::SINGLE.holds(a, b), "{a} {b}");
    }
    assert_eq!(a.num_correct, b.num_correct);
}

#[test]
fn stacking_of_features_after_subsampling_always_fits() {
    let quantizer = quantizer(&config(2, 1, 3, 2), 1);
    for n in 0..60 {
        let features = features(n as u64, &[n], 2, 0.0);
        let frames = encoder_frames(&features);
        assert_eq!(quantizer.targets(&features, &frames).unwrap().lengths(), &frames);
    }
}
