//! Optimal transport: scaling in the probability domain, assignments, marginals, gradients.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use candle_core::{DType, Device, Tensor};
use common::{close, costs, values, with_gradient};
use sandhi_align::{optimal_transport_cost, transport_plan};
use sandhi_core::{Error, Lengths};
use sandhi_testkit::{Tolerance, check_gradient};

const EXTENTS: [(usize, usize); 5] = [(5, 3), (3, 5), (1, 1), (4, 4), (6, 1)];

/// Cuturi's algorithm as it is usually written: P = diag(a) e^{−C/ε} diag(b).
fn scaled(cost: &[Vec<f64>], epsilon: f64, iterations: usize) -> Vec<Vec<f64>> {
    let (frames, labels) = (cost.len(), cost[0].len());
    let kernel = |t: usize, u: usize| (-cost[t][u] / epsilon).exp();
    let (mut a, mut b) = (vec![0.0; frames], vec![1.0; labels]);
    for _ in 0..iterations {
        for (t, a) in a.iter_mut().enumerate() {
            *a = 1.0 / frames as f64 / (0..labels).map(|u| kernel(t, u) * b[u]).sum::<f64>();
        }
        for (u, b) in b.iter_mut().enumerate() {
            *b = 1.0 / labels as f64 / (0..frames).map(|t| kernel(t, u) * a[t]).sum::<f64>();
        }
    }
    (0..frames)
        .map(|t| (0..labels).map(|u| a[t] * kernel(t, u) * b[u]).collect())
        .collect()
}

#[test]
fn transport_equals_scaling_in_the_probability_domain() {
    let (cost, frames, labels) = costs(1, &EXTENTS, f64::NAN);
    let grids = cost.to_vec3::<f64>().unwrap();
    for (epsilon, iterations) in [(1.0, 1), (0.3, 4), (0.05, 30)] {
        let loss = optimal_transport_cost(&cost, &frames, &labels, epsilon, iterations).unwrap();
        let plan = transport_plan(&cost, &frames, &labels, epsilon, iterations).unwrap();
        let plan = plan.to_vec3::<f64>().unwrap();
        for (b, &(t, u)) in EXTENTS.iter().enumerate() {
            let grid: Vec<Vec<f64>> = grids[b][..t].iter().map(|row| row[..u].to_vec()).collect();
            let expected = scaled(&grid, epsilon, iterations);
            let mut total = 0.0;
            for (frame, row) in plan[b].iter().enumerate() {
                for (label, &share) in row.iter().enumerate() {
                    let inside = frame < t && label < u;
                    let expected = if inside { expected[frame][label] } else { 0.0 };
                    assert!((share - expected).abs() < 1e-12, "{share} for {expected}");
                    total += if inside {
                        expected * grid[frame][label]
                    } else {
                        0.0
                    };
                }
            }
            close(&[values(&loss)[b]], &[u as f64 * total], 1e-12);
        }
    }
}

#[test]
fn transport_gradient_equals_differences() {
    // Few iterations, far from the end of them, and many.
    for (epsilon, iterations) in [(1.0, 1), (0.2, 2), (0.2, 3), (0.1, 40)] {
        let (cost, frames, labels) = costs(2, &[(4, 3), (2, 3), (3, 1), (2, 0)], 0.25);
        let f = |x: &[Tensor]| optimal_transport_cost(&x[0], &frames, &labels, epsilon, iterations);
        check_gradient(std::slice::from_ref(&cost), f, Tolerance::GRADIENT).unwrap();
    }
}

/// All orders of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let insert = |order: Vec<usize>| (0..n).map(move |at| [&order[..at], &[n - 1], &order[at..]].concat());
    permutations(n - 1).into_iter().flat_map(insert).collect()
}

#[test]
fn transport_without_entropy_is_the_best_assignment() {
    for n in 1..=5 {
        let (cost, frames, labels) = costs(3 + n as u64, &[(n, n)], 0.0);
        let grid = cost.to_vec3::<f64>().unwrap().remove(0);
        let orders = permutations(n);
        assert_eq!(orders.len(), (1..=n).product::<usize>());
        // As many frames as labels: a vertex of the plans is a permutation (Birkhoff), with the mass 1/U at each label.
        let price = |order: &Vec<usize>| order.iter().enumerate().map(|(t, &u)| grid[t][u]).sum::<f64>();
        let best = orders.iter().map(price).fold(f64::INFINITY, f64::min);
        let found = optimal_transport_cost(&cost, &frames, &labels, 2e-3, 20_000).unwrap();
        close(&values(&found), &[best], 1e-5);
    }
}

