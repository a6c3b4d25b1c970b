//! The RNN-T loss and the gradient of its logits: on the six shapes of the README, and as each extent grows.
//!
//! ```sh
//! cargo bench -p sandhi-transducer                     all, in about two minutes
//! cargo bench -p sandhi-transducer -- shapes           the six shapes, with 1 thread and with 2
//! cargo bench -p sandhi-transducer -- 'growth/frames'
//! cargo bench -p sandhi-transducer -- ctc              CTC, beside the recursion over semirings that is its oracle
//! ```
//!
//! `shapes` has the loss of slices with the gradient in a buffer that is kept, and of candle tensors. A group of `growth`
//! lets one extent grow and holds the others at 2 utterances, 200 frames, 40 labels and a vocabulary of 256, of slices;
//! 1500 frames of 40 ms are a minute of speech. The rate (elements are logits) should stay level but for the step where the
//! logits outgrow the last cache. Calls come from a thread of the pool, as in training. `cargo xtask bench transducer`
//! times the loss beside other implementations.
#![allow(missing_docs, clippy::unwrap_used)] // Criterion's macros make functions without documentation.

use std::time::Duration;

use candle_core::{Device, Tensor, Var};
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
    measurement::WallTime,
};
use rayon::{ThreadPool, prelude::*};
use sandhi_core::{Labels, Lengths, Padded};
use sandhi_lattice::Ctc;
use sandhi_transducer::{CtcScores, HostLoss, Normalize, arc_scores, ctc_loss, transducer_loss};

/// Utterances, frames, labels, vocabulary.
type Shape = [usize; 4];

const SHAPES: [Shape; 6] = [
    [1, 50, 10, 32],
    [8, 150, 30, 256],
    [8, 200, 40, 1024],
    [4, 400, 80, 1024],
    [16, 150, 40, 500],
    [2, 1000, 200, 128],
];
const MIDDLE: Shape = [2, 200, 40, 256];

/// A batch whose lengths are spread over the upper 40 %.
struct Batch {
    logits: Var,
    labels: Labels,
    frames: Lengths,
}

impl Batch {
    fn new([batch, frames, labels, vocabulary]: Shape) -> Self {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32
        };
        let length = |most: usize, b: usize| most - 2 * most * b / (5 * batch.max(2) - 5);
        let mut row = |b| {
            let ids = 0..length(labels, b);
            ids.map(|_| 1 + draw() % (vocabulary as u32 - 1)).collect()
        };
        let rows = (0..batch).map(&mut row).collect();
        let shape = (batch, frames, labels + 1, vocabulary);
        let count = batch * frames * (labels + 1) * vocabulary;
        let logits = (0..count).map(|_| draw() as f32 / (1u32 << 29) as f32 - 2.0);
        let logits = Tensor::from_vec(logits.collect(), shape, &Device::Cpu).unwrap();
        Self {
            logits: Var::from_tensor(&logits).unwrap(),
            labels: Labels::new(rows, 0).unwrap(),
            frames: Lengths::new((0..batch).map(|b| length(frames, b)).collect()),
        }
    }

    /// The loss of slices, the logits, and room for their gradient.
    fn host(&self) -> (HostLoss, Vec<f32>, Vec<f32>) {
        let (batch, frames, columns, vocabulary) = self.logits.dims4().unwrap();
        let shape = [batch, frames, columns, vocabulary];
        let loss = HostLoss::new(shape, &self.labels, &self.frames).unwrap();
        let logits = self.logits.flatten_all().unwrap().to_vec1().unwrap();
        let gradient = vec![0.0; logits.len()];
        (loss, logits, gradient)
    }

    /// Losses and the gradient of the logits.
    fn loss(&self) -> (Tensor, Tensor) {
        let arcs = arc_scores(&self.logits, &self.labels, &self.frames, Normalize::Softmax).unwrap();
        let loss = transducer_loss(&arcs).unwrap();
        let mut gradients = loss.sum_all().unwrap().backward().unwrap();
        (loss, gradients.remove(&self.logits).unwrap())
    }
}

fn name([batch, frames, labels, vocabulary]: Shape) -> String {
    format!("{batch}x{frames}x{labels}x{vocabulary}")
}

fn pool(threads: usize) -> ThreadPool {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
    builder.build().unwrap()
}

/// Few and short samples: the calls are long, and what they vary by is not in need of a distribution.
fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    group
}

