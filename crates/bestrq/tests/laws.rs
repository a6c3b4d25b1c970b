//! Identities that need no reference.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{
    config, encoder_frames, features, label, pick, quantizer, some_frames, targets, values, vectors,
};
use sandhi_bestrq::{
    MaskConfig, MaskedFeatures, Stacking, Targets, codebook_usage, mask, masked_prediction_loss,
};
use sandhi_conformer::{ConvSubsampling, RECEPTIVE_FIELD};
use sandhi_core::{Lengths, Padded};
use sandhi_nn::Params;
use sandhi_testkit::Tolerance;

const LENGTHS: [usize; 4] = [170, 64, 7, 301];

fn scaled(x: &Padded, factor: f64) -> Padded {
    x.with_values((x.values() * factor).unwrap()).unwrap()
}

#[test]
fn quantizer_ignores_positive_scale() {
    let quantizer = quantizer(&config(10, 2, 100, 16), 1);
    let features = features(2, &LENGTHS, 10, f64::NAN);
    let codes = label(&quantizer, &features);
    for factor in [2f64.powi(-20), 0.37, 5.1, 2f64.powi(20)] {
        assert_eq!(label(&quantizer, &scaled(&features, factor)), codes, "{factor}");
    }
    // The sign is not a scale: the nearest code becomes the farthest.
    let negated = label(&quantizer, &scaled(&features, -1.0));
    let pairs = negated.rows().concat().into_iter().zip(codes.rows().concat());
    assert_eq!(pairs.filter(|(a, b)| a == b).count(), 0);
}

#[test]
fn quantizer_is_a_function_of_its_seed() {
    let config = config(10, 1, 100, 16);
    let features = features(2, &LENGTHS, 10, f64::NAN);
    let codes = |seed| label(&quantizer(&config, seed), &features);
    assert_eq!(codes(3), codes(3));
    assert_ne!(codes(3), codes(4));
}

#[test]
fn quantizer_codebooks_differ_and_do_not_depend_on_their_number() {
    let features = features(2, &[2000], 10, 0.0);
    let many = label(&quantizer(&config(10, 4, 64, 16), 3), &features);
    let few = label(&quantizer(&config(10, 2, 64, 16), 3), &features);
    let frames = many.lengths().get(0);
    for t in 0..frames {
        assert_eq!(many.frame(0, t)[..2], few.frame(0, t)[..]);
    }
    // Independent codebooks agree by chance alone, about once in 64 frames.
    for c in 0..4 {
        for d in 0..c {
            let same = (0..frames).filter(|&t| many.frame(0, t)[c] == many.frame(0, t)[d]);
            assert!(same.count() < frames / 16, "{c} {d}");
        }
    }
}

#[test]
fn quantizer_of_a_batch_equals_its_utterances() {
    let quantizer = quantizer(&config(10, 2, 100, 16), 1);
    let features = features(2, &LENGTHS, 10, f64::NAN);
    let codes = label(&quantizer, &features);
    for b in 0..LENGTHS.len() {
        assert_eq!(
            label(&quantizer, &pick(&features, &[b])).rows()[0],
            codes.rows()[b]
        );
    }
    let order = [2, 0, 3, 1];
    let mixed = label(&quantizer, &pick(&features, &order));
    for (to, from) in order.into_iter().enumerate() {
        assert_eq!(mixed.rows()[to], codes.rows()[from]);
    }
}

#[test]
fn quantizer_is_drawn_as_documented() {
    let (bins, dim) = (20, 16);
    let quantizer = quantizer(&config(bins, 2, 4096, dim), 9);
    for c in 0..2 {
        let projection = quantizer.projection(c);
        assert_eq!(projection.len(), 4 * bins * dim);
        let bound = (6.0 / (4 * bins + dim) as f64).sqrt();
        let variance = mean(projection.iter().map(|&x| f64::from(x).powi(2)));
        assert!(projection.iter().all(|&x| f64::from(x.abs()) <= bound));
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{variance}");

        let codes = quantizer.codebook(c);
        assert_eq!(codes.len(), 4096 * dim);
        for code in codes.chunks(dim) {
            let length: f64 = code.iter().map(|&x| f64::from(x).powi(2)).sum();
            assert!((length - 1.0).abs() < 1e-6);
        }
        // Directions of normal vectors are uniform: no coordinate is preferred, none leans to a side.
        for i in 0..dim {
            let coordinate = || codes.chunks(dim).map(|code| f64::from(code[i]));
            assert!(mean(coordinate()).abs() < 0.02);
            assert!((mean(coordinate().map(|x| x * x)) * dim as f64 - 1.0).abs() < 0.1);
        }
    }
    assert_ne!(quantizer.projection(0), quantizer.projection(1));
    assert_ne!(quantizer.codebook(0), quantizer.codebook(1));
}

