//! What CTC's alignments cost, how uncertain they are, and the best of them: against every string of symbols.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{close, gradients, values};
use sandhi_core::{Error, Labels, Lengths, Padded};
use sandhi_testkit::{Tolerance, check_gradient, poison_padding, uniform};
use sandhi_transducer::CtcScores;

const V: usize = 3;
const BLANK: u32 = 1;
const FRAMES: [usize; 5] = [5, 4, 3, 6, 1];

fn labels() -> Labels {
    let rows: [&[u32]; 5] = [&[0, 2], &[0, 0], &[], &[2, 0, 0], &[2]];
    Labels::new(rows.iter().map(|row| row.to_vec()).collect(), BLANK).unwrap()
}

fn logits(poison: f64) -> Tensor {
    let logits = uniform(3, &[5, 6, V], -2.0, 2.0).unwrap();
    poison_padding(&logits, &Lengths::new(FRAMES.to_vec()), poison).unwrap()
}

/// Costs with poison where no label is read.
fn costs(poison: f64) -> Tensor {
    let mut costs = values(&uniform(4, &[5, 6, 3], -1.0, 3.0).unwrap());
    for (i, cost) in costs.iter_mut().enumerate() {
        let (b, t, u) = (i / 18, i / 3 % 6, i % 3);
        if t >= FRAMES[b] || u >= labels().rows()[b].len() {
            *cost = poison;
        }
    }
    Tensor::from_vec(costs, (5, 6, 3), &Device::Cpu).unwrap()
}

fn scores(logits: &Tensor) -> CtcScores {
    let logits = Padded::new(logits.clone(), Lengths::new(FRAMES.to_vec())).unwrap();
    CtcScores::new(&logits, &labels()).unwrap()
}

/// One alignment: the label index read at each frame, its probability given the labels, and its cost.
struct Alignment {
    reads: Vec<Option<usize>>,
    p: f64,
    cost: f64,
}

fn alignments(b: usize) -> Vec<Alignment> {
    let (frames, row) = (FRAMES[b], labels().rows()[b].clone());
    let logits = logits(0.0).get(b).unwrap().to_vec2::<f64>().unwrap();
    let costs = costs(0.0).get(b).unwrap().to_vec2::<f64>().unwrap();
    let string = |n: usize| (0..frames).map(move |t| (n / V.pow(t as u32) % V) as u32);
    let mut found = vec![];
    for n in 0..V.pow(frames as u32) {
        let string: Vec<u32> = string(n).collect();
        // Which label each frame reads: a new one wherever the symbol changes.
        let (mut reads, mut emitted, mut last) = (vec![], vec![], BLANK);
        for &symbol in &string {
            if symbol != BLANK && symbol != last {
                emitted.push(symbol);
            }
            reads.push((symbol != BLANK).then(|| emitted.len().saturating_sub(1)));
            last = symbol;
        }
        if emitted != row {
            continue;
        }
        let p = |(t, &v): (usize, &u32)| {
            logits[t][v as usize].exp() / logits[t].iter().map(|x| x.exp()).sum::<f64>()
        };
        let cost = reads
            .iter()
            .enumerate()
            .map(|(t, u)| u.map_or(0.0, |u| costs[t][u]));
        found.push(Alignment {
            p: string.iter().enumerate().map(p).product(),
            cost: cost.sum(),
            reads,
        });
    }
    let total: f64 = found.iter().map(|a| a.p).sum();
    found.iter_mut().for_each(|a| a.p /= total);
    found
}

#[test]
fn ctc_costs_equal_brute_force() {
    let (scores, costs) = (scores(&logits(f64::NAN)), costs(f64::NAN));
    let expected = values(&scores.expected_cost(&costs).unwrap());
    let variance = values(&scores.cost_variance(&costs).unwrap());
    let soft = values(&scores.soft_cost(&costs).unwrap());
    let entropy = values(&scores.alignment_entropy().unwrap());
    for b in 0..FRAMES.len() {
        let all = alignments(b);
        let mean: f64 = all.iter().map(|a| a.p * a.cost).sum();
        close(expected[b], mean, 1e-12);
        close(
            variance[b],
            all.iter().map(|a| a.p * (a.cost - mean).powi(2)).sum(),
            1e-12,
        );
        close(
            soft[b],
            -all.iter().map(|a| a.p * (-a.cost).exp()).sum::<f64>().ln(),
            1e-12,
        );
        close(
            entropy[b],
            -all.iter().map(|a| a.p * a.p.ln()).sum::<f64>(),
            1e-12,
        );
    }
}

