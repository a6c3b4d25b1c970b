//! The empty, the impossible and the poisoned.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{Batch, all_close, close, gradients, poisoned, random_labels, values};
use sandhi_core::{ArcScores, Error, Labels, Lengths};
use sandhi_testkit::uniform;
use sandhi_transducer::{
    Normalize, arc_scores, expected_cost, joiner_arc_scores, label_posteriors, soft_cost, transducer_loss,
    viterbi,
};

const POISONS: [f64; 4] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30];

#[test]
fn lattice_losses_ignore_padding() {
    let run = |poison: f64| {
        let batch = Batch::new(1, &[(6, 3), (2, 5), (1, 0), (4, 4)], poison);
        let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
        let arcs = |x: &[Tensor]| batch.arcs_of(&x[0], &x[1]).unwrap();
        let mut found = gradients(&inputs, |x| expected_cost(&arcs(x), &x[2]).unwrap());
        found.extend(gradients(&inputs, |x| soft_cost(&arcs(x), &x[2]).unwrap()));
        found.extend(gradients(&inputs[..2], |x| transducer_loss(&arcs(x)).unwrap()));
        found.push(transducer_loss(&batch.arcs()).unwrap());
        found.push(label_posteriors(&batch.arcs()).unwrap());
        found.iter().map(values).collect::<Vec<_>>()
    };
    let clean = run(0.0);
    assert!(clean.iter().flatten().all(|x| x.is_finite()));
    for poison in POISONS {
        assert_eq!(run(poison), clean, "{poison}");
    }
}

#[test]
fn arc_scores_ignore_padding() {
    let (frames, labels) = (Lengths::new(vec![2, 3, 1]), random_labels(2, &[3, 0, 1], 6, 0));
    let logits = uniform(3, &[3, 3, 4, 6], -3.0, 3.0).unwrap();
    let run = |poison: f64, normalize| {
        let lengths = labels.lengths();
        let logits = poisoned(
            &logits,
            |b, t, u| t < frames.get(b) && u <= lengths.get(b),
            poison,
        );
        let arcs = |x: &[Tensor]| arc_scores(&x[0], &labels, &frames, normalize).unwrap();
        let grads = gradients(std::slice::from_ref(&logits), |x| {
            transducer_loss(&arcs(x)).unwrap()
        });
        let arcs = arcs(&[logits]);
        [values(&grads[0]), values(arcs.blank()), values(arcs.label())]
    };
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        let clean = run(0.0, normalize);
        assert!(clean.iter().flatten().all(|x| x.is_finite()));
        for poison in POISONS {
            assert_eq!(run(poison, normalize), clean, "{poison}");
        }
    }
}

#[test]
fn fused_joiner_ignores_padding() {
    let (frames, labels) = (Lengths::new(vec![2, 4, 1]), random_labels(4, &[3, 0, 1], 6, 0));
    let clean_inputs = [
        uniform(5, &[3, 4, 7], -1.0, 1.0).unwrap(),
        uniform(6, &[3, 4, 7], -1.0, 1.0).unwrap(),
        uniform(7, &[6, 7], -1.0, 1.0).unwrap(),
        uniform(8, &[6], -1.0, 1.0).unwrap(),
    ];
    let run = |poison: f64| {
        let mut inputs = clean_inputs.clone();
        inputs[0] = sandhi_testkit::poison_padding(&inputs[0], &frames, poison).unwrap();
        let rows = Lengths::new(labels.lengths().as_slice().iter().map(|n| n + 1).collect());
        inputs[1] = sandhi_testkit::poison_padding(&inputs[1], &rows, poison).unwrap();
        let loss = |x: &[Tensor]| {
            let arcs = joiner_arc_scores(&x[0], &x[1], &x[2], &x[3], &labels, &frames, Normalize::Softmax);
            transducer_loss(&arcs.unwrap()).unwrap()
        };
        let mut found = gradients(&inputs, loss);
        found.push(loss(&inputs));
        found.iter().map(values).collect::<Vec<_>>()
    };
    let clean = run(0.0);
    assert!(clean.iter().flatten().all(|x| x.is_finite()));
    for poison in POISONS {
        assert_eq!(run(poison), clean, "{poison}");
    }
}

