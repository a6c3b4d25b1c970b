//! The filterbank against torchaudio, from `golden/fbank.safetensors`, which `golden/make.py` made.

// The lint knows tests, not the functions they share.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use safetensors::SafeTensors;
use sandhi_audio::{Error, Fbank, FbankConfig, Features, Waveform};

/// Largest difference allowed on a log-mel value, from torchaudio as its users run it, in f32.
const ATOL: f32 = 1e-3;
/// The same from torchaudio run in f64: what remains is the last bit of the single-precision mel weights.
const ATOL_EXACT: f32 = 2e-5;

struct Case {
    name: String,
    config: FbankConfig,
    waveform: Waveform,
    expected: Features,
    exact: Features,
}

fn cases() -> Vec<Case> {
    let bytes =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/fbank.safetensors")).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let settings = metadata.metadata().as_ref().unwrap()["settings"].clone();
    let settings: std::collections::BTreeMap<String, FbankConfig> = serde_json::from_str(&settings).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    settings
        .into_iter()
        .map(|(name, config)| {
            let samples = tensors.tensor(&format!("{name}.samples")).unwrap();
            let samples = samples.data().chunks_exact(2);
            let samples = samples
                .map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0)
                .collect();
            let features = |kind: &str| {
                let features = tensors.tensor(&format!("{name}.{kind}")).unwrap();
                let values = features.data().chunks_exact(4);
                Features {
                    values: values
                        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                        .collect(),
                    num_frames: features.shape()[0],
                    num_bins: features.shape()[1],
                }
            };
            Case {
                waveform: Waveform {
                    samples,
                    sample_rate: config.sample_rate,
                },
                expected: features("features"),
                exact: features("exact"),
                name,
                config,
            }
        })
        .collect()
}

#[test]
fn fbank_equals_torchaudio() {
    let cases = cases();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let name = case.name;
        let got = Fbank::new(&case.config).unwrap().compute(&case.waveform).unwrap();
        for (kind, reference, atol) in [("f32", case.expected, ATOL), ("f64", case.exact, ATOL_EXACT)] {
            let shape = (reference.num_frames, reference.num_bins);
            assert_eq!((got.num_frames, got.num_bins), shape, "{name}");
            let differences = got
                .values
                .iter()
                .zip(&reference.values)
                .map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, f32::max);
            println!(
                "{name}, {kind}: {} frames, largest difference {largest:.2e}",
                got.num_frames
            );
            assert!(largest <= atol, "{name}, {kind}: {largest}");
        }
    }
}

#[test]
fn fbank_of_silence_is_the_floor() {
    let waveform = Waveform {
        samples: vec![0.0; 1000],
        sample_rate: 16000,
    };
    let features = Fbank::new(&FbankConfig::kaldi())
        .unwrap()
        .compute(&waveform)
        .unwrap();
    assert_eq!(features.num_frames, 4);
    assert!(features.values.iter().all(|&x| x == f32::EPSILON.ln()));
}

#[test]
fn fbank_counts_only_whole_windows() {
    let fbank = Fbank::new(&FbankConfig::kaldi()).unwrap();
    for (samples, frames) in [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98)] {
        assert_eq!(fbank.num_frames(samples), frames, "{samples} samples");
    }
}

#[test]
fn fbank_refuses_what_it_cannot_frame() {
    let fbank = Fbank::new(&FbankConfig::kaldi()).unwrap();
    for samples in [0, 1, 399] {
        let waveform = Waveform {
            samples: vec![0.1; samples],
            sample_rate: 16000,
        };
        let error = fbank.compute(&waveform).unwrap_err();
        assert!(
            matches!(error, Error::TooShort { samples: s, window: 400 } if s == samples),
            "{error}"
        );
    }
    let waveform = Waveform {
        samples: vec![0.1; 800],
        sample_rate: 8000,
    };
    let error = fbank.compute(&waveform).unwrap_err();
    assert_eq!(
        error.to_string(),
        "waveform: sample rate: expected 16000 Hz, got 8000 Hz; resample it first"
    );
    let mut waveform = Waveform {
        samples: vec![0.1; 800],
        sample_rate: 16000,
    };
    waveform.samples[700] = f32::NAN;
    assert!(matches!(
        fbank.compute(&waveform),
        Err(Error::NotFiniteSample { index: 700 })
    ));
}

