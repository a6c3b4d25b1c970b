//! Identities that need no reference.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{Batch, all_close, close, gradients, random_labels, values};
use sandhi_core::{ArcScores, Consistency, Distance, Labels, Lengths, Padded, Pair, pairwise};
use sandhi_testkit::uniform;
use sandhi_transducer::{
    Alignment, ExpectedCost, Normalize, SoftCost, arc_scores, expected_cost, label_posteriors, soft_cost,
    transducer_loss, viterbi,
};

#[test]
fn transducer_loss_of_uniform_arcs_counts_paths() {
    // C(T+U−1, U) paths of T+U arcs.
    for (frames, labels, count) in [
        (1, 0, 1.0),
        (1, 4, 1.0),
        (4, 1, 4.0),
        (5, 4, 70.0),
        (10, 10, 92378.0),
    ] {
        let full = |columns| Tensor::full(-2.0f64, (1, frames, columns), &Device::Cpu).unwrap();
        let lengths = (Lengths::new(vec![frames]), Lengths::new(vec![labels]));
        let arcs = ArcScores::new(full(labels + 1), full(labels), lengths.0, lengths.1).unwrap();
        let expected = 2.0 * (frames + labels) as f64 - f64::ln(count);
        close(values(&transducer_loss(&arcs).unwrap())[0], expected, 1e-12);
    }
}

#[test]
fn label_posteriors_sum_to_one_for_each_label() {
    let batch = Batch::new(7, &[(9, 5), (3, 8), (1, 2), (12, 0)], f64::NAN);
    let gamma = label_posteriors(&batch.arcs()).unwrap();
    let sums = gamma.sum(1).unwrap().to_vec2::<f64>().unwrap();
    for (b, sums) in sums.iter().enumerate() {
        for (u, &sum) in sums.iter().enumerate() {
            close(sum, if u < batch.labels.get(b) { 1.0 } else { 0.0 }, 1e-12);
        }
    }
}

#[test]
fn transducer_loss_gradient_is_minus_the_posterior() {
    let batch = Batch::new(8, &[(9, 5), (3, 8), (1, 2), (12, 0)], f64::NAN);
    let found = gradients(&[batch.blank.clone(), batch.label.clone()], |x| {
        transducer_loss(&batch.arcs_of(&x[0], &x[1]).unwrap()).unwrap()
    });
    let gamma = values(&label_posteriors(&batch.arcs()).unwrap());
    all_close(
        &values(&found[1]),
        &gamma.iter().map(|x| -x).collect::<Vec<_>>(),
        1e-12,
    );
    // Each frame is left once, by a blank.
    let left = found[0].sum(2).unwrap().to_vec2::<f64>().unwrap();
    for (b, left) in left.iter().enumerate() {
        for (t, &sum) in left.iter().enumerate() {
            close(sum, if t < batch.frames.get(b) { -1.0 } else { 0.0 }, 1e-12);
        }
    }
}

#[test]
fn expected_cost_gradient_of_the_cost_is_the_posterior() {
    let batch = Batch::new(9, &[(9, 5), (3, 8), (1, 2), (12, 0)], f64::NAN);
    let found = gradients(std::slice::from_ref(&batch.cost), |x| {
        expected_cost(&batch.arcs(), &x[0]).unwrap()
    });
    all_close(
        &values(&found[0]),
        &values(&label_posteriors(&batch.arcs()).unwrap()),
        1e-12,
    );
}

#[test]
fn expected_cost_of_one_per_label_is_the_number_of_labels() {
    let batch = Batch::new(10, &[(9, 5), (3, 8), (1, 2), (12, 0)], f64::NAN);
    let ones = batch.cost.ones_like().unwrap();
    all_close(
        &values(&expected_cost(&batch.arcs(), &ones).unwrap()),
        &[5.0, 8.0, 2.0, 0.0],
        1e-12,
    );
    all_close(
        &values(&soft_cost(&batch.arcs(), &ones).unwrap()),
        &[5.0, 8.0, 2.0, 0.0],
        1e-12,
    );
}

#[test]
fn expected_cost_of_a_constant_cost_leaves_the_alignment_alone() {
    let batch = Batch::new(11, &[(9, 5), (3, 8)], 0.0);
    let ones = batch.cost.ones_like().unwrap();
    let found = gradients(&[batch.blank.clone(), batch.label.clone()], |x| {
        expected_cost(&batch.arcs_of(&x[0], &x[1]).unwrap(), &ones).unwrap()
    });
    assert!(found.iter().flat_map(values).all(|g| g.abs() < 1e-12));
}

#[test]
fn best_below_soft_below_expected() {
    let batch = Batch::every_extent(12);
    let soft = values(&soft_cost(&batch.arcs(), &batch.cost).unwrap());
    let expected = values(&expected_cost(&batch.arcs(), &batch.cost).unwrap());
    for b in 0..batch.len() {
        let best = batch
            .paths(b)
            .iter()
            .map(|(.., d)| *d)
            .fold(f64::INFINITY, f64::min);
        assert!(
            best <= soft[b] + 1e-12 && soft[b] <= expected[b] + 1e-12,
            "utterance {b}"
        );
    }
}

