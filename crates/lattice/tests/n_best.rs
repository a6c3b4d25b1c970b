//! The n best paths and the second-order semiring, against the enumeration of every path.
#![allow(missing_docs)]

mod common;

use common::{close, every_extent, path_sum, uniform};
use sandhi_lattice::{
    Arc, Extent, Moments, Monotonic, Step, Topology, Transducer, best_path, n_best_paths, oracle, total,
};

fn n_best_equal_brute_force<T: Topology>(topology: T) {
    every_extent(|extent| {
        let score = uniform(21);
        let mut all: Vec<Vec<Arc>> = oracle::paths(topology, extent).collect();
        all.sort_by(|a, b| path_sum(b, score).total_cmp(&path_sum(a, score)));
        for n in [0, 1, 3, 100] {
            let found = n_best_paths(topology, extent, n, score);
            assert_eq!(found.len(), n.min(all.len()));
            for (found, expected) in found.iter().zip(&all) {
                assert_eq!(&found.arcs, expected);
                close(found.score, path_sum(expected, score));
            }
        }
    });
}

#[test]
fn n_best_paths_equal_brute_force() {
    n_best_equal_brute_force(Transducer);
    n_best_equal_brute_force(Monotonic);
}

#[test]
fn n_best_paths_of_ties_emit_earliest() {
    let extent = Extent { frames: 3, labels: 2 };
    let frames: Vec<Vec<usize>> = n_best_paths(Transducer, extent, 10, |_| -1.0)
        .iter()
        .map(|path| path.emission_frames())
        .collect();
    assert_eq!(frames, [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]);
}

#[test]
fn best_path_is_the_first_of_the_n_best() {
    every_extent(|extent| {
        let score = uniform(23);
        let best: Vec<_> = best_path(Transducer, extent, score).into_iter().collect();
        assert_eq!(n_best_paths(Transducer, extent, 1, score), best);
    });
}

#[test]
fn n_best_paths_leave_out_the_impossible() {
    let extent = Extent { frames: 3, labels: 1 };
    // The label can be emitted at frame 1 only.
    let score = |arc: Arc| match arc.step {
        Step::Label if arc.t != 1 => f64::NEG_INFINITY,
        _ => -0.5,
    };
    let found = n_best_paths(Transducer, extent, 5, score);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].emission_frames(), [1]);
    assert!(n_best_paths(Transducer, extent, 5, |_| f64::NEG_INFINITY).is_empty());
}

#[test]
fn moments_equal_brute_force() {
    every_extent(|extent| {
        let (weight, cost) = (uniform(25), uniform(27));
        // Far from 0, where a second moment would cancel.
        let (log_p, cost) = (move |arc| weight(arc) - 300.0, move |arc| cost(arc) + 1e6);
        let found = total(Transducer, extent, |arc| Moments::arc(log_p(arc), cost(arc)));
        let paths: Vec<(f64, f64)> = oracle::paths(Transducer, extent)
            .map(|path| (path_sum(&path, weight).exp(), path_sum(&path, cost)))
            .collect();
        let mass: f64 = paths.iter().map(|(p, _)| p).sum();
        let mean = paths.iter().map(|(p, d)| p / mass * d).sum::<f64>();
        let variance: f64 = paths.iter().map(|(p, d)| p / mass * (d - mean).powi(2)).sum();
        close(
            found.log_p,
            mass.ln() - 300.0 * (extent.frames + extent.labels) as f64,
        );
        close(found.mean, mean);
        assert!(
            (found.variance - variance).abs() < 1e-8,
            "{} for {variance}",
            found.variance
        );
    });
}
