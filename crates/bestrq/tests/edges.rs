//! Padding, emptiness, and arguments that are refused.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{
    POISONS, config, encoder_frames, features, label, quantizer, some_frames, targets, values, vectors,
};
use sandhi_bestrq::{
    MaskConfig, MaskedPrediction, QuantizerConfig, RandomProjectionQuantizer, Stacking, Targets,
    codebook_usage, mask, masked_prediction_loss,
};
use sandhi_core::{Error, Lengths, Padded};
use sandhi_nn::Params;
use sandhi_testkit::poison_padding;

const EVERYTHING: MaskConfig = MaskConfig {
    probability: 1.0,
    span: 40,
    noise_std: 0.1,
};

#[test]
fn quantizer_ignores_padding() {
    let quantizer = quantizer(&config(6, 2, 50, 4), 1);
    let codes = |poison| label(&quantizer, &features(3, &[50, 11, 30], 6, poison));
    for poison in POISONS {
        assert_eq!(codes(poison), codes(0.0));
    }
}

#[test]
fn mask_copies_padding() {
    let lengths = [50, 11, 30];
    for poison in POISONS {
        let features = features(3, &lengths, 2, poison);
        let frames = encoder_frames(&features);
        let masked = mask(&features, &frames, &Stacking::BY_FOUR, &EVERYTHING, &[1, 2, 3]).unwrap();
        let (before, after) = (
            features.values().to_vec3::<f32>().unwrap(),
            masked.features.values().to_vec3::<f32>().unwrap(),
        );
        assert_eq!(masked.features.lengths(), features.lengths());
        for (b, &n) in lengths.iter().enumerate() {
            for t in 0..50 {
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&before[b][t]) == bits(&after[b][t]), t >= n);
            }
        }
    }
}

/// The loss and its gradients to the encoder and to the head's parameters.
fn run(encoded: &Tensor, lengths: &[usize], masked: &[Vec<bool>]) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let params = Params::seeded(1, DType::F64, &Device::Cpu);
    let head = MaskedPrediction::new(3, 2, 5, &params).unwrap();
    let var = Var::from_tensor(encoded).unwrap();
    let encoded = Padded::new(var.as_tensor().clone(), Lengths::new(lengths.to_vec())).unwrap();
    let found = head.loss(&encoded, &targets(4, lengths, 2, 5), masked).unwrap();
    let grads = found.per_utterance.sum_all().unwrap().backward().unwrap();
    let of = |var: &Var| values(grads.get(var).unwrap());
    let head = params.vars().iter().map(|(_, var)| of(var)).collect();
    (values(&found.per_utterance), of(&var), head)
}

#[test]
fn masked_loss_reads_masked_frames_only() {
    let lengths = [6, 2, 4];
    let masked = some_frames(&lengths);
    let encoded = vectors(2, &lengths, 3, 0.0);
    let clean = run(encoded.values(), &lengths, &masked);
    for (i, poison) in POISONS.into_iter().enumerate() {
        let poisoned = poison_padding(encoded.values(), encoded.lengths(), poison).unwrap();
        assert_eq!(run(&poisoned, &lengths, &masked), clean, "{i}");
        // Frames that are not masked may hold anything as well.
        let mut rows = poisoned.to_vec3::<f64>().unwrap();
        for (b, row) in masked.iter().enumerate() {
            for (t, _) in row.iter().enumerate().filter(|(_, masked)| !**masked) {
                rows[b][t].fill(poison);
            }
        }
        let rows = Tensor::new(rows, &Device::Cpu).unwrap();
        assert_eq!(run(&rows, &lengths, &masked), clean, "{i}");
    }
    let (_, gradient, _) = clean;
    for (b, &n) in lengths.iter().enumerate() {
        for t in 0..6 {
            let zero = gradient[(b * 6 + t) * 3..][..3].iter().all(|&g| g == 0.0);
            assert_eq!(zero, t >= n || !masked[b][t], "{b} {t}");
        }
    }
}