#[test]
fn one_frame_and_no_labels_are_plain_sums() {
    // T = 1: one path, all labels and then the blank. U = 0: one path, all blanks.
    let one = Batch::new(9, &[(1, 3)], 0.0);
    let expected = -(values(&one.label).iter().sum::<f64>() + values(&one.blank)[3]);
    close(values(&transducer_loss(&one.arcs()).unwrap())[0], expected, 1e-12);

    let none = Batch::new(10, &[(4, 0), (2, 0)], 0.0);
    assert_eq!(none.label.dims(), [2, 4, 0]);
    let blank = values(&none.blank);
    let sums = [-blank[..4].iter().sum::<f64>(), -blank[4..6].iter().sum::<f64>()];
    all_close(&values(&transducer_loss(&none.arcs()).unwrap()), &sums, 1e-12);
    all_close(
        &values(&expected_cost(&none.arcs(), &none.cost).unwrap()),
        &[0.0, 0.0],
        1e-12,
    );
    assert_eq!(label_posteriors(&none.arcs()).unwrap().dims(), [2, 4, 0]);
    assert!(
        viterbi(&none.arcs())
            .unwrap()
            .iter()
            .all(|best| best.frames.is_empty())
    );
    let grads = gradients(std::slice::from_ref(&none.blank), |x| {
        transducer_loss(&none.arcs_of(&x[0], &none.label).unwrap()).unwrap()
    });
    all_close(
        &values(&grads[0]),
        &[-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 0.0, 0.0],
        1e-12,
    );
}

#[test]
fn logits_without_labels_reach_a_gradient() {
    let (frames, labels) = (Lengths::new(vec![3]), Labels::new(vec![vec![]], 0).unwrap());
    let logits = uniform(11, &[1, 3, 1, 4], -1.0, 1.0).unwrap();
    let loss = |x: &[Tensor]| {
        transducer_loss(&arc_scores(&x[0], &labels, &frames, Normalize::Softmax).unwrap()).unwrap()
    };
    let grads = gradients(std::slice::from_ref(&logits), loss);
    // d(−ln p_blank)/dx sums to zero over the vocabulary and is negative at the blank.
    for row in values(&grads[0]).chunks_exact(4) {
        close(row.iter().sum(), 0.0, 1e-12);
        assert!(row[0] < 0.0 && row[1] > 0.0);
    }
}

#[test]
fn infeasible_utterance_is_named() {
    let batch = Batch::new(12, &[(3, 2), (5, 1), (0, 1), (2, 2)], 0.0);
    let is_named = |error: Error| {
        matches!(
            error,
            Error::NoAlignment {
                utterance: 2,
                frames: 0,
                labels: 1
            }
        )
    };
    assert!(is_named(transducer_loss(&batch.arcs()).unwrap_err()));
    assert!(is_named(expected_cost(&batch.arcs(), &batch.cost).unwrap_err()));
    assert!(is_named(soft_cost(&batch.arcs(), &batch.cost).unwrap_err()));
    assert!(is_named(label_posteriors(&batch.arcs()).unwrap_err()));
    assert!(is_named(viterbi(&batch.arcs()).unwrap_err()));
}

#[test]
fn impossible_labels_are_named() {
    let mut batch = Batch::new(13, &[(3, 2), (4, 2)], 0.0);
    // Label 1 of utterance 1 can be emitted nowhere.
    batch.label = poisoned(&batch.label, |b, _, u| (b, u) != (1, 1), f64::NEG_INFINITY);
    let error = transducer_loss(&batch.arcs()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoAlignment {
                utterance: 1,
                frames: 4,
                labels: 2
            }
        ),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "utterance 1 has no alignment: 2 labels over 4 frames"
    );
}

#[test]
fn forbidden_cells_are_avoided_without_nan() {
    // Label 0 may not be emitted at frame 0, whatever it costs there.
    let mut batch = Batch::new(14, &[(3, 2)], 0.0);
    batch.label = poisoned(&batch.label, |_, t, u| (t, u) != (0, 0), f64::NEG_INFINITY);
    batch.cost = poisoned(&batch.cost, |_, t, u| (t, u) != (0, 0), f64::INFINITY);
    let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
    let found = gradients(&inputs, |x| {
        expected_cost(&batch.arcs_of(&x[0], &x[1]).unwrap(), &x[2]).unwrap()
    });
    assert!(found.iter().flat_map(values).all(f64::is_finite));
    assert!(values(&expected_cost(&batch.arcs(), &batch.cost).unwrap())[0].is_finite());
    assert_eq!(values(&found[2])[0], 0.0);
}

