//! Random batches, enumeration and gradients, for all proofs.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used
)]

use candle_core::{DType, Device, Tensor, Var};
use sandhi_core::{ArcScores, Labels, Lengths, Result};
use sandhi_lattice::{Arc, Extent, Step, Transducer, oracle};
use sandhi_testkit::uniform;

/// A batch of arc scores and costs in f64, with padding that nobody may read.
pub struct Batch {
    pub blank: Tensor,
    pub label: Tensor,
    pub cost: Tensor,
    pub frames: Lengths,
    pub labels: Lengths,
}

impl Batch {
    /// One utterance per extent; scores in −3..0, costs in −1..3, and `poison` everywhere else.
    pub fn new(seed: u64, extents: &[(usize, usize)], poison: f64) -> Self {
        let batch = extents.len();
        let frames = Lengths::new(extents.iter().map(|e| e.0).collect());
        let labels = Lengths::new(extents.iter().map(|e| e.1).collect());
        let (t, u) = (frames.max(), labels.max());
        let blank = uniform(seed, &[batch, t, u + 1], -3.0, 0.0).unwrap();
        let label = uniform(seed + 1, &[batch, t, u], -3.0, 0.0).unwrap();
        let cost = uniform(seed + 2, &[batch, t, u], -1.0, 3.0).unwrap();
        Self {
            blank: poisoned(&blank, |b, t, u| t < frames.get(b) && u <= labels.get(b), poison),
            label: poisoned(&label, |b, t, u| t < frames.get(b) && u < labels.get(b), poison),
            cost: poisoned(&cost, |b, t, u| t < frames.get(b) && u < labels.get(b), poison),
            frames,
            labels,
        }
    }

    /// Every lattice up to 5 frames by 4 labels, in one ragged batch.
    pub fn every_extent(seed: u64) -> Self {
        let extents: Vec<_> = (1..=5).flat_map(|t| (0..=4).map(move |u| (t, u))).collect();
        Self::new(seed, &extents, f64::NAN)
    }

    pub fn arcs(&self) -> ArcScores {
        let (blank, label) = (self.blank.clone(), self.label.clone());
        ArcScores::new(blank, label, self.frames.clone(), self.labels.clone()).unwrap()
    }

    pub fn arcs_of(&self, blank: &Tensor, label: &Tensor) -> Result<ArcScores> {
        ArcScores::new(
            blank.clone(),
            label.clone(),
            self.frames.clone(),
            self.labels.clone(),
        )
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn extent(&self, b: usize) -> Extent {
        Extent {
            frames: self.frames.get(b),
            labels: self.labels.get(b),
        }
    }

    /// All paths of utterance `b` with their probability and cost.
    pub fn paths(&self, b: usize) -> Vec<(Vec<Arc>, f64, f64)> {
        let grid = |x: &Tensor| x.get(b).unwrap().to_vec2::<f64>().unwrap();
        let (blank, label, cost) = (grid(&self.blank), grid(&self.label), grid(&self.cost));
        oracle::paths(Transducer, self.extent(b))
            .map(|path| {
                let score = |arc: &Arc| match arc.step {
                    Step::Blank => blank[arc.t][arc.u],
                    Step::Label => label[arc.t][arc.u],
                };
                let price = |arc: &Arc| {
                    if arc.step == Step::Label {
                        cost[arc.t][arc.u]
                    } else {
                        0.0
                    }
                };
                let p = path.iter().map(score).sum::<f64>().exp();
                let d = path.iter().map(price).sum();
                (path, p, d)
            })
            .collect()
    }
}

/// `x` with `poison` in all cells `[b, i, ..]` and `[b, i, j, ..]` that are not valid.
pub fn poisoned(x: &Tensor, valid: impl Fn(usize, usize, usize) -> bool, poison: f64) -> Tensor {
    let dims = x.dims().to_vec();
    let inner: usize = dims[3..].iter().product();
    let mut values = x
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f64>()
        .unwrap();
    for (n, cell) in values.chunks_exact_mut(inner.max(1)).enumerate() {
        let (b, t, u) = (n / (dims[1] * dims[2]), n / dims[2] % dims[1], n % dims[2]);
        if !valid(b, t, u) {
            cell.fill(poison);
        }
    }
    Tensor::from_vec(values, dims, &Device::Cpu)
        .unwrap()
        .to_dtype(x.dtype())
        .unwrap()
}

pub fn values(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[track_caller]
pub fn close(got: f64, expected: f64, tolerance: f64) {
    let same = got == expected || (got - expected).abs() <= tolerance * expected.abs().max(1.0);
    assert!(same, "expected {expected}, got {got}");
}

#[track_caller]
pub fn all_close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    got.iter()
        .zip(expected)
        .for_each(|(&got, &expected)| close(got, expected, tolerance));
}

/// Gradients of the sum of `f`, with respect to each of `inputs`.
pub fn gradients(inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Tensor) -> Vec<Tensor> {
    let vars: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let grads = f(&tracked).sum_all().unwrap().backward().unwrap();
    vars.iter()
        .map(|v| grads.get(v).expect("a gradient for every input").clone())
        .collect()
}

/// Label rows drawn from 0..vocabulary without the blank.
pub fn random_labels(seed: u64, lengths: &[usize], vocabulary: u32, blank: u32) -> Labels {
    let max = lengths.iter().copied().max().unwrap_or(0).max(1);
    let draws = uniform(seed, &[lengths.len(), max], 0.0, f64::from(vocabulary - 1)).unwrap();
    let draws = draws.to_vec2::<f64>().unwrap();
    let id = |x: f64| {
        if (x as u32) < blank {
            x as u32
        } else {
            x as u32 + 1
        }
    };
    let rows = draws
        .iter()
        .zip(lengths)
        .map(|(row, &n)| row[..n].iter().map(|&x| id(x)).collect())
        .collect();
    Labels::new(rows, blank).unwrap()
}