#[derive(Clone, Copy)]
enum From {
    /// Slices, the gradient in a buffer that is kept.
    Slices,
    /// Candle tensors.
    Tensors,
}

fn time(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    shape: Shape,
    pool: &ThreadPool,
    from: From,
) {
    let [batch, frames, labels, vocabulary] = shape;
    let logits = batch * frames * (labels + 1) * vocabulary;
    group.throughput(Throughput::Elements(logits as u64));
    // Made only if it is asked for, and freed before the next.
    group.bench_function(id, |bencher| {
        let batch = Batch::new(shape);
        match from {
            From::Slices => {
                let (loss, logits, mut gradient) = batch.host();
                drop(batch);
                pool.install(|| bencher.iter(|| loss.with_gradient(&logits, &mut gradient).unwrap()));
            }
            From::Tensors => pool.install(|| bencher.iter(|| batch.loss())),
        }
    });
}

fn shapes(criterion: &mut Criterion) {
    for threads in [1, 2] {
        let pool = pool(threads);
        for (what, from) in [("slices", From::Slices), ("tensors", From::Tensors)] {
            let mut group = group(criterion, &format!("shapes/{what}/threads={threads}"));
            for shape in SHAPES {
                let id = BenchmarkId::from_parameter(name(shape));
                time(&mut group, id, shape, &pool, from);
            }
        }
    }
}

fn growth(criterion: &mut Criterion) {
    let pool = pool(2);
    let curves: [(&str, usize, &[usize]); 4] = [
        ("utterances", 0, &[1, 4, 16]),
        ("frames", 1, &[50, 200, 500, 1500]),
        ("labels", 2, &[5, 20, 80, 200]),
        ("vocabulary", 3, &[32, 128, 512, 2048]),
    ];
    for (what, axis, extents) in curves {
        let mut group = group(criterion, &format!("growth/{what}"));
        for &extent in extents {
            let mut shape = MIDDLE;
            shape[axis] = extent;
            let id = BenchmarkId::from_parameter(extent);
            time(&mut group, id, shape, &pool, From::Slices);
        }
    }
}

/// CTC of frame logits `[B, T, V]`: the loss with its gradient, the expected cost with its gradients, and the recursion over
/// semirings from scores to posteriors, which needs the log-softmax and its gradient on top.
fn ctc(criterion: &mut Criterion) {
    for threads in [1, 2] {
        let pool = pool(threads);
        for shape in [[8, 75, 30, 40], [4, 400, 60, 1024]] {
            let mut group = group(criterion, &format!("ctc/{}/threads={threads}", name(shape)));
            let batch = Batch::new(shape);
            let logits = batch.logits.narrow(2, 0, 1).unwrap().squeeze(2).unwrap();
            let logits = Var::from_tensor(&logits.contiguous().unwrap()).unwrap();
            let padded = Padded::new(logits.as_tensor().clone(), batch.frames.clone()).unwrap();
            let gradient = |loss: Tensor| {
                loss.sum_all()
                    .unwrap()
                    .backward()
                    .unwrap()
                    .remove(&logits)
                    .unwrap()
            };
            group.bench_function("loss", |bencher| {
                pool.install(|| bencher.iter(|| gradient(ctc_loss(&padded, &batch.labels).unwrap())));
            });
            let scores = || CtcScores::new(&padded, &batch.labels).unwrap();
            let cost = Tensor::ones(
                (shape[0], shape[1], shape[2]),
                candle_core::DType::F32,
                &Device::Cpu,
            )
            .unwrap();
            group.bench_function("expected cost", |bencher| {
                pool.install(|| bencher.iter(|| gradient(scores().expected_cost(&cost).unwrap())));
            });
            let symbols = scores().symbols().to_vec3::<f32>().unwrap();
            let oracle = |b: usize| {
                let lattice = Ctc::new(batch.frames.get(b), &batch.labels.rows()[b]);
                let score = |t: usize, state| symbols[b][t][lattice.label(state).map_or(0, |u| u + 1)];
                lattice.posteriors(|t, state| f64::from(score(t, state)))
            };
            group.bench_function("oracle", |bencher| {
                pool.install(|| {
                    bencher.iter(|| (0..shape[0]).into_par_iter().map(oracle).collect::<Vec<_>>())
                });
            });
        }
    }
}

criterion_group!(benches, shapes, growth, ctc);
criterion_main!(benches);
