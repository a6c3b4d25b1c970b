//! The laws on random shapes and weights, larger than the oracle reaches.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::within;
use proptest::prelude::*;
use sandhi_lattice::{
    Arc, Expectation, Extent, Log, MaxTropical, Monotonic, Step, Topology, Transducer, backward, best_path,
    forward, posteriors, total,
};

fn case() -> impl Strategy<Value = (Extent, u64, f64)> {
    (1usize..40, 0usize..25, any::<u64>(), 0.01f64..200.0)
        .prop_map(|(frames, labels, seed, scale)| (Extent { frames, labels }, seed, scale))
}

fn check<T: Topology>(
    topology: T,
    extent: Extent,
    weight: impl Fn(Arc) -> f64 + Copy,
    cost: impl Fn(Arc) -> f64,
) {
    let alpha = forward(topology, extent, |arc| Log(weight(arc)));
    let beta = backward(topology, extent, |arc| Log(weight(arc)));
    let log_total = alpha.at(extent.frames, extent.labels).0;
    within(beta.at(0, 0).0, log_total, 1e-12);
    let gamma = posteriors(topology, extent, weight);
    if log_total == f64::NEG_INFINITY {
        assert!(best_path(topology, extent, weight).is_none());
        return;
    }
    for u in 0..extent.labels {
        within((0..extent.frames).map(|t| gamma.label(t, u)).sum(), 1.0, 1e-9);
    }
    assert!(
        extent
            .arcs(topology)
            .all(|arc| (0.0..=1.0 + 1e-9).contains(&gamma.arc(arc)))
    );
    let mean = total(topology, extent, |arc| Expectation {
        log_p: weight(arc),
        mean: cost(arc),
    })
    .mean;
    within(
        mean,
        extent.arcs(topology).map(|arc| gamma.arc(arc) * cost(arc)).sum(),
        1e-8,
    );

    let best = best_path(topology, extent, weight).unwrap();
    within(best.score, best.arcs.iter().map(|&arc| weight(arc)).sum(), 1e-12);
    within(
        best.score,
        total(topology, extent, |arc| MaxTropical(weight(arc))).0,
        1e-12,
    );
    assert!(
        best.score <= log_total + 1e-9 * log_total.abs().max(1.0),
        "the best path is one of the summed"
    );
    // The arcs form a connected path from the start to the end.
    let mut node = (0, 0);
    for arc in &best.arcs {
        assert_eq!((arc.t, arc.u), node);
        let (dt, du) = topology.advance(arc.step);
        node = (node.0 + dt, node.1 + du);
    }
    assert_eq!(node, (extent.frames, extent.labels));
    assert_eq!(best.emission_frames().len(), extent.labels);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lattice_laws_hold_on_random_shapes((extent, seed, scale) in case()) {
        let weight = |arc: Arc| scale * (common::uniform(seed)(arc) - 0.7);
        let cost = common::on_labels(common::uniform(seed ^ 1));
        check(Transducer, extent, weight, cost);
        check(Monotonic, extent, weight, cost);
    }

    #[test]
    fn adding_to_one_labels_column_moves_the_total_alone((extent, seed, scale) in case(), shift in -50.0f64..50.0) {
        // Every path emits label 0 exactly once, so a constant on that column scales all paths alike.
        prop_assume!(extent.labels > 0);
        let weight = |arc: Arc| scale * (common::uniform(seed)(arc) - 0.7);
        let shifted = |arc: Arc| weight(arc) + if arc.step == Step::Label && arc.u == 0 { shift } else { 0.0 };
        let (plain, moved) = (posteriors(Transducer, extent, weight), posteriors(Transducer, extent, shifted));
        within(moved.log_total(), plain.log_total() + shift, 1e-10);
        for arc in extent.arcs(Transducer) {
            within(moved.arc(arc), plain.arc(arc), 1e-8);
        }
    }
}