fn mean(x: impl Iterator<Item = f64>) -> f64 {
    let (n, sum) = x.fold((0.0, 0.0), |(n, sum), x| (n + 1.0, sum + x));
    sum / n
}

#[test]
fn results_have_the_same_bits_for_any_number_of_threads() {
    let run = |threads| {
        let pool = rayon_pool(threads);
        pool.install(|| {
            let features = features(2, &LENGTHS, 10, 0.0);
            let codes = label(&quantizer(&config(10, 2, 100, 16), 1), &features);
            let masked = masked(
                &features,
                &MaskConfig {
                    probability: 0.05,
                    span: 9,
                    noise_std: 0.1,
                },
                3,
            );
            (codes, values(masked.features.values()), masked.frames)
        })
    };
    assert_eq!(run(1), run(3));
}

fn rayon_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
}

#[test]
fn stacking_lies_in_the_middle_of_what_the_subsampling_sees() {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let subsampling = ConvSubsampling::new(8, 3, 4, &params).unwrap();
    let plain = features(1, &[40], 8, 0.0);
    let encode = |x: &Padded| subsampling.forward(x).unwrap().values().to_vec3::<f32>().unwrap();
    let before = encode(&plain);
    let mut seen = vec![vec![]; before[0].len()];
    for i in 0..40 {
        let mut moved = plain.values().to_vec3::<f32>().unwrap();
        moved[0][i].iter_mut().for_each(|x| *x += 1.0);
        let moved = Tensor::new(moved, &Device::Cpu).unwrap();
        let after = encode(&plain.with_values(moved).unwrap());
        for (t, seen) in seen.iter_mut().enumerate() {
            if after[0][t] != before[0][t] {
                seen.push(i);
            }
        }
    }
    for (t, seen) in seen.iter().enumerate() {
        assert_eq!(*seen, (4 * t..4 * t + RECEPTIVE_FIELD).collect::<Vec<_>>());
        let target = Stacking::BY_FOUR.range(t);
        assert_eq!((target.start - seen[0], seen[6] - target.end + 1), (1, 2));
    }
}

fn masked(features: &Padded, config: &MaskConfig, seed: u64) -> MaskedFeatures {
    let seeds: Vec<u64> = (0..features.lengths().len() as u64).map(|b| seed + b).collect();
    let frames = encoder_frames(features);
    mask(features, &frames, &Stacking::BY_FOUR, config, &seeds).unwrap()
}

/// Which feature frames differ from the original; noise never equals it.
fn changed(before: &Padded, after: &MaskedFeatures) -> Vec<Vec<bool>> {
    let (before, now) = (
        before.values().to_vec3::<f32>().unwrap(),
        after.features.values().to_vec3::<f32>().unwrap(),
    );
    let row = |(before, now): (&Vec<Vec<f32>>, &Vec<Vec<f32>>)| {
        before.iter().zip(now).map(|(a, b)| a != b).collect()
    };
    before.iter().zip(&now).map(row).collect()
}

#[test]
fn mask_hides_the_expected_share() {
    let each = |probability, span| MaskConfig {
        probability,
        span,
        noise_std: 0.1,
    };
    for (seed, config) in [MaskConfig::PAPER, each(0.2, 3), each(0.05, 10), each(1.0, 1)]
        .iter()
        .enumerate()
    {
        let features = features(1, &[400; 2000], 1, 0.0);
        let masked = masked(&features, config, 10_000 * seed as u64);
        let (p, q) = (
            config.probability,
            (1.0 - config.probability).powi(config.span as i32),
        );
        // Shares among feature and encoder frames that all spans can reach.
        let reached = config.span.div_ceil(4);
        let inner = |rows: &[Vec<bool>], from: usize| {
            mean(
                rows.iter()
                    .flat_map(|row| row[from..].iter().map(|&hidden| f64::from(u8::from(hidden)))),
            )
        };
        let hidden = inner(&changed(&features, &masked), config.span - 1);
        assert!((hidden - (1.0 - q)).abs() < 0.01, "{config:?}: {hidden}");
        let frames = inner(&masked.frames, reached);
        let expected = 1.0 - q * (1.0 + 3.0 * p);
        assert!(
            (frames - expected).abs() < 0.01,
            "{config:?}: {frames} {expected}"
        );
    }
}