#[test]
fn transport_of_many_frames_to_few_labels_is_an_assignment_too() {
    // Six frames to two labels: each label takes three frames.
    let (cost, frames, labels) = costs(4, &[(6, 2)], 0.0);
    let grid = cost.to_vec3::<f64>().unwrap().remove(0);
    let halves = (0u32..64).filter(|half| half.count_ones() == 3);
    let price = |half: u32| (0..6).map(|t| grid[t][(half >> t & 1) as usize]).sum::<f64>() / 6.0;
    let best = halves.map(price).fold(f64::INFINITY, f64::min);
    let found = optimal_transport_cost(&cost, &frames, &labels, 2e-3, 20_000).unwrap();
    close(&values(&found), &[2.0 * best], 1e-5);
}

#[test]
fn transport_plan_has_its_marginals() {
    let (cost, frames, labels) = costs(5, &EXTENTS, f64::NAN);
    let mut former = [f64::INFINITY; EXTENTS.len()];
    for iterations in [1, 3, 10, 30, 1000] {
        let plan = transport_plan(&cost, &frames, &labels, 0.2, iterations).unwrap();
        for (b, (plan, (t, u))) in plan.to_vec3::<f64>().unwrap().iter().zip(EXTENTS).enumerate() {
            for label in 0..u {
                // After any number of iterations.
                let taken: f64 = plan.iter().map(|row| row[label]).sum();
                assert!((taken - 1.0 / u as f64).abs() < 1e-13);
            }
            let share = |row: &Vec<f64>| (row.iter().sum::<f64>() - 1.0 / t as f64).abs();
            let wrong: f64 = plan[..t].iter().map(share).sum();
            assert!(wrong <= former[b] + 1e-13, "{wrong} after {iterations}");
            former[b] = wrong;
        }
    }
    assert!(former.iter().all(|&wrong| wrong < 1e-12), "{former:?}");
}

#[test]
fn transport_of_dearer_cells_keeps_its_plan() {
    let (cost, frames, labels) = costs(6, &EXTENTS, 0.0);
    let f = |cost: &Tensor| optimal_transport_cost(cost, &frames, &labels, 0.3, 7).unwrap();
    let (plain, dearer) = (values(&f(&cost)), values(&f(&(&cost + 3.0).unwrap())));
    let expected: Vec<f64> = plain
        .iter()
        .zip(EXTENTS)
        .map(|(plain, (_, u))| plain + 3.0 * u as f64)
        .collect();
    close(&dearer, &expected, 1e-12);
    // With all costs alike every frame goes everywhere.
    let alike = Tensor::full(2.0, cost.shape(), &Device::Cpu).unwrap();
    let expected: Vec<f64> = EXTENTS.iter().map(|e| 2.0 * e.1 as f64).collect();
    close(&values(&f(&alike)), &expected, 1e-12);
}

#[test]
fn transport_at_a_temperature_near_zero_neither_overflows_nor_vanishes() {
    let (cost, frames, labels) = costs(7, &[(20, 6), (9, 9)], 0.0);
    let far = ((&cost + 4.0).unwrap() * 1000.0).unwrap();
    let (loss, slopes) = with_gradient(&far, |cost| {
        optimal_transport_cost(cost, &frames, &labels, 0.5, 50).unwrap()
    });
    assert!(
        loss.iter().all(|&loss| loss > 3000.0 && loss < 45_000.0),
        "{loss:?}"
    );
    assert!(slopes.iter().all(|slope| slope.is_finite()));
}

/// U Σ P C by the equations with every logarithm taken as it stands.
fn in_logarithms(cost: &[Vec<f64>], epsilon: f64, iterations: usize) -> f64 {
    let (frames, labels) = (cost.len(), cost[0].len());
    let log_sum = |terms: Vec<f64>| {
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + terms.iter().map(|term| (term - top).exp()).sum::<f64>().ln()
    };
    let (mut phi, mut psi) = (vec![0.0; frames], vec![0.0; labels]);
    for _ in 0..iterations {
        for t in 0..frames {
            phi[t] =
                -(frames as f64).ln() - log_sum((0..labels).map(|u| psi[u] - cost[t][u] / epsilon).collect());
        }
        for u in 0..labels {
            psi[u] =
                -(labels as f64).ln() - log_sum((0..frames).map(|t| phi[t] - cost[t][u] / epsilon).collect());
        }
    }
    let cells = (0..frames).flat_map(|t| (0..labels).map(move |u| (t, u)));
    let carried = cells.map(|(t, u)| (phi[t] + psi[u] - cost[t][u] / epsilon).exp() * cost[t][u]);
    labels as f64 * carried.sum::<f64>()
}

