//! What the lattice says about alignments: posteriors, the best ones, and when labels are emitted.

use candle_core::{DType, Tensor};
use sandhi_core::{ArcScores, Error, Result, Topology};
use sandhi_lattice::{Monotonic, Path, Transducer, best_path, n_best_paths};

use crate::arc_scores::wrong_dtype;
use crate::grid::{Utterance, each_utterance};
use crate::real::Real;

/// Calls `f` for every utterance in the dtype of the scores.
macro_rules! each {
    ($arcs:expr, $one:ident $(, $argument:expr)*) => {
        match $arcs.nodes().dtype() {
            DType::F32 => each_utterance($arcs, None, |u: &Utterance<'_, f32>| $one(u $(, $argument)*)),
            DType::F64 => each_utterance($arcs, None, |u: &Utterance<'_, f64>| $one(u $(, $argument)*)),
            other => Err(wrong_dtype("arc scores", other)),
        }
    };
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
/// * `arcs`: as for [`transducer_loss`](crate::transducer_loss).
/// * returns `[B, T, U]`, probabilities; 0 in the padding.
///
/// # Errors
///
/// As [`transducer_loss`](crate::transducer_loss).
///
/// # Proved by
///
/// `label_posteriors_sum_to_one_for_each_label`, `transducer_loss_gradient_is_minus_the_posterior`.
pub fn label_posteriors(arcs: &ArcScores) -> Result<Tensor> {
    fn gamma<F: Real>(arcs: &ArcScores) -> Result<Tensor> {
        let found = each_utterance(arcs, None, |utterance: &Utterance<'_, F>| {
            let chain = utterance.chain()?;
            let mut grid: Vec<F> = utterance.label_grid();
            chain.posteriors(|t, u, (_, label)| {
                if u < utterance.waves.labels {
                    grid[utterance.label_index(t, u)] = F::from_f64(label);
                }
            });
            Ok(grid)
        })?;
        Ok(Tensor::from_vec(
            found.concat(),
            arcs.label().dims(),
            arcs.label().device(),
        )?)
    }
    match arcs.nodes().dtype() {
        DType::F32 => gamma::<f32>(arcs),
        DType::F64 => gamma::<f64>(arcs),
        other => Err(wrong_dtype("arc scores", other)),
    }
}

/// One alignment: when each label is emitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// The frame of each label, non-decreasing; on the monotonic lattice increasing.
    pub frames: Vec<usize>,
    /// ln p of the labels along this path, blanks included.
    pub score: f64,
}

impl From<Path<f64>> for Aligned {
    fn from(path: Path<f64>) -> Self {
        Self {
            frames: path.emission_frames(),
            score: path.score,
        }
    }
}

/// The emission frame of each label on the most probable path, with its score.
///
/// **Ties**: the path that emits earliest, as [`sandhi_lattice::best_path`] says.
///
/// # Errors
///
/// As [`transducer_loss`](crate::transducer_loss).
///
/// # Proved by
///
/// `viterbi_equals_brute_force`, `viterbi_of_ties_emits_earliest`.
pub fn viterbi(arcs: &ArcScores) -> Result<Vec<Aligned>> {
    fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Aligned> {
        let (extent, score) = (utterance.extent(), |arc| utterance.log_p(arc));
        let path = match utterance.waves.topology {
            _ if !utterance.waves.feasible() => None,
            Topology::Standard => best_path(Transducer, extent, score),
            Topology::Monotonic => best_path(Monotonic, extent, score),
        };
        path.map(Aligned::from).ok_or_else(|| utterance.no_alignment())
    }
    each!(arcs, one)
}

/// The `n` most probable alignments of each utterance, best first; fewer if the lattice has fewer.
///
/// **Ties**: the one that emits earlier comes first, as [`sandhi_lattice::n_best_paths`] says. O(n T U) time and memory.
///
/// # Errors
///
/// As [`transducer_loss`](crate::transducer_loss).
///
/// # Proved by
///
/// `n_best_alignments_equal_brute_force`.
pub fn n_best_alignments(arcs: &ArcScores, n: usize) -> Result<Vec<Vec<Aligned>>> {
    fn one<F: Real>(utterance: &Utterance<'_, F>, n: usize) -> Result<Vec<Aligned>> {
        let (extent, score) = (utterance.extent(), |arc| utterance.log_p(arc));
        let paths = match utterance.waves.topology {
            _ if !utterance.waves.feasible() => vec![],
            Topology::Standard => n_best_paths(Transducer, extent, n, score),
            Topology::Monotonic => n_best_paths(Monotonic, extent, n, score),
        };
        if n > 0 && paths.is_empty() {
            return Err(utterance.no_alignment());
        }
        Ok(paths.into_iter().map(Aligned::from).collect())
    }
    each!(arcs, one, n)
}

/// When each label is emitted in the mean over all alignments, in frames.
///
/// # Equation
///
/// ```text
/// time(b, u) = Σ_t t γ(b, t, u)
/// ```
///
/// # Errors
///
/// As [`transducer_loss`](crate::transducer_loss).
///
/// # Proved by
///
/// `emission_times_equal_the_posterior_mean`.
pub fn emission_times(arcs: &ArcScores) -> Result<Vec<Vec<f64>>> {
    fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Vec<f64>> {
        let chain = utterance.chain()?;
        let mut times = vec![0.0; utterance.waves.labels];
        chain.posteriors(|t, u, (_, label)| {
            if let Some(time) = times.get_mut(u) {
                *time += t as f64 * label;
            }
        });
        Ok(times)
    }
    each!(arcs, one)
}

/// How much later than the reference the labels of each utterance are emitted, in the mean over its labels.
///
/// Both in the same unit, frames or seconds; negative is early. `None` for an utterance without labels.
///
/// # Errors
///
/// [`Error::BatchSize`] or [`Error::Length`] if there is not one reference time for each label.
///
/// # Proved by
///
/// `emission_delay_is_the_mean_difference`.
///
/// # Example
///
/// ```
/// # use sandhi_transducer::emission_delay;
/// let delay = emission_delay(&[vec![3.0, 7.5]], &[vec![2.0, 6.0]])?;
/// assert_eq!(delay, [Some(1.25)]);
/// # Ok::<(), sandhi_core::Error>(())
/// ```
pub fn emission_delay(times: &[Vec<f64>], reference: &[Vec<f64>]) -> Result<Vec<Option<f64>>> {
    if times.len() != reference.len() {
        return Err(Error::BatchSize {
            what: "reference times",
            expected: times.len(),
            got: reference.len(),
        });
    }
    let pairs = times.iter().zip(reference).enumerate();
    pairs
        .map(|(utterance, (times, reference))| {
            if times.len() != reference.len() {
                return Err(Error::Length {
                    what: "reference times",
                    utterance,
                    length: reference.len(),
                    max: times.len(),
                });
            }
            let late: f64 = times.iter().zip(reference).map(|(time, at)| time - at).sum();
            Ok((!times.is_empty()).then(|| late / times.len() as f64))
        })
        .collect()
}
