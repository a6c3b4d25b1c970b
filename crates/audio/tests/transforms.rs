//! Resampling, speed, normalization and masking.

use proptest::prelude::*;
use sandhi_audio::{
    Error, Fbank, FbankConfig, Features, GlobalCmvn, SpecAugmentConfig, Waveform, normalize_utterance,
    resample, spec_augment, speed,
};

fn sine(hz: f64, length: usize, sample_rate: u32) -> Waveform {
    let step = std::f64::consts::TAU * hz / f64::from(sample_rate);
    Waveform {
        samples: (0..length)
            .map(|n| (0.5 * (step * n as f64).sin()) as f32)
            .collect(),
        sample_rate,
    }
}

/// Largest difference away from the ends, where a filter meets the silence outside.
fn inner_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let margin = a.len() / 10;
    let pairs = a.iter().zip(b).skip(margin).take(a.len() - 2 * margin);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn resample_keeps_a_sine_in_place() {
    for (from, to) in [
        (48000, 16000),
        (44100, 16000),
        (8000, 16000),
        (16000, 22050),
        (16000, 8000),
    ] {
        let got = resample(&sine(1000.0, from as usize, from), to).unwrap();
        let want = sine(1000.0, to as usize, to);
        assert_eq!(got.sample_rate, to);
        let difference = inner_difference(&got.samples, &want.samples);
        assert!(difference < 1e-3, "{from} to {to}: {difference}");
    }
}

#[test]
fn resample_removes_what_the_new_rate_cannot_hold() {
    let got = resample(&sine(11000.0, 48000, 48000), 16000).unwrap();
    let silence = vec![0.0; got.samples.len()];
    assert!(inner_difference(&got.samples, &silence) < 1e-3);
}

#[test]
fn resample_length_is_rounded() {
    for length in [0, 1, 2, 3, 7, 100, 1023, 1024, 1025, 4096, 10001] {
        for (from, to) in [
            (48000, 16000),
            (44100, 16000),
            (16000, 44100),
            (8000, 16000),
            (16000, 11025),
        ] {
            let got = resample(&sine(100.0, length, from), to).unwrap().samples.len();
            let want = (length as f64 * f64::from(to) / f64::from(from)).round() as usize;
            assert_eq!(got, want, "{length} samples from {from} to {to}");
        }
    }
}

#[test]
fn resample_to_the_same_rate_changes_nothing() {
    let waveform = sine(440.0, 1234, 16000);
    assert_eq!(resample(&waveform, 16000).unwrap(), waveform);
}

