//! CTC: against the collapse of every string, closed forms, differences, padding, and each utterance by itself.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{all_close, close, gradients, random_labels, values};
use sandhi_core::{Error, Labels, Lengths, Padded};
use sandhi_testkit::{Tolerance, check_gradient, poison_padding, uniform};
use sandhi_transducer::ctc_loss;

const VOCABULARY: usize = 3;

fn padded(logits: &Tensor, frames: &[usize]) -> Padded {
    Padded::new(logits.clone(), Lengths::new(frames.to_vec())).unwrap()
}

fn labels(rows: &[&[u32]], blank: u32) -> Labels {
    Labels::new(rows.iter().map(|row| row.to_vec()).collect(), blank).unwrap()
}

/// −ln of the summed probability of every string that collapses to the labels.
fn brute_force(logits: &[Vec<f64>], row: &[u32], blank: u32) -> f64 {
    let log_p = |frame: &Vec<f64>, v: u32| {
        let sum: f64 = frame.iter().map(|x| x.exp()).sum();
        frame[v as usize] - sum.ln()
    };
    let count = VOCABULARY.pow(logits.len() as u32);
    let string = |n: usize| -> Vec<u32> {
        (0..logits.len())
            .map(|t| (n / VOCABULARY.pow(t as u32) % VOCABULARY) as u32)
            .collect()
    };
    let collapses = |string: &[u32]| {
        let mut runs = string.to_vec();
        runs.dedup();
        runs.retain(|&v| v != blank);
        runs == row
    };
    let p = |string: Vec<u32>| {
        string
            .iter()
            .zip(logits)
            .map(|(&v, frame)| log_p(frame, v))
            .sum::<f64>()
            .exp()
    };
    -(0..count)
        .map(string)
        .filter(|s| collapses(s))
        .map(p)
        .sum::<f64>()
        .ln()
}

#[test]
fn ctc_loss_equals_brute_force() {
    for blank in 0..VOCABULARY as u32 {
        let frames = [5, 3, 4, 6, 1];
        let (a, b) = ((blank + 1) % 3, (blank + 2) % 3);
        let rows: [&[u32]; 5] = [&[a, b], &[a, a], &[], &[b, a, a], &[b]];
        let logits = uniform(u64::from(blank), &[5, 6, VOCABULARY], -2.0, 2.0).unwrap();
        let logits = poison_padding(&logits, &Lengths::new(frames.to_vec()), f64::NAN).unwrap();
        let loss = values(&ctc_loss(&padded(&logits, &frames), &labels(&rows, blank)).unwrap());
        for (i, loss) in loss.into_iter().enumerate() {
            let logits = logits.get(i).unwrap().to_vec2::<f64>().unwrap();
            close(loss, brute_force(&logits[..frames[i]], rows[i], blank), 1e-12);
        }
    }
}

/// With U distinct labels there are C(T + U, 2U) alignments, each of probability V^−T.
#[test]
fn ctc_loss_of_uniform_logits_counts_alignments() {
    let logits = Tensor::full(0.7f64, (2, 6, 8), &Device::Cpu).unwrap();
    let loss = ctc_loss(&padded(&logits, &[6, 4]), &labels(&[&[1, 2, 3], &[4]], 0)).unwrap();
    let expected = [6.0 * 8f64.ln() - 84f64.ln(), 4.0 * 8f64.ln() - 10f64.ln()];
    all_close(&values(&loss), &expected, 1e-12);
}

#[test]
fn ctc_loss_gradient_equals_differences() {
    let logits = uniform(3, &[3, 6, 5], -2.0, 2.0).unwrap();
    let labels = labels(&[&[1, 1, 3], &[2, 4], &[]], 0);
    let f = |x: &[Tensor]| ctc_loss(&padded(&x[0], &[6, 3, 2]), &labels);
    check_gradient(std::slice::from_ref(&logits), f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn ctc_loss_ignores_padding() {
    let frames = [7, 2, 5];
    let labels = random_labels(5, &[3, 1, 2], 6, 2);
    let clean = uniform(4, &[3, 7, 6], -2.0, 2.0).unwrap();
    let run = |poison: f64| {
        let logits = poison_padding(&clean, &Lengths::new(frames.to_vec()), poison).unwrap();
        let loss = |x: &[Tensor]| ctc_loss(&padded(&x[0], &frames), &labels).unwrap();
        let grads = gradients(std::slice::from_ref(&logits), loss);
        [values(&loss(&[logits])), values(&grads[0])]
    };
    let expected = run(0.0);
    for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30] {
        assert_eq!(run(poison), expected, "{poison}");
    }
}

#[test]
fn ctc_loss_of_a_batch_equals_its_singles() {
    let frames = [7, 4];
    let logits = uniform(6, &[2, 7, 6], -2.0, 2.0)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    let both = labels(&[&[1, 2, 2], &[5]], 0);
    let batch = values(&ctc_loss(&padded(&logits, &frames), &both).unwrap());
    for (i, &n) in frames.iter().enumerate() {
        let one = logits.narrow(0, i, 1).unwrap().narrow(1, 0, n).unwrap();
        let row = labels(&[&both.rows()[i]], 0);
        assert_eq!(values(&ctc_loss(&padded(&one, &[n]), &row).unwrap()), [batch[i]]);
    }
}

/// Logits a thousand apart, and two frames for one certain label: no overflow, and the loss is what is left over.
#[test]
fn ctc_loss_survives_extreme_logits() {
    let logits = Tensor::new(&[[[-1e3f32, 1e3], [1e3, -1e3]]], &Device::Cpu).unwrap();
    let loss = |row: &[u32]| values(&ctc_loss(&padded(&logits, &[2]), &labels(&[row], 0)).unwrap())[0];
    assert_eq!(loss(&[1]), 0.0);
    assert_eq!(loss(&[]), 2e3);
}

#[test]
fn ctc_loss_without_alignment_names_the_utterance() {
    let logits = uniform(7, &[2, 3, 4], -1.0, 1.0).unwrap();
    // Two equal labels need a blank between them: three frames, not two.
    let error = ctc_loss(&padded(&logits, &[3, 2]), &labels(&[&[1, 1], &[1, 1]], 0)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoAlignment {
                utterance: 1,
                frames: 2,
                labels: 2
            }
        ),
        "{error}"
    );
    let tracked = candle_core::Var::from_tensor(&logits).unwrap();
    assert!(
        ctc_loss(
            &padded(tracked.as_tensor(), &[3, 2]),
            &labels(&[&[1], &[1, 1]], 0)
        )
        .is_err()
    );
}

#[test]
fn ctc_loss_refuses_what_does_not_fit() {
    let logits = uniform(8, &[1, 3, 4], -1.0, 1.0).unwrap();
    let error = |rows: &[&[u32]], blank| ctc_loss(&padded(&logits, &[3]), &labels(rows, blank)).unwrap_err();
    assert!(matches!(error(&[&[4]], 0), Error::Label { .. }));
    assert!(matches!(error(&[&[1]], 4), Error::Invalid { what: "blank", .. }));
    assert!(matches!(error(&[&[1], &[1]], 0), Error::BatchSize { .. }));
}

#[test]
fn ctc_loss_shows_nan_instead_of_hiding_it() {
    for v in [0, 1, 3] {
        let mut logits = vec![0.5f64; 3 * 4];
        logits[4 + v] = f64::NAN;
        let logits = Tensor::from_vec(logits, (1, 3, 4), &Device::Cpu).unwrap();
        assert!(values(&ctc_loss(&padded(&logits, &[3]), &labels(&[&[1]], 0)).unwrap())[0].is_nan());
    }
}