#[test]
fn batch_equals_singles_in_any_order() {
    let extents = [(6, 3), (2, 5), (1, 0), (9, 1)];
    let batch = Batch::new(13, &extents, f64::NAN);
    let arcs = batch.arcs();
    let (loss, expected, soft) = (
        values(&transducer_loss(&arcs).unwrap()),
        values(&expected_cost(&arcs, &batch.cost).unwrap()),
        values(&soft_cost(&arcs, &batch.cost).unwrap()),
    );
    let frames = viterbi(&arcs).unwrap();
    for order in [
        vec![0],
        vec![1],
        vec![2],
        vec![3],
        vec![3, 1, 2, 0],
        vec![2, 2, 1],
    ] {
        let pick = Tensor::new(order.iter().map(|&b| b as u32).collect::<Vec<_>>(), &Device::Cpu).unwrap();
        let take = |x: &Tensor| x.index_select(&pick, 0).unwrap();
        let lengths = |x: &Lengths| Lengths::new(order.iter().map(|&b| x.get(b)).collect());
        let arcs = ArcScores::new(
            take(&batch.blank),
            take(&batch.label),
            lengths(&batch.frames),
            lengths(&batch.labels),
        );
        let (arcs, cost) = (arcs.unwrap(), take(&batch.cost));
        let of = |x: &[f64]| order.iter().map(|&b| x[b]).collect::<Vec<_>>();
        // The very same bits: an utterance never sees its neighbours.
        assert_eq!(values(&transducer_loss(&arcs).unwrap()), of(&loss));
        assert_eq!(values(&expected_cost(&arcs, &cost).unwrap()), of(&expected));
        assert_eq!(values(&soft_cost(&arcs, &cost).unwrap()), of(&soft));
        assert_eq!(
            viterbi(&arcs).unwrap(),
            order.iter().map(|&b| frames[b].clone()).collect::<Vec<_>>()
        );
    }
}

#[test]
fn arc_scores_equal_log_softmax() {
    let (frames, labels) = (Lengths::new(vec![4, 2]), random_labels(1, &[3, 1], 37, 5));
    let logits = uniform(14, &[2, 4, 4, 37], -6.0, 6.0).unwrap();
    let exp = logits.exp().unwrap();
    let log_sum = exp.sum_keepdim(3).unwrap().log().unwrap();
    let log_softmax = logits.broadcast_sub(&log_sum).unwrap();
    let rows = log_softmax.flatten_to(2).unwrap().to_vec2::<f64>().unwrap();
    let arcs = arc_scores(&logits, &labels, &frames, Normalize::Softmax).unwrap();
    let (blank, label) = (
        arcs.blank().to_vec3::<f64>().unwrap(),
        arcs.label().to_vec3::<f64>().unwrap(),
    );
    for b in 0..2 {
        for t in 0..4 {
            for u in 0..4 {
                let row = &rows[(b * 4 + t) * 4 + u];
                let inside = t < frames.get(b) && u <= labels.lengths().get(b);
                close(blank[b][t][u], if inside { row[5] } else { 0.0 }, 1e-12);
                if u < 3 {
                    let emits = inside && u < labels.lengths().get(b);
                    let expected = if emits {
                        row[labels.rows()[b][u] as usize]
                    } else {
                        0.0
                    };
                    close(label[b][t][u], expected, 1e-12);
                }
            }
        }
    }
}

#[test]
fn arc_scores_of_all_labels_and_blank_sum_to_one() {
    let logits = uniform(15, &[1, 3, 2, 7], -4.0, 4.0).unwrap();
    for normalize in [Normalize::Softmax, Normalize::Hat] {
        for blank in [0u32, 3, 6] {
            let mut sum = Tensor::zeros((1, 3, 1), DType::F64, &Device::Cpu).unwrap();
            for id in (0..7).filter(|&id| id != blank) {
                let labels = Labels::new(vec![vec![id]], blank).unwrap();
                let arcs = arc_scores(&logits, &labels, &Lengths::new(vec![3]), normalize).unwrap();
                sum = (sum + arcs.label().exp().unwrap()).unwrap();
                if id == (blank + 1) % 7 {
                    sum = (sum + arcs.blank().narrow(2, 0, 1).unwrap().exp().unwrap()).unwrap();
                }
            }
            all_close(&values(&sum), &[1.0, 1.0, 1.0], 1e-12);
        }
    }
}

#[test]
fn hat_blank_is_the_sigmoid_of_its_logit() {
    let logits = uniform(16, &[1, 3, 1, 4], -4.0, 4.0).unwrap();
    let labels = Labels::new(vec![vec![]], 2).unwrap();
    let arcs = arc_scores(&logits, &labels, &Lengths::new(vec![3]), Normalize::Hat).unwrap();
    let x = values(&logits.narrow(3, 2, 1).unwrap());
    all_close(
        &values(arcs.blank()),
        &x.iter().map(|x| -(1.0 + (-x).exp()).ln()).collect::<Vec<_>>(),
        1e-12,
    );
}

