//! Transducers made of a function, and every path through them.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;

use sandhi_core::{Lengths, Stepwise};
use sandhi_transducer::{Emission, Normalize};

pub const EMISSIONS: [Emission; 4] = [
    Emission::UpTo(1),
    Emission::UpTo(2),
    Emission::UpTo(3),
    Emission::One,
];
pub const NORMALIZES: [Normalize; 2] = [Normalize::Softmax, Normalize::Hat];

/// A transducer whose logits are any function of (utterance, frame, labels so far, id).
pub struct Toy<F> {
    pub frames: Lengths,
    pub vocabulary: usize,
    pub blank: u32,
    pub logit: F,
}

impl<F: Fn(usize, usize, &[u32], usize) -> f64 + Sync> Toy<F> {
    pub fn new(frames: &[usize], vocabulary: usize, blank: u32, logit: F) -> Self {
        Self {
            frames: Lengths::new(frames.to_vec()),
            vocabulary,
            blank,
            logit,
        }
    }

    /// The probabilities of all arcs out of a node, straight from their definition.
    pub fn probabilities(&self, b: usize, t: usize, labels: &[u32], normalize: Normalize) -> Vec<f64> {
        let odds: Vec<f64> = (0..self.vocabulary)
            .map(|id| (self.logit)(b, t, labels, id).exp())
            .collect();
        let (blank, total) = (self.blank as usize, odds.iter().sum::<f64>());
        let p = |id: usize| match normalize {
            Normalize::Softmax => odds[id] / total,
            Normalize::Hat if id == blank => odds[blank] / (1.0 + odds[blank]),
            Normalize::Hat => odds[id] / (total - odds[blank]) / (1.0 + odds[blank]),
        };
        (0..self.vocabulary).map(p).collect()
    }
}

impl<F: Fn(usize, usize, &[u32], usize) -> f64 + Sync> Stepwise for Toy<F> {
    type State = Vec<u32>;

    fn frames(&self) -> &Lengths {
        &self.frames
    }

    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn blank(&self) -> u32 {
        self.blank
    }

    fn start(&self) -> Vec<u32> {
        vec![]
    }

    fn advance(&self, state: &Vec<u32>, label: u32) -> Vec<u32> {
        assert_ne!(label, self.blank, "the blank is no label");
        [&state[..], &[label]].concat()
    }

    fn scores(&self, utterance: usize, frame: usize, state: &Vec<u32>, scores: &mut [f64]) {
        assert_eq!(scores.len(), self.vocabulary);
        assert!(
            frame < self.frames.get(utterance),
            "frame {frame} is not of the utterance"
        );
        for (id, score) in scores.iter_mut().enumerate() {
            *score = (self.logit)(utterance, frame, state, id);
        }
    }
}

/// A logit in −3..3 that depends on the labels so far, and on everything else.
pub fn random(seed: u64) -> impl Fn(usize, usize, &[u32], usize) -> f64 + Sync {
    move |b, t, labels, id| {
        let parts = [seed, b as u64, t as u64, id as u64, labels.len() as u64];
        let parts = parts
            .into_iter()
            .chain(labels.iter().map(|&label| u64::from(label)));
        let key = parts.fold(0, |key, part| {
            mixed(key ^ part.wrapping_mul(0xD129_0E7C_59A4_3E8D))
        });
        6.0 * (key >> 11) as f64 / (1u64 << 53) as f64 - 3.0
    }
}

/// splitmix64
fn mixed(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What all paths of a label sequence come to.
#[derive(Clone, Debug, Default)]
pub struct Exact {
    /// The sum of their probabilities.
    pub p: f64,
    /// The probability of the best, and where it emits.
    pub best: f64,
    pub frames: Vec<usize>,
}

/// Every label sequence of an utterance, by walking every path to its end.
pub fn enumerate<F: Fn(usize, usize, &[u32], usize) -> f64 + Sync>(
    toy: &Toy<F>,
    b: usize,
    emission: Emission,
    normalize: Normalize,
) -> BTreeMap<Vec<u32>, Exact> {
    let mut found = BTreeMap::new();
    let mut unfinished = vec![(1.0, 0, 0, vec![], vec![])];
    while let Some((p, t, here, labels, frames)) = unfinished.pop() {
        if t == toy.frames.get(b) {
            let exact: &mut Exact = found.entry(labels).or_default();
            exact.p += p;
            if p > exact.best {
                (exact.best, exact.frames) = (p, frames);
            }
            continue;
        }
        for (id, q) in toy
            .probabilities(b, t, &labels, normalize)
            .into_iter()
            .enumerate()
        {
            if id == toy.blank as usize {
                unfinished.push((p * q, t + 1, 0, labels.clone(), frames.clone()));
                continue;
            }
            let longer = [&labels[..], &[id as u32]].concat();
            let emitted = [&frames[..], &[t]].concat();
            match emission {
                Emission::One => unfinished.push((p * q, t + 1, 0, longer, emitted)),
                Emission::UpTo(most) if here < most => {
                    unfinished.push((p * q, t, here + 1, longer, emitted));
                }
                Emission::UpTo(_) => {}
            }
        }
    }
    found
}
