//! Identities that need no reference: counts, conservation, two ways round, orderings, a recursion without a lattice.
#![allow(missing_docs)]

mod common;

use common::{binomial, close, every_extent, on_labels, uniform};
use sandhi_lattice::{
    Arc, Count, Expectation, Extent, Log, MaxTropical, MinTropical, Monotonic, Semiring, Step, Topology,
    Transducer, backward, forward, oracle, posteriors, total,
};

#[test]
fn transducer_uniform_arcs_count_paths() {
    every_extent(|extent| {
        // The last arc is a blank, so U labels are placed among the first T+U−1 arcs.
        let count = binomial(extent.frames + extent.labels - 1, extent.labels);
        assert_eq!(total(Transducer, extent, |_| Count(1)).0, count);
        assert_eq!(oracle::paths(Transducer, extent).count() as u128, count);
        let arcs = (extent.frames + extent.labels) as f64;
        close(
            total(Transducer, extent, |_| Log(-1.5)).0,
            (count as f64).ln() - 1.5 * arcs,
        );
    });
}

#[test]
fn monotonic_uniform_arcs_count_paths() {
    every_extent(|extent| {
        let count = binomial(extent.frames, extent.labels);
        assert_eq!(total(Monotonic, extent, |_| Count(1)).0, count);
        assert_eq!(oracle::paths(Monotonic, extent).count() as u128, count);
        close(
            total(Monotonic, extent, |_| Log(-1.5)).0,
            (count as f64).ln() - 1.5 * extent.frames as f64,
        );
    });
}

#[test]
fn count_of_a_large_lattice_equals_the_binomial_and_saturates_beyond() {
    let extent = Extent {
        frames: 60,
        labels: 30,
    };
    assert_eq!(total(Transducer, extent, |_| Count(1)).0, binomial(89, 30));
    let huge = Extent {
        frames: 2000,
        labels: 200,
    };
    assert_eq!(total(Transducer, huge, |_| Count(1)).0, u128::MAX);
}

#[test]
fn transducer_forward_total_equals_backward_total() {
    fn check<T: Topology>(topology: T) {
        every_extent(|extent| {
            let (weight, cost) = (uniform(1), uniform(2));
            let end = (extent.frames, extent.labels);
            close(
                backward(topology, extent, |arc| Log(weight(arc))).at(0, 0).0,
                forward(topology, extent, |arc| Log(weight(arc)))
                    .at(end.0, end.1)
                    .0,
            );
            let pair = |arc| Expectation {
                log_p: weight(arc),
                mean: cost(arc),
            };
            close(
                backward(topology, extent, pair).at(0, 0).mean,
                forward(topology, extent, pair).at(end.0, end.1).mean,
            );
            assert_eq!(
                backward(topology, extent, |_| Count(1)).at(0, 0),
                forward(topology, extent, |_| Count(1)).at(end.0, end.1)
            );
        });
    }
    check(Transducer);
    check(Monotonic);
}

#[test]
fn transducer_every_label_is_emitted_once() {
    fn check<T: Topology>(topology: T) {
        every_extent(|extent| {
            let gamma = posteriors(topology, extent, uniform(3));
            let expected = if gamma.log_total() == f64::NEG_INFINITY {
                0.0
            } else {
                1.0
            };
            for u in 0..extent.labels {
                close((0..extent.frames).map(|t| gamma.label(t, u)).sum(), expected);
            }
        });
    }
    check(Transducer);
    check(Monotonic);
}

#[test]
fn transducer_every_frame_is_consumed_once() {
    every_extent(|extent| {
        let gamma = posteriors(Transducer, extent, uniform(3));
        for t in 0..extent.frames {
            close((0..=extent.labels).map(|u| gamma.blank(t, u)).sum(), 1.0);
        }
    });
}