#[test]
fn masked_loss_without_masked_frames_is_zero() {
    for lengths in [vec![6, 2], vec![0, 3], vec![0, 0]] {
        let masked: Vec<Vec<bool>> = lengths.iter().map(|&n| vec![false; n]).collect();
        let encoded = vectors(2, &lengths, 3, f64::NAN);
        let (loss, to_encoded, to_head) = run(encoded.values(), &lengths, &masked);
        assert_eq!(loss, [0.0, 0.0]);
        // The gradients are there, and zero: a trainer that looks for variables without one finds none.
        assert!(
            to_encoded
                .iter()
                .chain(to_head.iter().flatten())
                .all(|&g| g == 0.0)
        );
        assert_eq!(to_head.iter().map(Vec::len).collect::<Vec<_>>(), [10, 30]);
        let logits = vectors(2, &lengths, 10, f64::NAN);
        let found = masked_prediction_loss(&logits, &targets(4, &lengths, 2, 5), &masked).unwrap();
        assert_eq!(
            (found.total_masked(), found.num_masked.as_slice()),
            (0, &[0, 0][..])
        );
        assert_eq!((found.accuracy(0), found.accuracy(1)), (None, None));
    }
}

#[test]
fn logits_that_are_not_numbers_show_and_are_never_right() {
    let logits = Tensor::new(&[[[f64::NAN, 1.0], [2.0, f64::NAN], [3.0, 1.0]]], &Device::Cpu).unwrap();
    let logits = Padded::new(logits, Lengths::new(vec![3])).unwrap();
    let targets = Targets::new(vec![vec![0, 0, 0]], 1, 2).unwrap();
    let found = masked_prediction_loss(&logits, &targets, &[vec![true; 3]]).unwrap();
    assert!(values(&found.per_utterance)[0].is_nan());
    assert_eq!(found.num_correct, [1]);
}

#[test]
fn utterances_shorter_than_a_span_are_masked_whole_or_in_part() {
    // 7 feature frames are one encoder frame.
    let features = features(1, &[7; 300], 2, 0.0);
    let frames = encoder_frames(&features);
    assert_eq!(frames.as_slice(), [1; 300]);
    let seeds: Vec<u64> = (0..300).collect();
    let config = MaskConfig {
        probability: 0.2,
        span: 1000,
        noise_std: 0.1,
    };
    let masked = mask(&features, &frames, &Stacking::BY_FOUR, &config, &seeds).unwrap();
    // Once a span has begun it lasts: feature frames 1 to 4 are all masked if frame 0 or 1 begins one, 1 − 0.8².
    let share = masked.frames.iter().filter(|row| row[0]).count() as f64 / 300.0;
    assert!(
        (share - 0.36).abs() < 4.0 * (0.36f64 * 0.64 / 300.0).sqrt(),
        "{share}"
    );
    let quantizer = quantizer(&common::config(2, 1, 9, 2), 1);
    assert_eq!(label(&quantizer, &features).rows().concat().len(), 300);
}

#[test]
fn empty_batches_and_utterances_are_no_error() {
    let quantizer = quantizer(&config(3, 2, 9, 2), 1);
    for lengths in [vec![], vec![0, 0], vec![0, 12, 0]] {
        let features = features(1, &lengths, 3, f64::NAN);
        let frames = encoder_frames(&features);
        let seeds: Vec<u64> = (0..lengths.len() as u64).collect();
        let codes = quantizer.targets(&features, &frames).unwrap();
        assert_eq!(codes.lengths(), &frames);
        let masked = mask(&features, &frames, &Stacking::BY_FOUR, &EVERYTHING, &seeds).unwrap();
        let counts: Vec<usize> = masked.frames.iter().map(Vec::len).collect();
        assert_eq!(counts, frames.as_slice());
        let logits = vectors(1, frames.as_slice(), 18, f64::NAN);
        let found = masked_prediction_loss(&logits, &codes, &masked.frames).unwrap();
        assert_eq!(found.num_masked, counts);
        assert_eq!(values(&found.per_utterance).len(), lengths.len());
    }
}

#[test]
fn quantizer_names_features_that_are_not_finite() {
    let quantizer = quantizer(&config(3, 2, 9, 2), 1);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38] {
        let plain = features(1, &[40, 300, 40], 3, 0.0);
        let mut rows = plain.values().to_vec3::<f32>().unwrap();
        rows[1][138][2] = bad;
        rows[1][260][0] = bad;
        rows[2][20][0] = bad;
        // Feature frame 0 is in no target.
        rows[0][0][0] = bad;
        let bad = plain
            .with_values(Tensor::new(rows, &Device::Cpu).unwrap())
            .unwrap();
        let error = quantizer.targets(&bad, &encoder_frames(&bad)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "features: utterance 1, feature frames 137..141: a value is NaN, infinite or too large to multiply"
        );
    }
}