#[test]
fn mask_shares_have_their_closed_form() {
    // Every way in which the frames that matter may start spans, weighted by its probability.
    for (p, span, stack) in [(0.3f64, 1, 1), (0.3, 3, 4), (0.1, 5, 4), (0.5, 4, 5), (0.9, 2, 2)] {
        let frames = span + stack - 1;
        let mut share = 0.0;
        for starts in 0u32..1 << frames {
            let hidden = |i: usize| (i + 1 - span..=i).any(|j| starts >> j & 1 == 1);
            if (span - 1..frames).all(hidden) {
                let ones = starts.count_ones() as i32;
                share += p.powi(ones) * (1.0 - p).powi(frames as i32 - ones);
            }
        }
        let expected = 1.0 - (1.0 - p).powi(span as i32) * (1.0 + (stack - 1) as f64 * p);
        assert!(
            (share - expected).abs() < 1e-12,
            "{p} {span} {stack}: {share} {expected}"
        );
    }
}

#[test]
fn mask_is_a_function_of_the_seed() {
    let config = MaskConfig {
        probability: 0.05,
        span: 8,
        noise_std: 0.1,
    };
    let features = features(2, &LENGTHS, 3, 0.0);
    let bits = |x: &MaskedFeatures, b: usize| {
        let n = x.features.lengths().get(b);
        (
            x.features.values().to_vec3::<f32>().unwrap()[b][..n].to_vec(),
            x.frames[b].clone(),
        )
    };
    let batch = masked(&features, &config, 50);
    for b in 0..LENGTHS.len() {
        let alone = masked(&pick(&features, &[b]), &config, 50 + b as u64);
        assert_eq!(bits(&alone, 0), bits(&batch, b));
    }
    assert_eq!(bits(&masked(&features, &config, 50), 3), bits(&batch, 3));
    assert_ne!(bits(&masked(&features, &config, 51), 3), bits(&batch, 3));
}

#[test]
fn mask_changes_nothing_but_its_spans() {
    let config = MaskConfig {
        probability: 0.02,
        span: 12,
        noise_std: 0.1,
    };
    let features = features(2, &[2000, 900], 3, 0.0);
    let masked = masked(&features, &config, 7);
    for (row, n) in changed(&features, &masked).iter().zip([2000, 900]) {
        // Stretches of changed frames are at least a span long, unless the utterance ends.
        let mut start = None;
        for (i, &hidden) in row.iter().chain(&[false]).enumerate() {
            match (hidden, start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    assert!(i - from >= 12 || i == n, "{from}..{i}");
                    start = None;
                }
                _ => {}
            }
        }
        assert!(row.iter().any(|&hidden| hidden));
        assert!(row[n..].iter().all(|&hidden| !hidden));
    }
}

#[test]
fn mask_counts_frames_that_are_hidden_entirely() {
    let config = MaskConfig {
        probability: 0.08,
        span: 5,
        noise_std: 0.1,
    };
    let features = features(2, &LENGTHS, 3, 0.0);
    let masked = masked(&features, &config, 7);
    let changed = changed(&features, &masked);
    let (mut whole, mut part) = (0, 0);
    for (row, frames) in changed.iter().zip(&masked.frames) {
        for (t, &counts) in frames.iter().enumerate() {
            let hidden = (4 * t + 1..4 * t + 5).filter(|&i| row[i]).count();
            assert_eq!(counts, hidden == 4);
            whole += usize::from(hidden == 4);
            part += usize::from((1..4).contains(&hidden));
        }
    }
    assert!(whole > 10 && part > 10, "both cases must occur: {whole}, {part}");
}