#[test]
fn more_labels_than_frames_are_feasible() {
    let batch = Batch::new(15, &[(2, 6)], 0.0);
    let mass: f64 = batch.paths(0).iter().map(|(_, p, _)| p).sum();
    close(
        values(&transducer_loss(&batch.arcs()).unwrap())[0],
        -mass.ln(),
        1e-12,
    );
}

#[test]
fn offsets_of_the_logits_change_nothing() {
    let (frames, labels) = (Lengths::new(vec![6]), random_labels(16, &[3], 5, 0));
    let logits = uniform(17, &[1, 6, 4, 5], -3.0, 3.0).unwrap();
    for normalize in [Normalize::Softmax] {
        let run = |offset: f64, dtype| {
            let logits = (&logits + offset).unwrap().to_dtype(dtype).unwrap();
            let loss = |x: &[Tensor]| {
                transducer_loss(&arc_scores(&x[0], &labels, &frames, normalize).unwrap()).unwrap()
            };
            (
                values(&loss(std::slice::from_ref(&logits))),
                values(&gradients(&[logits], loss)[0]),
            )
        };
        for offset in [5000.0, -5000.0] {
            let (plain, moved) = (run(0.0, DType::F64), run(offset, DType::F64));
            all_close(&moved.0, &plain.0, 1e-9);
            all_close(&moved.1, &plain.1, 1e-9);
            // In f32 the offset costs the logits themselves their digits: 5000 has an ulp of 5e-4.
            all_close(&run(offset, DType::F32).1, &plain.1, 2e-3);
        }
    }
}

#[test]
fn extreme_logits_stay_finite() {
    let (frames, labels) = (Lengths::new(vec![4]), Labels::new(vec![vec![1, 2]], 0).unwrap());
    let logits = (uniform(18, &[1, 4, 3, 3], -1.0, 1.0).unwrap() * 1e4).unwrap();
    for dtype in [DType::F32, DType::F64] {
        for normalize in [Normalize::Softmax, Normalize::Hat] {
            let logits = logits.to_dtype(dtype).unwrap();
            let loss = |x: &[Tensor]| {
                transducer_loss(&arc_scores(&x[0], &labels, &frames, normalize).unwrap()).unwrap()
            };
            assert!(values(&loss(std::slice::from_ref(&logits)))[0].is_finite());
            assert!(
                values(&gradients(&[logits], loss)[0])
                    .iter()
                    .all(|x| x.is_finite())
            );
        }
    }
}

#[test]
fn impossible_logits_carry_no_gradient() {
    let (frames, labels) = (Lengths::new(vec![3]), Labels::new(vec![vec![1]], 0).unwrap());
    let logits = uniform(19, &[1, 3, 2, 4], -1.0, 1.0).unwrap();
    // Vocabulary entry 3 is impossible everywhere, and the label at frame 0.
    let masked: Vec<f64> = values(&logits)
        .into_iter()
        .enumerate()
        .map(|(i, x)| {
            if i % 4 == 3 || i == 1 {
                f64::NEG_INFINITY
            } else {
                x
            }
        })
        .collect();
    let logits = Tensor::from_vec(masked, (1, 3, 2, 4), &Device::Cpu).unwrap();
    for dtype in [DType::F32, DType::F64] {
        let logits = logits.to_dtype(dtype).unwrap();
        let loss = |x: &[Tensor]| {
            transducer_loss(&arc_scores(&x[0], &labels, &frames, Normalize::Softmax).unwrap()).unwrap()
        };
        let grads = values(&gradients(std::slice::from_ref(&logits), loss)[0]);
        assert!(grads.iter().all(|x| x.is_finite()));
        assert!(grads.iter().skip(3).step_by(4).all(|&x| x == 0.0));
        assert_eq!(grads[1], 0.0);
        assert!(values(&loss(&[logits]))[0].is_finite());
    }
}

