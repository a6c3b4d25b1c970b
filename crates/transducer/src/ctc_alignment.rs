//! What CTC's lattice says about alignments: posteriors, and the best ones.

use candle_core::{DType, Tensor};
use sandhi_core::Result;
use sandhi_lattice::MaxTropical;

use crate::arc_scores::wrong_dtype;
use crate::ctc_utterance::{Utterance, each};
use crate::real::Real;
use crate::{Aligned, CtcScores};

impl CtcScores {
    /// γ(t, u): the probability that frame `t` reads label `u`; a constant, `[B, T, U]`, 0 in the padding.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// # Proved by
    ///
    /// `ctc_label_posteriors_equal_the_gradient`, `ctc_posteriors_of_long_speech_sum_to_one`.
    pub fn label_posteriors(&self) -> Result<Tensor> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Vec<F>> {
            let chain = utterance.chain()?;
            let padded = utterance.columns - 1;
            let mut grid = vec![F::default(); utterance.symbols.len() / utterance.columns * padded];
            chain.posteriors(|t, _, labels| {
                for (cell, &label) in grid[t * padded..].iter_mut().zip(labels) {
                    *cell = F::from_f64(label);
                }
            });
            Ok(grid)
        }
        let (batch, num_frames, columns) = self.symbols().dims3()?;
        let (shape, device) = ((batch, num_frames, columns - 1), self.symbols().device());
        Ok(match self.symbols().dtype() {
            DType::F32 => Tensor::from_vec(each(self, None, one::<f32>)?.concat(), shape, device)?,
            DType::F64 => Tensor::from_vec(each(self, None, one::<f64>)?.concat(), shape, device)?,
            other => return Err(wrong_dtype("CTC scores", other)),
        })
    }

    /// The most probable alignment: the first frame of each label, and ln p of the path.
    ///
    /// **Ties**: at the first frame where two differ, the one that reads the later state: it emits earlier.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// # Proved by
    ///
    /// `ctc_viterbi_equals_brute_force`, `ctc_viterbi_is_the_first_of_the_n_best`.
    pub fn viterbi(&self) -> Result<Vec<Aligned>> {
        fn one<F: Real>(utterance: &Utterance<'_, F>) -> Result<Aligned> {
            let lattice = utterance.lattice();
            let log_p = |t, state| utterance.state_score(t, state);
            let best = lattice.backward(|t, state| MaxTropical(log_p(t, state)));
            let score = best.at(0, 0).0;
            if score == f64::NEG_INFINITY {
                return Err(utterance.no_alignment());
            }
            let (mut state, mut states) = (0, Vec::with_capacity(utterance.frames));
            for t in 0..utterance.frames {
                let value = |to: usize| log_p(t, to) + best.at(t + 1, to).0;
                let next = lattice
                    .next(state)
                    .reduce(|a, b| if value(b) >= value(a) { b } else { a });
                state = next.unwrap_or(state);
                states.push(state);
            }
            Ok(utterance.aligned(&states, score))
        }
        match self.symbols().dtype() {
            DType::F32 => each(self, None, one::<f32>),
            DType::F64 => each(self, None, one::<f64>),
            other => Err(wrong_dtype("CTC scores", other)),
        }
    }

    /// The `n` most probable alignments of each utterance, best first; fewer if there are fewer. Two that emit every label
    /// at the same frame may differ in how long the labels last.
    ///
    /// **Ties**: as for [`viterbi`](Self::viterbi). O(n T U) time and memory.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    ///
    /// # Proved by
    ///
    /// `ctc_n_best_alignments_equal_brute_force`.
    pub fn n_best_alignments(&self, n: usize) -> Result<Vec<Vec<Aligned>>> {
        fn one<F: Real>(utterance: &Utterance<'_, F>, n: usize) -> Result<Vec<Aligned>> {
            let score = |t, state| utterance.state_score(t, state);
            let paths = utterance.lattice().n_best_paths(n, score);
            if n > 0 && paths.is_empty() {
                return Err(utterance.no_alignment());
            }
            let aligned = paths
                .iter()
                .map(|(states, score)| utterance.aligned(states, *score));
            Ok(aligned.collect())
        }
        match self.symbols().dtype() {
            DType::F32 => each(self, None, |u: &Utterance<'_, f32>| one(u, n)),
            DType::F64 => each(self, None, |u: &Utterance<'_, f64>| one(u, n)),
            other => Err(wrong_dtype("CTC scores", other)),
        }
    }
}