#[test]
fn wrong_arguments_are_typed_errors() {
    let quantizer = quantizer(&config(3, 2, 9, 2), 1);
    let features = features(1, &[40, 23], 3, 0.0);
    let frames = |a: usize, b: usize| Lengths::new(vec![a, b]);
    let label = |x: &Padded, frames: &Lengths| quantizer.targets(x, frames).unwrap_err();
    let wide = common::features(1, &[40, 23], 4, 0.0);
    assert!(matches!(
        label(&wide, &frames(9, 5)),
        Error::Shape { what: "features", .. }
    ));
    let double = features
        .with_values(features.values().to_dtype(DType::F64).unwrap())
        .unwrap();
    assert_eq!(
        label(&double, &frames(9, 5)).to_string(),
        "features: expected f32, got f64"
    );
    assert!(matches!(
        label(&features, &Lengths::new(vec![9])),
        Error::BatchSize {
            expected: 2,
            got: 1,
            ..
        }
    ));
    // Frame 5 of the second utterance would end at feature frame 25.
    assert!(matches!(
        label(&features, &frames(9, 6)),
        Error::TooShort {
            utterance: 1,
            frames: 23,
            needed: 25
        }
    ));

    let hide = |x: &Padded, frames: &Lengths, config: &MaskConfig, seeds: &[u64]| {
        mask(x, frames, &Stacking::BY_FOUR, config, seeds).unwrap_err()
    };
    assert!(matches!(
        hide(&features, &frames(9, 5), &EVERYTHING, &[1]),
        Error::BatchSize {
            what: "mask seeds",
            ..
        }
    ));
    assert!(matches!(
        hide(&features, &frames(10, 5), &EVERYTHING, &[1, 2]),
        Error::TooShort { utterance: 0, .. }
    ));
    assert_eq!(
        hide(&double, &frames(9, 5), &EVERYTHING, &[1, 2]).to_string(),
        "features: expected f32, got f64"
    );
    for (wrong, why) in [
        (
            MaskConfig {
                probability: 1.5,
                ..EVERYTHING
            },
            "mask: expected a probability in 0..=1, got 1.5",
        ),
        (
            MaskConfig {
                probability: f64::NAN,
                ..EVERYTHING
            },
            "mask: expected a probability in 0..=1, got NaN",
        ),
        (
            MaskConfig {
                span: 0,
                ..EVERYTHING
            },
            "mask: expected a span of at least 1, got 0",
        ),
        (
            MaskConfig {
                noise_std: -1.0,
                ..EVERYTHING
            },
            "mask: expected noise with a finite standard deviation, got -1",
        ),
    ] {
        assert_eq!(hide(&features, &frames(9, 5), &wrong, &[1, 2]).to_string(), why);
    }
}

#[test]
fn wrong_predictions_are_typed_errors() {
    let lengths = [5, 3];
    let (codes, masked) = (targets(1, &lengths, 2, 4), some_frames(&lengths));
    let loss = |width, codes: &Targets, masked: &[Vec<bool>]| {
        masked_prediction_loss(&vectors(1, &lengths, width, 0.0), codes, masked).unwrap_err()
    };
    assert!(matches!(
        loss(7, &codes, &masked),
        Error::Shape { what: "logits", .. }
    ));
    assert!(matches!(
        loss(8, &codes, &masked[..1]),
        Error::BatchSize {
            what: "masked frames",
            ..
        }
    ));
    let short = [masked[0].clone(), vec![true; 2]];
    assert_eq!(
        loss(8, &codes, &short).to_string(),
        "masked frames: utterance 1 has 3 encoder frames, but 2 are given"
    );
    let other = targets(1, &[4, 3], 2, 4);
    assert_eq!(
        loss(8, &other, &masked).to_string(),
        "targets: utterance 0 has 5 encoder frames, but 4 are given"
    );

    let params = Params::seeded(1, DType::F64, &Device::Cpu);
    let head = MaskedPrediction::new(6, 1, 8, &params.scope("head")).unwrap();
    let encoded = vectors(1, &lengths, 6, 0.0);
    assert_eq!(
        head.loss(&encoded, &codes, &masked).unwrap_err().to_string(),
        "targets: expected 1 codebooks of 8 codes, as the head has, got 2 of 4"
    );
    let narrow = vectors(1, &lengths, 5, 0.0);
    let own = targets(1, &lengths, 1, 8);
    assert!(matches!(
        head.loss(&narrow, &own, &masked).unwrap_err(),
        Error::Shape { what: "encoded", .. }
    ));
    for (books, codes) in [(0, 4), (4, 0)] {
        assert!(matches!(
            MaskedPrediction::new(6, books, codes, &params).unwrap_err(),
            Error::Invalid { .. }
        ));
    }
}