#[test]
fn single_precision_keeps_five_digits_over_1200_arcs() {
    let (frames, labels) = (Lengths::new(vec![1000]), random_labels(2, &[200], 32, 0));
    let logits = uniform(17, &[1, 1000, 201, 32], -8.0, 8.0).unwrap();
    let run = |logits: &Tensor| {
        let arcs = arc_scores(logits, &labels, &frames, Normalize::Softmax).unwrap();
        let cost = arcs.label().neg().unwrap();
        [
            transducer_loss(&arcs),
            expected_cost(&arcs, &cost),
            soft_cost(&arcs, &cost),
        ]
        .map(|x| values(&x.unwrap())[0])
    };
    let (single, double) = (run(&logits.to_dtype(DType::F32).unwrap()), run(&logits));
    for (single, double) in single.into_iter().zip(double) {
        assert!(
            (single - double).abs() <= 1e-5 * double.abs(),
            "{single} for {double}"
        );
    }
}

fn pair_of(seed: u64) -> (Padded, Padded, Batch) {
    let batch = Batch::new(seed, &[(6, 3), (2, 4), (5, 0)], f64::NAN);
    let speech = uniform(seed + 10, &[3, 6, 5], -1.0, 1.0).unwrap();
    let text = uniform(seed + 11, &[3, 4, 5], -1.0, 1.0).unwrap();
    let padded = |x: &Tensor, lengths: &Lengths| {
        Padded::new(
            sandhi_testkit::poison_padding(x, lengths, f64::NAN).unwrap(),
            lengths.clone(),
        )
        .unwrap()
    };
    (
        padded(&speech, &batch.frames),
        padded(&text, &batch.labels),
        batch,
    )
}

#[test]
fn expected_cost_consistency_equals_its_parts() {
    let (speech, text, batch) = pair_of(18);
    let arcs = batch.arcs();
    let loss = ExpectedCost {
        distance: Distance::L1,
        alignment: Alignment::Learned,
    };
    let found = loss
        .loss(Pair {
            speech: &speech,
            text: &text,
            arcs: &arcs,
        })
        .unwrap();
    let cost = pairwise(Distance::L1, &speech, &text).unwrap();
    assert_eq!(values(&found), values(&expected_cost(&arcs, &cost).unwrap()));
    // Σ γ d, spelled out.
    let gamma = label_posteriors(&arcs).unwrap();
    let by_hand = (gamma * cost).unwrap().sum((1, 2)).unwrap();
    all_close(&values(&found), &values(&by_hand), 1e-12);
}

#[test]
fn soft_cost_consistency_is_below_the_expected_cost() {
    let (speech, text, batch) = pair_of(19);
    let (arcs, distance, alignment) = (batch.arcs(), Distance::SquaredL2, Alignment::Learned);
    let pair = Pair {
        speech: &speech,
        text: &text,
        arcs: &arcs,
    };
    let soft = values(&SoftCost { distance, alignment }.loss(pair).unwrap());
    let expected = values(&ExpectedCost { distance, alignment }.loss(pair).unwrap());
    assert!(
        soft.iter()
            .zip(&expected)
            .all(|(soft, expected)| *soft >= 0.0 && soft <= expected)
    );
    assert!(soft[0] < expected[0]);
    assert_eq!((soft[2], expected[2]), (0.0, 0.0));
}

#[test]
fn held_alignment_receives_no_gradient_and_a_learned_one_does() {
    let (speech, text, batch) = pair_of(20);
    for (alignment, reaches) in [(Alignment::Held, false), (Alignment::Learned, true)] {
        for loss in [
            Box::new(ExpectedCost {
                distance: Distance::L1,
                alignment,
            }) as Box<dyn Consistency>,
            Box::new(SoftCost {
                distance: Distance::L1,
                alignment,
            }),
        ] {
            let vars = [speech.values(), text.values(), &batch.blank, &batch.label]
                .map(|x| candle_core::Var::from_tensor(x).unwrap());
            let speech = speech.with_values(vars[0].as_tensor().clone()).unwrap();
            let text = text.with_values(vars[1].as_tensor().clone()).unwrap();
            let arcs = batch.arcs_of(vars[2].as_tensor(), vars[3].as_tensor()).unwrap();
            let grads = loss
                .loss(Pair {
                    speech: &speech,
                    text: &text,
                    arcs: &arcs,
                })
                .unwrap();
            let grads = grads.sum_all().unwrap().backward().unwrap();
            let moved = vars.map(|v| grads.get(&v).is_some_and(|g| values(g).iter().any(|x| *x != 0.0)));
            assert_eq!(
                moved,
                [true, true, reaches, reaches],
                "{} {alignment:?}",
                loss.name()
            );
        }
    }
}
