//! Every loss, forward and backward, on 16 utterances: 1500 frames by 200 labels, and 150 by 40.
//!
//! ```sh
//! cargo bench -p sandhi-align                    all, with 1 thread and with 2
//! cargo bench -p sandhi-align -- 'threads=1/1500 x 200/best'
//! ```
//!
//! The rate is in cells of the cost grid.
#![allow(missing_docs, clippy::unwrap_used)] // Criterion's macros make functions without documentation.

use std::time::Duration;

use candle_core::{DType, Tensor, Var};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sandhi_align::{Moves, best_alignment, best_alignment_cost, optimal_transport_cost, soft_alignment_cost};
use sandhi_core::Lengths;

const B: usize = 16;

/// A loss of costs of `frames` and `labels`.
type Loss = Box<dyn Fn(&Tensor, &Lengths, &Lengths) -> Tensor + Sync>;

fn losses() -> Vec<(String, Loss)> {
    let readings = [
        Moves::EveryLabel,
        Moves::EveryLabelStrict,
        Moves::EveryFrame,
        Moves::Forced,
        Moves::Warping,
    ];
    let mut losses: Vec<(String, Loss)> = Vec::new();
    for moves in readings {
        losses.push((
            format!("best {moves:?}"),
            Box::new(move |cost, t, u| best_alignment_cost(cost, t, u, moves).unwrap()),
        ));
    }
    for moves in [Moves::EveryLabel, Moves::Warping] {
        losses.push((
            format!("soft {moves:?}"),
            Box::new(move |cost, t, u| soft_alignment_cost(cost, t, u, moves, 0.5).unwrap()),
        ));
    }
    losses.push((
        "transport in 20 iterations".into(),
        Box::new(|cost, t, u| optimal_transport_cost(cost, t, u, 0.1, 20).unwrap()),
    ));
    losses
}

fn bench(criterion: &mut Criterion) {
    for (threads, (t, u)) in [1, 2]
        .into_iter()
        .flat_map(|n| [(1500, 200), (150, 40)].map(|extent| (n, extent)))
    {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        let mut group = criterion.benchmark_group(format!("threads={threads}/{t} x {u}"));
        group
            .sample_size(10)
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .throughput(Throughput::Elements((B * t * u) as u64));
        let cost = sandhi_testkit::uniform(1, &[B, t, u], 0.0, 1.0).unwrap();
        let cost = Var::from_tensor(&cost.to_dtype(DType::F32).unwrap()).unwrap();
        let (frames, labels) = (Lengths::new(vec![t; B]), Lengths::new(vec![u; B]));
        group.bench_function("path EveryLabel", |bencher| {
            let path = || best_alignment(&cost, &frames, &labels, Moves::EveryLabel).unwrap();
            pool.install(|| bencher.iter(path));
        });
        for (name, loss) in losses() {
            let step = || loss(&cost, &frames, &labels).backward().unwrap();
            group.bench_function(name, |bencher| pool.install(|| bencher.iter(step)));
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
