//! The RNN-T loss, label posteriors and the Viterbi alignment.

use candle_core::{DType, Tensor};
use sandhi_core::{ArcScores, Result};
use sandhi_lattice::{Log, Transducer, best_path, posteriors, total};

use crate::arc_scores::wrong_dtype;
use crate::grid::{Utterance, each_utterance};
use crate::op::WithGradient;
use crate::real::Real;

/// Negative log-likelihood of the labels under all alignments of a transducer.
///
/// Sums the probability of every path through the lattice by the forward recursion. The gradient with respect to an arc
/// score is minus that arc's posterior. The recursion runs in f64, whatever the dtype of the scores.
///
/// # Equation
///
/// ```text
/// L(b) = −ln Σ_{π ∈ paths(T_b, U_b)} Π_{arc ∈ π} p(arc)
/// ```
///
/// # Shapes
///
/// * `arcs.blank`: `[B, T, U+1]`, `arcs.label`: `[B, T, U]`, natural log-probabilities, f32 or f64.
/// * returns `[B]`, nats per utterance. Not reduced.
///
/// # Errors
///
/// [`Error::NoAlignment`](sandhi_core::Error::NoAlignment) naming the first utterance that has no frames, or no path of
/// non-zero probability; more labels than frames are no obstacle. [`Error::Invalid`](sandhi_core::Error::Invalid) if the
/// dtype is neither f32 nor f64. NaN in a score that is read is not an error: the loss is NaN.
///
/// # Source
///
/// Graves 2012, arXiv:1211.3711. The last step is a blank, as there.
///
/// # Proved by
///
/// `transducer_loss_equals_brute_force`, `transducer_loss_of_uniform_arcs_counts_paths`,
/// `transducer_loss_gradient_is_minus_the_posterior`, `transducer_loss_gradient_equals_differences`.
///
/// # Example
///
/// ```
/// # use candle_core::{Device, Tensor}; use sandhi_core::{ArcScores, Lengths}; use sandhi_transducer::transducer_loss;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Every arc has probability 1/4. With 2 frames and 1 label there are C(2, 1) = 2 paths of 3 arcs: L = ln 32.
/// let quarter = |shape: (usize, usize, usize)| Tensor::full(-(4f64.ln()), shape, &Device::Cpu);
/// let arcs = ArcScores::new(quarter((1, 2, 2))?, quarter((1, 2, 1))?, Lengths::new(vec![2]), Lengths::new(vec![1]))?;
/// let loss = transducer_loss(&arcs)?.to_vec1::<f64>()?[0];
/// assert!((loss - 32f64.ln()).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn transducer_loss(arcs: &ArcScores) -> Result<Tensor> {
    match arcs.blank().dtype() {
        DType::F32 => loss::<f32>(arcs),
        DType::F64 => loss::<f64>(arcs),
        other => Err(wrong_dtype("arc scores", other)),
    }
}

fn loss<F: Real>(arcs: &ArcScores) -> Result<Tensor> {
    let tracked = arcs.blank().track_op() || arcs.label().track_op();
    let found = each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
        let log_p = |arc| utterance.log_p(arc);
        let (mut blank, mut label) = (Vec::new(), Vec::new());
        let log_total = if tracked {
            let gamma = posteriors(Transducer, utterance.extent, log_p);
            (blank, label) = utterance.grids();
            for t in 0..utterance.extent.frames {
                for u in 0..=utterance.extent.labels {
                    blank[utterance.blank_index(t, u)] = F::from_f64(-gamma.blank(t, u));
                    if u < utterance.extent.labels {
                        label[utterance.label_index(t, u)] = F::from_f64(-gamma.label(t, u));
                    }
                }
            }
            gamma.log_total()
        } else {
            total(Transducer, utterance.extent, |arc| Log(log_p(arc))).0
        };
        if log_total == f64::NEG_INFINITY {
            return Err(utterance.no_alignment());
        }
        Ok((F::from_f64(-log_total), blank, label))
    })?;
    let values = found.iter().map(|(value, ..)| *value).collect();
    let gradients = match tracked {
        true => [
            Some(found.iter().flat_map(|(_, blank, _)| blank).copied().collect()),
            Some(found.iter().flat_map(|(.., label)| label).copied().collect()),
            None,
        ],
        false => [None, None, None],
    };
    // The operation takes three tensors; the third has no part in this one.
    let unused = arcs.label().detach();
    Ok(WithGradient { values, gradients }.apply([arcs.blank(), arcs.label(), &unused])?)
}

/// γ(t, u): the probability that label `u` is emitted at frame `t`, given that the labels are emitted.
///
/// A constant: no gradient flows through it. Over the frames of an utterance it sums to 1 for each label.
///
/// # Equation
///
/// ```text
/// γ(b, t, u) = Σ_{π emits u at t} p(π) / Σ_π p(π)
/// ```
///
/// # Shapes
///
/// * `arcs`: as for [`transducer_loss`].
/// * returns `[B, T, U]`, probabilities; 0 in the padding.
///
/// # Errors
///
/// As [`transducer_loss`].
///
/// # Proved by
///
/// `label_posteriors_sum_to_one_for_each_label`, `transducer_loss_gradient_is_minus_the_posterior`.
pub fn label_posteriors(arcs: &ArcScores) -> Result<Tensor> {
    match arcs.blank().dtype() {
        DType::F32 => gamma::<f32>(arcs),
        DType::F64 => gamma::<f64>(arcs),
        other => Err(wrong_dtype("arc scores", other)),
    }
}

fn gamma<F: Real>(arcs: &ArcScores) -> Result<Tensor> {
    let found = each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
        let gamma = posteriors(Transducer, utterance.extent, |arc| utterance.log_p(arc));
        if gamma.log_total() == f64::NEG_INFINITY {
            return Err(utterance.no_alignment());
        }
        let (_, mut label) = utterance.grids();
        for t in 0..utterance.extent.frames {
            for u in 0..utterance.extent.labels {
                label[utterance.label_index(t, u)] = F::from_f64(gamma.label(t, u));
            }
        }
        Ok(label)
    })?;
    Ok(Tensor::from_vec(
        found.concat(),
        arcs.label().dims(),
        arcs.label().device(),
    )?)
}

/// The emission frame of each label on the most probable path.
///
/// **Ties**: the path that emits earliest, as [`sandhi_lattice::best_path`] says.
///
/// # Shapes
///
/// * `arcs`: as for [`transducer_loss`].
/// * returns, for each utterance, `U_b` frames, non-decreasing.
///
/// # Errors
///
/// As [`transducer_loss`].
///
/// # Proved by
///
/// `viterbi_equals_brute_force`, `viterbi_of_ties_emits_earliest`.
pub fn viterbi(arcs: &ArcScores) -> Result<Vec<Vec<usize>>> {
    fn run<F: Real>(arcs: &ArcScores) -> Result<Vec<Vec<usize>>> {
        each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
            let path = best_path(Transducer, utterance.extent, |arc| utterance.log_p(arc));
            path.map(|path| path.emission_frames())
                .ok_or_else(|| utterance.no_alignment())
        })
    }
    match arcs.blank().dtype() {
        DType::F32 => run::<f32>(arcs),
        DType::F64 => run::<f64>(arcs),
        other => Err(wrong_dtype("arc scores", other)),
    }
}
