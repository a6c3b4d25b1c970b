//! The pruned RNN-T: its simple joiner, its bounds, and the joiner within them.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{D, DType, Device, Tensor};
use common::{all_close, close, gradients, poisoned, random_labels, values};
use sandhi_core::{Error, Labels, Lengths, Topology};
use sandhi_lattice::{Extent, Step, Transducer, oracle};
use sandhi_testkit::{Tolerance, check_gradient, poison_padding, uniform};
use sandhi_transducer::{
    Bounds, Normalize, arc_scores, joiner_arc_scores, joiner_arc_scores_within, label_posteriors,
    pruning_bounds, simple_arc_scores, transducer_loss,
};

const FRAMES: [usize; 3] = [6, 4, 5];
const LABELS: [usize; 3] = [4, 1, 0];
const V: usize = 5;
const H: usize = 3;

struct Case {
    speech: Tensor,
    predicted: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Labels,
    frames: Lengths,
}

/// Sides of width `width` with `poison` in the padding.
fn case(seed: u64, width: usize, poison: f64) -> Case {
    let frames = Lengths::new(FRAMES.to_vec());
    let rows = Lengths::new(LABELS.iter().map(|u| u + 1).collect());
    let side = |seed, extent, lengths: &Lengths| {
        let x = uniform(seed, &[3, extent, width], -2.0, 2.0).unwrap();
        poison_padding(&x, lengths, poison).unwrap()
    };
    Case {
        speech: side(seed, 6, &frames),
        predicted: side(seed + 1, 5, &rows),
        weight: uniform(seed + 2, &[V, width], -1.0, 1.0).unwrap(),
        bias: uniform(seed + 3, &[V], -1.0, 1.0).unwrap(),
        labels: random_labels(seed + 4, &LABELS, V as u32, 2),
        frames,
    }
}

fn sum_of_sides(case: &Case) -> Tensor {
    let speech = case.speech.unsqueeze(2).unwrap();
    speech
        .broadcast_add(&case.predicted.unsqueeze(1).unwrap())
        .unwrap()
}

#[test]
fn simple_joiner_equals_the_log_softmax_of_the_sum() {
    let case = case(1, V, 0.0);
    let direct = arc_scores(
        &sum_of_sides(&case),
        &case.labels,
        &case.frames,
        Normalize::Softmax,
    )
    .unwrap();
    let simple = simple_arc_scores(&case.speech, &case.predicted, &case.labels, &case.frames).unwrap();
    all_close(&values(simple.blank()), &values(direct.blank()), 1e-12);
    all_close(&values(simple.label()), &values(direct.label()), 1e-12);
    // In f32 too, and where the sides peak far apart.
    let far = |x: &Tensor, v: u32| {
        let peak = Tensor::arange(0u32, V as u32, &Device::Cpu)
            .unwrap()
            .eq(v)
            .unwrap();
        let peak = (peak.to_dtype(DType::F64).unwrap() * 200.0).unwrap();
        x.broadcast_add(&peak).unwrap().to_dtype(DType::F32).unwrap()
    };
    let (speech, predicted) = (far(&case.speech, 0), far(&case.predicted, 4));
    let logits = speech
        .unsqueeze(2)
        .unwrap()
        .broadcast_add(&predicted.unsqueeze(1).unwrap())
        .unwrap();
    let direct = arc_scores(&logits, &case.labels, &case.frames, Normalize::Softmax).unwrap();
    let simple = simple_arc_scores(&speech, &predicted, &case.labels, &case.frames).unwrap();
    all_close(&values(simple.blank()), &values(direct.blank()), 1e-6);
}

#[test]
fn simple_joiner_gradient_equals_differences() {
    let case = case(3, V, 0.5);
    let f = |x: &[Tensor]| transducer_loss(&simple_arc_scores(&x[0], &x[1], &case.labels, &case.frames)?);
    check_gradient(
        &[case.speech.clone(), case.predicted.clone()],
        f,
        Tolerance::GRADIENT,
    )
    .unwrap();
}

#[test]
fn simple_joiner_ignores_padding() {
    let of = |poison: f64| {
        let case = case(5, V, poison);
        let loss = |x: &[Tensor]| {
            let arcs = simple_arc_scores(&x[0], &x[1], &case.labels, &case.frames).unwrap();
            transducer_loss(&arcs).unwrap()
        };
        let grads = gradients(&[case.speech.clone(), case.predicted.clone()], loss);
        let value = values(&loss(&[case.speech.clone(), case.predicted.clone()]));
        (value, values(&grads[0]), values(&grads[1]))
    };
    for poison in [f64::NAN, f64::INFINITY, 1e30] {
        assert_eq!(of(poison), of(0.0));
    }
}