#[test]
fn mask_noise_is_normal() {
    let config = MaskConfig {
        probability: 1.0,
        span: 1,
        noise_std: 0.25,
    };
    let masked = masked(&features(1, &[2000; 10], 10, 0.0), &config, 1);
    let noise = values(masked.features.values());
    let moment = |k| mean(noise.iter().map(|x| (x / 0.25f64).powi(k)));
    // Of 200 000 draws; standard errors are 0.002, 0.003, 0.009 and 0.022.
    for (k, expected, bound) in [(1, 0.0, 0.01), (2, 1.0, 0.015), (3, 0.0, 0.04), (4, 3.0, 0.1)] {
        assert!((moment(k) - expected).abs() < bound, "moment {k}: {}", moment(k));
    }
    // Neighbors are drawn in pairs and must not be correlated.
    let lag = mean(noise.windows(2).map(|w| w[0] * w[1] / 0.0625));
    assert!(lag.abs() < 0.01, "{lag}");
}

#[test]
fn masked_loss_of_a_batch_equals_its_utterances() {
    let lengths = [9, 4, 7];
    let logits = vectors(1, &lengths, 2 * 6, f64::NAN);
    let (targets, masked) = (targets(3, &lengths, 2, 6), some_frames(&lengths));
    let batch = masked_prediction_loss(&logits, &targets, &masked).unwrap();
    let mut correct = [0; 2];
    for b in 0..lengths.len() {
        let own = Targets::new(vec![targets.rows()[b].clone()], 2, 6).unwrap();
        let alone = masked_prediction_loss(&pick(&logits, &[b]), &own, &masked[b..=b]).unwrap();
        let (got, expected) = (values(&alone.per_utterance)[0], values(&batch.per_utterance)[b]);
        assert!(Tolerance::PROOF.holds(got, expected));
        assert_eq!(alone.num_masked, [batch.num_masked[b]]);
        correct[0] += alone.num_correct[0];
        correct[1] += alone.num_correct[1];
    }
    assert_eq!(batch.num_correct, correct);
}

#[test]
fn usage_of_even_codes_is_their_number() {
    let even = Targets::new(vec![(0..8).flat_map(|i| [i, 3]).collect()], 2, 10).unwrap();
    let usage = codebook_usage([&even, &even]).unwrap();
    assert_eq!(usage.len(), 2);
    assert!((usage[0].perplexity() - 8.0).abs() < 1e-12 && (usage[0].entropy() - 8f64.ln()).abs() < 1e-12);
    assert_eq!(
        (usage[0].num_used(), usage[0].num_frames(), usage[0].top_share()),
        (8, 16, 0.125)
    );
    assert_eq!(usage[0].counts(), [2, 2, 2, 2, 2, 2, 2, 2, 0, 0]);
    assert_eq!(
        (usage[1].perplexity(), usage[1].num_used(), usage[1].top_share()),
        (1.0, 1, 1.0)
    );
    assert!(codebook_usage(Vec::<Targets>::new()).unwrap().is_empty());
    let silent = Targets::new(vec![vec![], vec![]], 1, 4).unwrap();
    let none = &codebook_usage([silent]).unwrap()[0];
    assert_eq!(
        (none.entropy(), none.top_share(), none.num_frames()),
        (0.0, 0.0, 0)
    );
}

#[test]
fn usage_shows_a_collapsed_quantizer() {
    let quantizer = quantizer(&config(20, 1, 512, 16), 1);
    let normalized = features(2, &[4000], 20, 0.0);
    let shifted = normalized
        .with_values((normalized.values() + 10.0).unwrap())
        .unwrap();
    let perplexity = |x: &Padded| codebook_usage([label(&quantizer, x)]).unwrap()[0].perplexity();
    let (healthy, collapsed) = (perplexity(&normalized), perplexity(&shifted));
    assert!(healthy > 200.0 && collapsed < 20.0, "{healthy} {collapsed}");
}

#[test]
fn usage_adds_up_over_batches() {
    let quantizer = quantizer(&config(5, 2, 30, 4), 1);
    let features = features(3, &LENGTHS, 5, 0.0);
    let whole = codebook_usage([label(&quantizer, &features)]).unwrap();
    let singles = (0..LENGTHS.len()).map(|b| label(&quantizer, &pick(&features, &[b])));
    assert_eq!(codebook_usage(singles).unwrap(), whole);
    let frames = Lengths::new(vec![]);
    assert_eq!(
        whole[0].num_frames() as usize,
        encoder_frames(&features).total() + frames.total()
    );
}
