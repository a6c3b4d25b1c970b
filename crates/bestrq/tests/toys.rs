//! Pre-training learns what can be predicted, and does not learn what cannot.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use common::{config, encoder_frames, label, quantizer, values};
use sandhi_bestrq::{MaskConfig, MaskedLoss, MaskedPrediction, Stacking, codebook_usage, mask};
use sandhi_conformer::{Conformer, ConformerConfig, ConvSubsampling};
use sandhi_core::Padded;
use sandhi_nn::{AttentionContext, Mode, Params};
use sandhi_testkit::uniform;

const BINS: usize = 8;
const CODES: usize = 8;
const DIM: usize = 16;
const STEPS: u64 = 150;
/// An eighth of a second of noise, two or three encoder frames.
const MASK: MaskConfig = MaskConfig {
    probability: 0.03,
    span: 12,
    noise_std: 0.1,
};

/// Sixteen utterances of unequal length whose values are `value(draw, feature frame, bin)`.
fn utterances(seed: u64, value: impl Fn(&dyn Fn(usize) -> f64, usize, usize) -> f64) -> Padded {
    let rows: Vec<Vec<f32>> = (0..16)
        .map(|b| {
            let draws = values(&uniform(100 * seed + b, &[2000], 0.0, 1.0).unwrap());
            let draw = |i: usize| draws[i];
            let frames = 100 + 5 * b as usize;
            let cells = (0..frames).flat_map(|i| (0..BINS).map(move |f| (i, f)));
            cells.map(|(i, f)| value(&draw, i, f) as f32).collect()
        })
        .collect();
    Padded::from_rows(&rows, BINS, &Device::Cpu).unwrap()
}

/// A slow wave whose phase and speed differ between utterances, shifted from bin to bin. Mean 0, variance 1.
fn waves(seed: u64) -> Padded {
    utterances(seed, |draw, i, f| {
        let (phase, speed) = (draw(0), 1.0 / (40.0 + 20.0 * draw(1)));
        2f64.sqrt() * (std::f64::consts::TAU * (phase + speed * i as f64 + f as f64 / 8.0)).sin()
    })
}

/// Independent values: nothing visible tells anything about what is hidden.
fn white_noise(seed: u64) -> Padded {
    let bound = 3f64.sqrt();
    utterances(seed, |draw, i, f| bound * (2.0 * draw(i * BINS + f) - 1.0))
}

/// Trains on masked batches of a signal; the accuracy on masked frames of new utterances, that of always guessing the most
/// frequent code, and the number of frames they were measured on.
fn pretrain(signal: fn(u64) -> Padded) -> (f64, f64, usize) {
    let quantizer = quantizer(&config(BINS, 1, CODES, 4), 5);
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let sizes = ConformerConfig {
        dim: DIM,
        heads: 2,
        kernel: 7,
        feed_forward: 32,
        dropout: 0.0,
        recompute: false,
        context: AttentionContext::Full,
    };
    let subsampling = ConvSubsampling::new(BINS, 8, DIM, &params.scope("subsampling")).unwrap();
    let encoder = Conformer::new(&sizes, 1, &params.scope("encoder")).unwrap();
    let head = MaskedPrediction::new(DIM, 1, CODES, &params.scope("head")).unwrap();
    let predict = |features: &Padded, seed: u64| -> MaskedLoss {
        let frames = encoder_frames(features);
        let targets = quantizer.targets(features, &frames).unwrap();
        let seeds: Vec<u64> = (0..16).map(|b| 16 * seed + b).collect();
        let masked = mask(features, &frames, &Stacking::BY_FOUR, &MASK, &seeds).unwrap();
        let encoded = encoder.encode(&subsampling.forward(&masked.features).unwrap(), Mode::Eval);
        head.loss(&encoded.unwrap(), &targets, &masked.frames).unwrap()
    };
    let settings = ParamsAdamW {
        lr: 5e-3,
        weight_decay: 0.0,
        ..ParamsAdamW::default()
    };
    let vars = params.vars().into_iter().map(|(_, var)| var).collect();
    let mut optimizer = AdamW::new(vars, settings).unwrap();
    for step in 0..STEPS {
        let found = predict(&signal(step), step);
        let loss = (found.per_utterance.sum_all().unwrap() / found.total_masked() as f64).unwrap();
        optimizer.backward_step(&loss).unwrap();
    }
    let (mut correct, mut total) = (0, 0);
    let mut targets = vec![];
    for step in STEPS..STEPS + 10 {
        let found = predict(&signal(step), step);
        correct += found.num_correct[0];
        total += found.total_masked();
        targets.push(label(&quantizer, &signal(step)));
    }
    let usage = codebook_usage(&targets).unwrap();
    (correct as f64 / total as f64, usage[0].top_share(), total)
}

#[test]
fn pretraining_predicts_slow_waves() {
    let (accuracy, guessing, _) = pretrain(waves);
    assert!(guessing < 0.5, "the codes are too easy: {guessing}");
    assert!(
        accuracy > guessing + 0.3 && accuracy > 0.7,
        "{accuracy} against {guessing}"
    );
}

#[test]
fn pretraining_does_not_predict_white_noise() {
    let (accuracy, guessing, frames) = pretrain(white_noise);
    assert!(frames > 500);
    // Three standard errors of a share are at most 1.5 / √n.
    let bound = 1.5 / (frames as f64).sqrt();
    assert!(
        accuracy < guessing + bound,
        "{accuracy} against {guessing} on {frames} frames"
    );
}