#[test]
fn resample_refuses_rates_that_are_none() {
    for rate in [0, 1_000_001, u32::MAX] {
        let error = resample(&sine(440.0, 100, 16000), rate).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Config {
                    what: "sample rate",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn speed_raises_the_pitch_by_its_factor() {
    for factor in [0.9, 1.1] {
        let got = speed(&sine(1000.0, 16000, 16000), factor).unwrap();
        assert_eq!(got.sample_rate, 16000);
        assert_eq!(got.samples.len(), (16000.0 / factor).round() as usize);
        let want = sine(1000.0 * factor, got.samples.len(), 16000);
        let difference = inner_difference(&got.samples, &want.samples);
        assert!(difference < 1e-3, "{factor}: {difference}");
    }
}

#[test]
fn speed_one_returns_the_same_samples() {
    let waveform = sine(440.0, 1234, 16000);
    assert_eq!(speed(&waveform, 1.0).unwrap(), waveform);
}

#[test]
fn speed_refuses_factors_that_are_none() {
    for factor in [0.0, -1.0, 100.0, f64::NAN, f64::INFINITY] {
        let error = speed(&sine(440.0, 100, 16000), factor).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Config {
                    what: "speed factor",
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// Features with a different mean and spread in each bin.
fn features(num_frames: usize, num_bins: usize) -> Features {
    let value = |i: usize| {
        let (t, b) = (i / num_bins, i % num_bins);
        -3.0 + b as f32 + (1.0 + b as f32) * (t as f32 * 1.7 + b as f32).sin()
    };
    Features {
        values: (0..num_frames * num_bins).map(value).collect(),
        num_frames,
        num_bins,
    }
}

/// Mean and standard deviation of one bin.
fn moments(features: &[&Features], bin: usize) -> (f64, f64) {
    let column = || {
        features
            .iter()
            .flat_map(|f| (0..f.num_frames).map(move |t| f64::from(f.frame(t)[bin])))
    };
    let count = column().count() as f64;
    let mean = column().sum::<f64>() / count;
    (
        mean,
        (column().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt(),
    )
}

#[test]
fn utterance_normalization_gives_mean_0_and_variance_1() {
    let mut features = features(57, 5);
    normalize_utterance(&mut features);
    for bin in 0..5 {
        let (mean, std) = moments(&[&features], bin);
        assert!(
            mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6,
            "bin {bin}: {mean} {std}"
        );
    }
}

#[test]
fn utterance_normalization_of_a_constant_is_finite() {
    for num_frames in [0, 1, 9] {
        let mut features = Features {
            values: vec![-15.942385; num_frames * 3],
            num_frames,
            num_bins: 3,
        };
        normalize_utterance(&mut features);
        assert!(
            features.values.iter().all(|x| x.abs() < 1e-3),
            "{:?}",
            features.values
        );
    }
}

#[test]
fn global_normalization_gives_mean_0_and_variance_1_over_the_corpus() {
    let mut corpus = [features(57, 5), features(3, 5), features(211, 5)];
    let mut cmvn = GlobalCmvn::new(5);
    for utterance in &corpus {
        cmvn.accumulate(utterance).unwrap();
    }
    assert_eq!(cmvn.num_frames(), 271);
    let references: Vec<&Features> = corpus.iter().collect();
    for bin in 0..5 {
        let (mean, std) = moments(&references, bin);
        assert!((cmvn.mean()[bin] - mean).abs() < 1e-9 && (cmvn.std()[bin] - std).abs() < 1e-9);
    }
    for utterance in &mut corpus {
        cmvn.apply(utterance).unwrap();
    }
    let references: Vec<&Features> = corpus.iter().collect();
    for bin in 0..5 {
        let (mean, std) = moments(&references, bin);
        assert!(
            mean.abs() < 1e-6 && (std - 1.0).abs() < 1e-6,
            "bin {bin}: {mean} {std}"
        );
    }
}

#[test]
fn global_normalization_merges_and_is_saved() {
    let (a, b) = (features(57, 5), features(211, 5));
    let mut whole = GlobalCmvn::new(5);
    whole.accumulate(&a).unwrap();
    let mut part = GlobalCmvn::new(5);
    part.accumulate(&b).unwrap();
    let mut merged = whole.clone();
    merged.merge(&part).unwrap();
    whole.accumulate(&b).unwrap();
    for bin in 0..5 {
        assert!((merged.mean()[bin] - whole.mean()[bin]).abs() < 1e-12);
        assert!((merged.std()[bin] - whole.std()[bin]).abs() < 1e-12);
    }
    let text = serde_json::to_string(&whole).unwrap();
    let (mut one, mut two) = (a.clone(), a);
    whole.apply(&mut one).unwrap();
    serde_json::from_str::<GlobalCmvn>(&text)
        .unwrap()
        .apply(&mut two)
        .unwrap();
    assert_eq!(one, two);
}

#[test]
fn global_normalization_refuses_what_does_not_fit() {
    let mut cmvn = GlobalCmvn::new(5);
    assert!(matches!(
        cmvn.accumulate(&features(3, 4)),
        Err(Error::Bins { expected: 5, got: 4 })
    ));
    assert!(matches!(
        cmvn.merge(&GlobalCmvn::new(6)),
        Err(Error::Bins { expected: 5, got: 6 })
    ));
    let error = cmvn.apply(&mut features(3, 5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cmvn statistics: expected 1 frame or more, got 0"
    );
    for text in [
        r#"{"num_frames": 1, "sum": [1.0, 2.0], "sum_of_squares": [1.0]}"#,
        r#"{"num_frames": 1, "sum": [1.0], "sum_of_squares": [1.0], "count": 1}"#,
    ] {
        assert!(serde_json::from_str::<GlobalCmvn>(text).is_err());
    }
}

const MASKS: SpecAugmentConfig = SpecAugmentConfig {
    time_masks: 1,
    max_time: 30,
    max_time_fraction: 0.2,
    freq_masks: 1,
    max_freq: 15,
};

fn masked(num_frames: usize, num_bins: usize, config: &SpecAugmentConfig, seed: u64) -> Features {
    let mut features = Features {
        values: vec![1.0; num_frames * num_bins],
        num_frames,
        num_bins,
    };
    spec_augment(&mut features, config, seed);
    features
}

#[test]
fn spec_augment_is_a_function_of_the_seed() {
    let config = SpecAugmentConfig {
        time_masks: 2,
        freq_masks: 2,
        ..MASKS
    };
    assert_eq!(masked(100, 80, &config, 7), masked(100, 80, &config, 7));
    let distinct: std::collections::HashSet<Vec<u32>> = (0..50)
        .map(|seed| {
            masked(100, 80, &config, seed)
                .values
                .iter()
                .map(|x| x.to_bits())
                .collect()
        })
        .collect();
    assert!(distinct.len() >= 49);
}

#[test]
fn spec_augment_draws_do_not_depend_on_the_shape() {
    // Twice the bins: the same time mask, and the frequency mask where it was in proportion.
    let config = SpecAugmentConfig {
        freq_masks: 0,
        ..MASKS
    };
    for seed in 0..20 {
        let rows = |f: &Features| (0..f.num_frames).map(|t| f.frame(t)[0]).collect::<Vec<_>>();
        assert_eq!(
            rows(&masked(100, 40, &config, seed)),
            rows(&masked(100, 80, &config, seed))
        );
    }
}

#[test]
fn spec_augment_widths_are_uniform() {
    let config = SpecAugmentConfig {
        freq_masks: 0,
        max_time: 9,
        ..MASKS
    };
    let mut counts = [0usize; 10];
    for seed in 0..10_000 {
        counts[masked(50, 1, &config, seed)
            .values
            .iter()
            .filter(|x| **x == 0.0)
            .count()] += 1;
    }
    // 1000 each; five standard deviations are 150.
    assert!(counts.iter().all(|n| n.abs_diff(1000) < 150), "{counts:?}");
}

proptest! {
    #[test]
    fn spec_augment_masks_stay_within_their_limits(frames in 0usize..300, bins in 1usize..90, seed: u64) {
        let features = masked(frames, bins, &MASKS, seed);
        let times = (0..frames).filter(|&t| features.frame(t).iter().all(|x| *x == 0.0)).count();
        let longest = (0.2f32 as f64 * frames as f64) as usize;
        // A frequency mask may cover all bins when there are few.
        if bins > 15 {
            prop_assert!(times <= longest.min(30));
            let columns = (0..bins).filter(|&b| (0..frames).all(|t| features.frame(t)[b] == 0.0)).count();
            prop_assert!(frames == 0 || columns <= 15);
            // One stretch and one band: what is kept is a rectangle less them.
            let kept = features.values.iter().filter(|x| **x == 1.0).count();
            prop_assert_eq!(kept, (frames - times) * (bins - columns) * usize::from(frames > 0));
        }
        prop_assert!(features.values.iter().all(|x| *x == 0.0 || *x == 1.0));
    }
}

#[test]
fn fbank_stream_equals_the_whole_recording() {
    let samples: Vec<f32> = (0..16_000)
        .map(|i| (i as f32 * 0.05).sin() * (i as f32 * 0.0007).cos() * 0.4)
        .collect();
    let fbank = Fbank::new(&FbankConfig::kaldi()).unwrap();
    let whole = fbank
        .compute(&Waveform {
            samples: samples.clone(),
            sample_rate: 16_000,
        })
        .unwrap();
    // Pieces shorter than a shift, longer than a window, and of no sample at all.
    for piece in [1, 159, 160, 161, 400, 5000, 16_000] {
        let mut stream = fbank.stream().unwrap();
        let mut values = stream.push(&[]).unwrap().values;
        for samples in samples.chunks(piece) {
            values.extend(stream.push(samples).unwrap().values);
        }
        assert!(values == whole.values, "in pieces of {piece} samples");
    }
    let dithered = FbankConfig {
        dither: 1.0,
        ..FbankConfig::kaldi()
    };
    let error = Fbank::new(&dithered).unwrap().stream().err().unwrap();
    assert!(error.to_string().contains("dither"), "{error}");
}