#[test]
fn fbank_refuses_settings_outside_their_domain() {
    type Change = fn(&mut FbankConfig);
    let changes: [(&str, Change); 12] = [
        ("sample_rate", |c| c.sample_rate = 0),
        ("window_ms", |c| c.window_ms = 0.0),
        ("window_ms", |c| c.window_ms = f64::NAN),
        ("shift_ms", |c| c.shift_ms = -1.0),
        ("num_bins", |c| c.num_bins = 3),
        ("num_bins", |c| c.num_bins = 400),
        ("preemphasis", |c| c.preemphasis = 1.5),
        ("dither", |c| c.dither = f64::INFINITY),
        ("low_hz", |c| c.low_hz = 9000.0),
        ("low_hz", |c| c.low_hz = f64::NAN),
        ("high_hz", |c| c.high_hz = 8001.0),
        ("high_hz", |c| c.high_hz = -8000.0),
    ];
    for (what, change) in changes {
        let mut config = FbankConfig::kaldi();
        change(&mut config);
        let error = Fbank::new(&config).err().unwrap();
        assert!(matches!(error, Error::Config { .. }), "{error}");
        assert!(error.to_string().contains(what), "{what}: {error}");
    }
}

#[test]
fn fbank_is_the_same_for_any_thread_count() {
    let fbank = Fbank::new(&FbankConfig {
        dither: 1.0,
        ..FbankConfig::kaldi()
    })
    .unwrap();
    let waveforms: Vec<_> = cases()
        .into_iter()
        .map(|c| c.waveform)
        .filter(|w| w.sample_rate == 16000)
        .collect();
    let singles: Vec<_> = waveforms.iter().map(|w| fbank.compute(w).unwrap()).collect();
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        assert!(
            pool.install(|| fbank.compute_all(&waveforms)).unwrap() == singles,
            "{threads} threads"
        );
    }
}

#[test]
fn fbank_of_many_reports_the_first_error() {
    let fbank = Fbank::new(&FbankConfig::kaldi()).unwrap();
    let of = |samples| Waveform {
        samples: vec![0.1; samples],
        sample_rate: 16000,
    };
    let error = fbank.compute_all(&[of(1000), of(7), of(8)]).unwrap_err();
    assert!(matches!(error, Error::TooShort { samples: 7, .. }), "{error}");
}

#[test]
fn dither_has_its_deviation_and_repeats() {
    // Noise of one 16-bit unit in digital silence: Σ_n w[n]² per frequency bin on average, as for white noise of
    // variance 1. The pre-emphasis is left out, so that the spectrum is flat.
    let config = FbankConfig {
        preemphasis: 0.0,
        dither: 1.0,
        ..FbankConfig::kaldi()
    };
    let fbank = Fbank::new(&config).unwrap();
    let waveform = Waveform {
        samples: vec![0.0; 64000],
        sample_rate: 16000,
    };
    let features = fbank.compute(&waveform).unwrap();
    assert_eq!(features, fbank.compute(&waveform).unwrap());
    let doubled = Fbank::new(&FbankConfig {
        dither: 2.0,
        ..config
    })
    .unwrap()
    .compute(&waveform)
    .unwrap();
    let mean = |f: &Features| f.values.iter().map(|x| f64::from(*x)).sum::<f64>() / f.values.len() as f64;
    // Twice the deviation is four times the power.
    assert!((mean(&doubled) - mean(&features) - 4f64.ln()).abs() < 1e-3);
    // The widest filters average many bins: their mean energy is Σ w² times the area of the filter.
    let window: f64 = (0..400)
        .map(|n| (0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 399.0).cos()).powf(1.7))
        .sum();
    let top: Vec<f64> = (0..features.num_frames)
        .map(|t| f64::from(features.frame(t)[78]).exp())
        .collect();
    let energy = top.iter().sum::<f64>() / top.len() as f64;
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (low, delta) = (mel(20.0), (mel(8000.0) - mel(20.0)) / 81.0);
    let (left, center, right) = (low + 78.0 * delta, low + 79.0 * delta, low + 80.0 * delta);
    let area: f64 = (0..256)
        .map(|k| mel(31.25 * f64::from(k)))
        .map(|m| {
            ((m - left) / (center - left))
                .min((right - m) / (right - center))
                .max(0.0)
        })
        .sum();
    assert!(
        (energy / (window * area) - 1.0).abs() < 0.1,
        "{energy} {}",
        window * area
    );
}

#[test]
fn fbank_config_refuses_unknown_keys() {
    let config: FbankConfig = serde_json::from_str(r#"{"num_bins": 40}"#).unwrap();
    assert_eq!(
        config,
        FbankConfig {
            num_bins: 40,
            ..FbankConfig::kaldi()
        }
    );
    let error = serde_json::from_str::<FbankConfig>(r#"{"num_bin": 40}"#).unwrap_err();
    assert!(error.to_string().contains("num_bin"), "{error}");
    let config = FbankConfig::kaldi();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<FbankConfig>(&text).unwrap(), config);
}
