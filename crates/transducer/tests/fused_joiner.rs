//! The fused joiner equals the composition it replaces, with the same bits for any number of threads.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Tensor};
use common::{gradients, random_labels, values};
use proptest::prelude::*;
use sandhi_core::{ArcScores, Labels, Lengths};
use sandhi_testkit::uniform;
use sandhi_transducer::{Normalize, arc_scores, expected_cost, joiner_arc_scores, transducer_loss};

struct Case {
    inputs: [Tensor; 4],
    labels: Labels,
    frames: Lengths,
    normalize: Normalize,
}

impl Case {
    fn new(
        seed: u64,
        extents: &[(usize, usize)],
        hidden: usize,
        vocabulary: usize,
        normalize: Normalize,
    ) -> Self {
        let frames = Lengths::new(extents.iter().map(|e| e.0).collect());
        let lengths: Vec<usize> = extents.iter().map(|e| e.1).collect();
        let blank = seed as u32 % vocabulary as u32;
        let labels = random_labels(seed, &lengths, vocabulary as u32, blank);
        let batch = extents.len();
        let scale = 3.0 / (hidden as f64).sqrt();
        let inputs = [
            uniform(seed + 1, &[batch, frames.max(), hidden], -2.0, 2.0).unwrap(),
            uniform(seed + 2, &[batch, labels.max_len() + 1, hidden], -2.0, 2.0).unwrap(),
            uniform(seed + 3, &[vocabulary, hidden], -scale, scale).unwrap(),
            uniform(seed + 4, &[vocabulary], -1.0, 1.0).unwrap(),
        ];
        Self {
            inputs,
            labels,
            frames,
            normalize,
        }
    }

    fn fused(&self, x: &[Tensor]) -> ArcScores {
        joiner_arc_scores(
            &x[0],
            &x[1],
            &x[2],
            &x[3],
            &self.labels,
            &self.frames,
            self.normalize,
        )
        .unwrap()
    }

    /// The same out of candle's parts, with all logits in memory.
    fn composed(&self, x: &[Tensor]) -> ArcScores {
        let joined = x[0]
            .unsqueeze(2)
            .unwrap()
            .broadcast_add(&x[1].unsqueeze(1).unwrap())
            .unwrap()
            .tanh()
            .unwrap();
        let (b, t, u, h) = joined.dims4().unwrap();
        let flat = joined.reshape((b * t * u, h)).unwrap();
        let logits = flat
            .matmul(&x[2].t().unwrap().contiguous().unwrap())
            .unwrap()
            .broadcast_add(&x[3])
            .unwrap();
        let logits = logits.reshape((b, t, u, ())).unwrap();
        arc_scores(&logits, &self.labels, &self.frames, self.normalize).unwrap()
    }

    fn inputs(&self, dtype: DType) -> Vec<Tensor> {
        self.inputs.iter().map(|x| x.to_dtype(dtype).unwrap()).collect()
    }

    /// Loss plus expected cost, so that blank and label scores receive gradients of either sign.
    fn loss(&self, arcs: &ArcScores) -> Tensor {
        let cost = uniform(99, arcs.label().dims(), 0.0, 2.0)
            .unwrap()
            .to_dtype(arcs.label().dtype())
            .unwrap();
        (transducer_loss(arcs).unwrap() + expected_cost(arcs, &cost).unwrap()).unwrap()
    }

    fn check(&self, dtype: DType, tolerance: f64) {
        let inputs = self.inputs(dtype);
        let (fused, composed) = (self.fused(&inputs), self.composed(&inputs));
        compare(fused.blank(), composed.blank(), tolerance, "blank");
        compare(fused.label(), composed.label(), tolerance, "label");
        compare(&self.loss(&fused), &self.loss(&composed), tolerance, "loss");
        let fused = gradients(&inputs, |x| self.loss(&self.fused(x)));
        let composed = gradients(&inputs, |x| self.loss(&self.composed(x)));
        for (name, (fused, composed)) in ["speech", "predicted", "weight", "bias"]
            .iter()
            .zip(fused.iter().zip(&composed))
        {
            compare(fused, composed, tolerance, name);
        }
    }
}

