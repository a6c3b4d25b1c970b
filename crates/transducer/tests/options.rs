//! What people vary: FastEmit, delay penalty, clamp, label smoothing, tolerance; and logits in slices.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::{Batch, all_close, close, gradients, poisoned, random_labels, values};
use sandhi_core::{ArcScores, Error, Labels, Lengths, Topology};
use sandhi_lattice::Step;
use sandhi_testkit::{Tolerance, check_gradient, uniform};
use sandhi_transducer::{
    HostLoss, Infeasible, LossOptions, Normalize, Scoring, arc_scores, transducer_loss, transducer_loss_with,
};

#[test]
fn fast_emit_scales_the_gradient_of_label_arcs() {
    let batch = Batch::new(1, &[(4, 2), (3, 3)], 0.0);
    let options = LossOptions {
        fast_emit: 0.25,
        ..LossOptions::default()
    };
    let inputs = [batch.blank.clone(), batch.label.clone()];
    let arcs = |x: &[Tensor]| batch.arcs_of(&x[0], &x[1]).unwrap();
    let plain = gradients(&inputs, |x| transducer_loss(&arcs(x)).unwrap());
    let fast = gradients(&inputs, |x| transducer_loss_with(&arcs(x), &options).unwrap());
    all_close(&values(&fast[0]), &values(&plain[0]), 1e-15);
    let scaled = (&plain[1] * 1.25).unwrap();
    all_close(&values(&fast[1]), &values(&scaled), 1e-15);
    let same = transducer_loss_with(&batch.arcs(), &options).unwrap();
    assert_eq!(values(&same), values(&transducer_loss(&batch.arcs()).unwrap()));
}

#[test]
fn delay_penalty_equals_brute_force() {
    let batch = Batch::every_extent(3);
    let lambda = 0.3;
    let options = LossOptions {
        delay_penalty: lambda,
        ..LossOptions::default()
    };
    let got = values(&transducer_loss_with(&batch.arcs(), &options).unwrap());
    for (b, got) in got.into_iter().enumerate() {
        let middle = (batch.frames.get(b) as f64 - 1.0) / 2.0;
        let bonus = |path: &[sandhi_lattice::Arc]| -> f64 {
            let labels = path.iter().filter(|arc| arc.step == Step::Label);
            labels.map(|arc| lambda * (middle - arc.t as f64)).sum()
        };
        let total: f64 = batch
            .paths(b)
            .iter()
            .map(|(path, p, _)| p * bonus(path).exp())
            .sum();
        close(got, -total.ln(), 1e-12);
    }
    let small = Batch::new(4, &[(4, 2), (2, 3)], 0.5);
    let inputs = [small.blank.clone(), small.label.clone()];
    let f = |x: &[Tensor]| transducer_loss_with(&small.arcs_of(&x[0], &x[1])?, &options);
    check_gradient(&inputs, f, Tolerance::GRADIENT).unwrap();
}

#[test]
fn an_infeasible_utterance_may_be_infinite() {
    // Utterance 1 has no frames, utterance 2 no label that is possible.
    let batch = Batch::new(5, &[(3, 1), (0, 1), (2, 1)], 0.0);
    let mut label = values(&batch.label);
    label[6..].fill(f64::NEG_INFINITY);
    let label = Tensor::from_vec(label, batch.label.dims(), &Device::Cpu).unwrap();
    let options = LossOptions {
        infeasible: Infeasible::Infinite,
        ..LossOptions::default()
    };
    let inputs = [batch.blank.clone(), label];
    let arcs = |x: &[Tensor]| batch.arcs_of(&x[0], &x[1]).unwrap();
    let losses = values(&transducer_loss_with(&arcs(&inputs), &options).unwrap());
    assert!(losses[0].is_finite() && losses[1..] == [f64::INFINITY; 2]);
    let grads = gradients(&inputs, |x| transducer_loss_with(&arcs(x), &options).unwrap());
    for (grad, each) in grads.iter().zip([6, 3]) {
        let grad = values(grad);
        assert!(grad[..each].iter().any(|g| *g != 0.0) && grad[each..].iter().all(|g| *g == 0.0));
    }
    assert!(matches!(
        transducer_loss(&arcs(&inputs)).unwrap_err(),
        Error::NoAlignment { utterance: 1, .. }
    ));
}

