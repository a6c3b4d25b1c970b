//! Small batches of costs, and every alignment of each, one by one.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use candle_core::{DType, Tensor, Var};
use sandhi_align::Moves;
use sandhi_core::{ArcScores, Consistency, Lengths, Padded, Pair};
use sandhi_testkit::{poison_padding, uniform};

pub const ALL: [Moves; 5] = [
    Moves::EveryLabel,
    Moves::EveryLabelStrict,
    Moves::EveryFrame,
    Moves::Forced,
    Moves::Warping,
];

/// The readings whose alignments of an utterance all have equally many cells.
pub const OF_ONE_SIZE: [Moves; 4] = [
    Moves::EveryLabel,
    Moves::EveryLabelStrict,
    Moves::EveryFrame,
    Moves::Forced,
];

pub type Cells = Vec<(usize, usize)>;

/// Costs `[B, T, U]` in −1..1, with `poison` outside the extents.
pub fn costs(seed: u64, extents: &[(usize, usize)], poison: f64) -> (Tensor, Lengths, Lengths) {
    let frames = Lengths::new(extents.iter().map(|e| e.0).collect());
    let labels = Lengths::new(extents.iter().map(|e| e.1).collect());
    let dims = (extents.len(), frames.max(), labels.max());
    let mut x = values(&uniform(seed, &[dims.0, dims.1, dims.2], -1.0, 1.0).unwrap());
    for (i, x) in x.iter_mut().enumerate() {
        let (b, t, u) = (i / (dims.1 * dims.2), i / dims.2 % dims.1, i % dims.2);
        if t >= frames.get(b) || u >= labels.get(b) {
            *x = poison;
        }
    }
    (
        Tensor::from_vec(x, dims, &candle_core::Device::Cpu).unwrap(),
        frames,
        labels,
    )
}

pub fn values(x: &Tensor) -> Vec<f64> {
    x.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

pub fn gradient(x: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let var = Var::from_tensor(x).unwrap();
    let grads = f(var.as_tensor()).sum_all().unwrap().backward().unwrap();
    grads.get(&var).unwrap().clone()
}

/// Every sequence of `length` numbers below `bound` whose steps `allowed` permits.
fn sequences(length: usize, bound: usize, allowed: &dyn Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![vec![]];
    for _ in 0..length {
        all = all
            .into_iter()
            .flat_map(|prefix| (0..bound).map(move |next| (prefix.clone(), next)))
            .filter(|(prefix, next)| prefix.last().is_none_or(|&last| allowed(last, *next)))
            .map(|(mut prefix, next)| {
                prefix.push(next);
                prefix
            })
            .collect();
    }
    all
}

/// Every alignment that `moves` allows, spelled out from its definition.
pub fn alignments(moves: Moves, frames: usize, labels: usize) -> Vec<Cells> {
    let by_label = |x: Vec<usize>| x.into_iter().enumerate().map(|(u, t)| (t, u)).collect();
    let by_frame = |x: Vec<usize>| x.into_iter().enumerate().collect();
    match moves {
        Moves::EveryLabel => sequences(labels, frames, &|a, b| b >= a)
            .into_iter()
            .map(by_label)
            .collect(),
        Moves::EveryLabelStrict => sequences(labels, frames, &|a, b| b > a)
            .into_iter()
            .map(by_label)
            .collect(),
        Moves::EveryFrame => sequences(frames, labels, &|a, b| b >= a)
            .into_iter()
            .map(by_frame)
            .collect(),
        Moves::Forced => sequences(frames, labels, &|a, b| b == a || b == a + 1)
            .into_iter()
            .filter(|x| match (x.first(), x.last()) {
                (Some(&first), Some(&last)) => first == 0 && last + 1 == labels,
                _ => labels == 0,
            })
            .map(by_frame)
            .collect(),
        Moves::Warping if frames == 0 && labels == 0 => vec![vec![]],
        Moves::Warping if frames == 0 || labels == 0 => vec![],
        Moves::Warping => warpings(vec![(0, 0)], (frames - 1, labels - 1)),
    }
}

/// Every way to go on from a path to `end`, by one frame, one label or one of both.
fn warpings(path: Cells, end: (usize, usize)) -> Vec<Cells> {
    let (t, u) = path[path.len() - 1];
    if (t, u) == end {
        return vec![path];
    }
    [(t + 1, u), (t, u + 1), (t + 1, u + 1)]
        .into_iter()
        .filter(|next| next.0 <= end.0 && next.1 <= end.1)
        .flat_map(|next| warpings([&path[..], &[next]].concat(), end))
        .collect()
}

/// Speech, text and arcs of the given extents, padding poisoned.
pub fn pair(seed: u64, extents: &[(usize, usize)]) -> (Padded, Padded, ArcScores) {
    let frames = Lengths::new(extents.iter().map(|e| e.0).collect());
    let labels = Lengths::new(extents.iter().map(|e| e.1).collect());
    let padded = |seed, lengths: &Lengths| {
        let x = uniform(seed, &[extents.len(), lengths.max(), 3], -1.0, 1.0).unwrap();
        Padded::new(poison_padding(&x, lengths, f64::NAN).unwrap(), lengths.clone()).unwrap()
    };
    let dims = (extents.len(), frames.max(), labels.max() + 1, 2);
    let nodes = Tensor::zeros(dims, DType::F64, &candle_core::Device::Cpu).unwrap();
    let arcs = ArcScores::from_nodes(nodes, frames.clone(), labels.clone()).unwrap();
    (padded(seed, &frames), padded(seed + 1, &labels), arcs)
}

/// The losses of a consistency.
pub fn loss_of(loss: impl Consistency, (speech, text, arcs): &(Padded, Padded, ArcScores)) -> Vec<f64> {
    values(&loss.loss(Pair { speech, text, arcs }).unwrap())
}

/// The losses and the gradient of their sum with respect to the costs.
pub fn with_gradient(cost: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> (Vec<f64>, Vec<f64>) {
    (values(&f(cost)), values(&gradient(cost, f)))
}

/// Of two lists of numbers, that they are the same to within `tolerance`.
#[track_caller]
pub fn close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let near = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(near, "number {i}: {got} for {expected}");
    }
}
