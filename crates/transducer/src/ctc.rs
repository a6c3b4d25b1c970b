//! The CTC loss.

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use sandhi_core::{Error, Labels, Padded, Result, host};
use sandhi_lattice::Ctc;

use crate::arc_scores::{check_ids, wrong_dtype};
use crate::op::WithGradient;
use crate::real::Real;

/// Negative log-likelihood of the labels under all CTC alignments, with the log-softmax fused.
///
/// The recursion runs in f64, whatever the dtype of the logits.
///
/// # Equation
///
/// ```text
/// L(b) = −ln Σ_{z ∈ collapse⁻¹(y)} Π_t p(z_t | t)          p(v | t) = e^{x_tv} / Σ_w e^{x_tw}
///
/// ∂L / ∂x_tv = p(v | t) − Σ over states s that read v of γ(t, s)
/// ```
///
/// # Shapes
///
/// * `logits`: `[B, T, V]`, f32 or f64, unnormalised.
/// * `labels`: one row per utterance; the blank is theirs.
/// * returns `[B]`, nats per utterance. Not reduced.
///
/// # Errors
///
/// [`Error::NoAlignment`] naming the first utterance with fewer frames than its labels need: one each, and one between
/// equal neighbours. [`Error::BatchSize`], [`Error::Label`] or [`Error::Invalid`] if labels and logits do not fit, or the
/// dtype is neither f32 nor f64. NaN in a logit that is read is not an error: the loss is NaN. Padding is not read and
/// gets gradient 0.
///
/// # Source
///
/// Graves et al. 2006, "Connectionist temporal classification".
///
/// # Proved by
///
/// `ctc_loss_equals_brute_force`, `ctc_loss_of_uniform_logits_counts_alignments`,
/// `ctc_loss_gradient_equals_differences`, `ctc_loss_ignores_padding`, `ctc_loss_of_a_batch_equals_its_singles`.
pub fn ctc_loss(logits: &Padded, labels: &Labels) -> Result<Tensor> {
    let (batch, _, vocabulary) = logits.dims();
    labels.lengths().check("labels", batch, labels.max_len())?;
    check_ids(labels, vocabulary)?;
    match logits.values().dtype() {
        DType::F32 => loss::<f32>(logits, labels),
        DType::F64 => loss::<f64>(logits, labels),
        other => Err(wrong_dtype("logits", other)),
    }
}

fn loss<F: Real>(logits: &Padded, labels: &Labels) -> Result<Tensor> {
    let (batch, extent, vocabulary) = logits.dims();
    let values = logits.values().contiguous()?;
    let tracked = values.track_op();
    let found = host::read(&values, |values: &[F]| {
        let one = |b: usize| {
            let rows = &values[b * extent * vocabulary..][..extent * vocabulary];
            let (frames, row) = (logits.lengths().get(b), &labels.rows()[b]);
            utterance(
                rows,
                vocabulary,
                Ctc::new(frames, row),
                row,
                labels.blank(),
                tracked,
            )
            .ok_or(Error::NoAlignment {
                utterance: b,
                frames,
                labels: row.len(),
            })
        };
        let found: Vec<Result<_>> = (0..batch).into_par_iter().map(one).collect();
        found.into_iter().collect::<Result<Vec<_>>>()
    })??;
    let gradient = tracked.then(|| found.iter().flat_map(|(_, gradient)| gradient).copied().collect());
    let op = WithGradient {
        values: found.iter().map(|(value, _)| *value).collect(),
        gradients: [gradient, None],
    };
    Ok(op.of(&values)?)
}

/// Loss and gradient of one utterance, whose padded logits are `rows`; none if it has no alignment.
fn utterance<F: Real>(
    rows: &[F],
    vocabulary: usize,
    ctc: Ctc<'_>,
    labels: &[u32],
    blank: u32,
    tracked: bool,
) -> Option<(F, Vec<F>)> {
    let norms: Vec<f64> = rows
        .chunks(vocabulary)
        .take(ctc.frames())
        .map(log_sum_exp)
        .collect();
    let symbol = |state: usize| ctc.label(state).map_or(blank, |u| labels[u]) as usize;
    let log_p = |t: usize, state: usize| rows[t * vocabulary + symbol(state)].to_f64() - norms[t];
    if !tracked {
        let log_total = ctc.total(|t, state| sandhi_lattice::Log(log_p(t, state))).0;
        return (log_total > f64::NEG_INFINITY || log_total.is_nan())
            .then(|| (F::from_f64(-log_total), vec![]));
    }
    let gamma = ctc.posteriors(log_p);
    if gamma.log_total() == f64::NEG_INFINITY {
        return None;
    }
    let mut gradient = vec![F::default(); rows.len()];
    let mut slopes = vec![0.0; vocabulary];
    for (t, norm) in norms.iter().enumerate() {
        let row = &rows[t * vocabulary..][..vocabulary];
        for (slope, x) in slopes.iter_mut().zip(row) {
            *slope = (x.to_f64() - norm).exp();
        }
        for state in 0..ctc.states() {
            slopes[symbol(state)] -= gamma.state(t, state);
        }
        for (g, slope) in gradient[t * vocabulary..].iter_mut().zip(&slopes) {
            *g = F::from_f64(*slope);
        }
    }
    Some((F::from_f64(-gamma.log_total()), gradient))
}

fn log_sum_exp<F: Real>(row: &[F]) -> f64 {
    let max = row.iter().fold(f64::NEG_INFINITY, |max, x| max.max(x.to_f64()));
    max + row.iter().map(|x| (x.to_f64() - max).exp()).sum::<f64>().ln()
}