#[test]
fn targets_from_elsewhere_are_checked() {
    let rows = vec![vec![0, 1, 2, 3], vec![3, 3]];
    let made = Targets::new(rows.clone(), 2, 4).unwrap();
    assert_eq!(
        (made.lengths().as_slice(), made.frame(0, 1)),
        (&[2, 1][..], &[2, 3][..])
    );
    let outside = Targets::new(rows.clone(), 2, 3).unwrap_err();
    assert!(matches!(
        outside,
        Error::Label {
            utterance: 0,
            position: 3,
            label: 3,
            ..
        }
    ));
    let uneven = Targets::new(rows.clone(), 4, 4).unwrap_err();
    assert_eq!(
        uneven.to_string(),
        "targets: utterance 1 has 2 codes, expected 4 for each frame"
    );
    for (books, codes) in [(0, 4), (1, 0)] {
        let nothing = Targets::new(vec![vec![]], books, codes).unwrap_err();
        assert!(matches!(nothing, Error::Invalid { .. }));
    }
}

#[test]
fn usage_of_different_codebooks_is_refused() {
    let batches = [targets(1, &[4], 2, 4), targets(1, &[4], 2, 5)];
    assert_eq!(
        codebook_usage(&batches).unwrap_err().to_string(),
        "codebook usage: batch 1 has 2 codebooks of 5 codes, those before it 2 of 4"
    );
}

#[test]
fn quantizer_refuses_matrices_it_cannot_use() {
    let config = config(1, 1, 3, 2);
    let make = |projection: usize, codes: Vec<f32>| {
        RandomProjectionQuantizer::from_matrices(&config, &[vec![1.0; projection]], &[codes]).unwrap_err()
    };
    assert!(matches!(
        make(9, vec![1.0; 6]),
        Error::Shape {
            what: "projections",
            ..
        }
    ));
    assert!(matches!(
        make(8, vec![1.0; 5]),
        Error::Shape {
            what: "codebooks",
            ..
        }
    ));
    for (bad, length) in [(0.0, "0"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        assert_eq!(
            make(8, vec![1.0, 1.0, bad, bad, 1.0, 1.0]).to_string(),
            format!("codebooks: code 1 of codebook 0 has length {length}, so no direction")
        );
    }
    let none = RandomProjectionQuantizer::from_matrices(&config, &[], &[]).unwrap_err();
    assert!(matches!(
        none,
        Error::Shape {
            what: "projections",
            ..
        }
    ));
}

#[test]
fn configurations_out_of_range_are_refused() {
    let good = QuantizerConfig::paper(80);
    good.check().unwrap();
    MaskConfig::PAPER.check().unwrap();
    let stacking = |stack, stride| Stacking {
        stack,
        stride,
        offset: 0,
    };
    for wrong in [
        QuantizerConfig {
            num_bins: 0,
            ..good.clone()
        },
        QuantizerConfig {
            num_codebooks: 0,
            ..good.clone()
        },
        QuantizerConfig {
            codebook_size: 0,
            ..good.clone()
        },
        QuantizerConfig {
            code_dim: 0,
            ..good.clone()
        },
        QuantizerConfig {
            codebook_size: 1 << 31,
            ..good.clone()
        },
        QuantizerConfig {
            stacking: stacking(0, 4),
            ..good.clone()
        },
        QuantizerConfig {
            stacking: stacking(4, 0),
            ..good.clone()
        },
    ] {
        assert!(
            matches!(
                RandomProjectionQuantizer::new(&wrong, 1).unwrap_err(),
                Error::Invalid { .. }
            ),
            "{wrong:?}"
        );
    }
}

#[test]
fn configurations_survive_their_text_and_reject_unknown_keys() {
    let config = QuantizerConfig::paper(80);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<QuantizerConfig>(&text).unwrap(), config);
    assert!(toml::from_str::<QuantizerConfig>(&format!("typo = 1\n{text}")).is_err());
    let text = toml::to_string(&MaskConfig::PAPER).unwrap();
    assert_eq!(toml::from_str::<MaskConfig>(&text).unwrap(), MaskConfig::PAPER);
    assert!(toml::from_str::<MaskConfig>(&format!("{text}typo = 1\n")).is_err());
}
