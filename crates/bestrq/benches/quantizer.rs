//! Labelling, masking and predicting a batch of eight utterances of 10 s: 80 bins every 10 ms, frames every 40 ms.
//!
//! ```sh
//! cargo bench -p sandhi-bestrq                    all, with 1 thread and with 2
//! cargo bench -p sandhi-bestrq -- 'threads=1/label'
//! ```
//!
//! The rate is in feature frames: 100 of them are a second of audio.
#![allow(missing_docs, clippy::unwrap_used)] // Criterion's macros make functions without documentation.

use std::time::Duration;

use candle_core::{DType, Device, Var};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sandhi_bestrq::{
    MaskConfig, MaskedPrediction, QuantizerConfig, RandomProjectionQuantizer, Stacking, mask,
};
use sandhi_conformer::frames_after;
use sandhi_core::{Lengths, Padded};
use sandhi_nn::Params;

const B: usize = 8;
const T0: usize = 1000;
const F: usize = 80;
const D: usize = 256;

fn draw(shape: &[usize]) -> candle_core::Tensor {
    let values = sandhi_testkit::uniform(1, shape, -1.7, 1.7).unwrap();
    values.to_dtype(DType::F32).unwrap()
}

fn quantizer(c: &mut Criterion) {
    let features = Padded::new(draw(&[B, T0, F]), Lengths::new(vec![T0; B])).unwrap();
    let frames = Lengths::new(vec![frames_after(T0); B]);
    let labelling: Vec<(String, RandomProjectionQuantizer)> = [(1, 8192), (4, 8192), (1, 1024)]
        .into_iter()
        .map(|(num_codebooks, codebook_size)| {
            let config = QuantizerConfig {
                num_codebooks,
                codebook_size,
                ..QuantizerConfig::paper(F)
            };
            let name = format!("label {num_codebooks} x {codebook_size}");
            (name, RandomProjectionQuantizer::new(&config, 1).unwrap())
        })
        .collect();
    let seeds: Vec<u64> = (0..B as u64).collect();
    let masking = || mask(&features, &frames, &Stacking::BY_FOUR, &MaskConfig::PAPER, &seeds).unwrap();
    let masked = masking().frames;
    let targets = labelling[0].1.targets(&features, &frames).unwrap();
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let head = MaskedPrediction::new(D, 1, 8192, &params).unwrap();
    let encoded = Var::from_tensor(&draw(&[B, frames.max(), D])).unwrap();
    let encoded = Padded::new(encoded.as_tensor().clone(), frames.clone()).unwrap();
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let mut group = c.benchmark_group(format!("threads={threads}"));
        group.throughput(Throughput::Elements((B * T0) as u64));
        group.sample_size(20).measurement_time(Duration::from_secs(2));
        for (name, quantizer) in &labelling {
            let label = || pool.install(|| quantizer.targets(&features, &frames).unwrap());
            group.bench_function(name, |b| b.iter(label));
        }
        group.bench_function("mask", |b| b.iter(|| pool.install(masking)));
        let step = || {
            let loss = head.loss(&encoded, &targets, &masked).unwrap().per_utterance;
            loss.sum_all().unwrap().backward().unwrap()
        };
        group.bench_function("head, forward and backward", |b| b.iter(|| pool.install(step)));
        group.finish();
    }
}

criterion_group!(benches, quantizer);
criterion_main!(benches);