#[test]
fn options_out_of_range_are_refused() {
    let arcs = Batch::new(1, &[(2, 1)], 0.0).arcs();
    let (labels, frames) = (Labels::new(vec![vec![1]], 0).unwrap(), Lengths::new(vec![2]));
    let logits = Tensor::zeros((1, 2, 2, 3), DType::F32, &Device::Cpu).unwrap();
    for (fast_emit, delay_penalty) in [(-0.1, 0.0), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
        let options = LossOptions {
            fast_emit,
            delay_penalty,
            ..LossOptions::default()
        };
        assert!(matches!(
            transducer_loss_with(&arcs, &options),
            Err(Error::Invalid { .. })
        ));
    }
    for (label_smoothing, gradient_clamp) in [
        (1.0, None),
        (-0.1, None),
        (f64::NAN, None),
        (0.0, Some(0.0)),
        (0.0, Some(f64::NAN)),
    ] {
        let scoring = Scoring {
            label_smoothing,
            gradient_clamp,
            ..Scoring::default()
        };
        assert!(matches!(
            arc_scores(&logits, &labels, &frames, scoring),
            Err(Error::Invalid { .. })
        ));
    }
}

#[test]
fn label_smoothing_equals_the_mixture() {
    let (frames, labels) = (Lengths::new(vec![3, 2]), random_labels(4, &[2, 1], 5, 1));
    let logits = uniform(5, &[2, 3, 3, 5], -2.0, 2.0).unwrap();
    let plain = |normalize| arc_scores(&logits, &labels, &frames, normalize).unwrap();
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        let scoring = Scoring {
            label_smoothing: 0.2,
            ..normalize.into()
        };
        let smoothed = arc_scores(&logits, &labels, &frames, scoring).unwrap();
        assert_eq!(values(smoothed.blank()), values(plain(normalize).blank()));
        // The score of every label at a node, from lattices that ask for it: the mean of ln p over the labels.
        let each = [0, 2, 3, 4].map(|label| {
            let rows = labels.rows().iter().map(|row| vec![label; row.len()]).collect();
            let labels = Labels::new(rows, 1).unwrap();
            values(arc_scores(&logits, &labels, &frames, normalize).unwrap().label())
        });
        let own = values(plain(normalize).label());
        for (i, got) in values(smoothed.label()).into_iter().enumerate() {
            let mean = each.iter().map(|scores| scores[i]).sum::<f64>() / 4.0;
            close(got, 0.8 * own[i] + 0.2 * mean, 1e-12);
        }
        let f = |x: &[Tensor]| transducer_loss(&arc_scores(&x[0], &labels, &frames, scoring)?);
        check_gradient(std::slice::from_ref(&logits), f, Tolerance::GRADIENT).unwrap();
    }
}

#[test]
fn gradient_clamp_bounds_every_element() {
    let (frames, labels) = (Lengths::new(vec![3, 2]), random_labels(4, &[2, 1], 5, 1));
    let logits = uniform(5, &[2, 3, 3, 5], -2.0, 2.0).unwrap();
    let gradient = |gradient_clamp| {
        let scoring = Scoring {
            gradient_clamp,
            ..Scoring::default()
        };
        let loss =
            |x: &[Tensor]| transducer_loss(&arc_scores(&x[0], &labels, &frames, scoring).unwrap()).unwrap();
        values(&gradients(std::slice::from_ref(&logits), loss)[0])
    };
    let free = gradient(None);
    assert!(free.iter().any(|g| g.abs() > 0.1));
    let expected: Vec<f64> = free.iter().map(|g| g.clamp(-0.1, 0.1)).collect();
    assert_eq!(gradient(Some(0.1)), expected);
}