#[test]
fn nan_in_a_valid_logit_shows_in_its_utterance_alone() {
    let (frames, labels) = (Lengths::new(vec![3, 3]), random_labels(20, &[1, 1], 40, 0));
    for dtype in [DType::F32, DType::F64] {
        let logits = uniform(21, &[2, 3, 2, 40], -1.0, 1.0)
            .unwrap()
            .to_dtype(dtype)
            .unwrap();
        let logits = poisoned(&logits, |b, t, _| (b, t) != (1, 1), f64::NAN);
        let arcs = arc_scores(&logits, &labels, &frames, Normalize::Softmax).unwrap();
        let loss = values(&transducer_loss(&arcs).unwrap());
        assert!(loss[0].is_finite() && loss[1].is_nan());
    }
}

#[test]
fn vocabulary_of_two_has_one_degree_of_freedom() {
    let (frames, labels) = (Lengths::new(vec![3]), Labels::new(vec![vec![0, 0]], 1).unwrap());
    let logits = uniform(22, &[1, 3, 3, 2], -1.0, 1.0).unwrap();
    let arcs = arc_scores(&logits, &labels, &frames, Normalize::Softmax).unwrap();
    let blank = arcs.blank().narrow(2, 0, 2).unwrap().exp().unwrap();
    let sum = (blank + arcs.label().exp().unwrap()).unwrap();
    all_close(&values(&sum), &[1.0; 6], 1e-12);
    // With one label HAT and softmax differ only in what the blank's logit is compared with.
    let hat = arc_scores(&logits, &labels, &frames, Normalize::Hat).unwrap();
    let sum = (hat.blank().narrow(2, 0, 2).unwrap().exp().unwrap() + hat.label().exp().unwrap()).unwrap();
    all_close(&values(&sum), &[1.0; 6], 1e-12);
}

#[test]
fn strided_inputs_equal_contiguous_ones() {
    let batch = Batch::new(23, &[(4, 3), (4, 2)], 0.0);
    let strided = |x: &Tensor| {
        let copy = x
            .transpose(0, 2)
            .unwrap()
            .contiguous()
            .unwrap()
            .transpose(0, 2)
            .unwrap();
        assert!(!copy.is_contiguous());
        copy
    };
    let arcs = batch
        .arcs_of(&strided(&batch.blank), &strided(&batch.label))
        .unwrap();
    let cost = strided(&batch.cost);
    assert_eq!(
        values(&transducer_loss(&arcs).unwrap()),
        values(&transducer_loss(&batch.arcs()).unwrap())
    );
    let run = |inputs: &[Tensor]| {
        gradients(inputs, |x| {
            expected_cost(&batch.arcs_of(&x[0], &x[1]).unwrap(), &x[2]).unwrap()
        })
        .iter()
        .map(values)
        .collect::<Vec<_>>()
    };
    let through = |x: &[Tensor]| {
        let (blank, label, cost) = (strided(&x[0]), strided(&x[1]), strided(&x[2]));
        expected_cost(&batch.arcs_of(&blank, &label).unwrap(), &cost).unwrap()
    };
    let inputs = [batch.blank.clone(), batch.label.clone(), batch.cost.clone()];
    let strided_grads: Vec<_> = gradients(&inputs, through).iter().map(values).collect();
    assert_eq!(strided_grads, run(&inputs));
    assert!(cost.dims() == batch.cost.dims());
}

