//! The recursions equal the enumeration of every path, on every lattice up to 5 by 4.
#![allow(missing_docs)]

mod common;

use common::{close, every_extent, on_labels, path_sum, uniform};
use sandhi_lattice::{
    Arc, Expectation, Log, MaxTropical, MinTropical, Monotonic, Step, Topology, Transducer, best_path,
    oracle, posteriors, total,
};

fn equals_brute_force<T: Topology>(topology: T) {
    every_extent(|extent| {
        let weight = uniform(7);
        let cost = uniform(9);
        let paths: Vec<Vec<Arc>> = oracle::paths(topology, extent).collect();
        let mass: f64 = paths.iter().map(|p| path_sum(p, weight).exp()).sum();
        close(total(topology, extent, |arc| Log(weight(arc))).0, mass.ln());
        let scores = || paths.iter().map(|p| path_sum(p, weight));
        close(
            total(topology, extent, |arc| MinTropical(weight(arc))).0,
            scores().fold(f64::INFINITY, f64::min),
        );
        let best = scores().fold(f64::NEG_INFINITY, f64::max);
        close(total(topology, extent, |arc| MaxTropical(weight(arc))).0, best);
        let mean = total(topology, extent, |arc| Expectation {
            log_p: weight(arc),
            mean: cost(arc),
        });
        close(mean.log_p, mass.ln());
        if mass > 0.0 {
            let sum: f64 = paths
                .iter()
                .map(|p| path_sum(p, weight).exp() * path_sum(p, cost))
                .sum();
            close(mean.mean, sum / mass);
        }
    });
}

#[test]
fn transducer_equals_brute_force() {
    equals_brute_force(Transducer);
}

#[test]
fn monotonic_equals_brute_force() {
    equals_brute_force(Monotonic);
}

#[test]
fn posteriors_equal_brute_force() {
    every_extent(|extent| {
        let weight = uniform(21);
        let gamma = posteriors(Transducer, extent, weight);
        let paths: Vec<Vec<Arc>> = oracle::paths(Transducer, extent).collect();
        let mass: f64 = paths.iter().map(|p| path_sum(p, weight).exp()).sum();
        for arc in extent.arcs(Transducer) {
            let through: f64 = paths
                .iter()
                .filter(|p| p.contains(&arc))
                .map(|p| path_sum(p, weight).exp())
                .sum();
            close(gamma.arc(arc), through / mass);
        }
    });
}

#[test]
fn best_path_equals_brute_force() {
    fn check<T: Topology>(topology: T) {
        every_extent(|extent| {
            for seed in 0..20 {
                let weight = uniform(seed);
                let best = oracle::paths(topology, extent)
                    .max_by(|a, b| path_sum(a, weight).total_cmp(&path_sum(b, weight)));
                let found = best_path(topology, extent, weight);
                assert_eq!(found.is_some(), best.is_some(), "{extent:?}");
                if let (Some(found), Some(best)) = (found, best) {
                    assert_eq!(found.arcs, best, "{extent:?}");
                    close(found.score, path_sum(&best, weight));
                }
            }
        });
    }
    check(Transducer);
    check(Monotonic);
}

#[test]
fn best_path_of_ties_emits_earliest() {
    fn check<T: Topology>(topology: T) {
        every_extent(|extent| {
            for seed in 0..50 {
                // Scores 0, 1 or 2: small integers, so that sums are exact and ties are many.
                let weight = |arc: Arc| (uniform(seed)(arc) * 3.0).floor();
                let best = oracle::paths(topology, extent)
                    .map(|p| path_sum(&p, weight))
                    .fold(-1.0, f64::max);
                let frames = |p: &Vec<Arc>| -> Vec<usize> {
                    p.iter()
                        .filter(|arc| arc.step == Step::Label)
                        .map(|arc| arc.t)
                        .collect()
                };
                let earliest = oracle::paths(topology, extent)
                    .filter(|p| path_sum(p, weight) == best)
                    .map(|p| frames(&p))
                    .min();
                let found = best_path(topology, extent, weight).map(|path| path.emission_frames());
                assert_eq!(found, earliest, "{extent:?} seed {seed}");
            }
        });
    }
    check(Transducer);
    check(Monotonic);
}

#[test]
fn soft_cost_equals_brute_force() {
    every_extent(|extent| {
        let (weight, cost) = (uniform(51), on_labels(uniform(52)));
        let log_total = |scale: f64| total(Transducer, extent, |arc| Log(weight(arc) - scale * cost(arc))).0;
        let mut mass = 0.0;
        let mut kept = 0.0;
        for path in oracle::paths(Transducer, extent) {
            let p = path_sum(&path, weight).exp();
            mass += p;
            kept += p * (-path_sum(&path, cost)).exp();
        }
        close(log_total(0.0) - log_total(1.0), -(kept / mass).ln());
    });
}