/// A ragged batch of logits with poison in the padding, its labels and lengths.
fn ragged(seed: u64, vocabulary: usize, poison: f64) -> (Tensor, Labels, Lengths) {
    let (frames, counts) = ([7, 3, 1, 5], [4, 5, 0, 2]);
    let labels = random_labels(seed, &counts, vocabulary as u32, vocabulary as u32 - 1);
    let logits = uniform(seed, &[4, 7, 6, vocabulary], -4.0, 4.0).unwrap();
    let logits = poisoned(&logits, |b, t, u| t < frames[b] && u <= counts[b], poison);
    (logits, labels, Lengths::new(frames.to_vec()))
}

/// Loss and gradient of the sum by way of tensors.
fn by_tensors(
    logits: &Tensor,
    labels: &Labels,
    frames: &Lengths,
    scoring: Scoring,
    topology: Topology,
) -> (Vec<f64>, Vec<f64>) {
    let logits = Var::from_tensor(logits).unwrap();
    let arcs: ArcScores = arc_scores(logits.as_tensor(), labels, frames, scoring)
        .unwrap()
        .on(topology);
    let options = LossOptions {
        infeasible: Infeasible::Infinite,
        ..LossOptions::default()
    };
    let loss = transducer_loss_with(&arcs, &options).unwrap();
    let grads = loss.sum_all().unwrap().backward().unwrap();
    (values(&loss), values(grads.get(&logits).unwrap()))
}

#[test]
fn host_loss_equals_the_tensor_path() {
    let settings = [Normalize::Softmax, Normalize::Hat].map(Scoring::from);
    // Vocabularies around the width of a vector.
    for (vocabulary, scoring) in [2, 5, 16, 17, 33]
        .into_iter()
        .flat_map(|v| settings.map(|s| (v, s)))
    {
        for topology in [Topology::Standard, Topology::Monotonic] {
            let (logits, labels, frames) = ragged(vocabulary as u64, vocabulary, f64::NAN);
            let (losses, gradient) = by_tensors(&logits, &labels, &frames, scoring, topology);
            let shape = [4, 7, 6, vocabulary];
            let options = LossOptions {
                infeasible: Infeasible::Infinite,
                ..LossOptions::default()
            };
            let host = HostLoss::new(shape, &labels, &frames).unwrap();
            let host = host
                .scoring(scoring)
                .unwrap()
                .on(topology)
                .options(options)
                .unwrap();
            let mut flat = values(&logits);
            assert_eq!(host.losses(&flat).unwrap(), losses);
            let mut dirty = vec![f64::NAN; flat.len()];
            assert_eq!(host.with_gradient(&flat, &mut dirty).unwrap(), losses);
            assert_eq!(dirty, gradient);
            assert_eq!(host.in_place(&mut flat).unwrap(), losses);
            assert_eq!(flat, gradient);
        }
    }
}

#[test]
fn host_loss_reuses_a_dirty_buffer() {
    let (logits, labels, frames) = ragged(1, 20, 1e30);
    let logits: Vec<f32> = values(&logits).into_iter().map(|x| x as f32).collect();
    let host = HostLoss::new([4, 7, 6, 20], &labels, &frames).unwrap();
    let (mut clean, mut dirty) = (vec![0f32; logits.len()], vec![f32::INFINITY; logits.len()]);
    host.with_gradient(&logits, &mut clean).unwrap();
    host.with_gradient(&logits, &mut dirty).unwrap();
    assert_eq!(clean, dirty);
    assert!(clean.iter().all(|g| g.is_finite()));
}

#[test]
fn host_loss_refuses_slices_of_another_size() {
    let (labels, frames) = (Labels::new(vec![vec![1]], 0).unwrap(), Lengths::new(vec![2]));
    let host = HostLoss::new([1, 2, 2, 3], &labels, &frames).unwrap();
    let is_shape = |error: Error, name: &str| matches!(error, Error::Shape { what, .. } if what == name);
    assert!(is_shape(host.losses(&[0f32; 11]).unwrap_err(), "logits"));
    let mut short = [0f32; 11];
    assert!(is_shape(
        host.with_gradient(&[0f32; 12], &mut short).unwrap_err(),
        "gradient"
    ));
    assert!(is_shape(host.in_place(&mut short).unwrap_err(), "logits"));
}