#[test]
fn ctc_cost_gradients_equal_differences() {
    let inputs = [logits(0.5), costs(0.5)];
    type Loss = fn(&CtcScores, &Tensor) -> sandhi_core::Result<Tensor>;
    let losses: [Loss; 3] = [
        CtcScores::expected_cost,
        CtcScores::cost_variance,
        CtcScores::soft_cost,
    ];
    for loss in losses {
        check_gradient(&inputs, |x| loss(&scores(&x[0]), &x[1]), Tolerance::GRADIENT).unwrap();
    }
    check_gradient(
        &inputs[..1],
        |x| scores(&x[0]).alignment_entropy(),
        Tolerance::GRADIENT,
    )
    .unwrap();
}

#[test]
fn ctc_label_posteriors_equal_the_gradient() {
    let gamma = values(&scores(&logits(f64::NAN)).label_posteriors().unwrap());
    let from = |x: &[Tensor]| scores(&logits(f64::NAN)).detach().expected_cost(&x[0]).unwrap();
    let gradient = gradients(&[costs(0.0)], from);
    common::all_close(&gamma, &values(&gradient[0]), 1e-12);
    for b in 0..FRAMES.len() {
        let all = alignments(b);
        for (t, u) in (0..FRAMES[b]).flat_map(|t| (0..3).map(move |u| (t, u))) {
            let p: f64 = all.iter().filter(|a| a.reads[t] == Some(u)).map(|a| a.p).sum();
            close(gamma[(b * 6 + t) * 3 + u], p, 1e-12);
        }
    }
}

#[test]
fn ctc_viterbi_equals_brute_force() {
    let scores = scores(&logits(f64::NAN));
    let loss = values(&scores.loss().unwrap());
    for (b, found) in scores.viterbi().unwrap().into_iter().enumerate() {
        let best = alignments(b)
            .into_iter()
            .max_by(|a, b| a.p.total_cmp(&b.p))
            .unwrap();
        let first = |u: usize| best.reads.iter().position(|read| *read == Some(u)).unwrap();
        let frames: Vec<usize> = (0..labels().rows()[b].len()).map(first).collect();
        assert_eq!(found.frames, frames);
        close(found.score, best.p.ln() - loss[b], 1e-12);
    }
}

#[test]
fn ctc_n_best_alignments_equal_brute_force() {
    let scores = scores(&logits(f64::NAN));
    let loss = values(&scores.loss().unwrap());
    for (b, found) in scores.n_best_alignments(4).unwrap().into_iter().enumerate() {
        let mut all = alignments(b);
        all.sort_by(|a, b| b.p.total_cmp(&a.p));
        assert_eq!(found.len(), all.len().min(4));
        for (found, expected) in found.iter().zip(&all) {
            let first = |u: usize| expected.reads.iter().position(|read| *read == Some(u)).unwrap();
            let frames: Vec<usize> = (0..labels().rows()[b].len()).map(first).collect();
            assert_eq!(found.frames, frames);
            close(found.score, expected.p.ln() - loss[b], 1e-12);
        }
    }
    assert!(scores.n_best_alignments(0).unwrap().iter().all(Vec::is_empty));
}

#[test]
fn ctc_viterbi_is_the_first_of_the_n_best() {
    // Ties everywhere, and none.
    for logits in [logits(0.0).zeros_like().unwrap(), logits(0.0)] {
        let scores = scores(&logits);
        let best = scores.n_best_alignments(1).unwrap().concat();
        assert_eq!(scores.viterbi().unwrap(), best);
    }
}

#[test]
fn ctc_costs_refuse_what_does_not_fit() {
    let scores = scores(&logits(0.0));
    let wrong = Tensor::zeros((5, 6, 2), DType::F64, &Device::Cpu).unwrap();
    assert!(matches!(
        scores.expected_cost(&wrong).unwrap_err(),
        Error::Shape { what: "cost", .. }
    ));
    let single = costs(0.0).to_dtype(DType::F32).unwrap();
    assert!(matches!(
        scores.soft_cost(&single).unwrap_err(),
        Error::Shape { what: "cost", .. }
    ));
    let short = Padded::new(logits(0.0), Lengths::new(vec![5, 2, 3, 6, 1])).unwrap();
    let scores = CtcScores::new(&short, &labels()).unwrap();
    for error in [
        scores.viterbi().unwrap_err(),
        scores.n_best_alignments(2).unwrap_err(),
        scores.label_posteriors().unwrap_err(),
        scores.loss().unwrap_err(),
    ] {
        assert!(matches!(
            error,
            Error::NoAlignment {
                utterance: 1,
                frames: 2,
                labels: 2
            }
        ));
    }
}
