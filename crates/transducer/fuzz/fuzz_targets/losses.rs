//! Arbitrary shapes, lengths, labels, settings and logits: an error or a result, never a panic, and every result a loss.
//!
//! ```sh
//! cargo install cargo-fuzz
//! cd crates/transducer && RUSTC_BOOTSTRAP=1 cargo fuzz run losses -- -max_total_time=60
//! ```
#![no_main]

use arbitrary::Arbitrary;
use candle_core::{Device, Tensor};
use libfuzzer_sys::fuzz_target;
use sandhi_core::{ArcScores, Error, Labels, Lengths, Padded, Topology};
use sandhi_transducer::{
    CtcScores, HostLoss, Infeasible, LossOptions, Normalize, Scoring, alignment_entropy, arc_scores, expected_cost,
    label_posteriors, n_best_alignments, pruning_bounds, soft_cost, viterbi,
};

#[derive(Arbitrary, Debug)]
struct Input {
    shape: [u8; 4],
    frames: Vec<u8>,
    labels: Vec<Vec<u8>>,
    blank: u8,
    logits: Vec<f32>,
    hat: bool,
    monotonic: bool,
    smoothing: f32,
    clamp: Option<f32>,
    fast_emit: f32,
    delay_penalty: f32,
    tolerant: bool,
    width: u8,
}

fuzz_target!(|input: Input| {
    // An error is an answer.
    let _ = run(&input);
});

fn run(input: &Input) -> Result<(), Error> {
    let [batch, frames, columns, vocabulary] = input.shape.map(|n| usize::from(n % 8));
    let rows = input.labels.iter().map(|row| row.iter().map(|&label| u32::from(label % 9)).collect());
    let labels = Labels::new(rows.collect(), u32::from(input.blank % 9))?;
    let lengths = Lengths::new(input.frames.iter().map(|&n| usize::from(n % 9)).collect());
    let count = batch * frames * columns * vocabulary;
    let logits: Vec<f32> = (0..count)
        .map(|i| input.logits.get(i % input.logits.len().max(1)).copied().unwrap_or(0.0))
        .collect();
    let scoring = Scoring {
        normalize: if input.hat { Normalize::Hat } else { Normalize::Softmax },
        label_smoothing: f64::from(input.smoothing),
        gradient_clamp: input.clamp.map(f64::from),
    };
    let options = LossOptions {
        fast_emit: f64::from(input.fast_emit),
        delay_penalty: f64::from(input.delay_penalty),
        infeasible: if input.tolerant { Infeasible::Infinite } else { Infeasible::Error },
    };
    let topology = if input.monotonic { Topology::Monotonic } else { Topology::Standard };
    let host = HostLoss::new([batch, frames, columns, vocabulary], &labels, &lengths)?
        .scoring(scoring)?
        .options(options)?
        .on(topology);
    let mut gradient = vec![0f32; count];
    let losses = host.with_gradient(&logits, &mut gradient)?;
    assert_eq!(losses.len(), batch);
    if logits.iter().all(|x| x.abs() < 1e30) && options.delay_penalty == 0.0 {
        assert!(losses.iter().all(|loss| !loss.is_nan()), "{losses:?}");
        if options.fast_emit < 1e3 {
            assert!(gradient.iter().all(|g| g.is_finite()));
        }
    }

    let tensor = Tensor::from_vec(logits, (batch, frames, columns, vocabulary), &Device::Cpu)?;
    let arcs: ArcScores = arc_scores(&tensor, &labels, &lengths, scoring)?.on(topology);
    let cost = Tensor::zeros_like(arcs.label())?;
    let _ = expected_cost(&arcs, &cost);
    let _ = soft_cost(&arcs, &cost);
    let _ = alignment_entropy(&arcs);
    let _ = label_posteriors(&arcs);
    let _ = viterbi(&arcs);
    let _ = n_best_alignments(&arcs, 3);
    let _ = pruning_bounds(&arcs, usize::from(input.width % 9));

    let rows = tensor.reshape((batch, frames * columns, vocabulary))?;
    let longest = Lengths::new(lengths.as_slice().iter().map(|&n| n.min(frames * columns)).collect());
    let ctc = CtcScores::new(&Padded::new(rows, longest)?, &labels)?;
    let _ = ctc.loss();
    let _ = ctc.viterbi();
    let _ = ctc.n_best_alignments(3);
    Ok(())
}
