//! What one lattice node makes of its V logits: two scores, and their gradient.

use crate::log_add::ln;
use crate::real::Real;
use crate::{Normalize, Scoring};

/// Rows are read this many numbers at a time. The order of the sums does not depend on the machine.
const LANES: usize = 16;

/// The normalizer of a node, `ln Σ e^x = max + log_sum`, in two parts: `x − max` is exact where it matters, however
/// large the logits are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Norm<F> {
    max: F,
    log_sum: F,
}

impl<F: Real> Norm<F> {
    /// `e^x` over the sum.
    #[inline(always)]
    fn probability(self, x: F, fused: bool) -> F {
        self.log_probability(x).exp(fused)
    }

    #[inline(always)]
    pub(crate) fn log_probability(self, x: F) -> F {
        (x - self.max) - self.log_sum
    }
}

/// ln p of the blank and of the node's label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scores<F> {
    pub(crate) blank: F,
    /// Absent where all labels are out.
    pub(crate) label: Option<F>,
}

/// The lanes of a row, the last ones filled up with `filler`.
#[inline(always)]
fn tail<F: Real>(rest: &[F], filler: F) -> [F; LANES] {
    let mut lanes = [filler; LANES];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}

/// One number of all lanes, in a tree: half as many at every step.
#[inline(always)]
fn fold<F: Real>(mut lanes: [F; LANES], combine: impl Fn(F, F) -> F) -> F {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = combine(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// The larger one, and the first if they do not compare.
#[inline(always)]
fn larger<F: Real>(max: F, x: F) -> F {
    if x > max { x } else { max }
}

#[inline(always)]
fn largest<F: Real>(row: &[F], start: F) -> F {
    let mut lanes = [start; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = tail(chunks.remainder(), start);
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(&rest) {
        *lane = larger(*lane, x);
    }
    fold(lanes, larger)
}

#[inline(always)]
fn sum_exp<F: Real>(row: &[F], max: F, fused: bool) -> F {
    let mut lanes = [F::default(); LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += (x - max).exp(fused);
        }
    }
    if !rest.is_empty() {
        for (lane, &x) in lanes.iter_mut().zip(&tail(rest, F::NEG_INFINITY)) {
            *lane += (x - max).exp(fused);
        }
    }
    fold(lanes, |a, b| a + b)
}

/// `max` and `Σ e^{x − max}` of the logits that share the softmax; the sum stands where its logarithm belongs, see
/// [`take_logarithms`]. NaN comes out as NaN: the maximum ignores it, the sum does not.
#[inline(always)]
pub(crate) fn partition<F: Real>(row: &[F], blank: usize, normalize: Normalize, fused: bool) -> Norm<F> {
    let (first, second): (&[F], &[F]) = match normalize {
        Normalize::Softmax => (row, &[]),
        Normalize::Hat => (&row[..blank], &row[blank + 1..]),
    };
    let max = largest(second, largest(first, F::NEG_INFINITY));
    Norm {
        max,
        log_sum: sum_exp(first, max, fused) + sum_exp(second, max, fused),
    }
}

/// Completes the normalizers that [`partition`] began: apart from it, so that many logarithms are taken together.
#[inline(always)]
pub(crate) fn take_logarithms<F: Real>(norms: &mut [Norm<F>], fused: bool) {
    for norm in norms {
        norm.log_sum = F::from_f64(ln(norm.log_sum.to_f64(), fused));
    }
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Σ (x − max) over the labels of a row: all but the blank.
#[inline(always)]
fn sum_of_labels<F: Real>(row: &[F], blank: usize, max: F) -> f64 {
    let sum = |part: &[F]| part.iter().map(|&x| (x - max).to_f64()).sum::<f64>();
    sum(&row[..blank]) + sum(&row[blank + 1..])
}

/// The scores of one node with this normalizer.
#[inline(always)]
pub(crate) fn scores<F: Real>(
    row: &[F],
    blank: usize,
    label: Option<usize>,
    norm: Norm<F>,
    scoring: &Scoring,
) -> Scores<F> {
    let (log_blank, log_emit) = match scoring.normalize {
        Normalize::Softmax => (norm.log_probability(row[blank]), 0.0),
        Normalize::Hat => {
            let x = row[blank].to_f64();
            (F::from_f64(-softplus(-x)), -softplus(x))
        }
    };
    let score = |v: usize| {
        let own = norm.log_probability(row[v]);
        if log_emit == 0.0 && scoring.label_smoothing == 0.0 {
            return own;
        }
        let mut smoothed = own.to_f64();
        if scoring.label_smoothing > 0.0 {
            let mean = sum_of_labels(row, blank, norm.max) / (row.len() - 1) as f64 - norm.log_sum.to_f64();
            smoothed += scoring.label_smoothing * (mean - smoothed);
        }
        F::from_f64(smoothed + log_emit)
    };
    Scores {
        blank: log_blank,
        label: label.map(score),
    }
}

/// The part of a node's gradient that is the same for every logit: `scale · p + spread`.
struct Slopes<F> {
    norm: Norm<F>,
    scale: F,
    spread: F,
    fused: bool,
}

impl<F: Real> Slopes<F> {
    #[inline(always)]
    fn at(&self, x: F) -> F {
        self.scale * self.norm.probability(x, self.fused) + self.spread
    }

    #[inline(always)]
    fn of(&self, row: &mut [F], logits: &[F]) {
        let (mut out, logits) = (row.chunks_exact_mut(LANES), logits.chunks_exact(LANES));
        let rest = logits.remainder();
        for (out, logits) in (&mut out).zip(logits) {
            for (out, &x) in out.iter_mut().zip(logits) {
                *out = self.at(x);
            }
        }
        self.at_end(out.into_remainder(), tail(rest, F::default()));
    }

    #[inline(always)]
    fn in_place(&self, row: &mut [F]) {
        let mut chunks = row.chunks_exact_mut(LANES);
        for chunk in &mut chunks {
            for x in chunk {
                *x = self.at(*x);
            }
        }
        let rest = chunks.into_remainder();
        let lanes = tail(rest, F::default());
        self.at_end(rest, lanes);
    }

    #[inline(always)]
    fn at_end(&self, rest: &mut [F], mut lanes: [F; LANES]) {
        if !rest.is_empty() {
            for x in &mut lanes {
                *x = self.at(*x);
            }
            rest.copy_from_slice(&lanes[..rest.len()]);
        }
    }
}

/// Turns the logits of one node into their gradient: from `logits` if they are given, else in place.
///
/// ```text
/// softmax   dx_v = g_blank [v = blank] + g_label ŷ_v − (g_blank + g_label) p_v
/// HAT       dx_blank = g_blank (1 − b) − g_label b,   dx_v = g_label (ŷ_v − q_v)
/// ```
///
/// with `b` the blank's sigmoid, `q` the softmax over the other labels, and `ŷ` one at the label, or smoothed over all of
/// them.
#[inline(always)]
pub(crate) fn gradient<F: Real>(
    row: &mut [F],
    logits: Option<&[F]>,
    blank: usize,
    label: Option<usize>,
    (g_blank, g_label): (F, F),
    norm: Norm<F>,
    (scoring, fused): (&Scoring, bool),
) {
    let zero = F::from_f64(0.0);
    if g_blank == zero && g_label == zero {
        row.fill(zero);
        return;
    }
    let smoothing = F::from_f64(scoring.label_smoothing);
    // What every label gets of its neighbour's arc.
    let spread = g_label * smoothing / F::from_f64((row.len().max(2) - 1) as f64);
    let (scale, at_blank) = match scoring.normalize {
        Normalize::Softmax => {
            let x = logits.map_or(row[blank], |logits| logits[blank]);
            let scale = -(g_blank + g_label);
            (scale, g_blank + scale * norm.probability(x, fused))
        }
        Normalize::Hat => {
            let x = logits.map_or(row[blank], |logits| logits[blank]).to_f64();
            let b = 1.0 / (1.0 + (-x).exp());
            (
                -g_label,
                F::from_f64(g_blank.to_f64() * (1.0 - b) - g_label.to_f64() * b),
            )
        }
    };
    let slopes = Slopes {
        norm,
        scale,
        spread,
        fused,
    };
    match logits {
        Some(logits) => slopes.of(row, logits),
        None => slopes.in_place(row),
    }
    row[blank] = at_blank;
    if let Some(label) = label {
        row[label] += g_label - g_label * smoothing;
    }
    if let Some(limit) = scoring.gradient_clamp {
        let limit = F::from_f64(limit);
        // Comparisons, so that NaN stays NaN.
        for x in row.iter_mut() {
            let below = if *x > limit { limit } else { *x };
            *x = if below < -limit { -limit } else { below };
        }
    }
}
