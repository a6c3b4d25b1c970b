//! What one lattice node makes of its V logits: two scores, and their gradient.

use crate::Normalize;
use crate::real::Real;

/// Sums of this many lanes vectorise, and their order does not depend on the machine.
const LANES: usize = 16;

/// The normalizer of a node, `ln Σ e^x = max + log_sum`, in two parts: `x − max` is exact where it matters, however
/// large the logits are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Norm<F> {
    max: F,
    log_sum: F,
}

/// ln p of the blank and of the node's label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores<F> {
    pub(crate) blank: F,
    /// Absent where all labels are out.
    pub(crate) label: Option<F>,
    pub(crate) norm: Norm<F>,
}

#[inline(always)]
fn largest<F: Real>(row: &[F], start: F) -> F {
    let mut lanes = [start; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(start, |max, &x| if x > max { x } else { max })
}

#[inline(always)]
fn sum_exp<F: Real>(row: &[F], max: F) -> F {
    let mut lanes = [F::from_f64(0.0); LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += (x - max).exp();
        }
    }
    let tail = rest
        .iter()
        .fold(F::from_f64(0.0), |sum, &x| sum + (x - max).exp());
    lanes.iter().fold(tail, |sum, &x| sum + x)
}

/// `ln Σ e^x` over two pieces of a row. NaN comes out as NaN: the maximum ignores it, the sum does not.
#[inline(always)]
fn normalizer<F: Real>(first: &[F], second: &[F]) -> Norm<F> {
    let max = largest(second, largest(first, F::NEG_INFINITY));
    let sum = sum_exp(first, max) + sum_exp(second, max);
    Norm {
        max,
        log_sum: F::from_f64(sum.to_f64().ln()),
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The scores of one node.
#[inline(always)]
pub(crate) fn scores<F: Real>(
    row: &[F],
    blank: usize,
    label: Option<usize>,
    normalize: Normalize,
) -> Scores<F> {
    match normalize {
        Normalize::Softmax => {
            let norm = normalizer(row, &[]);
            let score = |v: usize| (row[v] - norm.max) - norm.log_sum;
            Scores {
                blank: score(blank),
                label: label.map(score),
                norm,
            }
        }
        Normalize::Hat => {
            let norm = normalizer(&row[..blank], &row[blank + 1..]);
            let x = row[blank].to_f64();
            let log_emit = -softplus(x);
            let score = |v: usize| F::from_f64(((row[v] - norm.max) - norm.log_sum).to_f64() + log_emit);
            Scores {
                blank: F::from_f64(-softplus(-x)),
                label: label.map(score),
                norm,
            }
        }
    }
}

/// Turns the logits of one node into their gradient, in place.
///
/// ```text
/// softmax   dx_v = g_blank [v = blank] + g_label [v = label] − (g_blank + g_label) p_v
/// HAT       dx_blank = g_blank (1 − b) − g_label b,   dx_v = g_label ([v = label] − q_v)
/// ```
///
/// with `b` the blank's sigmoid and `q` the softmax over the other labels.
#[inline(always)]
pub(crate) fn gradient<F: Real>(
    row: &mut [F],
    blank: usize,
    label: Option<usize>,
    (g_blank, g_label): (F, F),
    norm: Norm<F>,
    normalize: Normalize,
) {
    let zero = F::from_f64(0.0);
    if g_blank == zero && g_label == zero {
        row.fill(zero);
        return;
    }
    match normalize {
        Normalize::Softmax => {
            let scale = -(g_blank + g_label);
            row.iter_mut()
                .for_each(|x| *x = scale * ((*x - norm.max) - norm.log_sum).exp());
            row[blank] += g_blank;
        }
        Normalize::Hat => {
            let b = 1.0 / (1.0 + (-row[blank].to_f64()).exp());
            let at_blank = g_blank.to_f64() * (1.0 - b) - g_label.to_f64() * b;
            let (before, after) = row.split_at_mut(blank);
            for x in before.iter_mut().chain(&mut after[1..]) {
                *x = -g_label * ((*x - norm.max) - norm.log_sum).exp();
            }
            after[0] = F::from_f64(at_blank);
        }
    }
    if let Some(label) = label {
        row[label] += g_label;
    }
}
