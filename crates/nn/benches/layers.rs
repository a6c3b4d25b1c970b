//! Every layer, forward and backward, in the sizes of the models: 8 utterances of 150 frames, width 256.
//!
//! ```sh
//! cargo bench -p sandhi-nn                    all, with 1 thread and with 2
//! cargo bench -p sandhi-nn -- 'threads=2/attention'
//! ```
//!
//! The rate is in values of the layer's input. `cargo xtask bench training --against torch` times whole models beside
//! PyTorch's.
#![allow(missing_docs, clippy::unwrap_used)] // Criterion's macros make functions without documentation.

use std::time::Duration;

use candle_core::{DType, Device, Module, Result, Tensor, Var};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sandhi_core::Lengths;
use sandhi_nn::fused::{Dropout, Program};
use sandhi_nn::ops;
use sandhi_nn::{
    Attention, AttentionContext, Conv2d, Embedding, GatedConv, LayerNorm, Linear, Lstm, Mode, Params,
};

const B: usize = 8;
const T: usize = 150;
const D: usize = 256;

fn draw(shape: &[usize]) -> Tensor {
    let values = sandhi_testkit::uniform(1, shape, -1.0, 1.0).unwrap();
    values.to_dtype(DType::F32).unwrap()
}

/// A layer's name, its input, and what it does with it.
type Layer = (
    &'static str,
    Tensor,
    Box<dyn Fn(&Tensor) -> Result<Tensor> + Sync>,
);

fn layers() -> Vec<Layer> {
    let params = Params::seeded(1, DType::F32, &Device::Cpu);
    let lengths = Lengths::new((0..B).map(|b| T - 8 * b).collect());
    let frames = || draw(&[B, T, D]);
    let norm = LayerNorm::new(D, &params.scope("norm")).unwrap();
    let plain = Linear::new(D, 4 * D, &params.scope("linear")).unwrap();
    let silu = Linear::new(D, 4 * D, &params.scope("silu")).unwrap().with_silu();
    let conv = GatedConv::new(D, 15, &params.scope("conv")).unwrap();
    let conv2d = Conv2d::new(32, 32, &params.scope("conv2d")).unwrap();
    let lstm = Lstm::new(D, D, &params.scope("lstm")).unwrap();
    let table = Embedding::new(1024, D, &params.scope("embedding")).unwrap();
    let ids: Vec<Vec<u32>> = (0..B as u32)
        .map(|b| (0..40).map(|u| (37 * b + u) % 1024).collect())
        .collect();
    let attention = |context| {
        let layer = Attention::new(D, 4, &params.scope("attention"));
        let (layer, lengths) = (layer.unwrap().within(context).unwrap(), lengths.clone());
        move |x: &Tensor| Ok(layer.forward(x, &lengths).unwrap())
    };
    let chunked = AttentionContext::Chunked {
        size: 16,
        left: Some(64),
        right: 0,
    };
    let targets: Vec<Option<u32>> = (0..(B * T) as u32).map(|i| Some(i % 1024)).collect();
    let half = feed_forward(&params.scope("feed_forward"));
    let of_half = lengths.clone();
    vec![
        ("layer_norm", frames(), Box::new(move |x| norm.forward(x))),
        ("linear", frames(), Box::new(move |x| plain.forward(x))),
        ("linear with SiLU", frames(), Box::new(move |x| silu.forward(x))),
        ("attention", frames(), Box::new(attention(AttentionContext::Full))),
        ("attention in chunks", frames(), Box::new(attention(chunked))),
        (
            "gated_conv",
            draw(&[B, T, 2 * D]),
            Box::new(move |x| Ok(conv.forward(x, &lengths).unwrap())),
        ),
        (
            "conv2d",
            draw(&[B, 299, 39, 32]),
            Box::new(move |x| conv2d.forward(x)),
        ),
        ("lstm", draw(&[B, 40, D]), Box::new(move |x| lstm.forward(x))),
        // The ids are constants; the table's rows are what has a gradient.
        (
            "embedding",
            draw(&[B, 40, D]),
            Box::new(move |x| table.lookup(&ids).unwrap() + x),
        ),
        ("dropout", frames(), Box::new(|x| ops::dropout(x, 0.1, Some(3)))),
        ("silu", frames(), Box::new(ops::silu)),
        ("glu", draw(&[B, T, 2 * D]), Box::new(ops::glu)),
        ("softmax", draw(&[B, T, 1024]), Box::new(ops::softmax)),
        (
            "cross_entropy",
            draw(&[B, T, 1024]),
            Box::new(move |x| ops::cross_entropy(x, &targets, 0.1)),
        ),
        (
            "feed-forward as a program",
            frames(),
            Box::new(move |x| Ok(half.run(x, &of_half, Mode::Train { seed: 1, step: 1 }).unwrap())),
        ),
    ]
}

/// Norm, a layer of four times the width with SiLU and dropout, back, residual.
fn feed_forward(params: &Params) -> Program {
    let site = |name: &str| Dropout {
        rate: 0.1,
        site: name.into(),
    };
    let norm = LayerNorm::new(D, &params.scope("norm")).unwrap();
    let wide = Linear::new(D, 4 * D, &params.scope("wide")).unwrap().with_silu();
    let narrow = Linear::new(4 * D, D, &params.scope("narrow")).unwrap();
    let program = Program::new(D, |p, x| {
        let h = p.layer_norm(x, &norm)?;
        let h = p.linear_dropped(h, &wide, site("wide"))?;
        let h = p.linear(h, &narrow)?;
        p.residual(x, h, 0.5, site("narrow"))
    });
    program.unwrap()
}

fn bench(criterion: &mut Criterion) {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let mut group = criterion.benchmark_group(format!("threads={threads}"));
        group
            .sample_size(10)
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1));
        for (name, x, layer) in layers() {
            let x = Var::from_tensor(&x).unwrap();
            group.throughput(Throughput::Elements(x.elem_count() as u64));
            group.bench_function(name, |bencher| {
                pool.install(|| bencher.iter(|| layer(&x).unwrap().backward().unwrap()));
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