#[test]
fn wrong_arguments_are_typed_errors() {
    let (frames, labels) = (Lengths::new(vec![3]), Labels::new(vec![vec![1, 2]], 0).unwrap());
    let logits = |dims: &[usize]| uniform(24, dims, -1.0, 1.0).unwrap();
    let scores = |dims: &[usize], labels: &Labels, frames: &Lengths| {
        arc_scores(&logits(dims), labels, frames, Normalize::Softmax).unwrap_err()
    };
    assert!(matches!(
        scores(&[3, 3, 4], &labels, &frames),
        Error::Shape { .. }
    ));
    assert!(matches!(
        scores(&[1, 2, 3, 4], &labels, &frames),
        Error::Length {
            length: 3,
            max: 2,
            ..
        }
    ));
    assert!(matches!(
        scores(&[1, 3, 2, 4], &labels, &frames),
        Error::Length {
            length: 2,
            max: 1,
            ..
        }
    ));
    assert!(matches!(
        scores(&[2, 3, 3, 4], &labels, &frames),
        Error::BatchSize { .. }
    ));
    assert!(matches!(
        scores(&[1, 3, 3, 2], &labels, &frames),
        Error::Label {
            position: 1,
            label: 2,
            ..
        }
    ));
    let high_blank = Labels::new(vec![vec![1, 2]], 9).unwrap();
    assert!(matches!(
        scores(&[1, 3, 3, 4], &high_blank, &frames),
        Error::Invalid { what: "blank", .. }
    ));
    let half = logits(&[1, 3, 3, 4]).to_dtype(DType::F16).unwrap();
    let error = arc_scores(&half, &labels, &frames, Normalize::Softmax).unwrap_err();
    assert_eq!(error.to_string(), "logits: expected f32 or f64, got f16");

    let batch = Batch::new(25, &[(3, 2)], 0.0);
    let wide = uniform(26, &[1, 3, 3], 0.0, 1.0).unwrap();
    assert!(matches!(
        expected_cost(&batch.arcs(), &wide).unwrap_err(),
        Error::Shape { what: "cost", .. }
    ));
    let single = batch.cost.to_dtype(DType::F32).unwrap();
    assert!(matches!(
        soft_cost(&batch.arcs(), &single).unwrap_err(),
        Error::Shape { what: "cost", .. }
    ));

    let joiner = |speech: &[usize], predicted: &[usize], weight: &[usize], bias: &[usize]| {
        let (s, p, w, b) = (logits(speech), logits(predicted), logits(weight), logits(bias));
        joiner_arc_scores(&s, &p, &w, &b, &labels, &frames, Normalize::Softmax)
    };
    assert!(joiner(&[1, 3, 5], &[1, 3, 5], &[4, 5], &[4]).is_ok());
    let wrong = [
        joiner(&[1, 3, 5], &[1, 3, 6], &[4, 5], &[4]),
        joiner(&[1, 3, 5], &[1, 3, 5], &[4, 6], &[4]),
        joiner(&[1, 3, 5], &[1, 3, 5], &[4, 5], &[3]),
        joiner(&[1, 15], &[1, 3, 5], &[4, 5], &[4]),
    ];
    assert!(
        wrong
            .into_iter()
            .all(|x| matches!(x.unwrap_err(), Error::Shape { .. }))
    );
}

#[test]
fn pair_with_other_lengths_than_its_arcs_is_an_error() {
    use sandhi_core::{Consistency, Distance, Padded, Pair};
    use sandhi_transducer::{Alignment, ExpectedCost};
    let batch = Batch::new(27, &[(3, 2), (4, 1)], 0.0);
    let padded = |t: usize, lengths: Vec<usize>| {
        Padded::new(uniform(28, &[2, t, 3], 0.0, 1.0).unwrap(), Lengths::new(lengths)).unwrap()
    };
    let (speech, text, arcs) = (padded(4, vec![3, 3]), padded(2, vec![2, 1]), batch.arcs());
    let loss = ExpectedCost {
        distance: Distance::L1,
        alignment: Alignment::Held,
    };
    let error = loss
        .loss(Pair {
            speech: &speech,
            text: &text,
            arcs: &arcs,
        })
        .unwrap_err();
    let expected = "speech embeddings: expected the lengths of the arcs, [3, 4], got [3, 3]";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn arcs_of_an_empty_batch_have_no_losses() {
    let empty = |columns| Tensor::zeros((0, 3, columns), DType::F64, &Device::Cpu).unwrap();
    let arcs = ArcScores::new(empty(3), empty(2), Lengths::new(vec![]), Lengths::new(vec![])).unwrap();
    assert_eq!(transducer_loss(&arcs).unwrap().dims(), [0]);
    assert!(viterbi(&arcs).unwrap().is_empty());
}

#[test]
fn what_memory_cannot_hold_is_refused_before_it_is_tried() {
    // A view as large as anyone likes, of one number.
    let one = Tensor::zeros((1, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
    let logits = one.expand((64, 4000, 401, 1 << 20)).unwrap();
    let labels = Labels::new(vec![vec![1]; 64], 0).unwrap();
    let frames = Lengths::new(vec![4000; 64]);
    let error = arc_scores(&logits, &labels, &frames, Normalize::Softmax).unwrap_err();
    assert!(matches!(error, Error::Memory { .. }));
    let message = error.to_string();
    assert!(
        message.contains("B 64 x T 4000 x U+1 401 x V 1048576 x 4 bytes = 430.6 TB"),
        "{message}"
    );
}
