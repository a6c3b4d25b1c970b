//! The empty, the impossible and the unpleasant.
#![allow(missing_docs)]

mod common;

use common::{close, uniform};
use sandhi_lattice::{
    Arc, Count, Expectation, Extent, Log, MinTropical, Monotonic, Semiring, Step, Transducer, best_path,
    posteriors, total,
};

const NOTHING: f64 = f64::NEG_INFINITY;

#[test]
fn monotonic_infeasible_is_zero_not_nan() {
    let extent = Extent { frames: 2, labels: 3 };
    assert_eq!(total(Monotonic, extent, |_| Log(0.0)).0, NOTHING);
    assert_eq!(total(Monotonic, extent, |_| Count(1)), Count(0));
    assert_eq!(total(Monotonic, extent, |_| MinTropical(0.0)), MinTropical::ZERO);
    assert_eq!(
        total(Monotonic, extent, |_| Expectation {
            log_p: 0.0,
            mean: 1.0
        }),
        Expectation::ZERO
    );
    assert_eq!(best_path(Monotonic, extent, |_| 0.0), None);
    let gamma = posteriors(Monotonic, extent, |_| 0.0);
    assert!(extent.arcs(Monotonic).all(|arc| gamma.arc(arc) == 0.0));
}

#[test]
fn transducer_without_frames_has_no_path_for_labels() {
    let extent = Extent { frames: 0, labels: 1 };
    assert_eq!(total(Transducer, extent, |_| Log(0.0)).0, NOTHING);
    assert_eq!(best_path(Transducer, extent, |_| 0.0), None);
    // With neither frames nor labels there is the empty path.
    assert_eq!(
        total(Transducer, Extent { frames: 0, labels: 0 }, |_| Log(-1.0)).0,
        0.0
    );
}

#[test]
fn transducer_without_labels_is_the_sum_of_blanks() {
    let extent = Extent { frames: 4, labels: 0 };
    let weight = uniform(1);
    let blanks: f64 = (0..4)
        .map(|t| {
            weight(Arc {
                t,
                u: 0,
                step: Step::Blank,
            })
        })
        .sum();
    close(total(Transducer, extent, |arc| Log(weight(arc))).0, blanks);
}

#[test]
fn transducer_of_one_frame_has_one_path() {
    let extent = Extent { frames: 1, labels: 4 };
    let weight = uniform(2);
    let labels: f64 = (0..4)
        .map(|u| {
            weight(Arc {
                t: 0,
                u,
                step: Step::Label,
            })
        })
        .sum();
    close(
        total(Transducer, extent, |arc| Log(weight(arc))).0,
        labels
            + weight(Arc {
                t: 0,
                u: 4,
                step: Step::Blank,
            }),
    );
}

#[test]
fn forbidden_arcs_only_remove_their_paths() {
    // Label 0 may be emitted at frame 1 only.
    let extent = Extent { frames: 3, labels: 1 };
    let weight = |arc: Arc| {
        if arc.step == Step::Label && arc.t != 1 {
            NOTHING
        } else {
            uniform(3)(arc)
        }
    };
    let gamma = posteriors(Transducer, extent, weight);
    assert_eq!((gamma.label(0, 0), gamma.label(2, 0)), (0.0, 0.0));
    close(gamma.label(1, 0), 1.0);
    assert_eq!(
        best_path(Transducer, extent, weight).map(|p| p.emission_frames()),
        Some(vec![1])
    );
}

#[test]
fn forbidden_arcs_may_cost_anything() {
    let extent = Extent { frames: 3, labels: 1 };
    for cost in [f64::INFINITY, f64::NAN, 1e300] {
        let pair = |arc: Arc| match (arc.step, arc.t) {
            (Step::Blank, _) => Expectation {
                log_p: -1.0,
                mean: 0.0,
            },
            (Step::Label, 1) => Expectation {
                log_p: -1.0,
                mean: 2.5,
            },
            (Step::Label, _) => Expectation {
                log_p: NOTHING,
                mean: cost,
            },
        };
        let total = total(Transducer, extent, pair);
        assert_eq!((total.log_p, total.mean), (-4.0, 2.5));
    }
}

#[test]
fn all_arcs_forbidden_is_impossible_not_nan() {
    let extent = Extent { frames: 3, labels: 2 };
    let gamma = posteriors(Transducer, extent, |_| NOTHING);
    assert_eq!(gamma.log_total(), NOTHING);
    assert!(extent.arcs(Transducer).all(|arc| gamma.arc(arc) == 0.0));
    assert_eq!(best_path(Transducer, extent, |_| NOTHING), None);
}

#[test]
fn nan_weights_are_never_hidden() {
    let extent = Extent { frames: 3, labels: 2 };
    for poisoned in extent.arcs(Transducer) {
        // A label out of the last node of a row that completes no path cannot exist, so every arc here is reachable; but
        // a blank out of the last frame before all labels are out completes nothing.
        let dead = poisoned.step == Step::Blank && poisoned.t == 2 && poisoned.u < 2;
        let weight = |arc: Arc| if arc == poisoned { f64::NAN } else { -1.0 };
        assert_eq!(
            total(Transducer, extent, |arc| Log(weight(arc))).0.is_nan(),
            !dead,
            "{poisoned:?}"
        );
        assert_eq!(
            total(Transducer, extent, |arc| MinTropical(weight(arc)))
                .0
                .is_nan(),
            !dead,
            "{poisoned:?}"
        );
    }
}

#[test]
fn large_offsets_do_not_lose_the_posterior() {
    // A constant on every arc weighs each path alike: T+U arcs in each.
    let extent = Extent {
        frames: 30,
        labels: 12,
    };
    let plain = posteriors(Transducer, extent, uniform(4));
    let offset = posteriors(Transducer, extent, |arc| uniform(4)(arc) - 5000.0);
    for arc in extent.arcs(Transducer) {
        common::within(offset.arc(arc), plain.arc(arc), 1e-8);
    }
    common::within(offset.log_total(), plain.log_total() - 5000.0 * 42.0, 1e-12);
}
