//! The RNN-T loss.

use candle_core::{DType, Tensor};
use sandhi_core::{ArcScores, Error, Result};

use crate::arc_scores::wrong_dtype;
use crate::grid::{Utterance, each_utterance};
use crate::op::WithGradient;
use crate::real::Real;

/// What becomes of an utterance that has no alignment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Infeasible {
    /// An error that names it: nothing is lost in silence.
    #[default]
    Error,
    /// Its loss is +∞ and its gradient 0, as elsewhere; whoever takes the mean must leave it out.
    Infinite,
}

/// What people vary about the loss. The topology is a property of the [`ArcScores`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossOptions {
    /// FastEmit λ ≥ 0 (Yu et al. 2021, arXiv:2010.11148): the gradient of the label arcs is multiplied by 1 + λ. The loss
    /// itself stays what it is, as in every implementation; so with λ > 0 the gradient is not its derivative.
    pub fast_emit: f64,
    /// Delay penalty λ (Kang et al. 2022, arXiv:2211.00490): λ ((T_b − 1) / 2 − t) is added to the score of every label arc,
    /// so that early alignments weigh more. This is part of the loss.
    pub delay_penalty: f64,
    /// What becomes of an utterance that has no alignment.
    pub infeasible: Infeasible,
}

impl LossOptions {
    pub(crate) fn check(&self) -> Result<()> {
        let invalid = |what, expected: &str, got: f64| {
            let why = format!("expected {expected}, got {got}");
            Err(Error::Invalid { what, why })
        };
        if !(self.fast_emit >= 0.0 && self.fast_emit.is_finite()) {
            return invalid("FastEmit", "a finite weight >= 0", self.fast_emit);
        }
        if !self.delay_penalty.is_finite() {
            return invalid("delay penalty", "a finite weight", self.delay_penalty);
        }
        Ok(())
    }

    /// Loss of one utterance; `gradient`, `[T, U+1, 2]` and zeroed, receives that of its node scores.
    pub(crate) fn one<F: Real>(
        &self,
        utterance: &Utterance<'_, F>,
        gradient: Option<&mut [F]>,
    ) -> Result<f64> {
        let middle = (utterance.waves.frames as f64 - 1.0) / 2.0;
        let chain = utterance.chain_of(|t, u| {
            let (blank, label) = utterance.scores(t, u);
            // Not without a penalty: 0 times a large number need not be 0.
            if self.delay_penalty == 0.0 {
                (blank, label)
            } else {
                (blank, label + self.delay_penalty * (middle - t as f64))
            }
        });
        let chain = match (chain, self.infeasible) {
            (Err(Error::NoAlignment { .. }), Infeasible::Infinite) => return Ok(f64::INFINITY),
            (chain, _) => chain?,
        };
        if let Some(gradient) = gradient {
            let emit = 1.0 + self.fast_emit;
            chain.posteriors(|t, u, (blank, label)| {
                let at = utterance.node_index(t, u);
                gradient[at] = F::from_f64(-blank);
                gradient[at + 1] = F::from_f64(-emit * label);
            });
        }
        Ok(-chain.log_total())
    }
}

/// Negative log-likelihood of the labels under all alignments of a transducer.
///
/// Sums the probability of every path through the lattice by one recursion from the end, which also gives the alignments
/// as a Markov chain. The gradient with respect to an arc score is minus that arc's posterior. The recursion runs in f64,
/// whatever the dtype of the scores.
///
/// # Equation
///
/// ```text
/// L(b) = −ln Σ_{π ∈ paths(T_b, U_b)} Π_{arc ∈ π} p(arc)
/// ```
///
/// # Shapes
///
/// * `arcs`: `[B, T, U+1, 2]`, natural log-probabilities, f32 or f64.
/// * returns `[B]`, nats per utterance. Not reduced.
///
/// # Errors
///
/// [`Error::NoAlignment`](sandhi_core::Error::NoAlignment) naming the first utterance that has no frames, no path of
/// non-zero probability, or on the monotonic lattice more labels than frames.
/// [`Error::Invalid`](sandhi_core::Error::Invalid) if the dtype is neither f32 nor f64. NaN in a score that is read is not
/// an error: the loss is NaN.
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
    transducer_loss_with(arcs, &LossOptions::default())
}

/// [`transducer_loss`] with FastEmit, a delay penalty, or tolerance of utterances without an alignment.
///
/// # Errors
///
/// As [`transducer_loss`]; [`Error::Invalid`](sandhi_core::Error::Invalid) if an option is negative or not finite.
///
/// # Proved by
///
/// `fast_emit_scales_the_gradient_of_label_arcs`, `delay_penalty_equals_brute_force`,
/// `an_infeasible_utterance_may_be_infinite`.
pub fn transducer_loss_with(arcs: &ArcScores, options: &LossOptions) -> Result<Tensor> {
    options.check()?;
    match arcs.nodes().dtype() {
        DType::F32 => loss::<f32>(arcs, options),
        DType::F64 => loss::<f64>(arcs, options),
        other => Err(wrong_dtype("arc scores", other)),
    }
}

fn loss<F: Real>(arcs: &ArcScores, options: &LossOptions) -> Result<Tensor> {
    let tracked = arcs.nodes().track_op();
    let found = each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
        let mut gradient = tracked.then(|| utterance.node_grid());
        let value = options.one(utterance, gradient.as_deref_mut())?;
        Ok((F::from_f64(value), gradient))
    })?;
    let (values, gradients): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let gradient = gradients.into_iter().collect::<Option<Vec<_>>>();
    let op = WithGradient {
        values,
        gradients: [tracked.then_some(gradient).flatten().map(|g| g.concat()), None],
    };
    Ok(op.of(arcs.nodes())?)
}