#[test]
fn transducer_every_antidiagonal_is_crossed_once() {
    every_extent(|extent| {
        let gamma = posteriors(Transducer, extent, uniform(3));
        for n in 0..extent.frames + extent.labels {
            let crossing = extent.arcs(Transducer).filter(|arc| arc.t + arc.u == n);
            close(crossing.map(|arc| gamma.arc(arc)).sum(), 1.0);
        }
    });
}

#[test]
fn monotonic_every_frame_has_one_arc() {
    every_extent(|extent| {
        let gamma = posteriors(Monotonic, extent, uniform(4));
        let expected = if gamma.log_total() == f64::NEG_INFINITY {
            0.0
        } else {
            1.0
        };
        for t in 0..extent.frames {
            let frame = extent.arcs(Monotonic).filter(|arc| arc.t == t);
            close(frame.map(|arc| gamma.arc(arc)).sum(), expected);
        }
    });
}

#[test]
fn expectation_semiring_equals_posterior_weighted_cost() {
    every_extent(|extent| {
        let (weight, cost) = (uniform(11), uniform(13));
        let mean = total(Transducer, extent, |arc| Expectation {
            log_p: weight(arc),
            mean: cost(arc),
        })
        .mean;
        let gamma = posteriors(Transducer, extent, weight);
        close(
            mean,
            extent
                .arcs(Transducer)
                .map(|arc| gamma.arc(arc) * cost(arc))
                .sum(),
        );
    });
}

#[test]
fn expectation_survives_tiny_probabilities_and_negative_costs() {
    every_extent(|extent| {
        let weight = |arc: Arc| uniform(23)(arc) - 5000.0;
        let cost = |arc: Arc| uniform(29)(arc) - 0.5;
        let mean = total(Transducer, extent, |arc| Expectation {
            log_p: weight(arc),
            mean: cost(arc),
        });
        let gamma = posteriors(Transducer, extent, uniform(23));
        common::within(
            mean.mean,
            extent
                .arcs(Transducer)
                .map(|arc| gamma.arc(arc) * cost(arc))
                .sum(),
            1e-9,
        );
        close(mean.log_p, total(Transducer, extent, |arc| Log(weight(arc))).0);
    });
}

#[test]
fn best_below_soft_below_expected_below_exponential() {
    every_extent(|extent| {
        let (weight, cost) = (uniform(17), on_labels(|arc| 3.0 * uniform(19)(arc)));
        let log_total = |scale: f64| total(Transducer, extent, |arc| Log(weight(arc) + scale * cost(arc))).0;
        let best = total(Transducer, extent, |arc| MinTropical(cost(arc))).0;
        let soft = log_total(0.0) - log_total(-1.0);
        let expected = total(Transducer, extent, |arc| Expectation {
            log_p: weight(arc),
            mean: cost(arc),
        })
        .mean;
        let exponential = log_total(1.0) - log_total(0.0);
        let ordered = best <= soft + 1e-12 && soft <= expected + 1e-12 && expected <= exponential + 1e-12;
        assert!(ordered, "{extent:?}: {best} {soft} {expected} {exponential}");
    });
}

/// Best alignment by a prefix minimum over frames: no lattice, no semiring, no topology.
fn prefix_minimum(extent: Extent, strict: bool, cost: impl Fn(usize, usize) -> f64) -> f64 {
    let mut previous = vec![0.0; extent.frames];
    for u in 0..extent.labels {
        let mut best = if u == 0 { 0.0 } else { f64::INFINITY };
        let mut current = vec![f64::INFINITY; extent.frames];
        for t in 0..extent.frames {
            if u > 0 && !strict {
                best = best.min(previous[t]);
            }
            if u > 0 && strict && t > 0 {
                best = best.min(previous[t - 1]);
            }
            current[t] = best + cost(t, u);
        }
        previous = current;
    }
    previous.into_iter().fold(f64::INFINITY, f64::min)
}

#[test]
fn best_alignment_equals_prefix_minimum_recursion() {
    every_extent(|extent| {
        let cost = |t, u| {
            uniform(47)(Arc {
                t,
                u,
                step: Step::Label,
            })
        };
        let weight = |arc: Arc| MinTropical(on_labels(uniform(47))(arc));
        close(
            total(Transducer, extent, weight).0,
            prefix_minimum(extent, false, cost),
        );
        close(
            total(Monotonic, extent, weight).0,
            prefix_minimum(extent, true, cost),
        );
    });
}