/// All bands of a width that the definition allows, spelled out.
fn bands(frames: usize, labels: usize, width: usize) -> Vec<Vec<usize>> {
    let last = (labels + 1).saturating_sub(width);
    let mut all = vec![vec![0]];
    for _ in 1..frames {
        let longer = |band: Vec<usize>| {
            let from = band[band.len() - 1];
            (from..from + width).filter(|&s| s <= last).map(move |s| {
                let mut band = band.clone();
                band.push(s);
                band
            })
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all.retain(|band| band[frames - 1] == last);
    all
}

#[test]
fn pruning_bounds_keep_the_most_mass_of_all_bands() {
    for seed in 0..5 {
        let case = case(10 * seed, V, 0.0);
        let arcs = simple_arc_scores(&case.speech, &case.predicted, &case.labels, &case.frames).unwrap();
        for width in 2..=5 {
            let bounds = pruning_bounds(&arcs, width).unwrap();
            let gamma = label_posteriors(&arcs).unwrap().to_vec3::<f64>().unwrap();
            for b in 0..3 {
                let (frames, labels) = (FRAMES[b], LABELS[b]);
                // How often node (t, u) is visited: emitted before, not emitted after.
                let label = |t: usize, u: usize| if u < labels { gamma[b][t][u] } else { 0.0 };
                let emitted = |t: usize, u: usize| (0..t).map(|t| label(t, u)).sum::<f64>();
                let visited = |t: usize, u: usize| {
                    let arrived = if u == 0 { 1.0 } else { emitted(t + 1, u - 1) };
                    arrived - if u < labels { emitted(t, u) } else { 0.0 }
                };
                let mass = |band: &[usize]| -> f64 {
                    let at = |(t, &s): (usize, &usize)| {
                        let end = (s + width).min(labels + 1);
                        (s..end).map(|u| visited(t, u)).sum::<f64>() - label(t, end - 1)
                    };
                    band.iter().enumerate().map(at).sum()
                };
                let best = bands(frames, labels, width)
                    .iter()
                    .map(|band| mass(band))
                    .fold(0.0, f64::max);
                close(mass(bounds.starts(b)), best, 1e-12);
                assert!(
                    bands(frames, labels, width)
                        .iter()
                        .any(|band| band == bounds.starts(b))
                );
            }
        }
    }
}

#[test]
fn pruning_bounds_refuse_what_no_band_can_hold() {
    let labels = random_labels(1, &[4], V as u32, 2);
    let side = |extent| uniform(extent as u64, &[1, extent, V], -1.0, 1.0).unwrap();
    let arcs = simple_arc_scores(&side(3), &side(5), &labels, &Lengths::new(vec![3])).unwrap();
    // 3 frames and bands of 2 reach 4 nodes, not 5.
    assert!(matches!(
        pruning_bounds(&arcs, 2).unwrap_err(),
        Error::NoAlignment {
            utterance: 0,
            frames: 3,
            labels: 4
        }
    ));
    assert!(pruning_bounds(&arcs, 3).is_ok());
    assert!(matches!(
        pruning_bounds(&arcs, 0).unwrap_err(),
        Error::Invalid { .. }
    ));
    let monotonic = arcs.clone().on(Topology::Monotonic);
    assert!(matches!(
        pruning_bounds(&monotonic, 3).unwrap_err(),
        Error::Invalid { .. }
    ));
}

/// x Wᵀ over the last dimension.
fn times(x: &Tensor, weight: &Tensor) -> Tensor {
    let mut dims = x.dims().to_vec();
    let rows = x.flatten_to(dims.len() - 2).unwrap();
    let product = rows.matmul(&weight.t().unwrap().contiguous().unwrap()).unwrap();
    dims.pop();
    dims.push(weight.dims()[0]);
    product.reshape(dims).unwrap()
}

fn bounds_of(case: &Case, width: usize) -> Bounds {
    let (speech, predicted) = (
        times(&case.speech, &case.weight),
        times(&case.predicted, &case.weight),
    );
    let arcs = simple_arc_scores(&speech, &predicted, &case.labels, &case.frames).unwrap();
    pruning_bounds(&arcs, width).unwrap()
}

#[test]
fn pruned_joiner_equals_enumeration_within_the_band() {
    let case = case(21, H, 0.0);
    let hidden = sum_of_sides(&case).tanh().unwrap();
    let logits = times(&hidden, &case.weight).broadcast_add(&case.bias).unwrap();
    let norm = logits.log_sum_exp(D::Minus1).unwrap().unsqueeze(3).unwrap();
    let log_p = logits.broadcast_sub(&norm).unwrap();
    for width in 2..=5 {
        let bounds = bounds_of(&case, width);
        let arcs = joiner_arc_scores_within(
            &bounds,
            (&case.speech, &case.predicted),
            (&case.weight, &case.bias),
            &case.labels,
            &case.frames,
            Normalize::Softmax,
        );
        let got = values(&transducer_loss(&arcs.unwrap()).unwrap());
        for b in 0..3 {
            let log_p = log_p.get(b).unwrap().to_vec3::<f64>().unwrap();
            let extent = Extent {
                frames: FRAMES[b],
                labels: LABELS[b],
            };
            let inside =
                |path: &Vec<sandhi_lattice::Arc>| path.iter().all(|arc| bounds.contains(b, arc.t, arc.u));
            let score = |path: Vec<sandhi_lattice::Arc>| -> f64 {
                let symbol = |arc: &sandhi_lattice::Arc| match arc.step {
                    Step::Blank => 2,
                    Step::Label => case.labels.rows()[b][arc.u] as usize,
                };
                path.iter().map(|arc| log_p[arc.t][arc.u][symbol(arc)]).sum()
            };
            let total: f64 = oracle::paths(Transducer, extent)
                .filter(inside)
                .map(|p| score(p).exp())
                .sum();
            close(got[b], -total.ln(), 1e-12);
        }
    }
}

#[test]
fn a_band_as_wide_as_the_lattice_keeps_everything() {
    let case = case(31, H, f64::NAN);
    let bounds = bounds_of(&case, 5);
    let (sides, parameters) = ((&case.speech, &case.predicted), (&case.weight, &case.bias));
    let within = joiner_arc_scores_within(
        &bounds,
        sides,
        parameters,
        &case.labels,
        &case.frames,
        Normalize::Hat,
    )
    .unwrap();
    let full = joiner_arc_scores(
        sides.0,
        sides.1,
        parameters.0,
        parameters.1,
        &case.labels,
        &case.frames,
        Normalize::Hat,
    )
    .unwrap();
    assert_eq!(
        values(&transducer_loss(&within).unwrap()),
        values(&transducer_loss(&full).unwrap())
    );
    let visible = |arcs: &sandhi_core::ArcScores| {
        let blank = poisoned(arcs.blank(), |b, t, u| t < FRAMES[b] && u <= LABELS[b], 0.0);
        values(&blank)
    };
    assert_eq!(visible(&within), visible(&full));
}

#[test]
fn pruned_joiner_gradient_equals_differences() {
    let case = case(41, H, 0.5);
    let bounds = bounds_of(&case, 2);
    let f = |x: &[Tensor]| {
        let (sides, parameters) = ((&x[0], &x[1]), (&x[2], &x[3]));
        let arcs = joiner_arc_scores_within(
            &bounds,
            sides,
            parameters,
            &case.labels,
            &case.frames,
            Normalize::Softmax,
        )?;
        transducer_loss(&arcs)
    };
    let inputs = [&case.speech, &case.predicted, &case.weight, &case.bias].map(Tensor::clone);
    check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn bounds_of_another_batch_are_refused() {
    let case = case(51, H, 0.0);
    let bounds = bounds_of(&case, 3);
    let run = |labels: &Labels, frames: &Lengths| {
        let (sides, parameters) = ((&case.speech, &case.predicted), (&case.weight, &case.bias));
        joiner_arc_scores_within(&bounds, sides, parameters, labels, frames, Normalize::Softmax).map(|_| ())
    };
    run(&case.labels, &case.frames).unwrap();
    let shorter = Lengths::new(vec![5, 4, 5]);
    assert!(matches!(
        run(&case.labels, &shorter).unwrap_err(),
        Error::Invalid { .. }
    ));
    let longer = random_labels(1, &[4, 3, 0], V as u32, 2);
    assert!(matches!(
        run(&longer, &case.frames).unwrap_err(),
        Error::Invalid { .. }
    ));
}
