//! CTC against the collapse of every string of symbols, and against laws that need no reference.
#![allow(missing_docs)]

mod common;

use common::{binomial, close};
use sandhi_lattice::{Arc, Count, Ctc, Log, MaxTropical, Step};

/// Label sequences with and without equal neighbours.
const LABELS: [&[u32]; 7] = [&[], &[1], &[1, 2], &[1, 1], &[2, 1, 2], &[1, 1, 2], &[2, 2, 2]];
const BLANK: u32 = 0;

/// A log weight in −3..0 for each frame and symbol.
fn log_p(t: usize, symbol: u32) -> f64 {
    let arc = Arc {
        t,
        u: symbol as usize,
        step: Step::Blank,
    };
    -3.0 * common::uniform(7)(arc)
}

fn symbol(labels: &[u32], state: usize) -> u32 {
    Ctc::new(0, labels).label(state).map_or(BLANK, |u| labels[u])
}

/// All strings over {blank, 1, 2} of a length that collapse to the labels: runs to one symbol, then blanks out.
fn strings(frames: usize, labels: &[u32]) -> Vec<Vec<u32>> {
    let every = (0..3usize.pow(frames as u32)).map(|n| {
        let digit = |t: usize| (n / 3usize.pow(t as u32) % 3) as u32;
        (0..frames).map(digit).collect::<Vec<u32>>()
    });
    let collapsed = |string: &Vec<u32>| {
        let mut runs = string.clone();
        runs.dedup();
        runs.retain(|&symbol| symbol != BLANK);
        runs
    };
    every.filter(|string| collapsed(string) == labels).collect()
}

fn weight(string: &[u32]) -> f64 {
    string
        .iter()
        .enumerate()
        .map(|(t, &symbol)| log_p(t, symbol))
        .sum()
}

fn every_lattice(law: impl Fn(usize, &[u32])) {
    for frames in 0..=6 {
        LABELS.iter().for_each(|labels| law(frames, labels));
    }
}

#[test]
fn ctc_equals_brute_force() {
    every_lattice(|frames, labels| {
        let (ctc, strings) = (Ctc::new(frames, labels), strings(frames, labels));
        assert_eq!(
            ctc.total(|_, _| Count(1)).0,
            strings.len() as u128,
            "{frames} {labels:?}"
        );
        let mass: f64 = strings.iter().map(|string| weight(string).exp()).sum();
        close(ctc.total(|t, s| Log(log_p(t, symbol(labels, s)))).0, mass.ln());
        let best = strings
            .iter()
            .map(|string| weight(string))
            .fold(f64::NEG_INFINITY, f64::max);
        close(ctc.total(|t, s| MaxTropical(log_p(t, symbol(labels, s)))).0, best);
    });
}

#[test]
fn ctc_posteriors_equal_brute_force() {
    every_lattice(|frames, labels| {
        let gamma = Ctc::new(frames, labels).posteriors(|t, s| log_p(t, symbol(labels, s)));
        let strings = strings(frames, labels);
        let mass: f64 = strings.iter().map(|string| weight(string).exp()).sum();
        for t in 0..frames {
            for read in 0..3 {
                let through: f64 = strings
                    .iter()
                    .filter(|string| string[t] == read)
                    .map(|string| weight(string).exp())
                    .sum();
                let states = (0..2 * labels.len() + 1).filter(|&s| symbol(labels, s) == read);
                let got: f64 = states.map(|s| gamma.state(t, s)).sum();
                close(got, if mass > 0.0 { through / mass } else { 0.0 });
            }
        }
    });
}

/// U distinct labels over T frames: T + U slots hold U label runs and U + 1 blank runs, C(T + U, 2U) ways.
#[test]
fn ctc_of_distinct_labels_counts_binomially() {
    for labels in 0..8usize {
        let distinct: Vec<u32> = (1..=labels as u32).collect();
        for frames in 0..30 {
            let count = Ctc::new(frames, &distinct).total(|_, _| Count(1)).0;
            assert_eq!(count, binomial(frames + labels, 2 * labels), "{frames} {labels}");
        }
    }
}

#[test]
fn ctc_has_a_path_from_the_shortest_length_on() {
    every_lattice(|frames, labels| {
        let ctc = Ctc::new(frames, labels);
        let feasible = ctc.total(|t, s| Log(log_p(t, symbol(labels, s)))).0 > f64::NEG_INFINITY;
        assert_eq!(feasible, frames >= ctc.shortest(), "{frames} {labels:?}");
    });
}

#[test]
fn ctc_forward_total_equals_backward_total() {
    every_lattice(|frames, labels| {
        let ctc = Ctc::new(frames, labels);
        let weight = |t: usize, s: usize| Log(log_p(t, symbol(labels, s)));
        close(ctc.backward(weight).at(0, 0).0, ctc.total(weight).0);
    });
}

#[test]
fn ctc_posteriors_sum_to_one_at_every_frame() {
    let labels: Vec<u32> = (0..40).map(|i| 1 + (i / 2) % 3).collect();
    let ctc = Ctc::new(120, &labels);
    let gamma = ctc.posteriors(|t, s| log_p(t, symbol(&labels, s)));
    for t in 0..120 {
        close((0..ctc.states()).map(|s| gamma.state(t, s)).sum(), 1.0);
    }
}

#[test]
fn ctc_infeasible_is_zero_not_nan() {
    let gamma = Ctc::new(2, &[1, 1]).posteriors(|t, s| log_p(t, symbol(&[1, 1], s)));
    assert_eq!(gamma.log_total(), f64::NEG_INFINITY);
    assert!((0..5).all(|s| gamma.state(1, s) == 0.0));
}

#[test]
fn ctc_nan_comes_out() {
    assert!(
        Ctc::new(3, &[1])
            .total(|t, _| Log(if t == 1 { f64::NAN } else { 0.0 }))
            .0
            .is_nan()
    );
}

#[test]
fn ctc_n_best_paths_equal_brute_force() {
    every_lattice(|frames, labels| {
        let mut all = strings(frames, labels);
        all.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        for n in [0, 1, 3, 1000] {
            let ctc = Ctc::new(frames, labels);
            let found = ctc.n_best_paths(n, |t, s| log_p(t, symbol(labels, s)));
            assert_eq!(found.len(), n.min(all.len()), "{frames} {labels:?}");
            for ((states, score), expected) in found.iter().zip(&all) {
                let read: Vec<u32> = states.iter().map(|&state| symbol(labels, state)).collect();
                assert_eq!(&read, expected);
                close(*score, weight(expected));
            }
        }
    });
}

#[test]
fn ctc_n_best_paths_of_ties_go_on_earliest() {
    let paths = Ctc::new(3, &[1]).n_best_paths(10, |_, _| -1.0);
    let states: Vec<&[usize]> = paths.iter().map(|(states, _)| states.as_slice()).collect();
    assert_eq!(
        states,
        [[1, 2, 2], [1, 1, 2], [1, 1, 1], [0, 1, 2], [0, 1, 1], [0, 0, 1]]
    );
}

#[test]
fn ctc_n_best_paths_leave_out_the_impossible() {
    // The label can be read at frame 1 only.
    let score = |t: usize, state: usize| match (t, state) {
        (0 | 2, 1) => f64::NEG_INFINITY,
        _ => -0.5,
    };
    assert_eq!(Ctc::new(3, &[1]).n_best_paths(5, score), [(vec![0, 1, 2], -1.5)]);
    assert!(Ctc::new(1, &[1, 1]).n_best_paths(5, score).is_empty());
}