#[test]
fn reversing_a_transducer_keeps_its_total() {
    // Every path ends in a blank. Move that blank to the front and read frames and labels backwards: a symmetry that a
    // wrong boundary breaks. The last blank is the only arc out of (T−1, U) that can end a path.
    every_extent(|extent| {
        let weight = uniform(61);
        let Extent { frames, labels } = extent;
        let mirrored = |arc: Arc| match arc.step {
            Step::Label => weight(Arc {
                t: frames - 1 - arc.t,
                u: labels - 1 - arc.u,
                step: Step::Label,
            }),
            Step::Blank if arc.t == frames - 1 => weight(Arc {
                t: frames - 1,
                u: labels,
                step: Step::Blank,
            }),
            Step::Blank => weight(Arc {
                t: frames - 2 - arc.t,
                u: labels - arc.u,
                step: Step::Blank,
            }),
        };
        close(
            total(Transducer, extent, |arc| Log(weight(arc))).0,
            total(Transducer, extent, |arc| Log(mirrored(arc))).0,
        );
    });
}

fn semiring_laws<S: Semiring>(samples: &[S], same: impl Fn(S, S) -> bool) {
    for &a in samples {
        assert!(same(a.plus(S::ZERO), a) && same(S::ZERO.plus(a), a), "{a:?} ⊕ 0");
        assert!(same(a.times(S::ONE), a) && same(S::ONE.times(a), a), "{a:?} ⊗ 1");
        assert!(
            same(a.times(S::ZERO), S::ZERO) && same(S::ZERO.times(a), S::ZERO),
            "{a:?} ⊗ 0"
        );
        for &b in samples {
            assert!(same(a.plus(b), b.plus(a)), "{a:?} ⊕ {b:?} commutes");
            for &c in samples {
                assert!(same(a.plus(b).plus(c), a.plus(b.plus(c))), "⊕ associates");
                assert!(same(a.times(b).times(c), a.times(b.times(c))), "⊗ associates");
                assert!(
                    same(a.times(b.plus(c)), a.times(b).plus(a.times(c))),
                    "⊗ distributes"
                );
                assert!(
                    same(b.plus(c).times(a), b.times(a).plus(c.times(a))),
                    "⊗ distributes from the right"
                );
            }
        }
    }
}

#[test]
fn semirings_obey_their_axioms() {
    let near = |a: f64, b: f64| a == b || (a - b).abs() <= 1e-12 * b.abs().max(1.0);
    let numbers = [-700.5, -3.25, -0.5, 0.0, 1.75, 4.0];
    semiring_laws(&[0, 1, 2, 3, 7].map(Count), |a, b| a == b);
    semiring_laws(&numbers.map(Log), |a, b| near(a.0, b.0));
    semiring_laws(&numbers.map(MaxTropical), |a, b| near(a.0, b.0));
    semiring_laws(&numbers.map(MinTropical), |a, b| near(a.0, b.0));
    let pairs = [(0.0, 1.5), (-2.0, -3.0), (-0.5, 0.0), (-30.0, 8.0)];
    semiring_laws(&pairs.map(|(log_p, mean)| Expectation { log_p, mean }), |a, b| {
        near(a.log_p, b.log_p) && near(a.mean, b.mean)
    });
}

#[test]
fn single_precision_agrees_with_double() {
    every_extent(|extent| {
        let weight = uniform(71);
        let gamma = posteriors(Transducer, extent, weight);
        let single = posteriors(Transducer, extent, |arc| weight(arc) as f32);
        common::within(single.log_total().into(), gamma.log_total(), 1e-5);
        for arc in extent.arcs(Transducer) {
            common::within(single.arc(arc).into(), gamma.arc(arc), 1e-5);
        }
    });
}
