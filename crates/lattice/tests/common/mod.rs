//! Random weights keyed by arc, small lattices and tolerances, for all proofs.
#![allow(dead_code, missing_docs, unreachable_pub)]

use sandhi_lattice::{Arc, Extent, Step};

/// A uniform number in `[0, 1)` for each arc: a function of (seed, arc) alone, so the order of visits cannot matter.
pub fn uniform(seed: u64) -> impl Fn(Arc) -> f64 + Copy {
    move |arc| {
        let key = (arc.t * 1009 + arc.u * 17 + arc.step as usize + 1) as u64;
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(key));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Costs that only label arcs carry.
pub fn on_labels(cost: impl Fn(Arc) -> f64 + Copy) -> impl Fn(Arc) -> f64 + Copy {
    move |arc| if arc.step == Step::Label { cost(arc) } else { 0.0 }
}

/// Calls `law` with every lattice up to 5 frames by 4 labels.
pub fn every_extent(law: impl Fn(Extent)) {
    for frames in 1..=5 {
        for labels in 0..=4 {
            law(Extent { frames, labels });
        }
    }
}

pub fn path_sum(path: &[Arc], weight: impl Fn(Arc) -> f64) -> f64 {
    path.iter().map(|&arc| weight(arc)).sum()
}

/// Equal to 1e-10, relative to the larger of 1 and the expected value. Infinities must be the same.
#[track_caller]
pub fn close(got: f64, expected: f64) {
    within(got, expected, 1e-10);
}

#[track_caller]
pub fn within(got: f64, expected: f64, tolerance: f64) {
    let same = got == expected || (got - expected).abs() <= tolerance * expected.abs().max(1.0);
    assert!(same, "expected {expected}, got {got}");
}

pub fn binomial(n: usize, k: usize) -> u128 {
    if k > n {
        return 0;
    }
    (0..k as u128).fold(1, |product, i| product * (n as u128 - i) / (i + 1))
}