/// Equal relative to the largest value of the tensor: sums of many terms cancel in single elements.
fn compare(got: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(got.dims(), expected.dims());
    let (got, expected) = (values(got), values(expected));
    let scale = expected.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * scale,
            "{what} {i}: expected {expected}, got {got}"
        );
    }
}

#[test]
fn fused_joiner_equals_the_composition() {
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        // Several tiles per utterance, several utterances per run, one frame, no labels, more labels than frames.
        let case = Case::new(
            1,
            &[(90, 20), (70, 31), (1, 5), (40, 0), (3, 9)],
            48,
            37,
            normalize,
        );
        case.check(DType::F64, 1e-10);
        case.check(DType::F32, 1e-5);
    }
}

#[test]
fn fused_joiner_of_a_large_vocabulary_equals_the_composition() {
    let case = Case::new(2, &[(9, 4), (5, 2)], 64, 1000, Normalize::Softmax);
    case.check(DType::F64, 1e-10);
    case.check(DType::F32, 1e-5);
}

#[test]
fn fused_joiner_of_a_confident_lattice_equals_the_composition() {
    // Logits tens of nats apart: most nodes have a posterior that cannot count, and the backward pass leaves them out.
    let mut case = Case::new(4, &[(60, 12), (33, 20)], 40, 30, Normalize::Softmax);
    case.inputs[2] = (&case.inputs[2] * 12.0).unwrap();
    let arcs = case.fused(&case.inputs);
    let gamma = values(&sandhi_transducer::label_posteriors(&arcs).unwrap());
    let negligible = gamma.iter().filter(|&&x| x < 1e-14).count();
    assert!(
        2 * negligible > gamma.len(),
        "{negligible} of {} posteriors are negligible",
        gamma.len()
    );
    case.check(DType::F64, 1e-10);
    case.check(DType::F32, 2e-5);
}

#[test]
fn fused_joiner_gives_the_same_bits_for_any_thread_count() {
    let case = Case::new(
        3,
        &[(80, 20), (64, 31), (1, 5), (40, 0)],
        32,
        29,
        Normalize::Softmax,
    );
    let inputs = case.inputs(DType::F32);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut found = gradients(&inputs, |x| case.loss(&case.fused(x)));
            found.push(case.loss(&case.fused(&inputs)));
            found.iter().map(values).collect::<Vec<_>>()
        })
    };
    let one = run(1);
    for threads in [2, 3, 4] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn fused_joiner_equals_the_composition_on_random_shapes(
        extents in prop::collection::vec((1usize..12, 0usize..8), 1..4),
        hidden in 1usize..20,
        vocabulary in 2usize..40,
        hat in any::<bool>(),
        seed in 0u64..1000,
    ) {
        let normalize = if hat { Normalize::Hat } else { Normalize::Softmax };
        Case::new(seed, &extents, hidden, vocabulary, normalize).check(DType::F64, 1e-9);
    }

    #[test]
    fn losses_of_random_lattices_obey_their_laws(
        extents in prop::collection::vec((1usize..30, 0usize..20), 1..4),
        seed in 0u64..1000,
    ) {
        let batch = common::Batch::new(seed, &extents, f64::NAN);
        let arcs = batch.arcs();
        let found = gradients(&[batch.blank.clone(), batch.label.clone(), batch.cost.clone()], |x| {
            expected_cost(&batch.arcs_of(&x[0], &x[1]).unwrap(), &x[2]).unwrap()
        });
        // Σ γ over a label's frames is 1; moving all arcs of an antidiagonal alike moves nothing, so slopes sum to 0.
        let total: usize = batch.labels.total();
        prop_assert!((values(&found[2]).iter().sum::<f64>() - total as f64).abs() < 1e-8);
        let slopes: f64 = found[..2].iter().flat_map(values).sum();
        prop_assert!(slopes.abs() < 1e-7, "{slopes}");
        let soft = values(&sandhi_transducer::soft_cost(&arcs, &batch.cost).unwrap());
        let expected = values(&expected_cost(&arcs, &batch.cost).unwrap());
        prop_assert!(soft.iter().zip(&expected).all(|(soft, expected)| *soft <= expected + 1e-9));
    }
}
