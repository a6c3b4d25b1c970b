//! CTC's chain against the recursions over semirings, which are the definition: lattices wider than a vector, labels that
//! repeat, scores that leave little room.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Tensor};
use common::{all_close, close, gradients, random_labels, values};
use sandhi_core::{Labels, Lengths, Padded};
use sandhi_lattice::{Ctc, Log, Moments, Semiring};
use sandhi_testkit::uniform;
use sandhi_transducer::CtcScores;

/// One utterance: logits `[1, T, V]`, costs `[1, T, U]`, and the lattice's answers.
struct Case {
    logits: Tensor,
    cost: Tensor,
    labels: Labels,
    frames: usize,
    vocabulary: usize,
}

impl Case {
    /// Few symbols, so that many labels equal their neighbour; as many frames as needed, or more.
    fn new(seed: u64, length: usize, slack: usize, spread: f64) -> Self {
        let vocabulary = 3 + seed as usize % 3;
        let labels = random_labels(seed, &[length], vocabulary as u32, seed as u32 % 3);
        let frames = Ctc::new(0, &labels.rows()[0]).shortest() + slack;
        Self {
            logits: uniform(seed + 1, &[1, frames, vocabulary], -spread, spread).unwrap(),
            cost: uniform(seed + 2, &[1, frames, length], -1.0, 3.0).unwrap(),
            labels,
            frames,
            vocabulary,
        }
    }

    fn many() -> impl Iterator<Item = Self> {
        let lengths = [1, 6, 7, 8, 9, 15, 16, 17, 30];
        (0..36).map(move |i| {
            let (slack, spread) = ([1, 0, 3, 20][i % 4], [1.0, 8.0, 40.0][i % 3]);
            Self::new(10 * i as u64, lengths[i % lengths.len()], slack, spread)
        })
    }

    fn lattice(&self) -> Ctc<'_> {
        Ctc::new(self.frames, &self.labels.rows()[0])
    }

    fn scores(&self, logits: &Tensor) -> CtcScores {
        let logits = Padded::new(logits.clone(), Lengths::new(vec![self.frames])).unwrap();
        CtcScores::new(&logits, &self.labels).unwrap()
    }

    /// ln p of the symbol that a state reads.
    fn log_p(&self) -> impl Fn(usize, usize) -> f64 {
        let (symbols, columns) = (
            values(self.scores(&self.logits).symbols()),
            self.labels.max_len() + 1,
        );
        move |t, state| symbols[t * columns + if state % 2 == 1 { state / 2 + 1 } else { 0 }]
    }

    /// What a state costs at a frame.
    fn cost(&self) -> impl Fn(usize, usize) -> f64 {
        let (cost, labels) = (values(&self.cost), self.labels.max_len());
        move |t, state| {
            if state % 2 == 1 {
                cost[t * labels + state / 2]
            } else {
                0.0
            }
        }
    }

    /// The symbol that a state reads.
    fn symbol(&self, state: usize) -> usize {
        let label = self.lattice().label(state);
        label.map_or(self.labels.blank(), |u| self.labels.rows()[0][u]) as usize
    }

    /// Every state at every frame.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let states = self.lattice().states();
        (0..self.frames).flat_map(move |t| (0..states).map(move |state| (t, state)))
    }

    fn gradient(&self, f: impl Fn(&CtcScores) -> Tensor) -> Vec<f64> {
        let from = |x: &[Tensor]| f(&self.scores(&x[0]));
        values(&gradients(std::slice::from_ref(&self.logits), from)[0])
    }
}

#[test]
fn ctc_loss_equals_the_semirings() {
    for case in Case::many() {
        let log_p = case.log_p();
        let gamma = case.lattice().posteriors(&log_p);
        close(
            values(&case.scores(&case.logits).loss().unwrap())[0],
            -gamma.log_total(),
            1e-12,
        );
        let mut expected: Vec<f64> = Vec::new();
        for frame in case.logits.get(0).unwrap().to_vec2::<f64>().unwrap() {
            let sum: f64 = frame.iter().map(|x| x.exp()).sum();
            expected.extend(frame.iter().map(|x| x.exp() / sum));
        }
        for (t, state) in case.places() {
            expected[t * case.vocabulary + case.symbol(state)] -= gamma.state(t, state);
        }
        all_close(&case.gradient(|scores| scores.loss().unwrap()), &expected, 1e-11);
    }
}

#[test]
fn ctc_costs_equal_the_semirings() {
    for case in Case::many() {
        let (log_p, cost) = (case.log_p(), case.cost());
        let weight = |t, state| Moments::arc(log_p(t, state), cost(t, state));
        let (alpha, beta) = (case.lattice().forward(weight), case.lattice().backward(weight));
        let all = beta.at(0, 0);
        let scores = case.scores(&case.logits);
        close(
            values(&scores.expected_cost(&case.cost).unwrap())[0],
            all.mean,
            1e-10,
        );
        close(
            values(&scores.cost_variance(&case.cost).unwrap())[0],
            all.variance,
            1e-9,
        );
        let tilted = case
            .lattice()
            .total(|t, state| Log(log_p(t, state) - cost(t, state)));
        close(
            values(&scores.soft_cost(&case.cost).unwrap())[0],
            all.log_p - tilted.0,
            1e-10,
        );
        let (mut by_mean, mut by_variance) = (vec![0.0; case.frames * case.vocabulary], vec![]);
        by_variance.clone_from(&by_mean);
        for (t, state) in case.places() {
            let through = alpha.at(t + 1, state).times(beta.at(t + 1, state));
            let gamma = (through.log_p - all.log_p).exp();
            if gamma > 0.0 {
                let (at, apart) = (t * case.vocabulary + case.symbol(state), through.mean - all.mean);
                by_mean[at] += gamma * apart;
                by_variance[at] += gamma * (through.variance + apart * apart - all.variance);
            }
        }
        let gradient = |f: fn(&CtcScores, &Tensor) -> sandhi_core::Result<Tensor>| {
            case.gradient(|scores| f(scores, &case.cost).unwrap())
        };
        all_close(&gradient(CtcScores::expected_cost), &by_mean, 1e-9);
        all_close(&gradient(CtcScores::cost_variance), &by_variance, 1e-8);
    }
}

/// A minute of speech with 300 labels: every frame reads one symbol, in f32 as in f64.
#[test]
fn ctc_posteriors_of_long_speech_sum_to_one() {
    let case = Case::new(5, 300, 1300, 6.0);
    let scores = case.scores(&case.logits);
    let single = case.scores(&case.logits.to_dtype(DType::F32).unwrap());
    let gamma = scores.label_posteriors().unwrap();
    let labels = values(&gamma.sum(2).unwrap());
    // What the loss takes from the blank's logit beyond its probability is the blank's posterior.
    let gradient = case.gradient(|scores| scores.loss().unwrap());
    let blank = case.labels.blank() as usize;
    for (t, frame) in case
        .logits
        .get(0)
        .unwrap()
        .to_vec2::<f64>()
        .unwrap()
        .iter()
        .enumerate()
    {
        let p = frame[blank].exp() / frame.iter().map(|x| x.exp()).sum::<f64>();
        close(labels[t] + p - gradient[t * case.vocabulary + blank], 1.0, 1e-11);
    }
    let difference = (gamma - single.label_posteriors().unwrap().to_dtype(DType::F64).unwrap()).unwrap();
    let worst = values(&difference.abs().unwrap()).into_iter().fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");
}