#[test]
fn transport_of_a_label_that_no_frame_would_choose_is_exact() {
    // Its share of every frame is e^{−1500} at first: nothing, in a number of f64.
    let (cost, frames, labels) = costs(12, &[(4, 3), (3, 3)], 0.0);
    let dear = Tensor::new(&[[[0.0, 3.0, 0.0]]], &Device::Cpu).unwrap();
    let cost = cost.broadcast_add(&dear).unwrap();
    for iterations in [1, 2, 5] {
        let f = |x: &[Tensor]| optimal_transport_cost(&x[0], &frames, &labels, 2e-3, iterations);
        let found = values(&f(std::slice::from_ref(&cost)).unwrap());
        let grids = cost.to_vec3::<f64>().unwrap();
        let expected = [(0, 4), (1, 3)].map(|(b, t)| in_logarithms(&grids[b][..t], 2e-3, iterations));
        close(&found, &expected, 1e-10);
        // The plan turns over within 1e-3, which bends the differences of 1e-5.
        let tolerance = Tolerance {
            rtol: 1e-3,
            atol: 1e-6,
        };
        check_gradient(std::slice::from_ref(&cost), f, tolerance).unwrap();
    }
}

#[test]
fn transport_ignores_padding() {
    let run = |poison| {
        let (cost, frames, labels) = costs(8, &EXTENTS, poison);
        with_gradient(&cost, |cost| {
            optimal_transport_cost(cost, &frames, &labels, 0.3, 5).unwrap()
        })
    };
    for poison in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30] {
        assert_eq!(run(poison), run(0.0));
    }
}

#[test]
fn transport_shows_nan_in_its_utterance() {
    let (cost, frames, labels) = costs(9, &[(3, 2), (3, 2)], 0.0);
    let mut spoiled = values(&cost);
    spoiled[7] = f64::NAN;
    let spoiled = Tensor::from_vec(spoiled, (2, 3, 2), &Device::Cpu).unwrap();
    let loss = values(&optimal_transport_cost(&spoiled, &frames, &labels, 0.3, 5).unwrap());
    assert!(loss[0].is_finite() && loss[1].is_nan());
}

#[test]
fn transport_in_single_precision_agrees() {
    let (cost, frames, labels) = costs(10, &[(50, 20), (30, 30)], 0.0);
    let single = cost.to_dtype(DType::F32).unwrap();
    let double = single.to_dtype(DType::F64).unwrap();
    let f = |cost: &Tensor| optimal_transport_cost(cost, &frames, &labels, 0.1, 20).unwrap();
    assert_eq!(f(&single).dtype(), DType::F32);
    let (found, expected) = (with_gradient(&single, f), with_gradient(&double, f));
    close(&found.0, &expected.0, 1e-6);
    close(&found.1, &expected.1, 1e-6);
}

#[test]
fn transport_says_what_does_not_fit() {
    let (cost, frames, labels) = costs(11, &[(4, 3)], 0.0);
    let run = |frames: &Lengths, epsilon, iterations| {
        let loss = optimal_transport_cost(&cost, frames, &labels, epsilon, iterations).unwrap_err();
        let plan = transport_plan(&cost, frames, &labels, epsilon, iterations).unwrap_err();
        assert_eq!(loss.to_string(), plan.to_string());
        loss
    };
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let expected = format!("epsilon: expected a positive number, got {epsilon}");
        assert_eq!(run(&frames, epsilon, 3).to_string(), expected);
    }
    assert_eq!(
        run(&frames, 1.0, 0).to_string(),
        "iterations: expected at least 1, got 0"
    );
    assert!(matches!(
        run(&Lengths::new(vec![0]), 1.0, 1),
        Error::NoAlignment { utterance: 0, .. }
    ));
    assert!(matches!(
        run(&Lengths::new(vec![5]), 1.0, 1),
        Error::Length { .. }
    ));
}
